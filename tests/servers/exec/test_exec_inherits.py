"""What the child of ``awsv exec`` inherits: no passphrase in an open file, no other identity, nothing of a plugin's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.busy import seconds
from support.home import PROGRAM, Home
from support.overlay_env import HEADER, STORAGE, OverlayEnv
from support.stored import PASSPHRASE, UNLOCKED

FILE, FD = "AWS_VAULT_FILE_PASSPHRASE_FILE", "AWS_VAULT_FILE_PASSPHRASE_FD"
AT_STDIN = {
    "number": {FD: "0"},
    "/dev/stdin": {FILE: "/dev/stdin"},
    "/proc": {FILE: "/proc/self/fd/0"},
    "any store": {"AWS_VAULT_PASSPHRASE_FILE": "/dev//fd/0"},
    "not asked": {"AWS_VAULT_OTHER_PASSPHRASE_FD": "0", **UNLOCKED},
}


def passed(home: Home, script: str, *options: str, env: Mapping[str, str], profile: str = "work") -> str:
    """What a shell says as the child; ``N`` in script and ``env`` is the number of a pipe with the passphrase."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        pipe.write(PASSPHRASE)
    try:
        done = subprocess.run(
            [
                *(str(PROGRAM), "exec", profile, *(option.replace("N", str(reader)) for option in options)),
                *("--", "/bin/bash", "-c", script.replace("N", str(reader))),
            ],
            env=home.environment({name: text.replace("N", str(reader)) for name, text in env.items()}),
            cwd=home.cwd,
            pass_fds=[reader],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds(20),
        )
    finally:
        os.close(reader)
    return done.stdout


