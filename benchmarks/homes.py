"""A home folder for an install: an AWS config of many profiles, a stored key, live sessions, and its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installs import Failed, Install

PASSPHRASE = {"AWS_VAULT_FILE_PASSPHRASE": "only for this benchmark"}
KEY = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
ROLE = """[profile role-{0}]
role_arn = arn:aws:iam::123456789012:role/role-{0}
source_profile = work
region = eu-west-1

"""


@dataclass(frozen=True)
class Run:
    """What a process took."""

    seconds: float
    processor: float
    """Seconds of the processor, of its children, too."""
    memory: int
    """The most memory that it held, in KiB; no less than what this process holds, from which it was made."""


class Aws:
    """The pretended AWS, as long as the ``with`` block.

    :param delay: seconds that a call takes.
    """

    def __init__(self, folder: Path, delay: float) -> None:
        self._log = folder / f"aws-{delay}.log"
        with self._log.open("wb") as log:
            script = Path(__file__).with_name("pretended_aws.py")
            self._server = subprocess.Popen([sys.executable, str(script), str(delay)], stdout=log)
        while "\n" not in self._log.read_text():
            if self._server.poll() is not None:
                raise Failed("the pretended AWS did not start")
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{self._log.read_text().split()[0]}"

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._log.read_text().count("\n") - 1

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()


@dataclass
class Home:
    """A home folder with a key under the name ``work``.

    :param profiles: of the AWS config: ``work``, and roles that start from it.
    :param sessions: live ones, of roles.
    """

    root: Path
    install: Install
    profiles: int
    sessions: int
    aws: Aws
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.root / ".aws", self.root / "run"):
            folder.mkdir(mode=0o700, parents=True)
        self.env = {
            "HOME": str(self.root),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "PATH": f"{self.install.python.parent}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.aws.url,
        }
        roles = "".join(map(ROLE.format, range(self.profiles - 1)))
        (self.root / ".aws/config").write_text(f"[profile work]\nregion = eu-west-1\n\n{roles}")
        self.run([self.install.awsv, "add", "--env", "work"], {**PASSPHRASE, **KEY})
        if self.sessions:
            self.run([self.install.python, Path(__file__).with_name("fill_sessions.py"), str(self.sessions)])

    def forget(self) -> None:
        """Remove the live sessions of the profiles that were named in a command, and keep the others."""
        for file in (self.root / ".local/state/awsv/sessions").glob("*.session"):
            if file.stat().st_ctime > self._made:
                file.unlink()

    def keep(self) -> None:
        """All sessions that are there now stay in :meth:`forget`."""
        time.sleep(0.02)  # a tick of the file system's clock
        self._made = time.time()
        time.sleep(0.02)

    def start(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
        """Start a process without output and input; its id."""
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        words = list(map(str, command))
        return os.posix_spawn(words[0], words, {**self.env, **(env or {})}, file_actions=nothing)

    def run(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Run:
        """Run a process.

        :raises Failed: its exit code is not 0.
        """
        start = time.perf_counter()
        _, status, used = os.wait4(self.start(command, env), 0)
        seconds = time.perf_counter() - start
        if code := os.waitstatus_to_exitcode(status):
            raise Failed(f"{' '.join(map(str, command))}: exit code {code}")
        return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)

    def herd(
        self, command: Sequence[str | Path], number: int, env: Mapping[str, str] | None = None
    ) -> tuple[float, int]:
        """Run so many processes at once; the seconds until the last one has ended, and how many of them failed: on a
        slow machine the last ones may wait for longer than they are allowed to."""
        start = time.perf_counter()
        codes = [os.waitpid(process, 0)[1] for process in [self.start(command, env) for _ in range(number)]]
        return time.perf_counter() - start, sum(map(bool, codes))
