"""What can be read from a store without unlocking it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vault_core import vlt
from vault_core.api import Secret
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.status import lines, row, status


@pytest.fixture
def made(opened: Any) -> Any:
    """A store that was written three times; its backend."""
    store = opened()
    for number in range(3):
        store.put(f"credentials/{number}", Secret("x"))
    return store


def test_status_never_prompts_and_shows_no_secret(made: Any, opened: Any, ctx: Any, path: Any) -> None:
    asked = len(ctx.unlocked)
    facts = status(opened().store)
    assert len(ctx.unlocked) == asked
    assert facts["path"] == str(path)
    assert (facts["exists"], facts["format"], facts["bytes"], facts["writes"]) == (True, 1, path.stat().st_size, 3)
    assert (facts["file_mode"], facts["folder_mode"]) == ("0600", "0700")
    assert (facts["ways_in"], facts["recovery"], facts["anchor"]["state"]) == (1, False, "same")
    (slot,) = facts["slots"]
    assert (slot["type"], slot["kdf"]) == ("passphrase", [{"alg": "argon2id", "m": 19_456, "t": 2, "p": 1}])
    assert "Slots:        1 (no recovery key)" in lines(facts)
    assert row(slot)[-1] == "argon2id 19 MiB, 2 passes, 1 lane (less than new slots)"


def test_counted_uses_singular_for_one(opened: Any) -> None:
    store = opened()
    store.put("credentials/a", Secret("x"))
    assert any(line.endswith(" bytes, 1 write") for line in lines(status(store.store)))


def test_cost_of_current_kdf_is_not_called_less(ctx: Any, folder: Any) -> None:
    store = FileBackend(ctx, folder, cost=vlt.Argon2id())
    store.put("credentials/a", Secret("x"))
    (slot,) = status(store.store)["slots"]
    assert row(slot)[-1] == "argon2id 64 MiB, 3 passes, 4 lanes"


def test_status_shows_each_anchor_state(made: Any, opened: Any, path: Any, ctx: Any, tmp_path: Path) -> None:
    def state() -> Any:
        facts = status(opened().store)
        return facts["anchor"]["state"], "\n".join(lines(facts))

    now = path.read_bytes()
    made.put("credentials/0", Secret("changed"))
    assert state()[0] == "same"
    path.write_bytes(now)
    assert state()[0] == "older"
    assert "awsv file accept --older" in state()[1]
    kept = made.store.rollback_guard.path.read_bytes()
    made.store.rollback_guard.path.write_bytes(b"x")
    assert state()[0] == "damaged"
    made.store.rollback_guard.path.write_bytes(kept)
    path.unlink()
    assert state()[0] == "gone"
    assert "awsv file accept --replaced" in state()[1]
    FileBackend(ctx, tmp_path / "other").put("a/b", Secret("x"))
    path.write_bytes((tmp_path / "other/store.vlt").read_bytes())
    path.chmod(0o600)
    assert state()[0] == "replaced"
    ctx.options["anchor"] = False
    assert state()[0] == "off"


def test_status_without_store_reports_it(opened: Any, folder: Any) -> None:
    facts = status(opened().store)
    assert (facts["exists"], facts["anchor"]["state"]) == (False, "none")
    assert "the file does not exist" in "\n".join(lines(facts))
    assert not folder.exists()
