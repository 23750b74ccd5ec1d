"""The source: what it answers, what it costs, and how it says no."""

from __future__ import annotations

import json
import threading
import time
import traceback
from typing import Any

import pytest

from support import recording_proxy as fault
from support.busy import seconds
from support.moto import ACCOUNT, REGION
from support.recording_proxy import RecordingProxy, json_error
from vault_core.api import Cancelled, ConfigError, PassphraseError, SourceUnavailable
from vault_plugin_ssm import aws_call, isolated, source
from vault_plugin_ssm.choices import identity, parameter_name, region_name
from vault_plugin_ssm.plugin import vault_passphrase_sources
from vault_testkit import FakeContext

PASSPHRASE = "correct horse battery staple, canary"
[SPEC] = vault_passphrase_sources()
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_call, "PAUSE", 0.01)


# -- what it answers ---------------------------------------------------------------------------------------------------


def test_the_value_of_a_secure_string_by_one_call(ssm: Any, front: RecordingProxy) -> None:
    found = ssm.get()
    assert found is not None
    assert found.reveal_text() == PASSPHRASE
    assert front.actions == ["GetParameter"]
    [call] = front.calls
    assert (call.service, call.region, call.access_key_id) == ("ssm", REGION, ssm.moto.alice.access_key_id)


@pytest.mark.parametrize(
    ("value", "passphrase"), [("two words\n", "two words"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" ä ", " ä ")]
)
def test_one_line_end_is_removed_and_nothing_else(ssm: Any, value: str, passphrase: str) -> None:
    ssm.put(value)
    assert ssm.get().reveal_text() == passphrase


def test_an_arn_and_a_version(ssm: Any, front: RecordingProxy) -> None:
    name = ssm.options["parameter"]
    ssm.moto.client("ssm").put_parameter(Name=name, Value="the second", Type="SecureString", Overwrite=True)
    del ssm.environ["AWS_REGION"]  # the ARN says it
    ssm.options["parameter"] = parameter_name(f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}")
    assert ssm.get().reveal_text() == "the second"
    assert front.calls[0].region == REGION
    ssm.options |= {"parameter": f"{name}:1", "region": REGION}
    assert ssm.get().reveal_text() == PASSPHRASE


def test_the_region_that_counts(ssm: Any, front: RecordingProxy) -> None:
    ssm.profile(f"[profile reader]\nregion = eu-central-1\n{ssm.keys()}")
    ssm.environ |= {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-2"}
    ssm.options["region"] = "us-west-1"
    signed = []
    for drop in (lambda: ssm.options.pop("region"), *(lambda n=n: ssm.environ.pop(n) for n in _VARIABLES), lambda: 0):
        with pytest.raises(PassphraseError, match="there is no parameter"):
            ssm.get()
        signed.append(front.calls[-1].region)
        drop()
    assert signed == ["us-west-1", "us-east-1", "us-east-2", "eu-central-1"]


_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


def test_the_region_of_an_arn_counts_after_the_setting_and_before_the_environment(
    ssm: Any, front: RecordingProxy
) -> None:
    ssm.options |= {"parameter": parameter_name(f"arn:aws:ssm:eu-west-2:{ACCOUNT}:parameter/none")}
    ssm.options |= {"region": "us-west-1"}
    ssm.environ |= {"AWS_REGION": "us-east-1"}
    for _ in range(2):
        with pytest.raises(PassphraseError):
            ssm.get()
        ssm.options.pop("region", None)
    assert [call.region for call in front.calls] == ["us-west-1", "eu-west-2"]


def test_no_region_is_an_error_and_no_guess(ssm: Any, front: RecordingProxy) -> None:
    del ssm.environ["AWS_REGION"]
    with pytest.raises(ConfigError, match="no region is set") as caught:
        ssm.get()
    assert "AWS_VAULT_SSM_REGION" in (caught.value.hint or "")
    assert front.calls == []


# -- how it is set up --------------------------------------------------------------------------------------------------


def test_without_a_parameter_the_next_source_has_its_turn(ssm: Any, front: RecordingProxy) -> None:
    del ssm.options["parameter"]
    assert ssm.get() is None
    assert ssm.context.notes == ["passphrase source 'ssm': AWS_VAULT_SSM_PARAMETER names no parameter"]
    ssm.environ["AWS_VAULT_SSM_PARAMETER"] = ""
    with pytest.raises(PassphraseError, match="is set but empty"):
        ssm.get()
    assert front.calls == []


def test_who_reads_it_is_never_guessed(ssm: Any, front: RecordingProxy) -> None:
    del ssm.options["credentials"]
    with pytest.raises(PassphraseError, match="nothing says who reads") as caught:
        ssm.get()
    for word in ("AWS_VAULT_SSM_CREDENTIALS", "profile:NAME", "environment", "imds", "web-identity"):
        assert word in (caught.value.hint or "")
    assert front.calls == []


def test_a_profile_that_comes_back_is_named_before_any_call(ssm: Any, front: RecordingProxy) -> None:
    ssm.profile("[profile reader]\ncredential_process = awsv exec -j reader\n")
    ssm.loops["reader"] = "/config:2: credential_process = awsv exec -j reader"
    with pytest.raises(ConfigError, match="would run awsv again: /config:2: credential_process = awsv exec"):
        ssm.get()
    assert front.calls == []


@pytest.mark.parametrize(
    "text", ["", "profile", "profile:", "environment:x", "Environment", "ambient", "imds,environment"]
)
def test_other_identities_there_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="not one of profile:NAME, environment, imds or web-identity"):
        identity(text)


