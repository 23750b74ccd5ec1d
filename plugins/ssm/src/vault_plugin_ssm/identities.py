"""The keys of one of the four identities, each from one place only."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vault_botocore.session import config_file
from vault_core.api import ConfigError, Context, Credentials, PassphraseError, Secret, SourceUnavailable, is_loopback
from vault_plugin_ssm.choices import Identity

_OF_A_PROFILE = frozenset(
    (
        "assume-role",
        "assume-role-with-web-identity",
        "sso",
        "shared-credentials-file",
        "login",
        "custom-process",
        "config-file",
    )
)
"""Botocore's providers that use a profile alone; the others would go on to other keys of the machine."""
_IMDS_HOSTS = ("169.254.169.254", "fd00:ec2::254")
"""Where EC2 machines find the metadata service (EC2 user guide)."""
_IMDS_SECONDS = 1.0
_SETTING = "AWS_VAULT_SSM_CREDENTIALS"
_ASKING = "AWS_VAULT_SSM_ASKING"
"""Set for the programs that give keys; not a setting for users."""
_PASSPHRASE = re.compile(r"AWS_VAULT_.*PASSPHRASE(_FILE|_COMMAND)?")

Profiles = Mapping[str, Mapping[str, Any]]
"""Botocore's view of the config files: profile to its keys."""


def refuse_loop(context: Context, identity: Identity, parameter: str) -> None:
    """Find a loop before the first question and the first request.

    :param parameter: for the message.
    :raises ConfigError: awsv would need the keys of this profile, and the profile would run awsv.
    """
    line = context.find_recursion(identity.profile) if identity.profile else None
    why = f"it would run awsv again: {line}" if line else None
    if _ASKING in context.environ:
        why = "the program that gives its keys runs awsv again"
    if why is not None:
        raise ConfigError(
            f"{identity} cannot be used for parameter {parameter}: {why}",
            hint=f"name an identity outside the vault in {_SETTING}",
        )


def keys_of(session: Any, identity: Identity, context: Context, region: str) -> Credentials:
    """The keys of an identity.

    :param session: of :func:`~vault_botocore.session.session`, for the same identity.
    :raises PassphraseError: the identity has no keys.
    :raises ConfigError: the profile does not exist, or needs an MFA code.
    :raises botocore.exceptions.BotoCoreError: the keys cannot be obtained; ``ClientError``, too.
    """
    environ = context.environ
    match identity.kind:
        case "environment":
            return _from_variables(environ)
        case "imds":
            found = _machine(session, environ).load()
        case "web-identity":
            return _from_web_identity(session, environ, region)
        case _:
            found = _from_profile(session, identity.profile, context, region)
    if found is None:
        raise PassphraseError(f"{identity} has no keys", hint=f"check {_SETTING}")
    frozen = found.get_frozen_credentials()
    return _credentials(frozen.access_key, frozen.secret_key, frozen.token)


def _credentials(access_key_id: str, secret: str, token: str | None) -> Credentials:
    return Credentials(
        access_key_id=access_key_id,
        secret_access_key=Secret(secret),
        session_token=Secret(token) if token else None,
    )


def _needed(environ: Mapping[str, str], identity: str, *names: str) -> list[str]:
    """The values of the variables that an identity consists of."""
    if missing := [name for name in names if not environ.get(name)]:
        raise PassphraseError(
            f"{_SETTING} names {identity}, and {' and '.join(missing)} is not set",
            hint="set it, or name another identity",
        )
    return [environ[name] for name in names]


def _from_variables(environ: Mapping[str, str]) -> Credentials:
    key_id, secret = _needed(environ, "the environment", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return _credentials(key_id, secret, environ.get("AWS_SESSION_TOKEN"))


def _machine(session: Any, environ: Mapping[str, str]) -> Any:
    """Botocore's provider of the instance's role."""
    from botocore.credentials import InstanceMetadataProvider
    from botocore.httpsession import URLLib3Session
    from botocore.utils import InstanceMetadataFetcher

    endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    host = urlsplit(endpoint).hostname if endpoint else None
    if endpoint and not (host in _IMDS_HOSTS or is_loopback(host or "")):
        raise ConfigError(f"{endpoint} is not a metadata service", hint="correct AWS_EC2_METADATA_SERVICE_ENDPOINT")
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
    fetcher = InstanceMetadataFetcher(
        timeout=_IMDS_SECONDS,
        num_attempts=1,
        env=dict(environ),
        user_agent=session.user_agent(),
        config={"ec2_metadata_service_endpoint": endpoint, "ec2_metadata_service_endpoint_mode": mode},
    )
    # Through a proxy it would be another machine's role, and the proxy would see the keys.
    fetcher._session = URLLib3Session(timeout=_IMDS_SECONDS)
    return InstanceMetadataProvider(iam_role_fetcher=fetcher)


def _from_web_identity(session: Any, environ: Mapping[str, str], region: str) -> Credentials:
    from botocore import UNSIGNED
    from botocore.config import Config

    file, role = _needed(environ, "the web identity", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise PassphraseError(f"the web identity's token {file} cannot be read: {reason}") from None
    # Unsigned, so the session does not look for keys to sign with.
    with closing(session.create_client("sts", region_name=region, config=Config(signature_version=UNSIGNED))) as client:
        answer = client.assume_role_with_web_identity(
            RoleArn=role,
            RoleSessionName=environ.get("AWS_ROLE_SESSION_NAME") or "awsv-ssm",
            WebIdentityToken=token,
        )["Credentials"]
    return _credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])


