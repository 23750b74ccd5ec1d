"""Secrets that can be recognised are planted, every command is run, and everything it leaves behind is searched.

Searched are standard output and error, the terminal, every file below the home, the temporary and the runtime folder,
and the words and the environment of every program that is started: plain, reversed, URL-quoted, in hex and base64.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pexpect
import pytest

from support import canaries, parts
from support.canaries import KEY_SECRET, MFA_CODE, PASSPHRASE, SESSION_SECRET, SESSION_TOKEN, WRONG_PASSPHRASE
from support.home import PROGRAM, Home
from support.recording_proxy import Fault, RecordingProxy, bad_signature, deny, deny_mfa, garbage
from support.vaults import fill, store_path
from vault_core.api import Secret
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

KEY_ID = "AKIAQ2QZ7YJ3LEXAMPLE"
SESSION_ID = "ASIAQ2QZ7YJ3LEXAMPLE"
ARN = "arn:aws:iam::123456789012"
UNLOCKED = {"AWS_VAULT_FILE_PASSPHRASE": PASSPHRASE}
MISTYPED = {"AWS_VAULT_FILE_PASSPHRASE": WRONG_PASSPHRASE}
KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY_SECRET}
CREATED = json.dumps({"AccessKey": {"AccessKeyId": KEY_ID, "SecretAccessKey": KEY_SECRET}})
SESSION = {"session's secret", "session token"}
LONG_TERM = {"secret access key"}
CONFIG = f"""
[profile work]
region = eu-west-1
[profile coded]
region = eu-west-1
mfa_serial = {ARN}:mfa/alice
[profile role]
region = eu-west-1
role_arn = {ARN}:role/R
source_profile = work
"""


def answer(action: str) -> Fault:
    """An STS answer with a canary for a session."""
    assumed = f"<AssumedRoleUser><Arn>{ARN}:assumed-role/R/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>"
    body = (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
        f"<AccessKeyId>{SESSION_ID}</AccessKeyId><SecretAccessKey>{SESSION_SECRET}</SecretAccessKey>"
        f"<SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        f"{assumed if action == 'AssumeRole' else ''}</{action}Result></{action}Response>"
    )
    return Fault(200, body.encode(), {"Content-Type": "text/xml"})


@pytest.fixture
def person(home: Home, front: RecordingProxy) -> Home:
    """A home with a canary for a key, whose AWS answers with canaries."""
    home.configure(CONFIG)
    fill(home, dict.fromkeys(("work", "coded"), (KEY_ID, KEY_SECRET)), passphrase=PASSPHRASE)
    for action in ("GetSessionToken", "AssumeRole"):
        front.on(action, answer(action))
    front.on("getSigninToken", Fault(200, b'{"SigninToken": "signin"}', {"Content-Type": "application/json"}))
    home.env["AWS_VAULT_STS_SIGNIN_URL"] = front.url
    return home


def test_the_search_finds_what_there_is_to_find(tmp_path: Path) -> None:
    for name, secret in canaries.ALL.items():
        for shift in ("", "x", "xy"):
            assert canaries.found(f"{shift}{secret} ") == {name}
            if name != "MFA code":
                assert canaries.found(base64.b64encode(f"{shift}{secret}!".encode())) == {name}
                assert canaries.found(base64.urlsafe_b64encode(f"{shift}{secret}!".encode())) == {name}
                assert canaries.found(f"{shift}{secret}".encode().hex()) == {name}
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text(f"x{KEY_SECRET}")
    assert canaries.found_in_files(tmp_path) == {str(tmp_path / "sub/file"): LONG_TERM}
    assert canaries.found("nothing here: 82419, canary") == set()


Run = tuple[Sequence[str], dict[str, str], str, int, set[str]]
"""Words, environment, standard input, exit code, and what standard output is asked to hold."""

SUCCESSES: Sequence[Run] = (
    (["add", "--env", "new"], {**UNLOCKED, **KEYS}, "", 0, set()),
    (["add", "--overwrite", "new"], UNLOCKED, CREATED, 0, set()),
    (["list"], UNLOCKED, "", 0, set()),
    (["list", "--json", "--unlock"], UNLOCKED, "", 0, set()),
    (["exec", "-j", "work"], UNLOCKED, "", 0, SESSION),
    (["exec", "-j", "role"], UNLOCKED, "", 0, SESSION),
    (["exec", "-t", MFA_CODE, "-j", "coded"], UNLOCKED, "", 0, SESSION),
    (["exec", "-j", "work"], {}, "", 0, SESSION),
    (["exec", "work", "--", "/usr/bin/env"], {**UNLOCKED, **KEYS}, "", 0, SESSION),
    (["exec", "-n", "-j", "work"], UNLOCKED, "", 0, LONG_TERM),
    (["exec", "-n", "work", "--", "/usr/bin/env"], {**UNLOCKED, "AWS_SESSION_TOKEN": SESSION_TOKEN}, "", 0, LONG_TERM),
    (["export", "--format=env", "work"], UNLOCKED, "", 0, SESSION),
    (["export", "--format=ini", "role"], UNLOCKED, "", 0, SESSION),
    (["login", "--stdout", "role"], UNLOCKED, "", 0, set()),
    (["login", "role"], UNLOCKED, "", 0, set()),
    (["explain", "work"], UNLOCKED, "", 0, set()),
    (["explain", "--json", "role"], UNLOCKED, "", 0, set()),
    (["ready", "work", "role"], UNLOCKED, "", 0, set()),
    (["list"], {}, "", 0, set()),
    (["plugins", "list"], UNLOCKED, "", 0, set()),
    (["config", "credential-process", "--yes", "work"], UNLOCKED, "", 0, set()),
    (["remove", "--force", "new"], UNLOCKED, "", 0, set()),
    (["list", "--keys"], UNLOCKED, "", 0, set()),
    (["inventory", "--json"], UNLOCKED, "", 0, set()),
    (["inventory", "--check"], UNLOCKED, "", 0, set()),
    (["clear"], UNLOCKED, "", 0, set()),
)

FAILURES: Sequence[Run] = (
    (["rotate", "work"], UNLOCKED, "", 6, set()),
    (["exec", "-j", "work"], MISTYPED, "", 5, set()),
    (["add", "--env", "new"], {**MISTYPED, **KEYS}, "", 5, set()),
    (["list", "--unlock"], MISTYPED, "", 5, set()),
    (["remove", "--force", "work"], MISTYPED, "", 5, set()),
    (["add", "--env", "work"], {**UNLOCKED, **KEYS}, "", 2, set()),
    (["add", "new"], UNLOCKED, CREATED[:-1], 2, set()),
    (["add", "new"], UNLOCKED, KEY_SECRET, 2, set()),
    (["add", "new"], UNLOCKED, json.dumps({"AccessKeyId": KEY_SECRET + " x", "SecretAccessKey": KEY_SECRET}), 2, set()),
    (["exec", "-t", MFA_CODE, "-j", "nobody"], UNLOCKED, "", 2, set()),
    (["exec", "work", "--", "/not/there"], UNLOCKED, "", 127, set()),
    (["frobnicate"], {**UNLOCKED, **KEYS}, "", 2, set()),
)


def left_behind(home: Home, run: Run, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run, and find nothing where nothing may be."""
    words, env, given, code, wanted = run
    done = home.awsv(*flags, *words, env=env, input=given)
    assert done.returncode == code, done
    assert canaries.found(done.stdout) == wanted, done
    assert canaries.found(done.stderr) == set(), done
    assert canaries.found_in_files(home.root) == {}
    return done


