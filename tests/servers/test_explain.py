"""``awsv explain``: the plan it prints is the plan that ``exec`` follows, and it asks nobody for anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.home import PROGRAM, Home
from support.moto import ACCOUNT, MotoServer
from support.overlay_env import HEADER, OverlayEnv, install
from support.recording_proxy import Call, RecordingProxy
from support.stored import CODE, MFA, UNLOCKED, add, state
from support.vaults import store_path

CONFIG = f"""
[profile work]
region = eu-west-1

[profile mfa]
mfa_serial = {MFA}

[profile role]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
region = eu-central-1
external_id = partner-7

[profile role-mfa]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = mfa
mfa_serial = {MFA}

[profile behind]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleB
source_profile = role-mfa
duration_seconds = 7200

[profile long]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = mfa
mfa_serial = {MFA}
duration_seconds = 14400

[profile sdk]
credential_process = {PROGRAM} exec -j role
"""

WIRE = {
    "role_arn": "RoleArn",
    "duration_seconds": "DurationSeconds",
    "mfa_serial": "SerialNumber",
    "external_id": "ExternalId",
}


@pytest.fixture
def logged_in(home: Home, moto: MotoServer) -> Home:
    home.configure(CONFIG)
    add(home, moto.alice, "work", "mfa")
    return home


def explained(home: Home, *words: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = home.awsv("explain", "--json", *words, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def calls_of(plan: dict[str, Any]) -> list[dict[str, str]]:
    """The calls that a plan announces."""
    return [
        {
            "action": step["step"].removeprefix("sts."),
            "region": step["parameters"].get("region", "us-east-1"),
            **{wire: str(step["parameters"][name]) for name, wire in WIRE.items() if name in step["parameters"]},
        }
        for step in plan["steps"]
        if step["step"] != "stored key" and not step["cached_until"]
    ]


def seen(call: Call) -> dict[str, str]:
    """A call that was made, in the same words."""
    left = {name: value for name, value in call.parameters.items() if name in WIRE.values()}
    return {"action": call.action, "region": call.region, **left}


@pytest.mark.parametrize(
    "words",
    [
        ["work", "-d", "2h"],
        ["mfa"],
        ["behind"],
        ["long"],
        ["sdk"],
        ["work", "-n"],
        ["behind", "--no-session"],
    ],
    ids=" ".join,
)
def test_exec_follows_the_plan(logged_in: Home, front: RecordingProxy, words: list[str]) -> None:
    plan = explained(logged_in, *words)
    assert front.calls == []
    expected = calls_of(plan)
    done = logged_in.awsv("exec", "-j", *words, "-t", CODE, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert [seen(call) for call in front.calls] == expected
    made = len(front.calls)
    if "-n" not in words and "--no-session" not in words:
        after = explained(logged_in, *words)
        assert calls_of(after) == []
        assert after["steps"][-1]["cached_until"] == json.loads(done.stdout)["Expiration"]
        assert logged_in.awsv("exec", "-j", *words).returncode == 0
        assert len(front.calls) == made


def test_the_plan_starts_at_the_nearest_live_step(logged_in: Home, front: RecordingProxy) -> None:
    assert logged_in.awsv("exec", "-j", "role-mfa", "-t", CODE, env=UNLOCKED).returncode == 0
    front.forget()
    plan = explained(logged_in, "behind")
    assert [bool(step.get("cached_until")) for step in plan["steps"]] == [False, True, True, False]
    store_path(logged_in).unlink()
    assert logged_in.awsv("exec", "-j", "behind").returncode == 0
    assert [seen(call) for call in front.calls] == calls_of(plan)


def test_it_asks_nobody_and_changes_nothing(logged_in: Home, front: RecordingProxy) -> None:
    terminal = logged_in.spawn("explain", "role-mfa")
    terminal.expect("not checked: locked")
    assert "assphrase" not in terminal.before  # a question that nobody answers ends after 45 s, and then it is locked
    terminal.expect("prompt = terminal")
    terminal.wait()
    assert terminal.exitstatus == 0
    assert front.calls == []
    assert state(logged_in, "sessions") == []


@pytest.mark.parametrize(
    ("env", "state"),
    [
        ({}, "not checked: locked"),
        ({"AWS_VAULT_FILE_PASSPHRASE": "wrong one"}, "not checked: the passphrase from source 'env' does not open"),
        (UNLOCKED, "stored: AKIA"),
    ],
)
def test_the_stored_key(logged_in: Home, env: dict[str, str], state: str) -> None:
    [key, *_] = explained(logged_in, "role", env=env)["steps"]
    assert key["profile"] == "work"
    assert key["state"].startswith(state)
    assert key["place"] == str(store_path(logged_in))


def test_a_missing_key_and_a_damaged_store(logged_in: Home, front: RecordingProxy) -> None:
    assert explained(logged_in, "nobody", env=UNLOCKED)["steps"][0]["state"] == "missing"
    store_path(logged_in).write_bytes(b"damaged")
    assert explained(logged_in, "work", env=UNLOCKED)["steps"][0]["state"].startswith("not checked: ")


def test_where_each_value_comes_from(logged_in: Home, moto: MotoServer) -> None:
    plan = explained(logged_in, "role", env={"AWS_ROLE_ARN": moto.role_b, "AWS_VAULT_PASSPHRASE_SOURCE": "env"})
    values = {(value["profile"], value["key"]): (value["value"], value["from"]) for value in plan["values"]}
    line = next(number for number, text in enumerate(CONFIG.splitlines(), 1) if text.startswith("external_id"))
    assert values["role", "external_id"] == ("partner-7", f"{logged_in.config}:{line}")
    assert values["role", "role_arn"] == (moto.role_b, "AWS_ROLE_ARN")
    assert values["work", "region"][0] == "eu-west-1"
    assert plan["settings"]["passphrase_source"] == {"value": "env", "from": "AWS_VAULT_PASSPHRASE_SOURCE"}
    assert plan["settings"]["backend"] == {"value": "file", "from": "default"}
    assert plan["region"] == "eu-central-1"


def test_notes(logged_in: Home) -> None:
    [note] = explained(logged_in, "behind")["notes"]
    assert note == "role of profile 'behind': 7200 s shortened to 3600, AWS's limit behind a session"


def test_it_shows_no_secret(logged_in: Home, moto: MotoServer) -> None:
    static = (
        f"[profile static]\naws_access_key_id = AKIACANARY\naws_secret_access_key = {moto.alice.secret_access_key}\n"
    )
    logged_in.configure(CONFIG + static)
    for words in (["static"], ["work"], ["static", "--json"]):
        done = logged_in.awsv("explain", *words, env=UNLOCKED)
        assert done.returncode == 0
        assert moto.alice.secret_access_key not in done.stdout + done.stderr
        assert "AKIACANARY" not in done.stdout + done.stderr


def test_for_a_person(logged_in: Home) -> None:
    done = logged_in.awsv("explain", "role")
    assert done.stdout.splitlines()[:8] == [
        "profile role, region eu-central-1",
        "",
        "steps",
        f"  1. stored key of 'work' in store 'file' ({store_path(logged_in)}): not checked: locked",
        "  2. sts.AssumeRole for profile 'role': not cached",
        f"       role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA",
        "       external_id = partner-7",
        "       duration_seconds = 3600",
    ]


def test_a_profile_that_makes_no_sense(logged_in: Home) -> None:
    logged_in.configure("[profile a]\nsource_profile = b\n[profile b]\nsource_profile = a\n")
    done = logged_in.awsv("explain", "a")
    assert (done.returncode, done.stdout) == (2, "")
    assert "source_profile cycle: " in done.stderr


def test_names_cannot_drive_the_terminal(logged_in: Home) -> None:
    done = logged_in.awsv("explain", "evil\x1b[2J\nname")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0] == "profile evil\\x1b[2J\\nname, region not set"


def test_a_secret_in_a_command_line_is_not_shown(home: Home) -> None:
    """Of a profile with a role the program is not run, and so nothing refuses it."""
    home.configure(
        "[profile a]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\n"
        "credential_process = /bin/keys --password CANARY\n"
    )
    done = home.run(PROGRAM, "explain", "a")
    assert (done.returncode, "CANARY" in done.stdout) == (0, False), done
    assert "credential_process = /bin/keys --password ***" in done.stdout


BROKER = (
    HEADER
    + """
