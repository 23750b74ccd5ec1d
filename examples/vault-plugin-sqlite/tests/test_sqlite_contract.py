from vault_testkit import StorageContract


class TestSqlite(StorageContract):
    entry_point = "sqlite"
