"""What reaches standard output and standard error, and how."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault_core import output, stdout
from vault_core.errors import OutputError, UsageError, VaultError
from vault_core.output import cut, printable, width

ESC = "\x1b]0;x\x07"


@pytest.fixture
def uncaptured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Descriptor 1 as a process has it at its start; named behind the capture, so that it ends before that does."""
    monkeypatch.setattr(stdout, "_kept", None)
    yield
    stdout.give_back()


# -- escaping ----------------------------------------------------------------------------------------------------------


def test_no_character_that_is_not_seen_passes() -> None:
    passed = "".join(char for char in map(chr, (*range(0x20000), *range(0xE0000, 0xE1000))) if printable(char) == char)
    assert {unicodedata.category(char) for char in passed}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    assert [char for char in passed if char.isspace()] == [" "]


@pytest.mark.parametrize("unseen", ["\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\ufe0f", "\U000e0100"])
def test_a_letter_of_which_nothing_is_seen_is_escaped(unseen: str) -> None:
    assert printable(f"a{unseen}b") == f"a{unseen.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 日本 🔑 C:\\n 'x'", "größe 日本 🔑 C:\\n 'x'"),
        ("\x1b\x07\x7f\x9b\r\n\t", r"\x1b\x07\x7f\x9b\r\n\t"),
        ("\u202e\u2066\u200b\ufeff\u00ad", r"\u202e\u2066\u200b\ufeff\xad"),
        ("\u2028\u2029\u0085", r"\u2028\u2029\x85"),
        ("\udce9", r"\udce9"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_write_escapes_all_but_line_feeds(capfd: pytest.CaptureFixture[str], uncaptured: None) -> None:
    stdout.write(f"one{ESC}\r\ntwo\u0085\udce9\n")
    assert capfd.readouterr().out == "one\\x1b]0;x\\x07\\r\ntwo\\x85\\udce9\n"


def test_write_raw_writes_the_given_bytes(capfdbinary: pytest.CaptureFixture[bytes], uncaptured: None) -> None:
    stdout.write_raw(f"{ESC}\udce9\n")
    assert capfdbinary.readouterr().out == ESC.encode() + b"\xe9\n"


def test_standard_error_escapes_all_but_line_feeds(capfd: pytest.CaptureFixture[str]) -> None:
    output.to_stderr(f"- a{ESC}\n+ b\u202e\n")
    assert capfd.readouterr().err == "- a\\x1b]0;x\\x07\n+ b\\u202e\n"


def test_a_note_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    output.notice(f"{ESC}a\nb")
    assert capfd.readouterr().err == "awsv: \\x1b]0;x\\x07a\\nb\n"


def test_a_failure_and_its_hint_are_a_line_each(capfd: pytest.CaptureFixture[str]) -> None:
    output.report_error(UsageError(f"no{ESC}\nhint: evil", hint=f"do\n{ESC}"))
    assert capfd.readouterr().err == "awsv: no\\x1b]0;x\\x07\\nhint: evil\nhint: do\\n\\x1b]0;x\\x07\n"


def test_a_trace_shows_frames_and_types_and_no_value(capfd: pytest.CaptureFixture[str]) -> None:
    value = "canary"
    try:
        try:
            raise KeyError(value)
        except KeyError as error:
            raise VaultError("told") from error
    except VaultError as error:
        output.report_error(error, trace=error)
    shown = capfd.readouterr().err
    assert "VaultError\n" in shown
    assert "KeyError\n" in shown
    assert shown.endswith("awsv: told\n")
    assert "canary" not in shown.replace('value = "canary"', "")


# -- standard output is the core's own ---------------------------------------------------------------------------------


def test_capture_sends_what_others_print_to_standard_error(capfd: pytest.CaptureFixture[str], uncaptured: None) -> None:
    stdout.capture()
    stdout.capture()
    os.write(1, b"noise\n")
    stdout.write("data\n")
    assert capfd.readouterr() == ("data\n", "noise\n")
    stdout.give_back()
    os.write(1, b"the child's\n")
    assert capfd.readouterr() == ("the child's\n", "")


def test_no_child_inherits_the_real_standard_output(uncaptured: None) -> None:
    stdout.capture()
    assert stdout._kept is not None
    assert not os.get_inheritable(stdout._kept)


def test_a_reader_that_went_away_is_no_failure_to_tell(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(stdout, "_kept", writing)
    with pytest.raises(OutputError) as caught:
        stdout.write("x")
    os.close(writing)
    assert caught.value.reader_left
    output.report_error(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(stdout, "_kept", full.fileno())
        with pytest.raises(OutputError, match="no space left on device") as caught:
            stdout.write("x")
    output.report_error(caught.value)
    assert capfd.readouterr().err == "awsv: cannot write to standard output: no space left on device\n"


def test_a_pipe_takes_all_of_what_exceeds_its_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    reading, writing = os.pipe()
    monkeypatch.setattr(stdout, "_kept", writing)
    found = bytearray()

    def read() -> None:
        while part := os.read(reading, 1 << 16):
            found.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    stdout.write("x" * 300_000)
    os.close(writing)
    reader.join()
    os.close(reading)
    assert len(found) == 300_000


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("a\u20dd", 1), ("🔑", 2), ("\uff21", 2), ("", 0)]
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("0123456789", 10, "0123456789"),
        ("0123456789x", 10, "012345678…"),
        ("日本語日本語", 10, "日本語日…"),
        ("日本語日本", 10, "日本語日本"),
        ("e\u0301" * 11, 10, "e\u0301" * 9 + "…"),
        ("\x1b" * 3, 10, "\\x1b\\x1b\\…"),
        ("a" + "\u0301" * 99, 10, "a" + "\u0301" * 19 + "…"),
        ("abc", 1, "…"),
        ("", 0, ""),
    ],
)
def test_cut_counts_columns_and_not_characters(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown
    assert width(cut(text, columns)) <= columns


# -- where secrets go --------------------------------------------------------------------------------------------------


def opened(path: Path, mode: int) -> int:
    path.touch()
    path.chmod(mode)
    return os.open(path, os.O_RDWR)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602, 0o610, 0o666])
