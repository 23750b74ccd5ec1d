"""A provider ``sts`` whose AWS is the recording front."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.moto import MotoServer
from support.recording_proxy import Fault, RecordingProxy
from vault_core.api import CallerIdentity, Credentials, IdentifiesCaller, Profile, Secret, SessionRequest
from vault_plugin_aws import client, sts
from vault_plugin_aws.plugin import vault_session_providers
from vault_testkit.context import FakeContext

MFA = "arn:aws:iam::123456789012:mfa/phone"
CODE = "918273"
SPEC, _ = vault_session_providers()


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

    def identify(self, **keys: str) -> CallerIdentity:
        """Whose alice's key is."""
        profile = Profile(name="work", keys={"endpoint_url": self.endpoint, **keys})
        provider = SPEC.open(FakeContext(self.root, environ=self.environ))
        assert isinstance(provider, IdentifiesCaller)
        return provider.identify(
            SessionRequest(
                parameters=SPEC.parameters({}, profile),
                source=self.source,
                mfa=self._answer,
                deadline=time.monotonic() + 30,
            )
        )

    def assume(self, **more: str) -> Credentials:
        """A session of ``RoleA``."""
        return self.issue(role_arn=self.role, **more)  # type: ignore[arg-type]  # keys of the profile alone

    def _answer(self) -> Secret:
        self.asked += 1
        return Secret(self.code)


@pytest.fixture
def aws(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> Sts:
    """The provider, with alice's stored key as its source."""
    key = Credentials(access_key_id=moto.alice.access_key_id, secret_access_key=Secret(moto.alice.secret_access_key))
    return Sts(root=tmp_path, endpoint=front.url, source=key, role=moto.role_a)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts."""
    monkeypatch.setattr(sts, "PAUSES", (0.01, 0.02))


@pytest.fixture
def expect(front: RecordingProxy, monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Have every AssumeRole answered so; an answer that never comes is not waited for as long as one of moto's."""

    def answered(answer: Fault) -> None:
        front.on("AssumeRole", answer)
        if answer.delay:
            monkeypatch.setattr(client, "READ_SECONDS", 0.3)

    return answered
