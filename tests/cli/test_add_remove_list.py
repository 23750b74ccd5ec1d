"""Storing keys: every way in, every question, and nothing changed when something fails."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from support.awsvault import ARCHIVE
from support.busy import seconds
from support.home import PROGRAM, Home
from support.vaults import (
    KEY_ID,
    OTHER_ID,
    OTHER_SECRET,
    PASSPHRASE,
    SECRET,
    UNLOCKED,
    data,
    ended,
    fill,
    offline,
    snapshot,
    store_path,
    stored,
)

OTHER = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
CREATED = {"AccessKey": {"UserName": "a", "AccessKeyId": OTHER_ID, "Status": "Active", "SecretAccessKey": OTHER_SECRET}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A machine without AWS, without a store."""
    return offline(tmp_path)


@pytest.fixture
def filled(home: Home) -> Home:
    """The same with a key of ``work``."""
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


# -- add ---------------------------------------------------------------------------------------------------------------


def test_from_the_environment(home: Home) -> None:
    done = home.awsv("add", "--env", "work", env={**UNLOCKED, **OTHER})
    assert (done.returncode, done.stdout) == (0, 'Added credentials to profile "work" in vault\n')
    assert OTHER_ID in done.stderr
    assert stored(home) == {"work": (OTHER_ID, OTHER_SECRET)}
    assert store_path(home).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("how", [None, ""])
def test_an_environment_without_keys(missing: str, how: str | None, home: Home) -> None:
    done = home.awsv("add", "--env", "work", env={**UNLOCKED, **OTHER, missing: how})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"awsv: {missing} not set" in done.stderr
    assert data(home) == {}


