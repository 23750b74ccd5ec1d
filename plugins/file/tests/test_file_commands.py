"""``awsv file`` as users and programs run it: real processes, a real terminal."""

from __future__ import annotations

import json
import shlex
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from support.file_store import KEYS, done, spoil, told
from support.vaults import (
    PASSPHRASE,
    UNLOCKED,
    offline,
    store_path,
    stored,
)
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.commands import command
from vault_testkit.context import FakeContext


@pytest.fixture
def path(home: Any) -> Any:
    return store_path(home)


def folder_of(path: Any) -> Any:
    return sorted(found.name for found in path.parent.iterdir() if not found.name.endswith(".lock"))


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", command.commands)
def test_help_of_each_command_has_example(tmp_path: Path, name: Any) -> None:
    shown = done(offline(tmp_path).awsv("file", name, "--help"))
    assert f"  awsv file {name}" in shown.partition("Example")[2]


# -- init and status ---------------------------------------------------------------------------------------------------


def test_init_creates_store_once(tmp_path: Path) -> None:
    home = offline(tmp_path)
    path = store_path(home)
    assert "set AWS_VAULT_FILE_PASSPHRASE_FILE" in done(home.awsv("file", "init"), code=5)
    assert not path.exists()
    made = home.awsv("file", "init", env=UNLOCKED)
    assert done(made) == f"Created {path}\n"
    assert "it opens with: passphrase slot" in made.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"there is already a store at {path}" in done(home.awsv("file", "init", env=UNLOCKED), code=4)
    assert done(home.awsv("list", "--credentials", env=UNLOCKED)) == ""


def test_init_at_terminal_asks_twice_and_offers_recovery_key(tmp_path: Path) -> None:
    home = offline(tmp_path)
    child = home.spawn("file", "init")
    for question in ("assphrase .*: $", "Repeat passphrase: $"):
        child.expect(question)
        child.sendline(PASSPHRASE)
    child.expect("Created ")
    child.expect("recovery key")
    child.sendline("n")
    child.expect("has no recovery key")
    child.read()
    child.wait()
    assert child.exitstatus == 0
    facts = json.loads(done(home.awsv("file", "status", "--json")))
    assert (facts["ways_in"], facts["recovery"]) == (1, False)


def test_status_never_prompts(home: Any, path: Any) -> None:
    nobody = {"AWS_VAULT_FILE_PASSPHRASE": None}
    shown = done(home.awsv("file", "status", env=nobody))
    assert f"Store:        {path}" in shown
    assert "Slots:        1 (no recovery key)" in shown
    assert "Permissions:  folder 0700, file 0600" in shown
    assert "pbkdf2-sha256 600,000 rounds" in shown
    assert " bytes, 2 writes\n" in shown
    for words in (("file", "status"), ("slot", "list")):  # of one slot they show one id
        head, *_, slot = done(home.awsv(*words, env=nobody)).splitlines()[-3:]
        assert (head.split()[0], slot.split()[0]) == (
            "Id",
            json.loads(done(home.awsv("slot", "list", "--json")))["slots"][0]["id"],
        )
    facts = json.loads(done(home.awsv("file", "status", "--json", env=nobody)))
    assert set(facts) == {
        "path", "exists", "format", "bytes", "writes", "file_mode", "folder_mode", "ways_in", "recovery", "slots",
        "anchor",
    }  # fmt: skip
    assert set(facts["anchor"]) == {"state", "path"}
    assert [set(slot) for slot in facts["slots"]] == [{"id", "type", "label", "sources", "kdf"}]
    assert (facts["path"], facts["exists"], facts["bytes"]) == (str(path), True, path.stat().st_size)


def test_status_without_store_reports_it(tmp_path: Path) -> None:
    home = offline(tmp_path)
    assert "the file does not exist" in done(home.awsv("file", "status"))
    assert json.loads(done(home.awsv("file", "status", "--json")))["exists"] is False
    assert not store_path(home).parent.exists()
    for words in (("verify",), ("rekey",), ("backup", "b.vlt")):
        assert "awsv file init" in done(home.awsv("file", *words), code=4)
    assert not store_path(home).parent.exists()


def test_commands_work_on_named_store(home: Any, tmp_path: Path) -> None:
    """The commands work on the store that the settings name, if it is a file store."""
    config = home.path / ".config/awsv"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(f'[store.second]\nbackend = "file"\ndir = "{tmp_path}/second"\n')
    passphrase = {"AWS_VAULT_SECOND_PASSPHRASE": "another one"}
    done(home.awsv("--backend", "second", "file", "init", env=passphrase))
    assert f"{tmp_path}/second/store.vlt" in done(home.awsv("file", "status", "--backend", "second"))
    assert f"{tmp_path}/second/store.vlt" in done(home.awsv("file", "status", "--file-dir", f"{tmp_path}/second"))
    assert str(store_path(home)) in done(home.awsv("file", "status"))


