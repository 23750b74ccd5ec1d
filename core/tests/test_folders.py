"""Whose a folder for private files is, and everything that it lies in."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from vault_core import folders
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
def test_each_folder_that_is_made_is_private_whatever_the_umask(
    tmp_path: Path, umask: Callable[[int], object], value: int
) -> None:
    umask(value)
    folders.make(tmp_path / "local/state/awsv/sessions")
    made = [tmp_path / path for path in ("local", "local/state", "local/state/awsv", "local/state/awsv/sessions")]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o700"] * 4


def test_a_new_folder_is_private_from_its_first_moment(
    tmp_path: Path, umask: Callable[[int], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    umask(0)
    folders.make(tmp_path / "a/b")
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("a", "a/b")] == ["0o700"] * 2


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777, 0o722])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "awsv"
    folder.mkdir()
    folder.chmod(mode)
    for refused in (folders.check, folders.make):
        with pytest.raises(Untrusted, match=rf"is open to others \(mode 0{mode:o}\)"):
            refused(folder)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o740, 0o710, 0o701])
def test_a_folder_that_others_can_read_is_refused_where_keys_lie(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "awsv"
    folder.mkdir()
    folder.chmod(mode)
    folders.check(folder)
    with pytest.raises(Untrusted, match="is open to others"):
        folders.check(folder, secret=True)


@pytest.mark.parametrize("exists", [True, False], ids=["there", "to be made"])
@pytest.mark.parametrize("above", ["a", "a/b", "a/b/c"])
def test_a_folder_above_that_others_can_write_is_refused(tmp_path: Path, above: str, exists: bool) -> None:
    """Whoever writes there exchanges the folder, and brings back what was in it."""
    folder = tmp_path / "a/b/c/awsv"
    (folder if exists else folder.parent).mkdir(parents=True, mode=0o700)
    (tmp_path / above).chmod(0o777)
    for refused in (folders.check, folders.make):
        with pytest.raises(Untrusted, match=f"{above} is in the hands of others"):
            refused(folder)
    (tmp_path / above).chmod(0o1777)
    folders.make(folder)


@pytest.mark.root("only root can give a folder away")
@pytest.mark.parametrize("exists", [True, False], ids=["there", "to be made"])
def test_a_folder_above_of_somebody_else_is_refused(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "theirs/ours/awsv"
    (folder if exists else folder.parent).mkdir(parents=True, mode=0o700)
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    with pytest.raises(Untrusted, match="theirs is in the hands of others"):
        folders.make(folder)


def test_a_link_to_a_folder_in_the_hands_of_others_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "shared/state/awsv"
    real.mkdir(parents=True, mode=0o700)
    (tmp_path / "state").symlink_to(real.parent)
    folders.check(tmp_path / "state/awsv")
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(Untrusted, match="shared is in the hands of others"):
        folders.check(tmp_path / "state/awsv")


def test_a_link_in_the_hands_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours/awsv").mkdir(parents=True, mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open/state").symlink_to(tmp_path / "ours")
    folders.check(tmp_path / "open/state/awsv")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Untrusted, match="open is in the hands of others"):
        folders.check(tmp_path / "open/state/awsv")


def test_a_link_that_another_link_leads_through_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "ours/awsv").mkdir(parents=True, mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open/between").symlink_to(tmp_path / "ours")
    (tmp_path / "state").symlink_to("open/between")
    folders.check(tmp_path / "state/awsv")
    (tmp_path / "open").chmod(0o777)
    for folder in (tmp_path / "state/awsv", tmp_path / "state"):
        with pytest.raises(Untrusted, match="open is in the hands of others"):
            folders.check(folder)


@pytest.mark.root("only root can give a link away")
def test_a_link_of_somebody_else_is_refused_where_only_its_owner_can_exchange_it(tmp_path: Path) -> None:
    (tmp_path / "ours/awsv").mkdir(parents=True, mode=0o700)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp/state").symlink_to(tmp_path / "ours")
    folders.check(tmp_path / "tmp/state/awsv")
    os.chown(tmp_path / "tmp/state", STRANGER, STRANGER, follow_symlinks=False)
    for folder in (tmp_path / "tmp/state/awsv", tmp_path / "tmp/state"):
        with pytest.raises(Untrusted, match="tmp/state is a symbolic link of others"):
            folders.check(folder)


def test_what_is_closed_to_us_is_for_who_uses_it_to_find_out(tmp_path: Path) -> None:
    (tmp_path / "closed/state").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    folders.check(tmp_path / "closed/state/awsv")
    folders.check(tmp_path / ("x" * 300) / "awsv")
    (tmp_path / "closed").chmod(0o700)


def test_links_that_go_round_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        folders.check(tmp_path / "one/awsv")


@pytest.mark.root("only root can give a folder away")
@pytest.mark.parametrize("name", ["awsv", "between"])
def test_a_folder_that_another_made_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In a folder such as /tmp, between the look at it and the making of what is missing there."""
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
        folders.make(folder)


