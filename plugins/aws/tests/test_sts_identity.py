"""The identity of a key: one call, without a session and without a code."""

from __future__ import annotations

from typing import Any

import pytest

from support.moto import ACCOUNT
from support.recording_proxy import RecordingProxy, deny
from vault_core.api import AccessDenied, SessionError

MFA = "arn:aws:iam::123456789012:mfa/phone"


def test_identify_returns_account_and_arn_without_a_code(aws: Any, front: RecordingProxy) -> None:
    found = aws.identify(region="eu-west-1", mfa_serial=MFA)
    assert (found.account, found.arn) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice")
    [call] = front.calls
    assert (call.action, call.region, call.parameters) == ("GetCallerIdentity", "eu-west-1", {"Version": "2011-06-15"})
    assert (call.session_token, aws.asked) == ("", 0)


def test_identify_with_refused_key_is_denied(aws: Any, front: RecordingProxy) -> None:
    front.on("GetCallerIdentity", deny("no"))
    with pytest.raises(AccessDenied, match=f"to identify {aws.source.access_key_id}"):
        aws.identify()
    assert len(front.calls) == 1


@pytest.mark.usefixtures("quick")
def test_identify_without_network_is_an_error(aws: Any) -> None:
    with pytest.raises(SessionError, match="cannot be reached"):
        aws.identify(endpoint_url="http://127.0.0.1:9")
