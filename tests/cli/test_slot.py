"""``awsv slot``: every way into a store, made, used and taken away; with a source that keeps keys, really installed."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import parts
from support.fork_server import fork_server
from support.home import PROGRAM, Home
from support.overlay_env import OverlayEnv
from support.security import sample
from support.slot_plugins import KEYRING, PLAIN, SHELF
from support.vaults import KEY_ID, PASSPHRASE, SECRET, UNLOCKED, fill, offline, store_path
from support.vaults import stored as keys_of
from support.ways import answer, ended, finished, opens, recovers, sealed_entries, table, with_descriptors

KEYS = {"work": (KEY_ID, SECRET)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    site = OverlayEnv(tmp_path_factory.mktemp("slots") / "site")
    site.install(
        "vault-plugin-keyring", {"vault.passphrase.v1": {"keyring": "keyring_source"}}, {"keyring_source.py": KEYRING}
    )
    site.install("vault-plugin-shelf", {"vault.storage.v1": {"shelf": "shelf_store"}}, {"shelf_store.py": SHELF})
    site.install("vault-plugin-plain", {"vault.storage.v1": {"plain": "plain_store"}}, {"plain_store.py": PLAIN})
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, KEYS)
    return home


def kept(home: Home) -> dict[str, str]:
    """What the keyring keeps."""
    path = Path(home.env["XDG_DATA_HOME"], "keyring.json")
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


def slots_of(home: Home, *flags: str) -> list[dict[str, object]]:
    done = home.awsv("slot", "list", "--json", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    listed: list[dict[str, object]] = json.loads(done.stdout)["slots"]
    return listed


FIRST, AGAIN = "New passphrase for store 'file': ", "Repeat passphrase: "
OLD = "Passphrase to unlock store 'file': "


# -- list --------------------------------------------------------------------------------------------------------------


def test_the_list_asks_nobody_and_has_this_form(home: Home) -> None:
    done = home.awsv("slot", "list", "--json")
    (slot,) = table(home).slots
    assert json.loads(done.stdout) == {
        "store": "file",
        "recovery": False,
        "slots": [
            {
                "id": slot.id,
                "type": "passphrase",
                "label": "",
                "sources": [],
                "kdf": [{"alg": "pbkdf2-sha256", "rounds": 600_000}],
            }
        ],
    }
    done = home.awsv("slot", "list")
    assert done.stdout.splitlines()[2].split("  ") == [
        slot.id,
        "passphrase",
        "a passphrase (pbkdf2-sha256)",
        "-",
    ]
    assert done.stderr == (
        "awsv: no recovery key: if the passphrase is lost, so is the store ('awsv recovery' makes one)\n"
    )


def test_a_label_cannot_drive_the_terminal(home: Home) -> None:
    process = with_descriptors(
        home, "slot", "add", "--passphrase", "--label", "\u202ebüro", env=UNLOCKED, new_passphrase="second"
    )
    assert finished(process)[0] == 0
    done = home.awsv("slot", "list")
    assert "\\u202eb\u00fcro" in done.stdout
    assert "\u202e" not in done.stdout
    done = home.awsv("slot", "add", "--recovery", "--label", "a\nb", env=UNLOCKED)
    assert done.returncode == 2


# -- add ---------------------------------------------------------------------------------------------------------------


def test_a_second_passphrase(home: Home) -> None:
    entries = sealed_entries(home, PASSPHRASE)
    child = home.spawn("slot", "add", "--passphrase", "--label", "büro")
    answer(child, (OLD, PASSPHRASE), (FIRST, "second"), (AGAIN, "second"))
    code, shown = ended(child)
    assert (code, [opens(home, each) for each in (PASSPHRASE, "second")]) == (0, [True, True])
    assert f"slot {table(home).slots[1].id} opens store 'file'" in shown
    assert sealed_entries(home, "second") == entries
    assert [slot["label"] for slot in slots_of(home)] == ["", "büro"]


def test_both_of_two_sources(home: Home) -> None:
    child = home.spawn("slot", "add", "--composite", "prompt,env", env=UNLOCKED)  # env opens, and is a factor
    answer(child, (FIRST, "of the person"), (AGAIN, "of the person"))
    assert ended(child)[0] == 0
    passphrase, composite = slots_of(home)
    assert (composite["type"], composite["sources"]) == ("composite", ["env", "prompt"])
    assert [kdf["alg"] for kdf in composite["kdf"]] == ["argon2id", "argon2id"]  # type: ignore[attr-defined]  # a list of them, for a composite slot
    assert slots_of(home) == json.loads(home.awsv("file", "status", "--json").stdout)["slots"]
    child = home.spawn("slot", "remove", "--force", str(passphrase["id"]), env=UNLOCKED)
    answer(child, (OLD, "of the person"))
    assert ended(child)[0] == 0
    assert [slot["type"] for slot in slots_of(home)] == ["composite"]
    child = home.spawn("list", "--unlock", env=UNLOCKED)
    answer(child, (OLD, "wrong"), (OLD, "of the person"))
    code, shown = ended(child)
    assert (code, "work" in shown) == (0, True)
    child = home.spawn("list", "--unlock", env=UNLOCKED)
    answer(child, *[(OLD, "wrong")] * 3)
    code, shown = ended(child)
    assert (code, "composite slot" in shown, "one of its 2 factors is wrong" in shown) == (5, True, True)
    child = home.spawn("list", "--unlock", env={"AWS_VAULT_FILE_PASSPHRASE": "wrong"})
    answer(child, *[(OLD, "of the person")] * 3)
    assert ended(child)[0] == 5
    done = home.awsv("list", "--unlock", env=UNLOCKED)
    assert (done.returncode, "composite slot" in done.stderr) == (5, True)
    done = home.awsv("list", "--unlock")
    assert (done.returncode, "no secret for store 'file' from its source env (not set)" in done.stderr) == (5, True)


def test_a_key_that_a_source_keeps(home: Home, site: OverlayEnv) -> None:
    done = home.run(site.awsv, "slot", "add", "--source", "keyring", "--label", "laptop", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (0, "")
    ((key_id, text),) = kept(home).items()
    slot = table(home).slots[1]
    assert (key_id, slot.type, slot.sources) == (f"{table(home).store.hex()}/{slot.id}", "key", ("keyring",))
    assert text not in done.stderr
    assert text not in store_path(home).read_bytes().decode("latin-1")
    silent = home.run(site.awsv, "list", "--unlock")  # no passphrase anywhere, no terminal
    assert (silent.returncode, silent.stderr) == (0, "")
    without = home.awsv("list", "--unlock", env=UNLOCKED)  # where the source is not installed
    assert (without.returncode, without.stderr) == (0, "")
    locked = home.run(site.awsv, "list", "--unlock", env={**UNLOCKED, "KEYRING_MODE": "locked"})
    assert (locked.returncode, locked.stdout) == (0, silent.stdout)
    done = home.run(site.awsv, "slot", "remove", slot.id[:8], "--force", env={"KEYRING_MODE": ""})
    assert done.returncode == 0, done.stderr
    assert f"removed the key slot {slot.id[:8]} 'laptop' (keyring) of store 'file'" in done.stderr
    assert kept(home) == {}
    assert home.run(site.awsv, "list", "--unlock").returncode == 5


@pytest.mark.parametrize(("number", "counts"), [(1, False), (2, True)], ids=["before", "after"])
def test_a_key_whose_slot_may_be_there_stays_kept(home: Home, site: OverlayEnv, number: int, counts: bool) -> None:
    """The disk fails before, or after, the new file is in its place."""
    strace = parts.need("strace", shutil.which("strace"), how="apt-get install strace")
    fault = (strace, "-f", "-o", "/dev/null", "-e", f"inject=fsync:error=EIO:when={number}")
    done = home.run(*fault, site.awsv, "slot", "add", "--source", "keyring", env=UNLOCKED)
    assert (done.returncode, len(table(home).slots), len(kept(home))) == (4, 1 + counts, counts), done.stderr
    assert (home.run(site.awsv, "list", "--unlock").returncode == 0) is counts


def test_a_source_that_cannot_forget(home: Home, site: OverlayEnv) -> None:
    assert home.run(site.awsv, "slot", "add", "--source", "keyring", env=UNLOCKED).returncode == 0
    slot = table(home).slots[1]
    env = {**UNLOCKED, "KEYRING_MODE": "locked"}
    done = home.run(site.awsv, "slot", "remove", slot.id, "--force", env=env)
    assert (done.returncode, len(table(home).slots)) == (0, 1)
    assert "keyring may still keep its key, which no longer opens anything: the keyring is locked" in done.stderr


@pytest.mark.parametrize(
    ("mode", "why"), [("refuses", "the keyring is locked"), ("loses", "does not deliver the secret that it was given")]
)
def test_a_source_that_does_not_keep_it(home: Home, site: OverlayEnv, mode: str, why: str) -> None:
    before = store_path(home).read_bytes()
    done = home.run(site.awsv, "slot", "add", "--source", "keyring", env={**UNLOCKED, "KEYRING_MODE": mode})
    assert (done.returncode != 0, why in done.stderr) == (True, True), done.stderr
    assert store_path(home).read_bytes() == before


@pytest.mark.parametrize(
    ("source", "code", "why"),
    [
        ("env", 5, "the passphrase of source 'env' opens store 'file' already"),
        ("prompt", 2, "prompts and keeps no key"),
        ("nowhere", 3, "no passphrase source"),
    ],
)
def test_no_source_of_another_secret(home: Home, source: str, code: int, why: str) -> None:
    before = store_path(home).read_bytes()
    done = home.awsv("slot", "add", "--source", source, env=UNLOCKED)
    assert (done.returncode, why in done.stderr) == (code, True)
    assert store_path(home).read_bytes() == before


@pytest.mark.parametrize(
    "words", [["--passphrase", "--recovery-fd", "3"], ["--source", "a", "--new-passphrase-fd", "0"]]
)
def test_descriptors_go_with_what_they_are_for(home: Home, words: list[str]) -> None:
    done = home.run("/bin/sh", "-c", f"umask 077; exec {PROGRAM} slot add {' '.join(words)} 3>key", env=UNLOCKED)
    assert (done.returncode, "goes with" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [[], ["--passphrase", "--recovery"], ["--source", "a", "--composite", "a,b"]])
def test_one_way_at_a_time(home: Home, words: list[str]) -> None:
    done = home.awsv("slot", "add", *words, env=UNLOCKED)
    assert (done.returncode, "give one of" in done.stderr) == (2, True)


def test_no_more_than_eight(home: Home) -> None:
    for _ in range(7):
        done = home.run(
            "/bin/sh", "-c", "umask 077; exec awsv slot add --recovery --recovery-fd 3 3>key", env=path_of_awsv(home)
        )
        assert done.returncode == 0, done.stderr
    before = store_path(home).read_bytes()
    done = home.run("/bin/sh", "-c", "umask 077; exec awsv recovery --recovery-fd 3 3>key", env=path_of_awsv(home))
    assert (done.returncode, "the store has 8 slots" in done.stderr) == (4, True)
    assert (home.cwd / "key").read_text() == ""
    assert store_path(home).read_bytes() == before


def path_of_awsv(home: Home) -> dict[str, str | None]:
    return {**UNLOCKED, "PATH": f"{Path(sys.executable).parent}:{home.env['PATH']}"}


# -- remove ------------------------------------------------------------------------------------------------------------


def test_the_last_way_in_stays_and_nobody_is_asked(home: Home) -> None:
    before = store_path(home).read_bytes()
    done = home.awsv("slot", "remove", "--force", table(home).slots[0].id)
    assert (done.returncode, "this slot is the last way into the store" in done.stderr) == (4, True)
    for unknown in ("zz", ""):
        done = home.awsv("slot", "remove", "--force", unknown, env=UNLOCKED)
        assert (done.returncode, "no slot has an id that begins with" in done.stderr) == (2, True)
    assert store_path(home).read_bytes() == before


def test_removing_needs_the_store_opened_and_a_yes(home: Home) -> None:
    assert finished(with_descriptors(home, "slot", "add", "--passphrase", env=UNLOCKED, new_passphrase="two"))[0] == 0
    first, second = (slot.id for slot in table(home).slots)
    before = store_path(home).read_bytes()
    assert home.awsv("slot", "remove", "--force", first).returncode == 5
    assert home.awsv("slot", "remove", first, env=UNLOCKED).returncode == 2  # nobody to say yes
    child = home.spawn("slot", "remove", first, env=UNLOCKED)
    answer(child, (re.escape(f"Remove the passphrase slot {first[:8]} of store 'file'?"), "n"))
    code, shown = ended(child)
    assert (code, "nothing was removed" in shown) == (130, True)
    child = home.spawn("slot", "remove", first, env=UNLOCKED)
    child.expect("Remove the")
    child.sendintr()
    assert ended(child)[0] == 130
    assert store_path(home).read_bytes() == before
    assert home.awsv("slot", "remove", "--force", first, env=UNLOCKED).returncode == 0
    assert [opens(home, each) for each in (PASSPHRASE, "two")] == [False, True]
    assert [slot.id for slot in table(home).slots] == [second]


# -- other stores ------------------------------------------------------------------------------------------------------


def test_the_core_keeps_the_slots_of_a_store_that_it_seals(home: Home, site: OverlayEnv) -> None:
    env = {
        "AWS_VAULT_BACKEND": "shelf",
        "AWS_VAULT_SHELF_PASSPHRASE": "first",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "PATH": f"{site.awsv.parent}:{home.env['PATH']}",
    }

    def sh(script: str, passphrase: str | None = "first") -> tuple[int, str, str]:
        done = home.run("/bin/sh", "-c", script, env={**env, "AWS_VAULT_SHELF_PASSPHRASE": passphrase})
        return done.returncode, done.stdout, done.stderr

    code, _, stderr = sh("awsv slot list")
    assert (code, "store 'shelf' does not exist yet" in stderr) == (4, True)
    assert sh("awsv add work --env")[0] == 0
    shelf = Path(env_data(home), "shelf")
    value = (shelf / "credentials@work").read_bytes()
    assert sh("umask 077; awsv recovery --recovery-fd 3 3>key")[0] == 0
    assert sh("awsv slot add --source keyring")[0] == 0
    assert sh("awsv passwd --new-passphrase-fd 3 3<<E\nsecond\nE")[0] == 0
    assert [slot["type"] for slot in json.loads(sh("awsv slot list --json")[1])["slots"]] == [
        "passphrase",
        "recovery",
        "key",
    ]
    assert sh("awsv list --unlock", None)[0] == 0  # the kept key
    Path(env_data(home), "keyring.json").unlink()
    assert sh("awsv list --unlock", "first")[0] == 0  # its names are no secret
    get = "awsv explain work; awsv exec --no-session work -- true"
    assert sh(get, "first")[0] == 125
    assert sh(get, "second")[0] == 0
    assert sh("awsv passwd --recovery --recovery-fd 3 --new-passphrase-fd 4 3<key 4<<E\nthird\nE")[0] == 0
    assert (sh(get, "second")[0], sh(get, "third")[0]) == (125, 0)
    assert (shelf / "credentials@work").read_bytes() == value
    code, _, stderr = sh("awsv passwd", "second")
    assert "awsv passwd --recovery --backend shelf" not in stderr  # that hint is a person's
    assert code == 5


def env_data(home: Home) -> str:
    return home.env["XDG_DATA_HOME"]


def test_a_store_that_has_no_slots(home: Home, site: OverlayEnv) -> None:
    for words in (("slot", "list"), ("passwd",), ("slot", "add", "--passphrase")):
        done = home.run(site.awsv, "--backend", "plain", *words)
        assert (done.returncode, "store 'plain' has no key slots" in done.stderr) == (4, True)


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "rounds"),
    [(signal.SIGKILL, sample(5, 300)), (signal.SIGINT, sample(3, 30)), (signal.SIGTERM, sample(3, 30))],
    ids=("kill", "interrupt", "terminate"),
)
def test_s10_killed_at_any_moment_no_way_in_is_lost(
    home: Home, how: signal.Signals, rounds: int, figure: Callable[[str], None]
) -> None:
    """Whatever happens to ``slot add`` and ``slot remove``, each acknowledged slot is there and opens."""
    draw, acknowledged = random.Random(7), 0
    add = ("slot", "add", "--passphrase")
    with fork_server(home) as commands:
        long = commands.timed(*add, env=UNLOCKED, new_passphrase="extra")
        added = {slot.id for slot in table(home).slots[1:]}
        short = commands.timed("slot", "remove", "--force", *added, env=UNLOCKED)
        for number in range(rounds):
            before = {slot.id for slot in table(home).slots}
            cut = (draw.uniform(0, 1.1 * long), how)
            code, stderr = commands.run(*add, env=UNLOCKED, cut=cut, new_passphrase=f"extra {number}")
            assert code in (0, 130, -how), stderr
            assert "Traceback" not in stderr
            added = {slot.id for slot in table(home).slots} - before
            assert len(added) <= 1
            assert opens(home, PASSPHRASE)
            assert bool(added) == opens(home, f"extra {number}")
            assert added or code
            acknowledged += code == 0
            for slot in added:
                cut = (draw.uniform(0, 1.1 * short), how)
                code, stderr = commands.run("slot", "remove", "--force", slot, env=UNLOCKED, cut=cut)
                gone = slot not in {found.id for found in table(home).slots}
                assert gone or code in (130, -how), stderr
                if not gone:
                    assert commands.run("slot", "remove", "--force", slot, env=UNLOCKED)[0] == 0
    assert keys_of(home) == KEYS
    assert not recovers(home, "")
    figure(f"{rounds} times {how.name}: {acknowledged} slots acknowledged, 0 lost")
