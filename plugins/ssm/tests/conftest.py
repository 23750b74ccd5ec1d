"""A source ``ssm`` whose AWS is the recording front."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.moto import REGION, MotoServer
from support.recording_proxy import RecordingProxy
from vault_core.api import PassphraseRequest, Secret
from vault_plugin_ssm.choices import identity
from vault_plugin_ssm.plugin import vault_passphrase_sources
from vault_testkit import FakeContext

PASSPHRASE = "correct horse battery staple, canary"
[SPEC] = vault_passphrase_sources()
_numbers = itertools.count(1)


@dataclass
class Ssm:
    """Asks for parameters at an endpoint."""

    root: Path
    moto: MotoServer
    environ: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    loops: dict[str, str] = field(default_factory=dict)
    context: FakeContext = field(init=False)
    """Of the last :meth:`get`."""

    def put(self, value: str = PASSPHRASE, *, type: str = "SecureString") -> str:
        """A new parameter, whose name is an option from now on."""
        name = f"/laptop/vault-{next(_numbers)}"
        self.moto.client("ssm").put_parameter(Name=name, Value=value, Type=type)
        self.options["parameter"] = name
        return name

    def get(self, **request: Any) -> Secret | None:
        """What the source answers."""
        self.context = FakeContext(
            self.root, declared=SPEC.options, options=self.options, environ=self.environ, recursions=self.loops
        )
        return SPEC.open(self.context).get(PassphraseRequest(store="file", key_id="a/b", **request))

    def profile(self, text: str, credentials: str = "") -> None:
        """Read as profile ``reader`` of this AWS config."""
        self.root.joinpath("config").write_text(text)
        self.root.joinpath("credentials").write_text(credentials)
        self.options["credentials"] = identity("profile:reader")

    def keys(self, more: Mapping[str, str] | None = None) -> str:
        """Alice's key as lines of a config file."""
        lines = {
            "aws_access_key_id": self.moto.alice.access_key_id,
            "aws_secret_access_key": self.moto.alice.secret_access_key,
            **(more or {}),
        }
        return "".join(f"{name} = {value}\n" for name, value in lines.items())


@pytest.fixture
def ssm(tmp_path: Path, front: RecordingProxy, moto: MotoServer) -> Ssm:
    """The source, as alice by the keys in the environment, with a parameter that is there."""
    environ = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_ENDPOINT_URL": front.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": moto.alice.access_key_id,
        "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key,
    }
    found = Ssm(tmp_path, moto, environ, {"credentials": identity("environment")})
    found.put()
    return found
