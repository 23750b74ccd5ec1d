"""Around each change of a stored key: afterwards no session of the old key is served, whatever happened."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from vault_core.command_line import command_line
from vault_core.errors import Cancelled, StorageError
from vault_core.sessions.cache import Cache
from vault_core.sessions.generations import WHOLE, Generations
from vault_core.storage.vault import Store, Vault

_MAY_BE_SERVED = "sessions of the old key may still be served: run 'awsv clear'"


class KeyChanges:
    """Drops the sessions of stored keys that change.

    :param folder: the state folder, for messages.
    """

    def __init__(self, cache: Cache, generations: Generations, folder: Path) -> None:
        self._cache = cache
        self._generations = generations
        self._folder = folder

    @contextmanager
    def changing_key(self, vault: Vault, name: str) -> Iterator[list[int]]:
        """Around a change of one stored key.

        :returns: a list that holds the number of live sessions that were dropped, once the change is done.
        :raises StorageError: the state folder cannot be written; nothing was changed.
        :raises Cancelled: interrupted during the change.
        """
        dropped: list[int] = []
        with self._renewed(vault, name, lambda: dropped.append(self._cache.drop(name).sessions)):
            yield dropped

    @contextmanager
    def changing_keys(self) -> Iterator[Callable[[Vault, str], AbstractContextManager[None]]]:
        """Around the changes of many stored keys, whose sessions are dropped together at the end. From the change of
        its key on, no session is served meanwhile.

        :returns: makes the context manager for the change of one of them; it raises as :meth:`changing_key`.
        """
        changed: list[str] = []
        try:
            yield lambda vault, name: self._renewed(vault, name, lambda: changed.append(name))
        finally:
            if changed:
                self._cache.drop(changed)

    @contextmanager
    def _renewed(self, vault: Vault, name: str, changed: Callable[[], None]) -> Iterator[None]:
        """The generation is renewed before the change, because the process may end after the change and before the
        second renewal; and after it, because a session may have been made from the old key meanwhile.

        :param changed: called after the change, however it ended.
        """
        self._renew(vault.store, name, "nothing was changed")
        try:
            yield
        except KeyboardInterrupt:
            raise Cancelled(
                f"interrupted while the key of profile {name!r} was changed: it is the old one or the new one",
                hint=f"'{command_line('awsv explain', name)}' shows which",
            ) from None
        finally:
            changed()
            self._renew(vault.store, name, _MAY_BE_SERVED)

    @contextmanager
    def changing_store(self, store: Store) -> Iterator[None]:
        """Around a change of the set of keys that a store holds. All sessions are dropped, as the profiles whose key
        was in the store are unknown.

        :raises StorageError: the state folder cannot be written; nothing was changed.
        """
        self._renew(store, WHOLE, "nothing was changed")
        try:
            yield
        finally:
            self._cache.drop()
            self._renew(store, WHOLE, _MAY_BE_SERVED)

    def _renew(self, store: Store, name: str, consequence: str) -> None:
        try:
            self._generations.advance(store.identity, name)
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written ({error.strerror or error}); {consequence}",
                hint=f"check its permissions: ls -ld {shlex.quote(str(self._folder))}",
            ) from None
