"""What an AWS profile comes to: chains, variables, endpoints, and lines that mean awsv itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import ConfigError, UsageError
from vault_core.sessions.profiles import LONGEST_CHAIN, Profiles, duration, own_profile, seconds_of
from vault_core.settings import DEFAULTS, PROFILE_SETTINGS

FILE = Path("/home/u/.aws/config")


CREDENTIALS = FILE.with_name("credentials")


def profiles(config: str, environ: Mapping[str, str] | None = None, credentials: str = "") -> Profiles:
    return Profiles(AwsConfig.parse(config.encode(), credentials.encode(), FILE, CREDENTIALS), environ or {})


@pytest.mark.parametrize("setting", sorted(DEFAULTS))
def test_profile_with_a_setting_that_is_not_for_profiles_is_refused(setting: str) -> None:
    found = profiles(f"[profile p]\nvault_{setting} = x\n")
    if setting in PROFILE_SETTINGS:
        assert found.profile("p", target=True).keys == {f"vault_{setting}": "x"}
        return
    with pytest.raises(ConfigError) as refused:
        found.profile("p", target=True)
    assert f"vault_{setting} ({FILE}:2) has no effect" in refused.value.message
    assert f"AWS_VAULT_{setting.upper()}" in (refused.value.hint or "")


# -- durations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600),
        ("90m", 5400),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("0", 0),
        ("0s", 0),
        ("7d", 604800),
        ("1d1h", 90000),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1w", "-1", "1.5h", "1 h", "٣", "1h 30m", "1h30", "+5"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        duration(text)
    with pytest.raises(ConfigError, match="AWS_X: "):
        seconds_of("AWS_X", text)


# -- credential_process ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "profile"),
    [
        ("awsv exec -j work", "work"),
        ("/opt/bin/awsv exec --json work", "work"),
        ("aws-vault exec -j work", "work"),
        ("/usr/local/bin/aws-vault --debug exec work --json", "work"),
        ('"/with space/awsv" export --format json "my profile"', "my profile"),
        ("awsv export --format=json work", "work"),
        ("awsv exec -j -- work", "work"),
        ("awsv --no-input exec -j work", "work"),
        ("aws-vault --prompt=ykman exec -j work", "work"),
        ("aws-vault exec -j --prompt osascript work", "work"),
        ("awsv exec -j work -- other", None),
        ("awsv list", None),
        ("awsv", None),
        ("awsv exec -j", None),
        ("awsv exec work echo", None),
        ("sh -c 'awsv exec -j work'", None),
        ("my-awsv exec -j work", None),
        ("awsv exec 'open", None),
        ("", None),
    ],
)
def test_which_lines_are_ours(line: str, profile: str | None) -> None:
    assert own_profile(line) == profile


@pytest.mark.parametrize("option", ["--backend x", "-d 1h", "--no-session", "-t 1", "--file-dir=/x", "--region r"])
def test_a_line_of_ours_that_asks_for_something_else_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=f"runs awsv with {option.split()[0].split('=')[0]}, which"):
        own_profile(f"awsv exec -j {option} work")


@pytest.mark.parametrize("option", ["--hashicorp-secret-id CANARY", "--hashicorp-password=CANARY"])
def test_a_secret_in_a_line_of_before_is_not_shown(option: str) -> None:
    """Such flags were there once."""
    with pytest.raises(ConfigError, match=r"runs awsv with --hashicorp-(secret-id|password), which") as refused:
        own_profile(f"awsv exec -j {option} work", "work")
    assert "CANARY" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("option", ["-n", "--no-session", "-d 2h", "--duration 2h", "-d 2h -n"])
def test_a_line_that_asks_for_its_own_profile_may_say_what_kind_of_session(option: str) -> None:
    assert own_profile(f"aws-vault exec -j {option} work", "work") == "work"


@pytest.mark.parametrize("option", ["--backend x", "-n --file-dir=/x"])
def test_not_even_for_itself_from_another_store(option: str) -> None:
    with pytest.raises(ConfigError, match="which awsv does not follow"):
        own_profile(f"awsv exec -j {option} work", "work")


# -- chains ------------------------------------------------------------------------------------------------------------


def names(config: str, name: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return [profile.name for profile in profiles(config, environ).chain(name)]


def test_chains() -> None:
    config = "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = c\nrole_arn = x\n[profile d]\n"
    assert names(config, "a") == ["a", "b", "c"]
    assert names(config, "c") == ["c"], "a stored name needs no section"
    assert names(config, "d") == ["d"]
    assert names("[profile me]\nsource_profile = me\nrole_arn = x\n", "me") == ["me"]


def test_a_profile_does_not_inherit_from_default() -> None:
    found = profiles("[default]\nrole_arn = x\nsource_profile = y\n[profile a]\n").profile("a", target=True)
    assert (found.keys, found.source) == ({}, None)


@pytest.mark.parametrize(
    ("config", "circle"),
    [
        ("[profile a]\nsource_profile = b\n[profile b]\nsource_profile = a\n", "a → b → a"),
        ("[profile a]\nsource_profile = b\n[profile b]\ncredential_process = awsv exec -j a\n", "a → b → a"),
        ("[profile a]\nsource_profile = b\n[profile b]\nvault_source_profile = a\nrole_arn = x\n", "a → b → a"),
        (
            "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = c\n[profile c]\nsource_profile = b\n",
            "a → b → c → b",
        ),
    ],
)
def test_a_circle_is_named_with_its_place(config: str, circle: str) -> None:
    with pytest.raises(ConfigError, match=f"source_profile cycle: {circle}") as caught:
        profiles(config).chain("a")
    assert caught.value.hint
    assert f"{FILE}:" in caught.value.hint


def chain_of(length: int) -> str:
    """Roles, each on the next, the last one on a stored key."""
    return "".join(f"[profile p{n}]\nrole_arn = r\nsource_profile = p{n + 1}\n" for n in range(length))


def test_a_long_chain_is_followed() -> None:
    assert len(names(chain_of(LONGEST_CHAIN), "p0")) == LONGEST_CHAIN + 1


@pytest.mark.parametrize("length", [LONGEST_CHAIN + 1, 200, 5_000])
def test_a_chain_without_end_is_refused_with_its_place(length: int) -> None:
    with pytest.raises(ConfigError, match=f"'p0' has a chain of more than {LONGEST_CHAIN} source profiles") as caught:
        names(chain_of(length), "p0")
    assert "config:" in (caught.value.hint or "")


def test_renamed_keys_win() -> None:
    config = "[profile a]\nrole_arn = old\nvault_role_arn = new\nvault_source_profile = b\nvault_mfa_serial = m\n"
    found = profiles(config).profile("a", target=True)
    assert dict(found.keys) == {"role_arn": "new", "source_profile": "b", "mfa_serial": "m"}
    assert found.origins["role_arn"] == f"{FILE}:3"


def test_variables_that_speak_of_the_role_are_the_targets_alone() -> None:
    environ = {"AWS_ROLE_ARN": "x", "AWS_ROLE_SESSION_NAME": "me", "AWS_SESSION_TAGS": "a=b", "AWS_MFA_SERIAL": "m"}
    found = profiles("[profile a]\nsource_profile = b\n", environ)
    target, source = found.chain("a")
    assert (target.keys["role_arn"], target.keys["role_session_name"], target.keys["session_tags"]) == (
        "x",
        "me",
        "a=b",
    )
    assert dict(source.keys) == {"mfa_serial": "m"}
    assert target.origins["role_arn"] == "AWS_ROLE_ARN"


@pytest.mark.parametrize(
    "key",
    [
        "sso_start_url",
        "sso_session",
        "sso_account_id",
        "web_identity_token_file",
        "web_identity_token_process",
        "credential_source",
        "mfa_process",
        "include_profile",
        "login_session",
    ],
)
def test_what_is_not_understood_is_refused_by_name(key: str) -> None:
    with pytest.raises(ConfigError, match=f"profile 'a' needs {key} \\({FILE}:2\\)"):
        profiles(f"[profile a]\n{key} = x\n").chain("a")
    with pytest.raises(ConfigError, match=f"profile 'a' needs {key}"):
        profiles(f"[profile a]\n{key} = x\n[profile b]\nsource_profile = a\n").chain("b")


def test_another_programs_credential_process_is_refused() -> None:
    with pytest.raises(ConfigError, match="profile 'a' needs credential_process"):
        profiles("[profile a]\ncredential_process = /bin/other\n").chain("a")
    with pytest.raises(ConfigError, match="profile 'a' needs credential_process"):
        profiles("[profile a]\ncredential_process = /bin/other\n[profile b]\nsource_profile = a\n").chain("b")


# -- region and endpoint -----------------------------------------------------------------------------------------------

SERVICES = "[services local]\nsts =\n  endpoint_url = http://services\n"


@pytest.mark.parametrize(
    ("config", "environ", "endpoint"),
    [
        ("", {}, None),
        ("endpoint_url = http://profile\n", {}, "http://profile"),
        ("endpoint_url = http://profile\n", {"AWS_ENDPOINT_URL": "http://all"}, "http://all"),
        ("", {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_STS": "http://sts"}, "http://sts"),
        (f"services = local\n{SERVICES}", {}, "http://services"),
        (f"services = local\nendpoint_url = http://profile\n{SERVICES}", {}, "http://services"),
        ("endpoint_url = http://profile\n", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
        (f"services = local\n{SERVICES}", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"}, None),
    ],
)
def test_the_endpoint(config: str, environ: dict[str, str], endpoint: str | None) -> None:
    found = profiles(f"[profile a]\n{config}", environ).profile("a", target=True)
    assert found.keys.get("endpoint_url") == endpoint


@pytest.mark.parametrize(
    ("config", "environ", "region"),
    [
        ("", {}, None),
        ("region = a\n", {"AWS_REGION": "b"}, "a"),
        ("", {"AWS_REGION": "b", "AWS_DEFAULT_REGION": "c"}, "b"),
        ("", {"AWS_DEFAULT_REGION": "c"}, "c"),
        ("region =\n", {"AWS_DEFAULT_REGION": "c"}, "c"),
    ],
)
def test_the_region_of_sts(config: str, environ: dict[str, str], region: str | None) -> None:
    assert profiles(f"[profile a]\n{config}", environ).profile("a", target=True).keys.get("region") == region


# -- hints -------------------------------------------------------------------------------------------------------------


def test_near_names_are_shown() -> None:
    found = profiles("[profile production]\n[profile staging]\n")
    assert found.suggestions("prodction") == "did you mean 'production'?"
    assert found.suggestions("wrok", ["work"]) == "did you mean 'work'?"
    assert "awsv list" in found.suggestions("zzz")


# -- settings of the credentials file ----------------------------------------------------------------------------------


def test_a_role_in_the_credentials_file_alone() -> None:
    chain = profiles("[profile base]\n", credentials="[r]\nrole_arn = arn:x\nsource_profile = base\n").chain("r")
    assert [profile.name for profile in chain] == ["r", "base"]
    assert chain[0].origins == {"role_arn": f"{CREDENTIALS}:2", "source_profile": f"{CREDENTIALS}:3"}


def test_a_setting_of_the_credentials_file_wins_and_is_named() -> None:
    both = profiles("[profile a]\nregion = x\nmfa_serial = m\n", credentials="[a]\n\nregion = y\n")
    profile = both.profile("a", target=True)
    assert profile.keys == {"region": "y", "mfa_serial": "m"}
    assert profile.origins == {"region": f"{CREDENTIALS}:3", "mfa_serial": f"{FILE}:3"}
    assert both.endpoint("a") == {"region": "y"}


def test_plain_keys_of_the_credentials_file_are_no_part_of_a_profile() -> None:
    credentials = "[a]\naws_access_key_id = K\naws_secret_access_key = S\naws_session_token = T\nregion = x\n"
    assert profiles("", credentials=credentials).profile("a", target=True).keys == {"region": "x"}


def test_a_process_in_the_credentials_file_means_what_it_means_in_the_config() -> None:
    config = "[profile a]\ncredential_process = awsv exec -j a\n"
    for asked, chain in (("a", ["a"]), ("b", ["a", "b"])):
        credentials = f"[a]\ncredential_process = /opt/awsv exec -j {asked}\n"
        assert [one.name for one in profiles(config, credentials=credentials).chain("a")] == chain
    with pytest.raises(ConfigError, match=rf"needs credential_process \({CREDENTIALS}:2\)"):
        profiles(config, credentials="[a]\ncredential_process = other\n").chain("a")


def test_what_is_not_understood_is_refused_in_the_credentials_file_too() -> None:
    with pytest.raises(ConfigError, match=rf"needs sso_session \({CREDENTIALS}:2\)"):
        profiles("[profile a]\n", credentials="[a]\nsso_session = s\n").chain("a")


def test_near_names_of_the_credentials_file_are_shown() -> None:
    credentials = "[staging]\nregion = x\n[production]\naws_access_key_id = K\naws_secret_access_key = S\n"
    found = profiles("", credentials=credentials)
    assert found.suggestions("stagin") == "did you mean 'staging'?"
    assert "did you mean" not in found.suggestions("productio")


@pytest.mark.parametrize("source", ["", "source_profile = me\n"], ids=["none", "itself"])
def test_chain_of_role_on_its_own_credentials_refuses_a_foreign_process(source: str) -> None:
    config = (
        f"[profile me]\nrole_arn = arn:aws:iam::123456789012:role/Reader\n{source}credential_process = /bin/other\n"
    )
    with pytest.raises(ConfigError, match="credential_process"):
        profiles(config).chain("me")
