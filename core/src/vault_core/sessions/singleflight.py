"""One flight per step: of all processes of this user that need a session, one makes it and the others wait for it.

The lock is the operating system's, so death releases it. Those who wait take the leader's outcome, failure included:
a refused question, an MFA code rejected three times or a denial ends them all with the same error, and nobody is
asked again for :data:`QUIET` seconds, except by a command that a person just started. Only a dead leader, which leaves
neither a session nor a failure, hands over to the next; and so does one that failed before it asked a person or AWS
for anything, because what it lacked (a terminal, a variable) another process may have.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from vault_core import files, output
from vault_core.errors import Cancelled, PluginError, SessionError, VaultError

QUIET = 10.0
"""Seconds for which a failure is remembered."""
NETWORK_LIMIT = 30.0
"""Seconds that a leader may spend with the network."""

_AWAITED = {"question": "somebody to answer its question", "network": "AWS"}
_LARGEST = 1 << 16
_UNUSED = 24 * 3600.0
"""Seconds after which a step's files go: no leader is at it for so long."""
_POLL = 0.03
_TOLD_AFTER = 2.0
_OUTCOME_WITHIN = 2.0

T = TypeVar("T")


class TakenOver(VaultError):
    """Another process's failure; it has that one's exit code."""


class Flights:
    """The flights of this user.

    :param folder: made when it is first needed; private to the user.
    :param question_limit: seconds that a person has for an answer.
    :param foreground: a person just started this command and can be asked.
    :param sign: an authentication code of a text, by the key of the session cache: nobody else's record of a failure
        is told, and its hint not given.
    """

    def __init__(self, folder: Path, question_limit: float, *, foreground: bool, sign: Callable[[str], str]) -> None:
        self._folder = folder
        self._sign = sign
        self._cancelled = False
        self._limits = {"network": NETWORK_LIMIT + 5, "question": question_limit + 5}
        self._limits["waiting"] = sum(self._limits.values())
        self._foreground = foreground
        self._started = time.time()

    def cancel(self) -> None:
        """End the waiting of every thread: Ctrl-C reaches only the main one."""
        self._cancelled = True

    def join(self, name: str, landed: Callable[[], T | None], lead: Callable[[Flight], T]) -> T:
        """What ``landed`` finds, or what ``lead`` makes if this process is the first.

        :param name: names the step; a file name.
        :param landed: looks for a finished session; cheap.
        :param lead: makes it and puts it where ``landed`` looks.
        :raises VaultError: the leader's failure, whichever process that was.
        """
        flight = Flight(self._folder / name, self._sign)
        with ExitStack() as lock:
            try:
                found = self._wait(flight, lock, landed)
            except OSError as error:
                where = f"{error.filename or self._folder}: {error.strerror}" if error.strerror else f"{error}"
                output.note(f"this session may be made twice: {where}")
                return lead(flight)
            if found is not None:
                return found
            try:
                with flight.leading():
                    return lead(flight)
            finally:
                lock.close()
                with suppress(OSError):  # the folder was removed
                    self._sweep()

    def _sweep(self) -> None:
        """Remove the files of steps that nobody has been at for a day."""
        files.sweep_temporary(self._folder)
        for path in self._folder.iterdir():
            if files.is_older(path, _UNUSED):
                with suppress(OSError), _out_of_use(path):
                    path.unlink()

    def _wait(self, flight: Flight, lock: ExitStack, landed: Callable[[], T | None]) -> T | None:
        """The session that another process made meanwhile; None with the flight's lock in ``lock``."""
        waited = Waiting(flight, self._limits)
        while True:
            self._raise_failure(flight)
            try:
                lock.enter_context(files.held(flight.lock, timeout=0))
            except TimeoutError:
                pass
            else:
                self._raise_failure(flight)
                return landed()
            if (found := landed()) is not None:
                return found
            if self._cancelled:
                raise Cancelled("interrupted")
            waited.check()
            time.sleep(_POLL)

    def _raise_failure(self, flight: Flight) -> None:
        failure = flight.failure()
        if failure is None:
            return
        error, at = failure
        # A plugin's bug ends those who wait for it now; who comes later may have another version of it.
        bug = error.exit_code in (VaultError.exit_code, PluginError.exit_code)
        if at >= self._started or (not self._foreground and not bug and time.time() - at < QUIET):
            raise error

    def interrupted(self, name: str) -> VaultError:
        """What Ctrl-C means to who was about to join, or waited.

        It went to every process of the terminal. If the leader is one of them, then its answer to it is ours.
        """
        flight = Flight(self._folder / name, self._sign)
        until = time.monotonic() + _OUTCOME_WITHIN
        while True:
            led_here = flight.led_at_our_terminal()
            failure = flight.failure()
            if failure is not None and failure[1] >= self._started:
                return failure[0]
            if not led_here or time.monotonic() > until:
                return Cancelled("interrupted")
            time.sleep(_POLL)


