"""The line that installs a plugin is for the environment that awsv runs in, and a shell takes it as it is."""

from __future__ import annotations

import shlex
import site
import sys
import sysconfig
from pathlib import Path

import pytest

from vault_core.plugins import install_hint as module
from vault_core.plugins.install_hint import install_hint


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's folder, with a blank in its path."""
    folder = tmp_path / "an environment"
    (folder / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", f"{folder}/bin/python")
    return folder


def test_hint_in_virtual_environment(prefix: Path) -> None:
    assert install_hint("one", "two") == f"'{prefix}/bin/python' -m pip install one two"


def test_hint_without_pip_uses_uv(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert install_hint("one") == f"uv pip install --python '{prefix}/bin/python' one"


def test_hint_in_pipx_environment(prefix: Path) -> None:
    (prefix / "pipx_metadata.json").write_text("{}")
    assert install_hint("one", "two") == "pipx inject 'an environment' one two"


RECEIPT = """
[tool]
requirements = [
    { name = "vault-core", extras = ["standard", "ssm"], specifier = ">=0.1,<1" },
    { name = "boto3", specifier = "==1.40.1" },
    { name = "vault-plugin-file", directory = "/src/my plugins/file" },
    { name = "vault-plugin-mine", editable = "/src/mine" },
    { name = "vault-plugin-wheel", url = "https://example.com/w.whl" },
]
entrypoints = []
"""


def test_hint_in_uv_tool_keeps_installed_distributions(prefix: Path) -> None:
    (prefix / "uv-receipt.toml").write_text(RECEIPT)
    line = install_hint("one", "two")
    assert shlex.split(line) == [
        *("uv", "tool", "install", "vault-core[standard,ssm]>=0.1,<1"),
        *("--with", "boto3==1.40.1", "--with", "/src/my plugins/file"),
        *("--with-editable", "/src/mine", "--with", "https://example.com/w.whl", "--with", "one", "--with", "two"),
    ]
    assert "'vault-core[standard,ssm]>=0.1,<1'" in line


def test_hint_in_uv_tool_from_checkout(prefix: Path) -> None:
    (prefix / "uv-receipt.toml").write_text('[tool]\nrequirements = [{ name = "vault-core", editable = "/src/core" }]')
    assert install_hint("one") == "uv tool install --editable /src/core --with one"


@pytest.mark.parametrize(
    "receipt",
    ["", "[tool]", "no toml", '[tool]\nrequirements = [{ name = "vault-core", git = "https://x.y/z?rev=1" }]'],
)
def test_hint_with_unusable_uv_receipt(receipt: str, prefix: Path) -> None:
    """Added to what is there, which is undone by the next upgrade: better than a line that drops what is there."""
    (prefix / "uv-receipt.toml").write_text(receipt)
    assert install_hint("one") == f"uv pip install --python '{prefix}/bin/python' one"


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("user", [False, True])
def test_hint_outside_environments(
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
