"""Commands of awsv in processes that are forked from one that has imported everything: for rounds by the hundred.

Starting Python is most of what a command takes. Here a signal at a random moment meets the command at its work; and
300 rounds are minutes. The code that runs is the program's, from its ``main`` on.

``python fork_server.py`` is the process that forks; a test uses :class:`ForkServer`.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.home import Home

CUTS = {signal.SIGINT, signal.SIGTERM}
PACKAGES = ("vault_core", "vault_plugin_file", "vault_plugin_env", "vault_plugin_prompt")


@contextmanager
def fork_server(home: Home) -> Iterator[ForkServer]:
    """:class:`ForkServer`, which ends with the ``with``."""
    made = ForkServer(home)
    try:
        yield made
    finally:
        made.close()


class ForkServer:
    """Runs commands in a home, one after the other."""

    def __init__(self, home: Home) -> None:
        self._cwd = home.cwd
        self._stdout = home.root / "fork_server.stdout"
        self._stderr = home.root / "fork_server.stderr"
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=home.environment(),
            cwd=home.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        *words: str,
        env: Mapping[str, str],
        cut: tuple[float, signal.Signals] | None = None,
        **texts: str | None,
    ) -> tuple[int, str]:
        """Run a command to its end; its exit code, negative for a signal, and its standard error.

        :param cut: seconds after which it gets a signal, if it is not at its end before.
        :param texts: as of :func:`support.ways.with_descriptors`; what is None goes to where nobody reads.
        """
        job = {"words": words, "env": dict(env), "texts": texts, "cwd": str(self._cwd)}
        pid = self._ask(json.dumps({**job, "stdout": str(self._stdout), "stderr": str(self._stderr)}))
        if cut is not None:
            time.sleep(cut[0])
            os.kill(pid, cut[1])  # not waited for yet, so the number is not another process's
        code = self._ask("wait")
        return code, self._stderr.read_text(errors="replace")

    def said(self) -> bytes:
        """What the last command wrote to standard output and, behind it, to standard error."""
        return self._stdout.read_bytes() + self._stderr.read_bytes()

    def timed(self, *words: str, env: Mapping[str, str], **texts: str | None) -> float:
        """Seconds that a command takes here, which must succeed."""
        started = time.monotonic()
        code, stderr = self.run(*words, env=env, cut=None, **texts)
        assert code == 0, stderr
        return time.monotonic() - started

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _main() -> None:
    for package in PACKAGES:
        module = import_module(package)
        for found in pkgutil.walk_packages(module.__path__, f"{package}."):
            import_module(found.name)
    # A command that is cut off before its first line is one; what is inherited is free of it.
    signal.pthread_sigmask(signal.SIG_BLOCK, CUTS)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _command(json.loads(line))
        print(child, flush=True)  # noqa: T201 - the answer
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer


def _command(job: Mapping[str, Any]) -> None:
    os.setsid()
    os.chdir(job["cwd"])  # another folder of this name, perhaps, than at the start
    words = list(job["words"])
    nothing = os.open(os.devnull, os.O_RDWR)
    for name, text in job["texts"].items():
        given = nothing
        if text is not None:
            given, writing = os.pipe()
            os.write(writing, text.encode())
            os.close(writing)
        words += [f"--{name.replace('_', '-')}-fd", str(given)]
    stdout, stderr = (os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in ("stdout", "stderr"))
    for old, new in ((nothing, 0), (stdout, 1), (stderr, 2)):
        os.dup2(old, new)
    os.environ.update(job["env"])
    sys.argv[1:] = words
    from vault_core.main import main

    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CUTS)
        code = main()
    except KeyboardInterrupt:  # on the way in or out, where the interpreter's end is that of the signal
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        os._exit(code)


if __name__ == "__main__":
    _main()