def test_a_file_with_a_bit_for_others_is_open_to_them(tmp_path: Path, mode: int) -> None:
    descriptor = opened(tmp_path / "f", mode)
    assert stdout.open_to_others(descriptor) == f"its mode is {mode:04o}"
    os.close(descriptor)


def test_a_private_file_a_pipe_and_a_device_are_not_open(tmp_path: Path) -> None:
    private, null, ends = opened(tmp_path / "f", 0o600), os.open(os.devnull, os.O_RDWR), os.pipe()
    assert [stdout.open_to_others(number) for number in (private, null, *ends, 9_999)] == [None] * 5
    for number in (private, null, *ends):
        os.close(number)


def test_a_named_pipe_that_others_can_read_is_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    for mode in (0o644, 0o640) if sys.platform == "linux" else (0o644,):
        descriptor = opened(tmp_path / "p", mode)
        assert stdout.open_to_others(descriptor) == f"its mode is {mode:04o}"
        os.close(descriptor)


@pytest.mark.root("only root can give a file away")
def test_a_file_of_another_user_is_open_to_them(tmp_path: Path) -> None:
    descriptor = opened(tmp_path / "f", 0o600)
    os.fchown(descriptor, 65534, -1)
    assert stdout.open_to_others(descriptor) == "it belongs to user 65534"
    os.close(descriptor)


def test_the_real_standard_output_is_looked_at_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    descriptor = opened(tmp_path / "f", 0o604)
    monkeypatch.setattr(stdout, "_kept", descriptor)
    assert stdout.open_to_others() == "its mode is 0604"
    os.close(descriptor)
