"""Bad backends. Each breaks one promise, as a beginner, a service or a file system would."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Secret,
    SharedItems,
    StorageConflict,
    StorageDenied,
    VaultError,
    hookimpl,
)
from vault_plugin_bad.toy import Box, Service, Toy, spec

PAUSE = 0.005
"""Seconds: what a slow disk or a network takes, so that a race is one on a quiet machine, too."""


class WritesLater(Service):
    """Keeps what was put in memory until the store is closed."""

    later: dict = {}  # type: ignore[type-arg]  # noqa: RUF012 - of the whole process, so that nobody in it notices

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        self.later[key] = [value.reveal_text(), self._version()]
        return self.later[key][1]

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        self.close()
        return super().delete(key)

    def _read(self) -> Any:
        return {**super()._read(), **self.later}

    def close(self) -> None:
        with self._locked():
            self._write(self._read())
        self.later.clear()


class WritesInPlace(Service):
    """Overwrites the file, block by block."""

    def _write(self, items: Any) -> None:
        data = self._packed(items)
        with self.path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            file.write(data[len(data) // 2 :])


class ForgetsVersions(Toy):
    """Has one version for all states."""

    def _version(self) -> Any:
        return "1"


class LooksBeforeItLeaps(Service):
    """Checks that there is nothing, and writes later."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        self._check(self._read().get(key), expect)
        time.sleep(PAUSE)
        return super().put(key, value)


class LooksBeforeItDeletes(Service):
    """Checks the version, and deletes later what is there then."""

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        self._check(self._read().get(key), expect)
        time.sleep(PAUSE)
        return super().delete(key)


class ListsForNobody(Toy):
    """Has a policy that lets nobody list, and one key that nobody can delete."""

    def keys(self) -> Any:
        raise StorageDenied("nobody may list")

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        if key.endswith("-0"):
            raise StorageDenied("nobody may delete this one")
        return super().delete(key, expect=expect)


class ListsItsIndex(Toy):
    """Has an entry of its own among the keys."""

    def keys(self) -> Any:
        return iter(["index/all", *super().keys()])


class FoldsCase(Toy):
    """Decodes names for its users and lets capitals go, as some file systems do."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        return super().put(_readable(key), value, expect=expect)

    def get(self, key: Any) -> Any:
        return super().get(_readable(key))

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        return super().delete(_readable(key), expect=expect)

    def keys(self) -> Any:
        return map(_encoded, super().keys())


def _readable(key: Any) -> Any:
    kind, _, name = key.partition("/")
    head, *parts = name.split(".")
    try:
        return f"{kind}/" + (head + "".join(chr(int(part[:2], 16)) + part[2:] for part in parts)).lower()
    except ValueError:
        return key


def _encoded(key: Any) -> Any:
    kind, _, name = key.partition("/")
    return f"{kind}/" + "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f".{ord(c):02x}" for c in name)


class LimitsValues(Service):
    """Cuts values off at 1 KiB, without a word."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        return super().put(key, Secret(value.reveal()[:1024]), expect=expect)


class StripsValues(Toy):
    """Takes blanks at the ends for an accident."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        return super().put(key, Secret(value.reveal().strip() or b"-"), expect=expect)


class EncryptsAFile(Box):
    """Writes the plain text into a file first, and gives that to the cipher."""

    def _packed(self, items: Any) -> Any:
        plain = self.path.with_suffix(".plain")
        plain.write_text(json.dumps(items))
        data = super()._packed(json.loads(plain.read_text()))
        plain.unlink()
        return data


class ReturnsText(Service):
    """Returns the value itself."""

    def get(self, key: Any) -> Any:
        item = super().get(key)
        return item and item.value.reveal_text()


class LeavesErrorsAlone(Toy):
    """Lets the exceptions of what it uses through."""

    def _read(self) -> Any:
        try:
            return self._unpacked(self.path.read_bytes())
        except FileNotFoundError:
            return {}


class ExplainsTooMuch(Toy):
    """Says what stands in the way of a put."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        try:
            return super().put(key, value, expect=expect)
        except StorageConflict:
            raise StorageConflict(f"{key} holds {self.get(key).value.reveal_text()}") from None


class RemembersItsList(Toy):
    """Reads the list of keys again when something was put, but not when something was deleted."""

    known: list[str] | None = None

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        self.known = None
        return super().put(key, value, expect=expect)

    def keys(self) -> Any:
        if self.known is None:
            self.known = list(super().keys())
        return iter(self.known)


class SharesEverything(Service, SharedItems):
    """Has one place for what is one's own and for what is everybody's."""

    def shared(self) -> Any:
        return self


