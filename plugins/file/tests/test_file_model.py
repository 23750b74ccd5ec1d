"""The file store against a dictionary: any sequence of calls, by two objects on one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vault_core.api import (
    ABSENT,
    ANY,
    Secret,
    StorageConflict,
)
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

if TYPE_CHECKING:
    import pytest

KEY = "credentials/dev"


class AgainstDictionary(RuleBasedStateMachine):
    """Any sequence of calls, by two backends on one file, has the same results as on a dictionary."""

    KEYS = st.sampled_from(["a/1", "a/2", "b/1"])
    VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
    WHO = st.sampled_from([0, 1])
    root: Path

    def __init__(self) -> None:
        super().__init__()
        machine = self.root / os.urandom(8).hex()  # of its own: all stores here have one identity
        context = FakeContext(machine, passphrases=["right"])
        self.stores = [FileBackend(context, machine / "store") for _ in range(2)]
        self.model, self.versions = {}, {}

    @rule(who=WHO, key=KEYS, value=VALUES)
    def put(self, who: Any, key: Any, value: Any) -> None:
        self.versions[key] = self.stores[who].put(key, Secret(value), expect=ANY)
        self.model[key] = value

    @rule(who=WHO, key=KEYS, value=VALUES)
    def add(self, who: Any, key: Any, value: Any) -> None:
        try:
            self.versions[key] = self.stores[who].put(key, Secret(value), expect=ABSENT)
        except StorageConflict:
            assert key in self.model
        else:
            assert key not in self.model
            self.model[key] = value

    @rule(who=WHO, key=KEYS, other=KEYS, value=VALUES)
    def check_and_set(self, who: Any, key: Any, other: Any, value: Any) -> None:
        expect = self.versions.get(other, "9-none")
        try:
            version = self.stores[who].put(key, Secret(value), expect=expect)
        except StorageConflict:
            assert key not in self.model or self.versions[key] != expect
        else:
            assert key == other
            assert key in self.model
            self.model[key], self.versions[key] = value, version

    @rule(who=WHO, key=KEYS)
    def delete(self, who: Any, key: Any) -> None:
        assert self.stores[who].delete(key) == (self.model.pop(key, None) is not None)

    @invariant()
    def same(self) -> None:
        for store in self.stores:
            found = {key: store.get(key) for key in store.keys()}  # noqa: SIM118 - a backend is no dictionary
            assert {key: item.value.reveal_text() for key, item in found.items()} == self.model
            assert all(item.version == self.versions[key] for key, item in found.items())


def test_s20_store_behaves_like_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.urandom  # one KDF salt for all stores, so the derivation is done once
    monkeypatch.setattr(os, "urandom", lambda count: bytes(16) if count == 16 else real(count))
    AgainstDictionary.root = tmp_path
    run = AgainstDictionary.TestCase
    run.settings = settings(
        max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run().runTest()
