from vault_core.testing import StorageContract


class TestSqlite(StorageContract):
    entry_point = "sqlite"
