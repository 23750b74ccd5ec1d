"""A provider ``sts`` whose AWS is the recording front."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.busy import seconds
from support.front import Front
from support.moto import MotoServer
from vault_core.api import Credentials, Profile, Secret, SessionRequest
from vault_core.testing.context import FakeContext
from vault_plugin_aws import client, sts
from vault_plugin_aws.plugin import vault_session_providers

MFA = "arn:aws:iam::123456789012:mfa/phone"
CODE = "918273"
[SPEC] = vault_session_providers()


@dataclass
class Sts:
    """Issues sessions from alice's key at an endpoint."""

    root: Path
    endpoint: str
    source: Credentials
    role: str
    environ: dict[str, str] = field(default_factory=dict)
    check: Callable[[], None] | None = None
    asked: int = 0
    code: str = CODE

    def issue(self, keys: Mapping[str, str] | None = None, *, seconds: float = 30, **more: str) -> Credentials:
        """A session of a profile that has these keys.

        :param seconds: from now to the deadline.
        """
        context = FakeContext(self.root, environ=self.environ)
        if self.check is not None:
            context.check = self.check  # type: ignore[method-assign]  # a test's own cancellation
        profile = Profile(name="work", keys={"endpoint_url": self.endpoint, **(keys or {}), **more})
        request = SessionRequest(
            parameters=SPEC.parameters({}, profile),
            source=self.source,
            mfa=self._answer,
            deadline=time.monotonic() + seconds,
        )
        return SPEC.open(context).issue(request)

    def assume(self, **more: str) -> Credentials:
        """A session of ``RoleA``."""
        return self.issue(role_arn=self.role, **more)

    def _answer(self) -> Secret:
        self.asked += 1
        return Secret(self.code)


@pytest.fixture
def aws(tmp_path: Path, front: Front, moto: MotoServer) -> Sts:
    """The provider, with alice's stored key as its source."""
    key = Credentials(access_key_id=moto.alice.access_key_id, secret_access_key=Secret(moto.alice.secret_access_key))
    return Sts(root=tmp_path, endpoint=front.url, source=key, role=moto.role_a)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses and the time-outs, so that a test of them takes no half minute. Moto has to answer in them."""
    monkeypatch.setattr(sts, "PAUSES", (0.01, 0.02))
    limit = min(seconds(1.5), 6.0)  # three of them, all in vain, are less than the deadline
    monkeypatch.setattr(client, "READ_SECONDS", limit)
    monkeypatch.setattr(client, "CONNECT_SECONDS", limit)
