"""The source ``env`` at its limits: the last valid and the first invalid input, and open descriptors."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import PassphraseError, PassphraseRequest, RunResult, Secret, SourceUnavailable
from vault_plugin_env import plugin, reading
from vault_testkit import FakeContext

NAME = "AWS_VAULT_FILE_PASSPHRASE"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_read_once", {})


class Runs(FakeContext):
    """Runs no command, and returns a given result."""

    code = 0
    limits: tuple[float, ...] = ()

    def run(self, argv: Any, *, timeout: float = 30.0, env: Any = None, **_more: Any) -> RunResult:
        self.limits += (timeout,)
        return RunResult(returncode=self.code, stdout=Secret("said\n"), stderr=Secret(""))  # type: ignore[arg-type]  # any exit code, of any type


def context(tmp_path: Path, **environ: str) -> Runs:
    return Runs(tmp_path, store="file", environ={"PATH": os.environ["PATH"], **environ})


def get(context: FakeContext, deadline: float | None = None) -> Secret | None:
    request = PassphraseRequest(store="file", key_id="file/1", attempt=1, deadline=deadline)
    return plugin.Environment(context).get(request)


def test_passphrase_variables_are_hidden_from_command() -> None:
    [spec] = plugin.vault_passphrase_sources()
    assert spec.secret_variables == ("*",)


@pytest.mark.parametrize("form", ["_FILE", "_FD", "_COMMAND"])
@pytest.mark.parametrize("space", [" ", "\t \n"])
def test_spaces_are_a_passphrase_but_an_empty_form(tmp_path: Path, form: str, space: str) -> None:
    with pytest.raises(PassphraseError, match=f"{NAME}{form} is set but empty"):
        get(context(tmp_path, **{NAME + form: space}))
    assert get(context(tmp_path, **{NAME: space})) == Secret(space)


@pytest.mark.parametrize("code", [1, 2, 255, -9])
def test_nonzero_exit_code_is_unavailable(tmp_path: Path, code: int) -> None:
    asked = context(tmp_path, **{NAME + "_COMMAND": "give it"})
    asked.code = code
    with pytest.raises(SourceUnavailable, match=f"give ended with exit code {code}"):
        get(asked)
    asked.code = 0
    assert get(asked) == Secret("said")


def test_command_has_thirty_seconds_or_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    asked = context(tmp_path, **{NAME + "_COMMAND": "give it"})
    for deadline in (None, 1004.0, 1600.0):
        get(asked, deadline)
    assert asked.limits == (30.0, 4.0, 30.0)
    for over in (1000.0, 999.0):
        with pytest.raises(SourceUnavailable, match="no time left to run give"):
            get(asked, over)
    assert len(asked.limits) == 3


def test_home_of_other_user_is_not_expanded(tmp_path: Path) -> None:
    (tmp_path / "homex").write_text("not this")
    with pytest.raises(PassphraseError, match="~x cannot be read"):
        get(context(tmp_path, HOME=str(tmp_path / "home"), **{NAME + "_FILE": "~x"}))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_longest_passphrase_with_line_end_is_read(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "it"
    asked = context(tmp_path, **{NAME + "_FILE": str(path)})
    path.write_bytes(b"x" * reading.LIMIT + end)
    path.chmod(0o600)
    assert get(asked) == Secret(b"x" * reading.LIMIT)
    path.write_bytes(b"x" * (reading.LIMIT + 3))
    with pytest.raises(PassphraseError, match="longer than a passphrase can be"):
        get(asked)


def test_descriptors_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("it")
    path.chmod(0o600)
    asked = [context(tmp_path, **{NAME + "_FILE": str(place)}) for place in (path, tmp_path)]
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        assert get(asked[0]) == Secret("it")
        with pytest.raises(PassphraseError, match="neither a file nor a named pipe"):
            get(asked[1])
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_terminal_path_does_not_become_controlling_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flag, *more: (flags.append(flag), real(path, flag, *more))[1])
    with pytest.raises(PassphraseError):
        get(context(tmp_path, **{NAME + "_FILE": os.devnull}))
    assert flags[0] & os.O_NOCTTY
    assert flags[0] & os.O_CLOEXEC


@pytest.mark.parametrize("standard", [True, False])
def test_descriptor_is_closed_unless_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standard: bool) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.write(writer, b"it")
    os.close(writer)
    closed = []
    monkeypatch.setattr(reading, "_LAST_STANDARD", reader if standard else reader - 1)
    monkeypatch.setattr(os, "close", closed.append)
    try:
        assert get(context(tmp_path, **{NAME + "_FD": str(reader)})) == Secret("it")
    finally:
        monkeypatch.undo()
        os.close(reader)
    assert closed == ([] if standard else [reader])
    assert reading._LAST_STANDARD == 2


@pytest.mark.parametrize("number", ["999999", "9" * 12, "9" * 40])
def test_invalid_descriptor_number_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(PassphraseError, match="is not open"):
        get(context(tmp_path, **{NAME + "_FD": number}))


def ended_pipe(*, inheritable: bool) -> int:
    reader, writer = os.pipe()
    os.set_inheritable(reader, inheritable)
    os.write(writer, b"it")
    os.close(writer)
    return reader


def test_own_descriptor_is_refused(tmp_path: Path) -> None:
    reader = ended_pipe(inheritable=False)
    with pytest.raises(PassphraseError, match="is not open"):
        get(context(tmp_path, **{NAME + "_FD": str(reader)}))
    assert os.read(reader, 9) == b"it"
    os.close(reader)


def test_pipe_and_descriptor_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setattr(reading.Reader, "_all", lambda *_: (reads.append(1), b"it")[1])
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "file").touch(0o600)
    reader = ended_pipe(inheritable=True)
    for form, text, times in (
        ("_FILE", str(tmp_path / "pipe"), 1),
        ("_FILE", str(tmp_path / "file"), 3),
        ("_FD", str(reader), 1),
    ):
        reads.clear()
        for _ in range(3):
            assert get(context(tmp_path, **{NAME + form: text})) == Secret("it")
        assert len(reads) == times
    assert set(reading._read_once) == {(NAME + "_FILE", str(tmp_path / "pipe")), (NAME + "_FD", str(reader))}


US = 1234


@pytest.mark.parametrize(
    ("kind", "mode", "owner", "told"),
    [
        (stat.S_IFREG, 0o600, US, ""),
        (stat.S_IFREG, 0o600, 0, ""),
        (stat.S_IFREG, 0o600, US + 1, "belongs to another user (1235)"),
        (stat.S_IFIFO, 0o600, US + 1, ""),
        *((kind, bit, US, f"its mode is {bit:04o}") for bit in (1, 2, 4, 8, 16, 32) for kind in (stat.S_IFREG,)),
        (stat.S_IFREG, 0o640, 0, "its mode is 0640"),
        (stat.S_IFIFO, 0o610, US, "its mode is 0610"),
        (stat.S_IFCHR, 0o666, US + 1, ""),
        (stat.S_IFREG, 0o700, US, ""),
    ],
)
def test_file_accessible_to_others_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, mode: int, owner: int, told: str
) -> None:
    asked = context(tmp_path)
    found = SimpleNamespace(st_mode=kind | mode, st_uid=owner)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", lambda _fd: found)
        patch.setattr(os, "geteuid", lambda: US)
        reading.Reader(asked, NAME, None)._warn_if_not_private(0, "it")
    assert [told in note for note in asked.notes] == ([True] if told else [])
