"""Keys for one of the four identities, from where it says and from nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vault_core.api import ConfigError, Context, PassphraseError, Secret
from vault_plugin_ssm.choices import Identity
from vault_plugin_ssm.isolated import config_file, is_loopback

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
"""Botocore's providers that do what a profile says; the others would go on to whatever else the machine offers."""
_IMDS_HOSTS = ("169.254.169.254", "fd00:ec2::254")
"""Where EC2 machines find the metadata service (EC2 user guide)."""
_IMDS_SECONDS = 1.0
_SETTING = "AWS_VAULT_SSM_CREDENTIALS"
_ASKING = "AWS_VAULT_SSM_ASKING"
"""Set for the programs that give keys: no setting of anybody's."""
_PASSPHRASE = re.compile(r"AWS_VAULT_[A-Z0-9_]*(PASSPHRASE|PASSWORD|SECRET|SECRET_ID|TOKEN)")

Profiles = Mapping[str, Mapping[str, Any]]
"""Botocore's view of the config files: profile to its keys."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs a request."""

    access_key_id: str
    secret: Secret
    token: Secret | None = field(default=None)

    def arguments(self) -> dict[str, Any]:
        """For ``create_client``."""
        return {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret.reveal_text(),
            "aws_session_token": self.token.reveal_text() if self.token else None,
        }


def refuse_loop(context: Context, identity: Identity, parameter: str) -> None:
    """Before anything is asked of anybody.

    :param parameter: what the keys are for, for the message.
    :raises ConfigError: to take keys from this profile means to run awsv, which waits for them.
    """
    line = context.comes_back(identity.profile) if identity.profile else None
    if _ASKING in context.environ:
        raise ConfigError(
            f"{identity} is of no use for parameter {parameter}: a program that was to give its keys ran awsv again",
            hint=f"name an identity outside of the vault in {_SETTING}",
        )
    if line is not None:
        raise ConfigError(
            f"{identity} is of no use for parameter {parameter}: it would run awsv again: {line}",
            hint=f"name an identity outside of the vault in {_SETTING}",
        )


def keys_of(session: Any, identity: Identity, environ: Mapping[str, str], region: str) -> Keys:
    """The keys of an identity.

    :param session: of :func:`~vault_plugin_ssm.isolated.isolated`, for the same identity.
    :raises PassphraseError: the identity is not there.
    :raises ConfigError: the profile is not there, or needs what nobody can be asked for.
    :raises botocore.exceptions.BotoCoreError: and its ``ClientError``: it could not be had.
    """
    match identity.kind:
        case "environment":
            return _from_variables(environ)
        case "imds":
            found = _from_machine(session, environ)
        case "web-identity":
            return _from_web_identity(session, environ, region)
        case _:
            found = _from_profile(session, identity.profile, environ, region)
    if found is None:
        raise PassphraseError(f"{identity} has no keys", hint=f"check {_SETTING}")
    frozen = found.get_frozen_credentials()
    return Keys(frozen.access_key, Secret(frozen.secret_key), Secret(frozen.token) if frozen.token else None)


def _from_variables(environ: Mapping[str, str]) -> Keys:
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environ.get(name)]
    if missing:
        raise PassphraseError(
            f"{_SETTING} names the environment, and {' and '.join(missing)} is not set",
            hint="set it, or name another identity",
        )
    token = environ.get("AWS_SESSION_TOKEN")
    return Keys(
        environ["AWS_ACCESS_KEY_ID"], Secret(environ["AWS_SECRET_ACCESS_KEY"]), Secret(token) if token else None
    )


