"""What is installed is read from metadata alone: odd metadata, odd names, odd folders."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vault_core.plugins import discovery
from vault_core.plugins.discovery import AvailablePlugin, normalise, scan, scan_slowly, version_of

ENTRY = "[vault.storage.v1]\nfile = some.module\n"


def distribution(folder: Path, name: str, text: str | bytes = ENTRY) -> Path:
    """Metadata of a distribution, ``name-version``; its folder."""
    info = folder / f"{name}.dist-info"
    info.mkdir(parents=True)
    label, _, version = name.partition("-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {label}\nVersion: {version}\n")
    (info / "entry_points.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return info


def test_scan_returns_entry_point(tmp_path: Path) -> None:
    distribution(
        tmp_path, "Vault_Plugin.File-1.2.dev3+local", "[console_scripts]\nx = y\n\n" + ENTRY + "\n[other]\na = b\n"
    )
    expected = AvailablePlugin("storage", "file", "vault-plugin-file", "1.2.dev3+local", "some.module")
    assert scan([str(tmp_path)]) == (expected,)
    assert expected.usable


def test_scan_reads_all_kinds_and_no_other_group(tmp_path: Path) -> None:
    groups = (
        "vault.storage.v1",
        "vault.passphrase.v1",
        "vault.session.v1",
        "vault.mfa.v1",
        "vault.command.v1",
        "vault.spell.v1",
        "vault.storage.v",
        "vault.storage.v1.1",
        "vault.storage.v01",
        "vault",
    )
    distribution(tmp_path, "p-1", "".join(f"[{group}]\nab = m\n" for group in groups))
    found = scan([str(tmp_path)])
    assert [offer.kind for offer in found] == ["command", "mfa", "passphrase", "session", "storage"]
    assert all(offer.usable for offer in found)


def test_scan_other_api_version_is_not_usable(tmp_path: Path) -> None:
    distribution(tmp_path, "new-1", "[vault.storage.v2]\nnew = m\nboth = m\n[vault.storage.v1]\nboth = n\n")
    distribution(tmp_path, "old-1", "[vault.storage.v1]\nfound = n\n[vault.storage.v0]\nfound = m\n")
    found = {(offer.name, offer.group, offer.module, offer.usable) for offer in scan([str(tmp_path)])}
    assert found == {
        ("new", "vault.storage.v2", "m", False),
        ("both", "vault.storage.v1", "n", True),
        ("found", "vault.storage.v1", "n", True),
    }


def test_scan_ignores_spaces_and_comments(tmp_path: Path) -> None:
    before = "; c\n# c\n ab = before.any.group\n"
    group = "[ vault.storage.v1 ]\n# x = y\n; x = y\n\n  two  =  a.b  \nnothing\n=\nab=c=d\n"
    distribution(tmp_path, "p-1", before + group)
    found = {(offer.name, offer.module, offer.usable) for offer in scan([str(tmp_path)])}
    assert found == {("two", "a.b", True), ("", "", False), ("ab", "c=d", True)}


def test_scan_first_folder_of_distribution_counts(tmp_path: Path) -> None:
    distribution(tmp_path / "a", "My_Plugin-1", ENTRY)
    distribution(tmp_path / "b", "my.plugin-2", ENTRY + "more = m\n")
    assert [(offer.name, offer.version) for offer in scan([str(tmp_path / "a"), str(tmp_path / "b")])] == [
        ("file", "1")
    ]
    (tmp_path / "a/My_Plugin-1.dist-info/entry_points.txt").unlink()
    assert scan([str(tmp_path / "a"), str(tmp_path / "b")]) == ()  # it still hides the other


def test_scan_name_twice_in_distribution_counts_once(tmp_path: Path) -> None:
    distribution(tmp_path, "p-1", ENTRY + "file = other.module\n")
    assert [offer.module for offer in scan([str(tmp_path), str(tmp_path)])] == ["some.module"]


@pytest.mark.parametrize("look", [scan, scan_slowly])
@pytest.mark.parametrize(("one", "other"), [("My.Plugin-1", "my_plugin-1"), ("my_plugin-1", "my_plugin-2")])
def test_scan_distribution_twice_in_folder_yields_both(
    look: Callable[[], tuple[AvailablePlugin, ...]],
    one: str,
    other: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Spelling must not decide whose module is imported."""
    for name in (one, other):
        distribution(tmp_path / "a", name)
        label, _, version = name.partition("-")
        metadata = f"Metadata-Version: 2.1\nName: {label}\nVersion: {version}\n"
        (tmp_path / f"a/{name}.dist-info/METADATA").write_text(metadata)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "a")])
    assert [(offer.distribution, offer.name) for offer in look()] == [("my-plugin", "file")] * 2


