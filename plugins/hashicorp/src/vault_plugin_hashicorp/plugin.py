"""The specs of the storage backend and the passphrase source ``hashicorp``, for HashiCorp Vault or OpenBao.

``hvac`` is imported when one of them is opened.
"""

from collections.abc import Sequence

from vault_core import api
from vault_plugin_hashicorp.credentials import whose
from vault_plugin_hashicorp.server import addresses, folder, setting

METHODS = ("token", "approle", "userpass", "jwt")


def _method(text: str) -> str:
    if text not in METHODS:
        raise ValueError(f"not one of {', '.join(METHODS)}")
    return text


def _mount(text: str) -> str:
    if not (mount := folder(text)):
        raise ValueError("it is empty")
    return mount


_SERVER = (
    api.Option(
        name="address", help="https://host:8200, or several of a cluster, comma-separated (default: VAULT_ADDR)"
    ),
    api.Option(name="namespace", help="the namespace (default: VAULT_NAMESPACE)"),
    api.Option(name="mount", help="the KV version 2 mount (default: secret)", default="secret", parse=_mount),
    api.Option(name="prefix", help="the folder in the mount (default: awsv)", default="awsv", parse=folder),
    api.Option(name="auth", help="token, approle, userpass or jwt (default: token)", default="token", parse=_method),
    api.Option(name="auth-mount", help="the mount of the login (default: the name of the method)", parse=_mount),
    api.Option(name="token-file", help="a file that contains the token (default: VAULT_TOKEN, then ~/.vault-token)"),
    api.Option(name="role-id", help="the role ID, for approle"),
    api.Option(name="secret-id", help="the secret ID, for approle", secret=True),
    api.Option(name="secret-id-file", help="a file that contains the secret ID, for approle"),
    api.Option(name="username", help="the user name, for userpass"),
    api.Option(name="password", help="the password, for userpass (default: ask for it)", secret=True),
    api.Option(name="role", help="the role, for jwt"),
    api.Option(name="jwt-file", help="a file that contains the JSON web token, for jwt"),
    api.Option(name="ca-cert", help="a file of certificate authorities for the server (default: VAULT_CACERT)"),
    api.Option(name="client-cert", help="a file with the client certificate (default: VAULT_CLIENT_CERT)"),
    api.Option(name="client-key", help="a file with the key of the client certificate (default: VAULT_CLIENT_KEY)"),
    api.Option(
        name="skip-verify",
        help="true: accept any certificate (default: VAULT_SKIP_VERIFY, else false)",
        default=False,
        parse=api.boolean,
    ),
)
_TOKENS = ("BAO_TOKEN", "VAULT_TOKEN")
_PASSPHRASE = (
    api.Option(name="path", help="the path of a secret with a passphrase; if unset, only keys of slots are used"),
    api.Option(name="field", help="the field of that secret (default: passphrase)", default="passphrase"),
)


def _open_storage(context: api.Context) -> api.StorageBackend:
    from vault_plugin_hashicorp.store import open_store

    return open_store(context)


def _open_passphrase(context: api.Context) -> api.PassphraseSource:
    from vault_plugin_hashicorp.passphrase import HashicorpSource

    return HashicorpSource(context)


def _locate(context: api.Context) -> str:
    try:
        named = addresses(context)
    except api.ConfigError:
        named = ()
    path = "/".join(filter(None, (context.options["mount"], context.options["prefix"])))
    namespace = setting(context, "namespace", "NAMESPACE").strip("/")
    place = f"{path} at {named[0] if named else 'no server'}"
    return f"{place} (namespace {namespace})" if namespace else place


def _readers(context: api.Context) -> str:
    return (
        f"the server encrypts the items in {_locate(context)}; its operators can read them, and so can everyone whose"
        " policy allows it: usually only you for your own items, and your team for shared ones"
    )


def _unavailable(context: api.Context) -> str | None:
    try:
        return None if addresses(context) else "no server is set: neither the option address nor VAULT_ADDR"
    except api.ConfigError as error:
        return error.message


@api.hookimpl
def vault_storage_backends() -> Sequence[api.StorageSpec]:
    return (
        api.StorageSpec(
            name="hashicorp",
            summary="HashiCorp Vault or OpenBao (KV version 2), for one person or a team",
            open=_open_storage,
            secret_variables=_TOKENS,
            at_rest=api.AtRest.SERVICE,
            capabilities=api.Capability.CREATE_ONLY
            | api.Capability.CAS
            | api.Capability.REMOTE
            | api.Capability.SHARED,
            options=_SERVER,
            locate=_locate,
            principal=whose,
            readers=_readers,
            unavailable=_unavailable,
        ),
    )


@api.hookimpl
def vault_passphrase_sources() -> Sequence[api.PassphraseSourceSpec]:
    return (
        api.PassphraseSourceSpec(
            name="hashicorp",
            summary="from a secret in HashiCorp Vault or OpenBao, which can also keep keys of slots",
            open=_open_passphrase,
            secret_variables=_TOKENS,
            options=(*_SERVER, *_PASSPHRASE),
            writable=True,
            remote=True,
            unavailable=_unavailable,
        ),
    )
