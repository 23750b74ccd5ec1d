"""S16, ``awsv passwd``: the new passphrase opens, the old one does not, and at no moment does neither."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.fork_server import fork_server
from support.home import Home
from support.memory_backend import rescue
from support.security import sample
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, PASSPHRASE, SECRET, UNLOCKED, fill, offline, store_path
from support.vaults import stored as keys_of
from support.ways import answer, ended, finished, opens, recovers, sealed_entries, table, with_descriptors
from vault_core.api import Secret
from vault_core.keyslots import new_slot
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

pytestmark = pytest.mark.security("S16")

NEW = "another passphrase"
KEYS = {"work": (KEY_ID, SECRET), "other": (OTHER_ID, OTHER_SECRET)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, KEYS)
    return home


def with_recovery(home: Home) -> str:
    """Give the store a recovery key; its text."""
    backend = FileBackend(FakeContext(home.root, passphrases=[PASSPHRASE]), store_path(home).parent)
    return rescue(backend).reveal_text()


def with_passphrase(home: Home, passphrase: str, label: str) -> str:
    """Give the store one more passphrase; the slot's id."""
    from support.vaults import CHEAP

    backend = FileBackend(FakeContext(home.root, passphrases=[PASSPHRASE]), store_path(home).parent)
    new = new_slot.passphrase(
        backend.slots().store,  # type: ignore[union-attr]  # the store exists
        lambda _id, derive, _source: derive(Secret(passphrase)),
        cost=CHEAP,
        label=label,
    )
    backend.change_slots(lambda slots, dek: slots.add(dek, new))
    return new.id


OLD = "Passphrase to unlock store 'file': "
FIRST, AGAIN = "New passphrase for store 'file': ", "Repeat passphrase: "


def test_the_new_one_opens_the_old_one_does_not_and_entries_stay(home: Home) -> None:
    entries, slot = sealed_entries(home, PASSPHRASE), table(home).slots[0]
    child = home.spawn("passwd")
    answer(child, (OLD, "wrong"), (OLD, PASSPHRASE), (FIRST, NEW), (AGAIN, "typo"), (FIRST, NEW), (AGAIN, NEW))
    code, shown = ended(child)
    assert (code, "the passphrase of store 'file' is changed; older copies" in shown) == (0, True)
    assert (opens(home, NEW), opens(home, PASSPHRASE)) == (True, False)
    assert sealed_entries(home, NEW) == entries
    assert len(entries) == 2
    (changed,) = table(home).slots
    assert (changed.id != slot.id, changed.head["kdf"]["salt"] != slot.head["kdf"]["salt"]) == (True, True)
    assert (changed.head["kdf"]["m"], changed.head["kdf"]["t"]) == (65536, 3)  # not what the file said before
    assert home.awsv("list", "--unlock", env={"AWS_VAULT_FILE_PASSPHRASE": NEW}).returncode == 0
    failed = home.awsv("list", "--unlock", env=UNLOCKED)
    assert failed.returncode == 5


def test_a_passphrase_from_the_environment_is_only_the_old_one(home: Home) -> None:
    child = home.spawn("passwd", env=UNLOCKED)
    answer(child, (FIRST, NEW), (AGAIN, NEW))
    code, shown = ended(child)
    assert code == 0
    assert "AWS_VAULT_FILE_PASSPHRASE delivers a passphrase: make sure that it is the new one" in shown
    assert (opens(home, NEW), opens(home, PASSPHRASE)) == (True, False)


