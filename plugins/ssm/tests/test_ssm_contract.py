"""The source keeps the contract of passphrase sources, by each of two identities, and where there is no AWS."""

from __future__ import annotations

from typing import Any

import pytest

from vault_testkit import PassphraseContract, Setup

PASSPHRASE = "correct horse battery staple, canary"


class TestByTheEnvironment(PassphraseContract):
    entry_point = "ssm"

    @pytest.fixture
    def setup(self, ssm: Any) -> Setup:
        return Setup(options={"parameter": ssm.options["parameter"], "credentials": "environment"}, environ=ssm.environ)

    @pytest.fixture
    def expected(self) -> str:
        return PASSPHRASE


class TestByAProfile(TestByTheEnvironment):
    @pytest.fixture
    def setup(self, ssm: Any) -> Setup:
        ssm.profile(f"[profile reader]\n{ssm.keys()}")
        return Setup(
            options={"parameter": ssm.options["parameter"], "credentials": "profile:reader"}, environ=ssm.environ
        )


class TestWithoutAws(PassphraseContract):
    entry_point = "ssm"

    @pytest.fixture
    def setup(self, ssm: Any) -> Setup:
        environ = {**ssm.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        return Setup(options={"parameter": "/laptop/vault", "credentials": "environment"}, environ=environ)
