"""The spec of the plugin, the location of its store, and that both are cheap to get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import (
    AtRest,
    Capability,
    ConfigError,
    Secret,
)
from vault_plugin_file.plugin import vault_storage_backends
from vault_testkit.context import FakeContext

KEY = "credentials/dev"


def spec() -> Any:
    (only,) = vault_storage_backends()
    return only


def test_spec_declares_file_backend() -> None:
    assert (spec().name, spec().at_rest, spec().max_value) == ("file", AtRest.BACKEND, None)
    assert spec().capabilities == Capability.CREATE_ONLY | Capability.CAS


@pytest.mark.parametrize(
    ("chosen", "home", "expected"),
    [
        (None, "/h", "data/store.vlt"),
        ("~/v", "/h", "/h/v/store.vlt"),
        ("~", "/h", "/h/store.vlt"),
        ("/x/y/", None, "/x/y/store.vlt"),
    ],
)
def test_locate_returns_path(tmp_path: Path, chosen: Any, home: Any, expected: Any) -> None:
    context = FakeContext(
        tmp_path,
        declared=spec().options,
        options={"dir": chosen} if chosen else {},
        environ={"HOME": home} if home else {},
    )
    assert spec().locate(context) == str(tmp_path / expected)
    assert not context.data_dir.exists()


def test_folder_in_unknown_home_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(path: Any) -> Any:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(ConfigError, match="there is no HOME"):
        spec().locate(FakeContext(tmp_path, options={"dir": "~/v"}))


@pytest.mark.unmeasured
def test_spec_imports_nothing_heavy() -> None:
    script = (
        "import sys, vault_plugin_file.plugin as plugin\n"
        "plugin.vault_storage_backends()\n"
        "print([name for name in ('cryptography', 'json', 'vault_plugin_file.backend') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["", "keys", "./keys", "../keys", "~other/keys"])
def test_relative_folder_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="not an absolute path"):
        spec().options[0].parse(text)


def test_spec_open_returns_working_backend(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, declared=spec().options, passphrases=["right"])
    spec().open(context).put(KEY, Secret("x"))
    assert (context.data_dir / "store.vlt").is_file()
