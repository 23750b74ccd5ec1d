"""Metadata of every distribution: what pyproject.toml declares, and what its wheel and source archive contain."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LICENSE = (ROOT / "LICENSE").read_text()
CANONICAL_APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of the text that the Apache Software Foundation publishes, with its two placeholders."""
SHARED = ("readme", "requires-python", "license", "license-files", "authors", "classifiers")
"""Fields that have the same value in every distribution."""


def projects() -> list[Path]:
    """The folder of every distribution of the workspace."""
    found = [*ROOT.glob("[!.]*/pyproject.toml"), *ROOT.glob("[!.]*/[!.]*/pyproject.toml")]
    return sorted(path.parent for path in found)


PROJECTS = pytest.mark.parametrize("project", projects(), ids=lambda path: path.name)


def metadata(project: Path) -> dict[str, Any]:
    fields: dict[str, Any] = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    return fields


def test_license_is_apache_2_with_one_copyright_line() -> None:
    text = LICENSE.replace("Copyright 2026 The awsv authors", "Copyright [yyyy] [name of copyright owner]")
    assert hashlib.sha256(text.encode()).hexdigest() == CANONICAL_APACHE_2
    assert text != LICENSE


def test_shared_metadata_of_core_names_license_and_authors() -> None:
    core = metadata(ROOT / "core")
    assert {name: core[name] for name in SHARED if name != "classifiers"} == {
        "readme": "README.md",
        "requires-python": ">=3.11",
        "license": "Apache-2.0",
        "license-files": ["LICENSE"],
        "authors": [{"name": "The awsv authors"}],
    }
    assert "Typing :: Typed" in core["classifiers"]


@PROJECTS
def test_metadata_of_each_distribution_is_complete(project: Path) -> None:
    fields, core = metadata(project), metadata(ROOT / "core")
    assert {name: fields.get(name) for name in SHARED} == {name: core[name] for name in SHARED}
    assert fields["description"].startswith("awsv: ")
    assert len(fields["keywords"]) >= 3
    assert (project / "README.md").is_file()


@PROJECTS
def test_built_archives_contain_license_and_type_marker(project: Path, tmp_path: Path) -> None:
    """Built by hatchling, which also refuses classifiers that do not exist."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=project, env={}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        fields = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        assert wheel.read(f"{info}/licenses/LICENSE").decode() == LICENSE
    declared = (fields["License-Expression"], fields.get_all("License-File"), fields["Author"])
    assert declared == ("Apache-2.0", ["LICENSE"], "The awsv authors")
    packages = {name.partition("/")[0] for name in names if name.count("/") == 1 and name.endswith("/__init__.py")}
    assert {package for package in packages if f"{package}/py.typed" not in names} == set()

    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as source:
        text = source.extractfile(f"{info.removesuffix('.dist-info')}/LICENSE")
        assert text is not None
        assert text.read().decode() == LICENSE