def _from_profile(session: Any, profile: str, context: Context, region: str) -> Any:
    from botocore.credentials import CredentialResolver

    profiles: Profiles = session.full_config["profiles"]
    if profile not in profiles:
        raise ConfigError(f"no profile {profile!r} in {config_file(context.environ)}", hint=f"correct {_SETTING}")
    _refuse_mfa(profiles, profile)
    return CredentialResolver(_providers(session, profile, context, region)).load_credentials()


def _providers(session: Any, profile: str, context: Context, region: str) -> list[Any]:
    """Botocore's providers for a profile, in its order; ``credential_source`` and programs see only the context."""
    from botocore import credentials

    environ = context.environ

    def client(service: str, **arguments: Any) -> Any:
        return session.create_client(service, **{"region_name": region, **arguments})

    class Profiles(credentials.ProfileProviderBuilder):  # type: ignore[misc]  # botocore has no types
        def providers(self, profile_name: str, disable_env_vars: bool = True) -> list[Any]:
            found = super().providers(profile_name, disable_env_vars)
            return [
                _program(session, profile_name, context) if one.METHOD == "custom-process" else one
                for one in found
                if one.METHOD in _OF_A_PROFILE
            ]

    cache: dict[str, Any] = {}
    builder = Profiles(session, cache=cache, region_name=region)
    sources = [credentials.EnvProvider(environ), credentials.ContainerProvider(environ), _machine(session, environ)]
    role = credentials.AssumeRoleProvider(
        load_config=lambda: session.full_config,
        client_creator=client,
        cache=cache,
        profile_name=profile,
        credential_sourcer=credentials.CanonicalNameCredentialSourcer(sources),
        profile_provider_builder=builder,
    )
    return [role, *builder.providers(profile)]


def _program(session: Any, profile: str, context: Context) -> Any:
    """Botocore's provider of keys that another program gives.

    The program gets no secret and no source of a passphrase. A variable says that it gives keys, because it can outlive
    the time limit, and each awsv in it would run the next one. It gets standard input only if that is a terminal.
    """
    import subprocess

    from botocore.credentials import ProcessProvider
    from botocore.exceptions import CredentialRetrievalError

    variables = {name: text for name, text in context.child_environ.items() if not _PASSPHRASE.fullmatch(name)}
    variables[_ASKING] = "1"
    stdin = None if os.isatty(0) else subprocess.DEVNULL

    class Program(ProcessProvider):  # type: ignore[misc]  # botocore has no types
        def load(self) -> Any:
            try:
                return super().load()
            except CredentialRetrievalError:
                raise
            except OSError as error:
                raise PassphraseError(
                    f"the program of profile {profile!r} cannot be started: {error.strerror}",
                    hint="correct its credential_process",
                ) from None
            except Exception:  # noqa: BLE001 - of any kind, and its text can hold what the program printed
                raise SourceUnavailable(
                    f"the program of profile {profile!r} gives no keys that an AWS SDK can read"
                ) from None

    return Program(profile, lambda: session.full_config, popen=partial(subprocess.Popen, env=variables, stdin=stdin))


def _refuse_mfa(profiles: Profiles, profile: str) -> None:
    """Botocore would prompt for the code itself, on a terminal that is not its own."""
    for name, keys in _chain(profiles, profile):
        if "role_arn" in keys and "mfa_serial" in keys:
            raise ConfigError(
                f"profile {name!r} needs an MFA code, and awsv does not prompt for one to read the passphrase",
                hint=f"name a profile without mfa_serial in {_SETTING}",
            )


def runs_program(session: Any, identity: Identity) -> bool:
    """Whether the identity's keys can come from another program (``credential_process``), which can ask the user."""
    if not identity.profile:
        return False
    return any("credential_process" in keys for _, keys in _chain(session.full_config["profiles"], identity.profile))


def _chain(profiles: Profiles, profile: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The profile and its chained source profiles, with their keys."""
    seen: list[str] = []
    name: str | None = profile
    while name is not None and name not in seen:
        seen.append(name)
        keys = profiles.get(name, {})
        yield name, keys
        name = keys.get("source_profile") if "role_arn" in keys else None
