"""Create a storage plugin project that passes the contract kit, with a folder of files as its service."""

import re
from pathlib import Path
from string import Template

from vault_core.errors import UsageError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
LONGEST = 32
"""Of an entry point's name."""
TEMPLATE = Path(__file__).with_name("template")
PREFIX = "vault-plugin-"

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "src/{package}/__init__.py": None,
    "src/{package}/plugin.py": "plugin.py",
    "src/{package}/backend.py": "backend.py",
    "src/{package}/py.typed": None,
    "tests/test_contract.py": "test_contract.py",
}
"""Path in the project to the template; None: an empty file."""


def check_name(name: str) -> None:
    """
    :raises UsageError: a plugin cannot have this name.
    """
    if name.startswith(PREFIX):
        raise UsageError(f"{name!r} is a distribution", hint=f"give the plugin's name: {name.removeprefix(PREFIX)}")
    if not NAME.match(name) or not 2 <= len(name) <= LONGEST:
        raise UsageError(
            f"{name!r} is not a name for a plugin", hint=f"take 2 to {LONGEST} of a-z and 0-9, words joined by '-'"
        )


def make(name: str, parent: Path, *, core: str) -> Path:
    """Make the project in a new folder below ``parent``, and return that folder.

    :param core: the lowest version of vault-core that it needs, ``major.minor…``.
    :raises UsageError: the name cannot be one, or the folder cannot be made.
    """
    check_name(name)
    words = name.split("-")
    major, minor = re.findall(r"\d+", f"{core}.0")[:2]
    values = {
        "name": name,
        "distribution": PREFIX + name,
        "package": (PREFIX + name).replace("-", "_"),
        "cls": "".join(word.capitalize() for word in words) + "Backend",
        "variable": f"AWS_VAULT_{'_'.join(words).upper()}",
        "version": f"{major}.{minor}",
        "next": str(int(major) + 1),
    }
    folder = parent / values["distribution"]
    try:
        folder.mkdir()
        for path, template in FILES.items():
            file = folder / path.format_map(values)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_text(template, values), encoding="utf-8")
    except OSError as error:
        reason = "it exists already" if isinstance(error, FileExistsError) else error.strerror
        raise UsageError(f"cannot make {folder}: {reason}", hint="choose another folder or name") from None
    return folder


def _text(template: str | None, values: dict[str, str]) -> str:
    if template is None:
        return ""
    return Template((TEMPLATE / f"{template}.tmpl").read_text(encoding="utf-8")).substitute(values)
