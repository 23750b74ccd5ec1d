"""Plain files that keys are moved from: what is found in them, what may go, and how they are given back."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import Credentials, Secret
from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import StorageCorrupt, StorageUnavailable
from vault_core.importing.backups import Original, Originals
from vault_core.importing.credentials_file import (
    NOT_STORED,
    UNWIRED,
    commented_secrets,
    deleted_lines,
    keys,
    propose_removal,
)
from vault_core.importing.record import Receipts, digest
from vault_core.importing.scan import Found

PATH = Path("/home/me/.aws/credentials")


def key(number: int) -> Credentials:
    return Credentials(access_key_id=f"AKIA{number}", secret_access_key=Secret(f"secret{number}"))


# -- what is found -----------------------------------------------------------------------------------------------------


def test_two_different_keys_of_one_name_are_both_bad() -> None:
    found = Found("there")
    found.add("a", key(1))
    found.add("a", key(1))
    assert (found.keys, found.bad) == ({"a": key(1)}, [])
    found.add("a", key(2))
    assert found.keys == {}
    assert [(bad.name, bad.reason) for bad in found.bad] == [("a", "two different keys have this name: AKIA1, AKIA2")]


def parsed(credentials: str, config: str = "") -> tuple[AwsConfig, bytes]:
    raw = credentials.encode()
    return AwsConfig.parse(config.encode(), raw, Path("/home/me/.aws/config"), PATH), raw


PAIR = "aws_access_key_id = AKIA1\naws_secret_access_key = canary\n"


def test_keys_sessions_and_what_is_wrong_are_told_apart() -> None:
    found = keys(
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
    reasons = {bad.name: bad.reason for bad in found.bad}
    assert reasons == {
        "half": "it has no aws_secret_access_key (line 8)",
        "other half": "it has no aws_access_key_id (line 10)",
        "blank": "its key holds blanks or other characters that no key has (line 12)",
        "accent": "its key holds blanks or other characters that no key has (line 15)",
        "n" * 40: "the profile name has 300 bytes; 255 is the most (line 20)",
    }
    assert "canary" not in repr(found)


def test_a_secret_behind_a_comment_sign_is_found_by_its_line() -> None:
    lines = ("# aws_secret_access_key = x", "[a]", "  ; old AWS_SESSION_TOKEN: x", "# aws_secret_access_key =")
    raw = "\n".join((*lines, "aws_secret_access_key = x")).encode()
    assert commented_secrets(raw, PATH) == [1, 3]


# -- what may go -------------------------------------------------------------------------------------------------------


def asks(line: str) -> str | None:
    return line.removeprefix("/bin/awsv exec -j ") if line.startswith("/bin/awsv ") else None


def wired(*names: str) -> str:
    return "".join(f"[profile {name}]\ncredential_process = /bin/awsv exec -j {name}\n" for name in names)


def test_a_key_that_the_vault_holds_and_awsv_is_asked_for_goes_with_its_empty_section() -> None:
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
        (f"[DEFAULT]\n{PAIR}[a]\nregion = x\n", wired("a"), True, "its key comes from [DEFAULT]"),
        (f"[a]\n{PAIR}", wired("b").replace("profile b", "profile a"), True, OTHERS),
        (f"[a]\n{PAIR}credential_process = other\n", wired("a"), True, OTHERS),
    ],
)
def test_a_key_stays_and_the_reason_is_told(credentials: str, config: str, stored: bool, why: str) -> None:
    both, raw = parsed(credentials, config)
    removal = propose_removal(both, raw, asks, lambda *_: stored)
    assert (removal.after, removal.removed) == (raw, [])
    assert [bad.reason[: len(why)] for bad in removal.kept] == [why]


def test_the_change_is_shown_as_deleted_lines_from_the_last_on() -> None:
    both, raw = parsed(f"[a]\nregion = x\n{PAIR}[b]\n{PAIR}region = y\n", wired("a", "b"))
    removal = propose_removal(both, raw, asks, lambda *_: True)
    lines = raw.splitlines(keepends=True)
    for command in deleted_lines(removal):
        first, _, last = command.removesuffix("d").partition(",")
        del lines[int(first) - 1 : int(last or first)]
    assert b"".join(lines) == removal.after
    assert "canary" not in str(deleted_lines(removal))


# -- receipts ----------------------------------------------------------------------------------------------------------


def test_a_receipt_is_of_one_file_and_holds_no_key(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path / "imports")
    assert receipts.read(PATH) is None
    receipts.write(PATH, b"canary", ["b", "a"])
    receipt = receipts.read(PATH)
    assert receipt is not None
    assert (receipt.digest, receipt.profiles) == (digest(b"canary"), {"a", "b"})  # type: ignore[comparison-overlap]
    assert receipts.read(PATH.with_name("other")) is None
    [file] = (tmp_path / "imports").iterdir()
    assert "canary" not in file.read_text()
    assert stat.S_IMODE((tmp_path / "imports").stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": "x"}', '{"sha256": "x", "profiles": 7}', "\xff"])
def test_a_receipt_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    receipts = Receipts(tmp_path)
    receipts.write(PATH, b"", [])
    [file] = tmp_path.iterdir()
    file.write_bytes(text.encode("latin-1"))
    assert receipts.read(PATH) is None


def test_a_receipt_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(StorageUnavailable, match="cannot note what was copied"):
        Receipts(tmp_path / "in the way").write(PATH, b"", [])
    receipts = Receipts(tmp_path / "imports")
    receipts._file(PATH).mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match="is a directory"):
        receipts.write(PATH, b"", [])
    assert [one.name for one in (tmp_path / "imports").iterdir()] == [receipts._file(PATH).name]


# -- originals ---------------------------------------------------------------------------------------------------------


class Shelf:
    """The two calls of a vault that originals make. What a real one does with them is tested with the stores."""

    def __init__(self) -> None:
        self.items: dict[str, Secret] = {}
        self.store = SimpleNamespace(place="the store")
        self.keeps = True

    def original(self, name: str) -> Secret | None:
        return self.items.get(name)

    def keep_original(self, name: str, value: Secret | None) -> None:
        if value is None:
            del self.items[name]
        elif self.keeps:
            self.items[name] = value


@pytest.fixture
def shelf() -> Any:
    return Shelf()


def test_an_original_is_given_back_to_the_byte(shelf: Any) -> None:
    originals = Originals(shelf, PATH)
    assert originals.read() == []
    originals.push(b"before\xff\r\n", 0o640, b"after")
    assert originals.read() == [Original(Secret(b"before\xff\r\n"), 0o640, digest(b"after"))]
    assert Originals(shelf, PATH.with_name("other")).read() == []
    [value] = shelf.items.values()
    assert value.reveal().isascii()
    originals.write([])
    assert shelf.items == {}


def test_removals_that_go_on_keep_the_first_original(shelf: Any) -> None:
    originals = Originals(shelf, PATH)
    originals.push(b"one", 0o600, b"two")
    originals.push(b"two", 0o644, b"three")
    assert originals.read() == [Original(Secret(b"one"), 0o600, digest(b"three"))]
    originals.push(b"one", 0o644, b"four")  # taken back by hand
    assert originals.read() == [Original(Secret(b"one"), 0o600, digest(b"four"))]


def test_an_edit_between_removals_keeps_both(shelf: Any) -> None:
    originals = Originals(shelf, PATH)
    originals.push(b"one", 0o600, b"two")
    originals.push(b"edited", 0o644, b"three")
    assert [one.content.reveal() for one in originals.read()] == [b"one", b"edited"]
    assert [one.mode for one in originals.read()] == [0o600, 0o644]


def test_an_original_that_does_not_read_back_stops_the_removal(shelf: Any) -> None:
    shelf.keeps = False
    with pytest.raises(StorageUnavailable, match="reads back from the store as something else") as caught:
        Originals(shelf, PATH).push(b"one", 0o600, b"two")
    assert caught.value.hint == "nothing was removed: look after the store first"


@pytest.mark.parametrize(
    "change",
    [
        {"content": "no base64!"},
        {"content": 7},
        {"mode": "x"},
        {"mode": None},
    ],
)
def test_a_damaged_item_is_told(shelf: Any, change: dict[str, Any]) -> None:
    originals = Originals(shelf, PATH)
    originals.push(b"one", 0o600, b"two")
    [name] = shelf.items
    fields = {"content": base64.b64encode(b"one").decode(), "mode": 0o600, "left": "x", **change}
    for value in ({"originals": [fields]}, {"originals": 7}, {}, []):
        shelf.items[name] = Secret(json.dumps(value))
        with pytest.raises(StorageCorrupt, match="is damaged"):
            originals.read()
