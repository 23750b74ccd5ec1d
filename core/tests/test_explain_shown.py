"""Which values ``awsv explain`` shows, in process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.asking import RunState
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.sessions.explain import MASK, _shown
from vault_core.settings import Settings


@pytest.mark.parametrize(
    ("key", "masked"),
    [("vault_odd_place", False), ("vault_odd_token", True), ("vault_odd_secret", True), ("vault_odd_other", True)],
)
def test_what_a_plugin_vouches_for_is_shown_unless_its_name_says_secret(key: str, masked: bool, tmp_path: Path) -> None:
    """A plugin that forgets to declare its token a secret does not have it printed."""
    host = Host(Settings({"HOME": str(tmp_path)}), Plugins())
    host.state.shown_keys |= {"vault_odd_place", "vault_odd_token", "vault_odd_secret"}
    assert _shown(host, key, "value") == (MASK if masked else "value")


def test_a_password_in_an_address_is_not_shown() -> None:
    host: Any = SimpleNamespace(state=RunState())
    assert "hunter2" not in _shown(host, "endpoint_url", "https://me:hunter2@sts.example.test/")
