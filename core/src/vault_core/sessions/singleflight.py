"""Single flight: when several processes of one user need the same session, one makes it and the others wait for it.

The lock is an operating system lock, so the death of a process releases it. The processes that wait take the leader's
outcome, failure included: a refused question, an MFA code rejected three times or a denial ends them all with the same
error, and no process asks again for :data:`QUIET` seconds, except a command that the user just started. A leader that
died leaves neither a session nor a failure, and the next process takes over. The same holds for a leader that failed
before it asked the user or AWS: another process may have what it lacked (a terminal, a variable).
"""

from __future__ import annotations

import hmac
import json
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from vault_core import files, output
from vault_core.errors import Cancelled, PluginError, SessionError, VaultError
from vault_core.records import dataclass

QUIET = 10.0
"""Seconds for which a failure is remembered."""
NETWORK_LIMIT = 30.0
"""Seconds that a leader may spend with the network."""

_AWAITED = {"question": "an answer to its question", "network": "AWS"}
_LARGEST = 1 << 16
_UNUSED = 24 * 3600.0
"""Seconds after which the files of a step are removed: no leader works that long."""
_AGAIN = 1.0
"""Seconds after which a process that waits looks again, though the leader has not ended: at the limits of its phase,
and whether this process is to end."""
_PAUSE = 0.03
"""Seconds until a process looks again that nothing wakes: the leader has just begun, or has no pipe."""
_NOTICE_AFTER = 2.0
_OUTCOME_WITHIN = 2.0

T = TypeVar("T")


class TakenOver(VaultError):
    """The failure of another process, with its exit code."""


@dataclass
class SingleFlight:
    """The steps that processes of this user are working on.

    :param folder: created at the first need; private to the user.
    :param question_limit: seconds that the user has for an answer.
    :param foreground: the user just started this command and can be asked.
    :param sign: the authentication code of a text, by the key of the session cache: only a record of a failure that
        awsv wrote is reported.
    :param notice: receives one line for the user.
    """

    folder: Path
    question_limit: float
    foreground: bool
    sign: Callable[[str], str]
    notice: Callable[[str], None] = output.notice

    def __post_init__(self) -> None:
        self._cancelled = False
        self._swept = False
        self._limits = {"network": NETWORK_LIMIT + 5, "question": self.question_limit + 5}
        self._limits["waiting"] = sum(self._limits.values())
        self._started = time.time()

    def cancel(self) -> None:
        """End the waiting of every thread: Ctrl-C reaches only the main thread."""
        self._cancelled = True

    def run(self, name: str, lookup: Callable[[], T | None], work: Callable[[Flight], T]) -> T:
        """Return what ``lookup`` finds, or what ``work`` returns if this process is the leader.

        :param name: names the step; a file name.
        :param lookup: looks for a finished session; cheap.
        :param work: makes the session and stores it where ``lookup`` finds it.
        :raises VaultError: the failure of the leader, in this process or another one.
        """
        flight = Flight(self.folder / name, self.sign)
        with ExitStack() as lock:
            try:
                found = self._wait(flight, lock, lookup)
            except OSError as error:
                where = f"{error.filename or self.folder}: {error.strerror}" if error.strerror else f"{error}"
                self.notice(f"this session may be requested twice: {where}")
                return work(flight)
            if found is not None:
                return found
            try:
                with flight.leading():
                    return work(flight)
            finally:
                lock.close()
                if not self._swept:  # it looks at the files of every step, also of those that are not ours
                    self._swept = True
                    with suppress(OSError):  # the folder is gone
                        self._sweep()

    def _sweep(self) -> None:
        """Remove the files of steps that no process has used for a day."""
        files.sweep_temporary(self.folder)
        for path in self.folder.iterdir():
            if files.is_older(path, _UNUSED):
                # A lock that is held stays: its TimeoutError is an OSError. A process that waits for a lock checks that
                # the file is still in its place.
                with suppress(OSError), files.held(path, timeout=0) if path.suffix == ".lock" else nullcontext():
                    path.unlink()

    def _wait(self, flight: Flight, lock: ExitStack, lookup: Callable[[], T | None]) -> T | None:
        """The session that another process made meanwhile; None with the flight's lock in ``lock``."""
        waited = Waiting(flight, self._limits, self.notice)
        while True:
            self._raise_failure(flight)
            try:
                lock.enter_context(files.held(flight.lock, timeout=0))
            except TimeoutError:
                pass
            else:
                self._raise_failure(flight)
                return lookup()
            if (found := lookup()) is not None:
                return found
            if self._cancelled:
                raise Cancelled("interrupted")
            waited.check()
            flight.wait()

    def _raise_failure(self, flight: Flight) -> None:
        failure = flight.failure()
        if failure is None:
            return
        error, at = failure
        # A plugin's bug ends the processes that wait for it now; a later one may have another version of the plugin.
        bug = error.exit_code in (VaultError.exit_code, PluginError.exit_code)
        if at >= self._started or (not self.foreground and not bug and time.time() - at < QUIET):
            raise error

    def interrupted(self, name: str) -> VaultError:
        """Return the outcome of Ctrl-C for a process that is waiting, or was about to.

        Every process of the terminal receives Ctrl-C. If the leader is one of them, its outcome is ours.
        """
        flight = Flight(self.folder / name, self.sign)
        until = time.monotonic() + _OUTCOME_WITHIN
        while True:
            led_here = flight.led_at_our_terminal()
            failure = flight.failure()
            if failure is not None and failure[1] >= self._started:
                return failure[0]
            if not led_here or time.monotonic() > until:
                return Cancelled("interrupted")
            flight.wait()