def test_a_link_that_takes_a_new_folders_place_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim").chmod(0o755)
    real = Path.mkdir

    def exchanged(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        real(path, mode, parents, exist_ok)
        path.rename(path.with_name("away"))
        path.symlink_to(tmp_path / "victim")

    monkeypatch.setattr(Path, "mkdir", exchanged)
    with pytest.raises(OSError, match="awsv"):
        folders.make(tmp_path / "awsv")
    assert (tmp_path / "victim").stat().st_mode & 0o777 == 0o755


# -- whose groups and whose homes --------------------------------------------------------------------------------------


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
def test_a_group_above_is_trusted_only_if_nobody_else_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, members: tuple[str, ...], trusted: bool
) -> None:
    account(monkeypatch, Path("/nowhere"), group=group, members=members)
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o775)
    os.chown(tmp_path / "a", -1, 4242) if os.geteuid() == 0 else None
    if trusted:
        folders.make(tmp_path / "a/awsv")
    else:
        with pytest.raises(Untrusted):
            folders.make(tmp_path / "a/awsv")


@pytest.mark.root("only root can give a folder away")
def test_the_group_of_root_is_trusted_without_an_account_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container under an arbitrary user id, with folders that its group 0 may write."""

    def nobody(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o775)
    folders.make(tmp_path / "a/awsv")
    os.chown(tmp_path / "a", -1, 4242)
    with pytest.raises(Untrusted):
        folders.check(tmp_path / "a/awsv")


def test_whose_the_folders_above_the_home_are_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can exchange the home has the account; and homes lie on file servers that show odd owners."""
    home = tmp_path / "homes/me"
    home.mkdir(parents=True)
    home.parent.chmod(0o777)
    account(monkeypatch, home, group="me")
    folders.make(home / "state/awsv")
    home.chmod(0o777)
    with pytest.raises(Untrusted, match="me is in the hands of others"):
        folders.check(home / "state/awsv")


@pytest.mark.root("only root can give a folder away")
def test_in_a_container_an_owner_without_an_id_is_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").mkdir()
    os.chown(tmp_path / "hosts", STRANGER, STRANGER)
    with pytest.raises(Untrusted):
        folders.make(tmp_path / "hosts/awsv")
    texts = {"/proc/self/uid_map": "         0       1000          1\n", "/proc/sys/kernel/overflowuid": "65534\n"}
    monkeypatch.setattr(Path, "read_text", lambda path, **_: texts[str(path)])
    folders.make(tmp_path / "hosts/awsv")


def test_a_way_that_goes_up_again_is_followed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open/ours").mkdir(mode=0o700)
    with pytest.raises(Untrusted, match="/open is in the hands of others"):
        folders.check(tmp_path / "closed/../open/ours")


def test_a_link_is_followed_unless_keys_lie_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("folder")
    folders.check(tmp_path / "link")
    folders.check(tmp_path / "folder", secret=True)
    with pytest.raises(Untrusted, match="/link is no folder"):
        folders.check(tmp_path / "link", secret=True)


def test_a_folder_of_root_is_trusted_where_it_may_be_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_which_id_stands_for_those_that_a_container_has_not(
    uid_map: str, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/proc/self/uid_map": uid_map, "/proc/sys/kernel/overflowuid": "65534\n"}
    monkeypatch.setattr(Path, "read_text", lambda path, **_: files[str(path)])
    assert folders._unmapped() == found


@pytest.mark.parametrize("home", ["", "home/me"])
def test_a_home_that_is_no_absolute_path_leads_nowhere(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=home))
    assert not folders._above_home()


@pytest.mark.parametrize("secret", [True, False])
def test_a_file_in_a_folders_place_is_refused(secret: bool, tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)
    with pytest.raises(Untrusted, match="/file is no folder"):
        folders.check(tmp_path / "file", secret=secret)
