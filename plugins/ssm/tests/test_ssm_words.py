"""What the source makes of settings, answers and keys without asking AWS."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from vault_botocore.failures import explain
from vault_botocore.transport import TooLong
from vault_core.api import (
    AccessDenied,
    ConfigError,
    Credentials,
    PassphraseError,
    Secret,
    SessionError,
    SourceUnavailable,
)
from vault_plugin_ssm import choices, identities, plugin, put_parameter, source
from vault_plugin_ssm.aws_call import AwsCalls
from vault_plugin_ssm.choices import Identity
from vault_plugin_ssm.failures import MissingPermission, attempt_of, error_of_source, explain_keys
from vault_testkit.context import FakeContext

ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/a/b"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234-ab"


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
    with pytest.raises(ValueError, match="not a parameter's name"):
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


# -- refusals ----------------------------------------------------------------------------------------------------------

ATTEMPT = attempt_of(Identity("profile", "p"), "/a/b:3", "eu-west-1")


@pytest.mark.parametrize("code", ["InvalidKeyId", "DisabledException", "KMSInvalidStateException"])
def test_refusal_for_state_of_kms_key_leaves_turn_to_next_source(code: str) -> None:
    found = explain(refused(code), ATTEMPT)
    assert "is disabled, deleted or unknown" in found.error.message
    assert isinstance(found.error, SessionError)
    assert isinstance(error_of_source(found.error), SourceUnavailable)


@pytest.mark.parametrize("action", ["GetParameter", "PutParameter"])
@pytest.mark.parametrize("code", ["AccessDeniedException", "Other"])
def test_denied_call_names_missing_statement_for_a_reader_only(code: str, action: str) -> None:
    error = explain(refused(code, 403, "no", action), ATTEMPT).error
    assert isinstance(error, MissingPermission)
    assert error.hint == f"its policy must allow ssm:{action}"
    arns = [statement["Resource"] for statement in error.statements]
    assert arns == (["arn:aws:ssm:eu-west-1:*:parameter/a/b"] if action == "GetParameter" else [])
    assert error_of_source(error).args == (f"{error.message}; {error.hint}",)


@pytest.mark.parametrize("words", ["kms:Decrypt", "AWSKMS", "the ciphertext", "KMS key", "customer master key"])
def test_denied_kms_key_is_distinguished_from_parameter(words: str) -> None:
    error = explain(refused("AccessDeniedException", 400, f"{words} {KEY}."), ATTEMPT).error
    assert isinstance(error, MissingPermission)
    [statement] = error.statements
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", KEY)
    error = explain(refused("AccessDeniedException", 400, f"{words}", "PutParameter"), ATTEMPT).error
    assert isinstance(error, MissingPermission)
    assert (error.statements, error.hint) == ((), "its policy, or the key's, must allow kms:Encrypt")


@pytest.mark.parametrize(
    ("message", "arn"),
    [
        (f"x on resource: {ARN}.", ARN),
        ("arn:aws-cn:sts::210987654321:assumed-role/x", "arn:aws-cn:ssm:eu-west-1:210987654321:parameter/a/b"),
        ("", "arn:aws:ssm:eu-west-1:*:parameter/a/b"),
    ],
)
def test_arn_of_parameter_is_that_of_the_message(message: str, arn: str) -> None:
    assert ATTEMPT._arn(message) == arn


def test_denied_call_for_keys_does_not_name_the_parameter() -> None:
    error = explain(refused("AccessDenied", 403, "no", "AssumeRole"), ATTEMPT).error
    assert type(error) is AccessDenied
    assert error.message == "profile 'p' did not get keys: AWS refused AssumeRole: no"


@pytest.mark.parametrize("code", ["ParameterNotFound", "ParameterVersionNotFound", "ParameterAlreadyExists", "Other"])
def test_error_of_settings_ends_the_chain_of_sources(code: str) -> None:
    error = explain(refused(code), ATTEMPT).error
    assert type(error) is PassphraseError
    assert error_of_source(error) is error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.CredentialRetrievalError(provider="custom-process", error_msg="s3cr3t"), SessionError),
        (exceptions.UnauthorizedSSOTokenError(), SessionError),
        (exceptions.PartialCredentialsError(provider="p", cred_var="v"), PassphraseError),
        (exceptions.EndpointConnectionError(endpoint_url="u"), SessionError),
        (FileNotFoundError(2, "gone", "name"), PassphraseError),
        (OSError("s3cr3t"), SessionError),
        (ValueError("s3cr3t"), SessionError),
        (ConfigError("ours"), ConfigError),
        (TooLong("too long"), SessionError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_identity_without_keys_is_an_error_without_text_of_sdk(error: Exception, kind: type) -> None:
    found = explain_keys(error, ATTEMPT).error
    assert type(found) is kind
    assert "s3cr3t" not in f"{found.message} {found.hint}"


# -- the value, and a value to put -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["String", "StringList", "securestring", ""])
def test_only_a_secure_string_is_used(kind: str) -> None:
    with pytest.raises(PassphraseError, match="not encrypted"):
        source._passphrase("p", kind, Secret("v"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("v\n", "v"), ("v\r\n", "v"), ("v\n\n", "v\n"), ("v\r", "v\r"), (" v ", " v "), ("\n", None)],
)
def test_one_line_end_goes(value: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(PassphraseError, match="is empty"):
            source._passphrase("p", "SecureString", Secret(value))
    else:
        assert source._passphrase("p", "SecureString", Secret(value)) == Secret(expected)


def described(**changes: Any) -> Any:
    found = {"Arn": KEY, "KeyState": "Enabled", "KeyManager": "CUSTOMER", **changes}
    return lambda _service: SimpleNamespace(describe_key=lambda **_: {"KeyMetadata": found})


def test_a_key_is_named_by_its_arn() -> None:
    assert put_parameter._key_arn(described(), "alias/x", ATTEMPT) == KEY
    assert put_parameter._key_arn(described(KeySpec="SYMMETRIC_DEFAULT"), "alias/x", ATTEMPT) == KEY


@pytest.mark.parametrize(
    "changes",
    [{"KeyState": "Disabled"}, {"KeyState": "PendingDeletion"}, {"KeySpec": "RSA_2048"}, {"KeyManager": "AWS"}],
)
def test_a_key_that_cannot_be_meant(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="KMS key alias/x"):
        put_parameter._key_arn(described(**changes), "alias/x", ATTEMPT)


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
        assert put_parameter._key_arn(clients, key, ATTEMPT) == key
    else:
        with pytest.raises(SessionError, match="KMS does not describe"):
            put_parameter._key_arn(clients, key, ATTEMPT)


def test_without_a_key_of_ones_own_a_reader_needs_one_statement() -> None:
    plain = put_parameter.Put("/a/b", ARN, "eu-west-1", 1, None)
    assert [one["Action"] for one in plain.policy["Statement"]] == ["ssm:GetParameter"]
    own = put_parameter.Put("/a/b", ARN, "eu-west-1", 1, KEY)
    assert [one["Action"] for one in own.policy["Statement"]] == ["ssm:GetParameter", "kms:Decrypt"]
    assert own.policy["Statement"][1]["Condition"]["StringEquals"] == {"kms:EncryptionContext:PARAMETER_ARN": ARN}


def test_put_waits_for_twenty_seconds() -> None:
    """For the three calls together: a client's own limit is five seconds for each."""
    asked: list[Any] = []
    calls: Any = SimpleNamespace(attempt=ATTEMPT, run=lambda _work, seconds: asked.append(seconds))
    put_parameter.put(calls, Secret("canary"), None, overwrite=False)
    assert asked == [20]


