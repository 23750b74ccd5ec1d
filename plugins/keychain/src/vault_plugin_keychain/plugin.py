"""The specs of the keychain as a storage backend, and as a passphrase source that keeps keys of slots.

``keychain`` is the keychain of this platform; ``secret-service`` and ``kwallet``, names that aws-vault uses, are always
that keychain. No environment variable, configuration of ``keyring`` or priority chooses another one. ``keyring`` is
imported when a keychain is opened.
"""

import re
from collections.abc import Sequence
from functools import partial

from vault_core import api
from vault_plugin_keychain.kinds import KWALLET, SECRET_SERVICE, Kind, own

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z")


def _named(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError("use 1 to 64 letters, digits, spaces, '.', '_' and '-', with a letter or digit first")
    return text


_NAME_OPTION = api.Option(
    name="name",
    help="the name of awsv's items in the keychain; each name is a separate store (default: awsv)",
    default="awsv",
    parse=_named,
)
_COLLECTION_OPTION = api.Option(
    name="collection-name",
    help="the label of a collection of the Secret Service (default: the default collection, unlocked at login)",
)


def _options(kind: Kind) -> tuple[api.Option, ...]:
    return (_NAME_OPTION, _COLLECTION_OPTION) if kind is SECRET_SERVICE else (_NAME_OPTION,)


def _locate(kind: Kind, ctx: api.Context) -> str:
    collection = ctx.options.get("collection-name")
    where = f"{kind.title} (collection {collection})" if collection else kind.title
    return f"{where}, under {ctx.options['name']!r}"


def _open(kind: Kind, ctx: api.Context) -> api.StorageBackend:
    from vault_plugin_keychain.storage import KeychainStore

    return KeychainStore(ctx, kind)


def _unavailable(kind: Kind, ctx: api.Context) -> str | None:
    from vault_plugin_keychain.opening import why_unavailable

    return why_unavailable(ctx, kind)


def _open_source(ctx: api.Context) -> api.PassphraseSource:
    from vault_plugin_keychain.source import KeychainSource

    return KeychainSource(ctx, own())


def _spec(name: str, kind: Kind, summary: str) -> api.StorageSpec:
    return api.StorageSpec(
        name=name,
        summary=summary,
        open=partial(_open, kind),
        at_rest=api.AtRest.SERVICE,
        capabilities=api.Capability.CREATE_ONLY | api.Capability.CAS,
        options=_options(kind),
        locate=partial(_locate, kind),
        readers=lambda _ctx: kind.readers,
        unavailable=partial(_unavailable, kind),
    )


@api.hookimpl
def vault_storage_backends() -> Sequence[api.StorageSpec]:
    named = (SECRET_SERVICE, KWALLET)
    return (
        _spec("keychain", own(), "the keychain of this system, usually unlocked while you are logged in"),
        *(_spec(kind.name, kind, f"{kind.title}, never another keychain") for kind in named),
    )


@api.hookimpl
def vault_passphrase_sources() -> Sequence[api.PassphraseSourceSpec]:
    return (
        api.PassphraseSourceSpec(
            name="keychain",
            summary="from the keychain of this system, which keeps keys of slots (awsv slot add --source keychain)",
            open=_open_source,
            options=_options(own()),
            writable=True,
            unavailable=partial(_unavailable, own()),
        ),
    )
