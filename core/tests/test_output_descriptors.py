"""Standard output and standard error as descriptors: what is flushed where, closed, and written to the end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from vault_core import output, stdout
from vault_core.errors import OutputError, UsageError


@pytest.fixture
def uncaptured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Descriptor 1 as a process has it at its start, and as it was before at the end."""
    monkeypatch.setattr(stdout, "_kept", None)
    before = os.dup(1)
    yield
    stdout.give_back()
    os.dup2(before, 1)
    os.close(before)


def is_captured() -> bool:
    return os.path.sameopenfile(1, 2)


def test_what_was_printed_before_goes_where_it_was_meant_to(
    capfd: pytest.CaptureFixture[str], uncaptured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(flush=lambda: flushed.append(is_captured())))
    stdout.capture()
    stdout.give_back()
    assert flushed == [False, True]


def test_capture_and_give_back_leave_no_descriptor_open(capfd: pytest.CaptureFixture[str], uncaptured: None) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    stdout.capture()
    stdout.give_back()
    stdout.give_back()
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("write", [stdout.write, stdout.write_raw, output.to_stderr])
def test_a_system_that_takes_a_few_bytes_at_a_time_gets_all_of_them(
    write: Callable[[str], None], capfd: pytest.CaptureFixture[str], uncaptured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    write("more than three bytes\n")
    assert "more than three bytes\n" in capfd.readouterr()


def test_without_a_standard_output_there_is_nothing_to_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    stdout.flush()


def test_a_buffer_that_cannot_be_written_is_told_once(
    capfd: pytest.CaptureFixture[str], uncaptured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter flushes once more at its end, and would complain in words of its own."""

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", SimpleNamespace(flush=full))
    with pytest.raises(OutputError, match="no space left") as refused:
        stdout.flush()
    assert not refused.value.reader_left
    assert os.fstat(1).st_rdev == Path(os.devnull).stat().st_rdev


@pytest.mark.parametrize("error", [OSError(errno.EIO, "gone"), BrokenPipeError(errno.EPIPE, "gone")])
def test_words_that_nobody_hears_are_no_failure(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(os, "write", fail)
    output.report_error(UsageError("a", hint="b"))


def test_what_is_a_terminal_is_asked_of_the_real_descriptors(uncaptured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "isatty", lambda descriptor: bool(asked.append(descriptor)))
    stdout.is_terminal()
    output.is_seen()
    stdout.capture()
    stdout.is_terminal()
    assert asked == [1, 2, stdout._kept]


def test_a_closed_descriptor_is_for_who_writes_there_to_find_out() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    assert stdout.open_to_others(writing) is None


def test_a_trace_goes_on_to_what_was_being_handled(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            raise KeyError("secret")
        except KeyError:
            raise ValueError("secret")  # noqa: B904 - without a cause
    except ValueError as error:
        output.report_error(UsageError("told"), trace=error)
    shown = capfd.readouterr().err
    assert "ValueError\n" in shown
    assert "KeyError\n" in shown


def test_a_hint_and_a_note_drive_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    output.report_error(UsageError("a\nb\x1b", hint="c\nd\x1b"))
    assert capfd.readouterr().err == "awsv: a\\nb\\x1b\nhint: c\\nd\\x1b\n"


@pytest.mark.root("a file of root takes root")
def test_roots_private_file_is_not_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o600)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with path.open() as file:
        assert stdout.open_to_others(file.fileno()) is None
