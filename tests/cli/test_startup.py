"""What a command loads, and whether it opens the store: asserted as lists of modules and files, never as times."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import parts
from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline, store_path

pytestmark = pytest.mark.unmeasured

SDKS = {"boto3", "botocore", "hvac", "keyring", "requests", "urllib3", "s3transfer"}
SLOW = {"importlib.metadata", "asyncio", "http.server", "http.client", "rich", "logging", "email", "ssl", "subprocess"}
STORE = "store.vlt"
CRYPTOGRAPHY = {"cryptography", "_cffi_backend"}
OPENSSL = {"hashlib", "_hashlib", "hmac", "_ssl"}
QUIET = SDKS | SLOW


def loaded(home: Home, *args: str, env: dict[str, str] | None = None) -> set[str]:
    """Every module that a run imported, as the interpreter itself reports them."""
    done = home.watched(*args, flags=["-v"], env=env)
    assert done.returncode == 0, done.stderr
    names = imported(done.stderr)
    assert "vault_core.main" in names
    return names


def imported(stderr: str) -> set[str]:
    """The modules in a report of imports."""
    return set(re.findall(r"^import '([^']+)' #", stderr, re.MULTILINE))


@pytest.fixture
def machine(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def test_the_report_of_imports_is_one(machine: Home) -> None:
    program = "import importlib, http.server; importlib.import_module('importlib.metadata')"
    done = machine.run(sys.executable, "-v", "-c", program)
    assert {"http.server", "http.client", "importlib.metadata", "email"} <= imported(done.stderr)


def test_version_loads_next_to_nothing(machine: Home) -> None:
    modules = loaded(machine, "--version")
    assert (
        modules & (QUIET | CRYPTOGRAPHY | {"click", "pluggy", "json", "pathlib", "typing", "vault_core.settings"})
        == set()
    )


@pytest.mark.parametrize(
    "words",
    [("--help",), ("list",), ("list", "--json"), ("plugins", "list"), ("exec", "--help"), ("clear",)],
    ids=" ".join,
)
def test_a_command_that_makes_no_session_loads_no_sdk(machine: Home, words: tuple[str, ...]) -> None:
    modules = loaded(machine, *words)
    assert modules & (QUIET | CRYPTOGRAPHY) == set()


def test_the_help_loads_neither_the_library_nor_what_a_session_needs(machine: Home) -> None:
    modules = loaded(machine, "--help")
    assert modules & {"vault_core.client", "vault_core.terminal", "vault_core.storage.vault", "pluggy", "json"} == set()
    assert modules & (OPENSSL | {"termios", "shutil", "bz2"}) == set()


def test_a_list_of_profiles_loads_no_openssl(machine: Home) -> None:
    modules = loaded(machine, "list", "--profiles")
    assert modules & (OPENSSL | {"secrets", "random", "pluggy", "shutil"}) == set()


MADE_AT_START = """
import dataclasses, re._compiler, sys

def told(module, name, what):
    real = getattr(module, name)

    def telling(*args, **options):
        frame, owner = sys._getframe(1), str(getattr(args[0], "__module__", ""))
        while what == "pattern" and frame.f_globals["__name__"].partition(".")[0] in ("re", "functools"):
            frame = frame.f_back
        owner = owner if what == "class" else frame.f_globals["__name__"]
        if owner.startswith("vault_"):
            print("made:", what, owner, file=sys.stderr)
        return real(*args, **options)

    setattr(module, name, telling)

