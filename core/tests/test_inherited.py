"""Which open files a child of ``exec`` would get, and which of them a variable names, however it spells that."""

from __future__ import annotations

import os
import pty
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault_core.errors import UsageError
from vault_core.sessions.inherited_files import Inherited, _empty

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
FILE, FD = "AWS_VAULT_FILE_PASSPHRASE_FILE", "AWS_VAULT_FILE_PASSPHRASE_FD"


@contextmanager
def given(number: int) -> Iterator[int]:
    """A descriptor that the caller gave to us; it is closed at the end."""
    os.set_inheritable(number, True)
    try:
        yield number
    finally:
        os.close(number)


@pytest.fixture
def pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    with given(reader):
        yield reader
    os.close(writer)


def secret(environ: dict[str, str], *kept: str) -> dict[int, str]:
    return Inherited.now(environ).secret(kept)


def _of_thread(number: int, folder: Path) -> str:
    return f"/proc/self/task/{os.getpid()}/fd/{number}"


SPELLINGS: dict[str, Callable[[int, Path], str]] = {
    "/dev/fd/N": lambda n, folder: f"/dev/fd/{n}",
    "/dev//fd/N": lambda n, folder: f"/dev//fd/{n}",
    "/dev/fd/N/": lambda n, folder: f"/dev/fd/{n}/",
    "/dev/fd/N/.": lambda n, folder: f"/dev/fd/{n}/.",
    "//dev/./fd//N": lambda n, folder: f"//dev/./fd//{n}",
    "a link": lambda n, folder: link(folder / "one", f"/dev/fd/{n}"),
    "a link to a link": lambda n, folder: link(folder / "two", link(folder / "one", f"/dev/fd/{n}")),
    "a relative link": lambda n, folder: link(folder / "two", Path(link(folder / "one", f"/dev/fd/{n}")).name),
    "a link to the folder": lambda n, folder: f"{link(folder / 'open', '/dev/fd')}/{n}",
    "from home": lambda n, folder: f"~/{Path(link(folder / 'one', f'/dev/fd/{n}')).name}",
}
OF_LINUX: dict[str, Callable[[int, Path], str]] = {
    "/dev/fd/../fd/N": lambda n, folder: f"/dev/fd/../fd/{n}",
    "/proc/self/fd/N": lambda n, folder: f"/proc/self/fd/{n}",
    "/proc/thread-self/fd/N": lambda n, folder: f"/proc/thread-self/fd/{n}",
    "/proc/PID/fd/N": lambda n, folder: f"/proc/{os.getpid()}/fd/{n}",
    "/proc/self/task/TID/fd/N": _of_thread,
    "/proc/self/root/proc/self/fd/N": lambda n, folder: f"/proc/self/root/proc/self/fd/{n}",
}


def link(at: Path, to: str) -> str:
    at.symlink_to(to)
    return str(at)


@pytest.mark.parametrize(
    "spelled",
    [*SPELLINGS.values(), *(pytest.param(one, marks=linux) for one in OF_LINUX.values())],
    ids=[*SPELLINGS, *OF_LINUX],
)
def test_a_descriptor_is_known_in_every_spelling(
    spelled: Callable[[int, Path], str], pipe: int, tmp_path: Path
) -> None:
    assert secret({FILE: spelled(pipe, tmp_path), "HOME": str(tmp_path)}) == {pipe: FILE}


@pytest.mark.parametrize("name", [FD, "AWS_VAULT_PASSPHRASE_FD", "AWS_VAULT_SAFE_PIN_FD"])
def test_a_descriptor_is_known_by_its_number(name: str, pipe: int) -> None:
    assert secret({name: str(pipe)}) == {pipe: name}
    for text in (f"0{pipe}", f" {pipe}", f"+{pipe}", f"{pipe}\n"):  # which a plugin may refuse, when it reads them
        assert secret({name: text}) == {pipe: name}


@pytest.mark.parametrize(
    "name", ["-o hashicorp.token-file", "-o x.pin", "[plugin.hashicorp] jwt-file", "[store.team] client-key"]
)
def test_what_a_flag_or_the_settings_name_is_a_secret_too(name: str, pipe: int) -> None:
    found = Inherited.now({}, {name: f"/dev/fd/{pipe}", "-o file.dir": "/dev", "--backend": "x"})
    assert found.secret(()) == {pipe: name}
    assert found.naming == {}


@pytest.mark.parametrize("name", ["VAULT_CLIENT_KEY", "BAO_CLIENT_KEY", "AWS_VAULT_HASHICORP_CLIENT_KEY"])
def test_a_key_whose_variable_says_nothing_of_a_file(name: str, pipe: int) -> None:
    assert secret({name: f"/dev/fd/{pipe}"}) == {pipe: name}
    assert secret({f"OTHERS_{name}": f"/dev/fd/{pipe}"}) == {}


