"""What the source makes of settings, answers and keys without asking AWS."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from vault_core.api import AccessDenied, ConfigError, PassphraseError, Secret, SessionError, SourceUnavailable
from vault_plugin_ssm import choices, failures, identities, put_parameter, source
from vault_plugin_ssm.choices import Identity
from vault_plugin_ssm.failures import Attempt, Failure, explain
from vault_testkit.context import FakeContext

ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/a/b"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234-ab"


def attempt(**changes: Any) -> Attempt:
    fields: dict[str, Any] = {"identity": Identity("profile", "p"), "parameter": "/a/b:3", "region": "eu-west-1"}
    return Attempt(**{**fields, "secrets": (Secret("s3cr3t"),), **changes})


def refused(code: str, status: int = 400, message: str = "m", action: str = "GetParameter") -> ClientError:
    found = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(found, action)


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "region", "plain"),
    [
        ("/a/b", None, "a/b"),
        ("a", None, "a"),
        ("/a/b:3", None, "a/b"),
        ("/a/b:label", None, "a/b"),
        (ARN, "eu-west-1", "a/b"),
        (f"{ARN}:3", "eu-west-1", "a/b"),
        ("arn:aws-cn:ssm:cn-north-1:123456789012:parameter/a", "cn-north-1", "a"),
        ("x" * 1011, None, "x" * 1011),
    ],
)
def test_names_that_a_parameter_may_have(text: str, region: str | None, plain: str) -> None:
    assert choices.parameter_name(text) == text
    assert (choices.region_of_arn(text), choices.plain_name(text)) == (region, plain)


@pytest.mark.parametrize("text", ["", "/", "a:", "a:b:c", ARN.replace("12:", "1:"), ARN + "/", "x" * 1012, "a\n"])
def test_names_that_none_has(text: str) -> None:
    with pytest.raises(ValueError, match="a parameter is named by"):
        choices.parameter_name(text)


@pytest.mark.parametrize(
    ("text", "shown"), [("profile:a:b", "profile 'a:b'"), (" imds ", "this machine's instance role")]
)
def test_identities(text: str, shown: str) -> None:
    assert str(choices.identity(text)) == shown


@pytest.mark.parametrize("text", ["profile: ", "imds:", "imds:x", "x:profile", "web-identity:a"])
def test_other_identities(text: str) -> None:
    if text in ("imds:",):
        assert choices.identity(text) == Identity("imds")
        return
    with pytest.raises(ValueError):
        choices.identity(text)


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (failures._EXPIRED, "has expired"),
        (failures._UNKNOWN_KEY, "does not know the key"),
        (failures._SIGNATURE, "does not accept the signature"),
        (failures._KMS_STATE, "is disabled, deleted or unknown"),
    ],
)
def test_every_code_has_its_words_and_is_not_asked_again(codes: set[str], says: str) -> None:
    for code in codes:
        found = explain(refused(code), attempt())
        assert says in found.message
        assert not found.again
        assert isinstance(found.of_source(), SourceUnavailable)
        assert isinstance(found.of_command(), SessionError)


def test_only_what_is_throttled_is_asked_again() -> None:
    for code, status in [*((code, 400) for code in failures._THROTTLED), ("Any", 429)]:
        assert explain(refused(code, status), attempt()).again
    for code, status in (("Any", 428), ("Any", 430), ("Any", 500), ("AccessDenied", 403)):
        assert not explain(refused(code, status), attempt()).again


@pytest.mark.parametrize("action", ["GetParameter", "PutParameter"])
@pytest.mark.parametrize("code", [*sorted(failures._DENIED), "Other"])
def test_what_is_denied_names_what_is_enough_for_a_reader_only(code: str, action: str) -> None:
    found = explain(refused(code, 403, "no", action), attempt())
    assert found.denied
    assert found.hint == f"its policy must allow ssm:{action}"
    arns = [statement["Resource"] for statement in found.statements]
    assert arns == (["arn:aws:ssm:eu-west-1:*:parameter/a/b"] if action == "GetParameter" else [])
    assert isinstance(found.of_command(), AccessDenied)
    assert isinstance(found.of_source(), SourceUnavailable)


@pytest.mark.parametrize("words", ["kms:Decrypt", "AWSKMS", "the ciphertext", "KMS key", "customer master key"])
def test_a_key_that_may_not_be_used_is_told_from_a_parameter(words: str) -> None:
    found = explain(refused("AccessDeniedException", 400, f"{words} {KEY}."), attempt())
    [statement] = found.statements
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", KEY)
    found = explain(refused("AccessDeniedException", 400, f"{words}", "PutParameter"), attempt())
    assert (found.statements, found.hint) == ((), "its policy, or the key's, must allow kms:Encrypt")


@pytest.mark.parametrize(
    ("message", "arn"),
    [
        (f"x on resource: {ARN}.", ARN),
        ("arn:aws-cn:sts::210987654321:assumed-role/x", "arn:aws-cn:ssm:eu-west-1:210987654321:parameter/a/b"),
        ("", "arn:aws:ssm:eu-west-1:*:parameter/a/b"),
    ],
)
def test_the_parameter_whoever_names_it(message: str, arn: str) -> None:
    assert failures._arn(message, attempt()) == arn


def test_a_call_that_was_for_the_keys_is_no_answer_about_the_parameter() -> None:
    found = explain(refused("AccessDenied", 403, "no", "AssumeRole"), attempt())
    assert (found.denied, found.statements) == (True, ())
    assert "did not get keys: AWS refused AssumeRole: no" in found.message


@pytest.mark.parametrize("code", ["ParameterNotFound", "ParameterVersionNotFound", "ParameterAlreadyExists", "Other"])
def test_what_waiting_does_not_help_is_wrong(code: str) -> None:
    found = explain(refused(code), attempt())
    assert found.wrong
    assert isinstance(found.of_source(), PassphraseError)
    assert not isinstance(found.of_source(), SourceUnavailable)
    assert not explain(refused(code, 500), attempt()).wrong or code != "Other"
    assert explain(refused("Other", 499), attempt()).wrong


@pytest.mark.parametrize("field", ["wrong", "denied", "again", "error", None])
def test_a_write_is_open_where_nothing_was_refused(field: str | None) -> None:
    changes: dict[str, Any] = {} if field is None else {field: ConfigError("x") if field == "error" else True}
    assert Failure(message="x", **changes).is_open is (field is None)


@pytest.mark.parametrize(("length", "shown"), [(300, 300), (301, 301), (5000, 301)])
def test_a_message_is_bounded_and_holds_no_secret(length: int, shown: int) -> None:
    assert len(attempt().clean("x" * length)) == shown
    assert attempt().clean("a s3cr3t\n\x1b[1m\u202eb") == "a *** [1m b"


@pytest.mark.parametrize(
    "error",
    [
        exceptions.CredentialRetrievalError(provider="custom-process", error_msg="s3cr3t"),
        exceptions.PartialCredentialsError(provider="p", cred_var="v"),
        exceptions.SSLError(endpoint_url="u", error="s3cr3t"),
        exceptions.EndpointConnectionError(endpoint_url="u"),
        exceptions.ReadTimeoutError(endpoint_url="u"),
        exceptions.ConnectionClosedError(endpoint_url="u"),
        ValueError("s3cr3t"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("has_keys", [True, False])
def test_no_text_of_the_sdk_is_passed_on(error: Exception, has_keys: bool) -> None:
    found = explain(error, attempt(), has_keys=has_keys)
    assert "s3cr3t" not in repr(found)
    assert not found.again


# -- the value, and a value to put -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["String", "StringList", "securestring", ""])
def test_only_a_secure_string_is_used(kind: str) -> None:
    with pytest.raises(PassphraseError, match="kept in the clear"):
        source._passphrase(source._Found(kind, Secret("v")), "p")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("v\n", "v"), ("v\r\n", "v"), ("v\n\n", "v\n"), ("v\r", "v\r"), (" v ", " v "), ("\n", None)],
)
def test_one_line_end_goes(value: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(PassphraseError, match="is empty"):
            source._passphrase(source._Found("SecureString", Secret(value)), "p")
    else:
        assert source._passphrase(source._Found("SecureString", Secret(value)), "p") == Secret(expected)


def described(**changes: Any) -> Any:
    found = {"Arn": KEY, "KeyState": "Enabled", "KeyManager": "CUSTOMER", **changes}
    return lambda _service: SimpleNamespace(describe_key=lambda **_: {"KeyMetadata": found})


def test_a_key_is_named_by_its_arn() -> None:
    assert put_parameter._key_arn(described(), "alias/x", attempt()) == KEY
    assert put_parameter._key_arn(described(KeySpec="SYMMETRIC_DEFAULT"), "alias/x", attempt()) == KEY


@pytest.mark.parametrize(
    "changes",
    [{"KeyState": "Disabled"}, {"KeyState": "PendingDeletion"}, {"KeySpec": "RSA_2048"}, {"KeyManager": "AWS"}],
)
def test_a_key_that_cannot_be_meant(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="KMS key alias/x"):
        put_parameter._key_arn(described(**changes), "alias/x", attempt())


@pytest.mark.parametrize(
    ("code", "key", "taken"),
    [
        ("AccessDeniedException", KEY, True),
        ("AccessDeniedException", "alias/x", False),
        ("NotFoundException", KEY, False),
    ],
)
def test_a_key_that_is_not_shown_is_taken_by_its_arn_where_only_the_look_is_denied(
    code: str, key: str, taken: bool
) -> None:
    def describe(**_: Any) -> Any:
        raise refused(code, action="DescribeKey")

    def clients(_service: str) -> Any:
        return SimpleNamespace(describe_key=describe)

    if taken:
        assert put_parameter._key_arn(clients, key, attempt()) == key
    else:
        with pytest.raises(SessionError, match="KMS does not show"):
            put_parameter._key_arn(clients, key, attempt())


def test_without_a_key_of_ones_own_a_reader_needs_one_statement() -> None:
    plain = put_parameter.Put("/a/b", ARN, "eu-west-1", 1, None)
    assert [one["Action"] for one in plain.policy["Statement"]] == ["ssm:GetParameter"]
    own = put_parameter.Put("/a/b", ARN, "eu-west-1", 1, KEY)
    assert [one["Action"] for one in own.policy["Statement"]] == ["ssm:GetParameter", "kms:Decrypt"]
    assert own.policy["Statement"][1]["Condition"]["StringEquals"] == {"kms:EncryptionContext:PARAMETER_ARN": ARN}


# -- identities --------------------------------------------------------------------------------------------------------


def test_who_gives_keys_does_not_ask_for_them(tmp_path: Path) -> None:
    looped = FakeContext(tmp_path, recursions={"p": "config:1"})
    with pytest.raises(ConfigError, match="it would run awsv again: config:1"):
        identities.refuse_loop(looped, Identity("profile", "p"), "/a")
    identities.refuse_loop(looped, Identity("profile", "q"), "/a")
    asking = FakeContext(tmp_path, environ={"AWS_VAULT_SSM_ASKING": ""})
    for who in (Identity("profile", "q"), Identity("imds")):
        with pytest.raises(ConfigError, match="ran awsv again"):
            identities.refuse_loop(asking, who, "/a")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("empty", [True, False])
def test_half_a_key_is_none(missing: str, empty: bool) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": ""}
    assert identities._from_variables(environ).session_token is None
    environ = {**environ, missing: ""} if empty else {name: environ[name] for name in environ if name != missing}
    with pytest.raises(PassphraseError, match=f"names the environment, and {missing} is not set"):
        identities._from_variables(environ)


@pytest.mark.parametrize(
    ("profiles", "runs", "asks"),
    [
        ({"p": {}}, False, False),
        ({"p": {"credential_process": "x"}}, True, False),
        ({"p": {"role_arn": "r", "source_profile": "q"}, "q": {"credential_process": "x"}}, True, False),
        ({"p": {"source_profile": "q"}, "q": {"credential_process": "x"}}, False, False),
        ({"p": {"mfa_serial": "m"}}, False, False),
        ({"p": {"role_arn": "r", "mfa_serial": "m"}}, False, True),
        ({"p": {"role_arn": "r", "source_profile": "q"}, "q": {"role_arn": "r", "mfa_serial": "m"}}, False, True),
        ({"p": {"role_arn": "r", "source_profile": "p"}}, False, False),
        ({"p": {"role_arn": "r", "source_profile": "q"}, "q": {"role_arn": "r", "source_profile": "p"}}, False, False),
    ],
)
def test_what_a_profile_leads_to(profiles: dict[str, Any], runs: bool, asks: bool) -> None:
    session = SimpleNamespace(full_config={"profiles": profiles})
    assert identities.runs_program(session, Identity("profile", "p")) is runs
    assert not identities.runs_program(session, Identity("imds"))
    if asks:
        with pytest.raises(ConfigError, match="needs an MFA code"):
            identities._refuse_mfa(profiles, "p")
    else:
        identities._refuse_mfa(profiles, "p")


def test_profiles_in_a_circle_are_each_looked_at_once() -> None:
    circle = {"p": {"role_arn": "r", "source_profile": "q"}, "q": {"role_arn": "r", "source_profile": "p"}}
    assert [name for name, _ in islice(identities._chain(circle, "p"), 9)] == ["p", "q"]


@pytest.mark.parametrize(
    ("endpoint", "good"),
    [
        ("http://169.254.169.254", True),
        ("http://[fd00:ec2::254]/", True),
        ("http://127.0.0.1:1", True),
        ("http://169.254.169.253", False),
        ("http://evil.example", False),
        ("http://169.254.169.254.evil.example", False),
        ("nothing", False),
    ],
)
def test_keys_of_the_machine_come_from_the_machine(endpoint: str, good: bool) -> None:
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint}
    session = SimpleNamespace(user_agent=lambda: "x")
    if good:
        identities._machine(session, environ)
    else:
        with pytest.raises(ConfigError, match="is no metadata service"):
            identities._machine(session, environ)
