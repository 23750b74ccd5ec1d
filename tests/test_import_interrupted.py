"""Kill -9 and Ctrl-C in the middle of a copy, a removal and an undo: nothing acknowledged is lost, nothing sticks.

A sample; under ``AWSV_DEEP`` there are 300 rounds with kill -9.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
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
from vault_core.testing import FakeContext
from vault_core.vault import CREDENTIALS, encode
from vault_plugin_file.backend import FileBackend

SIGNALS = pytest.mark.parametrize(
    ("sent", "rounds"),
    [(signal.SIGKILL, sample(5, 300)), (signal.SIGINT, sample(3, 60)), (signal.SIGTERM, sample(3, 60))],
    ids=("kill", "interrupt", "terminate"),
)
COPY = ("import", "credentials-file", "--json")
REMOVE = ("import", "--remove-plain", "--yes")
UNDO = ("import", "undo")
NAMES = [f"profile-{number}" for number in range(24)]


@pytest.fixture
def person(tmp_path: Path) -> Home:
    """Somebody with plain keys and a store already."""
    home = offline(tmp_path)
    fill(home, {"seed": (OTHER_ID, OTHER_SECRET)})
    home.credentials.write_text(
        "".join(f"# {name}\n[{name}]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n" for name in NAMES)
    )
    return home


def timed(home: Home, words: Sequence[str]) -> float:
    """How long a command takes here, in seconds."""
    started = time.monotonic()
    done = home.awsv(*words, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


def killed(home: Home, words: Sequence[str], after: float, number: int = signal.SIGKILL) -> int:
    """Run a command and send it a signal; its exit code."""
    process = subprocess.Popen(
        [str(PROGRAM), *words],
        env=home.environment(UNLOCKED),
        cwd=home.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        return process.wait(30)


def forget(home: Home) -> None:
    """Delete the copied keys from the store."""
    backend = FileBackend(FakeContext(home.root, passphrases=[PASSPHRASE]), store_path(home).parent)
    for name in NAMES:
        backend.delete(CREDENTIALS + encode(name))


@pytest.mark.slow
@SIGNALS
def test_s10_a_copy_that_is_killed_goes_on(
    person: Home, sent: signal.Signals, rounds: int, figure: Callable[[str], None]
) -> None:
    plain = person.credentials.read_bytes()
    whole = timed(person, COPY)
    done, cut, dice = set(NAMES), 0, random.Random(1)
    for _ in range(rounds):
        if done == set(NAMES):
            forget(person)
            done = set()
        code = killed(person, COPY, dice.uniform(0.3, 1.0) * whole, sent)
        assert code in (0, 130, -sent)
        cut += code != 0
        found = stored(person)
        assert done <= set(found)
        assert {key for name, key in found.items() if name != "seed"} <= {(KEY_ID, SECRET)}
        done = set(found) - {"seed"}
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
def test_s10_a_removal_and_an_undo_that_are_killed(
    person: Home, sent: signal.Signals, rounds: int, figure: Callable[[str], None]
) -> None:
    plain = person.credentials.read_bytes()
    timed(person, COPY)
    assert person.awsv("config", "credential-process", "--all", "--yes", env=UNLOCKED).returncode == 0
    whole = timed(person, REMOVE)
    bare = person.credentials.read_bytes()
    assert b"AKIA" not in bare
    timed(person, UNDO)
    dice, seen = random.Random(2), set()
    cut = 0
    for number in range(rounds):
        cut += killed(person, REMOVE, dice.uniform(0.4, 1.0) * whole, sent) != 0
        seen.add(person.credentials.read_bytes() == plain)
        assert person.credentials.read_bytes() in (plain, bare)
        if person.credentials.read_bytes() == plain and number % 4 < 2:
            assert person.awsv(*REMOVE, env=UNLOCKED).returncode in (0, 4)
        cut += killed(person, UNDO, dice.uniform(0.4, 1.0) * whole, sent) != 0
        assert person.credentials.read_bytes() in (plain, bare)
        if person.credentials.read_bytes() == bare:
            undone = person.awsv(*UNDO, env=UNLOCKED)
            assert undone.returncode == 0, undone.stderr
        assert person.credentials.read_bytes() == plain
        again = person.awsv(*COPY, env=UNLOCKED)
        assert again.returncode == 0, again.stderr
    figure(f"remove-plain and undo: {rounds} times each {sent.name}, {cut} cut off, the file always one or the other")
    # What is left of a killed command goes with the next one that writes.
    assert person.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    assert person.credentials.read_bytes() == bare
    left = sorted(path.name for path in person.credentials.parent.iterdir())
    assert left == ["config", "credentials"]
    assert person.awsv(*UNDO, env=UNLOCKED).returncode == 0
    assert person.credentials.read_bytes() == plain
    assert seen
