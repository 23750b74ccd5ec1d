"""A profile name is any non-empty UTF-8 of at most 255 bytes without NUL, in every command; and nothing else is."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, fill, offline, stored

pytestmark = pytest.mark.security("S21")

ROLES = {"role": "my work", "dash": "-f"}
KEY = {"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET}
OTHER = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
NAMES = {
    "plain": "work",
    "emoji": "🔑 ключ",
    "family": "👩‍👩‍👧‍👦",
    "newline": "two\nlines",
    "tab-and-bell": "\t\a",
    "escape-sequence": "\x1b[2J\x1b]0;owned\x07",
    "c1-control": "\x9b31mred",
    "right-to-left": "\u202egnp.exe",
    "slashes": "a/b//c/",
    "up": "../../etc/passwd",
    "dots": "..",
    "dot": ".",
    "encoded": ".2e.2e",
    "dashes": "--help",
    "dash": "-",
    "option-of-exec": "-j",
    "blank": " ",
    "blanks-around": "  a  ",
    "quotes": "'\"`$(touch owned)\\",
    "brackets": "[a] # ; = %s",
    "glob": "a*?[b]",
    "case": "UPPER",
    "longest": "n" * 255,
    "longest-emoji": "😀" * 63 + "abc",
    "replacement": "\ufffd\ufeff",
    "decomposed": "e\u0301",
    "one-of-a-pair": "\u00e5",
    "other-of-a-pair": "a\u030a",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return offline(tmp_path)


THOROUGH = ("emoji", "newline", "escape-sequence", "up", "dashes", "option-of-exec", "blank", "quotes", "longest-emoji")


@pytest.mark.parametrize("name", [NAMES[label] for label in THOROUGH], ids=THOROUGH)
def test_a_name_through_every_command(name: str, home: Home) -> None:
    fill(home, {"work": (KEY_ID, SECRET)})
    added = home.awsv("add", "--env", "--", name, env={**UNLOCKED, **OTHER})
    assert added.returncode == 0, added.stderr
    assert stored(home)[name] == (OTHER_ID, OTHER_SECRET)
    script = 'printf "%s:%s" "$AWS_ACCESS_KEY_ID" "$AWS_VAULT"'
    run = home.awsv("exec", "-n", "--", name, "/bin/sh", "-c", script, env=UNLOCKED)
    assert (run.returncode, run.stdout) == (0, f"{OTHER_ID}:{name}")
    explained = home.awsv("explain", "--", name, env=UNLOCKED)
    assert f"stored: {OTHER_ID}" in explained.stdout
    removed = home.awsv("remove", "--force", "--", name, env=UNLOCKED)
    assert removed.returncode == 0, removed.stderr
    assert stored(home) == {"work": (KEY_ID, SECRET)}
    for done in (added, explained, removed):
        assert_harmless(done)
    assert not (home.cwd / "owned").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("exec", "-j", "my work"), "awsv add 'my work'"),
        (("add", "--env", "role"), "awsv add 'my work'"),
        (("exec", "-j", "--", "-f"), "awsv add -- -f"),
        (("add", "--env", "dash"), "awsv add -- -f"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_command_of_a_hint_can_be_run_as_it_stands(words: tuple[str, ...], hint: str, home: Home) -> None:
    fill(home, {"work": (KEY_ID, SECRET)})
    roles = "".join(f"[profile {name}]\nrole_arn = x\nsource_profile = {source}\n" for name, source in ROLES.items())
    home.configure(f'[profile "my work"]\n[profile -f]\n{roles}')
    done = home.awsv(*words, env={**UNLOCKED, **OTHER})
    assert done.stderr.splitlines()[-1] == f"hint: {hint}"
    added = home.awsv(*shlex.split(hint)[1:], input=json.dumps(KEY), env=UNLOCKED)
    assert added.returncode == 0, added.stderr
    assert len(stored(home)) == 2


def assert_harmless(done: subprocess.CompletedProcess[str]) -> None:
    """A name cannot drive the terminal of who looks at it."""
    assert all(char == "\n" or char.isprintable() for char in done.stdout + done.stderr), done


def test_names_together_do_not_meet(home: Home) -> None:
    keys = {name: (f"AKIA{number:016d}", SECRET) for number, name in enumerate(NAMES.values())}
    fill(home, keys)
    assert stored(home) == keys
    listed = json.loads(home.awsv("list", "--json", env=UNLOCKED).stdout)
    assert {entry["profile"] for entry in listed if entry["stored"]} == set(keys)
    assert_harmless(home.awsv("list", env=UNLOCKED))
    for name in ("..", "two\nlines", "e\u0301"):
        found = json.loads(home.awsv("export", "-n", "--format=json", "--", name, env=UNLOCKED).stdout)
        assert found["AccessKeyId"] == keys[name][0]
    assert home.awsv("exec", "-n", "-j", "--", "é", env=UNLOCKED).returncode == 2  # not the decomposed one


def test_sessions_of_odd_names(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> None:
    home = Home(tmp_path / "aws", front.url)
    names = [NAMES[name] for name in ("newline", "c1-control", "up", "longest-emoji")]
    fill(home, dict.fromkeys(names, (moto.alice.access_key_id, moto.alice.secret_access_key)))
    env = {**UNLOCKED, "AWS_REGION": "eu-west-1"}
    ready = home.awsv("ready", "--json", "--", *names, env=env)
    assert ready.returncode == 0, ready.stderr
    assert [entry["profile"] for entry in json.loads(ready.stdout)] == names
    count = len(front.calls)
    for name in names:
        assert home.awsv("exec", "-j", "--", name, env=env).returncode == 0
    assert len(front.calls) == count  # from the cache
    assert home.awsv("clear", "--", names[0]).stdout == "Cleared 1 sessions.\n"
    assert home.awsv("clear").stdout == "Cleared 3 sessions.\n"


COMMANDS = {
    "add": ["add", "--env"],
    "remove": ["remove", "--force"],
    "exec": ["exec", "-j"],
    "export": ["export"],
    "login": ["login", "-s"],
    "explain": ["explain"],
    "clear": ["clear"],
    "ready": ["ready"],
    "rotate": ["rotate"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_is_no_name(command: list[str], home: Home) -> None:
    for name, told in (
        (b"", "the profile name is empty"),
        (b"n" * 256, "the profile name has 256 bytes; 255 is the most"),
        (b"n" * 65_536, "the profile name has 65536 bytes; 255 is the most"),
        ("ü".encode() * 128, "the profile name has 256 bytes"),
        (b"caf\xe9", "is not UTF-8"),
        (b"\xed\xa0\x80", "is not UTF-8"),
    ):
        argv = [os.fsencode(PROGRAM), *(word.encode() for word in command), b"--", name]
        done = subprocess.run(
            argv,
            env=home.environment({**UNLOCKED, **OTHER}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=True,
        )
        assert (done.returncode, done.stdout) == (2, b""), (name, done)
        assert f"awsv: {told}".encode() in done.stderr or (told.startswith("is") and told.encode() in done.stderr)
    assert not Path(home.env["XDG_DATA_HOME"], "awsv").exists()


def test_names_that_an_import_brings(home: Home) -> None:
    """No argument can hold a NUL byte, but a file can."""
    key = f"aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
    names = ("a\0b", "n" * 65_536, "../x", "good 🔑")
    home.credentials.write_text("".join(f"[{name}]\n{key}" for name in names))
    done = home.awsv("import", "credentials-file", env=UNLOCKED)
    assert done.returncode == 7
    assert "the profile name holds a NUL byte" in done.stderr
    assert "the profile name has 65536 bytes" in done.stderr
    assert stored(home) == dict.fromkeys(("../x", "good 🔑"), (KEY_ID, SECRET))
    assert_harmless(done)