# -- passphrases in open files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["work", "other"], ids=["live", "cold"])
@pytest.mark.parametrize("env", AT_STDIN.values(), ids=AT_STDIN.keys())
def test_a_passphrase_at_standard_input_does_not_reach_the_child(
    logged_in: Home, env: dict[str, str], profile: str
) -> None:
    script = 'cat; cat /dev/fd/0; cat <&0; cat /proc/$$/fd/0; env | grep -E "_(FD|FILE)="; echo over'
    done = logged_in.awsv("exec", profile, "--", "/bin/sh", "-c", script, input=PASSPHRASE, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["over"]


def test_a_shell_does_not_run_a_passphrase_at_standard_input(logged_in: Home) -> None:
    done = logged_in.awsv("exec", "work", input=PASSPHRASE, env={FD: "0", "SHELL": "/bin/sh"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("text", ["/dev//fd/N", "/dev/fd/../fd/N", "/proc/thread-self/fd/N", "/proc/self/fd/N"])
def test_a_passphrase_of_any_spelling_does_not_reach_the_child(logged_in: Home, text: str) -> None:
    said = passed(logged_in, "cat /dev/fd/N; env", env={FILE: text})
    assert "AWS_VAULT=work\n" in said
    assert f"AWS_VAULT_REMOVED={FILE}\n" in said
    assert PASSPHRASE not in said
    assert f"{FILE}=" not in said


def test_a_passphrase_that_two_variables_name_reaches_the_child_by_neither(logged_in: Home) -> None:
    env = {FD: "N", "AWS_VAULT_OTHER_PASSPHRASE_FILE": "/dev/fd/N"}
    said = passed(logged_in, "cat /dev/fd/N; env", env=env)
    assert "AWS_VAULT=work\n" in said
    assert PASSPHRASE not in said


NAMED = {
    "a flag": (["-o", "hashicorp.token-file=/dev/fd/N"], {}),
    "one word": (["-ohashicorp.jwt-file=/proc/self/fd/N"], {}),
    "a key": ([], {"VAULT_CLIENT_KEY": "/dev/fd/N"}),
}


@pytest.mark.parametrize(("options", "env"), NAMED.values(), ids=NAMED.keys())
def test_a_secret_that_a_flag_names_does_not_reach_the_child(
    logged_in: Home, options: list[str], env: dict[str, str]
) -> None:
    """Nobody has read it, as the session is live; ``-o x.token-file=<(pass show x)`` leaves it at /dev/fd/63."""
    said = passed(logged_in, "echo prepared; cat <&N; env", *options, env=env)
    assert said.startswith("prepared\n")
    assert "AWS_VAULT=work\n" in said
    assert PASSPHRASE not in said
    assert "AWS_VAULT_REMOVED=-" not in said


def test_a_secret_that_the_settings_name_does_not_reach_the_child(logged_in: Home, tmp_path: Path) -> None:
    (tmp_path / "awsv").mkdir(mode=0o700)
    (tmp_path / "awsv/config.toml").write_text('[plugin.hashicorp]\nsecret-id-file = "/dev/stdin"\n')
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    done = logged_in.awsv("exec", "work", "--", "cat", input=PASSPHRASE, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_keep_env_keeps_the_descriptor_of_the_variable(logged_in: Home) -> None:
    assert passed(logged_in, f"cat <&${FD}", "--keep-env", FD, env={FD: "N"}) == PASSPHRASE
    kept = ("exec", "work", "--keep-env", FD, "--", "cat")
    assert logged_in.awsv(*kept, input=PASSPHRASE, env={FD: "0"}).stdout == PASSPHRASE


def test_a_named_file_and_its_variable_stay_for_the_child(logged_in: Home) -> None:
    """It holds the passphrase for whoever is this user; the child may have it at standard input on purpose."""
    secret = logged_in.root / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    done = logged_in.run(
        *("/bin/sh", "-c", f'exec "{PROGRAM}" exec work -- /bin/sh -c \'cat; echo " ${FILE}"\' < "{secret}"'),
        env={FILE: str(secret)},
    )
    assert done.stdout == f"{PASSPHRASE} {secret}\n"


def test_a_passphrase_where_the_child_would_write_is_refused_before_anybody_is_asked(logged_in: Home) -> None:
    secret = logged_in.root / "passphrase"
    secret.write_text(PASSPHRASE)
    script = f'exec "{PROGRAM}" exec other -- /bin/true 1<> "{secret}"'
    done = logged_in.run("/bin/sh", "-c", script, env={FD: "1"})
    assert done.returncode == 125
    assert done.stderr.startswith(
        f"awsv: descriptor 1 has the secret of {FD}, and the command would write to it\nhint: "
    )


# -- what plugins leave open -------------------------------------------------------------------------------------------

LEAVES_OPEN = """
class B(StorageBackend):
    def get(self, key):
        secret = os.open("/etc/passwd", os.O_RDONLY)
        for number in (5, 9):
            os.dup2(secret, number)
        os.close(7)
        os.dup2(secret, 7)
        os.dup2(secret, 0)
        return Item(value=Secret(KEY), version="1")
    put = delete = keys = get
@hookimpl
def vault_storage_backends():
    return (StorageSpec(name="leaks", summary="x", open=lambda ctx: B(), at_rest=AtRest.SERVICE),)
"""


def test_what_a_plugin_leaves_open_does_not_reach_the_child(logged_in: Home, tmp_path: Path) -> None:
    site = OverlayEnv(tmp_path / "site")
    key = json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "x"})
    source = f"{HEADER}KEY = {key!r}\n{LEAVES_OPEN}"
    site.install("vault-plugin-leaks", {STORAGE: {"leaks": "leaks"}}, {"leaks.py": source})
    script = "ls /dev/fd/; cat; cat <&8; cat <&5; cat <&7; cat <&9"
    words = f'exec "{site.awsv}" --backend leaks exec -n work -- /bin/bash -c "{script}" 7</dev/null 8<<<given'
    done = logged_in.run("/bin/bash", "-c", words, input="stolen")
    assert done.stdout.split() == ["0", "1", "2", "3", "8", "given"], done.stderr
    assert done.stderr.count("Bad file descriptor") == 3


def test_what_a_plugin_opens_when_its_flag_is_read_does_not_reach_the_child(logged_in: Home, tmp_path: Path) -> None:
    site = OverlayEnv(tmp_path / "site")
    source = f"""{HEADER}
os.dup2(os.open("/etc/passwd", os.O_RDONLY), 9)
@hookimpl
def vault_storage_backends():
    options = (Option(name="thing", help="x"),)
    return (StorageSpec(name="leaks", summary="x", open=print, at_rest=AtRest.SERVICE, options=options),)
"""
    site.install("vault-plugin-leaks", {STORAGE: {"leaks": "leaks"}}, {"leaks.py": source})
    script = "echo prepared; cat <&9"
    done = logged_in.run(site.awsv, "-o", "leaks.thing=x", "exec", "work", "--", "/bin/bash", "-c", script)
    assert done.stdout == "prepared\n", done.stderr
    assert "9: Bad file descriptor" in done.stderr


# -- variables ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def strange(tmp_path: Path) -> OverlayEnv:
    """An environment with a plugin that nobody named; it leaves a mark where it is imported."""
    site = OverlayEnv(tmp_path / "site")
    mark = f"raise SystemExit(open({str(tmp_path / 'imported')!r}, 'w'))"
    for name in ("strange", "file-more"):
        site.install(f"vault-plugin-{name}", {STORAGE: {name: "strange_one"}}, {"strange_one.py": mark})
    return site


def test_a_variable_loads_no_plugin(logged_in: Home, strange: OverlayEnv, tmp_path: Path) -> None:
    """Of one that the settings do not name nobody knows what is secret; of one that they name its options say it."""
    kept = {"AWS_VAULT_FILE_DIR": str(logged_in.path / ".local/share/awsv"), "AWS_VAULT_BACKEND": "file"}
    hidden = {"AWS_VAULT_STRANGE_THING": "1", "AWS_VAULT_FILE_MORE_PIN": "1", "AWS_VAULT_NOBODYS": "1"}
    done = logged_in.run(strange.awsv, "exec", "work", "--", "/usr/bin/env", env=kept | hidden)
    assert (done.returncode, done.stderr) == (0, "")
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert kept.items() <= found.items()
    assert not set(hidden) & set(found)
    assert found["AWS_VAULT_REMOVED"] == ",".join(sorted(hidden))
    assert not (tmp_path / "imported").exists()


def test_what_the_child_gets_of_a_named_plugin_depends_on_no_live_session(logged_in: Home) -> None:
    """A script that runs awsv works alike in both."""
    env = {"AWS_VAULT_PASSPHRASE_SOURCE": "env,ssm", "AWS_VAULT_SSM_PARAMETER": "/p", **UNLOCKED}
    for profile in ("work", "other"):
        done = logged_in.awsv("exec", profile, "--", "printenv", "AWS_VAULT_SSM_PARAMETER", env=env)
        assert (done.returncode, done.stdout) == (0, "/p\n"), done.stderr