@pytest.mark.parametrize("text", ["a b", "/a//b", "a/", "$(id)", "a\n", "arn:aws:s3:::bucket/key", "a" * 1012])
def test_names_that_no_parameter_has(text: str) -> None:
    with pytest.raises(ValueError, match="a parameter is named by"):
        parameter_name(text)


def test_names_that_no_region_has() -> None:
    for text in ("eu-west-1", "us-gov-east-1", "cn-north-1", "us-iso-east-1"):
        assert region_name(text) == text
    for text in ("", "eu-west", "eu-west-1.evil.example", "eu-west-1/x", "EU-WEST-1"):
        with pytest.raises(ValueError, match="not the name of an AWS region"):
            region_name(text)


# -- what is not used --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["String", "StringList"])
def test_what_is_kept_in_the_clear_is_refused(ssm: Any, type: str) -> None:
    ssm.put("a,b", type=type)
    with pytest.raises(PassphraseError, match=f"is a {type}, which is kept in the clear") as caught:
        ssm.get()
    assert "makes a SecureString" in (caught.value.hint or "")


def test_an_empty_value_is_refused(ssm: Any) -> None:
    ssm.put("\n")
    with pytest.raises(PassphraseError, match="is empty"):
        ssm.get()


def test_no_such_parameter(ssm: Any) -> None:
    ssm.options["parameter"] = "/laptop/nothing"
    with pytest.raises(PassphraseError, match=r"there is no parameter /laptop/nothing in eu-west-1") as caught:
        ssm.get()
    assert "awsv ssm put-passphrase" in (caught.value.hint or "")


# -- what AWS refuses --------------------------------------------------------------------------------------------------


def test_denied_comes_with_the_policy_that_is_enough(ssm: Any, front: RecordingProxy) -> None:
    name = ssm.options["parameter"]
    arn = f"arn:aws:ssm:{REGION}:210987654321:parameter{name}"  # another account's, shared
    text = f"User: {USER} is not authorized to perform: ssm:GetParameter on resource: {arn} because no policy allows it"
    front.on("GetParameter", json_error("AccessDeniedException", text))
    with pytest.raises(SourceUnavailable, match="AWS does not let the keys in the environment read parameter"):
        ssm.get()
    [note] = ssm.context.notes
    assert json.loads(note.partition("lets it: ")[2]) == {
        "Sid": "GetPassphrase",
        "Effect": "Allow",
        "Action": "ssm:GetParameter",
        "Resource": arn,
    }
    assert front.actions == ["GetParameter"]


def test_where_aws_does_not_say_the_arn_the_policy_still_names_the_parameter(ssm: Any, front: RecordingProxy) -> None:
    ssm.options["parameter"] = "flat"
    front.on("GetParameter", json_error("AccessDeniedException", f"{USER} may not"))
    with pytest.raises(SourceUnavailable):
        ssm.get()
    assert f'"Resource": "arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/flat"' in ssm.context.notes[0]


KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1-2"
NO_DECRYPT = f"User: {USER} is not authorized to perform: kms:Decrypt on resource: {KEY} because no policy allows it"
NO_KEY = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not"
    " allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)"
)


@pytest.mark.parametrize(("text", "key"), [(NO_DECRYPT, KEY), (NO_KEY, "*")])
def test_a_key_that_may_not_be_used(ssm: Any, front: RecordingProxy, text: str, key: str) -> None:
    front.on("GetParameter", json_error("AccessDeniedException", text))
    with pytest.raises(SourceUnavailable, match=r"may not use the KMS key of parameter .* must allow kms:Decrypt"):
        ssm.get()
    statement = json.loads(ssm.context.notes[0].partition("lets it: ")[2])
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", key)
    context = statement["Condition"]["StringEquals"]["kms:EncryptionContext:PARAMETER_ARN"]
    assert context.endswith(f":parameter{ssm.options['parameter']}")


