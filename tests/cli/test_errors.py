"""How a failure looks: its message, its hint, its exit code, an empty standard output, and frames only on request."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.failures import assert_shape
from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.processes import until_idle
from support.recording_proxy import RecordingProxy, deny
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline, store_path
from vault_core.cli.commands import ALIASES, COMMANDS


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A machine without AWS, with a key of ``work``."""
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    home.configure(
        "[profile work]\nregion = eu-west-1\n"
        "[profile circle]\nrole_arn = arn:aws:iam::123456789012:role/R\nsource_profile = ring\n"
        "[profile ring]\nrole_arn = arn:aws:iam::123456789012:role/R\nsource_profile = circle\n"
        "[profile sso]\nsso_start_url = https://example.com\n"
    )
    return home


NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
FAILURES: Sequence[tuple[int, Sequence[str], dict[str, str | None]]] = (  # type: ignore[assignment]  # some environments remove a variable, most do not
    (2, ["frobnicate"], {}),
    (2, ["--frobnicate"], {}),
    (2, ["--backend"], {}),
    (2, ["--file-dir"], {}),
    (2, ["-o", "file.dri=/x", "list"], {}),
    (2, ["add"], {}),
    (2, ["add", "work", "more"], {}),
    (2, ["add", "--env", "work"], {**UNLOCKED, **NO_KEYS}),
    (2, ["add", "circle"], {}),
    (2, ["add", "sso"], {}),
    (2, ["list", "--frobnicate"], {}),
    (2, ["list", "--json", "--credentials"], {}),
    (2, ["list"], {"AWS_VAULT_SESSION_CACHE": "frobnicate"}),
    (2, ["list"], {"AWS_VAULT_PASSPHRASE_SOURCE": ","}),
    (2, ["list"], {"AWS_VAULT_FILE_DIR": "relative"}),
    (2, ["plugins", "frobnicate"], {}),
    (2, ["exec", "-j", "nobody"], UNLOCKED),
    (2, ["exec", "-j", "circle"], UNLOCKED),
    (2, ["exec", "-j", "sso"], UNLOCKED),
    (2, ["exec", "-j", "-d", "soon", "work"], UNLOCKED),
    (2, ["export", "--format=frobnicate", "work"], UNLOCKED),
    (2, ["explain", "circle"], {}),
    (2, ["ready", "sso"], {}),
    (2, ["config", "frobnicate"], {}),
    (3, ["list"], {"AWS_VAULT_BACKEND": "fiel"}),
    (3, ["exec", "-j", "work"], {"AWS_VAULT_BACKEND": "fiel"}),
    (3, ["list", "--unlock"], {"AWS_VAULT_PASSPHRASE_SOURCE": "frobnicate"}),
    (4, ["remove", "--force", "nobody"], UNLOCKED),
    (4, ["list"], {**UNLOCKED, "AWS_VAULT_FILE_DIR": "/dev/null/store"}),
    (5, ["list", "--unlock"], {}),
    (5, ["remove", "work"], {}),
    (5, ["exec", "-j", "work"], {}),
    (5, ["export", "work"], {"AWS_VAULT_FILE_PASSPHRASE": ""}),
    (5, ["exec", "-j", "work"], {"AWS_VAULT_FILE_PASSPHRASE": "wrong"}),
    (125, ["exec", "work", "--", "true"], {}),
    (125, ["exec", "work", "--", "true"], {"AWS_VAULT_BACKEND": "fiel"}),
    (125, ["exec", "nobody", "--", "true"], UNLOCKED),
    (125, ["exec", "--frobnicate", "work", "--", "true"], UNLOCKED),
    (126, ["exec", "-n", "work", "--", "/"], UNLOCKED),
    (127, ["exec", "-n", "work", "--", "not-a-command"], UNLOCKED),
)


@pytest.mark.parametrize(
    ("code", "words", "env"), FAILURES, ids=[f"{code}-{'-'.join(words)}-{len(env)}" for code, words, env in FAILURES]
)
def test_a_failure(code: int, words: Sequence[str], env: dict[str, str | None], home: Home) -> None:
    done = home.awsv(*words, env=env)
    assert done.returncode == code, done
    assert_shape(done.stdout, done.stderr)


@pytest.mark.parametrize("content", [b"", b"text", b"[profile", b"\xff"], ids=["empty", "text", "cut", "bytes"])
def test_a_store_that_is_none(content: bytes, home: Home) -> None:
    store_path(home).write_bytes(content)
    done = home.awsv("exec", "-n", "-j", "work", env=UNLOCKED)
    assert done.returncode == 4, done
    assert_shape(done.stdout, done.stderr)
    assert str(store_path(home)) in done.stderr


