"""The source ``env``: real files, pipes, descriptors and commands."""

from __future__ import annotations

import os
import pty
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import NoReturn

import pytest

from support.env_source import CANARY, EVERY, NAME, context, get, refusal
from vault_core.api import Cancelled, PassphraseRequest, Purpose, Secret, SourceUnavailable
from vault_plugin_env import plugin, reading
from vault_testkit import FakeContext


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    reading._read_once.clear()
    yield
    reading._read_once.clear()


def file(tmp_path: Path, content: str | bytes = CANARY + "\n", mode: int = 0o600) -> Path:
    path = tmp_path / "passphrase"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe; the reading one is inheritable, like one passed by a parent process."""
    ends = os.pipe()
    os.set_inheritable(ends[0], True)
    inode = os.fstat(ends[0]).st_ino
    yield ends
    for end in ends:
        with suppress(OSError):  # closed meanwhile, and the number perhaps in use for something else
            if os.fstat(end).st_ino == inode:
                os.close(end)


# -- which variable ----------------------------------------------------------------------------------------------------


def test_entry_point_names_spec() -> None:
    [spec] = plugin.vault_passphrase_sources()
    [entry] = entry_points(group="vault.passphrase.v1", name="env")
    assert entry.load() is plugin
    assert spec.name == "env"
    assert not spec.interactive


@pytest.mark.parametrize(
    ("store", "name"),
    [("file", NAME), ("team-2", "AWS_VAULT_TEAM_2_PASSPHRASE"), ("a.b_ü", "AWS_VAULT_A_B___PASSPHRASE")],
)
def test_variable_of_store_name(tmp_path: Path, store: str, name: str) -> None:
    assert get(context(tmp_path, {name: CANARY}), store=store) == Secret(CANARY)


def test_no_variable_returns_none(tmp_path: Path) -> None:
    others = {"AWS_VAULT_OTHER_PASSPHRASE": CANARY, "AWS_VAULT_PASSPHRASE_SOURCE": "env", "FILE_PASSPHRASE": CANARY}
    assert get(context(tmp_path, others)) is None


def test_variable_of_store_takes_precedence(tmp_path: Path) -> None:
    assert get(context(tmp_path, {EVERY: "common"})) == Secret("common")
    assert get(context(tmp_path, {EVERY: "common", NAME: "own"})) == Secret("own")
    assert get(context(tmp_path, {EVERY: "common", NAME + "_FILE": str(file(tmp_path, "own"))})) == Secret("own")


@pytest.mark.parametrize("purpose", list(Purpose))
def test_purpose_and_attempt_are_ignored(tmp_path: Path, purpose: Purpose) -> None:
    [spec] = plugin.vault_passphrase_sources()
    source = spec.open(context(tmp_path, {NAME: CANARY}))
    for attempt in (1, 2):
        request = PassphraseRequest(store="file", key_id="k", purpose=purpose, attempt=attempt, may_ask=False)
        assert source.get(request) == Secret(CANARY)


@pytest.mark.parametrize(("one", "other"), [("", "_FILE"), ("_FILE", "_FD"), ("_FD", "_COMMAND"), ("", "_COMMAND")])
@pytest.mark.parametrize("name", [NAME, EVERY])
def test_two_forms_are_refused(tmp_path: Path, name: str, one: str, other: str) -> None:
    message = refusal(tmp_path, {name + one: CANARY, name + other: ""})
    assert message == f"{name + one} and {name + other} are set at the same time"


@pytest.mark.parametrize("form", ["", "_FILE", "_FD", "_COMMAND"])
@pytest.mark.parametrize("name", [NAME, EVERY])
def test_empty_variable_is_refused(tmp_path: Path, name: str, form: str) -> None:
    assert refusal(tmp_path, {name + form: ""}) == f"{name + form} is set but empty"


def test_empty_own_variable_is_not_skipped(tmp_path: Path) -> None:
    assert refusal(tmp_path, {NAME: "", EVERY: CANARY}) == f"{NAME} is set but empty"


# -- the value itself --------------------------------------------------------------------------------------------------


@pytest.mark.security("S15")
@pytest.mark.parametrize("value", [CANARY, " ", "ends with a newline\n", "tab\tand\x01"])
def test_value_is_used_to_the_byte(tmp_path: Path, value: str) -> None:
    assert get(context(tmp_path, {NAME: value})) == Secret(value)


def test_value_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, {NAME: CANARY + "\udcff"}) == f"{NAME}: the passphrase is not UTF-8 text"


# -- a file ------------------------------------------------------------------------------------------------------------


@pytest.mark.security("S15")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CANARY, CANARY),
        (CANARY + "\n", CANARY),
        (CANARY + "\r\n", CANARY),
        (CANARY + "\n\n", CANARY + "\n"),
        (CANARY + "\r", CANARY + "\r"),
        ("two\nlines\n", "two\nlines"),
        ("nul\0", "nul\0"),
        ("x" * reading.LIMIT + "\r\n", "x" * reading.LIMIT),
    ],
)
def test_file_content_is_read(tmp_path: Path, content: str, expected: str) -> None:
    asked = context(tmp_path, {NAME + "_FILE": str(file(tmp_path, content))})
    assert get(asked) == Secret(expected)
    assert asked.notes == []


def test_file_is_read_each_time(tmp_path: Path) -> None:
    asked = context(tmp_path, {NAME + "_FILE": str(file(tmp_path, "old"))})
    assert get(asked) == Secret("old")
    file(tmp_path, "new")
    assert get(asked) == Secret("new")


def test_tilde_is_home_of_context(tmp_path: Path) -> None:
    file(tmp_path)
    assert get(context(tmp_path, {NAME + "_FILE": "~/passphrase", "HOME": str(tmp_path)})) == Secret(CANARY)


@pytest.mark.parametrize("content", ["", "\n", "\r\n"])
def test_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    assert refusal(tmp_path, {NAME + "_FILE": str(file(tmp_path, content))}) == f"{NAME}_FILE is set but empty"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o622, 0o610, 0o604, 0o601])
def test_file_accessible_to_others_warns(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path, mode=mode)
    asked = context(tmp_path, {NAME + "_FILE": str(path)})
    assert get(asked) == Secret(CANARY)
    assert asked.notes == [
        f"{NAME}_FILE: {path} is not private: its mode is {mode:04o}; make it private with mode 0600",
    ]


@pytest.mark.root("only root can change the owner of a file")
def test_file_of_another_user_warns(tmp_path: Path) -> None:
    path = file(tmp_path)
    os.chown(path, 65534, -1)
    asked = context(tmp_path, {NAME + "_FILE": str(path)})
    assert get(asked) == Secret(CANARY)
    assert asked.notes == [f"{NAME}_FILE: {path} belongs to another user (65534)"]


def test_access_control_list_warns(tmp_path: Path) -> None:
    """It shows in the bits of the group, which are the mask of the list."""
    path = file(tmp_path)
    nobody, others = 65534, 0xFFFFFFFF
    entries = [(1, 6, others), (2, 4, nobody), (4, 0, others), (16, 4, others), (32, 0, others)]  # <linux/posix_acl.h>
    try:
        os.setxattr(
            path,
            "system.posix_acl_access",
            struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries),
        )
    except (AttributeError, OSError):
        pytest.skip("this file system has no access lists")
    asked = context(tmp_path, {NAME + "_FILE": str(path)})
    get(asked)
    assert "its mode is 0640" in "".join(asked.notes)


def test_file_of_descriptor_accessible_to_others_warns(tmp_path: Path) -> None:
    number = os.open(file(tmp_path, mode=0o604), os.O_RDONLY)
    os.set_inheritable(number, True)
    asked = context(tmp_path, {NAME + "_FD": str(number)})
    assert get(asked) == Secret(CANARY)
    [note] = asked.notes
    assert note.startswith(f"{NAME}_FD: the file of descriptor {number} is not private: its mode is 0604")


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    name = f"{NAME}_FILE"
    absent = tmp_path / "absent"
    assert refusal(tmp_path, {name: str(absent)}) == f"{name}: {absent} cannot be read: no such file or directory"
    assert refusal(tmp_path, {name: str(tmp_path)}) == f"{name}: {tmp_path} is neither a file nor a named pipe"
    assert refusal(tmp_path, {name: "/dev/zero"}) == f"{name}: /dev/zero is neither a file nor a named pipe"
    assert refusal(tmp_path, {name: "a\0b"}) == f"{name}: a\0b cannot be read: not a path"


def test_too_long_file_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, CANARY + "x" * reading.LIMIT)
    message = refusal(tmp_path, {NAME + "_FILE": str(path)})
    assert message == f"{NAME}_FILE: {path} is longer than a passphrase can be (1048576 bytes)"


def test_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, CANARY.encode("latin-1"))
    assert refusal(tmp_path, {NAME + "_FILE": str(path)}) == f"{NAME}_FILE: the passphrase is not UTF-8 text"


# -- a named pipe ------------------------------------------------------------------------------------------------------


def test_named_pipe_is_read_to_end_and_cached(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)

    def write() -> None:
        time.sleep(0.1)  # the reader is there first
        with path.open("w") as end:
            end.write(CANARY[:5])
            end.flush()
            time.sleep(0.1)
            end.write(CANARY[5:] + "\n")

    writer = threading.Thread(target=write)
    writer.start()
    environ = {NAME + "_FILE": str(path)}
    assert get(context(tmp_path, environ)) == Secret(CANARY)
    writer.join()
    assert get(context(tmp_path, environ)) == Secret(CANARY)


def test_named_pipe_accessible_to_others_warns(tmp_path: Path) -> None:
    """The first process that reads from it gets the passphrase."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    path.chmod(0o644)
    writer = threading.Thread(target=path.write_text, args=(CANARY,))
    writer.start()
    asked = context(tmp_path, {NAME + "_FILE": str(path)})
    assert get(asked) == Secret(CANARY)
    writer.join()
    [note] = asked.notes
    assert note == f"{NAME}_FILE: {path} is not private: its mode is 0644; make it private with mode 0600"


