"""Importing a scan: the report has a result for every entry, whatever a plugin put into the scan."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from vault_core.api import ABSENT, Credentials, ImportScan, Rejected, Secret
from vault_core.cli.render import to_json
from vault_core.errors import StorageUnavailable
from vault_core.importing.copy import ImportReport, State, import_scan
from vault_core.importing.vaults import Vaults
from vault_core.storage.vault import StoredKey


def key(number: int) -> Credentials:
    return Credentials(access_key_id=f"AKIA{number}", secret_access_key=Secret("canary"))


class Vault:
    """A vault that does not exist before the first write, and stores two keys."""

    def __init__(self, keys: dict[str, Credentials]) -> None:
        self.keys = keys
        self.store = SimpleNamespace(identity="1", name="file", place="/store")

    def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
        return StoredKey(self.keys[name], 1) if name in self.keys else None  # type: ignore[arg-type]  # any version will do

    def holds(self, name: str, credentials: Credentials) -> bool:
        return self.keys.get(name) == credentials

    def put(self, name: str, credentials: Credentials, *, expect: object) -> None:
        assert expect is ABSENT
        if len(self.keys) == 2:
            raise StorageUnavailable("the disk is full")
        self.keys[name] = credentials


def imported(scan: ImportScan, *, dry_run: bool = False) -> tuple[ImportReport, Vaults]:
    keys: dict[str, Credentials] = {}
    choose: Any = lambda _: Vault(keys)  # noqa: E731 - typed as a fake
    vaults = Vaults(choose, lambda vault: not vault.keys)  # type: ignore[attr-defined]  # a fake
    return import_scan(scan, vaults, lambda *_: nullcontext(), overwrite=False, dry_run=dry_run), vaults


def test_import_scan_reports_every_entry() -> None:
    scan = ImportScan("there", {name: key(1) for name in "abcd"}, ["session"], [Rejected("torn", "truncated")])
    report, vaults = imported(scan)
    assert [entry.state for entry in report.keys] == [State.COPIED, State.COPIED, State.FAILED, State.NOT_TRIED]
    assert report.missing == [("c", "the disk is full"), ("d", "not tried"), ("torn", "truncated")]
    assert (report.places, len(vaults.created())) == (["/store"], 1)
    document = to_json(report)
    assert document["keys"][0] == {
        "profile": "a",
        "access_key_id": "AKIA1",
        "state": "copied",
        "reason": None,
        "store": "file",
        "check": None,
    }
    assert (document["keys"][3]["state"], document["keys"][3]["reason"]) == ("not_tried", None)
    assert (document["sessions"], document["bad"]) == (["session"], [{"name": "torn", "reason": "truncated"}])
    assert "canary" not in repr(report)


def test_import_scan_dry_run_creates_no_store() -> None:
    report, vaults = imported(ImportScan("there", {"a": key(1)}), dry_run=True)
    assert ([entry.state for entry in report.keys], vaults.created()) == ([State.COPIED], [])


def test_import_scan_rejects_names_that_no_profile_can_have() -> None:
    report, _ = imported(ImportScan("there", {"x" * 300: key(1), "\ud800": key(1), "a\0b": key(1), "good": key(1)}))
    assert [entry.profile for entry in report.keys] == ["good"]
    assert [entry.reason.partition("name")[2][:12] for entry in report.rejected] == [
        " has 300 byt",
        " '\\ud800' is",
        " holds a NUL",
    ]
    assert report.rejected[0].name == "x" * 40
    assert report.rejected[1].name == "\\ud800"


def test_import_scan_rejects_keys_that_the_vault_would_not_return() -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    wrong = {
        "line": replace(key(1), access_key_id="AKIA1\nX=1"),
        "lines": replace(key(1), secret_access_key=Secret("canary\ncanary")),
        "empty": replace(key(1), secret_access_key=Secret("")),
        "bytes": replace(key(1), secret_access_key=Secret(b"canary\xff")),
        "token": replace(key(1), session_token=Secret("canary")),
        "ends": replace(key(1), expires=soon),
    }
    report, _ = imported(ImportScan("there", {**wrong, "good": key(1)}))
    assert [(entry.profile, entry.state) for entry in report.keys] == [("good", State.COPIED)]
    control, session = "the key is empty or has control characters", "the key belongs to a session"
    assert [(entry.name, entry.reason) for entry in report.rejected] == [
        ("line", control),
        ("lines", control),
        ("empty", control),
        ("bytes", "the secret access key is not text"),
        ("token", session),
        ("ends", session),
    ]
    assert "canary" not in repr(report)
