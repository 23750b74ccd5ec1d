"""A wrong passphrase (5) is not a damaged store (4), nor a newer one (4): in every command that opens a store.

Whatever the command, the message names the store's file, the hint is one thing to do, and the file is untouched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support import parts
from support.awsvault import PASSPHRASE as THEIRS
from support.awsvault import write_item
from support.busy import seconds
from support.home import PROGRAM, Home
from support.security import DEEP
from support.vaults import (
    KEY_ID,
    OTHER_ID,
    OTHER_SECRET,
    PASSPHRASE,
    SECRET,
    UNLOCKED,
    Snapshot,
    ended,
    fill,
    offline,
    store_path,
)
from support.ways import finished, table, with_descriptors

SECOND = {"AWS_VAULT_SECOND_PASSPHRASE": PASSPHRASE}
KEYS = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
READS = {
    "list": "awsv list --unlock",
    "exec": "awsv exec -n -j work",
    "export": "awsv export -n work",
    "ready": "awsv ready work",
    "file verify": "awsv file verify",
    "copy from": "awsv copy --from file --to second",
}
WRITES = {
    "add": "awsv add --env new",
    "add over": "awsv add --env --overwrite work",
    "remove": "awsv remove --force work",
    "import credentials-file": "awsv import credentials-file",
    "import aws-vault": "awsv import aws-vault",
    "import --remove-plain": "awsv import --remove-plain --yes",
    "import undo": "awsv import undo",
    "copy to": "awsv copy --from second --to file",
    "passwd": "awsv passwd --new-passphrase-fd 3 3<new",
    "slot add": "awsv slot add --passphrase --new-passphrase-fd 3 3<new",
    "slot remove": "awsv slot remove --force SLOT",
    "recovery": "umask 077; awsv recovery --recovery-fd 3 3>key",
    "file rekey": "awsv file rekey --drop",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Snapshot]:
    """Somebody with a store, a second one, plain keys that were copied and wired, and a store of aws-vault."""
    folder = tmp_path_factory.mktemp("trouble")
    home = offline(folder)
    fill(home, {"work": (KEY_ID, SECRET)})
    home.credentials.write_text(f"[plain]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir(parents=True)
    config.write_text(f'[store.second]\nbackend = "file"\ndir = "{home.root}/second"\n')
    for words in (
        ("import", "credentials-file"),
        ("config", "credential-process", "--all", "--yes"),
        ("add", "--backend", "second", "--env", "other"),
    ):
        done = home.awsv(*words, env={**UNLOCKED, **SECOND, **KEYS})
        assert done.returncode == 0, done.stderr
    items = home.path / ".awsvault/keys"
    items.mkdir(parents=True)
    write_item(items, "theirs", "theirs", {"AccessKeyID": OTHER_ID, "SecretAccessKey": OTHER_SECRET})
    (home.cwd / "new").write_text("a new passphrase")
    home.env |= {**SECOND, **KEYS, "AWS_VAULT_IMPORT_PASSPHRASE": THEIRS, "AWS_REGION": "eu-west-1"}
    home.env["PATH"] = f"{PROGRAM.parent}:{home.env['PATH']}"
    return home, Snapshot(home)


@pytest.fixture
def home(machine: tuple[Home, Snapshot]) -> Home:
    machine[1].restore()
    return machine[0]


def altered(data: bytes, kind: str) -> bytes:
    """A store with another last byte, without it, or of another version."""
    return {
        "wrong": data,
        "changed": data[:-1] + bytes([data[-1] ^ 1]),
        "cut": data[:-1],
        **{f"version {number}": data[:8] + number.to_bytes(2, "big") + data[10:] for number in (0, 2, 65_535)},
    }[kind]


SAID = {
    "wrong": (5, "does not open store 'file' ("),
    "changed": (4, "is damaged: "),
    "cut": (4, "is damaged: it is truncated"),
    **dict.fromkeys(("version 0", "version 2", "version 65535"), (4, "was written by a newer version of awsv: ")),
}
NEXT = {
    "wrong": "hint: check where it is set",
    "changed": "hint: restore it from a backup: awsv file restore FILE",
    "cut": "hint: restore it from a backup: awsv file restore FILE",
    **dict.fromkeys(("version 0", "version 2", "version 65535"), "hint: update awsv"),
}


def both_look(kinds: Sequence[str]) -> list[tuple[str, str]]:
    return [(kind, command) for kind in kinds for command in {**READS, **WRITES}]


@pytest.mark.security("S4", "S15")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "command"), both_look([*SAID] if DEEP else ["wrong", "changed", "version 2"]), ids=lambda word: word
)
def test_every_command_tells_a_wrong_passphrase_from_damage_and_from_a_newer_version(
    home: Home, kind: str, command: str
) -> None:
    path, plain = store_path(home), home.credentials.read_bytes()
    slot = table(home).slots[0].id
    if command == "slot remove":
        process = with_descriptors(home, "slot", "add", "--passphrase", env=UNLOCKED, new_passphrase="second")
        assert finished(process)[0] == 0
    path.write_bytes(altered(path.read_bytes(), kind))
    before = path.read_bytes(), path.stat().st_mtime_ns
    passphrase = "wrong" if kind == "wrong" else PASSPHRASE
    line = {**READS, **WRITES}[command].replace("SLOT", slot)
    done = home.run("/bin/sh", "-c", line, env={"AWS_VAULT_FILE_PASSPHRASE": passphrase})
    code, words = SAID[kind]
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr
    assert str(path) in done.stderr
    assert NEXT[kind] in done.stderr
    assert done.stderr.count("hint: ") == 1
    assert "Traceback" not in done.stderr
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert home.credentials.read_bytes() == plain
    if (key := home.cwd / "key").exists() and key.read_bytes():  # what is damaged was found when its slot was written
        assert "the recovery key just shown is not valid" in done.stderr


def test_a_file_system_without_locks(home: Home) -> None:
    """As some network ones are. Reads work; a write says what is wrong and where else the store could be."""
    parts.need("strace", shutil.which("strace"), how="apt-get install strace")
    before = store_path(home).read_bytes()
    for error, reason in (("ENOLCK", "no locks available"), ("EOPNOTSUPP", "operation not supported")):
        inject = ("strace", "-f", "-o", "/dev/null", "-e", f"inject=flock:error={error}", PROGRAM)
        done = home.run(*inject, "exec", "-n", "-j", "work", env=UNLOCKED)
        if "ptrace" in done.stderr.lower():
            pytest.skip("this process may not be traced")
        assert done.returncode == 0, done.stderr
        done = home.run(*inject, "add", "--env", "new", env=UNLOCKED)
        assert (done.returncode, done.stdout) == (4, "")
        assert f"{store_path(home).parent} cannot be locked: {reason}" in done.stderr
        assert "on a network file system without locks, set AWS_VAULT_FILE_DIR to a local folder" in done.stderr
        assert store_path(home).read_bytes() == before


@pytest.mark.security("S12")
@pytest.mark.slow
def test_a_stopped_process_holds_the_lock(home: Home, figure: Callable[[str], None]) -> None:
    """The time limit is ten seconds, and the process is named. Reads need no lock."""
    lock = store_path(home).with_name("store.vlt.lock")
    lock.write_text("4194304\n")  # of the writer before: longer than the next one's, as when process ids start anew
    script = "import fcntl, os, sys; file = open(sys.argv[1], 'r+'); fcntl.flock(file, fcntl.LOCK_EX); "
    script += "file.truncate(); file.write(f'{os.getpid()}\\n'); file.flush(); os.kill(os.getpid(), 19)"
    holder = subprocess.Popen([sys.executable, "-c", script, str(lock)], env=home.environment())
    try:
        os.waitpid(holder.pid, os.WUNTRACED)  # until it is stopped
        done = home.awsv("exec", "-n", "-j", "work", env=UNLOCKED)
        assert done.returncode == 0, done.stderr
        started = time.monotonic()
        done = home.awsv("add", "--env", "new", env=UNLOCKED)
        waited = time.monotonic() - started
        assert (done.returncode, done.stdout) == (4, "")
        assert f"{store_path(home)} has been locked by process {holder.pid} for more than 10 s" in done.stderr
        assert f"hint: wait until process {holder.pid} finishes, or end it; then repeat the command" in done.stderr
        assert 10 <= waited < 10 + seconds(5)
        figure(f"told after {waited:.1f} s")
    finally:
        holder.kill()
        holder.wait()
    assert home.awsv("add", "--env", "new", env=UNLOCKED).returncode == 0


@pytest.mark.security("S15")
@pytest.mark.slow
@pytest.mark.parametrize("command", [*READS, *(name for name in WRITES if name not in ("slot remove", "recovery"))])
@pytest.mark.parametrize("recovery", [False, True], ids=("no way out", "recovery key"))
def test_three_wrong_tries_at_a_terminal(home: Home, command: str, recovery: bool) -> None:
    """The hint is the way that is left, or says plainly that there is none."""
    if recovery:
        assert home.run("/bin/sh", "-c", "umask 077; awsv recovery --recovery-fd 3 3>key", env=UNLOCKED).returncode == 0
    before = store_path(home).read_bytes()
    child = home.spawn("-c", {**READS, **WRITES}[command], program="/bin/sh")
    for _ in range(3):
        child.expect_exact("Passphrase to unlock store 'file': ")
        child.sendline("wrong")
    assert ended(child) == 5
    shown = child.before
    assert f"wrong passphrase for store 'file', three times ({store_path(home)})" in shown
    wanted = "awsv passwd --recovery" if recovery else "no other way in exists (no recovery key was made): find the"
    assert f"hint: {wanted}" in shown
    assert store_path(home).read_bytes() == before
