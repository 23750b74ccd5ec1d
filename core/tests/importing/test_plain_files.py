"""Plain files: the scan, the keys that can be removed, import records and backups."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import Credentials, ImportScan, Secret
from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import StorageCorrupt, StorageUnavailable
from vault_core.importing.backups import Backup, Backups
from vault_core.importing.credentials_file import (
    NOT_STORED,
    UNWIRED,
    commented_secrets,
    deleted_lines,
    propose_removal,
    scan,
)
from vault_core.importing.record import ImportRecords, digest

PATH = Path("/home/me/.aws/credentials")


def key(number: int) -> Credentials:
    return Credentials(access_key_id=f"AKIA{number}", secret_access_key=Secret(f"secret{number}"))


# -- scan -------------------------------------------------------------------------------------------------------------


def test_add_two_keys_of_one_name_rejects_both() -> None:
    found = ImportScan("there")
    found.add("a", key(1))
    found.add("a", key(1))
    assert (found.keys, found.rejected) == ({"a": key(1)}, [])
    found.add("a", key(2))
    assert found.keys == {}
    assert [(entry.name, entry.reason) for entry in found.rejected] == [
        ("a", "two different keys have this name: AKIA1, AKIA2")
    ]


def parsed(credentials: str, config: str = "") -> tuple[AwsConfig, bytes]:
    raw = credentials.encode()
    return AwsConfig.parse(config.encode(), raw, Path("/home/me/.aws/config"), PATH), raw


PAIR = "aws_access_key_id = AKIA1\naws_secret_access_key = canary\n"


def test_scan_separates_keys_sessions_and_rejected_entries() -> None:
    found = scan(
        parsed(
            f"[good]\n{PAIR}"
            f"[session]\n{PAIR}aws_session_token = t\n"
            "[half]\naws_access_key_id = AKIA1\n"
            "[other half]\naws_secret_access_key = canary\n"
            "[blank]\naws_access_key_id = AK IA\naws_secret_access_key = canary\n"
            "[accent]\naws_access_key_id = AKIA1\naws_secret_access_key = canäry\n"
            "[none]\nregion = eu-west-1\n"
            f"[{'n' * 300}]\n{PAIR}"
        )[0]
    )
    assert list(found.keys) == ["good"]
    assert found.sessions == ["session"]
    reasons = {entry.name: entry.reason for entry in found.rejected}
    assert reasons == {
        "half": "it has no aws_secret_access_key (line 8)",
        "other half": "it has no aws_access_key_id (line 10)",
        "blank": "its key contains spaces or invalid characters (line 12)",
        "accent": "its key contains spaces or invalid characters (line 15)",
        "n" * 40: "the profile name has 300 bytes; 255 is the most (line 20)",
    }
    assert "canary" not in repr(found)


def test_commented_secrets_returns_line_numbers() -> None:
    lines = ("# aws_secret_access_key = x", "[a]", "  ; old AWS_SESSION_TOKEN: x", "# aws_secret_access_key =")
    raw = "\n".join((*lines, "aws_secret_access_key = x")).encode()
    assert commented_secrets(raw, PATH) == [1, 3]


# -- removal ----------------------------------------------------------------------------------------------------------


def asks(line: str) -> str | None:
    return line.removeprefix("/bin/awsv exec -j ") if line.startswith("/bin/awsv ") else None


def wired(*names: str) -> str:
    return "".join(f"[profile {name}]\ncredential_process = /bin/awsv exec -j {name}\n" for name in names)


def test_propose_removal_stored_and_wired_key_is_removed_with_its_empty_section() -> None:
    config, raw = parsed(f"# mine\n[a]\n{PAIR}\n[b]\nregion = x\n{PAIR}", wired("a", "b"))
    asked: list[tuple[str, Credentials]] = []
    removal = propose_removal(config, raw, asks, lambda name, one: asked.append((name, one)) or True)
    assert removal.removed == ["a", "b"]
    assert b"canary" not in removal.after
    assert b"[a]" not in removal.after
    assert b"# mine\n" in removal.after
    assert b"[b]\nregion = x\n" in removal.after
    assert [name for name, _ in asked] == ["a", "b"]
    assert asked[0][1].access_key_id == "AKIA1"


OTHERS = "without it the SDKs would take credential_process (/home/me/.aws/"


@pytest.mark.parametrize(
    ("credentials", "config", "stored", "why"),
    [
        (f"[a]\n{PAIR}", wired("a"), False, NOT_STORED),
        (f"[a]\n{PAIR}", "[profile a]\nregion = x\n", True, UNWIRED),
        (f"[DEFAULT]\n{PAIR}[a]\nregion = x\n", wired("a"), True, "its key is in [DEFAULT]"),
        (f"[a]\n{PAIR}", wired("b").replace("profile b", "profile a"), True, OTHERS),
        (f"[a]\n{PAIR}credential_process = other\n", wired("a"), True, OTHERS),
    ],
)
def test_propose_removal_kept_key_has_a_reason(credentials: str, config: str, stored: bool, why: str) -> None:
    both, raw = parsed(credentials, config)
    removal = propose_removal(both, raw, asks, lambda *_: stored)
    assert (removal.after, removal.removed) == (raw, [])
    assert [entry.reason[: len(why)] for entry in removal.kept] == [why]


def test_deleted_lines_start_with_the_last_line() -> None:
    both, raw = parsed(f"[a]\nregion = x\n{PAIR}[b]\n{PAIR}region = y\n", wired("a", "b"))
    removal = propose_removal(both, raw, asks, lambda *_: True)
    lines = raw.splitlines(keepends=True)
    for command in deleted_lines(removal):
        first, _, last = command.removesuffix("d").partition(",")
        del lines[int(first) - 1 : int(last or first)]
    assert b"".join(lines) == removal.after
    assert "canary" not in str(deleted_lines(removal))


def test_deleted_lines_are_one_line_or_a_span() -> None:
    removal: Any = SimpleNamespace(before=b"a\nb\nc\nd\ne\n", after=b"a\ne\n")
    assert deleted_lines(removal) == ["2,4d"]
    removal.after = b"a\nc\ne\n"
    assert deleted_lines(removal) == ["4d", "2d"]


# -- import records ----------------------------------------------------------------------------------------------------


def test_record_belongs_to_one_file_and_holds_no_key(tmp_path: Path) -> None:
    records = ImportRecords(tmp_path / "imports")
    assert records.read(PATH) is None
    records.write(PATH, b"canary", ["b", "a"])
    record = records.read(PATH)
    assert record is not None
    assert (record.digest, record.profiles) == (digest(b"canary"), {"a", "b"})  # type: ignore[comparison-overlap]  # it need not be a frozenset
    assert records.read(PATH.with_name("other")) is None
    [file] = (tmp_path / "imports").iterdir()
    assert "canary" not in file.read_text()
    assert stat.S_IMODE((tmp_path / "imports").stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": "x"}', '{"sha256": "x", "profiles": 7}', "\xff"])
def test_read_damaged_record_returns_none(tmp_path: Path, text: str) -> None:
    records = ImportRecords(tmp_path)
    records.write(PATH, b"", [])
    [file] = tmp_path.iterdir()
    file.write_bytes(text.encode("latin-1"))
    assert records.read(PATH) is None


def test_write_failure_raises_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(StorageUnavailable, match="cannot write the import record"):
        ImportRecords(tmp_path / "in the way").write(PATH, b"", [])
    records = ImportRecords(tmp_path / "imports")
    records._file(PATH).mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match="is a directory"):
        records.write(PATH, b"", [])
    assert [one.name for one in (tmp_path / "imports").iterdir()] == [records._file(PATH).name]


# -- backups -----------------------------------------------------------------------------------------------------------


class ItemStore:
    """The two methods of a vault that backups call. Real vaults are tested with the stores."""

    def __init__(self) -> None:
        self.items: dict[str, Secret] = {}
        self.store = SimpleNamespace(place="the store")
        self.keeps = True

    def backup(self, name: str) -> Secret | None:
        return self.items.get(name)

    def keep_backup(self, name: str, value: Secret | None) -> None:
        if value is None:
            del self.items[name]
        elif self.keeps:
            self.items[name] = value


@pytest.fixture
def item_store() -> Any:
    return ItemStore()


def test_backup_reads_back_byte_for_byte(item_store: Any) -> None:
    backups = Backups(item_store, PATH)
    assert backups.read() == []
    backups.push(b"before\xff\r\n", 0o640, b"after")
    assert backups.read() == [Backup(Secret(b"before\xff\r\n"), 0o640, digest(b"after"))]
    assert Backups(item_store, PATH.with_name("other")).read() == []
    [value] = item_store.items.values()
    assert value.reveal().isascii()
    backups.write([])
    assert item_store.items == {}


def test_push_continued_removal_keeps_the_first_backup(item_store: Any) -> None:
    backups = Backups(item_store, PATH)
    backups.push(b"one", 0o600, b"two")
    backups.push(b"two", 0o644, b"three")
    assert backups.read() == [Backup(Secret(b"one"), 0o600, digest(b"three"))]
    backups.push(b"one", 0o644, b"four")  # taken back by hand
    assert backups.read() == [Backup(Secret(b"one"), 0o600, digest(b"four"))]


def test_push_after_an_edit_keeps_both_backups(item_store: Any) -> None:
    backups = Backups(item_store, PATH)
    backups.push(b"one", 0o600, b"two")
    backups.push(b"edited", 0o644, b"three")
    assert [one.content.reveal() for one in backups.read()] == [b"one", b"edited"]
    assert [one.mode for one in backups.read()] == [0o600, 0o644]


def test_push_backup_that_reads_back_differently_fails(item_store: Any) -> None:
    item_store.keeps = False
    with pytest.raises(StorageUnavailable, match="reads back differently from the store") as caught:
        Backups(item_store, PATH).push(b"one", 0o600, b"two")
    assert caught.value.hint == "nothing was removed: check the store first"


@pytest.mark.parametrize(
    "change",
    [
        {"content": "no base64!"},
        {"content": base64.b64encode(b"one").decode() + "\n"},  # what only a lax decoder takes
        {"content": 7},
        {"mode": "x"},
        {"mode": None},
    ],
)
def test_read_damaged_item_raises_storage_corrupt(item_store: Any, change: dict[str, Any]) -> None:
    backups = Backups(item_store, PATH)
    backups.push(b"one", 0o600, b"two")
    [name] = item_store.items
    fields = {"content": base64.b64encode(b"one").decode(), "mode": 0o600, "left": "x", **change}
    for value in ({"originals": [fields]}, {"originals": 7}, {}, []):
        item_store.items[name] = Secret(json.dumps(value))
        with pytest.raises(StorageCorrupt, match="is damaged"):
            backups.read()
