"""The passphrase source ``hashicorp``: a secret that somebody made, and keys that it keeps for locks.

What it keeps lies among the person's own items, as ``slot/<digest of the lock's name>``. A secret that the settings
name is for every lock for which nothing is kept.
"""

from __future__ import annotations

import base64
import hashlib

from vault_core.api import (
    Context,
    PassphraseError,
    PassphraseRequest,
    PassphraseSource,
    Secret,
    SourceUnavailable,
    StorageError,
)
from vault_plugin_hashicorp.server import addresses
from vault_plugin_hashicorp.service import Store, open_store


class Kept(PassphraseSource):
    """Answers for a lock; connects at the first need."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store: Store | None = None

    def get(self, request: PassphraseRequest) -> Secret | None:
        if not addresses(self._context):
            return None
        try:
            store = self._opened()
            item = store.get(_key(request))
            return Secret(base64.b64decode(item.value.reveal())) if item is not None else self._named(store)
        except StorageError as error:
            raise _unavailable(error) from None

    def put(self, request: PassphraseRequest, secret: Secret) -> None:
        try:
            self._opened().put(_key(request), Secret(base64.b64encode(secret.reveal())))
        except StorageError as error:
            raise _unavailable(error) from None

    def forget(self, request: PassphraseRequest) -> bool:
        try:
            return self._opened().delete(_key(request))
        except StorageError as error:
            raise _unavailable(error) from None

    def _opened(self) -> Store:
        if self._store is None:
            self._store = open_store(self._context)
        return self._store

    def _named(self, store: Store) -> Secret | None:
        """The secret that the settings name."""
        path, field = self._context.options["path"], self._context.options["field"]
        if not path:
            return None
        value = store.field(path.strip("/"), field)
        if value is None:
            raise PassphraseError(
                f"there is no field {field!r} in {self._context.options['mount']}/{path}",
                hint="name the secret with AWS_VAULT_HASHICORP_PATH and the field with AWS_VAULT_HASHICORP_FIELD",
            )
        if not value:
            raise PassphraseError(f"field {field!r} of {self._context.options['mount']}/{path} is empty")
        return value


def _key(request: PassphraseRequest) -> str:
    return f"slot/{hashlib.sha256(request.key_id.encode()).hexdigest()}"


def _unavailable(error: StorageError) -> SourceUnavailable:
    return SourceUnavailable(error.message, hint=error.hint)
