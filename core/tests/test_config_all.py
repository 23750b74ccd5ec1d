"""``awsv config`` looks at stores without asking anybody, in process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.scripted import Machine
from vault_core import output
from vault_core.api import AtRest, Capability, StorageSpec
from vault_core.cli.app import App
from vault_core.cli.config import credential_process
from vault_core.settings import Settings

if TYPE_CHECKING:
    import pytest


def test_which_keys_a_server_has_is_not_asked_of_it_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A person sits there, and could be asked: for a look at the config they are not, and neither is a server."""
    monkeypatch.setattr(output, "_kept", None)
    monkeypatch.setattr(output, "guard", lambda: None)  # the whole process's standard output, which is pytest's
    machine = Machine(tmp_path, person=True)
    opened: list[Any] = []
    spec = StorageSpec(
        name="far",
        summary="s",
        open=opened.append,  # type: ignore[arg-type]
        at_rest=AtRest.SERVICE,
        capabilities=Capability.REMOTE,
    )
    machine.host.plugins._loaded["storage", "far"] = spec
    config = tmp_path / "config"
    config.write_text("[profile user]\nregion = eu-west-1\n")
    app = App(Settings({**machine.host.settings.environ, "AWS_CONFIG_FILE": str(config), "AWS_VAULT_BACKEND": "far"}))
    machine.host.settings = app.settings
    vars(app).update(host=machine.host, plugins=machine.host.plugins, generations=machine.generations)
    credential_process.main(["--all", "--dry-run"], obj=app, standalone_mode=False)
    assert opened == []
    shown = capfd.readouterr()
    assert "store 'far' needs the network: which keys it has was not checked" in shown.err
    assert "+credential_process" in shown.out
