"""The AWS clients whose ``credential_process`` the tests try: CLI v1 and v2, the JavaScript SDK, programs in Go."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

CLIENTS = Path(__file__).parents[1] / "clients"
NPM_SECONDS = 300


def beside(name: str) -> Path | None:
    """A program that is installed beside this interpreter: ``aws`` (AWS CLI v1, which honours ``AWS_ENDPOINT_URL``),
    ``rclone`` (SDK for Go v2), ``s5cmd`` (SDK for Go v1)."""
    path = Path(sys.executable).with_name(name)
    return path if path.exists() else None


@functools.cache
def aws_v2() -> Path | None:
    """AWS CLI v2 of the system. Debian 12's 2.9 ignores ``AWS_ENDPOINT_URL``: give ``--endpoint-url``."""
    path = Path("/usr/bin/aws")
    if not path.exists():
        return None
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    return path if done.stdout.startswith("aws-cli/2.") else None


@dataclass(frozen=True)
class Node:
    """Node.js with the AWS SDK for JavaScript v3."""

    program: Path
    modules: Path
    identity: Path = CLIENTS / "identity.cjs"
    """``node identity.cjs PROFILE ENDPOINT`` prints who the profile is, as JSON with ``Arn`` and ``AccessKeyId``."""

    @property
    def env(self) -> dict[str, str]:
        """What the script needs in its environment."""
        return {"NODE_PATH": str(self.modules)}


@functools.cache
def node() -> Node | str:
    """Node with the SDK, installed into a cache folder where the work tree has none; else the reason why not.

    The first of the processes of a run installs it, and the others wait for that.
    """
    program = shutil.which("node")
    if program is None:
        return "install Node.js 18 or later"
    here = CLIENTS / "node_modules"
    if (here / "@aws-sdk/credential-providers").is_dir():
        return Node(Path(program), here)
    package = CLIENTS / "package.json"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "awsv-tests" / f"node-{hashlib.sha256(package.read_bytes()).hexdigest()[:12]}"
    ready = folder / "ready"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not ready.exists():
                reason = _npm_install(package, folder)
                if reason:
                    return reason
                ready.touch()
    except OSError as error:
        return f"{folder}: {type(error).__name__}"
    return Node(Path(program), folder / "node_modules")


def _npm_install(package: Path, folder: Path) -> str | None:
    npm = shutil.which("npm")
    if npm is None:
        return "install npm"
    argv = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(package, folder)
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=NPM_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"npm install: {type(error).__name__}"
    return f"npm install ended {done.returncode} in {CLIENTS.name}" if done.returncode else None
