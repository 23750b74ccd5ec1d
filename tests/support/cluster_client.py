"""A program: one client of a cluster, which writes and reads for a while and tells what it was promised.

Arguments: a JSON object with ``environ``, ``name``, ``seconds``. Standard output: a JSON object, see :class:`Client`.
It runs in a process of its own, so that a stall of one says nothing about another.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vault_core.api import ABSENT, Secret, StorageBackend, StorageConflict, StorageUnavailable
from vault_plugin_hashicorp.plugin import vault_storage_backends
from vault_plugin_hashicorp.store import Store
from vault_testkit import FakeContext


class Client:
    """What it did, and what was wrong."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.store = store
        self.common: StorageBackend = store.shared()
        self.created: list[str] = []
        """Names that were acknowledged, each created by a put that expects nothing to be there."""
        self.unknown: list[str] = []
        """Names of which it was said that nobody knows."""
        self.counted = 0
        """Acknowledged steps of the counter that all share, by check-and-set."""
        self.perhaps_counted = 0
        self.last = 0
        """What its own item was set to last, by check-and-set."""
        self.seen = 0
        self.operations = 0
        self.longest = 0.0
        self.errors: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            number += 1
            self._timed(lambda number=number: self._create(number))  # type: ignore[misc]  # mypy infers no default of a lambda
            self._timed(self._step)
            self._timed(lambda number=number: self._set(number))  # type: ignore[misc]  # mypy infers no default of a lambda
            self._timed(self._look)

    def _timed(self, action: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            action()
        except StorageUnavailable as error:
            self.errors[error.message] += 1
        self.operations += 1
        self.longest = max(self.longest, time.monotonic() - began)

    def _create(self, number: int) -> None:
        name = f"crowd/{self.name}-{number}"
        try:
            self.store.put(name, Secret(f"value of {name}"), expect=ABSENT)
        except StorageUnavailable:
            self.unknown.append(name)
            raise
        except StorageConflict:
            self.wrong.append(f"{name} was there before it was made")
        self.created.append(name)

    def _step(self) -> None:
        """Count one further."""
        item = self.common.get("crowd/counter")
        assert item is not None
        count = int(item.value.reveal())
        if count < self.seen:
            self.wrong.append(f"the counter went from {self.seen} to {count}")
        self.seen = count
        try:
            self.common.put("crowd/counter", Secret(str(count + 1)), expect=item.version)
        except StorageConflict:
            return
        except StorageUnavailable:
            self.perhaps_counted += 1
            raise
        self.counted += 1
        self.seen = count + 1

    def _set(self, number: int) -> None:
        """Replace an item that nobody else writes: what was read last must be what was written last."""
        item = self.store.get("crowd/own")
        found = int(item.value.reveal()) if item is not None else 0
        if found != self.last:
            self.wrong.append(f"{self.name} wrote {self.last} and read {found}")
        try:
            self.store.put("crowd/own", Secret(str(number)), expect=item.version if item else ABSENT)
        except StorageUnavailable:
            item = self.store.get("crowd/own")
            self.last = int(item.value.reveal()) if item is not None else 0
            if self.last not in (found, number):
                self.wrong.append(f"neither {found} nor {number} but {self.last}")
            raise
        except StorageConflict as error:
            self.wrong.append(f"nobody else writes it, and yet: {error}")
        self.last = number

    def _look(self) -> None:
        if not self.created:
            return
        name = self.created[-1]
        item = self.store.get(name)
        if item is None or item.value != Secret(f"value of {name}"):
            self.wrong.append(f"{name} was acknowledged and is not there")

    def report(self) -> dict[str, Any]:
        told = {key: value for key, value in vars(self).items() if key not in ("store", "common")}
        return {**told, "repeated": self.store.service.client.repeated, "folder": self.store.folder}


def main(job: dict[str, Any]) -> None:
    (spec,) = vault_storage_backends()
    with tempfile.TemporaryDirectory() as folder:
        context = FakeContext(
            Path(folder), declared=spec.options, options=job.get("options", {}), environ=job["environ"]
        )
        store = spec.open(context)
        assert isinstance(store, Store)
        client = Client(job["name"], store)
        client.run(time.monotonic() + job["seconds"])
        json.dump(client.report(), sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
