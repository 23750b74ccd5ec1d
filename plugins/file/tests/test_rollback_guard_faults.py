"""S8: anchors that are off, damaged or not writable cause a warning and block nothing."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Secret, StorageDenied
from vault_plugin_file import atomic_file, maintenance
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.plugin import vault_storage_backends
from vault_plugin_file.rollback_guard import RollbackStatus
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children here start no threads

KEY = "credentials/dev"


def anchors(tmp_path: Any) -> Any:
    return sorted((tmp_path / "state/anchors").glob("store-*.json"))


def reads(store: Any) -> Any:
    return (lambda: store.get(KEY), lambda: list(store.keys()))


def test_s8_anchor_off_records_nothing(first_write: Any, opened: Any, path: Any, tmp_path: Path) -> None:
    home = tmp_path / "ephemeral"
    context = FakeContext(home, store="file", passphrases=["right"], options={"anchor": False})
    assert opened(context).put(KEY, Secret("3"))
    path.write_bytes(first_write)
    assert opened(context).get(KEY).value == Secret("1")
    assert opened(context).put(KEY, Secret("3"))
    path.unlink()
    assert opened(context).get(KEY) is None
    assert opened(context).put(KEY, Secret("4"))
    assert "is off" in maintenance.accept(opened(context).store, RollbackStatus.OLDER, nullcontext())
    assert context.notes == []
    assert not context.state_dir.exists()


@pytest.mark.parametrize("enabled", [True, False])
def test_repeated_read_syncs_once(
    first_write: Any, opened: Any, ctx: FakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: Any
) -> None:
    """Also if the anchor is off or cannot be written."""
    shutil.rmtree(tmp_path / "state")
    ctx.options["anchor"] = enabled  # type: ignore[index]  # a plain dictionary, behind a Mapping
    if enabled:
        monkeypatch.setattr(atomic_file.AtomicFile, "locked", refused)
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(fd), real(fd)))
    store = opened()
    for _ in range(3):
        store.get(KEY)
    assert len(synced) == (1 if enabled else 0)


def refused(*_: Any) -> Any:
    raise StorageDenied("read-only")


def test_anchor_option_is_boolean() -> None:
    (spec,) = vault_storage_backends()
    option = spec.options[1]
    assert (option.name, option.default, option.parse("off"), option.parse("on")) == ("anchor", True, False, True)


def spoil_with(data: Any) -> Any:
    return lambda anchor: anchor.write_bytes(data)


DAMAGE = {
    "empty": spoil_with(b""),
    "not JSON": spoil_with(b"\0" * 100),
    "another version": lambda anchor: anchor.write_bytes(anchor.read_bytes().replace(b'"format":1', b'"format":2')),
    "no epoch": lambda anchor: anchor.write_bytes(anchor.read_bytes().replace(b'"epoch"', b'"epocs"')),
    "truncated": lambda anchor: anchor.write_bytes(anchor.read_bytes()[:-1]),
    "huge": lambda anchor: os.truncate(anchor, 1 << 33),
    "readable by all": lambda anchor: anchor.chmod(0o644),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_s8_damaged_anchor_warns_and_blocks_nothing(
    first_write: Any, opened: Any, ctx: FakeContext, tmp_path: Path, how: Any, path: Any
) -> None:
    (anchor,) = anchors(tmp_path)
    DAMAGE[how](anchor)
    store = opened()
    for read in reads(store) * 2:
        read()
    assert len(ctx.notes) == 1
    assert "whether" in ctx.notes[0]
    assert str(anchor) in ctx.notes[0]
    opened().put(KEY, Secret("3"))
    ctx.notes.clear()
    assert opened().get(KEY).value == Secret("3")  # the write has repaired it
    assert ctx.notes == []
    path.write_bytes(first_write)
    opened().get(KEY)
    assert len(ctx.notes) == 1


@pytest.mark.parametrize("damaged", ["newest state", "place"])
def test_s8_read_with_damaged_anchor_records_nothing(
    first_write: Any, opened: Any, tmp_path: Path, damaged: Any
) -> None:
    """The file may be an older copy or a different store: only a write or the user can decide that."""
    folder = tmp_path / "state/anchors"
    for file in folder.glob("*.json"):
        if file.name.startswith("store-") == (damaged == "newest state"):
            file.write_bytes(b"{}")
        else:
            file.unlink()
    before = {file.name: file.read_bytes() for file in folder.glob("*.json")}
    assert before
    opened().get(KEY)
    assert {file.name: file.read_bytes() for file in folder.glob("*.json")} == before


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_s8_anchor_of_other_kind_warns_and_blocks_nothing(
    first_write: Any, opened: Any, ctx: FakeContext, tmp_path: Path, kind: Any
) -> None:
    (anchor,) = anchors(tmp_path)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    anchor.unlink()
    {"folder": anchor.mkdir, "link": lambda: anchor.symlink_to(precious), "pipe": lambda: os.mkfifo(anchor)}[kind]()
    assert opened().get(KEY).value == Secret("2")
    opened().put(KEY, Secret("3"))
    assert opened().get(KEY).value == Secret("3")
    assert any(str(anchor) in note for note in ctx.notes)
    assert precious.read_text() == "precious"


def test_s8_accept_repairs_damaged_anchor(first_write: Any, opened: Any, ctx: FakeContext, tmp_path: Path) -> None:
    (anchor,) = anchors(tmp_path)
    anchor.write_bytes(b"{}")
    maintenance.accept(opened().store, RollbackStatus.OLDER, nullcontext())
    ctx.notes.clear()
    opened().get(KEY)
    assert ctx.notes == []


def test_s8_unwritable_state_folder_fails_no_write(opened: Any, ctx: FakeContext, tmp_path: Path, path: Any) -> None:
    ctx.state_dir.write_text("a file where the folder should be")
    opened().put(KEY, Secret("1"))
    store = opened()
    store.put(KEY, Secret("2"))
    store.put(KEY, Secret("3"))
    told = [note for note in ctx.notes if "an older copy of it would not be noticed" in note]
    assert len(told) == 2  # once a process
    assert opened().get(KEY).value == Secret("3")


def test_s8_read_only_state_folder_fails_no_write(
    first_write: Any, child: Any, folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads do not warn; writes work and warn."""
    user = None
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").mkdir()
    if os.geteuid() == 0:
        user = 65_534
        for path in (folder, *folder.iterdir(), tmp_path / "state"):
            os.chown(path, user, user)
        tmp_path.chmod(0o755)
    (tmp_path / "state").chmod(0o500)
    monkeypatch.chdir(tmp_path)  # the folders above may be closed to the other user

    def work() -> Any:
        from pathlib import Path

        context = FakeContext(Path(), passphrases=["right"])
        store = FileBackend(context, Path("store"))
        read = store.get(KEY).value == Secret("2") and context.notes == []
        store.put(KEY, Secret("3"))
        return read and [note for note in context.notes if "permission denied" in note] == context.notes != []

    status = child(work, user=user)
    (tmp_path / "state").chmod(0o700)
    assert status == 0


def test_anchors_are_private(first_write: Any, tmp_path: Path) -> None:
    (anchor,) = anchors(tmp_path)
    assert anchor.stat().st_mode & 0o777 == 0o600
    assert anchor.parent.stat().st_mode & 0o777 == 0o700
    assert KEY.encode() not in anchor.read_bytes()
