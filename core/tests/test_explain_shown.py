"""Which values ``awsv explain`` shows, in process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.asking import RunState
from vault_core.cli.app import App
from vault_core.cli.explain import MASK, _shown
from vault_core.settings import Settings


@pytest.mark.parametrize(
    ("key", "masked"),
    [("vault_odd_place", False), ("vault_odd_token", True), ("vault_odd_secret", True), ("vault_odd_other", True)],
)
def test_what_a_plugin_vouches_for_is_shown_unless_its_name_says_secret(key: str, masked: bool, tmp_path: Path) -> None:
    """A plugin that forgets to declare its token a secret does not have it printed."""
    app = App(Settings({"HOME": str(tmp_path)}))
    app.host.state.shown_keys |= {"vault_odd_place", "vault_odd_token", "vault_odd_secret"}
    assert _shown(app, key, "value") == (MASK if masked else "value")


def test_a_password_in_an_address_is_not_shown() -> None:
    app: Any = SimpleNamespace(host=SimpleNamespace(state=RunState()))
    assert "hunter2" not in _shown(app, "endpoint_url", "https://me:hunter2@sts.example.test/")
