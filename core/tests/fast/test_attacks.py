"""Attacks on the hot path: what a memo must not give, hold or remove."""

import os
import posix
import resource
import site
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.remembered import JSON, PROFILE, Machine
from vault_core import consulted, files, folders
from vault_core.asking import Prompts
from vault_core.fast import answer, leave
from vault_core.sessions.child import NoProgram, find_program
from vault_core.settings import Settings

# -- what decides, and is neither a variable nor a file's content ------------------------------------------------------


def _later(machine: Machine, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a memo of a run that does this, too."""
    original = leave._content

    def content(*arguments: Any) -> bytes | None:
        act()
        return original(*arguments)

    monkeypatch.setattr(leave, "_content", content)
    machine.leave()


def test_memo_does_not_hold_once_a_file_on_the_way_is_a_link(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    store = machine.home / "store"
    store.write_text("old")
    _later(machine, lambda: folders.note_way(store), monkeypatch)
    store.write_text("new content")  # does not decide where the path leads
    assert machine.holds()
    store.rename(machine.home / "moved")
    store.symlink_to("moved")
    assert not machine.holds()


def test_way_of_links_in_a_circle_prevents_a_memo(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = machine.home / "loop"
    loop.symlink_to("loop")
    _later(machine, lambda: folders.note_way(loop / "store"), monkeypatch)
    assert not machine.holds()


def test_file_that_cannot_be_opened_is_noted(machine: Machine) -> None:
    loop = machine.home / "loop"
    loop.symlink_to("loop")
    consulted.start()
    with suppress(OSError):
        files.read(loop, limit=1)
    assert ("f", str(loop)) in (consulted.files() or {})


def test_home_of_the_account_depends_on_the_password_database(machine: Machine) -> None:
    consulted.start()
    folders._above_home()
    assert ("f", "/etc/passwd") in (consulted.files() or {})


def test_a_yes_or_no_prevents_a_memo(machine: Machine) -> None:
    class Yes:
        def why_not(self) -> None:
            return None

        def confirm(self, question: str, *, asker: str) -> bool:
            return True

    consulted.start()
    terminal: Any = Yes()
    assert Prompts(terminal=terminal).confirm("?")
    assert consulted.files() is None


def test_no_memo_is_left_for_a_config_file_of_a_named_user(machine: Machine) -> None:
    machine.set(AWS_CONFIG_FILE="~root/config")
    machine.leave()
    assert not machine.holds()


def test_no_memo_is_left_where_python_changed_the_environment_at_its_start(machine: Machine) -> None:
    machine.settings = Settings({**machine.settings.environ.texts, "SET_BY_SITECUSTOMIZE": "text"})
    machine.leave()
    assert not machine.holds()


def test_memo_of_another_encoding_of_names_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    assert not machine.holds()


@pytest.mark.parametrize("package", ["vault_core", "plugin"])
def test_memo_does_not_hold_once_code_is_edited_in_place(
    machine: Machine, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = machine.home / "module.py"
    source.write_text("old = 1")
    module = ModuleType(f"{package}.edited")
    module.__file__ = str(source)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, f"{package}.made", ModuleType(f"{package}.made"))  # it has no file
    monkeypatch.setattr(Machine, "packages", ("plugin",))
    machine.leave()
    assert machine.holds()
    source.write_text("new = 1")
    assert not machine.holds()


def test_memo_does_not_hold_once_a_folder_of_packages_appears(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = machine.home / "site-packages"
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(later)])
    machine.leave()
    assert machine.holds()
    later.mkdir()
    assert not machine.holds()


def test_memo_does_not_hold_once_a_path_file_is_edited_in_place(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``.pth`` file names folders with code, and holds code itself; the folder that it is in stays as it was."""
    packages = machine.home / "site-packages"
    packages.mkdir()
    (packages / "editable.pth").write_text("/srv/old")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(packages)])
    machine.leave()
    assert machine.holds()
    (packages / "editable.pth").write_text("/srv/evil")
    assert not machine.holds()


