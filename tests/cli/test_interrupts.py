"""Ctrl-C and SIGTERM in the middle of every command that changes something: the old state or the new one.

The next run does what is left to do, or says that it was done.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.awsvault import PASSPHRASE as THEIRS
from support.awsvault import write_item
from support.fork_server import ForkServer, fork_server
from support.home import Home
from support.security import sample
from support.vaults import (
    KEY_ID,
    OTHER_ID,
    OTHER_SECRET,
    PASSPHRASE,
    SECRET,
    UNLOCKED,
    Snapshot,
    fill,
    offline,
    store_path,
    stored,
)
from support.ways import opens, table

pytestmark = pytest.mark.slow

NEW = "another passphrase"
KEY, OTHER = (KEY_ID, SECRET), (OTHER_ID, OTHER_SECRET)
ENV = {
    **UNLOCKED,
    "AWS_VAULT_SECOND_PASSPHRASE": PASSPHRASE,
    "AWS_VAULT_THIRD_PASSPHRASE": PASSPHRASE,
    "AWS_VAULT_IMPORT_PASSPHRASE": THEIRS,
    "AWS_ACCESS_KEY_ID": OTHER_ID,
    "AWS_SECRET_ACCESS_KEY": OTHER_SECRET,
}
WIRE = ("config", "credential-process", "--all", "--yes")


def second(home: Home) -> Path:
    """The folder of the second store."""
    return home.root / "second"


def in_second(home: Home) -> dict[str, tuple[str, str]]:
    return stored(home, folder=second(home))


def anchors(home: Home) -> dict[str, bytes]:
    """What is remembered of stores."""
    folder = Path(home.env["XDG_STATE_HOME"], "awsv/anchors")
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


@dataclass(frozen=True)
class Case:
    """A command, and how to tell its old state from its new one."""

    words: tuple[str, ...]
    state: Callable[[Home], Any]
    before: tuple[tuple[str, ...], ...] = ()
    """Commands that must have been run."""
    done: tuple[int, ...] = (0,)
    """The exit codes of the same command where all is done already: it says so."""
    steps: bool = False
    """Key by key: what is there is between the old state and the new one."""
    random: bool = False
    """The new state is another one each time."""
    texts: Mapping[str, str | None] = field(default_factory=dict)


COPY = ("copy", "--from", "file", "--to", "second")
MOVED = ("import", "credentials-file"), WIRE
CASES = {
    "add": Case(("add", "--env", "new"), stored, done=(2,)),
    "add --overwrite": Case(("add", "--env", "--overwrite", "work"), stored),
    "remove": Case(("remove", "--force", "work"), stored, done=(0, 4)),
    "import credentials-file": Case(("import", "credentials-file"), stored, steps=True),
    "import aws-vault": Case(("import", "aws-vault"), stored, steps=True),
    "import --remove-plain": Case(
        ("import", "--remove-plain", "--yes"), lambda home: home.credentials.read_bytes(), MOVED, done=(0, 4)
    ),
    "import undo": Case(
        ("import", "undo"),
        lambda home: home.credentials.read_bytes(),
        (*MOVED, ("import", "--remove-plain", "--yes")),
        done=(0, 4),
    ),
    "config credential-process": Case(WIRE, lambda home: home.config.read_bytes(), (("import", "credentials-file"),)),
    "config credential-process --undo": Case(
        (*WIRE, "--undo"), lambda home: home.config.read_bytes(), MOVED, done=(0, 2)
    ),
    "copy": Case(COPY, in_second, steps=True),
    "copy --delete-source": Case((*COPY, "--delete-source"), in_second, steps=True),
    "passwd": Case(
        ("passwd",), lambda home: (opens(home, PASSPHRASE), opens(home, NEW)), done=(5,), texts={"new_passphrase": NEW}
    ),
    "slot add": Case(
        ("slot", "add", "--passphrase"), lambda home: min(len(table(home).slots), 2), texts={"new_passphrase": NEW}
    ),
    "slot remove": Case(("slot", "remove", "--force", "SECOND"), lambda home: len(table(home).slots), done=(2, 4)),
    "recovery": Case(
        ("recovery",), lambda home: min(len(table(home).of_type("recovery")), 1), texts={"recovery": None}
    ),
    "file init": Case(
        ("file", "init", "--backend", "third"), lambda home: (home.root / "third/store.vlt").exists(), done=(4,)
    ),
    "file rekey": Case(("file", "rekey"), lambda home: [slot.id for slot in table(home).slots], random=True),
    "file backup": Case(
        ("file", "backup", "--overwrite", "b.vlt"),
        lambda home: (
            (home.cwd / "b.vlt").exists() and (home.cwd / "b.vlt").read_bytes() == store_path(home).read_bytes()
        ),
    ),
    "file restore": Case(
        ("file", "restore", "--yes", "b.vlt"),
        stored,
        (("file", "backup", "b.vlt"), ("remove", "--force", "work")),
    ),
    "file accept": Case(("file", "accept", "--older"), anchors, (("bring back an older copy",),)),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, ForkServer]]:
    """Somebody with two stores, plain keys, items of aws-vault and two ways into the first store."""
    home = offline(tmp_path_factory.mktemp("interrupts"))
    fill(home, {"work": KEY, "play": OTHER})
    home.credentials.write_text(
        "".join(f"[p{number}]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n" for number in range(9))
    )
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir(parents=True)
    tables = [f'[store.{name}]\nbackend = "file"\ndir = "{home.root}/{name}"\n' for name in ("second", "third")]
    config.write_text("".join(tables))
    items = home.path / ".awsvault/keys"
    items.mkdir(parents=True)
    for number in range(5):
        write_item(items, f"theirs-{number}", f"theirs-{number}", {"AccessKeyID": KEY_ID, "SecretAccessKey": SECRET})
    with fork_server(home) as commands:
        commands.timed("file", "init", "--backend", "second", env=ENV)
        yield home, commands


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=("interrupt", "terminate"))
@pytest.mark.parametrize("name", CASES)
def test_old_or_new(
    machine: tuple[Home, ForkServer], name: str, sent: signal.Signals, figure: Callable[[str], None]
) -> None:
    (home, commands), case = machine, CASES[name]
    start = Snapshot(home)
    try:
        words = prepare(home, commands, case)
        ready, old = Snapshot(home), case.state(home)
        whole = commands.timed(*words, env=ENV, **case.texts)
        new = case.state(home)
        assert new != old
        dice, seen = random.Random(name), {"old": 0, "between": 0, "new": 0}
        for _ in range(sample(3, 20)):
            ready.restore()
            cut = (dice.uniform(0.2, 1.1) * whole, sent)
            code, stderr = commands.run(*words, env=ENV, cut=cut, **case.texts)
            assert "Traceback" not in stderr
            assert code in (0, 5, 130, -sent), stderr
            found = which(case, case.state(home), old, new)
            assert found == "new" or code, (found, stderr)
            seen[found] += 1
            code, stderr = commands.run(*words, env=ENV, cut=None, **case.texts)
            assert code in ((0, *case.done) if found == "new" else (0,)), (found, code, stderr)
            assert which(case, case.state(home), old, new) == "new"
        figure(", ".join(f"{count} {state}" for state, count in seen.items()))
    finally:
        start.restore()


def prepare(home: Home, commands: ForkServer, case: Case) -> list[str]:
    """Do what must have been done before; the command's words."""
    for words in case.before:
        if words == ("bring back an older copy",):
            older = store_path(home).read_bytes()
            commands.timed("remove", "--force", "work", env=ENV)
            store_path(home).write_bytes(older)
        else:
            commands.timed(*words, env=ENV)
    if "SECOND" not in case.words:
        return list(case.words)
    commands.timed("slot", "add", "--passphrase", env=ENV, new_passphrase=NEW)
    return [word.replace("SECOND", table(home).slots[1].id) for word in case.words]


def which(case: Case, found: Any, old: Any, new: Any) -> str:
    """Which state it is; anything that is none of these fails."""
    if found == old:
        return "old"
    if found == new or case.random:
        return "new"
    assert case.steps
    assert old.items() <= found.items() <= new.items()
    return "between"
