"""The contract of storage backends, and errors of GnuPG, with password stores and GnuPG keys made by the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault_core.api import Secret, StorageCorrupt, StorageLocked, StorageUnavailable
from vault_plugin_pass.plugin import vault_storage_backends
from vault_testkit import FakeContext, Setup, StorageContract

KEY = "awsv-test@example.org"
(SPEC,) = vault_storage_backends()


@contextmanager
def password_store(passphrase: str = "") -> Iterator[dict[str, str]]:
    """The environment of a user with a GnuPG key and a password store."""
    if not shutil.which("pass"):
        pytest.skip("absent part: pass (apt-get install pass gnupg)")
    # Not pytest's folder: it contains the socket of GnuPG's agent, whose path must be short. The agent removes its
    # sockets while it ends, which may be while the folder is removed.
    with tempfile.TemporaryDirectory(prefix="pass-", ignore_cleanup_errors=True) as root:
        folder = Path(root)
        (folder / "gnupg").mkdir(mode=0o700)
        environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "GNUPGHOME": str(folder / "gnupg"),
            "PASSWORD_STORE_DIR": str(folder / "store"),
        }
        loopback = ("--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase)
        try:
            run(environ, "gpg", *loopback, "--quick-generate-key", KEY, "future-default", "default", "never")
            run(environ, "pass", "init", KEY)
            yield environ
        finally:
            run(environ, "gpgconf", "--kill", "all")


def run(environ: dict[str, str], *argv: str) -> None:
    subprocess.run(argv, env=environ, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    with password_store() as environ:
        yield environ


class TestPass(StorageContract):
    entry_point = "pass"
    budget = None if os.environ.get("AWSV_DEEP") else 40
    """Each operation starts four processes and more: what takes minutes is for ``make test-deep``."""

    @pytest.fixture
    def setup(self, environ: dict[str, str]) -> Setup:
        return Setup(environ=environ, files=[Path(environ["PASSWORD_STORE_DIR"])])


def test_locked_gpg_key_is_reported_at_once(tmp_path: Path) -> None:
    with password_store("a passphrase of the key") as environ:
        ctx = FakeContext(tmp_path, declared=SPEC.options, environ=environ)
        store = SPEC.open(ctx)
        store.put("credentials/work", Secret("value"))  # takes the public key only
        run(environ, "gpgconf", "--kill", "gpg-agent")  # which may remember the passphrase of a key it made
        with pytest.raises(StorageLocked, match="your GPG key is locked"):
            store.get("credentials/work")
        assert list(store.keys()) == ["credentials/work"]


def test_damaged_entry_is_reported(tmp_path: Path) -> None:
    with password_store() as environ:
        store = SPEC.open(FakeContext(tmp_path, declared=SPEC.options, environ=environ))
        store.put("credentials/work", Secret("value"))
        (entry,) = Path(environ["PASSWORD_STORE_DIR"]).rglob("*.gpg")
        whole = entry.read_bytes()
        for size in (0, 1, 50, len(whole) - 3):
            entry.write_bytes(whole[:size])
            with pytest.raises(StorageCorrupt, match="is damaged"):
                store.get("credentials/work")


def test_folder_without_password_store_is_reported(tmp_path: Path) -> None:
    with password_store() as environ:
        ctx = FakeContext(tmp_path, declared=SPEC.options, environ={**environ, "PASSWORD_STORE_DIR": str(tmp_path)})
        assert SPEC.unavailable is not None
        assert "is not a password store" in (SPEC.unavailable(ctx) or "")
        with pytest.raises(StorageUnavailable, match="is not set up"):
            SPEC.open(ctx).put("credentials/work", Secret("value"))


@pytest.mark.parametrize("folder", ["/etc", "..", "a/../../b", ".", ""])
def test_folder_outside_password_store_is_refused(folder: str) -> None:
    (option,) = SPEC.options
    with pytest.raises(ValueError, match="below the password store"):
        option.parse(folder)