class Waiting:
    """Somebody waits for a leader: for how long, and what they are told."""

    def __init__(self, flight: Flight, limits: dict[str, float]) -> None:
        self._flight = flight
        self._limits = limits
        self._phase = ""
        self._since = self._began = time.monotonic()
        self._told = False

    def check(self) -> None:
        """Raise after the limit of the phase the leader is in; tell the person once that there is a wait."""
        pid, phase = self._flight.leader()
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._since = phase, now
        if now - self._since > self._limits.get(phase, self._limits["waiting"]):
            raise SessionError(
                f"process {pid} is making this session and does not get on (it is at: {phase or 'start'})",
                hint=f"look at process {pid}, and end it if it hangs",
            )
        if not self._told and now - self._began > _TOLD_AFTER:
            self._told = True
            output.note(f"waiting for process {pid}, which waits for {_AWAITED.get(phase, 'another process')}")


class Flight:
    """One step's files: who leads, and how the last one failed.

    :param sign: as for :class:`Flights`.
    """

    def __init__(self, path: Path, sign: Callable[[str], str]) -> None:
        self._name = path.name
        self._sign = sign
        self.lock = path.with_name(f"{path.name}.lock")
        self._leader = path.with_name(f"{path.name}.leader")
        self._failed = path.with_name(f"{path.name}.failed")
        self._spent = False

    def phase(self, phase: str) -> None:
        """The leader says what it is at: ``waiting`` for another flight, ``question`` or ``network``."""
        self._spent = self._spent or phase == "network"
        _write(self._leader, {"pid": os.getpid(), "phase": phase})

    def asked(self) -> None:
        """The leader has asked a person: if it fails now, the others do not ask again."""
        self._spent = True

    def leader(self) -> tuple[int, str]:
        """Process id and phase of the leader; zero and nothing where nobody has said."""
        match _read(self._leader):
            case {"pid": int(pid), "phase": "waiting" | "question" | "network" as phase} if 0 < pid < 1 << 31:
                return pid, phase
        return 0, ""

    def led_at_our_terminal(self) -> bool:
        """Whether the leader lives and has our controlling terminal: it then belongs to our session."""
        try:
            return os.getsid(self.leader()[0] or -1) == os.getsid(0)
        except OSError:
            return False

    def failure(self) -> tuple[VaultError, float] | None:
        """How the last leader failed, and when by :func:`time.time`."""
        match _read(self._failed):
            case {"record": str(record), "code": str(code)} if _same(code, self._code(record)):
                fields = json.loads(record)
            case _:
                return None
        at = fields["at"]
        if at > time.time() + 1:
            return None  # the clock was set back since: it would be remembered until that time comes
        error = TakenOver(fields["message"], hint=fields["hint"])
        error.exit_code = fields["exit_code"]
        return error, at

    def _code(self, record: str) -> str:
        return self._sign(f"failure of {self._name}: {record}")

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Around the leader's work: what it raises is kept for the others.

        :raises Cancelled: in place of KeyboardInterrupt.
        """
        with suppress(FileNotFoundError):
            self._failed.unlink()
        self.phase("waiting")
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


def _out_of_use(path: Path) -> AbstractContextManager[object]:
    """Around the removal of a file. Who has a lock file open and waits looks whether it still is the one in its place.

    :raises TimeoutError: it is a lock, and held.
    """
    return files.held(path, timeout=0) if path.suffix == ".lock" else nullcontext()


def _same(code: str, expected: str) -> bool:
    return hmac.compare_digest(code.encode("utf-8", "surrogatepass"), expected.encode())


def _write(path: Path, fields: dict[str, object]) -> None:
    with suppress(OSError):  # a full disk: the others find out for themselves
        files.replace(path, json.dumps(fields).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(files.read_private(path, limit=_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
