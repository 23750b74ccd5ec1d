"""What a plugin says of itself, and what in it makes no sense."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import AtRest, Capability, MfaSourceSpec, Option, PassphraseSourceSpec, SessionSpec, StorageSpec
from vault_core.api import SourceNeed as Need
from vault_core.plugins.check.child import describe
from vault_core.plugins.loader import Plugins
from vault_core.plugins.spec_problems import problems


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


def test_problems_of_valid_spec_is_empty() -> None:
    assert list(problems(STORAGE)) == []


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
        ({"options": [Option(name="a", help="h")]}, "its options are not a tuple of Option"),
        ({"options": ("a",)}, "its options are not a tuple of Option"),
        ({"options": (Option(name="A", help="h"),)}, "'A' is not an option name: lower-case words joined by -"),
        ({"options": (Option(name="a-", help="h"),)}, "'a-' is not an option name: lower-case words joined by -"),
        ({"options": (Option(name="a\n", help="h"),)}, "'a\\n' is not an option name: lower-case words joined by -"),
        ({"options": (Option(name="a", help="h"),) * 2}, "two of its options have the same name"),
        ({"at_rest": "core"}, "its at_rest is not an AtRest"),
        ({"capabilities": 3}, "its capabilities are not a Capability"),
        ({"max_value": 63}, "its max_value is not a number of bytes of at least 64"),
        ({"max_value": "64"}, "its max_value is not a number of bytes of at least 64"),
        ({"secret_variables": None}, "its secret_variables are not a tuple of str"),
        ({"secret_variables": "*"}, "its secret_variables are not a tuple of str"),
    ],
)
def test_problems_of_invalid_spec_is_one_sentence(changes: dict[str, Any], told: str) -> None:
    assert list(problems(replace(STORAGE, **changes))) == [told]


@pytest.mark.parametrize(("secret", "for_profiles"), [(True, True), (True, False), (False, True), (False, False)])
def test_secret_profile_option_is_for_session_providers_only(secret: bool, for_profiles: bool) -> None:
    options = (Option(name="pin", help="h", secret=secret, from_profile=for_profiles),)
    session = SessionSpec(name="x", summary="s", open=nothing, parameters=nothing, source=Need.NEVER, options=options)
    told = ["its option 'pin' is secret: an AWS profile can set those of session providers only"]
    assert list(problems(replace(STORAGE, options=options))) == (told if secret and for_profiles else [])
    assert list(problems(session)) == []
    assert list(problems(replace(session, source="never"))) == ["its source is not a SourceNeed"]  # type: ignore[arg-type]  # as a plugin might, wrongly


def test_missing_and_smallest_max_value_are_valid() -> None:
    assert [list(problems(replace(STORAGE, max_value=limit))) for limit in (None, 64)] == [[], []]


def test_describe_storage_backend_hides_secret_defaults() -> None:
    found = describe("box", STORAGE, SimpleNamespace(plugins=Plugins()))  # type: ignore[arg-type]  # that much is looked at
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
        "flag": "-o box.big-dir=VALUE",
        "variable": "AWS_VAULT_BOX_BIG_DIR",
        "default": "/x",
        "secret": False,
        "help": "where",
    }
    assert [(one["secret"], one["default"]) for one in options[1:]] == [(True, None), (False, "true"), (False, None)]
    flags = ["-o box.big-dir=VALUE", None, "-o box.on=VALUE", "-o box.none=VALUE"]
    assert [one["flag"] for one in options] == flags  # a secret on a command line is everybody's to read
    assert "canary" not in str(options)


def test_describe_without_context_calls_nothing() -> None:
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
def test_describe_capabilities_of_other_kinds(spec: Any, expected: str) -> None:
    found = describe("p", spec, None)
    assert found["capabilities"] == expected.split()
    assert "at_rest" not in found
