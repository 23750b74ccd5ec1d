"""A client of an isolated session, whose AWS is the recording front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.moto import REGION, MotoServer
from support.recording_proxy import RecordingProxy
from vault_botocore.session import credential_arguments, session
from vault_core.api import Credentials, Secret

Identify = Callable[..., str]


@pytest.fixture
def identify(front: RecordingProxy, moto: MotoServer) -> Identify:
    """Returns the ARN of alice by one call of STS at the front, or at ``endpoint``, in a session of ``environ``."""
    key = Credentials(access_key_id=moto.alice.access_key_id, secret_access_key=Secret(moto.alice.secret_access_key))

    def call(environ: dict[str, str] | None = None, endpoint: str | None = "", **more: Any) -> str:
        made = session(environ or {}, timeout=(2, 2), **more)
        where = {} if endpoint is None else {"endpoint_url": endpoint or front.url}
        client = made.create_client("sts", region_name=REGION, **where, **credential_arguments(key))
        arn: str = client.get_caller_identity()["Arn"]
        return arn

    return call