@pytest.mark.parametrize("work_fails", [True, False])
def test_clients_are_closed_after_their_work(work_fails: bool, tmp_path: Path) -> None:
    log: list[str] = []

    def create(service: str, **_: object) -> Any:
        return SimpleNamespace(close=lambda: log.append(f"close {service}"))

    def work(clients: Any) -> str:
        clients("sts")
        clients("ssm")
        log.append("work")
        if work_fails:
            raise ValueError("canary")
        return "done"

    calls = object.__new__(AwsCalls)
    calls.attempt, calls._session = ATTEMPT, SimpleNamespace(create_client=create)
    done = calls._once(work, Credentials(access_key_id="AKIA", secret_access_key=Secret("canary")))
    assert (done == "done") is not work_fails
    assert log == ["work", "close ssm", "close sts"]


@pytest.mark.parametrize(
    ("parameter", "reader", "reason"),
    [
        (None, Identity("imds"), "AWS_VAULT_SSM_PARAMETER is not set"),
        ("/a", None, "AWS_VAULT_SSM_CREDENTIALS is not set"),
        (None, None, "AWS_VAULT_SSM_PARAMETER is not set"),
        ("/a", Identity("imds"), None),
        ("/a", Identity("profile", "q"), None),
        ("/a", Identity("profile", "p"), "profile 'p' would run awsv again: config:1"),
    ],
)
def test_source_is_unavailable_without_its_settings_and_in_a_loop(
    parameter: str | None, reader: Identity | None, reason: str | None, tmp_path: Path
) -> None:
    [spec] = plugin.vault_passphrase_sources()
    options = {"parameter": parameter, "credentials": reader}
    context = FakeContext(tmp_path, declared=spec.options, options=options, recursions={"p": "config:1"})
    assert spec.unavailable is not None
    assert spec.unavailable(context) == reason


# -- identities --------------------------------------------------------------------------------------------------------


def test_who_gives_keys_does_not_ask_for_them(tmp_path: Path) -> None:
    looped = FakeContext(tmp_path, recursions={"p": "config:1"})
    with pytest.raises(ConfigError, match="it would run awsv again: config:1"):
        identities.refuse_loop(looped, Identity("profile", "p"), "/a")
    identities.refuse_loop(looped, Identity("profile", "q"), "/a")
    asking = FakeContext(tmp_path, environ={"AWS_VAULT_SSM_ASKING": ""})
    for who in (Identity("profile", "q"), Identity("imds")):
        with pytest.raises(ConfigError, match="runs awsv again"):
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
        with pytest.raises(ConfigError, match="is not a metadata service"):
            identities._machine(session, environ)