class Waiting:
    """Waiting for a leader: its time limits, and one notice to the user."""

    def __init__(self, flight: Flight, limits: dict[str, float], notice: Callable[[str], None] = output.notice) -> None:
        self._flight = flight
        self._notice = notice
        self._limits = limits
        self._phase = ""
        self._since = self._began = time.monotonic()
        self._noticed = False

    def check(self) -> None:
        """Raise after the time limit of the leader's phase; show the user once that this process waits.

        :raises SessionError: the time limit has passed.
        """
        pid, phase = self._flight.leader()
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._since = phase, now
        if now - self._since > self._limits.get(phase, self._limits["waiting"]):
            raise SessionError(
                f"process {pid} holds this session and made no progress for {now - self._since:.0f} s"
                f" (waiting for: {_AWAITED.get(phase, 'another process')})",
                hint=f"inspect process {pid}; end it if it hangs",
            )
        if not self._noticed and now - self._began > _NOTICE_AFTER:
            self._noticed = True
            self._notice(f"waiting for process {pid}, which waits for {_AWAITED.get(phase, 'another process')}")


class Flight:
    """The files of one step: its leader, and the failure of the last one.

    :param sign: as for :class:`SingleFlight`.
    """

    def __init__(self, path: Path, sign: Callable[[str], str]) -> None:
        self._name = path.name
        self._sign = sign
        self.lock = path.with_name(f"{path.name}.lock")
        self._leader = path.with_name(f"{path.name}.leader")
        self._end = path.with_name(f"{path.name}.end")
        self._failed = path.with_name(f"{path.name}.failed")
        self._spent = False

    def phase(self, phase: str) -> None:
        """Record what the leader is waiting for: ``waiting`` (another flight), ``question`` or ``network``."""
        self._spent = self._spent or phase == "network"
        _write(self._leader, {"pid": os.getpid(), "phase": phase})

    def asked(self) -> None:
        """Record that the leader has asked the user: if it fails now, the other processes do not ask again."""
        self._spent = True

    def leader(self) -> tuple[int, str]:
        """The process id and phase of the leader; zero and an empty string if none is recorded."""
        match _read(self._leader):
            case {"pid": int(pid), "phase": "waiting" | "question" | "network" as phase} if 0 < pid < 1 << 31:
                return pid, phase
        return 0, ""

    def wait(self) -> None:
        """Return when the leader has ended, be it by its death, and after :data:`_AGAIN` at the latest."""
        with ExitStack() as opened:
            try:
                end = os.open(self._end, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
                opened.callback(os.close, end)
                os.read(end, 1)
            except BlockingIOError:  # there is a leader: it writes nothing, but its end wakes poll()
                poll = select.poll()
                poll.register(end, 0)
                poll.poll(_AGAIN * 1000)
                return
            except OSError:
                pass
            time.sleep(_PAUSE)

    @contextmanager
    def _pipe(self) -> Iterator[None]:
        """A pipe that this process could write to: when it ends, the system wakes all processes that wait there."""
        with ExitStack() as opened:
            with suppress(OSError):  # a full disk, or a file system without pipes: they look again after pauses
                self._end.unlink(missing_ok=True)
                os.mkfifo(self._end, 0o600)
                # For reading, too: for writing alone it opens only where another process reads.
                opened.callback(os.close, os.open(self._end, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
            try:
                yield
            finally:
                with suppress(OSError):
                    self._end.unlink()

    def led_at_our_terminal(self) -> bool:
        """Whether the leader is alive and has our controlling terminal: it then belongs to our session."""
        try:
            return os.getsid(self.leader()[0] or -1) == os.getsid(0)
        except OSError:
            return False

    def failure(self) -> tuple[VaultError, float] | None:
        """The failure of the last leader, and its time on :func:`time.time`'s clock; None if there was none."""
        match _read(self._failed):
            case {"record": str(record), "code": str(code)} if _same(code, self._code(record)):
                fields = json.loads(record)
            case _:
                return None
        at = fields["at"]
        if at > time.time() + 1:
            return None  # the clock was set back since: it would be remembered until that time
        error = TakenOver(fields["message"], hint=fields["hint"])
        error.exit_code = fields["exit_code"]
        return error, at

    def _code(self, record: str) -> str:
        return self._sign(f"failure of {self._name}: {record}")

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Around the leader's work: record its failure for the other processes.

        :raises Cancelled: in place of KeyboardInterrupt.
        """
        with suppress(FileNotFoundError):
            self._failed.unlink()
        self.phase("waiting")
        with self._pipe():  # it closes when the outcome is there
            try:
                yield
            except VaultError as error:
                self._keep(error)
                raise
            except KeyboardInterrupt:
                self._keep(Cancelled("interrupted"))
                raise Cancelled("interrupted") from None
            finally:
                with suppress(FileNotFoundError):
                    self._leader.unlink()

    def _keep(self, error: VaultError) -> None:
        taken_over = isinstance(error, TakenOver)
        if not (self._spent or taken_over):
            return
        fields = {
            "message": error.message if taken_over else f"{error.message} (process {os.getpid()} tried)",
            "hint": error.hint,
            "exit_code": error.exit_code,
            "at": time.time(),
        }
        record = json.dumps(fields)
        _write(self._failed, {"record": record, "code": self._code(record)})


def _same(code: str, expected: str) -> bool:
    return hmac.compare_digest(code.encode("utf-8", "surrogatepass"), expected.encode())


def _write(path: Path, fields: dict[str, object]) -> None:
    with suppress(OSError):  # a full disk: the other processes find out for themselves
        files.replace(path, json.dumps(fields).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(files.read_private(path, limit=_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
