"""The provider ``sts`` keeps the contract of session providers, at a real moto server."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support.moto import MotoServer
from vault_core.api import Credentials, Profile, Secret
from vault_testkit import SessionContract

MFA = "arn:aws:iam::123456789012:mfa/phone"


class TestSts(SessionContract):
    entry_point = "sts"

    @pytest.fixture
    def profiles(self, moto: MotoServer) -> Sequence[Profile]:
        shared = {"endpoint_url": moto.url, "region": "eu-central-1"}
        return [
            Profile(name="role", keys={**shared, "role_arn": moto.role_a, "mfa_serial": MFA}),
            Profile(name="user", keys={**shared, "duration_seconds": "900"}),
            Profile(name="tagged", keys={**shared, "role_arn": moto.role_a, "session_tags": "team=a,stage=b"}),
        ]

    @pytest.fixture
    def wrong_profiles(self) -> Sequence[Profile]:
        return [Profile(name="role", keys={"role_arn": "admin"}), Profile(name="user", keys={"duration_seconds": "5"})]

    @pytest.fixture
    def source(self, moto: MotoServer) -> Credentials:
        key = moto.alice
        return Credentials(access_key_id=key.access_key_id, secret_access_key=Secret(key.secret_access_key))
