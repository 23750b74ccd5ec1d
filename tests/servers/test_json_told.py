"""What ``--json`` prints is told by the command's own help, field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.home import Home
from support.moto import MotoServer
from support.vaults import UNLOCKED, fill

DATA = {"kdf", "parameters", "settings"}
"""Fields whose own keys are names of something, not fields."""


@pytest.fixture
def home(tmp_path: Path, moto: MotoServer) -> Home:
    """One profile that can have a session, and one that cannot."""
    home = Home(tmp_path, moto.url)
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    home.configure("[profile work]\nregion = eu-west-1\n[profile none]\n")
    return home


def fields(found: Any) -> set[str]:
    if isinstance(found, list):
        return set().union(*map(fields, found))
    if not isinstance(found, dict):
        return set()
    return set(found).union(*(fields(value) for name, value in found.items() if name not in DATA))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ready", "work", "none"), 7),
        (("list",), 0),
        (("list", "--keys"), 0),
        (("rotate", "--finish", "work"), 0),
        (("inventory", "--check"), 0),
        (("explain", "work"), 0),
        (("plugins", "list"), 0),
        (("plugins", "check", "file"), 0),
        (("slot", "list"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_help_names_every_field(words: tuple[str, ...], code: int, home: Home) -> None:
    home.awsv("ready", "work", env=UNLOCKED)
    done = home.awsv(*words, "--json", env=UNLOCKED)
    assert done.returncode == code, done.stderr
    command = words[:2] if words[0] in ("plugins", "slot") else words[:1]
    told = home.awsv(*command, "--help").stdout.partition("--json prints")[2]
    for more in ("list",) if words[:2] == ("plugins", "check") else ():
        told += home.awsv("plugins", more, "--help").stdout
    named = set(told.replace(",", " ").replace(":", " ").replace(";", " ").replace("(", " ").split())
    assert fields(json.loads(done.stdout)) - named == set()


def test_moments_have_one_form(home: Home) -> None:
    [ready] = json.loads(home.awsv("ready", "work", "--json", env=UNLOCKED).stdout)
    listed = json.loads(home.awsv("list", "--json").stdout)[0]["sessions"][0]
    explained = json.loads(home.awsv("explain", "work", "--json").stdout)["steps"][-1]
    given = json.loads(home.awsv("exec", "-j", "work").stdout)
    moments = {ready["expires"], listed["expires"], explained["cached_until"], given["Expiration"]}
    assert len(moments) == 1
    assert moments.pop().endswith("Z")
