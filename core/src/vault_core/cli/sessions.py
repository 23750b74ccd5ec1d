"""The session options that ``exec``, ``export`` and ``explain`` share."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from vault_core.errors import UsageError
from vault_core.secret import Secret
from vault_core.sessions.profiles import SessionOptions, duration


def _duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if not (seconds := duration(value)):  # 0 would mean the default
        raise UsageError(f"{value!r} is not a duration", hint="for example 90m, 1h30m or 3600")
    return seconds


_OPTIONS = (
    click.option(
        "-d", "--duration", metavar="TIME", callback=_duration, help="How long the session lasts: 90m, 1h30m, 3600."
    ),
    click.option("-n", "--no-session", is_flag=True, help="Skip GetSessionToken and use the stored key directly."),
    click.option("--region", metavar="REGION", help="The region to use instead of the profile's."),
    click.option("-t", "--mfa-token", metavar="CODE", help="The MFA code, instead of a prompt for it."),
)


def session_options(function: Callable[..., Any], *, mfa: bool = True) -> Callable[..., Any]:
    """The options of ``exec`` and ``export``, as in aws-vault. The function gets them as ``options``.

    :param mfa: with ``--mfa-token``.
    """

    @wraps(function)
    def with_options(
        *, duration: int | None, no_session: bool, region: str | None, mfa_token: str | None = None, **others: Any
    ) -> Any:
        options = SessionOptions(duration, no_session, region, Secret(mfa_token) if mfa_token else None)
        return function(options=options, **others)

    decorated: Callable[..., Any] = with_options
    for option in reversed(_OPTIONS if mfa else _OPTIONS[:-1]):
        decorated = option(decorated)
    return decorated