told(dataclasses, "_process_class", "class")
told(re._compiler, "compile", "pattern")
from vault_core.main import main
sys.exit(main())
"""
"""Tells which of our modules have a class generated as source, or a pattern compiled."""


def made_at_start(home: Home, *words: str) -> list[str]:
    script = home.root / "awsv-told"
    script.write_text(MADE_AT_START)
    done = home.run(sys.executable, script, *words)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("made: ")]


@pytest.mark.parametrize("words", [("--help",), ("list", "--profiles")], ids=" ".join)
def test_a_short_command_generates_no_class_and_compiles_no_pattern(machine: Home, words: tuple[str, ...]) -> None:
    assert made_at_start(machine, *words) == []


@pytest.mark.parametrize("words", [("list",), ("explain", "work")], ids=" ".join)
def test_a_command_generates_no_class(machine: Home, words: tuple[str, ...]) -> None:
    assert [line for line in made_at_start(machine, *words) if line.startswith("made: class")] == []


@pytest.mark.parametrize("words", [("--help",), ("plugins", "list"), ("list", "--profiles")], ids=" ".join)
def test_no_plugin_is_loaded_to_look_at_it(machine: Home, words: tuple[str, ...]) -> None:
    assert [module for module in loaded(machine, *words) if module.startswith("vault_plugin_")] == []


def test_a_locked_list_derives_nothing(machine: Home) -> None:
    done = machine.awsv("list", "--json")
    assert [entry["stored"] for entry in json.loads(done.stdout)] == [None]
    modules = loaded(machine, "list")
    assert modules & (CRYPTOGRAPHY | {"filelock", "vault_core.vlt.primitives"}) == set()


def test_a_list_that_a_variable_unlocks_loads_no_sdk(machine: Home) -> None:
    modules = loaded(machine, "list", env=UNLOCKED)
    assert modules & SDKS == set()
    assert "cryptography" in modules  # so the test above could have seen it


def test_a_command_loads_only_its_own_module(machine: Home) -> None:
    modules = {name for name in loaded(machine, "list") if name.startswith("vault_core.cli.")}
    assert "vault_core.cli.list" in modules
    assert modules <= {
        f"vault_core.cli.{name}"
        for name in ("app", "commands", "harden", "list", "options", "plugin_options", "render")
    }


@pytest.fixture
def live(home: Home, moto: MotoServer) -> Home:
    """A home with a live session of ``work``, and nothing in the environment that opens the store."""
    home.configure("[profile work]\nregion = eu-west-1\n")
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    done = home.awsv("exec", "-j", "work", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    return home


def test_a_live_session_costs_no_sdk_and_no_network(live: Home, front: RecordingProxy) -> None:
    before = len(front.calls)
    modules = loaded(live, "exec", "-j", "work")
    assert len(front.calls) == before
    assert modules & (SDKS | SLOW | {"filelock"}) == set()
    assert modules & {"vault_botocore", "vault_plugin_aws.sts", "vault_plugin_file.backend"} == set()


def test_settings_in_the_credentials_file_load_no_module(live: Home) -> None:
    modules = loaded(live, "exec", "-j", "work")
    live.credentials.write_text("[work]\noutput = json\naws_access_key_id = K\n[late]\nrole_arn = r\n")
    assert loaded(live, "exec", "-j", "work") == modules


def opened(home: Home, *args: str, env: dict[str, str] | None = None) -> set[str]:
    """The last parts of the paths that a run opened, or tried to."""
    strace = shutil.which("strace")
    works = strace and subprocess.run([strace, "-qq", "true"], capture_output=True, check=False).returncode == 0
    program = parts.need("strace", strace if works else None, how="apt-get install strace, and allow ptrace")
    log = home.root / "strace.log"
    done = home.run(program, "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", log, PROGRAM, *args, env=env)
    assert done.returncode == 0, done.stderr
    paths = re.findall(r'open(?:at2?)?\([^"]*"([^"]*)"', log.read_text(errors="replace"))
    return {Path(path).name for path in paths}


@pytest.mark.root("only root can watch a process that has closed its memory to others")
def test_a_live_session_opens_no_store(live: Home) -> None:
    # The file is opened by its name in an open folder.
    assert STORE not in opened(live, "exec", "-j", "work", env=UNLOCKED)
    assert STORE not in opened(live, "list", "--sessions", env=UNLOCKED)
    assert STORE in opened(live, "list", env=UNLOCKED)  # so the test could have seen it


def test_a_live_session_outlives_its_store(live: Home) -> None:
    store_path(live).write_bytes(b"no store at all")
    assert live.awsv("exec", "-j", "work", env=UNLOCKED).returncode == 0
    assert live.awsv("list", env=UNLOCKED).returncode == 4
