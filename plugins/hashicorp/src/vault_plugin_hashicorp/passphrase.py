"""The passphrase source ``hashicorp``: an existing secret that the settings name, and keys that it keeps for slots.

A key is kept among the user's own items, as ``slot/<digest of the key_id>``. The secret that the settings name is used
for every lock without such a key.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager

from vault_core import api
from vault_plugin_hashicorp.server import addresses
from vault_plugin_hashicorp.store import Store, open_store


class HashicorpSource(api.PassphraseSource):
    """The passphrase source. It connects for each request, as there are few, and revokes its token afterwards."""

    def __init__(self, context: api.Context) -> None:
        self._context = context

    def get(self, request: api.PassphraseRequest) -> api.Secret | None:
        if not addresses(self._context):
            return None
        with self._opened() as store:
            item = store.get(_key(request))
            return _decoded(item.value) if item is not None else self._named(store)

    def put(self, request: api.PassphraseRequest, secret: api.Secret) -> None:
        with self._opened() as store:
            store.put(_key(request), api.Secret(base64.b64encode(secret.reveal())))

    def forget(self, request: api.PassphraseRequest) -> bool:
        with self._opened() as store:
            return store.delete(_key(request))

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        """:raises SourceUnavailable: the server cannot be used, or refuses the login or the request."""
        try:
            with closing(open_store(self._context, may_ask=False)) as store:
                yield store
        except api.StorageError as error:
            raise api.SourceUnavailable(error.message, hint=error.hint) from None

    def _named(self, store: Store) -> api.Secret | None:
        """The secret that the settings name."""
        path, field = self._context.options["path"], self._context.options["field"]
        if not path:
            return None
        where = f"field {field!r} of {self._context.options['mount']}/{path}"
        value = store.field(path.strip("/"), field)
        if value is None:
            raise api.PassphraseError(
                f"there is no {where}", hint="check AWS_VAULT_HASHICORP_PATH and AWS_VAULT_HASHICORP_FIELD"
            )
        if not value:
            raise api.PassphraseError(f"{where} is empty")
        return value


def _decoded(value: api.Secret) -> api.Secret:
    try:
        return api.Secret(base64.b64decode(value.reveal(), validate=True))
    except ValueError:
        raise api.PassphraseError("the key of this slot was not written by awsv", hint="add the slot again") from None


def _key(request: api.PassphraseRequest) -> str:
    return f"slot/{hashlib.sha256(request.key_id.encode()).hexdigest()}"