@pytest.mark.parametrize("flags", [(), ("--debug",)], ids=["", "debug"])
def test_commands_that_succeed(flags: Sequence[str], person: Home) -> None:
    for run in SUCCESSES:
        left_behind(person, run, *flags)


@pytest.mark.parametrize("flags", [(), ("--debug",)], ids=["", "debug"])
def test_commands_that_fail(flags: Sequence[str], person: Home) -> None:
    for run in FAILURES:
        left_behind(person, run, *flags)


@pytest.mark.parametrize(
    "fault",
    [
        deny(f"the user with {KEY_SECRET} is not authorized"),
        bad_signature(f"The Canonical String was 'GET\nx-amz-security-token:{SESSION_TOKEN}\n{KEY_SECRET}'"),
        garbage(f"<a>{SESSION_TOKEN}{SESSION_SECRET}{KEY_SECRET}".encode()),
    ],
    ids=["denied", "bad-signature", "garbage"],
)
def test_aws_repeats_secrets_in_its_errors(fault: Fault, person: Home, front: RecordingProxy) -> None:
    front.forget()
    front.on("GetSessionToken", fault)
    for words in (["exec", "-j", "work"], ["ready", "--json", "work"]):
        done = person.awsv("--debug", *words, env={**UNLOCKED, "AWS_MAX_ATTEMPTS": "1"})
        assert done.returncode == 6, done
        assert canaries.found(done.stdout + done.stderr) == set()
    assert canaries.found_in_files(person.root) == {}


