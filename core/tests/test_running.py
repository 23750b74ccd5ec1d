"""Programs that plugins run: one contract for the host's ``Context.run`` and for the contract kit's."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from vault_core.api import Cancelled, Context, RunResult, Secret, SourceUnavailable
from vault_core.plugins import running
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_testkit import FakeContext

pytestmark = pytest.mark.process

ENVIRON = {"PATH": "/usr/bin:/bin", "TERM": "dumb", "MINE": "1", "OTHERS": "2"}
LONG = 45.0
"""Seconds that nothing here lasts."""


def host_of(root: Path) -> Host:
    return Host(Settings({**ENVIRON, "HOME": str(root)}), Plugins())


def real(root: Path) -> Context:
    return host_of(root).context("storage", "any", ())


def fake(root: Path) -> Context:
    return FakeContext(root, environ=ENVIRON)


@pytest.fixture(params=[real, fake])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Context:
    made: Context = request.param(tmp_path)
    return made


@pytest.fixture
def run(context: Context) -> Callable[..., RunResult]:
    return context.run


Run = Callable[..., RunResult]


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    return Path("/proc/self").exists()


def all_gone(pids: Path) -> bool:
    ends = time.monotonic() + 5
    while not all(map(gone, map(int, pids.read_text().split()))):
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def quick() -> Iterator[None]:
    """Nothing of this takes as long as what it starts."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONG / 3


def test_run_passes_input_and_environment_and_returns_output(run: Run) -> None:
    done = run(sh('echo "$TERM $MINE $OTHERS"; cat; printf "gr\\374n" >&2; exit 3'), input=Secret("in"), env=["MINE"])
    assert (done.returncode, done.stdout) == (3, Secret("dumb 1 \nin"))
    assert done.stderr == "gr\N{REPLACEMENT CHARACTER}n"


def test_run_signal_is_negative_returncode(run: Run) -> None:
    assert run(sh("kill -9 $$")).returncode == -signal.SIGKILL


def test_run_transfers_more_than_a_pipe_buffer_both_ways(run: Run) -> None:
    text = Secret(b"x" * 1_000_000)
    assert run(["cat"], input=text).stdout == text


def test_run_unread_input_is_not_an_error(run: Run) -> None:
    assert run(["true"], input=Secret(b"x" * 1_000_000)).returncode == 0


@pytest.mark.usefixtures("quick")
def test_run_timeout_kills_process_group(run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep {LONG:g} & echo $$ $! > {pids}; exec >/dev/null 2>&1; wait"
    with pytest.raises(SourceUnavailable, match=r"^sh did not end within 0\.3 s$"):
        run(sh(script), timeout=0.3)
    assert all_gone(pids)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("holds", ["", ">/dev/null 2>&1 </dev/null"])
def test_run_end_kills_background_processes(run: Run, tmp_path: Path, holds: str) -> None:
    pids = tmp_path / "pids"
    done = run(sh(f"sleep {LONG:g} {holds} & echo $! > {pids}; echo done"))
    assert (done.returncode, done.stdout) == (0, Secret("done\n"))
    assert all_gone(pids)


@pytest.mark.usefixtures("quick")
def test_run_does_not_wait_for_daemon_with_open_pipes(run: Run, tmp_path: Path) -> None:
    """An agent that a vendor's tool starts lives on: it left the group by itself."""
    pid = tmp_path / "pid"
    start = f"setsid sh -c 'echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep {LONG:g}' & "
    done = run(sh(f"{start} until [ -s {pid} ]; do sleep 0.01; done; echo done"))
    try:
        assert done.stdout == Secret("done\n")
        assert not gone(int(pid.read_text()))
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_run_closes_its_descriptors(run: Run) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    run(["true"])
    with pytest.raises(SourceUnavailable):
        run(sh("sleep 9"), timeout=0.0)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_run_output_limit_is_documented() -> None:
    assert running.MOST_WRITTEN == 16 << 20  # docs/plugins/reference.md


@pytest.mark.parametrize("argv", [["env", "LC_ALL=C", "yes"], ["sh", "-c", "exec yes >&2"]])
def test_run_endless_output_kills_program(run: Run, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_WRITTEN", 1 << 20)
    with pytest.raises(SourceUnavailable, match=r"^(yes|sh) wrote more than 1 MiB$"):
        run(argv)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["env", "LC_ALL=C", "/nowhere/pass", "show"], "/nowhere/pass"),
        (["/usr/bin/env", "A=1", "B=2", "pass"], "pass"),
        (["env"], "env"),
        (["env", "A=1"], "env"),
        (["pass", "A=1"], "pass"),
    ],
)
def test_program_name_in_messages(argv: list[str], name: str) -> None:
    assert running.program(argv) == name


def test_run_missing_program_is_unavailable(run: Run) -> None:
    with pytest.raises(SourceUnavailable, match=r"^/nowhere/tool cannot be started: No such file or directory$"):
        run(["/nowhere/tool", "--secret"])


def test_run_does_not_inherit_open_files(run: Run) -> None:
    read, write = os.pipe()
    try:
        os.set_inheritable(read, True)
        assert run(sh(f"[ -e /dev/fd/{read} ]")).returncode == 1
    finally:
        os.close(read)
        os.close(write)


ASKING = """
import sys
from pathlib import Path
sys.path[:] = {path!r}
from vault_testkit import FakeContext
context = FakeContext(Path({root!r}), environ={environ!r})
done = context.run(["sh", "-c", "echo here >/dev/tty && read answer </dev/tty"])
print("it ended with", done.returncode, flush=True)
"""


@pytest.mark.usefixtures("quick")
def test_run_program_has_no_terminal(tmp_path: Path) -> None:
    """It neither shows a question nor waits for an answer that nobody asked for: the terminal is not there for it."""
    source = ASKING.format(path=sys.path, root=str(tmp_path), environ=ENVIRON)
    child = pexpect.spawn(sys.executable, ["-I", "-c", source], timeout=LONG / 3, encoding="utf-8")
    child.expect(r"it ended with ([0-9]+)")
    assert child.match.group(1) != "0"
    assert "here" not in child.before
    child.close()


@pytest.mark.usefixtures("quick")
def test_run_ends_at_deadline_of_host(tmp_path: Path) -> None:
    host, pids = host_of(tmp_path), tmp_path / "pids"
    threading.Timer(0.2, host.state.cancel).start()
    with pytest.raises(Cancelled, match="interrupted"):
        host.context("storage", "any", ()).run(sh(f"echo $$ > {pids}; exec sleep {LONG:g}"), timeout=LONG / 9)
    assert all_gone(pids)


@pytest.mark.usefixtures("quick")
def test_run_in_thread_ends_when_command_is_cancelled(tmp_path: Path) -> None:
    """Ctrl-C reaches the main thread only, which has the others give up."""
    host, pids = host_of(tmp_path), tmp_path / "pids"
    ended: list[type[BaseException]] = []

    def work() -> None:
        try:
            host.context("storage", "any", ()).run(sh(f"echo $$ > {pids}; exec sleep {LONG:g}"), timeout=LONG)
        except Cancelled as error:
            ended.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not (pids.exists() and pids.read_text().strip()):
        time.sleep(0.01)
    host.state.cancel()
    thread.join(LONG / 3)
    assert ended == [Cancelled]
    assert all_gone(pids)


@pytest.mark.usefixtures("quick")
def test_run_ctrl_c_kills_program(run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    timer = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(sh(f"echo $$ > {pids}; exec sleep {LONG:g}"), timeout=LONG)
    finally:
        timer.join()
    assert all_gone(pids)