def test_command_refuses_store_of_other_backend(home: Any) -> None:
    """A backend named by an option must be a file store; one from a setting is ignored."""
    assert "did you mean 'file'?" in done(home.awsv("file", "rekey", "--backend", "fiel"), code=3)
    said = done(home.awsv("file", "rekey", "--backend", "hashicorp"), code=2)
    assert "--backend hashicorp is a store of 'hashicorp', and this command is for those of 'file'" in said
    assert str(store_path(home)) in done(home.awsv("file", "status", env={"AWS_VAULT_BACKEND": "hashicorp"}))


# -- verify, rekey -----------------------------------------------------------------------------------------------------


def test_verify_reports_damage(home: Any, path: Any, tmp_path: Path) -> None:
    assert done(home.awsv("file", "verify")) == f"{path} is intact: 2 entries, 1 slot, 2 writes\n"
    good = path.read_bytes()
    for damage, code, words in (
        (good[:-1] + bytes([good[-1] ^ 1]), 4, "is damaged: its payload was changed"),
        (good[:-1], 4, "is damaged: it is truncated"),
        (b"something else", 4, "is not an awsv store"),
        (good[:9] + b"\2" + good[10:], 4, "newer version"),
    ):
        path.write_bytes(damage)
        stderr = done(home.awsv("file", "verify"), code=code)
        assert words in stderr
        assert str(path) in stderr
        assert "hint: " in stderr
        assert path.read_bytes() == damage
    path.write_bytes(good)
    wrong = home.awsv("file", "verify", env={"AWS_VAULT_FILE_PASSPHRASE": "wrong"})
    assert "does not open store 'file'" in done(wrong, code=5)


def test_rekey_keeps_entries_readable(home: Any, path: Any) -> None:
    before = path.read_bytes()
    assert "2 entries encrypted again" in done(home.awsv("file", "rekey"))
    assert path.read_bytes() != before
    assert stored(home) == KEYS
    path.write_bytes(before)
    assert "older copy" in told(home.awsv("list", "--credentials"))


def test_rekey_at_terminal_asks_once(home: Any, path: Any) -> None:
    before = path.read_bytes()
    child = home.spawn("file", "rekey", env={"AWS_VAULT_FILE_PASSPHRASE": None})
    child.expect("assphrase .*: $")
    child.sendline(PASSPHRASE)
    shown = child.read()
    child.wait()
    assert (child.exitstatus, "2 entries encrypted again" in shown) == (0, True)
    assert "assphrase to" not in shown
    assert "for passphrase slot" not in shown
    assert path.read_bytes() != before


def test_rekey_drops_unopened_slot_only_after_confirmation(home: Any, path: Any) -> None:
    added = home.awsv("slot", "add", "--passphrase", "--new-passphrase-fd", "0", input="of another user\n")
    assert "opens store 'file'" in told(added)
    before = path.read_bytes()
    refused = done(home.awsv("file", "rekey"), code=2)
    assert "did not open" in refused
    assert "give --drop" in refused
    assert path.read_bytes() == before
    done(home.awsv("file", "rekey", "--drop"))
    assert json.loads(done(home.awsv("file", "status", "--json")))["ways_in"] == 1
    assert stored(home) == KEYS


# -- backup and restore ------------------------------------------------------------------------------------------------


def test_backup_and_restore_round_trip(home: Any, path: Any, tmp_path: Path) -> None:
    target = tmp_path / "backups of mine" / "awsv.vlt"
    target.parent.mkdir()
    nobody = {"AWS_VAULT_FILE_PASSPHRASE": None}
    written = home.awsv("file", "backup", target, env=nobody)
    assert done(written) == f"Wrote {target}: {path.stat().st_size:,} bytes, the store after 2 writes\n"
    assert "it opens with: passphrase slot" in written.stderr
    assert target.read_bytes() == path.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "give --overwrite" in done(home.awsv("file", "backup", target, env=nobody), code=2)
    done(home.awsv("file", "backup", target, "--overwrite", env=nobody))
    assert "is intact: 2 entries" in done(home.awsv("file", "verify", target))

    done(home.awsv("remove", "--force", "other"))
    changed = path.read_bytes()
    assert "give --yes" in done(home.awsv("file", "restore", target), code=2)
    restored = home.awsv("file", "restore", target, "-y")
    assert f"Restored {path} from {target}: 2 entries" in done(restored)
    (old,) = [name for name in folder_of(path) if name.endswith(".old")]
    assert f"the old file is {path.parent / old}" in restored.stderr
    assert (path.parent / old).read_bytes() == changed
    assert stored(home) == KEYS
    assert told(home.awsv("list", "--credentials")) == ""


