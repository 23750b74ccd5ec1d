"""Where the engine and the planner draw lines: sessions that nobody may be served, and roles behind a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.scripted import Codes, Make
from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import ConfigError
from vault_core.sessions.plan import SessionStep


@pytest.mark.parametrize("suspected", [False, True])
def test_a_session_from_a_store_that_is_suspected_is_not_kept(suspected: bool, make: Make) -> None:
    """A person saw the warning; the programs that the cache would serve do not."""
    machine = make()
    machine.host.state.suspected = suspected
    assert machine.engine().credentials(machine.plan("user")).credentials.access_key_id == "ASIA1"
    assert machine.engine().credentials(machine.plan("user")).cached is not suspected
    assert len(machine.provider.requests) == 1 + suspected


@pytest.mark.parametrize(("seconds", "steps"), [(900, 3), (3600, 3), (3601, 2), (43200, 2)])
def test_one_role_for_more_than_an_hour_stands_on_the_key_itself(seconds: int, steps: int, make: Make) -> None:
    machine = make(ask=Codes("111111"))
    plan = machine.plan("role", duration=seconds)
    assert len(plan.steps()) == steps
    assert isinstance(plan.last, SessionStep)
    assert plan.last.parameters["duration_seconds"] == str(seconds)
    assert ("mfa_serial" in plan.last.parameters) is (steps == 2)
    assert plan.notes == ()


@pytest.mark.parametrize("text", ["1" * 10, "-1", "1.5", "1h", "²", " 1x"])
def test_a_duration_in_the_config_that_is_no_number_is_told_with_its_line(text: str, make: Make) -> None:
    machine = make()
    config = f"[profile r]\nrole_arn = a\nsource_profile = user\nduration_seconds = {text}\n".encode()
    machine.profiles.config = AwsConfig.parse(config, b"", Path("c"), Path("d"))
    with pytest.raises(ConfigError, match=r"^c:4: duration_seconds '.*' is not a number$"):
        machine.plan("r")
