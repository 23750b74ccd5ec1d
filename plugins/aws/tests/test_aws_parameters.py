"""From profile to parameters: only what is set, and each mistake named with its profile and its key."""

from __future__ import annotations

import json
import time

import pytest

from vault_core.api import ConfigError, Profile, SourceNeed
from vault_plugin_aws.plugin import vault_session_providers

SPEC, _ = vault_session_providers()
ROLE = "arn:aws:iam::123456789012:role/team/Deploy"
MFA = "arn:aws:iam::123456789012:mfa/phone"


def parameters(**keys: str) -> dict[str, object]:
    return dict(SPEC.parameters({}, Profile(name="prod", keys=keys)))


def refused(**keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parameters(**keys)
    assert caught.value.message.startswith("profile 'prod': ")
    return caught.value.message


def test_the_provider_needs_a_source() -> None:
    assert (SPEC.name, SPEC.source) == ("sts", SourceNeed.REQUIRED)


def test_without_a_role_it_is_a_session_token() -> None:
    assert parameters() == {"action": "GetSessionToken", "duration_seconds": 3600}


def test_a_session_token_takes_nothing_of_a_role() -> None:
    found = parameters(external_id="x1", session_tags="a=b", source_identity="me", role_session_name="me", region="r-1")
    assert found == {"action": "GetSessionToken", "duration_seconds": 3600, "region": "r-1"}


def test_a_role_with_everything() -> None:
    found = parameters(
        role_arn=ROLE,
        role_session_name="alice@laptop",
        external_id="id:1/2",
        duration_seconds="7200",
        mfa_serial=MFA,
        region="eu-west-1",
        session_tags="team=core, cost center=a=b,empty=",
        transitive_session_tags="Team, empty",
        source_identity="alice",
        sts_regional_endpoints="legacy",
        endpoint_url="https://sts.example.test:8443/x",
        use_fips_endpoint="true",
        use_dualstack_endpoint="yes",
        ca_bundle="/etc/ca.pem",
        output="json",
    )
    assert found == {
        "action": "AssumeRole",
        "role_arn": ROLE,
        "role_session_name": "alice@laptop",
        "external_id": "id:1/2",
        "duration_seconds": 7200,
        "mfa_serial": MFA,
        "region": "eu-west-1",
        "session_tags": {"team": "core", "cost center": "a=b", "empty": ""},
        "transitive_session_tags": ["Team", "empty"],
        "source_identity": "alice",
        "sts_regional_endpoints": "legacy",
        "endpoint_url": "https://sts.example.test:8443/x",
        "use_fips_endpoint": True,
        "use_dualstack_endpoint": True,
        "ca_bundle": "/etc/ca.pem",
    }
    assert json.loads(json.dumps(found)) == found


def test_a_default_that_is_written_down_changes_nothing() -> None:
    plain = parameters(role_arn=ROLE)
    same = parameters(
        role_arn=ROLE,
        duration_seconds="3600",
        sts_regional_endpoints="regional",
        use_fips_endpoint="false",
        use_dualstack_endpoint="off",
    )
    assert plain == same == {"action": "AssumeRole", "role_arn": ROLE, "duration_seconds": 3600}


def test_service_chooses_the_duration_where_the_caller_says_so() -> None:
    profile = Profile(name="work", keys={"role_arn": ROLE}, default_duration=True, policy="{}")
    assert SPEC.parameters({}, profile) == {"action": "AssumeRole", "role_arn": ROLE, "policy": "{}"}


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws-cn:iam::123456789012:role/A",
        "arn:aws-us-gov:iam::123456789012:role/A",
        "arn:aws-eusc:iam::123456789012:role/a/b/C_d+=,.@-",
    ],
)
def test_roles_of_every_partition(arn: str) -> None:
    assert parameters(role_arn=arn)["role_arn"] == arn


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("role_arn", "Deploy"),
        ("role_arn", "arn:aws:iam::12345:role/A"),
        ("role_arn", "arn:aws:iam::123456789012:user/A"),
        ("role_arn", "arn:aws:iam::123456789012:role/A B"),
        ("role_arn", "arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/A"),
        ("role_session_name", "x"),
        ("role_session_name", "a b"),
        ("role_session_name", "x" * 65),
        ("external_id", "x"),
        ("external_id", "a b"),
        ("source_identity", "é1"),
        ("mfa_serial", "short"),
        ("mfa_serial", "arn:aws:iam::1:mfa/a b"),
        ("duration_seconds", "899"),
        ("duration_seconds", "43201"),
        ("duration_seconds", "1h"),
        ("duration_seconds", "-3600"),
        ("duration_seconds", "٣٦٠٠"),
        ("duration_seconds", "9" * 5000),
        ("session_tags", "novalue"),
        ("session_tags", "=x"),
        ("session_tags", "a=1,"),
        ("session_tags", "a=1,A=2"),
        ("session_tags", "a=" + "x" * 257),
        ("session_tags", "a=\t!"),
        ("session_tags", ",".join(f"k{n}=v" for n in range(51))),
        ("transitive_session_tags", "absent"),
        ("region", "eu west"),
        ("region", "evil.example/"),
        ("region", "-x"),
        ("sts_regional_endpoints", "global"),
        ("endpoint_url", "sts.example.test"),
        ("endpoint_url", "ftp://sts.example.test"),
        ("endpoint_url", "https://"),
        ("use_fips_endpoint", "maybe"),
        ("use_dualstack_endpoint", "2"),
    ],
)
def test_a_mistake_names_its_key(key: str, value: str) -> None:
    message = refused(**{"role_arn": ROLE, key: value})
    assert f": {key} is not " in message
    assert len(message) < 500


def test_too_many_tags_are_refused_before_they_are_compared() -> None:
    began = time.process_time()
    message = refused(role_arn=ROLE, session_tags=",".join(f"k{number}=v" for number in range(20_000)))
    assert "a list of at most 50 tags" in message
    assert time.process_time() - began < 1, "seconds; each with each takes more than ten"


@pytest.mark.parametrize(("seconds", "good"), [("129600", True), ("129601", False), ("900", True)])
def test_a_session_token_may_last_longer_than_a_role(seconds: str, good: bool) -> None:
    if good:
        assert parameters(duration_seconds=seconds)["duration_seconds"] == int(seconds)
    else:
        assert "900 to 129600" in refused(duration_seconds=seconds)


@pytest.mark.parametrize("password", ["hunter2", "h@hunter2", "h/hunter2", "h/@hunter2"])
def test_a_password_in_an_endpoint_is_not_shown(password: str) -> None:
    assert "hunter2" not in refused(endpoint_url=f"https://me:{password}@sts.example.test/?x")
