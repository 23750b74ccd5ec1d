"""The processes that a contract starts: none outlives its test, and what goes wrong in one is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import parts
from vault_testkit import Setup, children
from vault_testkit.children import Stuck, Worker
from vault_testkit.store_under_test import RAW, StoreUnderTest


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def worker(tmp_path: Path, counts: Counter[str]) -> Iterator[Worker]:
    worker = Worker(StoreUnderTest("file", Setup(), tmp_path, "ct0123456789-"), counts.update)
    yield worker
    worker.close()


def alive(folder: Path) -> list[str]:
    """The processes that work in a folder."""
    proc = parts.need("/proc", Path("/proc") if Path("/proc/self/cwd").exists() else None, how="runs on Linux")
    found = []
    for process in proc.glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
        except OSError:  # somebody else's, or gone
            continue
    return found


def test_a_process_that_does_not_end_is_told_and_ended(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.do({"act": "get", "layer": RAW, "keys": []})  # it has started
    monkeypatch.setattr(children, "PATIENCE", 3.0)
    endless = {"act": "put_on", "layer": RAW, "key": "credentials/a", "value": "v"}
    with pytest.raises(Stuck, match="a process with the store did not answer within 3 s"):
        worker.do(endless, endless)
    assert len(alive(tmp_path)) == 3
    worker.close()
    assert alive(tmp_path) == []


def test_what_was_done_before_a_death_is_counted(worker: Worker, counts: Counter[str]) -> None:
    report = worker.do({"act": "put_and_die", "layer": RAW, "items": {"credentials/a": "1", "credentials/b": "2"}})
    assert report.codes == [-9]
    assert report.of("put") == ["credentials/a", "credentials/b"]
    assert counts == {"get": 0, "put": 2, "delete": 0, "keys": 0}


def test_an_exception_in_a_process_is_told(worker: Worker) -> None:
    report = worker.do(
        {"act": "get", "layer": RAW, "keys": ["credentials/a"]},
        {"act": "put", "layer": RAW, "items": {"Not a key": "x"}},
    )
    assert report.codes == [0, 1]
    assert report.of("got") == ["credentials/a"]
    [error] = report.errors()
    assert error.startswith("StorageError: Traceback")


def test_a_worker_that_cannot_start_is_told(tmp_path: Path, counts: Counter[str]) -> None:
    worker = Worker(StoreUnderTest("no-such-backend", Setup(), tmp_path, "ct0123456789-"), counts.update)
    try:
        with pytest.raises(Stuck, match="no storage backend named 'no-such-backend' is installed"):
            worker.do({"act": "get", "layer": RAW, "keys": []})
    finally:
        worker.close()