@pytest.mark.parametrize("cut", [10, 200, -1], ids=str)
def test_a_damaged_store(cut: int, person: Home) -> None:
    store_path(person).write_bytes(store_path(person).read_bytes()[:cut])
    left_behind(person, (["exec", "-j", "work"], UNLOCKED, "", 4, set()), "--debug")


def test_an_item_that_is_no_key(person: Home) -> None:
    """The decoder's exception would hold the text of the item."""
    context = FakeContext(person.root, passphrases=[PASSPHRASE])
    backend = FileBackend(context, store_path(person).parent)
    backend.put("credentials/odd", Secret(f'{{"access_key_id": "{KEY_SECRET}"'))
    left_behind(person, (["exec", "-j", "odd"], UNLOCKED, "", 4, set()), "--debug")


# -- at a terminal -----------------------------------------------------------------------------------------------------


def dialogue(child: Any, *turns: tuple[str, str]) -> str:
    """Everything that appeared at the terminal."""
    shown = ""
    for question, reply in turns:
        child.expect_exact(question)
        shown += child.before
        child.send(reply)
    child.expect(pexpect.EOF)
    child.wait()
    return shown + str(child.before)


ASKED = "Passphrase to unlock store 'file': "


@pytest.mark.parametrize("flags", [(), ("--debug",)], ids=["", "debug"])
def test_what_is_typed_is_not_shown(flags: Sequence[str], person: Home) -> None:
    wrong, right = (ASKED, f"{WRONG_PASSPHRASE}\r"), (ASKED, f"{PASSPHRASE}\r")
    listed = dialogue(person.spawn(*flags, "list", "--unlock"), wrong, right)
    assert "work" in listed
    added = dialogue(
        person.spawn(*flags, "add", "new", env=UNLOCKED),
        ("Enter Access Key ID: ", f"{KEY_ID}\r"),
        ("Enter Secret Access Key: ", f"{KEY_SECRET}\r"),
    )
    assert "Added" in added
    refused = dialogue(person.spawn(*flags, "list", "--unlock"), wrong, wrong, wrong)
    cut = dialogue(person.spawn(*flags, "list", "--unlock"), (ASKED, f"{PASSPHRASE}\x03"))
    assert canaries.found(listed + added + refused + cut) == set()
    assert canaries.found_in_files(person.root) == {}


def test_a_code_that_is_typed_goes_to_aws_alone(person: Home, front: RecordingProxy) -> None:
    front.forget()
    front.on("GetSessionToken", deny_mfa(), times=2)
    front.on("GetSessionToken", answer("GetSessionToken"))
    question = f"MFA code for {ARN}:mfa/alice: "
    child = person.spawn("--debug", "exec", "coded", "--", "/usr/bin/env", env=UNLOCKED)
    shown = dialogue(child, *[(question, f"{MFA_CODE}\r")] * 3)
    assert [call.parameters["TokenCode"] for call in front.calls] == [MFA_CODE] * 3
    assert shown.count(MFA_CODE) == 3  # as it was typed
    assert canaries.found(shown) == {*SESSION, "MFA code"}
    assert canaries.found_in_files(person.root) == {}


# -- programs that are started -----------------------------------------------------------------------------------------


OTHERS = {"AWS_VAULT_OTHER_PASSPHRASE": WRONG_PASSPHRASE, "VAULT_TOKEN": KEY_SECRET}
SHOW = "tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ"


