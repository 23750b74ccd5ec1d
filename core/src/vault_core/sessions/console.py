"""The address that logs a browser in to the web console, from the session of a profile or of the environment."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from vault_core import files
from vault_core.api import ConsoleRequest, Credentials, OpensConsole, Profile, Secret
from vault_core.errors import PluginError, UsageError
from vault_core.plugins.boundary.sessions import open_provider, parameters
from vault_core.records import dataclass
from vault_core.sessions.plan import FEDERATION, STS, Plan, SessionStep
from vault_core.sessions.profiles import ENDPOINT
from vault_core.sessions.singleflight import NETWORK_LIMIT

if TYPE_CHECKING:
    from vault_core.plugins.host import Host
    from vault_core.sessions.profiles import SessionOptions

POLICY_LIMIT = 2048
"""The most characters of a session policy (AssumeRole and GetFederationToken, STS API reference)."""
_FILE_LIMIT = 1 << 16
"""Bytes of a policy's file, which may have indentation."""

ENVIRONMENT = "environment"
"""Stands for a profile's name where the session is that of the environment."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console."""

    path: str | None = None
    """Without its host: ``s3/buckets?tab=objects``."""
    service: str | None = None
    """The service whose home page is shown."""


def of_plan(host: Host, plan: Plan, credentials: Credentials, page: Page) -> Secret:
    """The address for the session of a plan.

    :raises ConfigError: the region or the page makes no sense.
    :raises SessionError: AWS refused the session, or did not answer.
    """
    step = plan.last
    assert isinstance(step, SessionStep)  # noqa: S101 - a plan for the console has one
    # AWS opens its console for a session of any provider.
    found = step.parameters if step.provider in (STS, FEDERATION) else _parameters(host, step.profile, step.options)
    return _url(host, step.options, found, credentials, plan.region, page, plan.console_seconds)


def of_environment(host: Host, region: str | None, options: SessionOptions, page: Page) -> Secret:
    """The address for the session in ``AWS_ACCESS_KEY_ID`` and its like.

    :raises UsageError: there is none, or it cannot be as the options demand: it is made already.
    :raises ConfigError: as :func:`of_plan`.
    :raises SessionError: as :func:`of_plan`.
    """
    credentials = _session_of(host.settings.environ)
    if options.duration or options.policy is not None:
        raise UsageError(
            "the session of the environment is made already: it takes neither a duration nor a policy",
            hint="awsv login PROFILE makes one",
        )
    return _url(host, {}, _parameters(host, ENVIRONMENT, {}), credentials, region, page, None)


def _session_of(environ: Mapping[str, str]) -> Credentials:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    key_id, secret, token = (environ.get(name) for name in names)
    for name in names:
        text = environ.get(name, "")
        if not (text.isascii() and text.isprintable()):
            raise UsageError(f"{name} is not a line of ASCII text", hint="awsv login PROFILE uses a profile's session")
    if not (key_id and secret):
        raise UsageError("login needs a profile", hint="awsv login PROFILE; 'awsv list' shows the profiles")
    if not token:
        raise UsageError(
            "the environment holds a long-term key, and the console needs a session",
            hint="store the key with 'awsv add PROFILE', then 'awsv login PROFILE'",
        )
    return Credentials(access_key_id=key_id, secret_access_key=Secret(secret), session_token=Secret(token))


def _parameters(host: Host, name: str, keys: Mapping[str, str]) -> Mapping[str, Any]:
    """The network settings of a profile whose session is of another provider: as if it were of ours."""
    spec = host.plugins.load("session", STS)
    network = {key: value for key, value in keys.items() if key in ENDPOINT}
    context = host.context("session", STS, spec.options, profile=keys)
    return parameters(host.plugins, spec, context.options, Profile(name=name, keys=network))


def _url(
    host: Host,
    keys: Mapping[str, str],
    found: Mapping[str, Any],
    credentials: Credentials,
    region: str | None,
    page: Page,
    seconds: int | None,
) -> Secret:
    spec = host.plugins.load("session", STS)
    provider = open_provider(host.plugins, spec, host.context("session", STS, spec.options, profile=keys))
    if not isinstance(provider, OpensConsole):
        raise PluginError(f"session provider {STS!r} cannot open a console", hint="update vault-plugin-aws")
    return provider.console_url(
        ConsoleRequest(
            credentials=credentials,
            parameters=found,
            region=region,
            path=page.path,
            service=page.service,
            seconds=seconds,
            deadline=time.monotonic() + NETWORK_LIMIT,
        )
    )


def read_policy(path: Path) -> str:
    """A session policy from a file, without its white space.

    :raises UsageError: the file cannot be read, is not a policy in JSON, or is too long.
    """
    try:
        text = files.read(path, limit=_FILE_LIMIT).decode("utf-8")
        policy = json.loads(text, object_pairs_hook=_unique, parse_constant=_not_json)
    except OSError as error:
        raise UsageError(f"cannot read the policy {path}: {error.strerror or 'it is not a file'}") from None
    except RecursionError:
        raise UsageError(f"the policy {path} is nested too deeply") from None
    except ValueError as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise UsageError(f"the policy {path} is not JSON: {reason}") from None
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise UsageError(f"the policy {path} has no Statement", hint="write it as an IAM policy")
    compact = json.dumps(policy, separators=(",", ":"))
    if len(compact) > POLICY_LIMIT:
        raise UsageError(
            f"the policy {path} has {len(compact)} characters without white space; AWS takes {POLICY_LIMIT}"
        )
    return compact


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object. A name that is there twice means one thing to Python and perhaps another to AWS."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice in one object")
    return found


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
