"""One keychain of the four, as names and texts: chosen by its class, and each failure as an error for people.

``keyring`` is asked for that one class. What would have it choose another one, or change the one chosen
(``PYTHON_KEYRING_BACKEND``, ``keyringrc.cfg``, entry points, priorities, ``KEYRING_PROPERTY_*``), is never looked at.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vault_core.api import StorageDenied, StorageError, StorageLocked, StorageUnavailable, VaultError
from vault_plugin_keychain.kinds import KINDS, Kind

_MOST_COPIES = 10
_AGAIN = "repeat; if it stays, log in to your desktop again"


class Keychain(ABC):
    """Texts by name, within one service name of a keychain.

    Every method raises :class:`~vault_core.api.StorageError`, and nothing of a vendor's.
    """

    @abstractmethod
    def get(self, name: str) -> str | None:
        """The text, or None if there is none."""

    @abstractmethod
    def set(self, name: str, text: str) -> None:
        """Create or replace. Whether a reader may see neither depends on the keychain."""

    @abstractmethod
    def delete(self, name: str) -> bool:
        """Delete; True if it was there."""


class KeyringKeychain(Keychain):
    """A keychain through one of ``keyring``'s classes.

    :param service: what ``keyring`` calls the service name; separates our items from those of others.
    :param backend: an instance of one of the allowed classes.
    """

    def __init__(self, kind: Kind, service: str, backend: Any) -> None:
        self._kind = kind
        self._service = service
        self._backend = backend

    def get(self, name: str) -> str | None:
        return self._get(name)

    def _get(self, name: str, passing: tuple[type[Exception], ...] = ()) -> str | None:
        with wrapped(self._kind, "read", passing):
            found = self._backend.get_password(self._service, name)
        return None if found is None else str(found)

    def set(self, name: str, text: str) -> None:
        with wrapped(self._kind, "write"):
            self._backend.set_password(self._service, name, text)

    def delete(self, name: str) -> bool:
        from keyring.errors import PasswordDeleteError

        # Of two items of one name, keyring deletes one at a time; and who deletes it by hand may be faster.
        for deleted in range(_MOST_COPIES):
            if self.get(name) is None:
                return deleted > 0
            with wrapped(self._kind, "delete from"), suppress(PasswordDeleteError):
                self._backend.delete_password(self._service, name)
        raise StorageDenied(f"{self._kind.title} does not delete the item {name}", hint="delete it there by hand")


def isolated(kind: Kind) -> Any:
    """``keyring``'s class for a keychain, which takes no settings from the environment.

    :raises ValueError: not one of the four.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind.name} is no keychain")
    found = getattr(importlib.import_module(kind.module), kind.class_name)
    # keyring sets any attribute that a variable KEYRING_PROPERTY_… names, and macOS's takes KEYCHAIN_PATH.
    return type(kind.class_name, (found,), {"set_properties_from_env": lambda _self: None, "keychain": None})


@contextmanager
def wrapped(kind: Kind, verb: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Around every call of a vendor's: what it raises becomes an error for people, without its text.

    :param verb: what was tried, before the keychain's name.
    :param passing: what is let through, for a caller that knows better.
    """
    from keyring.errors import InitError, KeyringLocked

    try:
        yield
    except VaultError:
        raise
    except passing:
        raise
    except KeyringLocked as error:
        raise StorageLocked(f"{kind.title} is locked, or refused us", hint="unlock it, then repeat") from error
    except InitError as error:
        raise StorageUnavailable(f"{kind.title} does not answer", hint="log in to your desktop") from error
    except (ImportError, NameError) as error:
        # keyring's modules swallow a missing library when they are imported, and fail on its name later.
        raise StorageUnavailable(
            f"{kind.title} needs a library that is not installed here", hint=kind.install
        ) from error
    except TimeoutError as error:
        raise StorageUnavailable(f"{kind.title} does not answer in time", hint=_AGAIN) from error
    except OSError as error:
        raise StorageUnavailable(f"{kind.title} went away: {type(error).__name__}", hint=_AGAIN) from error
    except Exception as error:
        # Whatever class it is: a message of a vendor's may hold what was to be kept.
        raise StorageError(f"cannot {verb} {kind.title}: {type(error).__name__}") from error
