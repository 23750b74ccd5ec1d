"""S19: a file written once must open for ever, with awsv and with the second implementation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Secret
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S19")

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def expected() -> Any:
    return json.loads((GOLDEN / "passphrase.json").read_text("utf-8"))


def test_second_implementation_opens_golden_file(independent: Any, expected: Any) -> None:
    epoch, entries = independent.read_file((GOLDEN / "passphrase.vlt").read_bytes(), expected["passphrase"])
    assert epoch == expected["epoch"]
    assert {name: value.decode() for name, value in entries.items()} == expected["entries"]
    with pytest.raises(independent.Wrong):
        independent.read_file((GOLDEN / "passphrase.vlt").read_bytes(), "wrong")


def test_golden_file_opens_and_can_be_written(independent: Any, expected: Any, folder: Any) -> None:
    folder.mkdir(mode=0o700)
    path = Path(shutil.copyfile(GOLDEN / "passphrase.vlt", folder / "store.vlt"))
    path.chmod(0o600)
    store = FileBackend(FakeContext(folder.parent, passphrases=[expected["passphrase"]]), folder)
    assert {key: store.get(key).value.reveal_text() for key in store.keys()} == expected["entries"]  # noqa: SIM118
    store.put("credentials/new", Secret("new"))
    epoch, entries = independent.read_file(path.read_bytes(), expected["passphrase"])
    assert epoch == expected["epoch"] + 1
    assert entries.pop("credentials/new") == b"new"
    assert {name: value.decode() for name, value in entries.items()} == expected["entries"]
