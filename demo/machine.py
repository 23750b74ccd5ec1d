"""A machine for the demo: a temporary home with a clean environment, and a moto server that is its AWS.

Nothing of the caller is used: neither the environment, nor ``~/.aws``, nor a vault. :meth:`Machine.close` stops the
server by its process id and removes the folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
"""Where ``awsv``, ``aws`` and ``moto_server`` are: beside this interpreter."""

REGION = "eu-west-1"
SECONDS = 60.0
"""Time limit of one command, one prompt or the server's start."""

ADMIN = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": REGION,
}
"""Credentials that prepare the account. moto accepts any key."""


class Failed(Exception):
    """A step did not have the expected result."""


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    stdout: str
    """On a terminal everything that appeared there, including standard error and answers."""
    stderr: str
    seconds: float
    calls: int
    """Number of requests that reached AWS while the command ran."""


@dataclass(frozen=True)
class Answer:
    """The text that the user types at a prompt."""

    question: str
    """A regular expression."""
    text: str


class Machine:
    """The machine. The constructor starts the server."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="awsv-demo-"))
        self.home = self.root / "home"
        self.log = self.root / "moto.log"
        runtime = self.root / "run"
        for folder in (self.home / ".aws", runtime):
            folder.mkdir(mode=0o700, parents=True)
        self.config = self.home / ".aws" / "config"
        self.env = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(runtime),
            "PATH": f"{BIN}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._server = self._start()
        try:
            self.env["AWS_ENDPOINT_URL"] = self._address()
        except BaseException:
            self.close()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                # Name the interpreter: in a deep folder, the script's first line is too long for the kernel.
                # Port 0: the kernel chooses a free port.
                [sys.executable, str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", "0"],
                env={**self.env, "PYTHONUNBUFFERED": "1"},
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _address(self) -> str:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._server.poll() is None:
            _, found, rest = self.log.read_text(errors="replace").partition("Running on ")
            if found and "\n" in rest:
                return rest.split()[0]
            time.sleep(0.05)
        raise Failed(f"moto_server did not start:\n{self.log.read_text(errors='replace')}")

    @property
    def server_pid(self) -> int:
        """The process id of the moto server."""
        return self._server.pid

    @property
    def calls(self) -> int:
        """Number of requests that have reached AWS."""
        return self.log.read_text(errors="replace").count('"POST ')

    def stop_aws(self) -> None:
        """Stop the moto server; may be called twice."""
        if self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self._server.kill()
        self._server.wait()

    def close(self) -> None:
        """Stop the server and remove the folder."""
        self.stop_aws()
        shutil.rmtree(self.root)

    def run(self, command: str, *, env: Mapping[str, str] | None = None) -> Result:
        """Run a shell command line without a terminal.

        :param env: variables in addition to the machine's own.
        :raises Failed: its exit code is not 0, or it takes longer than :data:`SECONDS`.
        """
        before, start = self.calls, time.perf_counter()
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env={**self.env, **(env or {})},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{command}: still running after {SECONDS:g} seconds") from None
        seconds = time.perf_counter() - start
        if done.returncode:
            raise Failed(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return Result(done.stdout, done.stderr, seconds, self.calls - before)

    def type(self, command: str, answers: Sequence[Answer], *, env: Mapping[str, str] | None = None) -> Result:
        """Run a command line on a pseudo-terminal and answer its prompts, in their order.

        :raises Failed: a prompt does not appear, an unexpected one appears, or the exit code is not 0.
        """
        import pexpect

        before, start = self.calls, time.perf_counter()
        program, *words = shlex.split(command)
        child = pexpect.spawn(
            str(BIN / program),
            words,
            env={**self.env, **(env or {})},
            cwd=str(self.home),
            timeout=SECONDS,
            encoding="utf-8",
            dimensions=(24, 160),
        )
        shown = ""
        try:
            for answer in answers:
                child.expect(answer.question)
                shown += child.before + child.after
                child.sendline(answer.text)
            child.expect(pexpect.EOF)
            shown += child.before
        except (pexpect.EOF, pexpect.TIMEOUT) as error:
            expected = "the end" if "EOF" not in type(error).__name__ else "the next prompt"
            raise Failed(f"{command}: waited for {expected}\n{shown}{child.before}") from None
        finally:
            child.close(force=True)
        if child.exitstatus:
            raise Failed(f"{command}: exit code {child.exitstatus}\n{shown}")
        return Result(shown.replace("\r", ""), "", time.perf_counter() - start, self.calls - before)
