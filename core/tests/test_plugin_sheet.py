"""What is told of one plugin: a line for each fact that there is, and for each option."""

from __future__ import annotations

from typing import Any

import pytest

from vault_core.cli.plugins import _hint, _state, sheet
from vault_core.plugins.check.listing import CheckedPlugin


def checked(state: str = "ok", reason: str | None = None, hint: str | None = None, **offers: Any) -> CheckedPlugin:
    return CheckedPlugin("storage", "drawer", "vault-plugin-drawer", "1.0", state, reason, hint, offers, None)


TITLE = "storage backend 'drawer' from vault-plugin-drawer 1.0: ok"


def test_sheet_without_facts_is_the_state() -> None:
    assert sheet(checked()) == [TITLE]
    broken = checked("broken", "no\x1b[2J module")
    assert sheet(broken) == [f"{TITLE.removesuffix('ok')}broken: no\\x1b[2J module"]
    assert (_state(checked()), _state(broken)) == ("ok", "broken: no\x1b[2J module")


@pytest.mark.parametrize(
    ("offers", "line"),
    [
        ({"summary": "a drawer"}, "  about:           a drawer"),
        ({"at_rest": "core"}, "  encrypted by:    awsv"),
        ({"at_rest": "backend"}, "  encrypted by:    the plugin"),
        ({"at_rest": "service"}, "  encrypted by:    the service behind it"),
        ({"capabilities": ["CAS", "SHARED"]}, "  can:             CAS, SHARED"),
        ({"max_value": 2560}, "  largest value:   2560 bytes"),
        ({"locate": "/drawer"}, "  where:           /drawer"),
        ({"readers": "ana"}, "  who can read it: ana"),
    ],
)
def test_sheet_has_a_line_for_each_fact(offers: dict[str, Any], line: str) -> None:
    assert sheet(checked(**offers)) == [TITLE, line]


@pytest.mark.parametrize(
    ("option", "names", "text"),
    [
        ({"flag": "-o x=VALUE", "default": None, "help": "h"}, "-o x=VALUE, AWS_X", "h"),
        ({"flag": None, "default": "1", "help": "h"}, "AWS_X", "h (default: 1)"),
        ({"flag": None, "default": "1", "help": "h (default: one)"}, "AWS_X", "h (default: one)"),
    ],
)
def test_sheet_has_options_with_their_defaults_once(option: dict[str, Any], names: str, text: str) -> None:
    assert sheet(checked(options=[{"variable": "AWS_X", **option}])) == [TITLE, f"  {names}", f"      {text}"]


def test_hint_of_a_broken_plugin_is_its_own_or_to_update_it() -> None:
    assert _hint(checked(hint="set it")) == "set it"
    assert _hint(checked()) == "update or uninstall vault-plugin-drawer"