def parameters(options, profile):
    return {
        "url": options["url"], "told": ["x", {"pin": f"<{options['pin']}>"}], "number": int(options["pin"]),
        "codes": options["codes"], "count": options["count"],
    }

@hookimpl
def vault_session_providers():
    declared = (Option(name="url", help="u"), Option(name="pin", help="p", secret=True, from_profile=True),
        Option(name="codes", help="c", secret=True, from_profile=True, parse=lambda text: text.split(",")),
        Option(name="count", help="c", secret=True, from_profile=True, parse=int))
    return (SessionSpec(
        name="broker", summary="s", open=lambda ctx: None, parameters=parameters, source=SourceNeed.NEVER,
        options=declared
    ),)
"""
)


def test_a_secret_of_a_plugin_is_shown_neither_by_explain_nor_in_a_change(home: Home, tmp_path: Path) -> None:
    """Who declares an option says whether it is one, whatever its name is; nobody vouches for what is not loaded."""
    site = OverlayEnv(tmp_path / "site")
    install(site, "broker", BROKER, group="vault.session.v1")
    home.configure(
        "[profile a]\nvault_session_provider = broker\nvault_broker_url = https://broker\nvault_broker_pin = 47114711\n"
        "vault_broker_codes = CODE4711,CODE4712\nvault_broker_count = 00004711\n"
        "vault_xstore_pin = 47114711\n"
    )
    plan = json.loads(home.run(site.awsv, "explain", "a", "--json").stdout)
    assert {value["key"]: value["value"] for value in plan["values"] if value["key"].startswith("vault_")} == {
        "vault_session_provider": "broker",
        "vault_broker_url": "https://broker",
        "vault_broker_pin": "***",
        "vault_broker_codes": "***",
        "vault_broker_count": "***",
        "vault_xstore_pin": "***",
    }
    assert plan["steps"][0]["parameters"] == {
        "url": "https://broker",
        "told": ["x", {"pin": "***"}],
        "number": "***",
        "codes": ["***", "***"],
        "count": "***",
    }
    for words in (("explain", "a"), ("config", "credential-process", "-n", "a")):
        done = home.run(site.awsv, *words)
        assert (done.returncode, "4711" in done.stdout + done.stderr) == (0, False), done
        assert "vault_xstore_pin = ***" in done.stdout
