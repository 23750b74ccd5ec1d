"""What awsv does to its own process, without a process for each: tracers, masks, signals and open files."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from vault_core.cli import harden
from vault_core.errors import UsageError
from vault_core.sessions import child, inherited_files
from vault_core.sessions.inherited_files import Inherited


def seen(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    monkeypatch.setattr(harden, "_read", lambda path: files.get(path, ""))


def status(tracer: int) -> dict[str, str]:
    return {"/proc/self/status": f"Name:\tawsv\nTracerPid:\t{tracer}\nUid:\t0\n"}


# -- who reads along ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shown"), [("gdb\n", "gdb"), ("", "unknown")])
def test_a_foreign_tracer_is_refused_by_its_name(name: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, {**status(4711), "/proc/4711/comm": name})
    with pytest.raises(UsageError, match=rf"^process 4711 \({shown}\) is attached to awsv") as caught:
        harden.refuse_tracer()
    assert "end process 4711" in (caught.value.hint or "")


@pytest.mark.parametrize("generations", [0, 1])
def test_a_tracer_that_started_this_process_is_its_users_own(generations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getppid()
    tracer = (parent, 77)[generations]
    behind = {f"/proc/{parent}/stat": f"{parent} (sh) S 77 0", "/proc/77/stat": "77 (x) S 0"}
    seen(monkeypatch, {**status(tracer), **behind})
    harden.refuse_tracer()


@pytest.mark.parametrize("files", [status(0), {}, {"/proc/self/status": "Name:\tx\n"}], ids=["none", "no /proc", "odd"])
def test_without_a_tracer_nothing_is_refused(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, files)
    harden.refuse_tracer()


def test_the_mask_is_private_and_the_callers_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    masks: list[int] = []

    def umask(mask: int) -> int:
        masks.append(mask)
        return 0o027

    monkeypatch.setattr(harden, "_umask", None)
    monkeypatch.setattr(harden, "_core_limit", None)
    monkeypatch.setattr("sys.platform", "other")  # no prctl on the tests' own process
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    monkeypatch.setattr(os, "umask", umask)
    harden.harden()
    harden.unharden()
    assert masks == [0o077, 0o027]


# -- what is handed over -----------------------------------------------------------------------------------------------


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    pair = os.pipe()
    for number in pair:
        os.set_inheritable(number, True)
    yield pair
    for number in pair:
        os.close(number)


def hand_over(given: Inherited, numbers: tuple[int, ...], secret: tuple[int, ...], patch: pytest.MonkeyPatch) -> None:
    """Of these descriptors alone: the tests' own have to stay as they are."""
    patch.setattr(inherited_files, "_numbers", lambda: list(numbers))
    patch.setattr(inherited_files, "_STANDARD", numbers)
    given.hand_over(secret)


def test_what_was_given_is_handed_over_and_a_secret_is_not(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, secret = ends
    given = Inherited({number: inherited_files._of_descriptor(number) or (0, 0) for number in ends}, {})
    hand_over(given, (ours, secret), (secret,), monkeypatch)
    assert inherited_files._of_descriptor(ours) == given.given[ours]
    # A standard one is never just missing in the child.
    assert os.path.samestat(os.fstat(secret), Path(os.devnull).stat())
    assert os.get_inheritable(secret)


def test_a_file_that_a_plugin_left_open_is_not_handed_over(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = ends
    found = inherited_files._of_descriptor(reader)
    assert found is not None
    monkeypatch.setattr(inherited_files, "_numbers", lambda: [reader, writer])
    Inherited({reader: found, writer: (1, 1)}, {}).hand_over(())  # under a number that was another file's
    assert (os.get_inheritable(reader), os.get_inheritable(writer)) == (True, False)


# -- becoming a program ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOENT, 127), (errno.EACCES, 126), (errno.ENOEXEC, 126), (errno.E2BIG, 126)]
)
def test_a_program_that_the_system_refuses_has_the_shells_exit_code(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []

    def execve(*_: object) -> NoReturn:
        done.append("execve")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(signal, "signal", lambda *pair: done.append(pair))
    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(child.NoProgram) as caught:
        child.become("/bin/tool", ["tool"], {})
    assert caught.value.exit_code == code
    assert os.strerror(number) in caught.value.message
    default = [(signal.SIGPIPE, signal.SIG_DFL), (signal.SIGXFSZ, signal.SIG_DFL)]
    assert done == [*default, "execve"]


def test_an_empty_folder_of_path_is_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tool").write_text("")
    (tmp_path / "tool").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert child.find_program("tool", {"PATH": "/nowhere:"}) == "./tool"


@pytest.mark.parametrize("name", ["folder", "plain"])
def test_what_is_in_the_way_on_path_is_passed_over(name: str, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    (first / "folder").mkdir()
    (first / "plain").write_text("")
    (first / "plain").chmod(0o644)
    with pytest.raises(child.NoProgram) as caught:
        child.find_program(name, {"PATH": str(first)})
    assert caught.value.exit_code == 126
    (second / name).write_text("")
    (second / name).chmod(0o755)
    assert child.find_program(name, {"PATH": f"{first}:{second}"}) == str(second / name)
