"""A Python environment of a test's own, with plugins in it that nobody would want in the real one.

It is the environment that runs the tests, by symbolic links, minus what a test takes away and plus what it installs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

from support.home import PROGRAM
from vault_core.plugins.discovery import normalise

STORAGE = "vault.storage.v1"
PASSPHRASE = "vault.passphrase.v1"
HEADER = "from __future__ import annotations\nimport os, subprocess, sys\nfrom vault_core.api import *\n"
"""What every module of a plugin begins with."""
REAL = Path(sysconfig.get_paths()["purelib"])


def name_interpreter(launcher: Path, interpreter: str | Path) -> None:
    """Write the file beside a launcher whose first line names its interpreter, as an installer does."""
    rest = PROGRAM.with_name("awsv-python").read_text(encoding="utf-8").partition("\n")[2]
    launcher.with_name("awsv-python").write_text(f"#!{interpreter}\n{rest}", encoding="utf-8")


class OverlayEnv:
    """A virtual environment in a folder.

    :param without: distributions of ours that are not installed here.
    """

    def __init__(self, root: Path, *, without: Iterable[str] = ()) -> None:
        self._wheels: Path | None = None
        self.python = root / "bin/python"
        self.awsv = root / "bin/awsv"
        self.packages = root / Path(sysconfig.get_path("purelib", vars={"base": ".", "installed_base": "."}))
        self.packages.mkdir(parents=True)
        self.python.parent.mkdir()
        self.python.symlink_to(Path(sys.executable).resolve())
        (root / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
        absent = tuple(re.sub("[-_.]+", "_", name) for name in without)
        for path in REAL.iterdir():
            if not (absent and path.name.removeprefix("_editable_impl_").startswith(absent)):
                (self.packages / path.name).symlink_to(path)
        shutil.copy(PROGRAM, self.awsv)
        name_interpreter(self.awsv, self.python)

    def install(
        self,
        distribution: str,
        offers: Mapping[str, Mapping[str, str]],
        files: Mapping[str, str],
        *,
        version: str = "1.0",
    ) -> None:
        """Put a distribution here as an installer does; inside :meth:`by_pip`, have pip do it.

        :param offers: entry-point group to names to modules.
        :param files: path to source, dedented.
        """
        label = f"{distribution.replace('-', '_')}-{version}"
        info = f"{label}.dist-info"
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in offers.items()]
        contents = {path: textwrap.dedent(text) for path, text in files.items()} | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
            f"{info}/entry_points.txt": "\n".join(lines),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        contents[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*contents, f"{info}/RECORD"))
        if self._wheels is not None:
            with ZipFile(self._wheels / f"{label}-py3-none-any.whl", "w") as wheel:
                for path, text in contents.items():
                    wheel.writestr(path, text)
            return
        for path, text in contents.items():
            (self.packages / path).parent.mkdir(parents=True, exist_ok=True)
            (self.packages / path).write_text(text)

    @contextmanager
    def by_pip(self, folder: Path) -> Iterator[None]:
        """What is installed inside becomes wheels, which pip installs at the end.

        :param folder: where the wheels are kept; it does not exist yet.
        """
        folder.mkdir()
        self._wheels = folder
        try:
            yield
        finally:
            self._wheels = None
        pip = (sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", "install")
        subprocess.run(
            [*pip, "--quiet", "--no-index", "--no-deps", "--no-compile", *sorted(folder.iterdir())],
            check=True,
            timeout=300,
        )

    def uninstall(self, distribution: str) -> None:
        """Take away the metadata of what :meth:`install` put here."""
        for path in self.packages.glob("*.dist-info"):
            if normalise(path.name.partition("-")[0]) == normalise(distribution):
                shutil.rmtree(path)


def module_of(name: str) -> str:
    return f"vault_plugin_{name.replace('-', '_')}"


def install(site: OverlayEnv, name: str, source: str, *, group: str = STORAGE) -> str:
    """Install a distribution with one plugin; its name."""
    site.install(f"vault-plugin-{name}", {group: {name: module_of(name)}}, {f"{module_of(name)}.py": source})
    return f"vault-plugin-{name}"


def plugin_folder(distribution: str) -> Path:
    """What the installation that runs the tests names in a hint: the folder of a plugin in the checkout."""
    return Path(__file__).parents[2] / "plugins" / distribution.removeprefix("vault-plugin-")


def failure(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """Standard error of a failure as it should be."""
    assert (done.returncode, done.stdout) == (code, ""), done
    stderr = done.stderr
    message, hint = [line for line in stderr.splitlines() if line.startswith(("awsv: ", "hint: "))][-2:]
    assert message.startswith("awsv: ")
    assert hint.startswith("hint: ")
    assert "Traceback" not in stderr
    for word in words:
        assert word in stderr
    return stderr
