"""The hooks of this distribution. Importing them imports no SDK."""

from __future__ import annotations

from collections.abc import Sequence

from vault_core.api import Context, SessionProvider, SessionSpec, SourceNeed, hookimpl
from vault_plugin_aws.parameters import SIGNIN_URL, federation_token, parameters


def _open(context: Context) -> SessionProvider:
    from vault_plugin_aws.sts import StsProvider

    return StsProvider(context)


def _open_federation(context: Context) -> SessionProvider:
    from vault_plugin_aws.federation import FederationProvider

    return FederationProvider(context)


@hookimpl
def vault_session_providers() -> Sequence[SessionSpec]:
    return (
        SessionSpec(
            name="sts",
            summary="AWS STS: GetSessionToken, and AssumeRole for a profile with role_arn",
            open=_open,
            parameters=parameters,
            options=(SIGNIN_URL,),
            source=SourceNeed.REQUIRED,
        ),
        SessionSpec(
            name="sts-federation",
            summary="AWS STS: GetFederationToken, for the console of a user without a role",
            open=_open_federation,
            parameters=lambda _, profile: federation_token(profile),
            source=SourceNeed.REQUIRED,
        ),
    )
