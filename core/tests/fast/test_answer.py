"""The memo of the hot path: what it needs to be used, and that it is not used otherwise."""

import os
import posix
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.remembered import ENV, JSON, PROFILE, Machine
from vault_core import consulted
from vault_core.fast import answer, leave
from vault_core.settings import Settings


def test_memo_holds_while_nothing_changes(machine: Machine) -> None:
    memo = answer.read(PROFILE, machine.environ)
    assert memo.holds(machine.environ)
    assert (memo.json, memo.env) == (f"{JSON}\n".encode(), f"{ENV}\n".encode())
    assert memo.given == [b"A=1"]


def _write_with_the_time_of_before(file: Path) -> None:
    """As ``cp -p`` and the unpacking of an archive do: of size, time and inode nothing tells."""
    before = file.stat()
    file.write_text("[profile evil]\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


CHANGES: dict[str, Callable[[Machine], object]] = {
    "file is written again": lambda machine: machine.config.write_text("[profile work]\n"),
    "file is written again and has the time of before": lambda machine: _write_with_the_time_of_before(machine.config),
    "file is replaced by an equal one": lambda machine: (
        (machine.home / "other").write_text("[profile work]\n"),
        (machine.home / "other").rename(machine.config),
    ),
    "file has another mode": lambda machine: machine.config.chmod(0o600),
    "file is gone": lambda machine: machine.config.unlink(),
    "file is a link to its copy": lambda machine: (
        machine.config.rename(machine.home / "moved"),
        machine.config.symlink_to("moved"),
        os.utime(machine.home / "moved"),
    ),
    "missing file is there": lambda machine: (machine.missing.parent.mkdir(), machine.missing.touch()),
    "folder of the missing file is there": lambda machine: machine.missing.parent.mkdir(),
    "missing file is a dangling link": lambda machine: machine.missing.parent.symlink_to("nothing"),
    "folder has an entry more": lambda machine: (machine.home / "folder/entry").touch(),
    "variable has another text": lambda machine: machine.environ.update({b"SET": b"other"}),
    "variable is empty": lambda machine: machine.environ.update({b"SET": b""}),
    "variable is not set": lambda machine: machine.environ.pop(b"SET"),
    "variable that was not set is empty": lambda machine: machine.environ.update({b"UNSET": b""}),
    "home is spelt in another way": lambda machine: machine.environ.update({b"HOME": machine.environ[b"HOME"] + b"/"}),
    "runtime folder is not named": lambda machine: machine.environ.pop(b"XDG_RUNTIME_DIR"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_memo_does_not_hold_after_one_change(machine: Machine, change: Callable[[Machine], object]) -> None:
    change(machine)
    assert not machine.holds()


@pytest.mark.parametrize("field", ["st_mode", "st_ino", "st_dev", "st_uid", "st_gid"])
def test_folder_on_the_way_is_another_one_or_another_users(tmp_path: Path, field: str) -> None:
    """What is in it does not count, and whose it is does: its owner can lead the way elsewhere."""
    found = tmp_path.stat()
    values = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
    other: Any = SimpleNamespace(**{**values, field: values[field] + 1})
    (tmp_path / "entry").touch()
    assert answer.fingerprint(b"n", tmp_path.stat()) == answer.fingerprint(b"n", found)
    assert answer.fingerprint(b"n", other) != answer.fingerprint(b"n", found)


@pytest.mark.parametrize("seconds", [601.0, -5.0], ids=["after its end", "before it was made"])
def test_memo_does_not_hold_at_another_time(machine: Machine, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(answer, "time", lambda: now + seconds)
    assert not machine.holds()


def _private_copy(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o600)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda share: share.write_bytes(b""),
    "truncated": lambda share: share.write_bytes(share.read_bytes()[:-1]),
    "longer": lambda share: share.write_bytes(share.read_bytes() + b"x"),
    "huge": lambda share: os.truncate(share, 10 << 30),
    "readable by others": lambda share: share.chmod(0o640),
    "a link": lambda share: (share.rename(share.with_name("moved")), share.symlink_to("moved")),
    "a named pipe": lambda share: (share.unlink(), os.mkfifo(share, 0o600)),
    "a folder": lambda share: (share.unlink(), share.mkdir(0o700)),
    "gone": lambda share: share.unlink(),
}


@pytest.mark.parametrize("which", [0, 1], ids=["sealed share", "share with the key"])
@pytest.mark.parametrize("how", DAMAGE.values(), ids=DAMAGE)
def test_memo_with_one_damaged_share_is_none(machine: Machine, which: int, how: Callable[[Path], object]) -> None:
    how(machine.shares[which])
    assert not machine.holds()


def test_memo_of_another_user_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can open it, whatever its mode."""
    owner = posix.geteuid()
    monkeypatch.setattr(posix, "geteuid", lambda: owner + 1)
    assert not machine.holds()


def test_share_of_an_earlier_memo_fits_no_later_one(machine: Machine) -> None:
    before = [share.read_bytes() for share in machine.shares]
    machine.leave()
    for share, data in zip(machine.shares, before, strict=True):
        now = share.read_bytes()
        assert now != data
        _private_copy(share, data)
        assert not machine.holds()
        _private_copy(share, now)
    assert machine.holds()


@given(which=st.integers(0, 1), position=st.integers(0, 1 << 16), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_memo_with_one_flipped_bit_is_none(machine: Machine, which: int, position: int, bit: int) -> None:
    share = machine.shares[which]
    data = share.read_bytes()
    flipped = bytearray(data)
    flipped[position % len(data)] ^= 1 << bit
    share.write_bytes(flipped)
    try:
        assert not machine.holds()
    finally:
        share.write_bytes(data)


def test_each_share_alone_shows_nothing_of_the_answer(machine: Machine) -> None:
    for share in machine.shares:
        data = share.read_bytes()
        assert JSON.encode() not in data
        assert b"ASIA" not in data
        assert os.fsencode(machine.home) not in data
        assert share.stat().st_mode & 0o777 == 0o600
        assert share.parent.stat().st_mode & 0o777 == 0o700


def test_memo_of_another_installation_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "__file__", "/elsewhere/vault_core/fast/answer.py")
    assert not machine.holds()


def test_memo_of_another_format_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "FORMAT", b"awsv memo 2")
    assert not machine.holds()


# -- when none is left -------------------------------------------------------------------------------------------------


def test_memo_is_removed_when_there_is_no_answer(machine: Machine) -> None:
    leave.leave(machine.settings, "work", None, ())
    assert not machine.holds()
    assert [*(machine.home / ".local/state/awsv/memos").iterdir(), *(machine.runtime / "awsv/memos").iterdir()] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda machine: consulted.prevent(),
        lambda machine: consulted.note("f", Path("relative"), None),
        lambda machine: list(machine.settings.environ),
        lambda machine: machine.settings.flags.update(backend="file"),
    ],
    ids=["something was told", "a relative path was read", "all variables were listed", "there was a flag"],
)
def test_no_memo_is_left_of_a_run_that_depends_on_more(
    machine: Machine, spoil: Callable[[Machine], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = leave._content

    def spoilt(*arguments: Any) -> bytes | None:
        spoil(machine)
        return original(*arguments)

    monkeypatch.setattr(leave, "_content", spoilt)
    machine.leave()
    assert not machine.holds()


@pytest.mark.parametrize("name", ["AWS_VAULT_FILE_PASSPHRASE", "VAULT_TOKEN", "AWS_SESSION_TOKEN", "AWS_SECRET_KEY"])
def test_no_memo_is_left_of_a_run_that_consulted_a_secret(machine: Machine, name: str) -> None:
    machine.settings.environ.get(name)
    machine.leave()
    assert machine.holds()  # it is not set
    texts = {**machine.settings.environ.texts, name: "canary"}
    machine.settings = Settings(texts)
    machine.environ[name.encode()] = b"canary"
    machine.settings.environ.get(name)
    machine.leave()
    assert not machine.holds()


def test_no_memo_is_left_while_a_file_may_change_unseen(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave, "_SETTLED", 2.0)
    machine.leave()
    assert not machine.holds()


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_no_memo_is_left_for_a_config_file_in_the_working_folder(machine: Machine, variable: str) -> None:
    machine.settings = Settings({**machine.settings.environ.texts, variable: "config"})
    machine.environ[variable.encode()] = b"config"
    machine.leave()
    assert not machine.holds()


def test_memo_too_large_is_not_left(machine: Machine) -> None:
    machine.leave(json="x" * answer.LARGEST)
    assert not machine.holds()


def test_text_with_a_nul_is_not_left(machine: Machine) -> None:
    machine.leave(json="x\0y")
    assert not machine.holds()


def test_old_memos_are_removed_by_their_age(machine: Machine) -> None:
    leave.forget_all(machine.settings, older_than=60)
    assert machine.holds()
    os.utime(machine.shares[0], (0, 0))
    leave.forget_all(machine.settings, older_than=60)
    assert not machine.holds()


# -- which command lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["exec", "-j", "work"], ("json", b"work", [])),
        (["exec", "--json", "work"], ("json", b"work", [])),
        (["export", "work"], ("env", b"work", [])),
        (["exec", "work", "--", "true"], ("exec", b"work", [b"true"])),
        (["exec", "work", "true", "-j"], ("exec", b"work", [b"true", b"-j"])),
        (["exec", "work", "--", "--"], ("exec", b"work", [b"--"])),
        (["exec", "w\udcff", "--", "\udcfe"], ("exec", b"w\xff", [b"\xfe"])),
    ],
)
def test_plain_command_line_is_answered(words: list[str], asked: tuple[str, bytes, list[bytes]]) -> None:
    assert answer._asked(words) == asked


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["exec"],
        ["exec", "work"],
        ["exec", "-j"],
        ["exec", "-j", "--help"],
        ["exec", "-j", "work", "more"],
        ["exec", "-j", "--", "work"],
        ["exec", "-n", "work"],
        ["exec", "work", "-j"],
        ["exec", "work", "--"],
        ["exec", "work", "--region", "x", "--", "true"],
        ["exec", "--", "work", "true"],
        ["exec", "work", "", "x"],
        ["export", "--format=json", "work"],
        ["export", "-h"],
        ["export", ""],
        ["list"],
    ],
    ids=" ".join,
)
def test_every_other_command_line_takes_the_usual_path(words: list[str]) -> None:
    with pytest.raises(ValueError, match="another command"):
        answer._asked(words)
