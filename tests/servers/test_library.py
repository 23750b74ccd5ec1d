"""The library in a Python program: what it returns, that it never asks, and that the program stays as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support import documents
from support.home import Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from support.vaults import UNLOCKED, fill

SNAPSHOT = """
import ctypes, json, logging, os, resource, signal, sys, threading

LOGGERS = (None, "botocore", "boto3", "urllib3")

def snapshot():
    mask = os.umask(0); os.umask(mask)
    files = [(s.st_dev, s.st_ino) for s in map(os.fstat, (0, 1, 2))]
    return {
        "standard files": files,
        "open files": sorted(os.listdir("/proc/self/fd")),
        "umask": mask,
        "signals": {str(n): repr(signal.getsignal(n)) for n in signal.valid_signals()},
        "path": list(sys.path),
        "environment": dict(os.environ),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name[:6] == "RLIMIT"},
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
        "name": open("/proc/self/comm").read(),
        "folder": os.getcwd(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "hooks": [repr(hook) for hook in (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook)],
        "streams": [repr(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "loggers": {one.name: [one.level, one.propagate] for one in map(logging.getLogger, LOGGERS)},
        "root handlers": len(logging.getLogger().handlers),
    }
"""
"""What the operating system and Python keep for a whole process. 3 is PR_GET_DUMPABLE."""


def run(home: Home, program: str, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a home."""
    return home.run(sys.executable, "-c", textwrap.dedent(program), env=env)


def run_well(home: Home, program: str, *, env: dict[str, str] | None = None) -> str:
    """The standard output of a program that ends well and writes nothing to standard error."""
    done = run(home, program, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def filled(home: Home, moto: MotoServer) -> Home:
    """A home with the key of profile ``work``, and a role behind it."""
    home.configure(
        f"[profile work]\nregion = eu-west-1\n[profile role]\nsource_profile = work\nrole_arn = {moto.role_a}\n"
    )
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    return home


def test_client_changes_nothing_of_its_process(filled: Home) -> None:
    program = SNAPSHOT + textwrap.dedent("""
        os.umask(0o022)
        before = snapshot()
        import vault_core
        with vault_core.Client() as client:
            assert client.profiles() and client.keys() and client.plan("role").steps()
            assert client.credentials("role").session_token is not None
            assert client.ready(["*"])[0].error is None
            between = snapshot()
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(5)
        print(json.dumps([before, between, snapshot()]))
    """)
    done = filled.run(sys.executable, "-c", program, env=UNLOCKED)
    assert (done.returncode, done.stderr) == (0, "")
    before, between, after = json.loads(done.stdout)
    for name, value in before.items():
        if name != "threads":
            assert between[name] == value, name
        assert after[name] == value, name


def test_files_of_the_library_are_private_whatever_the_umask(filled: Home) -> None:
    run_well(
        filled,
        """
        import os, vault_core
        os.umask(0)
        with vault_core.Client() as client:
            client.credentials("role")
        """,
        env=UNLOCKED,
    )
    state = Path(filled.env["XDG_STATE_HOME"], "awsv")
    paths = [state, *state.rglob("*"), *filled.runtime.rglob("*")]
    assert len(paths) > 5
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_print_of_the_program_reaches_its_own_standard_output(filled: Home) -> None:
    program = """
        import subprocess, sys, vault_core
        client = vault_core.Client()
        client.credentials("work")
        print("of the program", flush=True)
        subprocess.run([sys.executable, "-c", "print('of its child')"])
    """
    assert run_well(filled, program, env=UNLOCKED) == "of the program\nof its child\n"


def test_client_without_a_prompter_never_asks(filled: Home) -> None:
    """Even at a terminal, where the command line would ask."""
    program = """
        import vault_core
        try:
            vault_core.Client().keys()
        except vault_core.PassphraseError as error:
            print(error.exit_code, error.message)
    """
    child = filled.spawn("-c", textwrap.dedent(program), program=sys.executable)
    child.expect_exact("5 no passphrase for store 'file': tried env (not set), prompt (asking is not allowed here)")
    assert "Passphrase" not in child.before
    child.close()


def test_client_asks_through_the_prompter_that_it_is_given(filled: Home) -> None:
    program = f"""
        import vault_core

        class Window:
            def why_not(self): return None
            def ask(self, question, *, secret, asker="", deadline=None):
                print(question, secret, asker.partition(",")[0], deadline is not None)
                return vault_core.Secret({UNLOCKED["AWS_VAULT_FILE_PASSPHRASE"]!r})
            def confirm(self, question, *, asker="", default=False): raise AssertionError
            def write(self, text): raise AssertionError

        with vault_core.Client(ask=Window()) as client:
            assert client.credentials("work").session_token
            print(client.keys(), client.region("work"))
    """
    question, keys = run_well(filled, program).splitlines()
    assert question == "Passphrase to unlock store 'file':  True awsv for profile work True"
    assert keys == "['work'] eu-west-1"  # not asked again: the key of the store is remembered


def test_close_forgets_the_key_of_the_store(filled: Home) -> None:
    program = """
        import os, vault_core
        client = vault_core.Client()
        print(client.keys())
        client.close()
        print(client.state.keys, client.state.stores)
    """
    assert run_well(filled, program, env=UNLOCKED) == "['work']\n{} []\n"


def test_credentials_come_from_the_cache_of_the_command_line(filled: Home, front: RecordingProxy) -> None:
    assert filled.awsv("exec", "-j", "work", env=UNLOCKED).returncode == 0
    calls = len(front.calls)
    run_well(filled, "import vault_core; assert vault_core.Client().credentials('work').session_token")
    assert len(front.calls) == calls


def test_notices_of_the_library_are_warnings_of_its_logger(filled: Home, moto: MotoServer) -> None:
    filled.configure(
        filled.config.read_text()
        + f"[profile long]\nsource_profile = role\nrole_arn = {moto.role_b}\nduration_seconds = 7200\n"
    )
    program = """
        import logging, sys, vault_core
        logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
        vault_core.Client().credentials("long")
    """
    line = "vault_core WARNING role of profile 'long': 7200 s shortened to 3600, AWS's limit behind a session\n"
    assert run_well(filled, program, env=UNLOCKED) == line


def test_ready_returns_the_outcome_of_each_profile(filled: Home) -> None:
    program = """
        import vault_core
        with vault_core.Client() as client:
            for one in client.ready(["*", "nowhere"]):
                print(one.profile, one.expires is not None, one.cached, one.error and one.error.exit_code)
    """
    assert run_well(filled, program, env=UNLOCKED).splitlines() == [
        "work True False None",
        "role True False None",
        "nowhere False False 2",
    ]


def test_import_of_the_package_alone_imports_nothing_else(home: Home) -> None:
    program = """
        import sys
        before = set(sys.modules)
        import vault_core
        print(sorted(set(sys.modules) - before), dir(vault_core).index("Client") > 0)
        try:
            vault_core.Nothing
        except AttributeError as error:
            print(error)
    """
    expected = "['vault_core'] True\nmodule 'vault_core' has no attribute 'Nothing'\n"
    assert run_well(home, program) == expected


def test_library_loads_neither_click_nor_the_command_line(filled: Home) -> None:
    program = """
        import sys, vault_core
        with vault_core.Client() as client:
            client.credentials("role")
        command_line = ("click.", "vault_core.cli.", "vault_core.stdout.")
        print([name for name in sys.modules if f"{name}.".startswith(command_line)])
    """
    assert run_well(filled, program, env=UNLOCKED) == "[]\n"


def test_snippets_of_the_library_page_run(filled: Home) -> None:
    filled.configure(filled.config.read_text().replace("profile role", "profile prod"))
    page = documents.fences(Path(__file__).parents[2] / "docs/library.md")
    first, second = (fence.text for fence in page if fence.language == "python")
    program = f"{first}\n{second}\nassert s3.list_buckets()['Buckets'] == []\n".replace("tf-*", "pro*")
    shown = run_well(filled, program, env=UNLOCKED)
    assert shown.startswith("['work', 'prod']\n['work']\nKeyStep(")
    assert "***" not in shown.splitlines()[-1]
