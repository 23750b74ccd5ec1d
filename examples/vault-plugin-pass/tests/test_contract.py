"""The contract of storage backends, on a password store of the test's own with a GnuPG key of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault_core.testing import Setup, StorageContract

KEY = "awsv-test@example.org"


@pytest.fixture(scope="session")
def password_store() -> Iterator[dict[str, str]]:
    """The environment of somebody with a GnuPG key without a passphrase, and a password store."""
    if not shutil.which("pass"):
        pytest.skip("absent part: pass (apt-get install pass gnupg)")
    # Not pytest's folder: the socket of GnuPG's agent lies in it, and the path of a socket is short.
    root = Path(tempfile.mkdtemp(prefix="pass-"))
    (root / "gnupg").mkdir(mode=0o700)
    environ = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(root),
        "GNUPGHOME": str(root / "gnupg"),
        "PASSWORD_STORE_DIR": str(root / "store"),
    }

    def run(*argv: str) -> None:
        subprocess.run(argv, env=environ, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    try:
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY, "future-default", "default", "never")
        run("pass", "init", KEY)
        yield environ
    finally:
        run("gpgconf", "--kill", "all")
        shutil.rmtree(root)


class TestPass(StorageContract):
    entry_point = "pass"

    @pytest.fixture
    def setup(self, password_store: dict[str, str]) -> Setup:
        return Setup(environ=password_store, files=[Path(password_store["PASSWORD_STORE_DIR"])])
