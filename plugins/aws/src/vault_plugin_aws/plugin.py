"""What this distribution offers. Importing it imports no SDK: boto's turn comes when a session is issued."""

from __future__ import annotations

from collections.abc import Sequence

from vault_core.api import Context, SessionProvider, SessionSpec, SourceNeed, hookimpl
from vault_plugin_aws.parameters import parameters


def _open(context: Context) -> SessionProvider:
    from vault_plugin_aws.sts import StsProvider

    return StsProvider(context)


@hookimpl
def vault_session_providers() -> Sequence[SessionSpec]:
    return (
        SessionSpec(
            name="sts",
            summary="AWS STS: GetSessionToken, and AssumeRole for a profile with role_arn",
            open=_open,
            parameters=parameters,
            source=SourceNeed.REQUIRED,
        ),
    )
