"""A person's desktop session, as far as secrets go: a D-Bus of its own with a real ``gnome-keyring-daemon``.

Everything lies in a temporary folder of a short name (the paths of sockets are limited to 107 bytes) and is stopped by
process id. Nothing of the caller's session is seen, and nothing of this one outlives it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from support import parts
from support.busy import seconds

SERVICE = "org.freedesktop.secrets"
PASSWORD = "the password of the login"
LOGIN = "Login"
"""The label of the collection that the daemon makes and unlocks at login; it is the default one."""
START_SECONDS = 20.0
_SERVICES = "/usr/share/dbus-1/services"
_INSTALL = "apt-get install gnome-keyring"
_BUS = """<busconfig>
<type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>{services}
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>"""


class DesktopSession:
    """A running bus.

    :param activation: whether it starts the programs that the system has for its names, as a desktop's bus does.
    """

    def __init__(self, *, activation: bool = False) -> None:
        self.bus_program = parts.need("dbus-daemon", shutil.which("dbus-daemon"), how="apt-get install dbus")
        if activation:
            starts = Path(_SERVICES, f"{SERVICE}.service")
            parts.need("gnome-keyring", starts if starts.exists() else None, how=_INSTALL)
        self.root = Path(tempfile.mkdtemp(prefix="awsv-"))
        self._socket = self.root / "bus"
        self._log = (self.root / "log").open("ab")
        self._daemon: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        for name in ("home", "run"):
            (self.root / name).mkdir(mode=0o700)
        services = f"<servicedir>{_SERVICES}</servicedir>" if activation else ""
        (self.root / "bus.conf").write_text(_BUS.format(socket=self._socket, services=services))
        self._bus = self._start(self.bus_program, f"--config-file={self.root / 'bus.conf'}", "--nofork", "--nopidfile")
        try:
            _await("the bus", self._answers)
        except BaseException:
            self.stop()
            raise

    @property
    def env(self) -> Mapping[str, str]:
        """What a program of this session has in its environment besides its own."""
        return {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={self._socket}"}

    def log_in(self, password: str = PASSWORD) -> None:
        """Start the daemon and unlock the login collection, as a login does; the first time it is made."""
        program = parts.need("gnome-keyring", shutil.which("gnome-keyring-daemon"), how=_INSTALL)
        daemon = self._start(program, "--foreground", "--components=secrets", "--unlock", stdin=subprocess.PIPE)
        self._daemon = daemon
        assert daemon.stdin
        daemon.stdin.write(password.encode())
        daemon.stdin.close()
        _await("the Secret Service", self._has_login)

    def kill_daemon(self) -> None:
        """As a crash does. The collections stay, in files, and are locked at the next start."""
        assert self._daemon
        self._daemon.kill()
        self._daemon.wait()
        self._daemon = None
        _await("its end", lambda: not self.owned())

    def lock(self) -> None:
        """As a person does in their password manager."""
        with self._connection() as connection:
            import secretstorage

            secretstorage.get_default_collection(connection).lock()

    def unlock(self) -> None:
        """As the next login does."""
        if self._daemon is not None:
            self.kill_daemon()
        self.log_in()

    def items(self) -> list[tuple[Mapping[str, str], bytes]]:
        """What is kept: attributes and secret of every item of the login collection."""
        with self._connection() as connection:
            import secretstorage

            found = secretstorage.get_default_collection(connection).get_all_items()
            return [(item.get_attributes(), item.get_secret()) for item in found]

    def run_service(self, source: str, *arguments: str, name: str = SERVICE) -> subprocess.Popen[bytes]:
        """Start a program of ours that offers a name on this bus, in place of the real one.

        :param source: Python.
        """
        process = self._start(sys.executable, "-c", source, name, *arguments)
        self._others.append(process)
        _await(name, lambda: self.owned(name))
        return process

    def stop(self) -> None:
        """End every process and remove the folder; may be called twice."""
        activated = self._activated() if self._bus.poll() is None else None
        for process in (self._daemon, *self._others, self._bus):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        if activated is not None:
            with suppress(ProcessLookupError):  # it ends with its bus, if that was faster
                os.kill(activated, signal.SIGKILL)
        self._log.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def _activated(self) -> int | None:
        """The process id of the daemon, if the bus has started it."""
        if self._daemon is not None or not self.owned():
            return None
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import Proxy

        with self._connection() as connection:
            return int(Proxy(message_bus, connection).GetConnectionUnixProcessID(SERVICE)[0])

    def _start(self, *argv: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        env = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.root / "home"),
            "XDG_DATA_HOME": str(self.root / "home/data"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            **self.env,
        }
        return subprocess.Popen(argv, env=env, stdin=stdin, stdout=self._log, stderr=self._log, cwd=self.root)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection(self.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
            yield connection

    def _answers(self) -> bool:
        if self._bus.poll() is not None:
            pytest.fail(f"the bus has ended: {(self.root / 'log').read_text(errors='replace')}")
        with suppress(OSError), self._connection():
            return True
        return False

    def owned(self, name: str = SERVICE) -> bool:
        """Whether a program offers this name now."""
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import Proxy

        with self._connection() as connection:
            return bool(Proxy(message_bus, connection).NameHasOwner(name)[0])

    def _has_login(self) -> bool:
        import secretstorage

        if not self.owned():
            return False
        with self._connection() as connection, suppress(secretstorage.SecretStorageException):
            return not secretstorage.Collection(connection).is_locked()
        return False


def _await(what: str, ready: Any) -> None:
    began = time.monotonic()
    while not ready():
        waited = time.monotonic() - began
        assert waited < seconds(START_SECONDS), f"{what} did not come within {waited:.0f} s"
        time.sleep(0.02)


@contextmanager
def desktop(*, activation: bool = False, logged_in: bool = True) -> Iterator[DesktopSession]:
    """A session that ends with the block."""
    session = DesktopSession(activation=activation)
    try:
        if logged_in:
            session.log_in()
        yield session
    finally:
        session.stop()
