"""``awsv config`` looks at stores without asking anybody, in process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.scripted import Machine
from vault_core import stdout
from vault_core.api import AtRest, Capability, StorageSpec
from vault_core.cli.config import credential_process

if TYPE_CHECKING:
    import pytest


def test_which_keys_a_server_has_is_not_asked_of_it_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A person sits there, and could be asked: for a look at the config they are not, and neither is a server."""
    monkeypatch.setattr(stdout, "_kept", None)
    machine = Machine(tmp_path, person=True)
    opened: list[Any] = []
    spec = StorageSpec(
        name="far",
        summary="s",
        open=opened.append,  # type: ignore[arg-type]  # it is not called
        at_rest=AtRest.SERVICE,
        capabilities=Capability.REMOTE,
    )
    machine.host.plugins._loaded["storage", "far"] = spec
    config = tmp_path / "config"
    config.write_text("[profile user]\nregion = eu-west-1\n")
    app = machine.app(AWS_CONFIG_FILE=str(config), AWS_VAULT_BACKEND="far")
    for part in ("resolver", "cache"):  # of the scripted config
        del vars(app.client)[part]
    credential_process.main(["--all", "--dry-run"], obj=app, standalone_mode=False)
    assert opened == []
    shown = capfd.readouterr()
    assert "store 'far' needs the network: which keys it has was not checked" in shown.err
    assert "+credential_process" in shown.out
