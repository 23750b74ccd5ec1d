"""``awsv export``: five formats, byte for byte, and what other programs make of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from support import parts
from support.busy import seconds
from support.home import PROGRAM, Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import (
    RecordingProxy,
    clock_skew,
    deny,
    drop,
    garbage,
    server_error,
    slow,
    throttle,
    unknown_key,
)
from support.stored import UNLOCKED, Snapshot, add
from vault_core.api import Credentials, Secret
from vault_core.sessions.formats import FORMATS

CONFIG = f"""
[profile work]
region = eu-west-1

[profile nowhere]

[profile role]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
"""


@pytest.fixture
def front(module_front: RecordingProxy) -> RecordingProxy:
    module_front.forget()
    return module_front


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, module_front: RecordingProxy, moto: MotoServer
) -> tuple[Home, Snapshot]:
    home = Home(tmp_path_factory.mktemp("export") / "machine", module_front.url)
    home.configure(CONFIG)
    add(home, moto.alice, "work", "nowhere", "odd]name")
    assert home.awsv("exec", "-j", "work", env=UNLOCKED).returncode == 0
    return home, Snapshot(home)


@pytest.fixture
def logged_in(prepared: tuple[Home, Snapshot], front: RecordingProxy) -> Home:
    """The session of ``work`` is live."""
    home, snapshot = prepared
    snapshot.restore()
    return home


def export(home: Home, form: str, *words: str, env: dict[str, str] | None = None) -> str:
    done = home.awsv("export", f"--format={form}", *(words or ["work"]), env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def session(logged_in: Home) -> dict[str, str]:
    """The live session."""
    found: dict[str, str] = json.loads(export(logged_in, "json"))
    return found


# -- the formats -------------------------------------------------------------------------------------------------------


def test_env(logged_in: Home, session: dict[str, str]) -> None:
    expected = (
        "AWS_ACCESS_KEY_ID={AccessKeyId}\nAWS_SECRET_ACCESS_KEY={SecretAccessKey}\nAWS_SESSION_TOKEN={SessionToken}\n"
        "AWS_CREDENTIAL_EXPIRATION={Expiration}\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\n"
    ).format(**session)
    assert export(logged_in, "env") == expected
    assert logged_in.awsv("export", "work").stdout == expected
    assert export(logged_in, "export-env") == "".join(f"export {line}\n" for line in expected.splitlines())


def test_ini(logged_in: Home, session: dict[str, str]) -> None:
    assert export(logged_in, "ini") == (
        "[work]\naws_access_key_id={AccessKeyId}\naws_secret_access_key={SecretAccessKey}\n"
        "aws_session_token={SessionToken}\naws_credential_expiration={Expiration}\nregion=eu-west-1\n\n"
    ).format(**session)


def test_json(logged_in: Home, session: dict[str, str]) -> None:
    assert list(session) == ["Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"]
    assert export(logged_in, "json") == json.dumps(session, indent=2) + "\n"
    assert logged_in.awsv("exec", "-j", "work").stdout == json.dumps(session, indent=2) + "\n"


def test_fish(logged_in: Home, session: dict[str, str]) -> None:
    assert export(logged_in, "fish").splitlines()[:2] == [
        f"set -gx AWS_ACCESS_KEY_ID '{session['AccessKeyId']}'",
        f"set -gx AWS_SECRET_ACCESS_KEY '{session['SecretAccessKey']}'",
    ]


def test_a_stored_key_without_region(logged_in: Home, moto: MotoServer) -> None:
    key = moto.alice
    words = ("nowhere", "--no-session")
    assert export(logged_in, "env", *words, env=UNLOCKED) == (
        f"AWS_ACCESS_KEY_ID={key.access_key_id}\nAWS_SECRET_ACCESS_KEY={key.secret_access_key}\n"
    )
    assert export(logged_in, "ini", *words, env=UNLOCKED) == (
        f"[nowhere]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n\n"
    )
    assert json.loads(export(logged_in, "json", *words, env=UNLOCKED)) == {
        "Version": 1,
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
    }


def test_a_name_that_is_no_section(logged_in: Home) -> None:
    done = logged_in.awsv("export", "--format", "ini", "odd]name", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint: use --format json" in done.stderr


def test_an_unknown_format(logged_in: Home) -> None:
    done = logged_in.awsv("export", "--format", "yaml", "work")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'yaml' is not one of" in done.stderr


# -- what other programs make of them ----------------------------------------------------------------------------------

SHELLS = {"sh": "export-env", "bash": "export-env", "zsh": "export-env", "fish": "fish"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_it(logged_in: Home, session: dict[str, str], shell: str) -> None:
    program = parts.need(shell, shutil.which(shell), how=f"apt-get install {shell}")
    command = f"{PROGRAM} export --format={SHELLS[shell]} work"
    source = f"{command} | source" if shell == "fish" else f'eval "$({command})"'
    done = logged_in.run(program, "-c", f"{source}; printenv AWS_SESSION_TOKEN AWS_REGION")
    assert done.stdout.splitlines() == [session["SessionToken"], "eu-west-1"], done.stderr


NASTY = "it's \"$(touch pwned)\" `id` \\ back\\\\slash \\' !! ; & | * ? ~ #"


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_in_a_value_is_run(tmp_path: Path, shell: str) -> None:
    program = parts.need(shell, shutil.which(shell), how=f"apt-get install {shell}")
    credentials = Credentials(access_key_id="AKIA", secret_access_key=Secret(NASTY), session_token=Secret(NASTY))
    text = FORMATS[SHELLS[shell]]("p", credentials, NASTY)  # a region can come from anybody's config file
    script = f"{text}\nprintenv AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION"
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == f"{NASTY}\n" * 3, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_ini_parser_takes_it(logged_in: Home, session: dict[str, str]) -> None:
    parser = ConfigParser(interpolation=None)
    parser.read_string(export(logged_in, "ini"))
    assert dict(parser["work"]) == {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
        "aws_credential_expiration": session["Expiration"],
        "region": "eu-west-1",
    }


@pytest.mark.parametrize("words", ["export --format json work", "exec -j work", "exec --json work"])
def test_botocore_takes_the_json(logged_in: Home, session: dict[str, str], words: str) -> None:
    logged_in.configure(f"[profile sdk]\nregion = eu-west-1\ncredential_process = {PROGRAM} {words}\n")
    program = (
        "import botocore.session as b; c = b.Session(profile='sdk').get_credentials();"
        "print(c.get_frozen_credentials().token, c.method)"
    )
    # The config of the SDK names us; our own is the one from before.
    ours = logged_in.root / "ours"
    ours.write_text(CONFIG)
    wrapper = logged_in.root / "awsv"
    wrapper.write_text(f'#!/bin/sh\nAWS_CONFIG_FILE={ours} exec {PROGRAM} "$@"\n')
    wrapper.chmod(0o755)
    logged_in.configure(logged_in.config.read_text().replace(str(PROGRAM), str(wrapper)))
    done = logged_in.run(sys.executable, "-c", program)
    assert done.stdout.split() == [session["SessionToken"], "custom-process"], done.stderr


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failing_export_prints_nothing(logged_in: Home) -> None:
    for words, code in ((["wrok"], 2), (["role"], 5), (["--format", "ini"], 2)):
        done = logged_in.awsv("export", *words, env=UNLOCKED if words == ["wrok"] else {})
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("awsv: ")


def test_nobody_reads(logged_in: Home) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, "export", "work"],
        env=logged_in.env,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=seconds(20),
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_standard_output(logged_in: Home) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAM, "export", "work"], env=logged_in.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "cannot write to standard output: no space left on device" in done.stderr


FAULTS = {
    "denied": (deny(), ["AWS refused to assume", "is not authorized"], 1),
    "throttled": (throttle(), ["throttles requests: Throttling"], 3),
    "in trouble": (server_error(), ["failed: ServiceUnavailable (HTTP 503)"], 3),
    "clock": (clock_skew(3600), ["this machine's clock is 60 minutes behind AWS's"], 1),
    "garbage": (garbage(), ["unexpected response from"], 1),
    "broken off": (drop(), ["broke the connection"], 3),
    "unknown key": (unknown_key(), ["AWS refused AKIA", "the access key is deleted or inactive"], 1),
}


@pytest.mark.parametrize(("fault", "messages", "calls"), FAULTS.values(), ids=FAULTS.keys())
def test_trouble_at_aws(logged_in: Home, front: RecordingProxy, fault: object, messages: list[str], calls: int) -> None:
    front.on("AssumeRole", fault)  # type: ignore[arg-type]  # a Fault
    done = logged_in.awsv("export", "role", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (6, "")
    assert all(message in done.stderr for message in messages), done.stderr
    assert "\nhint: " in done.stderr
    assert front.actions == ["AssumeRole"] * calls
    assert "Traceback" not in done.stderr


def test_aws_is_down(logged_in: Home) -> None:
    done = logged_in.awsv("export", "role", env={**UNLOCKED, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert (done.returncode, done.stdout) == (6, "")
    assert "127.0.0.1:9 cannot be reached" in done.stderr
    assert "hint: check the network connection" in done.stderr


@pytest.mark.slow
def test_aws_is_too_slow(logged_in: Home, front: RecordingProxy) -> None:
    front.on("AssumeRole", slow(100))
    done = logged_in.awsv("export", "role", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (6, "")
    assert front.url.removeprefix("http://") in done.stderr
    assert "in time" in done.stderr
    assert "hint: check the network connection" in done.stderr
    assert front.calls[-1].at - front.calls[0].at < seconds(30)
