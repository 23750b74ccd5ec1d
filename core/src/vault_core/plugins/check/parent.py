"""Check plugins, each in a child process, so that a plugin that prints, crashes or hangs affects only its own.

The child gets this process's import path, the variables that hold no secret, and ten seconds. Then it is killed with
all processes that it started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO, Any

from vault_core import output
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.variables import for_examination

LIMIT = 10.0
"""Seconds for one plugin."""
PARALLEL = 4
OUTPUT_LIMIT = 65_536
"""Bytes of a plugin's output that are kept."""

PROGRAM = (
    "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; "
    "from vault_core.plugins.check.child import main; main(job)"
)
"""Run with ``-I``: nothing is imported before the import path is set."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking one plugin.

    :param state: ``ok``, ``unavailable`` (it works, but not here or not with these settings) or ``broken``.
    :param reason: why it is not ``ok``.
    :param hint: what helps.
    :param offers: what :func:`~vault_core.plugins.inspect.describe` found; empty where it could not be loaded.
    :param said: the first line that the plugin printed.
    """

    state: str
    reason: str | None
    hint: str | None
    offers: Mapping[str, Any]
    said: str | None


def check(
    offers: Sequence[AvailablePlugin],
    *,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    installed: Iterable[str] = (),
) -> list[CheckResult]:
    """The result for each plugin, in their order.

    :param flags: of this run, as of :class:`~vault_core.settings.Settings`.
    :param environ: the environment; a child gets only variables that cannot hold a secret of another plugin.
    :param installed: the names of all plugins.
    """
    children = [_Child(offer, flags, environ, installed) for offer in offers]
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            return list(pool.map(_Child.result, children))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children:
                child.kill()
            raise


class _Child:
    """One plugin's process."""

    def __init__(
        self, offer: AvailablePlugin, flags: Mapping[str, str], environ: Mapping[str, str], installed: Iterable[str]
    ) -> None:
        self._job = {"path": sys.path, "kind": offer.kind, "name": offer.name, "flags": dict(flags)}
        self._environ = for_examination(environ, offer.name, installed)
        self._process: subprocess.Popen[bytes] | None = None

    def result(self) -> CheckResult:
        pipe = subprocess.PIPE
        argv = [sys.executable, "-I", "-c", PROGRAM]
        self._process = subprocess.Popen(
            argv, env=self._environ, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr  # noqa: S101, PT018 - they are pipes
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._job).encode())
            self._process.stdin.close()
        report, printed = _Reader(self._process.stdout), _Reader(self._process.stderr)
        report.join(LIMIT)
        late = report.is_alive()
        self.kill()  # before wait(), while the id still belongs to it
        code = self._process.wait()
        printed.join(1)
        return _result(bytes(report.data), code, _first_line(printed.data), late=late)

    def kill(self) -> None:
        """End the process and all processes that it started."""
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


class _Reader(Thread):
    """Reads a pipe to its end, so that no writer blocks, and keeps the beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._file = file
        self.data = bytearray()
        self.start()

    def run(self) -> None:
        with self._file:
            while part := os.read(self._file.fileno(), OUTPUT_LIMIT):
                self.data += part[: OUTPUT_LIMIT - len(self.data)]


def _result(report: bytes, code: int, printed: str | None, *, late: bool) -> CheckResult:
    """The child's own report, or what it means that there is none."""
    try:
        fields = json.loads(report)
    except ValueError:
        fields = None
    if isinstance(fields, dict):
        state, reason, hint = (fields.pop(name) for name in ("state", "reason", "hint"))
        return CheckResult(state, reason, hint, fields, printed)
    if late:
        reason = f"it did not load and answer within {LIMIT:g} seconds"
    elif code < 0:
        reason = f"it ended its process by signal {-code}"
    else:
        reason = f"it ended its process with exit code {code}"
    return CheckResult("broken", reason, None, {}, printed)


def _first_line(printed: bytearray) -> str | None:
    lines = printed.decode("utf-8", "replace").splitlines()
    return output.printable(next((line for line in lines if line.strip()), "")) or None
