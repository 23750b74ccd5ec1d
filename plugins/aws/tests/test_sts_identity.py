"""Whose a key is: one call of the isolated client, without a session and without a code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy, deny
from vault_core.api import AccessDenied, Credentials, IdentifiesCaller, Profile, Secret, SessionError, SessionRequest
from vault_plugin_aws.plugin import vault_session_providers
from vault_testkit.context import FakeContext

[SPEC] = [spec for spec in vault_session_providers() if spec.name == "sts"]


def identify(root: Path, endpoint: str, moto: MotoServer) -> Any:
    keys = {"endpoint_url": endpoint, "region": "eu-west-1", "mfa_serial": "arn:aws:iam::123456789012:mfa/phone"}
    provider = SPEC.open(FakeContext(root))
    assert isinstance(provider, IdentifiesCaller)
    source = Credentials(access_key_id=moto.alice.access_key_id, secret_access_key=Secret(moto.alice.secret_access_key))
    request = SessionRequest(
        parameters=SPEC.parameters({}, Profile(name="work", keys=keys)),
        source=source,
        mfa=lambda: pytest.fail("an identity needs no code"),
        deadline=time.monotonic() + 30,
    )
    return provider.identify(request)


def test_the_identity_of_a_key(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> None:
    found = identify(tmp_path, front.url, moto)
    assert (found.account, found.arn) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice")
    [call] = front.calls
    assert (call.action, call.region, call.parameters) == ("GetCallerIdentity", "eu-west-1", {"Version": "2011-06-15"})
    assert call.session_token == ""


def test_a_key_that_aws_refuses(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> None:
    front.on("GetCallerIdentity", deny("no"))
    with pytest.raises(AccessDenied, match=f"to say whose {moto.alice.access_key_id} is"):
        identify(tmp_path, front.url, moto)
    assert len(front.calls) == 1


def test_nobody_answers(tmp_path: Path, moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault_plugin_aws.sts.PAUSES", (0.01, 0.01))
    with pytest.raises(SessionError, match="cannot be reached"):
        identify(tmp_path, "http://127.0.0.1:9", moto)
