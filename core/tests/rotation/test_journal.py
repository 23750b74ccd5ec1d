"""The journal: private, without a secret, and never a reason to delete a key if it is damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from vault_core.errors import StorageConflict, StorageError
from vault_core.rotation.journal import Entry, Journal

ENTRY = Entry(old="AKIAOLD", user="alice", account="123456789012", known=("AKIAOLD", "AKIAX"), started=1.5, leaked=True)
DONE = replace(ENTRY, new="AKIANEW", created=2.0, deactivated=3.0, revoked=4.0, revoke=True)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state/rotations", "store", "work")


def path_of(journal: Journal) -> Path:
    [path] = journal._path.parent.glob("*.json")
    return path


@pytest.mark.parametrize("entry", [ENTRY, DONE])
def test_entry_is_read_back(journal: Journal, entry: Entry) -> None:
    assert journal.read() is None
    journal.write(entry)
    assert journal.read() == entry
    assert not journal.is_damaged()
    journal.remove()
    assert journal.read() is None
    journal.remove()


def test_file_is_private_and_of_one_key(journal: Journal, tmp_path: Path) -> None:
    journal.write(ENTRY)
    path = path_of(journal)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for other in (
        Journal(path.parent, "other", "work"),
        Journal(path.parent, "store", "other"),
        Journal(path.parent, "store", "work", shared=True),
    ):
        assert other.read() is None


def test_entry_survives_a_loss_of_power(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the only trace of a key that was made and is not stored yet."""
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))
    journal.write(ENTRY)
    assert synced == [False, True], "the file, then the folder with its name"
    journal.remove()
    assert synced == [False, True, True]


def test_every_shortening_of_the_file_is_no_entry(journal: Journal) -> None:
    journal.write(DONE)
    path = path_of(journal)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        assert journal.read() is None, whole[:length]
        assert journal.is_damaged()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"old": 7},
        {"old": ""},
        {"old": "A\nB"},
        {"new": "AKIAOLD"},
        {"new": ["AKIANEW"]},
        {"new": None},
        {"known": "AKIA"},
        {"known": [1]},
        {"started": "1"},
        {"created": None},
        {"deactivated": True},
        {"leaked": "no"},
        {"revoke": 0},
        {"unknown": 1},
        {"user": None},
    ],
)
def test_entry_that_makes_no_sense_is_none(journal: Journal, change: dict[str, object]) -> None:
    journal.write(DONE)
    path = path_of(journal)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert journal.read() is None
    assert journal.is_damaged()


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 10_000, b"1" * 20_000])
def test_garbage_is_none(journal: Journal, data: bytes) -> None:
    journal.write(ENTRY)
    path_of(journal).write_bytes(data)
    assert journal.read() is None


def test_file_that_others_can_open_is_none(journal: Journal) -> None:
    journal.write(ENTRY)
    path_of(journal).chmod(0o640)
    assert journal.read() is None


def test_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rotations").write_text("a file in place of the folder")
    journal = Journal(tmp_path / "rotations", "store", "work")
    with pytest.raises(StorageError, match="journal of rotations"):
        journal.write(ENTRY)
    with pytest.raises(StorageError, match="journal of rotations"):
        journal.held()


def _hold(folder: str, ready: object, end: object) -> None:
    with Journal(Path(folder), "store", "work").held():
        ready.set()  # type: ignore[attr-defined]  # an Event of another process
        end.wait(60)  # type: ignore[attr-defined]  # as above


def test_second_process_is_refused_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path / "rotations"), ready, end))
    process.start()
    try:
        assert ready.wait(60)
        with pytest.raises(StorageConflict, match="another process rotates the key of 'work'"):
            Journal(tmp_path / "rotations", "store", "work").held()
        with Journal(tmp_path / "rotations", "store", "other").held():
            pass
    finally:
        end.set()
        process.join(60)
    with Journal(tmp_path / "rotations", "store", "work").held():
        pass
