"""The provider ``sts-federation``: GetFederationToken with a user's own key."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.moto import MotoServer
from support.recording_proxy import RecordingProxy, deny
from vault_core.api import AccessDenied, ConfigError, Credentials, Profile, Secret, SessionError, SessionRequest
from vault_plugin_aws.federation import NAME, federated_name
from vault_plugin_aws.parameters import ALL
from vault_plugin_aws.plugin import vault_session_providers
from vault_testkit import SessionContract
from vault_testkit.context import FakeContext

_, SPEC = vault_session_providers()
POLICY = '{"Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}'


class TestFederation(SessionContract):
    entry_point = "sts-federation"

    @pytest.fixture
    def profiles(self, moto: MotoServer) -> list[Profile]:
        return [
            Profile(name="user", keys={"endpoint_url": moto.url, "region": "eu-central-1"}),
            Profile(name="narrow", keys={"endpoint_url": moto.url}, policy=POLICY),
        ]

    @pytest.fixture
    def wrong_profiles(self) -> list[Profile]:
        return [Profile(name="user", keys={"duration_seconds": text}) for text in ("899", "129601", "long")]

    @pytest.fixture
    def source(self, moto: MotoServer) -> Credentials:
        return key_of(moto)


def key_of(moto: MotoServer, token: str | None = None) -> Credentials:
    secret = Secret(moto.alice.secret_access_key)
    session = Secret(token) if token else None
    return Credentials(access_key_id=moto.alice.access_key_id, secret_access_key=secret, session_token=session)


def issue(root: Path, front: RecordingProxy, source: Credentials, **more: Any) -> Credentials:
    profile = Profile(name="user", keys={"endpoint_url": front.url}, **more)

    def no_code() -> Secret:
        raise AssertionError("GetFederationToken takes no MFA code")

    request = SessionRequest(
        parameters=SPEC.parameters({}, profile), source=source, mfa=no_code, deadline=time.monotonic() + 30
    )
    return SPEC.open(FakeContext(root)).issue(request)


@pytest.mark.parametrize(("policy", "sent"), [(None, ALL), (POLICY, POLICY)], ids=["all", "narrow"])
def test_user_gets_a_session_with_its_own_name(
    tmp_path: Path, front: RecordingProxy, moto: MotoServer, policy: str | None, sent: str
) -> None:
    assert issue(tmp_path, front, key_of(moto), policy=policy).session_token
    [call] = front.named("GetFederationToken")
    assert (call.parameters["Name"], call.parameters["DurationSeconds"]) == ("alice", "3600")
    assert json.loads(call.parameters["Policy"]) == json.loads(sent)
    assert (call.access_key_id, call.session_token) == (moto.alice.access_key_id, "")


def test_session_is_no_source(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> None:
    with pytest.raises(SessionError, match="needs a user's own key, and the source is a session"):
        issue(tmp_path, front, key_of(moto, "token"))
    assert front.calls == []


def test_refusal_names_the_permission(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> None:
    front.on("GetFederationToken", deny())
    with pytest.raises(AccessDenied, match="takes no MFA code") as refused:
        issue(tmp_path, front, key_of(moto))
    assert "sts:GetFederationToken" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/alice", "alice"),
        ("arn:aws-cn:iam::123456789012:user/team/a/bob", "bob"),
        ("arn:aws:iam::123456789012:user/x", "x-"),
        (f"arn:aws:iam::123456789012:user/{'n' * 64}", "n" * 32),
        ("arn:aws:iam::123456789012:user/é", "--"),
    ],
)
def test_name_is_that_of_the_user_in_sts_alphabet(arn: str, name: str) -> None:
    assert federated_name(arn) == name
    assert NAME.fullmatch(name)


def test_root_user_is_refused() -> None:
    with pytest.raises(AccessDenied, match="root user"):
        federated_name("arn:aws:iam::123456789012:root")


@pytest.mark.parametrize(
    "arn", ["arn:aws:sts::1:assumed-role/R/s", "arn:aws:sts::1:federated-user/f", "arn:aws:iam::1:user/", "x"]
)
def test_other_identity_is_refused(arn: str) -> None:
    with pytest.raises(SessionError, match="needs the key of a user"):
        federated_name(arn)


def test_policy_and_duration_are_parameters() -> None:
    with pytest.raises(ConfigError, match="900 to 129600"):
        SPEC.parameters({}, Profile(name="u", keys={"duration_seconds": "60"}))
    found = SPEC.parameters({}, Profile(name="u", keys={"mfa_serial": "arn:aws:iam::1:mfa/x"}, policy=POLICY))
    assert found == {"action": "GetFederationToken", "duration_seconds": 3600, "policy": POLICY}