def test_named_pipe_without_writer_times_out(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    asked = context(tmp_path, {NAME + "_FILE": str(path)})
    with pytest.raises(SourceUnavailable, match=f"{NAME}_FILE: no data from .* in time"):
        get(asked, deadline=time.monotonic() + 0.1)

    class Impatient(FakeContext):
        def check(self) -> NoReturn:
            raise Cancelled("interrupted")

    with pytest.raises(Cancelled):
        get(Impatient(tmp_path, environ=asked.environ))


# -- a descriptor ------------------------------------------------------------------------------------------------------


def test_descriptor_is_read_once_closed_and_cached(tmp_path: Path, pipe: tuple[int, int]) -> None:
    os.write(pipe[1], f"{CANARY}\n".encode())
    os.close(pipe[1])
    environ = {NAME + "_FD": str(pipe[0])}
    assert get(context(tmp_path, environ)) == Secret(CANARY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pipe[0])
    assert get(context(tmp_path, environ)) == Secret(CANARY)


def test_two_threads_get_whole_descriptor(tmp_path: Path, pipe: tuple[int, int]) -> None:
    answers: list[Secret | None] = []
    asked = context(tmp_path, {NAME + "_FD": str(pipe[0])})
    threads = [threading.Thread(target=lambda: answers.append(get(asked))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for part in (CANARY[:5], CANARY[5:]):
        time.sleep(0.05)
        os.write(pipe[1], part.encode())
    os.close(pipe[1])
    for thread in threads:
        thread.join()
    assert answers == [Secret(CANARY)] * 2


def test_empty_descriptor_is_refused(tmp_path: Path, pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    assert refusal(tmp_path, {NAME + "_FD": str(pipe[0])}) == f"{NAME}_FD is set but empty"


def test_descriptor_that_was_not_passed_is_refused(tmp_path: Path, pipe: tuple[int, int]) -> None:
    name = f"{NAME}_FD"
    assert refusal(tmp_path, {name: "999"}) == f"{name}: descriptor 999 is not open"
    assert refusal(tmp_path, {name: "9" * 30}) == f"{name}: descriptor {'9' * 30} is not open"
    os.set_inheritable(pipe[0], False)
    os.write(pipe[1], CANARY.encode())
    assert refusal(tmp_path, {name: str(pipe[0])}) == f"{name}: descriptor {pipe[0]} is not open"
    for text in ("-1", "x", "1.0", CANARY):
        assert refusal(tmp_path, {name: text}) == f"{name} is not the number of a descriptor"


def test_descriptor_open_for_writing_is_refused(tmp_path: Path, pipe: tuple[int, int]) -> None:
    os.set_inheritable(pipe[1], True)
    message = refusal(tmp_path, {NAME + "_FD": str(pipe[1])})
    assert message == f"{NAME}_FD: descriptor {pipe[1]} is open for writing only"


def test_descriptor_of_terminal_is_refused(tmp_path: Path) -> None:
    ends = pty.openpty()
    try:
        os.set_inheritable(ends[1], True)
        message = refusal(tmp_path, {NAME + "_FD": str(ends[1])})
    finally:
        for end in ends:
            os.close(end)
    assert message == f"{NAME}_FD: descriptor {ends[1]} is a terminal, which would show the passphrase"
