"""``awsv import credentials-file``: every long-term key is copied and compared; the file is not changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import Fault, RecordingProxy, deny
from support.stored import until
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, fill, offline, store_path, stored

IMPORT = ("import", "credentials-file")
NEXT = "next: 'awsv config credential-process --all', then 'awsv import --remove-plain'"
SEED = {"seed": (OTHER_ID, OTHER_SECRET)}
FILE = f"""# all keys
[default]
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET}

[two words]
  aws_access_key_id: {OTHER_ID}
  aws_secret_access_key: {OTHER_SECRET}
  region = eu-west-1
[session]
aws_access_key_id = ASIACANARY
aws_secret_access_key = CANARY
aws_session_token = CANARY
[only a region]
region = eu-west-1
"""
KEYS = {"default": (KEY_ID, SECRET), "two words": (OTHER_ID, OTHER_SECRET)}


@pytest.fixture
def person(tmp_path: Path) -> Home:
    """A user with plain keys and a store."""
    home = offline(tmp_path)
    fill(home, SEED)
    home.credentials.write_text(FILE)
    return home


def test_import_copies_every_key_and_keeps_the_file(person: Home) -> None:
    done = person.awsv(*IMPORT, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert stored(person) == {**SEED, **KEYS}
    assert person.credentials.read_text() == FILE
    assert "session: not imported" in done.stdout
    assert "only a region" not in done.stdout
    assert NEXT in done.stderr
    for secret in (SECRET, OTHER_SECRET, "CANARY"):
        assert secret not in done.stdout + done.stderr
    state = Path(person.env["XDG_STATE_HOME"])
    assert not [path for path in state.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    again = person.awsv(*IMPORT, "--json", env=UNLOCKED)
    assert again.returncode == 0
    assert [one["state"] for one in json.loads(again.stdout)["keys"]] == ["same", "same"]


def test_import_dry_run_writes_nothing(person: Home) -> None:
    before = store_path(person).read_bytes()
    done = person.awsv(*IMPORT, "--dry-run", env=UNLOCKED)
    assert done.returncode == 0
    assert "nothing was written" in done.stderr
    assert store_path(person).read_bytes() == before
    assert person.awsv("import", "--remove-plain", "--yes", env=UNLOCKED).returncode == 2


def test_import_invalid_entries_are_named(person: Home) -> None:
    bad = "[half]\naws_access_key_id = AKIAHALF\n[blank]\naws_access_key_id = AKIA\naws_secret_access_key = two words\n"
    bad += f"[{'x' * 300}]\naws_access_key_id = AKIALONG\naws_secret_access_key = s\n"
    person.credentials.write_text(FILE + bad)
    done = person.awsv(*IMPORT, env=UNLOCKED)
    assert done.returncode == 7
    assert stored(person) == {**SEED, **KEYS}
    assert "'half': it has no aws_secret_access_key (line 16)" in done.stderr
    assert "'blank': its key contains spaces or invalid characters" in done.stderr
    assert "the profile name has 300 bytes" in done.stderr
    assert "two words" not in done.stderr


def test_import_conflict_is_named_and_skipped(person: Home) -> None:
    fill(person, {"default": (OTHER_ID, OTHER_SECRET)})
    done = person.awsv(*IMPORT, env=UNLOCKED)
    assert done.returncode == 7
    assert f"'default': key {OTHER_ID} is already stored" in done.stderr
    assert NEXT in done.stderr  # for what is there
    assert done.stderr.splitlines()[-1] == "hint: --overwrite replaces the stored keys"
    assert stored(person)["default"] == (OTHER_ID, OTHER_SECRET)
    assert person.awsv(*IMPORT, "--overwrite", env=UNLOCKED).returncode == 0
    assert stored(person) == {**SEED, **KEYS}


@pytest.mark.parametrize("content", [None, "", "[x\n", "x = 1\n"])
def test_import_missing_or_empty_file_fails(person: Home, content: str | None) -> None:
    if content is None:
        person.credentials.unlink()
    else:
        person.credentials.write_text(content)
    done = person.awsv(*IMPORT, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(person.credentials) in done.stderr
    assert stored(person) == SEED


def test_import_without_a_copy_names_no_next_step(person: Home) -> None:
    person.credentials.write_text("[half]\naws_access_key_id = AKIAHALF\n")
    done = person.awsv(*IMPORT, env=UNLOCKED)
    assert (done.returncode, "next: " in done.stderr) == (7, False)


def test_import_wrong_passphrase_fails(person: Home) -> None:
    done = person.awsv(*IMPORT, env={"AWS_VAULT_FILE_PASSPHRASE": "wrong"})
    assert (done.returncode, done.stdout) == (5, "")
    assert stored(person) == SEED


def test_import_full_disk_reports_what_was_stored(person: Home) -> None:
    """A limit on the size of files stands in for a full disk; every key that was reported as copied is stored."""
    names = [f"profile-{number:03}" for number in range(60)]
    person.credentials.write_text(
        "".join(f"[{name}]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n" for name in names)
    )
    size = store_path(person).stat().st_size
    limit = (size + 4096) // 512
    done = person.limited(limit, *IMPORT, "--json", env=UNLOCKED)
    assert done.returncode == 7, done.stderr
    states = {one["profile"]: one["state"] for one in json.loads(done.stdout)["keys"]}
    arrived = {name for name, state in states.items() if state == "copied"}
    assert 0 < len(arrived) < 60
    assert set(stored(person)) - {"seed"} == arrived
    assert set(states.values()) == {"copied", "failed", "not_tried"}
    assert person.awsv(*IMPORT, env=UNLOCKED).returncode == 0
    assert set(stored(person)) == {"seed", *names}


def test_check_names_the_owner_of_each_key(home: Home, moto: MotoServer, front: RecordingProxy) -> None:
    fill(home, SEED)
    alice, dead = moto.alice, "AKIAQ2QZ7YJ3DEADDEAD"
    home.credentials.write_text(
        f"[a]\naws_access_key_id={alice.access_key_id}\naws_secret_access_key={alice.secret_access_key}\n"
        f"[b]\naws_access_key_id={alice.access_key_id}\naws_secret_access_key={alice.secret_access_key}\n"
        f"[c]\naws_access_key_id={dead}\naws_secret_access_key={SECRET}\n"
    )
    done = home.awsv(*IMPORT, "--check", "--json", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    checks = {one["profile"]: one["check"] for one in json.loads(done.stdout)["keys"]}
    assert set(checks["a"]) == {"state", "account", "arn", "reason", "duplicate_of"}
    assert checks["a"]["state"] == "alive"
    assert checks["a"]["account"] == ACCOUNT
    assert checks["a"]["arn"].endswith("user/alice")
    assert checks["b"] == {**checks["a"], "duplicate_of": "a"}
    calls = [call for call in front.calls if call.action == "GetCallerIdentity"]
    assert {call.access_key_id for call in calls} == {alice.access_key_id, dead}
    table = home.awsv(*IMPORT, "--check", env=UNLOCKED)
    assert f"{ACCOUNT} user/alice; duplicate of a" in table.stdout


def test_check_names_dead_keys_and_copies_them(home: Home, front: RecordingProxy) -> None:
    fill(home, SEED)
    home.credentials.write_text(FILE)
    front.on("GetCallerIdentity", deny("The security token included in the request is invalid"))
    done = home.awsv(*IMPORT, "--check", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dead: AWS refused to identify") == 2
    assert stored(home) == {**SEED, **KEYS}


def test_check_ctrl_c_stops_at_once(home: Home, front: RecordingProxy) -> None:
    fill(home, SEED)
    home.credentials.write_text(FILE)
    front.on("GetCallerIdentity", Fault(delay=60))
    child = home.spawn(*IMPORT, "--check", env=UNLOCKED)
    until(lambda: len(front.calls) > 0, "AWS is asked")
    child.sendintr()
    child.expect_exact("interrupted")
    child.wait()
    child.close()
    assert child.exitstatus == 130
    assert stored(home) == SEED


def test_check_offline_copies_the_keys(person: Home) -> None:
    done = person.awsv(*IMPORT, "--check", env=UNLOCKED)
    assert done.returncode == 0
    assert done.stdout.count("not checked: 127.0.0.1:9 cannot be reached") == 2
    assert stored(person) == {**SEED, **KEYS}
