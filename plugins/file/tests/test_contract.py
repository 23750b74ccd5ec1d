"""The file store keeps the contract of storage backends."""

from __future__ import annotations

from vault_testkit import StorageContract


class TestFile(StorageContract):
    entry_point = "file"
