"""The contracts of storage backends and of passphrase sources, with a real OpenBao."""

from __future__ import annotations

import pytest

from support.openbao import Server
from vault_testkit import PassphraseContract, Setup, StorageContract


@pytest.fixture(scope="module")
def person(openbao: Server) -> str:
    """A token of a user with the team's policy."""
    return openbao.person("contract")


@pytest.mark.slow
class TestHashicorp(StorageContract):
    entry_point = "hashicorp"

    @pytest.fixture
    def setup(self, openbao: Server, person: str) -> Setup:
        return Setup(environ=openbao.environ(person), files=[openbao.folder])


class TestHashicorpGivesPassphrases(PassphraseContract):
    entry_point = "hashicorp"

    @pytest.fixture
    def setup(self, openbao: Server) -> Setup:
        openbao.call("POST", "secret/data/laptop/awsv", {"data": {"passphrase": "the laptop's passphrase"}})
        return Setup(options={"path": "laptop/awsv"}, environ=openbao.environ())

    @pytest.fixture
    def expected(self) -> str:
        return "the laptop's passphrase"
