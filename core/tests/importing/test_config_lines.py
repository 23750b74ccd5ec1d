"""``credential_process`` lines of another program that are changed to run awsv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.errors import ConfigError
from vault_core.importing.config_lines import Available, propose
from vault_core.importing.copy import State
from vault_core.sessions.plan import KeyStep


def profile_of(words: Sequence[str]) -> str | None:
    if words[0] != "old":
        return None
    if len(words) != 2:
        raise ConfigError("has other options")
    return words[1]


def proposed(line: str, header: str = "profile a", *, available: bool = True) -> tuple[str, list[str], dict[str, str]]:
    raw = f"[{header}]\n# note\ncredential_process = {line}\nregion = x\n".encode()
    changes = propose(raw, Path("c"), Path("/bin/awsv"), profile_of, lambda after: lambda _: available)
    return changes.after.decode(), changes.changed, changes.kept


def test_propose_line_of_the_program_runs_awsv() -> None:
    after = "[profile a]\n# note\ncredential_process = /bin/awsv exec -j work\nregion = x\n"
    assert proposed("old work") == (after, ["a"], {})


def test_propose_rejected_line_is_kept_with_its_reason() -> None:
    after, changed, kept = proposed("old work -x")
    assert ("= old work -x\n" in after, changed, kept) == (True, [], {"c:3": "has other options"})


def test_propose_name_that_no_line_can_hold_keeps_its_line_and_changes_the_others() -> None:
    raw = b"[profile a]\ncredential_process = old 'x\n  y'\n[profile b]\ncredential_process = old work\n"
    changes = propose(raw, Path("c"), Path("/bin/awsv"), profile_of, lambda after: lambda _: True)
    assert (changes.changed, list(changes.kept)) == (["b"], ["c:2"])
    assert changes.after == raw.replace(b"old work", b"/bin/awsv exec -j work")


@pytest.mark.parametrize(
    ("line", "header"), [("other work", "profile a"), ("'old work", "profile a"), ("old work", "sso-session a")]
)
def test_propose_other_line_is_ignored(line: str, header: str) -> None:
    after, changed, kept = proposed(line, header)
    assert (f"= {line}\n" in after, changed, kept) == (True, [], {})


def test_propose_unavailable_profile_keeps_its_line() -> None:
    after, changed, kept = proposed("old work", available=False)
    assert ("= old work\n" in after, changed) == (True, [])
    assert kept == {"c:3": "asks for 'work', which awsv cannot provide"}


class Stores:
    """The vaults of profiles: ``new`` has no store yet, and any other one has the key ``stored``."""

    def __call__(self, profile: str) -> Any:
        return SimpleNamespace(name=profile, get=lambda name: name if name == "stored" else None)

    def is_new(self, vault: Any) -> bool:
        return bool(vault.name == "new")


@pytest.mark.parametrize(
    ("key", "available"),
    [
        ("arrived", True),
        ("failed", False),
        ("stored", True),
        ("missing", False),
        ("new", False),
        ("", True),
        ("unknown", False),
    ],
)
def test_available_follows_the_first_step_of_the_plan(key: str, available: bool) -> None:
    def plan(_: str) -> Any:
        if key == "unknown":
            raise ConfigError("no such profile")
        step: Any = object()
        if key:
            step = object.__new__(KeyStep)
            object.__setattr__(step, "name", key)
        return SimpleNamespace(steps=lambda: [step])

    states = {"arrived": State.COPIED, "failed": State.FAILED}
    report: Any = SimpleNamespace(keys=[SimpleNamespace(profile=name, state=state) for name, state in states.items()])
    vaults: Any = Stores()
    planner: Any = SimpleNamespace(plan=plan)
    assert Available(planner, vaults, report)("p") is available


def test_propose_asks_for_availability_after_the_change() -> None:
    seen: list[bytes] = []

    def availability(after: bytes) -> Any:
        seen.append(after)
        return lambda profile: profile == "b"

    raw = b"[profile a]\ncredential_process = old a\n[profile b]\ncredential_process = old b\n"
    changes = propose(raw, Path("c"), Path("/bin/awsv"), profile_of, availability)
    assert seen == [raw.replace(b"old a", b"/bin/awsv exec -j a").replace(b"old b", b"/bin/awsv exec -j b")]
    assert changes.after == raw.replace(b"old b", b"/bin/awsv exec -j b")
    assert (changes.changed, changes.kept) == (["b"], {"c:2": "asks for 'a', which awsv cannot provide"})
