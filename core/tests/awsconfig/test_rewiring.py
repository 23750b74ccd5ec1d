"""Config lines that run aws-vault, and which of them run awsv for the same profile afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault_core.awsconfig.rewiring import propose


def asked_by_words(value: str) -> str | None:
    words = [word for word in value.split()[1:] if not word.startswith("-") and word not in ("exec", "export", "json")]
    return words[0] if words else None


def rewired(line: str, header: str = "profile a", *, served: bool = True) -> tuple[str, list[str], dict[str, str]]:
    raw = f"[{header}]\n# note\ncredential_process = {line}\nregion = x\n".encode()
    found = propose(raw, Path("c"), Path("/bin/awsv"), asked_by_words, lambda _: served)
    return found.after.decode(), found.changed, found.left


@pytest.mark.parametrize(
    "line",
    [
        "aws-vault exec -j work",
        "/opt/aws-vault exec --json work",
        "aws-vault exec work --json",
        "aws-vault export --format=json work",
        "aws-vault export --format json -- work",
    ],
)
def test_a_line_that_prints_credentials_and_nothing_else_runs_awsv(line: str) -> None:
    after, changed, left = rewired(line)
    assert after == "[profile a]\n# note\ncredential_process = /bin/awsv exec -j work\nregion = x\n"
    assert (changed, left) == (["a"], {})


@pytest.mark.parametrize("line", ["aws-vault exec -j --mfa-token 1 work", "aws-vault exec work -- env", "aws-vault"])
def test_a_line_with_options_of_its_own_stays(line: str) -> None:
    after, changed, left = rewired(line)
    assert (f"= {line}\n" in after, changed) == (True, [])
    assert left["c:3"].startswith("runs aws-vault with options of its own")


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("other exec -j work", "profile a"),
        ("'aws-vault exec", "profile a"),
        ("aws-vault exec -j work", "sso-session a"),
    ],
)
def test_a_line_of_something_else_is_not_looked_at(line: str, header: str) -> None:
    after, changed, left = rewired(line, header)
    assert (f"= {line}\n" in after, changed, left) == (True, [], {})


def test_a_profile_that_awsv_could_not_serve_keeps_its_line() -> None:
    after, changed, left = rewired("aws-vault exec -j work", served=False)
    assert ("= aws-vault exec -j work\n" in after, changed) == (True, [])
    assert left == {"c:3": "asks for 'work', which awsv could not give it"}
