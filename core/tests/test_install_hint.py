"""The install hint is for the environment that awsv runs in, names what can be had, and a shell takes it as it is.

``tests/meta/test_install.py`` follows the hints of real installations.
"""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import site
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from vault_core.plugins import install_hint as module
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.install_hint import STANDARD, install_hint

SSM = "vault-plugin-ssm"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's folder, with a space in its path."""
    folder = tmp_path / "an environment"
    (folder / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", f"{folder}/bin/python")
    return folder


class Installed:
    """What is installed, in place of the metadata of the environment that runs the tests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.origins: dict[str, dict[str, Any]] = {}
        self.plugins = list(STANDARD)
        monkeypatch.setattr(importlib.metadata, "distribution", self._distribution)
        monkeypatch.setattr(
            module, "scan", lambda: [AvailablePlugin("storage", "any", name, "1", "m") for name in self.plugins]
        )

    def _distribution(self, name: str) -> Installed:
        self._name = name
        return self

    def read_text(self, file: str) -> str | None:
        assert file == "direct_url.json"
        return json.dumps(self.origins[self._name]) if self._name in self.origins else None


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """The standard plugins, from an index."""
    return Installed(monkeypatch)


@pytest.fixture
def checkout(tmp_path: Path, installed: Installed) -> Path:
    """A checkout that everything was installed from."""
    folder = tmp_path / "a checkout"
    (folder / "awsv").mkdir(parents=True)
    (folder / "awsv/pyproject.toml").touch()
    installed.origins["vault-core"] = {"url": (folder / "core").as_uri(), "dir_info": {}}
    return folder


# -- from an index or a folder of wheels -------------------------------------------------------------------------------


def test_hint_in_virtual_environment_names_its_pip(prefix: Path) -> None:
    assert install_hint("one", "two") == f"'{prefix}/bin/python' -m pip install one two"


def test_hint_without_pip_names_uv(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert install_hint("one") == f"uv pip install --python '{prefix}/bin/python' one"


def test_hint_with_pipx_names_its_environment(prefix: Path) -> None:
    (prefix / "pipx_metadata.json").write_text("{}")
    assert install_hint("one", "two") == "pipx inject 'an environment' one two"


def test_hint_with_uv_tool_keeps_installed_plugins(prefix: Path, installed: Installed) -> None:
    (prefix / "uv-receipt.toml").touch()
    installed.plugins += ["vault-plugin-keychain", "vault-plugin-git", "vault-plugin-index", "vault-plugin-mine"]
    installed.origins = {
        "vault-plugin-mine": {"url": "file:///src/my%20plugin", "dir_info": {}},
        "vault-plugin-git": {"url": "https://example.com/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
    }
    assert shlex.split(install_hint(SSM)) == [
        *("uv", "tool", "install", "awsv[keychain,ssm]"),
        *("--with", "vault-plugin-git @ git+https://example.com/x@abc", "--with", "vault-plugin-index"),
        *("--with", "vault-plugin-mine @ file:///src/my%20plugin"),
    ]


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("user", [False, True])
def test_hint_outside_of_environments_has_the_options_that_pip_needs(
    managed: bool, user: bool, prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    here = Path(module.__file__).parents[2]
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(here if user else tmp_path))
    if managed:
        (tmp_path / "EXTERNALLY-MANAGED").touch()
    flags = " --user" * user + " --break-system-packages" * managed
    assert install_hint("one") == f"'{prefix}/bin/python' -m pip install{flags} one"


# -- from a checkout ---------------------------------------------------------------------------------------------------


def test_hint_from_checkout_names_its_folders(prefix: Path, checkout: Path) -> None:
    pip = f"'{prefix}/bin/python' -m pip install"
    assert install_hint(SSM) == f"{pip} '{checkout}/vault-botocore' '{checkout}/plugins/ssm'"
    assert install_hint("vault-plugin-keychain") == f"{pip} '{checkout}/plugins/keychain'"


def test_hint_from_checkout_without_pip_names_core_too(
    prefix: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    folders = [f"{checkout}/{folder}" for folder in ("core", "vault-botocore", "plugins/ssm")]
    words = ["uv", "pip", "install", "--python", f"{prefix}/bin/python", *folders]
    assert shlex.split(install_hint(SSM)) == words


@pytest.mark.parametrize(
    ("file", "command"),
    [("pipx_metadata.json", "pipx inject 'an environment'"), ("uv-receipt.toml", "uv tool install")],
)
def test_hint_from_checkout_with_tool_names_awsv_with_extras(
    file: str, command: str, prefix: Path, checkout: Path, installed: Installed
) -> None:
    (prefix / file).touch()
    assert install_hint(*STANDARD) == f"{command} '{checkout}/awsv'"
    assert install_hint(SSM) == f"{command} '{checkout}/awsv[ssm]'"
    installed.plugins.append("vault-plugin-keychain")
    assert install_hint(SSM) == f"{command} '{checkout}/awsv[keychain,ssm]'"


@pytest.mark.parametrize(
    "url", ["file:///gone/core", "file:///wheels/vault_core-0.1.0-py3-none-any.whl", "https://example.com/awsv.git"]
)
def test_hint_from_other_places_is_a_sentence(url: str, prefix: Path, installed: Installed) -> None:
    installed.origins["vault-core"] = {"url": url}
    assert install_hint(SSM) == f"install {SSM} from where vault-core came from: {url}"


@pytest.mark.parametrize(
    "record",
    ["damaged", [1], 5, "text", {"a": 1}, {"url": 5}, {"url": "https://[x"}, {"url": "x", "vcs_info": {"vcs": "git"}}],
)
def test_hint_with_damaged_record_of_origin_is_a_sentence(
    record: object, prefix: Path, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a plugin is its author's to write, and an index could have another plugin of its name."""
    (prefix / "uv-receipt.toml").touch()
    installed.plugins.append("foreign")
    for name in ("foreign", "vault-core"):
        installed.origins = {name: record}  # type: ignore[dict-item]  # a damaged record
        if record == "damaged":
            monkeypatch.setattr(Installed, "read_text", lambda self, _, name=name: "{" if self._name == name else None)
        if name == "vault-core" or record != {"url": "https://[x"}:  # that one is for uv to refuse
            assert install_hint(SSM) == f"install {SSM} from where vault-core came from"