REFUSALS = {
    "disabled": (json_error("InvalidKeyId", f"arn:aws:kms:{REGION}:1:key/1 is disabled."), "KMS key .* is disabled"),
    "expired": (
        json_error("ExpiredTokenException", "The security token included in the request is expired"),
        "expired",
    ),
    "unknown": (json_error("UnrecognizedClientException", "The security token is invalid"), "does not know the key of"),
    "signature": (json_error("InvalidSignatureException", "canonical-canary"), "does not accept the signature of"),
    "trouble": (json_error("InternalServerError", "oops", 500), r"SSM in eu-west-1 is in trouble: .* \(HTTP 500\)"),
    "denied, in another protocol": (fault.deny(), "does not let the keys in the environment read"),
    "drop": (fault.drop(), "broke the connection"),
    "garbage": (fault.garbage(), "did not answer as it does"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_had_now_leaves_the_turn_to_the_next_source(ssm: Any, front: RecordingProxy, name: str) -> None:
    answer, words = REFUSALS[name]
    front.on("GetParameter", answer)
    with pytest.raises(SourceUnavailable, match=words) as caught:
        ssm.get()
    assert "canonical-canary" not in caught.value.message
    assert front.actions == ["GetParameter"], "only throttling is tried again"


def test_throttling_is_tried_once_more(ssm: Any, front: RecordingProxy) -> None:
    front.on("GetParameter", json_error("ThrottlingException", "Rate exceeded"), times=1)
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.actions == ["GetParameter"] * 2
    front.forget()
    front.on("GetParameter", json_error("ThrottlingException", "Rate exceeded"))
    with pytest.raises(SourceUnavailable, match="AWS throttles requests"):
        ssm.get()
    assert front.actions == ["GetParameter"] * 2


# -- how long it takes -------------------------------------------------------------------------------------------------


def test_nobody_listens(ssm: Any) -> None:
    ssm.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        ssm.get()


@pytest.mark.slow
def test_five_seconds_in_all(ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isolated.LIMIT_SECONDS == source.LIMIT_SECONDS == 5  # type: ignore[attr-defined]
    monkeypatch.setattr(isolated, "LIMIT_SECONDS", 0.5)
    monkeypatch.setattr(source, "LIMIT_SECONDS", 0.5)
    front.on("GetParameter", fault.hang())
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"did not answer within 0\.5 s|does not answer in time"):
        ssm.get()
    assert 0.45 < time.monotonic() - started < seconds(4)  # what the SDK reads from disk comes before
    assert front.actions == ["GetParameter"]


def test_an_answer_that_trickles_does_not_win_time(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault_plugin_ssm.source.LIMIT_SECONDS", 0.6)
    front.on("GetParameter", fault.trickle(0.1))
    with pytest.raises(SourceUnavailable, match=r"did not answer within 0\.6 s"):
        ssm.get()


def test_the_hosts_deadline_counts_where_it_is_earlier(ssm: Any, front: RecordingProxy) -> None:
    front.on("GetParameter", fault.hang())
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"did not answer within 0\.\d+ s"):
        ssm.get(deadline=time.monotonic() + 0.5)
    assert time.monotonic() - started < seconds(4)


def test_what_was_given_up_is_not_sent_again(ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_call, "PAUSE", 1.0)
    front.on("GetParameter", json_error("ThrottlingException", "Rate exceeded"))

    def check(_: FakeContext) -> None:
        if front.calls:
            raise Cancelled("over")

    monkeypatch.setattr(FakeContext, "check", check)
    with pytest.raises(Cancelled):
        ssm.get()
    for thread in threading.enumerate():
        if thread.name == "ssm":  # left behind; it ends after the pause
            thread.join(seconds(5))
    assert front.actions == ["GetParameter"]


def test_ctrl_c_is_obeyed_within_a_second(ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    front.on("GetParameter", fault.hang())
    ends = time.monotonic() + 0.5

    def check(_: FakeContext) -> None:
        if time.monotonic() > ends:
            raise Cancelled("over")

    monkeypatch.setattr(FakeContext, "check", check)
    with pytest.raises(Cancelled):
        ssm.get()
    assert time.monotonic() - ends < seconds(3)


# -- what it shows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", *REFUSALS])
def test_the_passphrase_is_in_no_log_and_no_exception(
    ssm: Any, front: RecordingProxy, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    import logging

    for logger in ("botocore", "boto3", "urllib3"):
        logging.getLogger(logger).setLevel(logging.NOTSET)
        logging.getLogger(logger).propagate = True
    text = ""
    with caplog.at_level(logging.DEBUG):
        if name != "none":
            front.on("GetParameter", REFUSALS[name][0])
        try:
            found = ssm.get()
        except SourceUnavailable as error:
            text = "".join(traceback.format_exception(error)) + str(vars(error))
        else:
            text = repr(found)
    secrets = (PASSPHRASE, ssm.moto.alice.secret_access_key, "canonical-canary")
    assert [secret for secret in secrets if secret in text + caplog.text] == []