class ListsAPage(Toy):
    """Lists the first page of what its service has, which holds five keys."""

    def keys(self) -> Any:
        return iter(sorted(super().keys())[:5])


class ListsPageByPage(Service):
    """Lists three keys at a time, by their number, while others come and go."""

    def keys(self) -> Iterator[str]:
        start = 0
        while page := sorted(self._read())[start : start + 3]:
            yield from page
            start += len(page)
            time.sleep(PAUSE)


class WritesWithoutALock(Toy):
    """Reads all, changes one and writes all, and so loses what others write meanwhile."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        items = self._read()
        items[key] = [value.reveal_text(), self._version()]
        time.sleep(PAUSE)
        with self._locked():
            self._write(items)
        return items[key][1]


class DeletesAnything(Toy):
    """Is content when the item is gone."""

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        super().delete(key, expect=expect)
        return True


class IgnoresVersions(Toy):
    """Understands ABSENT, and takes a version for a comment."""

    def _check(self, found: Any, expect: Any) -> None:
        super()._check(found, expect if expect is ABSENT else ANY)


class CountsAnew(Toy):
    """Numbers the versions of each item, from 1."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        with self._locked():
            items = self._read()
            self._check(items.get(key), expect)
            items[key] = [value.reveal_text(), str(int(items[key][1]) + 1 if key in items else 1)]
            self._write(items)
            return items[key][1]


class OpensToAnybody(Box):
    """Takes what it cannot open for an empty store."""

    def get(self, key: Any) -> Any:
        try:
            return super().get(key)
        except VaultError:
            return None


class TellsAProgram(Service):
    """Gives the value to a program, as one of its arguments."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        self.ctx.run(["true", value.reveal_text()])
        return super().put(key, value, expect=expect)


class Logs(Service):
    """Has a log for those who look for its mistakes."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        logging.getLogger("faulty backend").debug("put %s %s", key, value.reveal_text())
        return super().put(key, value, expect=expect)


class ShoutsSealedValues(Toy):
    """Takes what looks like Base64 for something without small letters."""

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        return super().put(key, _shouted(value), expect=expect)


def _shouted(value: Any) -> Any:
    text = value.reveal_text()
    return Secret(text.upper() if text.startswith("vlt1:") and len(text) > 40 else text)


CULPRITS = {
    "writes-later": (WritesLater, AtRest.SERVICE),
    "writes-in-place": (WritesInPlace, AtRest.SERVICE),
    "forgets-versions": (ForgetsVersions, AtRest.CORE),
    "looks-before-it-leaps": (LooksBeforeItLeaps, AtRest.SERVICE, Capability.CREATE_ONLY),
    "looks-before-it-deletes": (LooksBeforeItDeletes, AtRest.SERVICE, Capability.CREATE_ONLY | Capability.CAS),
    "lists-for-nobody": (ListsForNobody, AtRest.CORE),
    "lists-its-index": (ListsItsIndex, AtRest.CORE),
    "folds-case": (FoldsCase, AtRest.CORE),
    "limits-values": (LimitsValues, AtRest.SERVICE),
    "strips-values": (StripsValues, AtRest.CORE),
    "encrypts-a-file": (EncryptsAFile, AtRest.BACKEND),
    "returns-text": (ReturnsText, AtRest.SERVICE),
    "leaves-errors-alone": (LeavesErrorsAlone, AtRest.CORE),
    "explains-too-much": (ExplainsTooMuch, AtRest.CORE, Capability.CREATE_ONLY),
    "remembers-its-list": (RemembersItsList, AtRest.CORE),
    "lists-page-by-page": (ListsPageByPage, AtRest.SERVICE),
    "writes-without-a-lock": (WritesWithoutALock, AtRest.CORE),
    "deletes-anything": (DeletesAnything, AtRest.CORE),
    "ignores-versions": (IgnoresVersions, AtRest.CORE, Capability.CREATE_ONLY | Capability.CAS),
    "counts-anew": (CountsAnew, AtRest.CORE, Capability.CREATE_ONLY | Capability.CAS),
    "opens-to-anybody": (OpensToAnybody, AtRest.BACKEND),
    "tells-a-program": (TellsAProgram, AtRest.SERVICE),
    "shares-everything": (SharesEverything, AtRest.SERVICE, Capability.SHARED),
    "lists-a-page": (ListsAPage, AtRest.CORE),
    "logs": (Logs, AtRest.SERVICE),
    "shouts-what-is-sealed": (ShoutsSealedValues, AtRest.CORE),
}


@hookimpl
def vault_storage_backends() -> Any:
    return tuple(spec(name, *made) for name, made in CULPRITS.items())
