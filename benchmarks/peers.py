"""aws-vault, where there is one: the same work in the same home folder, with its own store."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from figures import progress, ratio
from homes import KEY, PASSPHRASE, Home

if TYPE_CHECKING:
    from jobs import Job


class AwsVault:
    """The Go program.

    :param program: its path.
    :param home: of an install of awsv, whose interpreter is the baseline.
    """

    def __init__(self, program: Path, home: Home, rounds: int) -> None:
        self._program = program.resolve()
        self._home = home
        self._rounds = rounds
        self._env = {**PASSPHRASE, "AWS_VAULT_BACKEND": "file", "AWS_VAULT_FILE_DIR": str(home.root / "aws-vault")}

    def rows(self, jobs: Sequence[Job]) -> Iterator[list[str]]:
        """The ratio of each job that it can do, live sessions included."""
        added = self._run("add", "--env", "work", env=KEY)
        for job in jobs:
            if job.peer and not added and not self._run(*job.peer):
                progress(f"aws-vault: {job.name}")
                yield [job.name, f"{self._ratio(job.peer):.2f}"]
        progress("")

    def _run(self, *words: str, env: dict[str, str] | None = None) -> int:
        every = {**self._home.env, **self._env, **(env or {})}
        return subprocess.run([self._program, *words], env=every, capture_output=True, check=False).returncode

    def _ratio(self, words: Sequence[str]) -> float:
        mine, base = [], []
        for _ in range(self._rounds):
            base.append(self._home.run([self._home.install.python, "-c", "pass"]).seconds)
            mine.append(self._home.run([self._program, *words], self._env).seconds)
        return ratio(mine, base)
