"""``lock`` and ``wait`` of a plugin's context: of the host's and of the contract kit's."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vault_core.api import Cancelled, Context, StorageUnavailable
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_testkit import FakeContext


@pytest.fixture(params=["host", "fake"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Context:
    if request.param == "fake":
        return FakeContext(tmp_path)
    return Host(Settings({"HOME": str(tmp_path)}), Plugins()).context("storage", "odd", ())


def cancel_after(context: Context, monkeypatch: pytest.MonkeyPatch, calls: int) -> list[float]:
    """Let ``check`` raise at this call; returns the times of all."""
    times: list[float] = []

    def check() -> None:
        times.append(time.monotonic())
        if len(times) == calls:
            raise Cancelled("interrupted")

    monkeypatch.setattr(context, "check", check)
    return times


def test_lock_excludes_second_holder_until_released(context: Context) -> None:
    message = r"has held the lock .*odd\.lock for more than 0\.1 s"
    with context.lock("odd", timeout=0):
        with pytest.raises(StorageUnavailable, match=message) as busy, context.lock("odd", timeout=0.1):
            pytest.fail("held twice")
        assert busy.value.hint
        with context.lock("other", timeout=0):
            pass
    with context.lock("odd", timeout=0):
        pass


def test_lock_file_is_private_and_in_state_folder(context: Context) -> None:
    with context.lock("odd", timeout=0):
        pass
    [path] = context.state_dir.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("error", [StorageUnavailable("full"), OSError(28, "No space"), TimeoutError("late")])
def test_lock_passes_on_errors_of_its_block_and_is_released(context: Context, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, context.lock("odd", timeout=0):
        raise error
    assert raised.value is error
    with context.lock("odd", timeout=0):
        pass


def test_lock_that_cannot_be_made_is_refused(context: Context) -> None:
    context.state_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
    (context.state_dir / "plugin-odd.lock").symlink_to("elsewhere")
    with pytest.raises(StorageUnavailable, match=r"cannot lock .*odd\.lock: "), context.lock("odd", timeout=0):
        pytest.fail("held")
    assert not (context.state_dir / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "../odd", "a/b", ".odd", "Odd", "a\0"])
def test_lock_name_with_other_characters_is_refused(context: Context, name: str) -> None:
    with pytest.raises(ValueError, match="not a name of a lock"), context.lock(name, timeout=0):
        pytest.fail("held")


def test_lock_check_ends_waiting(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    times = cancel_after(context, monkeypatch, 4)
    with context.lock("odd", timeout=0), pytest.raises(Cancelled), context.lock("odd", timeout=30):
        pytest.fail("held twice")
    assert times[-1] - times[0] < 3  # at least once a second


def test_lock_is_released_by_death(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from vault_testkit import FakeContext\n"
        "with FakeContext(Path(sys.argv[1])).lock('odd', timeout=0): print(flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdin=pipe, stdout=pipe, env={}) as holder:
        assert holder.stdout
        holder.stdout.readline()
        holder.kill()
        with FakeContext(tmp_path).lock("odd", timeout=5):
            pass


def test_wait_returns_result(context: Context) -> None:
    assert context.wait(lambda: "done", timeout=5) == "done"
    assert context.wait(lambda: None, timeout=5) is None


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("its own"), SystemExit(3), KeyboardInterrupt()])
def test_wait_passes_on_exception(context: Context, error: BaseException) -> None:
    def function() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        context.wait(function, timeout=5)
    assert raised.value is error


def test_wait_runs_in_daemon_thread(context: Context) -> None:
    thread = context.wait(threading.current_thread, timeout=5)
    assert thread is not threading.current_thread()
    assert thread.daemon


@pytest.mark.parametrize("timeout", [0.1, 0, -5])
def test_wait_ends_at_timeout(context: Context, timeout: float) -> None:
    release = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="no result within"):
        context.wait(release.wait, timeout=timeout)
    release.set()
    assert time.monotonic() - started < 3


def test_wait_check_ends_waiting(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    times = cancel_after(context, monkeypatch, 4)
    with pytest.raises(Cancelled):
        context.wait(release.wait, timeout=30)
    release.set()
    assert times[-1] - times[0] < 3  # at least once a second


def test_wait_of_cancelled_host_ends(tmp_path: Path) -> None:
    host = Host(Settings({"HOME": str(tmp_path)}), Plugins())
    threading.Timer(0.1, host.state.cancel).start()
    release = threading.Event()
    with pytest.raises(Cancelled):
        host.context("storage", "odd", ()).wait(release.wait, timeout=30)
    release.set()
