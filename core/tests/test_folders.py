"""Folders for private files: their owners and modes, and those of every folder above."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from vault_core import files, folders
from vault_core.folders import Untrusted

STRANGER = 65534


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    """Sets the umask for one test."""
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(
    "value",
    [
        0o000,
        0o022,
        0o077,
        pytest.param(0o177, marks=pytest.mark.root("under this umask only root can go on with what it makes")),
    ],
)
def test_make_folder_modes_are_private_whatever_the_umask(
    tmp_path: Path, umask: Callable[[int], object], value: int
) -> None:
    umask(value)
    files.make_folder(tmp_path / "local/state/awsv/sessions")
    made = [tmp_path / path for path in ("local", "local/state", "local/state/awsv", "local/state/awsv/sessions")]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o700"] * 4


def test_make_folder_is_private_before_chmod(
    tmp_path: Path, umask: Callable[[int], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    umask(0)
    files.make_folder(tmp_path / "a/b")
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("a", "a/b")] == ["0o700"] * 2


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777, 0o722])
def test_folder_writable_by_others_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "awsv"
    folder.mkdir()
    folder.chmod(mode)
    for refused in (folders.check, files.make_folder):
        with pytest.raises(Untrusted, match=rf"is open to other users \(mode 0{mode:o}\)"):
            refused(folder)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o740, 0o710, 0o701])
def test_secret_folder_readable_by_others_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "awsv"
    folder.mkdir()
    folder.chmod(mode)
    folders.check(folder)
    with pytest.raises(Untrusted, match="is open to other users"):
        folders.check(folder, secret=True)


@pytest.mark.parametrize("exists", [True, False], ids=["there", "to be made"])
@pytest.mark.parametrize("above", ["a", "a/b", "a/b/c"])
def test_parent_writable_by_others_is_refused(tmp_path: Path, above: str, exists: bool) -> None:
    """A user who can write there can exchange the folder."""
    folder = tmp_path / "a/b/c/awsv"
    (folder if exists else folder.parent).mkdir(parents=True, mode=0o700)
    (tmp_path / above).chmod(0o777)
    for refused in (folders.check, files.make_folder):
        with pytest.raises(Untrusted, match=f"{above} is owned or writable by another user"):
            refused(folder)
    (tmp_path / above).chmod(0o1777)
    files.make_folder(folder)


@pytest.mark.root("only root can give a folder away")
@pytest.mark.parametrize("exists", [True, False], ids=["there", "to be made"])
def test_parent_of_another_user_is_refused(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "theirs/ours/awsv"
    (folder if exists else folder.parent).mkdir(parents=True, mode=0o700)
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    with pytest.raises(Untrusted, match="theirs is owned or writable by another user"):
        files.make_folder(folder)


def test_link_target_below_writable_folder_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "shared/state/awsv"
    real.mkdir(parents=True, mode=0o700)
    (tmp_path / "state").symlink_to(real.parent)
    folders.check(tmp_path / "state/awsv")
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(Untrusted, match="shared is owned or writable by another user"):
        folders.check(tmp_path / "state/awsv")


def test_link_in_writable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours/awsv").mkdir(parents=True, mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open/state").symlink_to(tmp_path / "ours")
    folders.check(tmp_path / "open/state/awsv")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Untrusted, match="open is owned or writable by another user"):
        folders.check(tmp_path / "open/state/awsv")


def test_link_in_chain_in_writable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours/awsv").mkdir(parents=True, mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open/between").symlink_to(tmp_path / "ours")
    (tmp_path / "state").symlink_to("open/between")
    folders.check(tmp_path / "state/awsv")
    (tmp_path / "open").chmod(0o777)
    for folder in (tmp_path / "state/awsv", tmp_path / "state"):
        with pytest.raises(Untrusted, match="open is owned or writable by another user"):
            folders.check(folder)


@pytest.mark.root("only root can give a link away")
def test_link_of_another_user_in_sticky_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours/awsv").mkdir(parents=True, mode=0o700)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp/state").symlink_to(tmp_path / "ours")
    folders.check(tmp_path / "tmp/state/awsv")
    os.chown(tmp_path / "tmp/state", STRANGER, STRANGER, follow_symlinks=False)
    for folder in (tmp_path / "tmp/state/awsv", tmp_path / "tmp/state"):
        with pytest.raises(Untrusted, match="tmp/state is a symbolic link of another user"):
            folders.check(folder)


def test_unreadable_parent_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "closed/state").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    folders.check(tmp_path / "closed/state/awsv")
    folders.check(tmp_path / ("x" * 300) / "awsv")
    (tmp_path / "closed").chmod(0o700)


def test_link_cycle_raises_os_error(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        folders.check(tmp_path / "one/awsv")


@pytest.mark.root("only root can give a folder away")
@pytest.mark.parametrize("name", ["awsv", "between"])
def test_make_folder_made_meanwhile_by_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In a folder such as /tmp, between the check and the making of what is missing."""
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    folder = tmp_path / ("sticky/awsv" if name == "awsv" else "sticky/between/awsv")
    real = Path.mkdir

    def overtaken(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if path.name == name and not path.exists():
            real(path)
            path.chmod(0o777)
            os.chown(path, STRANGER, STRANGER)
        real(path, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", overtaken)
    with pytest.raises(Untrusted):
        files.make_folder(folder)


def test_make_folder_replaced_by_link_does_not_chmod_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim").chmod(0o755)
    real = Path.mkdir

    def exchanged(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        real(path, mode, parents, exist_ok)
        path.rename(path.with_name("away"))
        path.symlink_to(tmp_path / "victim")

    monkeypatch.setattr(Path, "mkdir", exchanged)
    with pytest.raises(OSError, match="awsv"):
        files.make_folder(tmp_path / "awsv")
    assert (tmp_path / "victim").stat().st_mode & 0o777 == 0o755


# -- groups and home folders -------------------------------------------------------------------------------------------


def account(monkeypatch: pytest.MonkeyPatch, home: Path, *, group: str, members: tuple[str, ...] = ()) -> None:
    """Let the account be "me", and every group be this one."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="me", pw_dir=str(home)))
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name=group, gr_mem=list(members)))


@pytest.mark.parametrize(
    ("group", "members", "trusted"),
    [
        ("me", (), True),
        ("me", ("me",), True),
        ("me", ("me", "mallory"), False),
        ("users", (), False),
    ],
)
def test_parent_group_with_other_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, members: tuple[str, ...], trusted: bool
) -> None:
    account(monkeypatch, Path("/nowhere"), group=group, members=members)
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o775)
    os.chown(tmp_path / "a", -1, 4242) if os.geteuid() == 0 else None
    if trusted:
        files.make_folder(tmp_path / "a/awsv")
    else:
        with pytest.raises(Untrusted):
            files.make_folder(tmp_path / "a/awsv")


@pytest.mark.root("only root can give a folder away")
def test_root_group_without_account_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container under an arbitrary user id, with folders that its group 0 may write."""

    def nobody(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o775)
    files.make_folder(tmp_path / "a/awsv")
    os.chown(tmp_path / "a", -1, 4242)
    with pytest.raises(Untrusted):
        folders.check(tmp_path / "a/awsv")


def test_parents_of_home_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who can exchange the home has the account; and file servers show odd owners of home folders."""
    home = tmp_path / "homes/me"
    home.mkdir(parents=True)
    home.parent.chmod(0o777)
    account(monkeypatch, home, group="me")
    files.make_folder(home / "state/awsv")
    home.chmod(0o777)
    with pytest.raises(Untrusted, match="me is owned or writable by another user"):
        folders.check(home / "state/awsv")


@pytest.mark.root("only root can give a folder away")
def test_unmapped_owner_in_container_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").mkdir()
    os.chown(tmp_path / "hosts", STRANGER, STRANGER)
    with pytest.raises(Untrusted):
        files.make_folder(tmp_path / "hosts/awsv")
    texts = {"/proc/self/uid_map": "         0       1000          1\n", "/proc/sys/kernel/overflowuid": "65534\n"}
    monkeypatch.setattr(Path, "read_text", lambda path, **_: texts[str(path)])
    files.make_folder(tmp_path / "hosts/awsv")


def test_dot_dot_in_path_is_followed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open/ours").mkdir(mode=0o700)
    with pytest.raises(Untrusted, match="/open is owned or writable by another user"):
        folders.check(tmp_path / "closed/../open/ours")


def test_link_to_secret_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("folder")
    folders.check(tmp_path / "link")
    folders.check(tmp_path / "folder", secret=True)
    with pytest.raises(Untrusted, match="/link is not a directory"):
        folders.check(tmp_path / "link", secret=True)


def test_folder_of_root_is_trusted_only_with_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    folders.check(Path("/usr"), roots=True)
    with pytest.raises(Untrusted, match="/usr belongs to user id 0, and you are 12345"):
        folders.check(Path("/usr"))


@pytest.mark.parametrize(
    ("uid_map", "found"),
    [
        ("0 0 4294967295", -1),
        ("0 100000 65534", 65534),
        ("0 100000 65535", -1),
        ("65534 0 1", -1),
        ("1000 65534 1", 65534),
        ("0 1000 1\n1 100000 65536", -1),
        ("", 65534),
    ],
)
def test_unmapped_id_from_uid_map(uid_map: str, found: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"/proc/self/uid_map": uid_map, "/proc/sys/kernel/overflowuid": "65534\n"}
    monkeypatch.setattr(Path, "read_text", lambda path, **_: texts[str(path)])
    assert folders._unmapped() == found


@pytest.mark.parametrize("home", ["", "home/me"])
def test_relative_home_is_ignored(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=home))
    assert not folders._above_home()


@pytest.mark.parametrize("secret", [True, False])
def test_file_in_place_of_folder_is_refused(secret: bool, tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)
    with pytest.raises(Untrusted, match="/file is not a directory"):
        folders.check(tmp_path / "file", secret=secret)
