"""S19: one file for each type of slot, written once, must open for ever, with awsv and without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import PassphraseError, Secret
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S19")

GOLDEN = Path(__file__).with_name("golden")
KINDS = ["key", "composite", "composite-unstretched", "recovery", "passphrase-scrypt", "passphrase-pbkdf2"]


@pytest.fixture(params=KINDS)
def golden(request: pytest.FixtureRequest) -> Any:
    """The bytes of a file, its secret and its values."""
    return (GOLDEN / f"{request.param}.vlt").read_bytes(), json.loads((GOLDEN / f"{request.param}.json").read_text())


def context(folder: Any, kind: Any, secret: Any, table: Any) -> Any:
    """A context that provides this secret to a slot of this type."""
    if kind == "composite":
        return FakeContext(folder, factors={source: [text] for source, text in secret.items()})
    ctx = FakeContext(folder, passphrases=[secret] if kind == "passphrase" else [])
    for slot in table.of_type("key"):
        ctx.kept[slot.sources[0], f"{table.store.hex()}/{slot.id}"] = Secret(secret)
    return ctx


def other_than(secret: Any) -> Any:
    if isinstance(secret, dict):
        return {**secret, "prompt": "wrong"}
    return "wrong" if " " in secret else "A" * len(secret)


def test_second_implementation_opens_each_slot_type(independent: Any, golden: Any) -> None:
    data, expected = golden
    kind, secret = expected["type"], expected["secret"]
    epoch, entries = independent.read_file(data, secret, kind)
    assert epoch == expected["epoch"]
    assert {name: value.decode() for name, value in entries.items()} == expected["entries"]
    with pytest.raises((independent.Wrong, independent.Damaged)):
        independent.read_file(data, other_than(secret), kind)


def test_store_opens_each_slot_type(golden: Any, folder: Any) -> None:
    data, expected = golden
    kind, secret = expected["type"], expected["secret"]
    folder.mkdir(mode=0o700)
    path = folder / "store.vlt"
    path.write_bytes(data)
    path.chmod(0o600)
    table = vlt_file.parse(data).table
    store = FileBackend(context(folder, kind, secret, table), folder)
    if kind == "recovery":  # opened where it is asked for, and then the slots are written again as they are
        dek = table.open_by_recovery(Secret(secret), "it")[1]
        store.change_slots(lambda slots, _: slots, dek=dek)
    assert {key: store.get(key).value.reveal_text() for key in store.keys()} == expected["entries"]  # noqa: SIM118
    assert store.slots().to_json() == table.to_json()
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    path.write_bytes(data)
    path.chmod(0o600)
    again = FileBackend(context(folder, kind, other_than(secret), table), folder)
    wrong = Secret(other_than(secret)) if kind == "recovery" else None
    with pytest.raises(PassphraseError):
        again.get("credentials/default") if wrong is None else table.open_by_recovery(wrong, "it")