@pytest.mark.parametrize(
    "document",
    [json.dumps(CREATED), json.dumps(CREATED["AccessKey"]), json.dumps(CREATED, indent=4) + "\n\n"],
    ids=["create-access-key", "flat", "indented"],
)
def test_from_standard_input(document: str, home: Home) -> None:
    done = home.awsv("add", "work", input=document, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert stored(home) == {"work": (OTHER_ID, OTHER_SECRET)}


def test_keys_that_are_slow_to_come(home: Home) -> None:
    with subprocess.Popen(
        [PROGRAM, "add", "--no-add-config", "work"],
        env=home.environment(UNLOCKED),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert select.select([child.stderr], [], [], seconds(20))[0] or child.kill()  # type: ignore[func-returns-value]  # kill returns None
        assert child.stderr.readline() == "awsv: waiting for keys, as JSON, on standard input\n"
        child.communicate(json.dumps(CREATED), timeout=seconds(30))
    assert child.returncode == 0
    assert stored(home) == {"work": (OTHER_ID, OTHER_SECRET)}


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        OTHER_SECRET,
        "[" * 100_000,
        json.dumps({"AccessKeyId": OTHER_ID}),
        json.dumps({"AccessKey": OTHER_SECRET}),
        json.dumps({"AccessKeyId": OTHER_ID, "SecretAccessKey": [OTHER_SECRET]}),
        '{"AccessKeyId": "A", "SecretAccessKey": "\\ud800"}',
    ],
    ids=lambda text: text[:20],
)
def test_standard_input_that_is_no_key(document: str, filled: Home) -> None:
    before = data(filled)
    done = filled.awsv("--debug", "add", "new", input=document, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert "awsv: standard input is not JSON with AccessKeyId and SecretAccessKey" in done.stderr
    assert OTHER_SECRET not in done.stderr
    assert data(filled) == before


@pytest.mark.parametrize("value", ["", "  ", "with blank inside", "line\nbreak", "nul\\u0000", "ümlaut", "\x1b[2J"])
def test_values_that_nothing_could_carry(value: str, home: Home) -> None:
    document = json.dumps({"AccessKeyId": OTHER_ID, "SecretAccessKey": value}).replace("\\\\u", "\\u")
    done = home.awsv("add", "work", input=document, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert "awsv: the secret access key " in done.stderr
    assert data(home) == {}


def test_bytes_in_the_environment_that_are_no_text(home: Home) -> None:
    done = home.awsv("add", "--env", "work", env={**UNLOCKED, **OTHER, "AWS_SECRET_ACCESS_KEY": "s\udcffcret"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "contains spaces or invalid characters" in done.stderr


@pytest.mark.parametrize(
    ("key_id", "secret", "told"),
    [
        ("AKIDSHORT", OTHER_SECRET, "the access key ID does not look like one"),
        (OTHER_SECRET, OTHER_ID, "the access key ID does not look like one"),
        (OTHER_ID, "short", "the secret access key does not have 40 characters"),
    ],
    ids=["short-id", "swapped", "short-secret"],
)
def test_keys_that_are_no_keys_are_stored_with_a_warning(key_id: str, secret: str, told: str, home: Home) -> None:
    document = json.dumps({"AccessKeyId": key_id, "SecretAccessKey": secret})
    done = home.awsv("add", "work", input=document, env=UNLOCKED)
    assert done.returncode == 0
    assert f"awsv: warning: {told}" in done.stderr
    assert stored(home) == {"work": (key_id, secret)}


SESSION_ID = "ASIA5TWXR7L2OEXAMPLE"


@pytest.mark.parametrize(
    ("key_id", "token"), [(SESSION_ID, None), (SESSION_ID, "t"), (OTHER_ID, "t")], ids=["id", "id-and-token", "token"]
)
@pytest.mark.parametrize("way", ["json", "env"])
def test_add_refuses_a_session_and_changes_nothing(way: str, key_id: str, token: str | None, filled: Home) -> None:
    before = data(filled)
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    given = {name: value for name, value in zip(names, (key_id, OTHER_SECRET, token), strict=True) if value}
    if way == "json":
        done = filled.awsv("add", "new", input=json.dumps(given), env=UNLOCKED)
    else:
        variables = dict(zip(names, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), strict=True))
        env = {variables[name]: value for name, value in given.items()}
        done = filled.awsv("add", "--env", "new", env={**UNLOCKED, **env})
    assert (done.returncode, done.stdout) == (2, "")
    message, hint = done.stderr.splitlines()
    assert "the key of a session" in message
    assert message.endswith("; nothing was changed")
    assert hint.startswith("hint: ")
    assert OTHER_SECRET not in done.stderr
    assert data(filled) == before


def test_add_refuses_a_session_that_is_typed(filled: Home) -> None:
    child = filled.spawn("add", "new", env=UNLOCKED)
    for question, answer in (("Enter Access Key ID: ", SESSION_ID), ("Enter Secret Access Key: ", OTHER_SECRET)):
        child.expect_exact(question)
        child.sendline(answer)
    assert ended(child) == 2
    assert f"awsv: {SESSION_ID} is the key of a session" in child.before
    assert stored(filled) == {"work": (KEY_ID, SECRET)}


def test_a_good_key_makes_no_warning(home: Home) -> None:
    assert "warning" not in home.awsv("add", "work", input=json.dumps(CREATED), env=UNLOCKED).stderr


def test_at_the_terminal_with_a_new_store(home: Home) -> None:
    child = home.spawn("add", "work")
    child.expect("Enter Access Key ID: ")
    child.sendline(f" {OTHER_ID} ")
    child.expect("Enter Secret Access Key: ")
    child.sendline(f"{OTHER_SECRET} ")
    child.expect("New passphrase for store 'file': ")
    child.sendline(PASSPHRASE)
    child.expect("Repeat passphrase: ")
    child.sendline(PASSPHRASE)
    child.expect_exact("[Y/n] ")
    assert "Added credentials" in child.before
    child.sendline("n")
    assert ended(child) == 0
    assert stored(home) == {"work": (OTHER_ID, OTHER_SECRET)}


def test_secrets_typed_at_the_terminal_are_not_shown(home: Home) -> None:
    child = home.spawn("add", "work")
    shown = ""
    for question, answer in (
        ("Enter Access Key ID: ", OTHER_ID),
        ("Enter Secret Access Key: ", OTHER_SECRET),
        ("New passphrase for store 'file': ", PASSPHRASE),
        ("Repeat passphrase: ", PASSPHRASE),
        ("[Y/n] ", "n"),
    ):
        child.expect_exact(question)
        shown += child.before
        child.sendline(answer)
    assert ended(child) == 0
    shown += child.before
    assert OTHER_ID in shown
    assert OTHER_SECRET not in shown
    assert PASSPHRASE not in shown


QUESTIONS = (
    ("Enter Access Key ID: ", OTHER_ID),
    ("Enter Secret Access Key: ", OTHER_SECRET),
    ("New passphrase for store 'file': ", PASSPHRASE),
    ("Repeat passphrase: ", PASSPHRASE),
)


@pytest.mark.parametrize("answer", ["\x03", "\x04", "\r"], ids=["ctrl-c", "ctrl-d", "empty"])
@pytest.mark.parametrize("question", range(4), ids=["id", "secret", "passphrase", "again"])
def test_no_answer_changes_nothing(question: int, answer: str, home: Home) -> None:
    child = home.spawn("add", "work")
    for text, given in QUESTIONS[:question]:
        child.expect_exact(text)
        child.sendline(given)
    child.expect_exact(QUESTIONS[question][0])
    child.send(answer)
    assert ended(child) == (130 if question < 2 else 5)
    assert "awsv: no " in child.before
    assert "Traceback" not in child.before
    assert data(home) == {}


def test_a_passphrase_that_is_not_confirmed(home: Home) -> None:
    child = home.spawn("add", "--env", "work", env=OTHER)
    for _ in range(3):
        child.expect_exact("New passphrase for store 'file': ")
        child.sendline(PASSPHRASE)
        child.expect_exact("Repeat passphrase: ")
        child.sendline("something else")
    assert ended(child) == 5
    assert "differ" in child.before
    assert data(home) == {}


def test_a_wrong_passphrase_three_times(filled: Home) -> None:
    before = data(filled)
    child = filled.spawn("add", "--env", "new", env=OTHER)
    for _ in range(3):
        child.expect_exact("Passphrase to unlock store 'file': ")
        child.sendline("wrong")
    assert ended(child) == 5
    assert "awsv: wrong passphrase for store 'file', three times" in child.before
    assert data(filled) == before


def test_the_right_passphrase_at_the_second_try(filled: Home) -> None:
    child = filled.spawn("add", "--env", "new", env=OTHER)
    for answer in ("wrong", PASSPHRASE):
        child.expect_exact("Passphrase to unlock store 'file': ")
        child.sendline(answer)
    assert ended(child) == 0
    assert stored(filled) == {"work": (KEY_ID, SECRET), "new": (OTHER_ID, OTHER_SECRET)}


@pytest.mark.parametrize(
    ("passphrase", "told"), [("", "AWS_VAULT_FILE_PASSPHRASE is set but empty"), ("wrong", "from source 'env'")]
)
def test_a_variable_that_is_wrong_or_empty(passphrase: str, told: str, filled: Home) -> None:
    before = data(filled)
    done = filled.awsv("add", "--env", "new", env={**OTHER, "AWS_VAULT_FILE_PASSPHRASE": passphrase})
    assert (done.returncode, done.stdout) == (5, "")
    assert told in done.stderr
    assert data(filled) == before


def test_no_terminal_and_no_source(filled: Home) -> None:
    started = time.monotonic()
    done = filled.awsv("add", "--env", "new", env=OTHER)
    assert time.monotonic() - started < seconds(10)
    assert (done.returncode, done.stdout) == (5, "")
    assert "tried env (not set), prompt (there is no terminal)" in done.stderr


def test_no_terminal_and_no_keys(home: Home) -> None:
    done = home.awsv("add", "work", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert "awsv: no keys: standard input is empty, and prompting is not possible: there is no terminal" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130), ("\x03", 130)])
def test_a_taken_name_shows_the_stored_key_and_asks(answer: str, code: int, filled: Home) -> None:
    child = filled.spawn("add", "--env", "work", env={**UNLOCKED, **OTHER})
    child.expect_exact(f"Profile 'work' already has the key {KEY_ID}. Replace it?")
    child.send(answer if answer == "\x03" else f"{answer}\r")
    assert ended(child) == code
    assert stored(filled) == {"work": (OTHER_ID, OTHER_SECRET) if answer == "y" else (KEY_ID, SECRET)}


def test_a_taken_name_without_a_terminal(filled: Home) -> None:
    refused = filled.awsv("add", "--env", "work", env={**UNLOCKED, **OTHER})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1] == "hint: give --overwrite"
    assert stored(filled) == {"work": (KEY_ID, SECRET)}
    done = filled.awsv("add", "--env", "--overwrite", "work", env={**UNLOCKED, **OTHER})
    assert done.returncode == 0
    assert f"{OTHER_ID} in place of {KEY_ID}" in done.stderr
    assert stored(filled) == {"work": (OTHER_ID, OTHER_SECRET)}


