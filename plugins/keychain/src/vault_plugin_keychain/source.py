"""The passphrase source ``keychain``: a keychain that keeps keys of slots.

A secret may be any bytes, so it is stored as base64, under the slot's ``key_id``. The source never prompts; the desktop
may show a dialog to unlock its keychain. If that is not possible, the next source is tried.
"""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager

from vault_core import api
from vault_plugin_keychain.keychains import Keychain
from vault_plugin_keychain.kinds import Kind
from vault_plugin_keychain.opening import open_keychain


class KeychainSource(api.PassphraseSource):
    """Keys of slots in the keychain of a kind."""

    def __init__(self, ctx: api.Context, kind: Kind) -> None:
        self._ctx = ctx
        self._kind = kind
        self._opened: Keychain | None = None

    def get(self, request: api.PassphraseRequest) -> api.Secret | None:
        with _as_source():
            text = self._keychain().get(request.key_id)
        if text is None:
            return None
        try:
            return api.Secret(base64.b64decode(text, validate=True))
        except (ValueError, binascii.Error):
            raise api.PassphraseError(
                f"the key for store {request.store!r} in {self._kind.title} was not written by awsv",
                hint="add a new slot ('awsv slot add --source keychain') and remove the old one",
            ) from None

    def put(self, request: api.PassphraseRequest, secret: api.Secret) -> None:
        with _as_source():
            self._keychain().set(request.key_id, base64.b64encode(secret.reveal()).decode("ascii"))
        self._ctx.notify(self._kind.readers)

    def forget(self, request: api.PassphraseRequest) -> bool:
        with _as_source():
            return self._keychain().delete(request.key_id)

    def _keychain(self) -> Keychain:
        if self._opened is None:
            # A separate service name: the items of a store are listed by its service name.
            self._opened = open_keychain(self._ctx, self._kind, f"{self._ctx.options['name']} keys")
        return self._opened


@contextmanager
def _as_source() -> Iterator[None]:
    try:
        yield
    except api.StorageError as error:
        raise api.SourceUnavailable(error.message, hint=error.hint) from error