def test_a_config_that_is_none(home: Home) -> None:
    home.config.write_bytes(b"[profile work\nregion = eu-west-1\n")
    for words in (["list"], ["exec", "-j", "work"], ["explain", "work"]):
        done = home.awsv(*words, env=UNLOCKED)
        assert done.returncode == 2, done
        assert_shape(done.stdout, done.stderr)
        assert str(home.config) in done.stderr


def test_aws_refuses(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> None:
    home = Home(tmp_path / "aws", front.url)
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    front.on("GetSessionToken", deny())
    for words, code in ((["exec", "-j", "work"], 6), (["exec", "work", "--", "true"], 125), (["ready", "work"], 6)):
        done = home.awsv(*words, env={**UNLOCKED, "AWS_REGION": "eu-west-1"})
        assert done.returncode == code, done
        if words[0] == "exec":
            assert_shape(done.stdout, done.stderr)


def test_no_words_show_the_help_and_are_no_success(home: Home) -> None:
    for words in ([], ["plugins"], ["config"]):
        done = home.awsv(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Usage: awsv" in done.stderr
    assert home.awsv("--help").stderr == ""


@pytest.mark.parametrize("group", ["file", "import", "plugins", "slot"])
def test_the_help_of_a_group_cuts_no_sentence_off(group: str, home: Home) -> None:
    members = home.awsv(group, "--help").stdout.partition("\nCommands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(members) >= 2
    assert [line for line in members if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize("command", [*COMMANDS, *ALIASES])
def test_every_command_has_a_help_with_an_example(command: str, home: Home) -> None:
    done = home.awsv(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: awsv {command} " in done.stdout
    if command not in ("plugins", "config"):
        assert f"awsv {ALIASES.get(command, command)}" in done.stdout.partition("Usage:")[2].partition("\n")[2]


def test_the_version_is_in_the_help_and_beside_other_options(home: Home) -> None:
    assert "--version  " in home.awsv("--help").stdout
    alone, beside = home.awsv("--version"), home.awsv("--no-input", "--version")
    assert (beside.returncode, beside.stdout, beside.stderr) == (0, alone.stdout, "")


def test_the_help_of_exec_says_once_how_it_is_used(home: Home) -> None:
    shown = home.awsv("exec", "--help").stdout
    assert shown.startswith("Usage: awsv exec [OPTIONS] PROFILE [--] [COMMAND [ARG]...]\n")
    assert shown.count("[OPTIONS] PROFILE") == 1


def test_near_commands(home: Home) -> None:
    done = home.awsv("lsit")
    assert done.stderr == "awsv: no command 'lsit'\nhint: did you mean 'awsv list'?\n"
    assert home.awsv("xyzzy").stderr.splitlines()[-1] == "hint: awsv --help"


@pytest.mark.parametrize(
    ("words", "near", "there"),
    [(("list", "--jsn"), "--json", "awsv list"), (("slot", "lst"), "list", "awsv slot")],
    ids=["option", "command"],
)
def test_near_words_behind_a_command(words: tuple[str, str], near: str, there: str, home: Home) -> None:
    done = home.awsv(*words)
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert first.startswith("awsv: no such ")
    assert first.endswith((words[1], f"'{words[1]}'"))
    assert hint in (f"hint: did you mean '{near}'?", f"hint: {there} --help")  # the latter of commands before click 8.4


# -- debug and bugs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--debug", "exec", "-j", "work"], ["exec", "-j", "--debug", "work"]], ids=" ".join)
def test_debug_shows_frames_and_no_values(words: list[str], home: Home) -> None:
    done = home.awsv(*words, env={"AWS_VAULT_FILE_PASSPHRASE": "canary-passphrase"})
    assert (done.returncode, done.stdout) == (5, "")
    assert re.search(r'File ".*passphrases\.py", line \d+, in unlock', done.stderr)
    assert "\nWrongSecret\n" in done.stderr
    assert "canary" not in done.stderr
    quiet = home.awsv(*[word for word in words if word != "--debug"], env={"AWS_VAULT_FILE_PASSPHRASE": "canary"})
    assert "File" not in quiet.stderr


def test_a_bug_of_ours_is_told_in_one_line(home: Home) -> None:
    """The bug is one that the test puts there."""
    broken = home.root / "broken.py"
    broken.write_text(
        "import sys\n"
        "from vault_core.cli import app\n"
        "app.App.write = lambda self, text: {}['canary-value']\n"
        "from vault_core.main import main\n"
        "sys.argv[0] = 'awsv'\n"
        "sys.exit(main())\n"
    )
    done = home.run(sys.executable, broken, "clear")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "awsv: unexpected KeyError\nhint: this is a bug of awsv; --debug shows where\n"
    debug = home.run(sys.executable, broken, "clear", "--debug")
    assert debug.returncode == 1
    assert "\nKeyError\n" in debug.stderr
    assert "clear.py" in debug.stderr
    assert "KeyError: " not in debug.stderr  # the value is not shown


def test_a_file_of_ours_that_is_cut_short_is_no_interrupt(home: Home) -> None:
    """Compiled code, after a disk was full: Python tells of it as of the end of input."""
    script, cache = home.root / "ours.py", home.root / "cache"
    script.write_text("import sys\nfrom vault_core.main import main\nsys.argv[0] = 'awsv'\nsys.exit(main())\n")
    env = {"PYTHONPYCACHEPREFIX": str(cache)}
    assert home.run(sys.executable, script, "clear", env=env).returncode == 0
    [compiled] = cache.rglob("vault_core/cli/clear.*.pyc")
    os.truncate(compiled, 20)
    done = home.run(sys.executable, script, "clear", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "awsv: unexpected EOFError\nhint: this is a bug of awsv; --debug shows where"


# -- standard output, error and input that are not what they should be -------------------------------------------------


def shell(home: Home, script: str) -> subprocess.CompletedProcess[str]:
    return home.run("/bin/bash", "-c", script.replace("awsv", str(PROGRAM)), env=UNLOCKED)


COMMAND_LINES = ("awsv --version", "awsv list", "awsv list --json", "awsv exec -n -j work", "awsv plugins list")


@pytest.mark.parametrize("line", [*COMMAND_LINES, "awsv --help", "awsv exec --help"])
def test_a_full_disk_behind_standard_output(line: str, home: Home) -> None:
    done = shell(home, f"{line} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "awsv: cannot write to standard output: no space left on device\n"


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_closed_standard_output(line: str, home: Home) -> None:
    done = shell(home, f"{line} >&-")
    assert done.returncode == 1
    assert done.stderr == "awsv: cannot write to standard output: bad file descriptor\n"


@pytest.mark.parametrize("line", [*COMMAND_LINES, "awsv --help"])
def test_a_reader_that_leaves(line: str, home: Home) -> None:
    done = shell(home, f"{{ {line}; echo $? >&2; }} | :")
    assert re.fullmatch(r"[01]\n", done.stderr), done.stderr


def test_nothing_is_written_into_a_file_that_took_the_number_of_a_closed_descriptor(home: Home) -> None:
    before = store_path(home).read_bytes()
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"):
        shell(home, f"awsv exec -n -j work {closed}; awsv --no-input list --unlock {closed}; awsv frobnicate {closed}")
    assert store_path(home).read_bytes() == before
    written = [path for path in home.root.rglob("*") if path.is_file() and path != store_path(home)]
    assert [path for path in written if b"awsv:" in path.read_bytes() or SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&-"])
def test_the_rest_works_without_the_others(closed: str, home: Home) -> None:
    done = shell(home, f"awsv exec -n -j work {closed}")
    assert done.returncode == 0
    assert KEY_ID in done.stdout
    failed = shell(home, f"awsv frobnicate {closed}")
    assert (failed.returncode, failed.stdout) == (2, "")


def test_a_child_finds_its_descriptors_as_the_caller_left_them(home: Home) -> None:
    for closed in ("</dev/null", "<&-"):
        done = shell(home, f"awsv exec -n work -- /bin/sh -c 'readlink /proc/$$/fd/0 || echo closed' {closed}")
        assert done.stdout == ("/dev/null\n" if closed == "</dev/null" else "closed\n")
    done = shell(home, "awsv exec -n work -- /bin/sh -c 'readlink /proc/$$/fd/2 || echo closed' 2>&-")
    assert done.stdout == "closed\n"
    # The fourth is the folder that ls reads.
    assert shell(home, "awsv exec -n work -- ls /proc/self/fd").stdout.split() == ["0", "1", "2", "3"]


def test_a_child_has_the_callers_umask_and_core_limit(home: Home) -> None:
    done = shell(home, "umask 027; ulimit -c 0; ulimit -S -c 0; awsv exec -n work -- /bin/sh -c 'umask; ulimit -c'")
    assert done.stdout == "0027\n0\n"
    if subprocess.run(["/bin/bash", "-c", "ulimit -S -c 100"], check=False, capture_output=True).returncode == 0:
        done = shell(home, "ulimit -S -c 100; awsv exec -n work -- /bin/bash -c 'ulimit -c'")
        assert done.stdout == "100\n"


# -- interrupts --------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_a_command_waits(home: Home) -> None:
    fifo = home.root / "fifo"
    os.mkfifo(fifo)
    env = {"AWS_VAULT_FILE_PASSPHRASE_FILE": str(fifo)}
    for words, code in ((["list", "--unlock"], 130), (["exec", "work", "--", "true"], 130)):
        child = home.spawn(*words, env=env)
        writer = os.open(fifo, os.O_RDWR)
        try:
            until_idle(child.pid)
            child.sendintr()
            child.expect_exact("awsv: interrupted")
            child.wait()
        finally:
            os.close(writer)
        assert child.exitstatus == code


# -- flags -------------------------------------------------------------------------------------------------------------