def test_restore_creates_store_on_new_machine(home: Any, path: Any, tmp_path: Path) -> None:
    target = tmp_path / "awsv.vlt"
    done(home.awsv("file", "backup", target))
    new = offline(tmp_path / "new")
    new.env |= UNLOCKED
    assert "2 entries" in done(new.awsv("file", "restore", target))
    assert stored(new) == KEYS
    assert folder_of(store_path(new)) == ["store.vlt"]


def test_backup_at_terminal_asks_before_overwrite(home: Any, path: Any, tmp_path: Path) -> None:
    target = tmp_path / "b.vlt"
    target.write_bytes(b"another")
    for answer, code in (("n", 130), ("y", 0)):
        assert target.read_bytes() == b"another"
        child = home.spawn("file", "backup", target)
        child.expect_exact(f"{target} exists. Replace it?")
        child.sendline(answer)
        child.read()
        child.wait()
        assert child.exitstatus == code
    assert target.read_bytes() == path.read_bytes()


def test_restore_at_terminal_asks_before_replacing(home: Any, path: Any, tmp_path: Path) -> None:
    done(home.awsv("file", "backup", tmp_path / "b.vlt"))
    for answer, code in (("n", 130), ("y", 0)):
        child = home.spawn("file", "restore", tmp_path / "b.vlt")
        child.expect_exact(f"Replace {path}?")
        child.sendline(answer)
        child.read()
        child.wait()
        assert child.exitstatus == code
    assert len([name for name in folder_of(path) if name.endswith(".old")]) == 1


def test_folder_as_backup_is_refused(home: Any, path: Any, tmp_path: Path) -> None:
    for words in ((), ("--overwrite",)):
        stderr = done(home.awsv("file", "backup", tmp_path, *words), code=4)
        assert f"hint: name a file in it: awsv file backup {tmp_path}/store.vlt" in stderr


def test_printed_verify_command_runs_as_printed(home: Any, path: Any, tmp_path: Path) -> None:
    for name in (tmp_path / "my backup.vlt", "-x.vlt"):
        made = home.awsv("file", "backup", "--", name)
        assert made.returncode == 0, made.stderr
        told = made.stderr.partition("to check it: ")[2]
        assert "is intact" in done(home.awsv(*shlex.split(told)[1:]))


def test_damaged_backup_has_hint_to_try_another(home: Any, path: Any, tmp_path: Path) -> None:
    spoil(FileBackend(FakeContext(tmp_path, passphrases=[PASSPHRASE]), path.parent), "credentials/work")
    done(home.awsv("file", "backup", tmp_path / "b.vlt"))
    for words in (("verify",), ("restore", "-y")):
        stderr = done(home.awsv("file", *words, tmp_path / "b.vlt"), code=4)
        assert "1 of 2 entries do not open: credentials/work" in stderr
        assert "hint: try a different backup file" in stderr


@pytest.mark.parametrize("words", [("verify", "nowhere"), ("restore", "nowhere"), ("backup", "nowhere/b.vlt")])
def test_missing_file_is_reported(home: Any, words: Any, path: Any) -> None:
    before = path.read_bytes()
    stderr = done(home.awsv("file", *words), code=4)
    assert words[1] in stderr
    assert "hint: " in stderr
    assert path.read_bytes() == before


# -- interrupts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["init", "verify", "rekey", "restore b.vlt", "accept --older"])
def test_interrupt_at_prompt_changes_nothing(home: Any, path: Any, words: Any, tmp_path: Path) -> None:
    """Ctrl-C at the prompt changes nothing and releases the lock."""
    done(home.awsv("file", "backup", home.cwd / "b.vlt"))
    if words == "init":
        path.unlink()
        home.env["AWS_VAULT_FILE_ANCHOR"] = "off"
    if words == "accept --older":
        old = path.read_bytes()
        done(home.awsv("remove", "--force", "other"))
        path.write_bytes(old)
    before = path.read_bytes() if path.exists() else None
    child = home.spawn("file", *shlex.split(words), env={"AWS_VAULT_FILE_PASSPHRASE": None})
    child.expect("assphrase .*: $")
    time.sleep(0.1)
    child.sendintr()
    child.read()
    child.wait()
    assert child.exitstatus in (5, 130)
    assert (path.read_bytes() if path.exists() else None) == before
    if before is not None:
        done(home.awsv("file", "verify"))
