"""The storage backend and the passphrase source ``hashicorp``: HashiCorp Vault or OpenBao.

This module only describes them; ``hvac`` is imported when one of them is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vault_core.api import (
    AtRest,
    Capability,
    ConfigError,
    Context,
    Option,
    PassphraseSource,
    PassphraseSourceSpec,
    StorageSpec,
    boolean,
    hookimpl,
)

if TYPE_CHECKING:
    from vault_plugin_hashicorp.store import Store

METHODS = ("token", "approle", "userpass", "jwt")


def _method(text: str) -> str:
    if text not in METHODS:
        raise ValueError(f"one of {', '.join(METHODS)}")
    return text


def _folder(text: str) -> str:
    from vault_plugin_hashicorp.server import folder

    return folder(text)


def _mount(text: str) -> str:
    if not (mount := _folder(text)):
        raise ValueError("empty")
    return mount


_SERVER = (
    Option(name="address", help="https://host:8200, or several of one cluster, by commas (default: VAULT_ADDR)"),
    Option(name="namespace", help="the namespace (default: VAULT_NAMESPACE)"),
    Option(name="mount", help="the KV version 2 mount (default: secret)", default="secret", parse=_mount),
    Option(name="prefix", help="the folder in the mount (default: awsv)", default="awsv", parse=_folder),
    Option(name="auth", help="token, approle, userpass or jwt (default: token)", default="token", parse=_method),
    Option(name="auth-mount", help="the mount of the login, where it is not named like the method", parse=_mount),
    Option(name="token-file", help="a file that holds the token (default: VAULT_TOKEN, then ~/.vault-token)"),
    Option(name="role-id", help="of auth approle"),
    Option(name="secret-id", help="of auth approle", secret=True),
    Option(name="secret-id-file", help="a file that holds the secret id"),
    Option(name="username", help="of auth userpass"),
    Option(name="password", help="of auth userpass (default: asked for)", secret=True),
    Option(name="role", help="of auth jwt"),
    Option(name="jwt-file", help="a file that holds the JSON web token"),
    Option(name="ca-cert", help="file of the certificate authorities of the server (default: VAULT_CACERT)"),
    Option(name="client-cert", help="file of our certificate (default: VAULT_CLIENT_CERT)"),
    Option(name="client-key", help="file of its key (default: VAULT_CLIENT_KEY)"),
    Option(
        name="skip-verify",
        help="true: take any certificate (default: VAULT_SKIP_VERIFY, else false)",
        default=False,
        parse=boolean,
    ),
)
_TOKENS = ("BAO_TOKEN", "VAULT_TOKEN")
_PASSPHRASE = (
    Option(name="path", help="the secret that holds a passphrase, in the mount; without it only kept keys are found"),
    Option(name="field", help="the field of that secret (default: passphrase)", default="passphrase"),
)


def _open_storage(context: Context) -> Store:
    from vault_plugin_hashicorp.store import open_store

    return open_store(context)


def _open_passphrase(context: Context) -> PassphraseSource:
    from vault_plugin_hashicorp.passphrase import Kept

    return Kept(context)


def _locate(context: Context) -> str:
    from vault_plugin_hashicorp.server import addresses, told

    try:
        named = addresses(context)
    except ConfigError:
        named = ()
    path = "/".join(filter(None, (context.options["mount"], context.options["prefix"])))
    namespace = told(context, "namespace", "NAMESPACE").strip("/")
    place = f"{path} at {named[0] if named else 'no server'}"
    return f"{place} (namespace {namespace})" if namespace else place


def _principal(context: Context) -> str:
    from vault_plugin_hashicorp.credentials import whose

    return whose(context)


def _readers(context: Context) -> str:
    return (
        f"The server keeps what is in {_locate(context)} encrypted; its operators can read it, and so can everybody"
        " whose policy allows it: own items should be yours alone, common ones are your team's."
    )


def _unavailable(context: Context) -> str | None:
    from vault_plugin_hashicorp.server import addresses

    try:
        return None if addresses(context) else "no server is named: neither the option address nor VAULT_ADDR is set"
    except ConfigError as error:
        return error.message


@hookimpl
def vault_storage_backends() -> Sequence[StorageSpec]:
    return (
        StorageSpec(
            name="hashicorp",
            summary="HashiCorp Vault or OpenBao (KV version 2), for one person or a team",
            open=_open_storage,
            secret_variables=_TOKENS,
            at_rest=AtRest.SERVICE,
            capabilities=Capability.CREATE_ONLY | Capability.CAS | Capability.REMOTE | Capability.SHARED,
            options=_SERVER,
            locate=_locate,
            principal=_principal,
            readers=_readers,
            unavailable=_unavailable,
        ),
    )


@hookimpl
def vault_passphrase_sources() -> Sequence[PassphraseSourceSpec]:
    return (
        PassphraseSourceSpec(
            name="hashicorp",
            summary="a secret of HashiCorp Vault or OpenBao; keeps keys, too",
            open=_open_passphrase,
            secret_variables=_TOKENS,
            options=(*_SERVER, *_PASSPHRASE),
            writable=True,
            remote=True,
            unavailable=_unavailable,
        ),
    )
