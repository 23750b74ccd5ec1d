"""Entries of ``pass`` as a storage backend.

``pass`` encrypts for the keys in its ``.gpg-id``; values are passed on standard input and standard output, never in a
command line. GnuPG writes into the target file in place, so an entry is written under another name and then moved: a
reader finds the old value or the new one, even after a crash. Writers of this user on this machine take turns. Entries
are listed from the folder, as ``pass ls`` draws a tree.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vault_core import api

PERSON_SECONDS = 120.0
"""How long ``pass`` may take: the user may have to find a smart card or a passphrase."""
LOCK_SECONDS = 30.0
"""How long to wait for another writer. A lock is needed, as ``pass`` removes empty folders while others add to them."""
ENVIRONMENT = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GNUPGHOME",
    "GPG_TTY",
    "PASSWORD_STORE_DIR",
    "PASSWORD_STORE_KEY",
    "PASSWORD_STORE_SIGNING_KEY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
)
"""The variables that ``pass``, GnuPG and its dialogs need besides those of every program."""
CHUNK = 200
"""Characters in one part of a path: file systems allow 255 bytes, and ``pass`` adds a suffix."""
_NEW = "=new"
_CHUNKS = re.compile(r"[a-z0-9+_-]+(/[a-z0-9+_-]+=)*/[a-z0-9+_-]+\Z")
_FAILURES: tuple[tuple[str, type[api.StorageError], str, str], ...] = (
    ("You must run", api.StorageUnavailable, "the password store is not set up", "pass init GPG-ID"),
    (
        "No secret key",
        api.StorageLocked,
        "your GPG key is locked, or the entry is for another key",
        "try 'pass show {entry}'",
    ),
    ("OpenPGP|[Ii]nvalid|decrypt_message failed", api.StorageCorrupt, "it is damaged", "restore a backup of it"),
)
"""Patterns for the standard error of ``pass`` and GnuPG, each with an error class, a message and a hint. GnuPG has the
same message for a key that is locked and for a key that does not exist."""


class PassBackend(api.StorageBackend):
    """The entries in one folder of a password store.

    :param root: the password store.
    :param folder: the folder, relative to ``root``.
    """

    def __init__(self, ctx: api.Context, root: Path, folder: PurePosixPath) -> None:
        self._ctx = ctx
        self._root = root
        self._folder = folder

    def get(self, key: str) -> api.Item | None:
        entry = self._entry(key)
        while (version := self._version(entry)) is not None:
            shown = self._run("show", str(entry))
            if self._version(entry) == version:  # else another process replaced it, and either value may be shown
                value = api.Secret(self._checked(entry, shown).stdout.reveal().removesuffix(b"\n"))
                if not value:  # for some damaged files, GnuPG prints nothing and reports success
                    raise api.StorageCorrupt(f"{entry} in {self._root} is damaged", hint="restore a backup")
                return api.Item(value=value, version=version)
            self._ctx.check()
        return None

    def put(self, key: str, value: api.Secret, *, expect: api.Expect = api.ANY) -> api.Version:  # noqa: ARG002 - none is declared
        entry, new = self._entry(key), self._folder / _NEW
        with self._ctx.lock("pass", timeout=LOCK_SECONDS):
            line = api.Secret(value.reveal() + b"\n")
            self._checked(entry, self._run("insert", "--multiline", "--force", str(new), input=line))
            _sync(self._file(new))
            self._checked(entry, self._run("mv", "--force", str(new), str(entry)))
            _sync(self._file(entry).parent)
            version = self._version(entry)
        if version is None:
            raise api.StorageUnavailable(f"pass did not keep {entry}")
        return version

    def delete(self, key: str, *, expect: api.Expect = api.ANY) -> bool:  # noqa: ARG002 - as above
        entry = self._entry(key)
        with self._ctx.lock("pass", timeout=LOCK_SECONDS):
            if self._version(entry) is None:
                return False
            self._checked(entry, self._run("rm", "--force", str(entry)))
            _sync(next(folder for folder in self._file(entry).parents if folder.exists()))
        return True

    def keys(self) -> Iterator[str]:
        top = self._root / self._folder
        for path in top.rglob("*.gpg"):
            name = path.relative_to(top).as_posix().removesuffix(".gpg")
            if _CHUNKS.match(name):
                kind, _, rest = name.replace("=/", "").replace("+", ".").partition("/")
                yield f"{kind}/{rest}"

    # -- entries and files ---------------------------------------------------------------------------------------------

    def _entry(self, key: str) -> PurePosixPath:
        """The entry of a key: no part is ``.``, ``..``, hidden or too long, and no entry is also a folder."""
        kind, _, name = key.replace(".", "+").partition("/")
        chunks = [name[start : start + CHUNK] for start in range(0, len(name), CHUNK)]
        return self._folder.joinpath(kind, *(f"{chunk}=" for chunk in chunks[:-1]), chunks[-1])

    def _file(self, entry: PurePosixPath) -> Path:
        return self._root / f"{entry}.gpg"

    def _version(self, entry: PurePosixPath) -> api.Version | None:
        """The state of an entry: GnuPG never makes the same bytes twice."""
        try:
            return hashlib.sha256(self._file(entry).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise api.StorageDenied(f"{self._file(entry)} cannot be read: {error.strerror}") from error

    # -- the program ---------------------------------------------------------------------------------------------------

    def _run(self, *argv: str, input: api.Secret | None = None) -> api.RunResult:
        # --batch: no prompt at the terminal, which awsv uses. The context knows whether a dialog may be shown.
        gpg = [self._ctx.environ.get("PASSWORD_STORE_GPG_OPTS", ""), "--batch"]
        if not self._ctx.can_show_dialog:
            gpg.append("--pinentry-mode=cancel")
        setting = ["env", "LC_ALL=C", f"PASSWORD_STORE_GPG_OPTS={' '.join(gpg)}"]
        try:
            return self._ctx.run([*setting, "pass", *argv], input=input, timeout=PERSON_SECONDS, env=ENVIRONMENT)
        except api.SourceUnavailable as error:
            raise api.StorageUnavailable(error.message) from error

    def _checked(self, entry: PurePosixPath, done: api.RunResult) -> api.RunResult:
        """The result of ``pass``.

        :raises StorageError: ``pass`` failed.
        """
        if done.returncode == 0:
            return done
        for pattern, kind, message, hint in _FAILURES:
            if re.search(pattern, done.stderr):
                raise kind(f"{entry} in {self._root}: {message}", hint=hint.format(entry=entry))
        last = done.stderr.strip().rpartition("\n")[2]
        raise api.StorageUnavailable(f"{entry} in {self._root}: pass ended with {done.returncode}: {last}")


def _sync(path: Path) -> None:
    """Sync a file's content, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