def test_no_secret_is_taken_for_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.readlink", lambda path: pytest.fail(f"{path} was looked up"))
    names = ("AWS_VAULT_FILE_PASSPHRASE", "VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY")
    assert Inherited.now(dict.fromkeys(names, "/net/secret")).naming == {}


def test_what_was_given_at_the_start_counts(pipe: int) -> None:
    assert Inherited.now({}, given={0: (1, 1)}).given == {0: (1, 1)}
    assert pipe in Inherited.now({}).given


def test_a_number_is_understood_where_the_system_lists_nothing(pipe: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container or a chroot without /proc."""
    monkeypatch.setattr("vault_core.sessions.inherited_files._OPEN_FILES", None)
    monkeypatch.setattr("vault_core.sessions.inherited_files._is_descriptor", lambda _: False)
    assert secret({FD: str(pipe)}) == {pipe: FD}


@pytest.mark.parametrize("name", ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
def test_the_token_of_another_identity_is_a_secret_too(name: str, pipe: int) -> None:
    assert secret({name: f"/dev/fd/{pipe}"}) == {pipe: name}


def test_every_descriptor_of_the_same_open_file_is_secret(pipe: int) -> None:
    with given(os.dup(pipe)) as again:
        assert set(secret({FD: str(pipe)})) == {pipe, again}


@linux
def test_the_other_end_of_the_pipe_is_secret_because_linux_lets_it_be_read() -> None:
    reader, writer = os.pipe()
    with given(reader), given(writer):
        assert set(secret({FD: str(reader)})) == {reader, writer}


def test_a_socket_and_a_file_are_secret(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("secret")
    ours, theirs = socket.socketpair()
    with given(os.open(tmp_path / "passphrase", os.O_RDONLY)) as file, given(ours.detach()) as end, theirs:
        found = secret({FD: str(file), "AWS_VAULT_PASSPHRASE_FILE": f"/dev/fd/{end}"})
    assert found == {file: FD, end: "AWS_VAULT_PASSPHRASE_FILE"}


def test_a_kept_variable_keeps_its_descriptor(pipe: int) -> None:
    both = {FD: str(pipe), FILE: f"/dev/fd/{pipe}"}
    assert secret(both, FD) == {}
    assert secret(both, "AWS_VAULT_PASSPHRASE") == {pipe: FILE}


def test_a_named_file_is_no_descriptor(tmp_path: Path) -> None:
    """A person may hand the same file to the child on purpose: it can be opened by its name anyway."""
    (tmp_path / "7").write_text("secret")
    os.mkfifo(tmp_path / "fifo")
    with given(os.open(tmp_path / "7", os.O_RDONLY)), given(os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)):
        for name in ("7", "fifo", "nothing"):
            found = Inherited.now({FILE: str(tmp_path / name)})
            assert (found.naming, found.secret(())) == ({}, {})


def test_a_terminal_stays_and_its_variable_does_not() -> None:
    main, side = pty.openpty()
    with given(side):
        found = Inherited.now({FILE: f"/dev/fd/{side}"})
    os.close(main)
    assert (found.naming, found.secret(())) == ({FILE: None}, {})


@pytest.mark.parametrize("text", ["", "-1", "x", "³", "99999999999", "/dev/fd/", "/dev/fd/x", "\0", "/dev/fd/987654"])
@pytest.mark.parametrize("name", [FILE, FD])
def test_what_names_nothing_is_no_secret(name: str, text: str) -> None:
    assert secret({name: text}) == {}


def test_descriptors_of_ours_are_not_given() -> None:
    with (Path(os.devnull)).open() as ours:
        assert ours.fileno() not in Inherited.now({}).given


@pytest.mark.parametrize("number", [1, 2])
def test_a_secret_in_the_childs_output_is_refused(number: int) -> None:
    found = Inherited({0: (1, 1), 1: (1, 2), 2: (1, 3)}, {FD: (1, number + 1)})
    with pytest.raises(UsageError, match=f"descriptor {number} has the secret of {FD}") as error:
        found.secret(())
    assert error.value.hint == "pass the secret on as another one, as in: awsv ... 3< passphrase-file"
    assert found.secret((FD,)) == {}


def test_replaced_descriptor_can_be_read_and_written() -> None:
    number = os.dup(0)
    try:
        _empty(number)
        assert (os.write(number, b"x"), os.read(number, 1)) == (1, b"")
    finally:
        os.close(number)