@pytest.mark.parametrize("flags", [(), ("-n",)], ids=["session", "no-session"])
def test_a_child_has_the_credentials_it_asked_for_and_nothing_else(flags: Sequence[str], person: Home) -> None:
    words = ["exec", *flags, "work", "--", "/bin/sh", "-c", SHOW]
    done = person.awsv(*words, env={**UNLOCKED, **OTHERS, **KEYS, "AWS_SESSION_TOKEN": WRONG_PASSPHRASE})
    assert done.returncode == 0, done.stderr
    assert canaries.found(done.stdout) == (LONG_TERM if flags else SESSION)
    assert SHOW in done.stdout  # so the words were there to be searched
    kept = person.awsv("exec", "--keep-env", "AWS_VAULT_FILE_PASSPHRASE", *words[1:], env=UNLOCKED)
    assert "passphrase" in canaries.found(kept.stdout)


def test_the_users_own_command_learns_no_other_secret(person: Home) -> None:
    spied = person.root.parent / "spied"
    spy = person.root / "spy"
    spy.write_text(f"#!/bin/sh\n({SHOW}) >{spied}\n/bin/cat {person.root.parent}/passphrase\n")
    spy.chmod(0o755)
    (person.root.parent / "passphrase").write_text(PASSPHRASE)
    env = {"AWS_VAULT_FILE_PASSPHRASE_COMMAND": str(spy), "AWS_VAULT_OTHER_PASSPHRASE": WRONG_PASSPHRASE}
    done = person.awsv("list", "--unlock", env=env)
    assert done.returncode == 0, done.stderr
    assert str(spy) in spied.read_text()
    assert canaries.found(spied.read_bytes()) == set()
    assert canaries.found_in_files(person.root) == {}


@pytest.mark.root("only root can watch a process that has closed its memory to others")
def test_no_other_program_is_started(person: Home) -> None:
    strace = shutil.which("strace")
    works = strace and subprocess.run([strace, "-qq", "true"], capture_output=True, check=False).returncode == 0
    program = parts.need("strace", strace if works else None, how="apt-get install strace, and allow ptrace")
    log = person.root.parent / "strace.log"
    options = ("-f", "-qq", "-v", "-s", "1000000", "-e", "trace=execve", "-e", "signal=none", "-o", str(log))
    for words in (["list"], ["exec", "-j", "work"], ["add", "--env", "new"], ["exec", "work", "--", "/bin/true"]):
        done = person.run(program, *options, PROGRAM, *words, env={**UNLOCKED, **OTHERS, **KEYS})
        assert done.returncode == 0, done.stderr
        itself, interpreter, *others = re.findall(r"execve\(.*", log.read_text())
        assert re.match(r'execve\("[^"]*", \["[^"]*", "-I", "-S", "[^"]*/awsv"', interpreter)
        assert "passphrase" in canaries.found(itself)  # the search sees what is there
        assert len(others) == ("--" in words)
        assert canaries.found("".join(others)) == (SESSION if others else set())


def test_a_nested_call_has_no_more_than_its_child(person: Home) -> None:
    words = ["exec", "work", "--", str(PROGRAM), "exec", "-j", "work"]
    done = person.awsv(*words, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert canaries.found(done.stdout) == SESSION
    locked = person.awsv("exec", "work", "--", str(PROGRAM), "list", "--unlock", env=UNLOCKED)
    assert locked.returncode == 5
    assert "awsv removed AWS_VAULT_FILE_PASSPHRASE from the environment" in locked.stderr
    assert canaries.found(locked.stdout + locked.stderr) == set()


def test_while_it_waits_it_leaves_no_core_and_shows_no_words(person: Home) -> None:
    child = person.spawn("list", "--unlock")
    child.expect_exact(ASKED)
    limits = Path(f"/proc/{child.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 ", limits)
    assert canaries.found(Path(f"/proc/{child.pid}/cmdline").read_bytes()) == set()
    if os.geteuid():  # root may read everything
        for name in ("mem", "environ"):
            with pytest.raises(PermissionError):
                Path(f"/proc/{child.pid}/{name}").read_bytes()
    child.sendintr()
    child.expect(pexpect.EOF)
    child.wait()


def test_no_help_offers_a_secret_on_the_command_line(person: Home) -> None:
    for command in ("add", "exec", "export", "list", "ready", "remove"):
        text = person.awsv(command, "--help").stdout.lower()
        flags = re.findall(r"--[a-z-]+", text)
        assert [flag for flag in flags if "pass" in flag or "secret" in flag] == []
