"""The source ``env`` keeps the contract of passphrase sources, in each of its forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault_testkit import PassphraseContract, Setup

PASSPHRASE = "a passphrase in the environment, läßt grüßen"


class TestEnv(PassphraseContract):
    entry_point = "env"

    @pytest.fixture
    def setup(self) -> Setup:
        return Setup(environ={"AWS_VAULT_CONTRACT_PASSPHRASE": PASSPHRASE})

    @pytest.fixture
    def expected(self) -> str:
        return PASSPHRASE


class TestEnvFile(TestEnv):
    @pytest.fixture
    def setup(self, tmp_path: Path) -> Setup:
        file = tmp_path / "passphrase"
        file.write_text(PASSPHRASE + "\n")
        file.chmod(0o600)
        return Setup(environ={"AWS_VAULT_CONTRACT_PASSPHRASE_FILE": str(file)})
