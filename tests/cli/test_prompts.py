"""The snippets of ``docs/prompts.md``, as they are there, in the real shells: what they show, and what they start."""

from __future__ import annotations

import re
import shutil
import time
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support import documents, parts
from support.home import Home
from support.vaults import offline

PAGE = Path(__file__).parents[2] / "docs/prompts.md"

SHOW = {
    "bash": ("--norc", "-c", '. ~/.bashrc; awsv_prompt; printf "%s\\n" "${PS1@P}"'),
    "zsh": ("-f", "-c", "setopt prompt_subst; . ~/.zshrc; awsv_prompt; print -P -- $PROMPT"),
    "fish": ("-c", "awsv_prompt"),
}
"""The arguments with which each shell prints its prompt."""

RED, CYAN = "31m", "36m"
ENDS = ["2027-01-01T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z", "2099-12-31T08:09:09Z"]
ENDS += ["2100-02-28T12:00:00Z", "2100-03-01T12:00:00Z", "2400-02-29T00:00:01Z"]
"""Around the leap days of three kinds of year, with digits that C would read as octal."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user who has every snippet of the page."""
    home = offline(tmp_path)
    written = [fence for fence in documents.fences(PAGE) if fence.mark == "file"]
    assert {fence.argument for fence in written} == {
        ".bashrc",
        ".zshrc",
        ".config/fish/config.fish",
        ".config/starship.toml",
    }
    for fence in written:
        fence.write(home.path)
    return home


def program(shell: str) -> str:
    return parts.need(shell, shutil.which(shell), how=f"apt-get install {shell}")


def shown(home: Home, shell: str, profile: str | None, ends: str | None, **env: str) -> str:
    """The prompt of a shell in which no program can be found."""
    variables = {"AWS_VAULT": profile, "AWS_CREDENTIAL_EXPIRATION": ends, "PATH": "/nowhere", **env}
    done = home.run(program(shell), *SHOW[shell], env=variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def text(prompt: str) -> str:
    """A prompt without colours."""
    return re.sub(r"\x1b(\[[0-9;]*m|\(B)|[\x01\x02]", "", prompt).strip()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("shell", SHOW)
def test_prompt_shows_the_minutes_that_are_left(shell: str, zone: str, home: Home) -> None:
    for ends in ENDS if zone != "UTC" else ENDS[:1]:
        end = int(datetime.fromisoformat(ends).timestamp())
        before = time.time()
        found = re.fullmatch(r"work (\d+)h(\d+)m.*", text(shown(home, shell, "work", ends, TZ=zone)))
        assert found, ends
        minutes = int(found[1]) * 60 + int(found[2])
        assert int(found[2]) < 60
        assert (end - int(time.time())) // 60 <= minutes <= (end - int(before)) // 60, ends


@pytest.mark.parametrize("shell", SHOW)
def test_prompt_says_that_a_session_has_ended(shell: str, home: Home) -> None:
    ended = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert text(shown(home, shell, "work", ended)).startswith("work ended")


@pytest.mark.parametrize("ends", [None, "", "soon", "2027-13"])
@pytest.mark.parametrize("shell", SHOW)
def test_prompt_without_a_time_shows_the_profile_alone(shell: str, ends: str | None, home: Home) -> None:
    assert re.fullmatch(r"work\W*(\w*-[\d.]+\W*)?", text(shown(home, shell, "work", ends)))


@pytest.mark.parametrize("shell", SHOW)
def test_prompt_outside_of_exec_is_the_one_before(shell: str, home: Home) -> None:
    for profile in (None, ""):
        outside = shown(home, shell, profile, ENDS[0])
        assert not re.search(r"\d+h\d+m", outside)
        assert CYAN not in outside


@pytest.mark.parametrize(
    ("profile", "colour"), [("team-prod", RED), ("prod-eu", RED), ("admin", RED), ("work", CYAN), ("pro-d", CYAN)]
)
@pytest.mark.parametrize("shell", SHOW)
def test_prompt_has_another_colour_for_dangerous_names(shell: str, profile: str, colour: str, home: Home) -> None:
    prompt = shown(home, shell, profile, ENDS[0])
    assert {one for one in (RED, CYAN) if one in prompt} == {colour}


@pytest.mark.parametrize("shell", SHOW)
def test_prompt_neither_runs_nor_interprets_a_profile_name(shell: str, home: Home) -> None:
    hostile = "$(echo hit>hit)`echo hit>hit`%F{red}%n\\u\\w"
    prompt = text(shown(home, shell, hostile, ENDS[0]))
    assert prompt.startswith(f"{hostile} ")
    assert list(home.cwd.iterdir()) == []
    escape = shown(home, shell, "a\x1b]0;title\x07b", ENDS[0])
    assert "\x1b]" not in escape
    assert "\x07" not in escape


@pytest.mark.parametrize("shell", SHOW)
def test_prompt_follows_the_variables_of_an_interactive_shell(shell: str, home: Home) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=2, minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = home.spawn("-i", program=program(shell), env={"AWS_VAULT": "work", "AWS_CREDENTIAL_EXPIRATION": ends})
    run.expect(r"work[^\w\n]* 2h\d+m")
    for command, then in (
        ("export AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z", r"work[^\w\n]* ended"),
        ("export AWS_VAULT=team-prod", r"team-prod[^\w\n]* ended"),
        ("false", r"team-prod[^\w\n]* ended"),
    ):
        run.sendline(command)
        run.expect(then)
    run.sendline("exit 7")
    run.expect([r"exit"])
    run.close()


def test_bash_prompt_leaves_the_status_of_the_last_command(home: Home) -> None:
    bashrc = home.path / ".bashrc"
    bashrc.write_text("PS1='<$?>'\nPROMPT_COMMAND=:\n" + bashrc.read_text(encoding="utf-8"), encoding="utf-8")
    run = home.spawn("-i", program=program("bash"), env={"AWS_VAULT": "work"})
    run.expect("work.*<0>")
    run.sendline("(exit 7)")
    run.expect("work.*<7>")
    run.close()


def starship(home: Home, names: Sequence[str]) -> list[bool]:
    """Whether the snippet's command finds each name dangerous, without Starship."""
    config = tomllib.loads((home.path / ".config/starship.toml").read_text(encoding="utf-8"))
    custom = config["custom"]["dangerous"]
    return [
        home.run("/usr/bin/env", *custom["shell"], input=custom["when"], env={"AWS_VAULT": name}).returncode == 0
        for name in names
    ]


def test_starship_shows_profile_and_time_and_warns(home: Home) -> None:
    names = ["team-prod", "admin", "work", ""]
    assert starship(home, names) == [True, True, False, False]
    binary = shutil.which("starship")
    if binary is None:
        parts.miss("Starship", how="https://starship.rs; the command of its snippet was run without it")
    env = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    env |= {"AWS_CREDENTIAL_EXPIRATION": "2099-12-31T08:09:09Z"}
    for name, dangerous in zip(names[:3], (True, True, False), strict=True):
        done = home.run(binary, "prompt", env={**env, "AWS_VAULT": name})
        assert re.search(rf"{name} \d+d\d+h", text(done.stdout)), done
        assert ("DANGEROUS" in done.stdout) == dangerous
    done = home.run(
        binary, "prompt", env={**env, "AWS_VAULT": "work", "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"}
    )
    assert "work ended" in text(done.stdout)


def test_links_of_the_page_lead_somewhere() -> None:
    assert documents.dead_links(PAGE) == []
