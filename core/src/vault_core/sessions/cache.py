"""Live sessions of this user on this machine: sealed files in the state folder, one a step.

They are a cache: never in a storage backend, safe to delete, gone after a reboot where the runtime folder is. The key
lies 0600 in the private runtime folder, so whoever runs as the user while the user is logged in can read live
sessions, and never stored keys. File format: ``nonce (12) ‖ AES-256-GCM(key, JSON, the file's name as associated
data)``; the name is HMAC-SHA256(key, cache key), so it tells nothing without the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault_core import folders, output
from vault_core.api import Credentials
from vault_core.errors import ConfigError
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.settings import Settings

SERVED_UNTIL = 16 * 60
"""Seconds before its end up to which a session is served: the AWS SDKs come back at 15 minutes."""

LONGEST = 36 * 3600
"""Seconds that a session lives at most: GetSessionToken's limit, and AssumeRole's is lower."""

_SUFFIX = ".session"
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Session:
    """A session in the cache."""

    credentials: Credentials
    issued: datetime
    kind: str
    """For people: ``sts.GetSessionToken``."""
    profiles: tuple[str, ...]
    """The profiles that it depends on, the stored key's first and its own last."""

    def left(self) -> float:
        """Seconds until it ends."""
        assert self.credentials.expires is not None  # noqa: S101 - only sessions that end are kept, see Cache.put
        return self.credentials.expires.timestamp() - time.time()

    def usable(self, minimum: float | None) -> bool:
        """Whether enough of it remains to hand it out."""
        if minimum is None:
            minimum = min(SERVED_UNTIL, (self.left() + time.time() - self.issued.timestamp()) / 2)
        return self.left() > max(minimum, 0)


class Cache:
    """The sessions of this user.

    :raises ConfigError: ``session_cache`` or ``AWS_MIN_TTL`` is none of the known values.
    """

    def __init__(self, settings: Settings) -> None:
        mode = settings.value("session_cache")
        if mode.text not in ("runtime", "off"):
            raise ConfigError(f"{mode.origin}: session_cache is 'runtime' or 'off', not {mode.text!r}")
        self._off = mode.text == "off"
        self._settings = settings
        self._folder = settings.state_dir / "sessions"
        self._minimum = _minimum(settings.environ.get("AWS_MIN_TTL"))

    def name(self, cache_key: str) -> str:
        """The file name of a step, which says nothing to who has not the key."""
        return hmac.new(self._key or b"", cache_key.encode(), hashlib.sha256).hexdigest()

    def get(self, cache_key: str, *, made_since: datetime | None = None) -> Session | None:
        """The session of a step, if enough of it is left.

        :param made_since: one that was made after this moment is good as long as it lives.
        """
        session = self._read(self._folder / (self.name(cache_key) + _SUFFIX)) if self._key else None
        if session is None:
            return None
        new = made_since is not None and session.issued >= made_since and session.left() > 0
        return session if new or session.usable(self._minimum) else None

    def put(self, cache_key: str, session: Session) -> None:
        """Keep a session. One that cannot be kept is no failure: it is only made again."""
        if self._key is None or session.credentials.expires is None:
            return
        name = self.name(cache_key) + _SUFFIX
        temporary = self._folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + _aead(self._key).encrypt(nonce, json.dumps(_to_json(session)).encode(), name.encode())
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(sealed)
            temporary.replace(self._folder / name)
        except OSError as error:
            output.note(f"the session is not kept: {self._folder}: {error.strerror}")
            with suppress(OSError):
                temporary.unlink()
        self._sweep()

    def sessions(self) -> Iterator[Session]:
        """Every session that has not ended."""
        for path in self._files():
            session = self._read(path)
            if session is not None and session.left() > 0:
                yield session

    def drop(self, profile: str | None = None) -> int:
        """Forget the sessions that depend on a profile, or all of them; how many there were."""
        dropped = 0
        for path in self._files():
            session = self._read(path)
            # Without a profile what cannot be read any more goes as well, but does not count.
            if profile is None or (session is not None and profile in session.profiles):
                with suppress(FileNotFoundError):
                    path.unlink()
                    dropped += session is not None and session.left() > 0
        return dropped

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder.is_dir() else []

    def _sweep(self) -> None:
        """Remove what has ended, and what a killed process left behind.

        What our key does not open may be a live session of the same user: a login without ``XDG_RUNTIME_DIR`` has
        another key. So it goes when every session of its age has ended.
        """
        for path in self._files():
            session = self._read(path)
            if session.left() <= 0 if session is not None else _older(path, LONGEST):
                with suppress(OSError):
                    path.unlink()
        for path in self._folder.glob(".*.tmp"):
            if _older(path, 60):
                with suppress(OSError):
                    path.unlink()

    def _read(self, path: Path) -> Session | None:
        """A file's session; None where there is none or it is not ours: a cache has no damaged state."""
        if self._key is None:
            return None
        try:
            # O_NONBLOCK: something else than a file must not hang us
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                sealed = file.read(1 << 16) or b""
            opened = _aead(self._key).decrypt(sealed[:_NONCE], sealed[_NONCE:], path.name.encode())
            return _from_json(json.loads(opened))
        except Exception as error:
            if isinstance(error, OSError | ValueError | KeyError | TypeError) or type(error).__name__ == "InvalidTag":
                return None
            raise

    @cached_property
    def _key(self) -> bytes | None:
        """The cache's key, made when there is none; None where there is no private place for it."""
        if self._off:
            return None
        try:
            runtime = self._settings.runtime_dir
            folders.make(runtime, secret=True)
            return _read_or_make_key(runtime / "session.key")
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            output.note(f"sessions are not kept: {where}{error.strerror or error}")
            return None


def _older(path: Path, seconds: float) -> bool:
    try:
        return path.stat(follow_symlinks=False).st_mtime < time.time() - seconds
    except OSError:
        return False


def _read_or_make_key(path: Path) -> bytes:
    for _ in range(3):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            _make_key(path)
            continue
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise OSError(None, f"{path} is open to others")
            key = file.read(33)
        if len(key) == 32:
            return key
        path.unlink()  # half written by a machine that went down: sessions of that key are gone with it
    raise OSError(None, f"{path} cannot be made")


def _make_key(path: Path) -> None:
    """Put a new key there, unless another process is first."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _aead(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _minimum(text: str | None) -> float | None:
    if not text:
        return None
    from vault_core.sessions.profiles import seconds_of

    return float(seconds_of("AWS_MIN_TTL", text))


def _to_json(session: Session) -> dict[str, Any]:
    credentials = session.credentials
    assert credentials.expires is not None  # noqa: S101 - checked by Cache.put
    token = credentials.session_token
    return {
        "id": credentials.access_key_id,
        "secret": credentials.secret_access_key.reveal_text(),
        "token": token.reveal_text() if token else None,
        "expires": credentials.expires.timestamp(),
        "issued": session.issued.timestamp(),
        "kind": session.kind,
        "profiles": list(session.profiles),
    }


def _from_json(fields: dict[str, Any]) -> Session:
    credentials = Credentials(
        access_key_id=fields["id"],
        secret_access_key=Secret(fields["secret"]),
        session_token=Secret(fields["token"]) if fields["token"] else None,
        expires=datetime.fromtimestamp(fields["expires"], UTC),
    )
    issued = datetime.fromtimestamp(fields["issued"], UTC)
    return Session(credentials, issued, fields["kind"], tuple(fields["profiles"]))
