"""``awsv exec``: what the child gets, what it does not get, and what becomes of its signals and its exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.busy import seconds
from support.home import Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy, deny
from support.stored import PASSPHRASE, UNLOCKED
from vault_core.child_env import IDENTITY, IDENTITY_PREFIXES


def variables(home: Home, *words: str, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of a child."""
    done = home.awsv("exec", *words, "--", "env", "-0", env=env)
    assert done.returncode == 0, done.stderr
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)


# -- becoming the child ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_the_exit_code_is_the_childs(logged_in: Home, code: int) -> None:
    assert logged_in.awsv("exec", "work", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_child_and_its_death_is_ours(logged_in: Home, number: signal.Signals) -> None:
    process = logged_in.start("exec", "work", "--", "sh", "-c", "echo $$; exec sleep 60")
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(number)
    process.communicate(timeout=seconds(10))
    assert process.returncode == -number


def test_standard_input_is_the_childs(logged_in: Home) -> None:
    assert logged_in.awsv("exec", "work", "--", "cat", input="a\nb").stdout == "a\nb"


def test_standard_output_is_the_childs(logged_in: Home) -> None:
    """Plugins print to standard error; the child has the real standard output back."""
    done = logged_in.awsv("exec", "work", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_a_pipe_that_closes_ends_the_child_quietly(logged_in: Home) -> None:
    done = logged_in.awsv("exec", "work", "--", "sh", "-c", "yes | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "y\n", "")
    if sys.platform == "linux":
        # Compared, since a caller may leave something ignored: GNU make does, two signals of glibc's own.
        shown = ("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status")
        without = logged_in.run(*shown)
        assert "SigBlk:" in without.stdout
        assert logged_in.awsv("exec", "work", "--", *shown).stdout == without.stdout


def test_no_descriptor_leaks_into_the_child(logged_in: Home, tmp_path: Path) -> None:
    listing = "import os; print(sorted(int(name) for name in os.listdir('/dev/fd')))"
    done = logged_in.awsv("exec", "work", "--", sys.executable, "-c", listing)
    # The fourth one is the listing's own.
    assert json.loads(done.stdout) == [0, 1, 2, 3]


def test_the_callers_own_descriptors_pass(logged_in: Home) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        pipe.write("passed on")
    process = logged_in.start("exec", "work", "--", "cat", f"/dev/fd/{reader}", pass_fds=[reader])
    os.close(reader)
    assert process.communicate(timeout=seconds(20))[0] == "passed on"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["no-such-command"], 127, "cannot run 'no-such-command': there is no such command"),
        (["./missing"], 127, "cannot run './missing': there is no such command"),
        (["/"], 126, "cannot run '/': it is a directory"),
        (["./plain"], 126, "cannot run './plain': it is not executable"),
        (["./nonsense"], 126, "cannot run './nonsense': Exec format error"),
        (["./no-interpreter"], 127, "cannot run './no-interpreter': No such file or directory"),
        ([""], 127, "cannot run '': there is no such command"),
    ],
)
def test_a_child_that_cannot_start(logged_in: Home, words: list[str], code: int, message: str) -> None:
    (logged_in.cwd / "plain").write_text("echo no\n")
    (logged_in.cwd / "nonsense").write_bytes(b"\x00\x01\x02\x03" * 64)
    (logged_in.cwd / "no-interpreter").write_text("#!/no/such/interpreter\n")
    for name in ("nonsense", "no-interpreter"):
        (logged_in.cwd / name).chmod(0o755)
    done = logged_in.awsv("exec", "work", "--", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert f"awsv: {message}\nhint: " in done.stderr


def test_a_missing_command_is_told_before_anybody_is_asked(logged_in: Home, front: RecordingProxy) -> None:
    done = logged_in.awsv("exec", "other", "--", "no-such-command")
    assert done.returncode == 127
    assert front.calls == []


def test_our_own_failure_is_125(logged_in: Home, front: RecordingProxy) -> None:
    assert logged_in.awsv("exec", "other", "--", "true").returncode == 125
    assert logged_in.awsv("exec", "wrok", "--", "true", env=UNLOCKED).returncode == 125
    assert logged_in.awsv("exec", "--no-such-option", "work", "true").returncode == 125
    assert logged_in.awsv("exec", "-j", "other").returncode == 5
    front.on("GetSessionToken", deny())
    assert logged_in.awsv("exec", "other", "--", "true", env=UNLOCKED).returncode == 125


# -- the command line --------------------------------------------------------------------------------------------------

SHOW = ("printenv", "AWS_VAULT", "AWS_REGION")


@pytest.mark.parametrize(
    "words",
    [
        ["work", *SHOW],
        ["work", "--", *SHOW],
        ["--", "work", *SHOW],
        ["--region", "eu-west-1", "work", *SHOW],
        ["work", "--region", "eu-west-1", *SHOW],
        ["work", "--region=eu-west-1", "--", *SHOW],
        ["work", "--backend", "file", "-t", "123456", *SHOW],
        ["-nt", "123456", "work", "--region", "eu-west-1", *SHOW],
    ],
    ids=" ".join,
)
def test_options_before_and_after_the_profile(logged_in: Home, words: list[str]) -> None:
    env = UNLOCKED if "-nt" in words else {}
    assert logged_in.awsv("exec", *words, env=env).stdout == "work\neu-west-1\n"


@pytest.mark.parametrize("separator", [[], ["--"]])
def test_the_childs_flags_are_its_own(logged_in: Home, separator: list[str]) -> None:
    flags = ["--region", "x", "-j", "--json", "--help", "-o", "file.dir=y", "--", "-d", "--debug", "--no-input"]
    done = logged_in.awsv("exec", "work", *separator, "echo", *flags)
    assert done.stdout == " ".join(flags) + "\n"


@pytest.mark.parametrize("profile", ["-dash", "ünï codé/.."])
def test_any_name_is_a_profile(logged_in: Home, profile: str) -> None:
    done = logged_in.awsv("exec", "--", profile, "printenv", "AWS_VAULT", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (0, f"{profile}\n"), done.stderr


def test_json_runs_nothing(logged_in: Home) -> None:
    done = logged_in.awsv("exec", "-j", "work", "--", "echo", "no")
    assert (done.returncode, done.stdout) == (125, "")
    assert "--json prints credentials and runs nothing" in done.stderr


# -- the environment ---------------------------------------------------------------------------------------------------

OTHERS = (*IDENTITY, *(f"{prefix}BEDROCK" for prefix in IDENTITY_PREFIXES))
"""What the product clears; tests/servers/exec/test_sdk_variables.py compares that with what SDKs read."""


def test_another_identity_does_not_reach_the_child(logged_in: Home) -> None:
    found = variables(logged_in, "work", env=dict.fromkeys(OTHERS, "canary"))
    assert [name for name, value in found.items() if value == "canary"] == []
    assert found["AWS_VAULT"] == "work"


def test_a_stored_key_leaves_no_old_token_behind(logged_in: Home, moto: MotoServer) -> None:
    found = variables(logged_in, "work", "--no-session", env={**UNLOCKED, **dict.fromkeys(OTHERS, "canary")})
    assert found["AWS_ACCESS_KEY_ID"] == moto.alice.access_key_id
    assert found["AWS_SECRET_ACCESS_KEY"] == moto.alice.secret_access_key
    assert not {"AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"} & set(found)


def test_what_is_set(logged_in: Home) -> None:
    before = {
        **logged_in.env,
        "PWD": str(logged_in.cwd),
        "OLDPWD": "/",
        "SHLVL": "0",
    }  # sh sets these where they are not
    found = variables(logged_in, "work", env={name: before[name] for name in ("PWD", "OLDPWD", "SHLVL")})
    found.pop("_", None)
    new = {name: value for name, value in found.items() if before.get(name) != value}
    assert set(new) == {
        "AWS_ACCESS_KEY_ID",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_EXPIRATION",
        "AWS_SESSION_TOKEN",
        "AWS_VAULT",
    }
    assert (new["AWS_VAULT"], new["AWS_REGION"], new["AWS_DEFAULT_REGION"]) == ("work", "eu-west-1", "eu-west-1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", new["AWS_SESSION_EXPIRATION"])
    assert new["AWS_SESSION_EXPIRATION"] == new["AWS_CREDENTIAL_EXPIRATION"]
    assert set(before) <= set(found)


@pytest.mark.parametrize(
    ("words", "env", "region"),
    [
        (["work"], {}, "eu-west-1"),
        (["work"], {"AWS_REGION": "us-east-2"}, "us-east-2"),
        (["work"], {"AWS_DEFAULT_REGION": "us-west-1"}, "us-west-1"),
        (["work", "--region", "ap-east-1"], {"AWS_REGION": "us-east-2"}, "ap-east-1"),
        (["nowhere"], {}, None),
    ],
)
def test_the_region(logged_in: Home, words: list[str], env: dict[str, str], region: str | None) -> None:
    found = variables(logged_in, *words, env={**env, **UNLOCKED})
    assert (found.get("AWS_REGION"), found.get("AWS_DEFAULT_REGION")) == (region, region)


SECRETS = {
    "AWS_VAULT_FILE_PASSPHRASE": PASSPHRASE,
    "AWS_VAULT_PASSPHRASE": "canary",
    "AWS_VAULT_HASHICORP_TOKEN": "canary",
    "VAULT_TOKEN": "canary",
}


def test_secrets_of_ours_do_not_reach_the_child(logged_in: Home) -> None:
    kept = {"AWS_VAULT_FILE_PASSPHRASE_FILE": "/secret/file", "AWS_VAULT_BACKEND": "file", "VAULT_ADDR": "http://x"}
    found = variables(logged_in, "work", env={**SECRETS, **kept})
    assert set(kept) <= set(found)
    assert not set(SECRETS) & set(found)
    assert found["AWS_VAULT_REMOVED"] == ",".join(sorted(SECRETS))


def test_keep_env(logged_in: Home) -> None:
    found = variables(logged_in, "work", "--keep-env", "VAULT_TOKEN", env=SECRETS)
    assert found["VAULT_TOKEN"] == "canary"
    assert "AWS_VAULT_PASSPHRASE" not in found


def test_bytes_that_are_no_text_pass(logged_in: Home) -> None:
    done = logged_in.awsv("exec", "work", "--", "printenv", "ODD", env={"ODD": "\udcff\udcfe"})
    assert done.stdout == "\udcff\udcfe\n"


@pytest.mark.parametrize("text", ["0", "0h", "0h0m0s"])
def test_no_time_is_not_as_long_as_usual(logged_in: Home, text: str) -> None:
    done = logged_in.awsv("exec", "-j", "-d", text, "work")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{text!r} is not a duration" in done.stderr
