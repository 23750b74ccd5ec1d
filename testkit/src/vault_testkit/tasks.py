"""What one process does at a store under test, and where it dies; see :mod:`vault_testkit.worker`."""

import contextlib
import hashlib
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from vault_core.api import ABSENT, ANY, Expect, Secret, StorageBackend, StorageConflict, StorageUnavailable, VaultError

Say = Callable[..., None]
_ON_FILES = {"open", "write", "writelines", "flush", "close", "__exit__", "truncate", "ftruncate", "pwrite", "writev"}
_ON_FILES |= {"sendfile", "dump", "fsync", "fdatasync", "chmod", "fchmod", "flock", "lockf"}
_ON_NAMES = {"replace", "rename", "link", "symlink", "unlink", "remove", "mkdir", "rmdir"}
_ELSEWHERE = {"connect", "send", "sendall", "sendmsg", "execute", "executemany", "executescript", "commit"}
_ELSEWHERE |= {"fork_exec", "waitpid"}
_OUTWARD = frozenset(_ON_FILES | _ON_NAMES | _ELSEWHERE)
"""Functions in C after and before which the state of the world may differ."""


def digest(value: str | bytes) -> str:
    """What a child says of a value, in place of the value."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()[:16]


class Task:
    """A process that does one task.

    :param stop: readable once every task that ends without a signal has ended.
    """

    def __init__(self, store: StorageBackend, order: dict[str, Any], say: Say, stop: int) -> None:
        self.store = store
        self.order = order
        self.say = say
        self._stop = stop

    def put(self) -> None:
        """Put every item once; the first one that fails ends it."""
        for key, value in self.order["items"].items():
            try:
                version = self.store.put(key, Secret(value), expect=_expectation(self.order.get("expect")))
            except StorageConflict:
                self.say(lost=key)
            else:
                self.say(put=key, version=version)

    def put_and_die(self) -> None:
        """Put every item, say so, and never get to an end."""
        self.put()
        os.kill(0, signal.SIGKILL)

    def rewrite(self) -> None:
        """Put one value after the other under a key."""
        for value in self.order["values"]:
            self.store.put(self.order["key"], Secret(value))

    def put_on(self) -> None:
        """Put one numbered value after the other under a key, until the process is killed."""
        for number in range(1_000_000):
            self.store.put(self.order["key"], Secret(f"{self.order['value']}#{number}"))
            self.say(put=number)

    def increment(self) -> None:
        """Count up an item, each time from what is there."""
        for _ in range(self.order["times"]):
            while True:
                item = self.store.get(self.order["key"])
                if item is None:
                    return self.say(error="get", message="the counter is not there")
                try:
                    number = int(item.value.reveal()) + 1
                    self.store.put(self.order["key"], Secret(str(number)), expect=item.version)
                except StorageConflict:
                    continue
                break
            self.say(counted=number)
        return None

    def delete(self) -> None:
        """Delete a key."""
        try:
            self.say(deleted=self.store.delete(self.order["key"], expect=_expectation(self.order.get("expect"))))
        except StorageConflict:
            self.say(lost=self.order["key"])

    def read(self) -> None:
        """Read a key over and over, until the others are done or it was often enough, and say what was seen."""
        seen: set[str] = set()
        reads = 0
        while reads < self.order["most"] and (not reads or not select.select([self._stop], [], [], 0)[0]):
            with contextlib.suppress(*([StorageUnavailable] if self.order.get("patient") else [])):
                item = self.store.get(self.order["key"])
                seen.add("absent" if item is None else digest(item.value.reveal()))
            reads += 1
        self.say(seen=sorted(seen), reads=reads)

    def come_and_go(self) -> None:
        """Put the items and delete them, again and again."""
        for _ in range(self.order["times"]):
            for key, value in self.order["items"].items():
                self.store.put(key, Secret(value))
            for key in self.order["items"]:
                self.store.delete(key)

    def look_for(self) -> None:
        """List over and over, until the others are done or it was often enough, and say which keys were not listed."""
        missed: set[str] = set()
        lists = 0
        while lists < self.order["most"] and (not lists or not select.select([self._stop], [], [], 0)[0]):
            missed |= set(self.order["keys"]) - set(self.store.keys())
            lists += 1
        self.say(missed=sorted(missed))

    def get(self) -> None:
        """Read keys once."""
        for key in self.order["keys"]:
            item = self.store.get(key)
            self.say(got=key, value=None if item is None else digest(item.value.reveal()))

    def everything(self) -> None:
        """Every operation once, on one key, and what the objects look like in a log."""
        key, value = self.order["key"], Secret(self.order["value"])
        version = self.store.put(key, value)
        item = self.store.get(key)
        logging.getLogger("contract").debug("%r %s %r", self.store, version, item)
        self.say(looks=f"{item!r} {item} {self.store!r} {version}")
        self.say(listed=key in list(self.store.keys()))
        for expect in self.order["refused"]:
            try:
                self.store.put(key, value, expect=_expectation(expect))
            except VaultError:
                self.say(looks=traceback.format_exc())

    def killed_at(self) -> None:
        """Put or delete one item, and die at a step of it; step 0 counts the steps."""
        steps = Steps(self.order["step"])
        sys.setprofile(steps.watch)
        if "delete" in self.order:
            self.store.delete(self.order["delete"])
        else:
            self.put()
        sys.setprofile(None)
        self.say(steps=steps.seen)


class Steps:
    """Counts what may change the world, and ends the process at one of them.

    :param last: the number of the step at which to die; 0: never.
    """

    def __init__(self, last: int) -> None:
        self.seen = 0
        self._last = last

    def watch(self, _frame: Any, event: str, function: Any) -> None:
        """For :func:`sys.setprofile`."""
        if event in ("c_call", "c_return") and getattr(function, "__name__", "") in _OUTWARD:
            self.seen += 1
            if self.seen == self._last:
                os.kill(0, signal.SIGKILL)  # our group: with the programs that we have started


def _expectation(name: str | None) -> Expect:
    return {None: ANY, "any": ANY, "absent": ABSENT}.get(name, name or ANY)
