"""``awsv config credential-process``: after it the AWS CLI really asks awsv; before it nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy

WIRE = ("config", "credential-process")


@pytest.fixture
def configured(home: Home, moto: MotoServer) -> Home:
    """Somebody with a profile ``work``, a role ``admin`` on top of it and other profiles around; nothing is stored."""
    home.env["AWS_VAULT_FILE_PASSPHRASE"] = "correct horse"
    home.configure(
        f"# mine\r\n[default]\nregion = eu-west-1\n\n[profile work]\n  region = eu-west-1\n"
        f"[profile admin]\nrole_arn = {moto.role_a}\nsource_profile = work\nregion=eu-west-1\n\n"
        f"[profile left]\nrole_arn = {moto.role_b}\nsource_profile = admin\nregion = eu-west-1\n"
        "[profile corp]\nsso_session = corp\n[profile other]\ncredential_process = /bin/other"
    )
    return home


@pytest.fixture
def person(configured: Home, moto: MotoServer) -> Home:
    """The same, with the key ``work`` stored."""
    key = {"AccessKeyId": moto.alice.access_key_id, "SecretAccessKey": moto.alice.secret_access_key}
    done = configured.awsv("add", "work", input=json.dumps(key))
    assert done.returncode == 0, done.stderr
    return configured


def identity(home: Home, aws: Path, *words: str) -> str:
    done = home.run(aws, *words, "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_cli_asks_awsv_and_undo_restores_every_byte(person: Home, front: RecordingProxy, aws_v1: Path) -> None:
    before = person.config.read_bytes()
    done = person.awsv(*WIRE, "work", "admin", "--yes")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"+credential_process = {PROGRAM} exec -j admin" in done.stderr
    assert "user/" in identity(person, aws_v1, "--profile", "work")
    assert ":assumed-role/RoleA/" in identity(person, aws_v1, "--profile", "admin")
    # A role that is left to the SDK starts from the credentials that awsv hands out.
    assert ":assumed-role/RoleB/" in identity(person, aws_v1, "--profile", "left")
    again = person.awsv(*WIRE, "work", "admin", "--yes")
    assert (again.returncode, again.stderr.count("nothing to do")) == (0, 2)
    undone = person.awsv(*WIRE, "work", "admin", "--undo", "--yes")
    assert (undone.returncode, person.config.read_bytes()) == (0, before), undone.stderr


def test_a_second_profile(person: Home, aws_v1: Path) -> None:
    before = person.config.read_bytes()
    done = person.awsv(*WIRE, "admin", "--as", "admin sdk", "-y")
    assert done.returncode == 0, done.stderr
    after = person.config.read_bytes()
    assert after.startswith(before)
    assert "SDK for JavaScript does not see profile 'admin sdk'" in done.stderr
    assert b'\n[profile "admin sdk"]\ncredential_process = ' in after
    assert ":assumed-role/RoleA/" in identity(person, aws_v1, "--profile", "admin sdk")
    assert person.awsv(*WIRE, "admin", "--as", "admin sdk", "--undo", "-y").returncode == 0
    assert person.config.read_bytes() == before


def test_all_wires_what_it_can_and_names_the_rest(person: Home) -> None:
    before = person.config.read_bytes()
    done = person.awsv(*WIRE, "--all", "--yes")
    assert done.returncode == 0
    said = [line for line in done.stderr.splitlines() if "not changed: " in line]
    assert len(said) == 3
    assert "no key is stored for 'default'" in said[0]
    assert "sso_session" in said[1]
    assert f"{person.config}:17" in said[1]
    assert "credential_process" in said[2]
    assert f"{person.config}:19" in said[2]
    assert person.config.read_bytes().count(b" exec -j ") == 3
    assert person.awsv(*WIRE, "--all", "--undo", "--yes").returncode == 0
    assert person.config.read_bytes() == before


def test_all_gives_a_stored_key_a_section(person: Home, aws_v1: Path) -> None:
    person.configure("")
    assert person.awsv(*WIRE, "--all", "--yes").returncode == 0
    assert "user/" in identity(person, aws_v1, "--profile", "work", "--region", "eu-west-1")


@pytest.mark.parametrize(
    ("profile", "says"),
    [("corp", "needs sso_session"), ("other", "needs credential_process"), ("wrok", "unknown profile 'wrok'")],
)
def test_what_cannot_be_wired_is_named(configured: Home, profile: str, says: str) -> None:
    before = configured.config.read_bytes()
    done = configured.awsv(*WIRE, profile, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "hint: " in done.stderr
    assert configured.config.read_bytes() == before


def test_a_log_that_is_full_stops_nothing(configured: Home) -> None:
    script = f"exec {PROGRAM} {' '.join(WIRE)} work --yes 2>/dev/full"
    done = configured.run("/bin/sh", "-c", script)
    assert done.returncode == 0
    assert f"credential_process = {PROGRAM} exec -j work" in configured.config.read_text()


def test_what_a_locked_store_may_have_is_not_taken_for_granted(person: Home) -> None:
    del person.env["AWS_VAULT_FILE_PASSPHRASE"]
    done = person.awsv(*WIRE, "wrok", "work", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "awsv: store 'file' is locked: which keys it has was not checked\n"


@pytest.mark.parametrize("names", [("work",), ("--all",)])
def test_a_plain_key_that_would_win_is_named_and_never_shown(person: Home, names: tuple[str, ...]) -> None:
    person.credentials.write_text("[work]\naws_access_key_id = AKIACANARY\naws_secret_access_key = CANARY\n")
    before = person.config.read_bytes()
    done = person.awsv(*WIRE, *names, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"aws_access_key_id ({person.credentials}:2)" in done.stderr
    assert "CANARY" not in done.stderr
    assert person.config.read_bytes() == before


def test_without_a_terminal_the_change_is_shown_and_not_made(configured: Home) -> None:
    before = configured.config.read_bytes()
    done = configured.awsv(*WIRE, "work")
    assert (done.returncode, done.stdout) == (2, "")
    assert "+  credential_process = " in done.stderr
    assert "hint: give --yes" in done.stderr
    shown = configured.awsv(*WIRE, "work", "--dry-run")
    assert shown.returncode == 0
    assert "+  credential_process = " in shown.stdout
    assert configured.config.read_bytes() == before


@pytest.mark.parametrize(("answer", "wired"), [("y", True), ("n", False), ("", False)])
def test_at_a_terminal_it_asks(configured: Home, answer: str, wired: bool) -> None:
    child = configured.spawn(*WIRE, "work")
    child.expect_exact("+  credential_process = ")
    child.expect_exact("like this?")
    child.sendline(answer)
    child.expect("now use awsv|nothing was changed")
    child.wait()
    child.close()
    assert child.exitstatus == (0 if wired else 130)
    assert (b" exec -j work" in configured.config.read_bytes()) is wired


def test_a_read_only_file_gets_the_change_shown(configured: Home) -> None:
    configured.config.chmod(0o444)
    done = configured.awsv(*WIRE, "work", "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "+  credential_process = " in done.stderr
    assert "read-only" in done.stderr


@pytest.mark.parametrize(
    "words", [(), ("work", "--all"), ("--all", "--as", "x"), ("work", "admin", "--as", "x"), ("work", "--as", "")]
)
def test_words_that_make_no_sense(configured: Home, words: tuple[str, ...]) -> None:
    done = configured.awsv(*WIRE, *words, "--yes")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_name_that_a_config_file_cannot_hold(configured: Home) -> None:
    done = configured.awsv(*WIRE, "work", "--as", "two\nlines", "--yes")
    assert done.returncode == 2
    assert "would not read the name back" in done.stderr
