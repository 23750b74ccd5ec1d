"""Lines of ours in the config: what they are followed to, and what beside them contradicts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault_core.awsconfig.credential_process import propose
from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import ConfigError
from vault_core.sessions.profiles import Profiles, own_profile


def profiles(config: str, environ: dict[str, str]) -> Profiles:
    return Profiles(AwsConfig.parse(config.encode(), b"", Path("c"), Path("d")), environ)


def test_a_role_of_the_environment_does_not_contradict_a_line_of_ours() -> None:
    config = "[profile p]\ncredential_process = awsv exec -j base\n"
    chain = profiles(config, {"AWS_ROLE_ARN": "arn:aws:iam::1:role/R"}).chain("p")
    assert [one.name for one in chain] == ["p", "base"]
    assert [one.role for one in chain] == [True, False]


@pytest.mark.parametrize("key", ["vault_role_arn", "vault_source_profile"])
def test_a_role_of_the_config_contradicts_a_line_of_ours(key: str) -> None:
    config = f"[profile p]\ncredential_process = awsv exec -j base\n{key} = other\n"
    with pytest.raises(ConfigError, match=r"which names another profile or role$"):
        profiles(config, {}).chain("p")
    assert len(profiles(config.replace("other", "base"), {}).chain("p")) == 2


@pytest.mark.parametrize("option", ["--backend=x", "--backend x", "--region=r", "-t 1", "--nested", "-n", "-d 1h"])
def test_a_line_with_an_option_that_means_other_credentials_is_not_followed(option: str) -> None:
    with pytest.raises(ConfigError, match=r"^the credential_process line runs awsv with -"):
        own_profile(f"awsv exec {option} work")


@pytest.mark.parametrize(
    "line",
    [
        "awsv exec -j work",
        "/opt/awsv exec --json work",
        "aws-vault export --format=json work",
        "aws-vault export --format json work",
        "awsv --debug --no-input exec -j -- work",
        "awsv --prompt=terminal exec -j work",
        "awsv --prompt terminal exec -j work",
    ],
)
def test_a_line_that_prints_a_profiles_credentials_is_followed(line: str) -> None:
    assert own_profile(line) == "work"


@pytest.mark.parametrize("line", ["", "other exec -j work", "awsv list work", "awsv exec -j work more", "awsv exec '"])
def test_a_line_that_asks_for_nobodys_credentials_is_not_followed(line: str) -> None:
    assert own_profile(line) is None


@pytest.mark.parametrize(("region", "taken"), [("eu-west-1", True), ("\n  a = b", False), ("", False)])
def test_a_second_profile_has_the_region_of_the_first(region: str, taken: bool) -> None:
    raw = f"[profile a]\nregion ={' ' if taken else ''}{region}\nrole_arn = r\n".encode()
    config = AwsConfig.parse(raw, b"", Path("c"), Path("d"))
    proposal = propose(config, raw, ["a"], Path("/bin/awsv"), as_name="b")
    assert proposal.changed == ["b"]
    after = AwsConfig.parse(proposal.after, b"", Path("c"), Path("d")).profiles["b"]
    assert after.get("region") == (region if taken else None)
    assert after.get("credential_process") == "/bin/awsv exec -j a"
