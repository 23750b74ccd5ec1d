"""What a plugin says of itself, and what in it makes no sense."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import AtRest, Capability, MfaSourceSpec, Option, PassphraseSourceSpec, SessionSpec, StorageSpec
from vault_core.api import SourceNeed as Need
from vault_core.plugins.inspect import describe, faults
from vault_core.plugins.loader import Plugins


def nothing(*_: object) -> Any:
    return None


STORAGE = StorageSpec(
    name="box",
    summary="a box",
    open=nothing,
    at_rest=AtRest.CORE,
    capabilities=Capability.CAS | Capability.CREATE_ONLY,
    options=(
        Option(name="big-dir", help="where", default="/x"),
        Option(name="pin", help="its pin", secret=True, default="canary"),
        Option(name="on", help="on or off", default=True),
        Option(name="none", help="nothing"),
    ),
    max_value=64,
    locate=lambda _: "/there",
)
PASSPHRASES = PassphraseSourceSpec(name="p", summary="s", open=nothing)


def test_a_sound_plugin_has_no_faults() -> None:
    assert list(faults(STORAGE)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"summary": ""}, "its summary is not one line of text"),
        ({"summary": " "}, "its summary is not one line of text"),
        ({"summary": "a\nb"}, "its summary is not one line of text"),
        ({"summary": None}, "its summary is not one line of text"),
        ({"open": None}, "its open cannot be called"),
        ({"locate": "x"}, "its locate cannot be called"),
        ({"readers": 1}, "its readers cannot be called"),
        ({"options": [Option(name="a", help="h")]}, "its options are no tuple of Option"),
        ({"options": ("a",)}, "its options are no tuple of Option"),
        ({"options": (Option(name="A", help="h"),)}, "'A' is no name of an option: lower-case words joined by -"),
        ({"options": (Option(name="a-", help="h"),)}, "'a-' is no name of an option: lower-case words joined by -"),
        ({"options": (Option(name="a\n", help="h"),)}, "'a\\n' is no name of an option: lower-case words joined by -"),
        ({"options": (Option(name="a", help="h"),) * 2}, "two of its options have one name"),
        ({"at_rest": "core"}, "its at_rest is no AtRest"),
        ({"capabilities": 3}, "its capabilities are no Capability"),
        ({"max_value": 63}, "its max_value is no number of 64 or more bytes"),
        ({"max_value": "64"}, "its max_value is no number of 64 or more bytes"),
        ({"secret_variables": None}, "its secret_variables are no tuple of str"),
        ({"secret_variables": "*"}, "its secret_variables are no tuple of str"),
    ],
)
def test_a_fault_is_one_sentence(changes: dict[str, Any], told: str) -> None:
    assert list(faults(replace(STORAGE, **changes))) == [told]


@pytest.mark.parametrize(("secret", "for_profiles"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_secret_of_another_than_a_session_provider_is_not_for_profiles(secret: bool, for_profiles: bool) -> None:
    options = (Option(name="pin", help="h", secret=secret, from_profile=for_profiles),)
    session = SessionSpec(name="x", summary="s", open=nothing, parameters=nothing, source=Need.NEVER, options=options)
    told = ["its option 'pin' is secret: an AWS profile sets one of a session provider alone"]
    assert list(faults(replace(STORAGE, options=options))) == (told if secret and for_profiles else [])
    assert list(faults(session)) == []
    assert list(faults(replace(session, source="never"))) == ["its source is not a SourceNeed"]  # type: ignore[arg-type]


def test_no_limit_and_the_least_limit_are_none() -> None:
    assert [list(faults(replace(STORAGE, max_value=limit))) for limit in (None, 64)] == [[], []]


def test_a_storage_backend_is_described_without_its_secrets() -> None:
    found = describe("box", STORAGE, SimpleNamespace(host=SimpleNamespace(plugins=Plugins())))  # type: ignore[arg-type]  # that much is looked at
    options = found.pop("options")
    assert found == {
        "summary": "a box",
        "capabilities": ["create-only", "cas"],
        "at_rest": "core",
        "max_value": 64,
        "locate": "/there",
        "readers": None,
    }
    assert options[0] == {
        "name": "big-dir",
        "flag": "--box-big-dir",
        "variable": "AWS_VAULT_BOX_BIG_DIR",
        "default": "/x",
        "secret": False,
        "help": "where",
    }
    assert [(one["secret"], one["default"]) for one in options[1:]] == [(True, None), (False, "true"), (False, None)]
    flags = ["--box-big-dir", None, "--box-on", "--box-none"]
    assert [one["flag"] for one in options] == flags  # a secret on a command line is everybody's to read
    assert "canary" not in str(options)


def test_nothing_is_called_without_a_context() -> None:
    def never(_: object) -> str:
        raise AssertionError

    assert describe("box", replace(STORAGE, locate=never, readers=never), None)["locate"] is None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (replace(PASSPHRASES, interactive=True, writable=True), "interactive writable"),
        (PASSPHRASES, ""),
        (MfaSourceSpec(name="m", summary="s", open=nothing, interactive=True), "interactive"),
        (SessionSpec(name="x", summary="s", open=nothing, parameters=nothing, source=Need.NEVER), "source-never"),
    ],
)
def test_capabilities_of_other_kinds(spec: Any, expected: str) -> None:
    found = describe("p", spec, None)
    assert found["capabilities"] == expected.split()
    assert "at_rest" not in found
