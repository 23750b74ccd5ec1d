"""Texts by name in a keychain, through one class of ``keyring``, whose failures become errors for the user.

Settings that would make ``keyring`` choose or configure another class (``PYTHON_KEYRING_BACKEND``, ``keyringrc.cfg``,
entry points, priorities, ``KEYRING_PROPERTY_*``) are never read.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vault_core.api import StorageDenied, StorageError, StorageLocked, StorageUnavailable, VaultError
from vault_plugin_keychain.kinds import KINDS, Kind

_MOST_COPIES = 10
_AGAIN = "try again; if it still fails, log in to your desktop again"


class Keychain(ABC):
    """Texts by name, within one service name of a keychain.

    Every method raises only :class:`~vault_core.api.StorageError`, never an exception of a library.
    """

    @abstractmethod
    def get(self, name: str) -> str | None:
        """The text, or None if there is none."""

    @abstractmethod
    def set(self, name: str, text: str) -> None:
        """Create or replace a text. In some keychains, a reader may find neither the old nor the new text."""

    @abstractmethod
    def delete(self, name: str) -> bool:
        """Delete a text; True if it existed."""


class KeyringKeychain(Keychain):
    """A keychain through one of ``keyring``'s classes.

    :param service: the service name of ``keyring``, which separates awsv's items from those of other programs.
    :param backend: an instance of one of the supported classes.
    """

    def __init__(self, kind: Kind, service: str, backend: Any) -> None:
        self._kind = kind
        self._service = service
        self._backend = backend

    def get(self, name: str) -> str | None:
        with wrapped(self._kind, "read"):
            password = self._read(name)
        return None if password is None else str(password)

    def _read(self, name: str) -> Any:
        return self._backend.get_password(self._service, name)

    def set(self, name: str, text: str) -> None:
        with wrapped(self._kind, "write"):
            self._backend.set_password(self._service, name, text)

    def delete(self, name: str) -> bool:
        from keyring.errors import PasswordDeleteError

        # keyring deletes one of several items of the same name; another process or the user may delete it first.
        for deleted in range(_MOST_COPIES):
            if self.get(name) is None:
                return deleted > 0
            with wrapped(self._kind, "delete from"), suppress(PasswordDeleteError):
                self._backend.delete_password(self._service, name)
        raise StorageDenied(f"cannot delete the item {name} from {self._kind.title}", hint="delete it there by hand")


def isolated(kind: Kind) -> Any:
    """``keyring``'s class for a keychain, without settings from the environment.

    :raises ValueError: the kind is not supported.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind.name} is not a supported keychain")
    base = getattr(importlib.import_module(kind.module), kind.class_name)
    # keyring would set any attribute that a variable KEYRING_PROPERTY_… names; the class for macOS reads KEYCHAIN_PATH.
    return type(kind.class_name, (base,), {"set_properties_from_env": lambda _self: None, "keychain": None})


@contextmanager
def wrapped(kind: Kind, verb: str) -> Iterator[None]:
    """Turn exceptions of libraries into errors for the user, without their texts.

    :param verb: the attempted action, before the keychain's name in a message.
    """
    from keyring.errors import InitError, KeyringLocked

    try:
        yield
    except VaultError:
        raise
    except KeyringLocked as error:
        raise StorageLocked(f"{kind.title} is locked, or refused access", hint="unlock it, then try again") from error
    except InitError as error:
        raise StorageUnavailable(f"{kind.title} does not answer", hint="log in to your desktop") from error
    except (ImportError, NameError) as error:
        # keyring's modules ignore a missing library when they are imported, and fail with a NameError later.
        raise StorageUnavailable(
            f"{kind.title} needs a library that is not installed here", hint=kind.install
        ) from error
    except TimeoutError as error:
        raise StorageUnavailable(f"{kind.title} does not answer in time", hint=_AGAIN) from error
    except OSError as error:
        raise StorageUnavailable(f"lost the connection to {kind.title}: {type(error).__name__}", hint=_AGAIN) from error
    except Exception as error:
        # The text of any exception of a library may contain the secret.
        raise StorageError(f"cannot {verb} {kind.title}: {type(error).__name__}") from error
