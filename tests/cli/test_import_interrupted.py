"""Kill -9 and Ctrl-C during a copy, a removal and an undo: no acknowledged key is lost, no lock is left.

A sample; under ``AWSV_DEEP`` there are 300 rounds with kill -9.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.busy import seconds
from support.fork_server import fork_server
from support.home import PROGRAM, Home
from support.parts import need
from support.security import sample
from support.vaults import (
    KEY_ID,
    OTHER_ID,
    OTHER_SECRET,
    PASSPHRASE,
    SECRET,
    UNLOCKED,
    fill,
    offline,
    store_path,
    stored,
)
from vault_core.storage.vault import CREDENTIALS, encode
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

SIGNALS = pytest.mark.parametrize(
    ("sent", "rounds"),
    [(signal.SIGKILL, sample(5, 300)), (signal.SIGINT, sample(3, 30)), (signal.SIGTERM, sample(3, 30))],
    ids=("kill", "interrupt", "terminate"),
)
COPY = ("import", "credentials-file", "--json")
REMOVE = ("import", "--remove-plain", "--yes")
UNDO = ("import", "undo")
NAMES = [f"profile-{number}" for number in range(24)]


@pytest.fixture
def person(tmp_path: Path) -> Home:
    """A user with plain keys and a store."""
    home = offline(tmp_path)
    fill(home, {"seed": (OTHER_ID, OTHER_SECRET)})
    home.credentials.write_text(
        "".join(f"# {name}\n[{name}]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n" for name in NAMES)
    )
    return home


def forget(home: Home) -> None:
    """Delete the copied keys from the store."""
    backend = FileBackend(FakeContext(home.root, passphrases=[PASSPHRASE]), store_path(home).parent)
    for name in NAMES:
        backend.delete(CREDENTIALS + encode(name))


@pytest.mark.slow
@SIGNALS
def test_s10_copy_killed_continues(
    person: Home, sent: signal.Signals, rounds: int, figure: Callable[[str], None]
) -> None:
    plain = person.credentials.read_bytes()
    with fork_server(person) as commands:
        whole = commands.timed(*COPY, env=UNLOCKED)
        done, cut, dice = set(NAMES), 0, random.Random(1)
        for _ in range(rounds):
            if done == set(NAMES):
                forget(person)
                done = set()
            code, stderr = commands.run(*COPY, env=UNLOCKED, cut=(dice.uniform(0, 1.1 * whole), sent))
            assert code in (0, 130, -sent), stderr
            cut += code != 0
            found = stored(person)
            assert done <= set(found)
            assert {key for name, key in found.items() if name != "seed"} <= {(KEY_ID, SECRET)}
            done = set(found) - {"seed"}
            assert code or done == set(NAMES)
            assert person.credentials.read_bytes() == plain
    figure(f"import: {rounds} times {sent.name}, {cut} cut off, 0 keys lost")
    assert cut >= rounds // 20
    last = person.awsv(*COPY, env=UNLOCKED)
    assert last.returncode == 0, last.stderr
    states = {one["profile"]: one["state"] for one in json.loads(last.stdout)["keys"]}
    assert {name for name, state in states.items() if state == "same"} == done
    assert set(stored(person)) == {"seed", *NAMES}


@pytest.mark.slow
@SIGNALS
def test_s10_removal_and_undo_killed_keep_the_file(
    person: Home, sent: signal.Signals, rounds: int, figure: Callable[[str], None]
) -> None:
    plain = person.credentials.read_bytes()
    with fork_server(person) as commands:
        commands.timed(*COPY, env=UNLOCKED)
        commands.timed("config", "credential-process", "--all", "--yes", env=UNLOCKED)
        whole = commands.timed(*REMOVE, env=UNLOCKED)
        bare = person.credentials.read_bytes()
        assert b"AKIA" not in bare
        commands.timed(*UNDO, env=UNLOCKED)
        dice, cut = random.Random(2), 0
        for number in range(rounds):
            code, stderr = commands.run(*REMOVE, env=UNLOCKED, cut=(dice.uniform(0, 1.1 * whole), sent))
            assert code in (0, 130, -sent), stderr
            assert person.credentials.read_bytes() in (plain, bare)
            assert code or person.credentials.read_bytes() == bare
            cut += code != 0
            if person.credentials.read_bytes() == plain and number % 4 < 2:
                assert commands.run(*REMOVE, env=UNLOCKED)[0] in (0, 4)
            code, stderr = commands.run(*UNDO, env=UNLOCKED, cut=(dice.uniform(0, 1.1 * whole), sent))
            assert code in (0, 4, 130, -sent), stderr  # 4: nothing was removed
            assert person.credentials.read_bytes() in (plain, bare)
            cut += code not in (0, 4)
            if person.credentials.read_bytes() == bare:
                code, stderr = commands.run(*UNDO, env=UNLOCKED)
                assert code == 0, stderr
            assert person.credentials.read_bytes() == plain
            code, stderr = commands.run(*COPY, env=UNLOCKED)  # perhaps it was not noted any more what was copied
            assert code == 0, stderr
    figure(f"remove-plain and undo: {rounds} times each {sent.name}, {cut} cut off, the file always one or the other")
    # What is left of a killed command goes with the next one that writes.
    assert person.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    assert person.credentials.read_bytes() == bare
    left = sorted(path.name for path in person.credentials.parent.iterdir())
    assert left == ["config", "credentials"]
    assert person.awsv(*UNDO, env=UNLOCKED).returncode == 0
    assert person.credentials.read_bytes() == plain


def test_remove_waits_for_an_undo(person: Home) -> None:
    """Otherwise the undo would delete the backup of the removal at its end."""
    strace = need("strace", shutil.which("strace"), how="apt-get install strace")
    person.env.update(UNLOCKED)
    plain = person.credentials.read_bytes()
    for words in (COPY, ("config", "credential-process", "--all", "--yes"), REMOVE):
        assert person.awsv(*words).returncode == 0
    slow = (strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename", "-e", "inject=rename:delay_exit=2000000")
    undo = subprocess.Popen([*slow, str(PROGRAM), *UNDO], env=person.environment(), stderr=subprocess.DEVNULL)
    [receipt] = Path(person.env["XDG_STATE_HOME"], "awsv", "imports").glob("*.json")
    until = time.monotonic() + seconds(30)
    while json.loads(receipt.read_bytes())["sha256"] != hashlib.sha256(plain).hexdigest():
        assert time.monotonic() < until
        time.sleep(0.01)
    removed = person.awsv(*REMOVE)
    assert (removed.returncode, undo.wait()) == (0, 0), removed.stderr
    assert person.credentials.read_bytes() != plain
    assert person.awsv(*UNDO).returncode == 0
    assert person.credentials.read_bytes() == plain


# -- what a killed command leaves --------------------------------------------------------------------------------------


def test_undo_killed_leaves_no_plain_copy(person: Home) -> None:
    strace = need("strace", shutil.which("strace"), how="apt-get install strace")
    for words in (COPY, ("config", "credential-process", "--all", "--yes"), REMOVE):
        assert person.awsv(*words, env=UNLOCKED).returncode == 0
    bare = person.credentials.read_bytes()
    kill = "inject=rename:signal=KILL:when=1"
    person.run(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename", "-e", kill, PROGRAM, *UNDO, env=UNLOCKED)
    assert person.credentials.read_bytes() == bare
    assert person.awsv("list").returncode == 0
    assert sorted(path.name for path in person.credentials.parent.iterdir()) == ["config", "credentials"]
    assert person.awsv(*UNDO, env=UNLOCKED).returncode == 0
    assert SECRET.encode() in person.credentials.read_bytes()


@pytest.mark.parametrize(
    "words", [("list",), ("config", "credential-process", "one", "-n"), COPY, (*COPY, "-n"), REMOVE, UNDO], ids=" ".join
)
def test_commands_remove_the_temporary_file_of_a_killed_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    home = offline(tmp_path)
    for name in (".credentials.awsv-0123abcd", ".config.awsv-0123abcd"):
        home.credentials.with_name(name).write_text(f"aws_secret_access_key = {SECRET}\n")
    home.awsv(*words, "--no-input")
    assert [path.name for path in home.credentials.parent.iterdir()] == ["config"]
