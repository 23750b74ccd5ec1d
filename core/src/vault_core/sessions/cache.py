"""Live sessions of this user on this machine: sealed files in the state folder, one per step.

They are a cache: never in a storage backend, safe to delete, and lost at a reboot if the runtime folder is. Their key
is a file of mode 0600 in the private runtime folder, so programs of this user can read live sessions during the login,
and never stored keys. Without such a folder the key is in the state folder, beside the sessions, and outlives the login
(ADR 19). File format: ``nonce (12) ‖ AES-256-GCM(key, JSON, the file's name as associated data)``; the name is
HMAC-SHA256(key, cache key), so it reveals nothing without the key. The file's time of modification is the end of the
session, so what has ended is found without decrypting the others.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from vault_core import files, output
from vault_core.api import Credentials
from vault_core.errors import ConfigError
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.settings import Settings

SERVED_UNTIL = 16 * 60
"""Seconds before its end up to which a session is served: the AWS SDKs ask again at 15 minutes."""

LONGEST = 36 * 3600
"""The longest duration of a session, in seconds: the limit of GetSessionToken; that of AssumeRole is lower."""

SKEW = 15 * 60
"""Seconds by which the clock of a session issuer may be ahead of ours: AWS refuses requests beyond that."""

_SUFFIX = ".session"
_NONCE = 12
_LARGEST = 1 << 16
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A session in the cache."""

    credentials: Credentials
    issued: datetime
    kind: str
    """The name in tables: ``sts.GetSessionToken``."""
    profiles: tuple[str, ...]
    """The profiles that it depends on, that of the stored key first and its own last."""

    def left(self) -> float:
        """Seconds until it ends."""
        assert self.credentials.expires is not None  # noqa: S101 - only sessions that end are kept, see Cache.put
        return self.credentials.expires.timestamp() - time.time()

    def served_until(self, minimum: float | None) -> float:
        """Until when it is handed out, in seconds since 1970: enough of it must remain.

        :param minimum: the seconds that must remain; None: the default.
        """
        assert self.credentials.expires is not None  # noqa: S101 - as above
        expires = self.credentials.expires.timestamp()
        if minimum is None:
            minimum = min(SERVED_UNTIL, (expires - self.issued.timestamp()) / 2)
        return expires - max(minimum, 0)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What :meth:`Cache.drop` did."""

    sessions: int
    """Live ones that are gone."""
    unreadable: int
    """Files that the key of this login does not open, so that their profiles are unknown."""


class Cache:
    """The sessions of this user.

    :param notice: receives one line for the user.
    :raises ConfigError: ``session_cache`` is not a known value, or ``AWS_MIN_TTL`` not a duration.
    """

    def __init__(self, settings: Settings, notice: Callable[[str], None] = output.notice) -> None:
        mode = settings.value("session_cache")
        if mode.text not in ("runtime", "off"):
            raise ConfigError(f"{mode.origin}: session_cache is 'runtime' or 'off', not {mode.text!r}")
        self._off = mode.text == "off"
        self._settings = settings
        self._notice = notice
        self._folder = settings.state_dir / "sessions"
        self._minimum = _minimum(settings.environ.get("AWS_MIN_TTL"))
        self._next_sweep = 0.0

    def name(self, cache_key: str) -> str:
        """The file name of a step: an HMAC, so it reveals nothing without the key."""
        import hashlib
        import hmac

        return hmac.new(self._key or b"", cache_key.encode(), hashlib.sha256).hexdigest()

    def get(self, cache_key: str, *, made_since: datetime | None = None) -> Session | None:
        """Return the session of a step, if it does not end soon.

        :param made_since: a session that was made after this moment is returned until its end.
        """
        session = self._read(self._folder / (self.name(cache_key) + _SUFFIX)) if self._key else None
        if session is None:
            return None
        new = made_since is not None and session.issued >= made_since and session.left() > 0
        return session if new or time.time() < self.served_until(session) else None

    def served_until(self, session: Session) -> float:
        """See :meth:`Session.served_until`; ``AWS_MIN_TTL`` is the minimum."""
        return session.served_until(self._minimum)

    def put(self, cache_key: str, session: Session, *, seconds: float = LONGEST) -> None:
        """Keep a session. A session that cannot be kept is not an error: it is made again.

        :param seconds: the requested duration; the session is not kept longer, whatever its own end.
        """
        if self._key is None or session.credentials.expires is None:
            return
        name = self.name(cache_key) + _SUFFIX
        latest = session.issued + timedelta(seconds=min(seconds, LONGEST) + SKEW)
        if session.credentials.expires > latest:
            session = replace(session, credentials=replace(session.credentials, expires=latest))
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._aead.encrypt(nonce, json.dumps(_to_json(session)).encode(), name.encode())
        ends = session.left() + time.time()
        try:
            files.replace(self._folder / name, sealed, modified=ends)
        except OSError as error:
            self._notice(f"the session is not kept: {self._folder}: {error.strerror or error}")
        self._sweep(ends)

    def sessions(self) -> Iterator[Session]:
        """Every session that has not ended."""
        for _, session in self._each():
            if session is not None and session.left() > 0:
                yield session

    def drop(self, profiles: str | Collection[str] | None = None, cache_keys: Collection[str] = ()) -> Dropped:
        """Delete the sessions that depend on a profile or on one of several, or all of them.

        :param cache_keys: the sessions of these steps, too, of whichever profile.
        """
        from vault_core.fast.leave import forget_all

        forget_all(self._settings)
        names = {self.name(cache_key) + _SUFFIX for cache_key in cache_keys}
        gone = {profiles} if isinstance(profiles, str) else set(profiles or ())
        dropped = unreadable = 0
        for path, session in self._each():
            unreadable += session is None
            # Without a profile what cannot be read any more goes as well, but does not count.
            if (
                profiles is None
                or path.name in names
                or (session is not None and not gone.isdisjoint(session.profiles))
            ):
                with suppress(OSError):
                    path.unlink()
                    dropped += session is not None and session.left() > 0
        return Dropped(dropped, unreadable)

    def _each(self) -> Iterator[tuple[Path, Session | None]]:
        """Each file and its session; None if our key does not open it."""
        for path in self._paths():
            yield path, self._read(path)

    def _paths(self) -> list[Path]:
        try:
            with os.scandir(self._folder) as entries:
                names = sorted(entry.name for entry in entries if entry.name.endswith(_SUFFIX))
        except OSError:
            return []
        return [self._folder / name for name in names]

    def _sweep(self, ends: float) -> None:
        """Delete the sessions that have ended, and the temporary files of a killed process.

        Only the first call looks at the files, and after it the first one behind the end of one of them.

        :param ends: of the session that was just kept, on :func:`time.time`'s clock.
        """
        if time.time() < self._next_sweep:
            self._next_sweep = min(self._next_sweep, ends)
            return
        self._next_sweep = LONGEST + SKEW + time.time()  # for the other threads, meanwhile
        still: list[float] = [self._next_sweep]
        for path in self._paths():
            with suppress(OSError):
                over = self._over(path)
                if over > time.time():
                    still.append(over)
                else:
                    path.unlink()
        self._next_sweep = min(still)
        files.sweep_temporary(self._folder)
        from vault_core.fast.leave import forget_all

        forget_all(self._settings, older_than=LONGEST)

    def _over(self, path: Path) -> float:
        """The moment when a file can be deleted, on :func:`time.time`'s clock.

        The file's time of modification says it, and is not authenticated: a program that changes it could delete the
        file, too. A session that seems to have ended is opened nevertheless: a backup may have restored the file, or an
        earlier version of awsv written it. A file that our key does not open may be a live session of the same user: a
        login without ``XDG_RUNTIME_DIR`` has another key. So it is deleted when every session of its age has ended.

        :raises OSError: the file is gone.
        """
        modified, now = path.lstat().st_mtime, time.time()
        if now < modified <= now + LONGEST + SKEW:
            return modified
        session = self._read(path)
        return modified + LONGEST + SKEW if session is None else session.left() + now

    def _read(self, path: Path) -> Session | None:
        """The session in a file; None if there is none or our key does not open it: a cache has no damaged state."""
        if self._key is None:
            return None
        try:
            sealed = files.read_private(path, limit=_LARGEST)
            opened = self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], path.name.encode())
            return _from_json(json.loads(opened))
        except Exception as error:
            if isinstance(error, OSError | ValueError | KeyError | TypeError) or type(error).__name__ == "InvalidTag":
                return None
            raise

    @cached_property
    def _aead(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key or b"")

    @cached_property
    def _key(self) -> bytes | None:
        """The key of the cache, created if there is none; None if there is no private folder for it."""
        if self._off:
            return None
        try:
            return _key_in(self._settings.runtime_dir)
        except OSError as error:
            return self._key_that_stays(_reason(error))

    def _key_that_stays(self, reason: str) -> bytes | None:
        """The key in the state folder. It outlives the login: a notice says so once, when the key is created."""
        folder = self._folder.with_name("key")
        new = not folder.exists()
        try:
            key = _key_in(folder)
        except OSError as error:
            self._notice(f"sessions are not kept: {reason}; {_reason(error)}")
            return None
        if new:
            self._notice(
                f"the key of kept sessions is in {folder} and stays there after you log out: {reason}."
                " AWS_VAULT_SESSION_CACHE=off keeps none"
            )
        return key


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else f"{error.strerror or error}"


def _key_in(folder: Path) -> bytes:
    """The key of a folder, made where there is none.

    :raises OSError: the folder or the file is not private, or cannot be made.
    """
    files.make_folder(folder, secret=True)
    path = folder / "session.key"
    for _ in range(3):
        with suppress(FileNotFoundError):
            key = files.read_private(path, limit=_KEY_BYTES)
            if len(key) == _KEY_BYTES:
                return key
            path.unlink()  # half written by a machine that went down: sessions of that key are gone with it
        with suppress(FileExistsError):  # another process was first
            files.create(path, os.urandom(_KEY_BYTES))
    raise OSError(None, f"{path} cannot be made")


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
