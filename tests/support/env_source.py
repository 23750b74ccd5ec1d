"""The source ``env``, asked in a chosen environment."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from vault_core.api import PassphraseError, PassphraseRequest, Secret
from vault_plugin_env import plugin
from vault_testkit import FakeContext

NAME = "AWS_VAULT_FILE_PASSPHRASE"
EVERY = "AWS_VAULT_PASSPHRASE"
CANARY = "canary Zk3 läßt grüßen"


def context(tmp_path: Path, environ: Mapping[str, str]) -> FakeContext:
    return FakeContext(tmp_path, store="file", environ={"PATH": os.environ["PATH"], **environ})


def get(context: FakeContext, *, store: str = "file", deadline: float | None = None, attempt: int = 1) -> Secret | None:
    [spec] = plugin.vault_passphrase_sources()
    request = PassphraseRequest(store=store, key_id="file/1", attempt=attempt, deadline=deadline)
    return spec.open(context).get(request)


def refusal(tmp_path: Path, environ: Mapping[str, str], error: type[Exception] = PassphraseError) -> str:
    """The message of the refusal; neither it nor a notice contains the canary."""
    asked = context(tmp_path, environ)
    with pytest.raises(error) as caught:
        get(asked)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + "".join(asked.notes)
    assert CANARY not in told
    assert not asked.questions
    return str(caught.value)