def _from_machine(session: Any, environ: Mapping[str, str]) -> Any:
    from botocore.credentials import InstanceMetadataProvider
    from botocore.httpsession import URLLib3Session
    from botocore.utils import InstanceMetadataFetcher

    endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    host = urlsplit(endpoint).hostname if endpoint else None
    if endpoint and not (host in _IMDS_HOSTS or is_loopback(host or "")):
        raise ConfigError(f"{endpoint} is no metadata service", hint="correct AWS_EC2_METADATA_SERVICE_ENDPOINT")
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
    fetcher = InstanceMetadataFetcher(
        timeout=_IMDS_SECONDS,
        num_attempts=1,
        env=dict(environ),
        user_agent=session.user_agent(),
        config={"ec2_metadata_service_endpoint": endpoint, "ec2_metadata_service_endpoint_mode": mode},
    )
    # Through the proxy of the process's variables it would be another machine's role, and its keys seen on the way.
    fetcher._session = URLLib3Session(timeout=_IMDS_SECONDS)
    return InstanceMetadataProvider(iam_role_fetcher=fetcher).load()


def _from_web_identity(session: Any, environ: Mapping[str, str], region: str) -> Keys:
    from botocore import UNSIGNED
    from botocore.config import Config

    missing = [name for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN") if not environ.get(name)]
    if missing:
        raise PassphraseError(
            f"{_SETTING} names the web identity, and {' and '.join(missing)} is not set",
            hint="set it, or name another identity",
        )
    path = Path(environ["AWS_WEB_IDENTITY_TOKEN_FILE"])
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise PassphraseError(f"the web identity's token {path} cannot be read: {reason}") from None
    # Unsigned also means that the session looks for nobody's keys to sign with.
    with closing(session.create_client("sts", region_name=region, config=Config(signature_version=UNSIGNED))) as client:
        answer = client.assume_role_with_web_identity(
            RoleArn=environ["AWS_ROLE_ARN"],
            RoleSessionName=environ.get("AWS_ROLE_SESSION_NAME") or "awsv-ssm",
            WebIdentityToken=token,
        )["Credentials"]
    return Keys(answer["AccessKeyId"], Secret(answer["SecretAccessKey"]), Secret(answer["SessionToken"]))


def _from_profile(session: Any, profile: str, environ: Mapping[str, str], region: str) -> Any:
    from botocore.credentials import create_credential_resolver

    profiles: Profiles = session.full_config["profiles"]
    if profile not in profiles:
        raise ConfigError(f"no profile {profile!r} in {config_file(environ)}", hint=f"correct {_SETTING}")
    _refuse_mfa(profiles, profile)
    _mark_programs(session.full_config["profiles"], environ)
    resolver = create_credential_resolver(session, region_name=region)
    resolver.providers = [provider for provider in resolver.providers if provider.METHOD in _OF_A_PROFILE]
    return resolver.load_credentials()


def _refuse_mfa(profiles: Profiles, profile: str) -> None:
    """Botocore would ask for the code itself, at a terminal that is not its own."""
    for name, keys in _chain(profiles, profile):
        if "role_arn" in keys and "mfa_serial" in keys:
            raise ConfigError(
                f"profile {name!r} needs an MFA code, and nobody is asked for one to read the passphrase",
                hint=f"name a profile without mfa_serial in {_SETTING}",
            )


def _mark_programs(profiles: dict[str, dict[str, Any]], environ: Mapping[str, str]) -> None:
    """Have programs that give keys run without passphrases, and so that awsv knows itself in what they start.

    They would run on after our time is over, and each awsv among them would run the next one.
    """
    removed = [word for name in environ if _PASSPHRASE.fullmatch(name) for word in ("-u", name)]
    before = " ".join(("/usr/bin/env", *removed, f"{_ASKING}=1", ""))
    for keys in profiles.values():
        if not keys.get("credential_process", before).startswith(before):
            keys["credential_process"] = before + keys["credential_process"]


def runs_program(session: Any, identity: Identity) -> bool:
    """Whether keys of the identity may come from another program (``credential_process``), which may ask a person."""
    if not identity.profile:
        return False
    return any("credential_process" in keys for _, keys in _chain(session.full_config["profiles"], identity.profile))


def _chain(profiles: Profiles, profile: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The profile, and those behind its ``source_profile``, with their keys."""
    seen: list[str] = []
    name: str | None = profile
    while name is not None and name not in seen:
        seen.append(name)
        keys = profiles.get(name, {})
        yield name, keys
        name = keys.get("source_profile") if "role_arn" in keys else None