def test_scan_same_name_of_two_distributions_yields_both(tmp_path: Path) -> None:
    distribution(tmp_path, "a-1")
    distribution(tmp_path, "b-1")
    assert [offer.distribution for offer in scan([str(tmp_path)])] == ["a", "b"]


def test_scan_ignores_relative_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path / "sub", "p-1")
    distribution(tmp_path, "q-1")
    monkeypatch.chdir(tmp_path)
    assert scan(["", ".", "sub", "./sub", "../" + tmp_path.name]) == ()
    monkeypatch.setattr(sys, "path", ["", ".", "sub"])
    assert scan_slowly() == ()
    assert version_of("p") is None
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "sub")])
    assert [offer.distribution for offer in scan_slowly()] == ["p"]
    assert version_of("p") == "1"


@pytest.mark.parametrize(
    "name", ["~ile-1", "-1", "noversion", "a-", ".hidden-1", "a b-1", "_x-1"], ids=lambda name: repr(name)
)
def test_scan_ignores_other_folder_names(name: str, tmp_path: Path) -> None:
    """``~ile`` is what an uninstallation that failed leaves behind."""
    info = tmp_path / f"{name}.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(ENTRY)
    assert scan([str(tmp_path)]) == ()


@pytest.mark.parametrize("text", [b"\xff\xfe[vault.storage.v1]", b"", b"\0" * 10, b"[vault.storage.v1"])
def test_scan_unreadable_metadata_yields_nothing(text: bytes, tmp_path: Path) -> None:
    distribution(tmp_path, "bad-1", text)
    distribution(tmp_path, "good-1")
    assert [offer.distribution for offer in scan([str(tmp_path)])] == ["good"]


def test_scan_unreadable_folder_yields_nothing(tmp_path: Path) -> None:
    distribution(tmp_path / "ok", "p-1")
    (tmp_path / "file").write_text("")
    (tmp_path / "dist-info-is-a-file-1.dist-info").write_text("")
    info = tmp_path / "q-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").mkdir()
    if os.geteuid():
        distribution(tmp_path / "closed", "r-1")
        (tmp_path / "closed").chmod(0)
    path = [str(tmp_path / name) for name in ("absent", "file", "closed", "", "ok")]
    assert [offer.distribution for offer in scan(path)] == ["p"]
    if os.geteuid():
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize(
    "name", ["", "x", "UPPER", "a" * 33, "-a", "1a", "a_b", "a.b", "a b", "../a", "a\x1b[2J", "ä", "a\n"]
)
def test_usable_rejects_invalid_name(name: str) -> None:
    assert not AvailablePlugin("storage", name, "d", "1", "m").usable


@pytest.mark.parametrize("name", ["ab", "a-b", "a1", "a" * 32, "file"])
def test_usable_accepts_valid_name(name: str) -> None:
    assert AvailablePlugin("storage", name, "d", "1", "m").usable


def test_scan_slowly_reads_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "plugins.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-3.dist-info/METADATA", "Metadata-Version: 2.1\nName: zipped\nVersion: 3\n")
        file.writestr("zipped-3.dist-info/entry_points.txt", ENTRY)
    monkeypatch.setattr(sys, "path", [str(archive)])
    assert scan() == ()
    assert scan_slowly() == (AvailablePlugin("storage", "file", "zipped", "3", "some.module"),)


def test_scan_slowly_ignores_damaged_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "bytes-1", b"\xff\xfe")
    (distribution(tmp_path, "nameless-1") / "METADATA").unlink()
    distribution(tmp_path, "good-1")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert [offer.distribution for offer in scan_slowly()] == ["good"]


def test_scan_and_scan_slowly_agree() -> None:
    assert scan() == scan_slowly()
    assert {offer.distribution for offer in scan()} >= {"vault-plugin-file", "vault-plugin-env"}


def test_version_of_distribution() -> None:
    assert version_of("vault-core") == version_of(normalise("Vault.Core"))
    assert version_of("vault-core")
    assert version_of("not-installed-anywhere") is None
    assert not hasattr(discovery, "metadata")