def test_nobody_to_choose_one(home: Home) -> None:
    before = store_path(home).read_bytes()
    done = home.awsv("passwd", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (5, "")
    done = home.awsv("passwd", env={**UNLOCKED, "AWS_VAULT_PASSPHRASE_SOURCE": "env"})
    assert done.returncode == 5
    assert "no source asks for a new passphrase: sources are env" in done.stderr
    assert "--new-passphrase-fd" in done.stderr
    assert store_path(home).read_bytes() == before


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("how", ["\x03", "\x04", "\r"])
def test_given_up_at_each_question(home: Home, after: int, how: str) -> None:
    before = store_path(home).read_bytes()
    child = home.spawn("passwd")
    questions = [(OLD, PASSPHRASE), (FIRST, NEW), (AGAIN, NEW)]
    answer(child, *questions[:after])
    child.expect(questions[after][0])
    child.send(how)
    assert ended(child)[0] == 5
    assert store_path(home).read_bytes() == before


def test_three_that_differ(home: Home) -> None:
    before = store_path(home).read_bytes()
    child = home.spawn("passwd", env=UNLOCKED)
    answer(child, *[(FIRST, NEW), (AGAIN, "typo")] * 3)
    code, shown = ended(child)
    assert (code, "differed 3 times" in shown) == (5, True)
    assert store_path(home).read_bytes() == before


@pytest.mark.parametrize("recovery", [False, True])
def test_after_three_wrong_ones_the_way_out_is_named(home: Home, recovery: bool) -> None:
    if recovery:
        with_recovery(home)
    child = home.spawn("passwd")
    answer(child, *[(OLD, "wrong")] * 3)
    code, shown = ended(child)
    assert code == 5
    assert "wrong passphrase for store 'file', three times" in shown
    hint = "awsv passwd --recovery" if recovery else "no other way in exists (no recovery key was made)"
    assert f"hint: {hint}" in shown


def test_without_a_store_or_slots(tmp_path: Path) -> None:
    done = offline(tmp_path).awsv("passwd", env=UNLOCKED)
    assert (done.returncode, "yet" in done.stderr) == (4, True)


# -- by descriptor, and with the recovery key --------------------------------------------------------------------------


def test_by_descriptors(home: Home) -> None:
    code, stderr = finished(with_descriptors(home, "passwd", env=UNLOCKED, new_passphrase=f"{NEW}\r\n"))
    assert code == 0, stderr
    assert (opens(home, NEW), opens(home, PASSPHRASE)) == (True, False)


@pytest.mark.parametrize(
    ("text", "why"), [("", "delivers nothing"), ("\n", "delivers nothing"), ("x" * 60_000 + "\0", None)]
)
def test_what_a_descriptor_delivers(home: Home, text: str, why: str | None) -> None:
    code, stderr = finished(with_descriptors(home, "passwd", env=UNLOCKED, new_passphrase=text))
    assert (code, why is None or f"the descriptor of --new-passphrase-fd {why}" in stderr) == (5 if why else 0, True)
    assert opens(home, PASSPHRASE if why else text)


def test_the_recovery_key_opens_in_place_of_the_old_one(home: Home) -> None:
    text = with_recovery(home)
    entries = sealed_entries(home, PASSPHRASE)
    process = with_descriptors(home, "passwd", "--recovery", env={}, recovery=text, new_passphrase=NEW)
    assert finished(process)[0] == 0
    assert (opens(home, NEW), opens(home, PASSPHRASE), recovers(home, text)) == (True, False, True)
    assert sealed_entries(home, NEW) == entries


def test_without_a_recovery_key(home: Home) -> None:
    done = home.awsv("passwd", "--recovery")
    assert (done.returncode, "store 'file' has no recovery key" in done.stderr) == (4, True)


@pytest.mark.parametrize("change", ["mistyped", "of another store"])
def test_a_recovery_key_that_is_not_it(tmp_path: Path, home: Home, change: str) -> None:
    text = with_recovery(home)
    before = store_path(home).read_bytes()
    if change == "mistyped":
        other, why = text[:-1] + ("A" if text[-1] != "A" else "B"), "the recovery key is mistyped"
    else:
        other, why = new_slot.recovery(bytes(16))[1].reveal_text(), "this recovery key does not open store 'file'"
    process = with_descriptors(home, "passwd", "--recovery", env={}, recovery=other, new_passphrase=NEW)
    code, stderr = finished(process)
    assert (code, why in stderr) == (5, True)
    assert other not in stderr
    assert store_path(home).read_bytes() == before


def test_one_of_several_passphrases(home: Home) -> None:
    text = with_recovery(home)
    second = with_passphrase(home, "second", "büro")
    code, stderr = finished(with_descriptors(home, "passwd", "--recovery", env={}, recovery=text, new_passphrase=NEW))
    assert (code, "2 passphrases: which one" in stderr) == (2, True)
    words = ("passwd", "--recovery", "--slot", second[:6])
    assert finished(with_descriptors(home, *words, env={}, recovery=text, new_passphrase=NEW))[0] == 0
    assert [opens(home, each) for each in (PASSPHRASE, "second", NEW)] == [True, False, True]
    assert [slot.label for slot in table(home).slots if slot.type == "passphrase"] == ["", "büro"]
    env = {"AWS_VAULT_FILE_PASSPHRASE": NEW}  # the old passphrase says which one is meant
    assert finished(with_descriptors(home, "passwd", env=env, new_passphrase="third"))[0] == 0
    assert [opens(home, each) for each in (PASSPHRASE, NEW, "third")] == [True, False, True]


@pytest.mark.parametrize("words", [("--slot", "00"), ("--recovery-fd", "0")])
def test_options_that_need_recovery(home: Home, words: tuple[str, str]) -> None:
    done = home.awsv("passwd", *words, env=UNLOCKED)
    assert (done.returncode, "go with --recovery" in done.stderr) == (2, True)


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "rounds"),
    [(signal.SIGKILL, sample(5, 300)), (signal.SIGINT, sample(3, 30)), (signal.SIGTERM, sample(3, 30))],
    ids=("kill", "interrupt", "terminate"),
)
def test_s10_killed_at_any_moment_it_is_one_or_the_other(
    home: Home, how: signal.Signals, rounds: int, figure: Callable[[str], None]
) -> None:
    """Of each acknowledged change the new passphrase opens, of each other one the old or the new one."""
    draw, current, acknowledged = random.Random(5), "first", 0
    with fork_server(home) as commands:
        longest = commands.timed("passwd", env=UNLOCKED, new_passphrase=current)
        for number in range(rounds):
            fresh = f"passphrase {number}"
            env, cut = {"AWS_VAULT_FILE_PASSPHRASE": current}, (draw.uniform(0, 1.1 * longest), how)
            code, stderr = commands.run("passwd", env=env, cut=cut, new_passphrase=fresh)
            assert code in (0, 130, -how), stderr
            assert "Traceback" not in stderr
            assert len(table(home).slots) == 1  # so one of the two opens it, and the other one does not
            now = fresh if opens(home, fresh) else current
            assert opens(home, now), (number, code)
            if code == 0:
                acknowledged += 1
                assert now == fresh
            current = now
    assert keys_of(home, passphrase=current) == KEYS
    figure(f"{rounds} times {how.name}, {acknowledged} acknowledged, 0 lost")
    fill(home, {"work": (OTHER_ID, OTHER_SECRET)}, passphrase=current)  # no lock is left behind
