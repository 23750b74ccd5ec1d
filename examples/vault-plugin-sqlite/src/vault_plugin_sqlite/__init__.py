"""Storage for awsv in one SQLite file. SQLite makes every change atomic and durable; the core encrypts every value."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from vault_core import api

ITEMS = "CREATE TABLE IF NOT EXISTS items (key TEXT PRIMARY KEY, value BLOB NOT NULL, version TEXT NOT NULL)"


class SqliteBackend(api.StorageBackend):
    """A new connection for each call, so any number of threads and processes may use the file."""

    def __init__(self, ctx: api.Context) -> None:
        self.path = Path(place(ctx)).expanduser()

    def get(self, key: str) -> api.Item | None:
        with self._transaction() as run:
            row = run("SELECT value, version FROM items WHERE key = ?", key).fetchone()
        return api.Item(value=api.Secret(row[0]), version=row[1]) if row else None

    def put(self, key: str, value: api.Secret, *, expect: api.Expect = api.ANY) -> api.Version:
        version = secrets.token_hex(16)  # random, so no item gets the version of a deleted one
        with self._transaction(key, expect) as run:
            run("REPLACE INTO items VALUES (?, ?, ?)", key, value.reveal(), version)
        return version

    def delete(self, key: str, *, expect: api.Expect = api.ANY) -> bool:
        with self._transaction(key, expect) as run:
            return bool(run("DELETE FROM items WHERE key = ?", key).rowcount)

    def keys(self) -> Iterator[str]:
        with self._transaction() as run:
            return iter([key for (key,) in run("SELECT key FROM items")])

    @contextmanager
    def _transaction(self, changed: str | None = None, expect: api.Expect = api.ANY) -> Iterator[Any]:
        import sqlite3

        try:
            if changed:  # a reader creates no file: if none exists, it uses an empty database in memory
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.path.touch(mode=0o600)
            file = self.path if self.path.exists() else ":memory:"
            with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as database:
                database.execute("PRAGMA synchronous = EXTRA")  # durable at the end, the folder's entry included
                database.execute("BEGIN IMMEDIATE" if changed else "BEGIN")
                database.execute(ITEMS)
                row = database.execute("SELECT version FROM items WHERE key = ?", (changed,)).fetchone()
                if expect not in (api.ANY, row[0] if row else api.ABSENT):
                    raise api.StorageConflict(f"{changed} in {self.path} has changed")
                yield lambda sql, *values: database.execute(sql, values)
                database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            damaged = type(error) is sqlite3.DatabaseError  # its subclasses are for locks, disks and permissions
            raise (api.StorageCorrupt if damaged else api.StorageUnavailable)(f"{self.path}: {error}") from error


def place(ctx: api.Context) -> str:
    return ctx.options["path"] or str(ctx.data_dir / "store.sqlite")


@api.hookimpl
def vault_storage_backends() -> tuple[api.StorageSpec, ...]:
    can = api.Capability
    able = can.CREATE_ONLY | can.CAS
    path = api.Option(name="path", help="the file; store.sqlite in awsv's data folder if it is not set")
    spec = api.StorageSpec(
        name="sqlite", summary="one SQLite file", open=SqliteBackend, capabilities=able, options=(path,), locate=place
    )
    return (spec,)