def test_memo_of_another_path_of_imports_is_not_used(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["exec", "-j", "work"]
    assert answer.answer(words, [*sys.path, "/home/me/.local/lib/python3/site-packages"]) is None
    assert answer.answer(words, list(sys.path)) == 0
    assert capfd.readouterr().out == f"{JSON}\n"


# -- secrets of variables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "can_exec"),
    [
        ("AWS_VAULT_FILE_PASSPHRASE", True),
        ("VAULT_TOKEN", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("AWS_VAULT_OTHER_OPTION", False),  # of a plugin that is not loaded: it may be a path, or a secret
    ],
)
def test_memo_holds_no_secret_that_looks_like_a_path(machine: Machine, name: str, can_exec: bool) -> None:
    machine.set(**{name: "/canary"})
    machine.leave(hidden=[name])
    memo = answer.read(PROFILE, machine.environ)
    assert "canary" not in repr(vars(memo))
    assert memo.can_exec == can_exec


def test_no_memo_is_left_of_a_run_that_consulted_a_secret_option(machine: Machine) -> None:
    machine.set(AWS_VAULT_OTHER_KEY="canary")
    machine.settings.environ.get("AWS_VAULT_OTHER_KEY")
    machine.leave(hidden=["AWS_VAULT_OTHER_KEY"])
    assert not machine.holds()


def test_memo_does_not_hold_once_a_named_file_is_a_link(machine: Machine) -> None:
    token = machine.home / "token"
    token.touch()
    machine.leave(paths=[str(token)])
    assert answer.read(PROFILE, machine.environ).can_exec
    token.unlink()
    token.symlink_to("/dev/fd/9")
    assert not machine.holds()


def test_no_child_is_started_from_a_memo_where_the_working_folder_decides_about_a_file(machine: Machine) -> None:
    machine.leave(paths=["fd/9"])
    assert not answer.read(PROFILE, machine.environ).can_exec


def test_no_child_is_started_once_a_variable_names_another_file(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, started = ["exec", "work", "--", "true"], []
    monkeypatch.setattr(posix, "execve", lambda *given: started.append(given))
    machine.set(AWS_VAULT_FILE_PASSPHRASE_FILE="/home/me/passphrase")
    machine.leave()
    assert answer.answer(words) is None
    assert len(started) == 1
    machine.set(AWS_VAULT_FILE_PASSPHRASE_FILE="/dev/fd/9")
    assert answer.answer(words) is None
    assert len(started) == 1, "the child would inherit the descriptor"


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_no_child_is_started_from_a_memo_where_a_standard_descriptor_is_closed(
    machine: Machine, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file that the child opens would take its place, and get what is meant for a terminal."""
    started: list[object] = []
    monkeypatch.setattr(posix, "execve", lambda *given: started.append(given))
    kept = os.dup(descriptor)
    os.close(descriptor)
    try:
        left = answer.answer(["exec", "work", "--", "true"])
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
    assert (left, started) == (None, [])
    answer.answer(["exec", "work", "--", "true"])
    assert len(started) == 1


# -- files that are not ours -------------------------------------------------------------------------------------------


def test_other_files_beside_memos_are_not_removed(machine: Machine) -> None:
    shares = machine.shares
    for share in shares:
        share.with_name("thesis.txt").touch()
        share.with_name(f".{share.name}.1234.5678.tmp").touch()
    places = [share.parent for share in shares]
    leave.forget_all(machine.settings)
    assert [[path.name for path in place.iterdir()] for place in places] == [["thesis.txt"]] * 2


@pytest.mark.parametrize("what", ["awsv/memos", "awsv"])
def test_no_memo_is_removed_behind_a_link(machine: Machine, what: str) -> None:
    link = machine.runtime / what
    _, share = machine.shares
    link.rename(machine.home / "elsewhere")
    link.symlink_to(machine.home / "elsewhere")
    leave.forget_all(machine.settings)
    leave.leave(machine.settings, "work", None, ())
    assert share.exists()


def test_no_memo_is_removed_in_a_folder_of_another_user(machine: Machine) -> None:
    _, share = machine.shares
    (machine.runtime / "awsv").chmod(0o777)
    leave.forget_all(machine.settings)
    leave.leave(machine.settings, "work", None, ())
    assert share.exists()


def test_command_ends_well_if_the_memo_cannot_be_made(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_packages: object) -> None:
        raise PermissionError

    monkeypatch.setattr(leave, "_note_code", fail)
    machine.leave()
    assert not machine.holds()


# -- as the usual path does it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["{}", "{}/", "{}//", ".:{}", ":{}", "{}/none:{}", "{}/program:{}", None])
@pytest.mark.parametrize("name", ["program", "./program", "sub/program", "folder", "plain", "none"])
def test_program_is_found_as_on_the_usual_path(
    tmp_path: Path, name: str, search: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").touch(0o600)
    (tmp_path / "program").touch(0o700)
    monkeypatch.chdir(tmp_path)
    texts = {} if search is None else {"PATH": search.format(tmp_path, tmp_path)}
    try:
        usual: str | None = find_program(name, texts)
    except NoProgram:
        usual = None
    try:
        hot = os.fsdecode(answer._find(name.encode(), {os.fsencode(key): os.fsencode(texts[key]) for key in texts}))
    except FileNotFoundError:
        hot = None
    assert hot == usual


def test_output_that_ends_in_the_middle_is_reported(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    parts = [3]

    def write(_descriptor: int, _data: bytes) -> int:
        if not parts:
            raise OSError(28, "No space left on device")
        return parts.pop()

    monkeypatch.setattr(posix, "write", write)
    assert answer.answer(["exec", "-j", "work"]) == 1
    assert "cannot write to standard output: no space left on device" in capfd.readouterr().err


def test_no_core_file_is_written_while_a_memo_is_read(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    seen: list[tuple[int, int]] = []
    read = answer.read

    def watched(*arguments: Any) -> answer.Memo:
        seen.append(resource.getrlimit(resource.RLIMIT_CORE))
        return read(*arguments)

    monkeypatch.setattr(answer, "read", watched)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        answer.answer(["exec", "-j", "work"], ["elsewhere"])
        assert seen == [(0, before[1])]
        assert resource.getrlimit(resource.RLIMIT_CORE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
