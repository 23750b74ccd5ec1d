"""The passphrase source ``hashicorp``: a secret that somebody made, and keys that it keeps for locks.

What it keeps lies among the person's own items, as ``slot/<digest of the lock's name>``. A secret that the settings
name is for every lock for which nothing is kept.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager

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
from vault_plugin_hashicorp.store import Store, open_store


class Kept(PassphraseSource):
    """Answers for a lock; connects for each answer, as there are few, and leaves no login behind."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, request: PassphraseRequest) -> Secret | None:
        if not addresses(self._context):
            return None
        with self._opened() as store:
            item = store.get(_key(request))
            return _unpacked(item.value) if item is not None else self._named(store)

    def put(self, request: PassphraseRequest, secret: Secret) -> None:
        with self._opened() as store:
            store.put(_key(request), Secret(base64.b64encode(secret.reveal())))

    def forget(self, request: PassphraseRequest) -> bool:
        with self._opened() as store:
            return store.delete(_key(request))

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        """:raises SourceUnavailable: the server, the login or the policy."""
        try:
            with closing(open_store(self._context, may_ask=False)) as store:
                yield store
        except StorageError as error:
            raise SourceUnavailable(error.message, hint=error.hint) from None

    def _named(self, store: Store) -> Secret | None:
        """The secret that the settings name."""
        path, field = self._context.options["path"], self._context.options["field"]
        if not path:
            return None
        where = f"field {field!r} of {self._context.options['mount']}/{path}"
        value = store.field(path.strip("/"), field)
        if value is None:
            raise PassphraseError(
                f"there is no {where}", hint="AWS_VAULT_HASHICORP_PATH and AWS_VAULT_HASHICORP_FIELD name it"
            )
        if not value:
            raise PassphraseError(f"{where} is empty")
        return value


def _unpacked(kept: Secret) -> Secret:
    try:
        return Secret(base64.b64decode(kept.reveal(), validate=True))
    except ValueError:
        raise PassphraseError("what is kept for this lock was not written by awsv", hint="add the slot again") from None


def _key(request: PassphraseRequest) -> str:
    return f"slot/{hashlib.sha256(request.key_id.encode()).hexdigest()}"
