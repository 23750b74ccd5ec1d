"""A person's machine: an empty home, a clean environment, the real ``awsv`` in it.

Nothing of the caller's environment reaches a child, so neither their AWS variables nor their CA bundles decide
whether a test passes.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.busy import seconds
from support.moto import REGION

PROGRAM = Path(sys.executable).with_name("awsv")


def clean_environment(root: Path, endpoint: str) -> dict[str, str]:
    """The environment of a person who lives below ``root`` and whose AWS is at ``endpoint``.

    The folders are made; the AWS files are not.
    """
    folders = {
        "HOME": root / "home",
        "TMPDIR": root / "tmp",
        "XDG_CACHE_HOME": root / "home/.cache",
        "XDG_CONFIG_HOME": root / "home/.config",
        "XDG_DATA_HOME": root / "home/.local/share",
        "XDG_STATE_HOME": root / "home/.local/state",
        "XDG_RUNTIME_DIR": root / "run",
    }
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folders["HOME"].joinpath(".aws").mkdir(mode=0o700, exist_ok=True)
    return {
        **{name: str(folder) for name, folder in folders.items()},
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
    }


class Home:
    """One person's home for one test.

    :param root: a folder of the test's own.
    :param endpoint: the URL that is AWS.
    """

    def __init__(self, root: Path, endpoint: str) -> None:
        self.root = root
        self.env = clean_environment(root, endpoint)
        self.path = Path(self.env["HOME"])
        self.runtime = Path(self.env["XDG_RUNTIME_DIR"])
        self.config = self.path / ".aws/config"
        self.credentials = self.path / ".aws/credentials"
        self.cwd = root / "work"
        self.cwd.mkdir()
        self.configure(f"[default]\nregion = {REGION}\n")

    def configure(self, text: str) -> None:
        """Replace the AWS config file."""
        self.config.write_text(text, encoding="utf-8")

    def run(
        self,
        *argv: str | Path,
        input: str | None = None,
        env: Mapping[str, str | None] | None = None,
        timeout: float = 60,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here, without a controlling terminal, and wait for it.

        :param input: its standard input; None: empty.
        :param env: added to the clean environment; None as a value removes a variable.
        :param timeout: seconds on an idle machine.
        """
        return subprocess.run(
            [str(word) for word in argv],
            input=input or "",
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=seconds(timeout),
            check=False,
            env=self.environment(env),
            cwd=cwd or self.cwd,
            start_new_session=True,
        )

    def environment(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The clean environment with changes; None as a value removes a variable."""
        merged = {**self.env, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def awsv(
        self,
        *args: str | Path,
        input: str | None = None,
        env: Mapping[str, str | None] | None = None,
        timeout: float = 60,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``awsv``; parameters as for :meth:`run`."""
        return self.run(PROGRAM, *args, input=input, env=env, timeout=timeout, cwd=cwd)

    def watched(
        self, *args: str | Path, flags: Sequence[str], env: Mapping[str, str | None] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run ``awsv`` by an interpreter that tells what it does: ``-v`` or ``-X importtime``.

        The launcher's own is isolated, so that ``PYTHONVERBOSE`` and its like have no effect.
        """
        return self.run(sys.executable, "-I", *flags, PROGRAM, *args, env=env, timeout=timeout)

    def limited(
        self, blocks: int, *args: str | Path, env: Mapping[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``awsv`` where no file may grow beyond a size: what a full disk does, without a disk.

        Bytecode (-B) would be cut as well, for whoever starts next.

        :param blocks: the size, in blocks of 512 bytes.
        """
        limit = ("/bin/sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh")
        return self.run(*limit, sys.executable, "-I", "-S", "-B", PROGRAM, *args, env=env)

    def start(self, *args: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start ``awsv`` and do not wait for it.

        :param options: for :class:`subprocess.Popen`.
        """
        return subprocess.Popen(
            [str(PROGRAM), *map(str, args)],
            env=self.environment(),
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def spawn(
        self,
        *args: str | Path,
        env: Mapping[str, str | None] | None = None,
        timeout: float = 20,
        program: str | Path = PROGRAM,
    ) -> Any:
        """Start ``awsv`` (or another program) on a pseudo-terminal of its own: a ``pexpect.spawn``.

        :param timeout: seconds that each ``expect`` waits on an idle machine.
        """
        import pexpect

        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads (the front's); the child executes another program at once.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = pexpect.spawn(
                str(program),
                [str(word) for word in args],
                env=self.environment(env),
                cwd=str(self.cwd),
                timeout=seconds(timeout),
                encoding="utf-8",
                dimensions=(24, 200),
            )
        child.delaybeforesend = None
        return child