def test_a_profile_that_starts_from_another_is_refused(home: Home) -> None:
    home.configure(
        "[profile base]\n[profile role]\nsource_profile = base\nrole_arn = arn:aws:iam::123456789012:role/R\n"
    )
    done = home.awsv("add", "--env", "role", env={**UNLOCKED, **OTHER})
    assert (done.returncode, done.stdout) == (2, "")
    assert "profile 'role' uses the credentials of 'base'" in done.stderr
    assert done.stderr.splitlines()[-1] == "hint: awsv add base"
    assert data(home) == {}


def test_adding_at_once_loses_nothing(filled: Home) -> None:
    names = [f"p{number}" for number in range(8)]
    children = [
        subprocess.Popen(
            [PROGRAM, "add", "--env", name],
            env=filled.environment({**UNLOCKED, **OTHER}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        for name in names
    ]
    for child in children:
        _, stderr = child.communicate(timeout=seconds(60))
        assert child.returncode == 0, stderr
    assert set(stored(filled)) == {"work", *names}


def test_two_who_add_the_same_name_at_once(filled: Home) -> None:
    """One of them wins; the other learns that, and replaces nothing."""
    keys = [(OTHER_ID[:-1] + str(number), OTHER_SECRET) for number in range(6)]
    children = [
        subprocess.Popen(
            [PROGRAM, "add", "--env", "same"],
            env=filled.environment({**UNLOCKED, "AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        for key_id, secret in keys
    ]
    answers = [(child.communicate(timeout=seconds(60)), child.returncode) for child in children]
    winners = [number for number, (_, code) in enumerate(answers) if code == 0]
    assert len(winners) == 1
    assert {code for _, code in answers} <= {0, 2, 4}  # came too late to ask (2), or at the same moment (4)
    assert all(stdout == "" for (stdout, _), code in answers if code)
    assert stored(filled)["same"] == keys[winners[0]]


@pytest.mark.parametrize("option", [(), ("--overwrite",)])
def test_a_folder_of_aws_vault_is_never_written_into(option: tuple[str, ...], home: Home) -> None:
    (home.root / "foreign").mkdir()
    # By tar: tarfile wants a filter from Python 3.12 on, and knows none before 3.11.4.
    subprocess.run(["tar", "-xf", ARCHIVE, "-C", home.root / "foreign"], check=True)
    keys = home.root / "foreign/store/keys"
    keys.chmod(0o700)
    count = len(list(keys.iterdir()))
    before = snapshot(keys)
    env = {**UNLOCKED, **OTHER, "AWS_VAULT_FILE_DIR": str(keys)}
    done = home.awsv("add", "--env", *option, "work", env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"{keys} contains {count} items of aws-vault" in done.stderr
    assert f"awsv import aws-vault --dir {keys}\n" in done.stderr
    listed = home.awsv("list", env=env)
    assert listed.returncode == 0
    assert f"{count} items of aws-vault in {keys}" in listed.stderr
    assert snapshot(keys) == before


# -- the background ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["list --unlock", "exec -n work -- true", "add --env new", "remove work"])
def test_in_the_background_it_fails_and_is_never_stopped(words: str, filled: Home) -> None:
    before = data(filled)
    # -m: the shell gives each job a process group of its own, as an interactive one does.
    child = filled.spawn("-c", f"set -m; {PROGRAM} {words} & wait $!; echo ended $?", env=OTHER, program="/bin/sh")
    child.expect(r"ended (\d+)")
    assert child.match[1] == ("125" if words.startswith("exec") else "5")
    assert "this process is in the background of its terminal" in child.before
    assert data(filled) == before


def test_a_question_ends_with_its_process_group(filled: Home) -> None:
    """Terminated from outside, the terminal echoes again."""
    child = filled.spawn("list", "--unlock")
    child.expect_exact("Passphrase to unlock store 'file': ")
    os.kill(child.pid, signal.SIGTERM)
    child.expect(pexpect.EOF)
    child.wait()
    assert child.signalstatus == signal.SIGTERM or child.exitstatus == 143
