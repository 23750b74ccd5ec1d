"""The command that adds a distribution to the very environment that awsv runs in.

``pip`` alone would often be the wrong one: another environment's, or one whose work ``pipx`` or ``uv tool`` undoes.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CORE = "vault-core"


def install_hint(*distributions: str) -> str:
    """A line for a shell that installs these distributions, and keeps what is installed."""
    prefix = Path(sys.prefix)
    names = " ".join(distributions)
    python = shlex.quote(sys.executable)
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx inject {shlex.quote(prefix.name)} {names}"
    receipt = prefix / "uv-receipt.toml"  # written by "uv tool install"
    if receipt.is_file() and (known := _received(receipt)):
        more = [word for name in distributions for word in ("--with", name)]
        return shlex.join(["uv", "tool", "install", *known, *more])
    import importlib.util

    if receipt.is_file() or importlib.util.find_spec("pip") is None:  # environments that uv makes have no pip
        return f"uv pip install --python {python} {names}"
    return " ".join([python, "-m pip install", *_outside_of_environments(), names])


def _outside_of_environments() -> Iterator[str]:
    if sys.prefix != sys.base_prefix:
        return
    import site
    import sysconfig

    if Path(__file__).is_relative_to(site.getusersitepackages()):
        yield "--user"
    if Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists():  # PEP 668; the core got past it, too
        yield "--break-system-packages"


def _received(receipt: Path) -> list[str]:
    """The words that installed what is there: ``uv tool`` adds nothing, it installs again what it is given.

    Empty where the receipt is not understood.
    """
    import tomllib

    try:
        known = tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]
        ((option, core),) = [_requirement(one) for one in known if one["name"] == CORE]
        more = [word for one in known if one["name"] != CORE for word in _requirement(one)]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [*(["--editable"] if option == "--with-editable" else []), core, *more]


def _requirement(entry: Mapping[str, Any]) -> tuple[str, str]:
    """An entry of uv's receipt as it is typed: an option and its value.

    :raises LookupError: it came from somewhere that is not one word (a repository's branch).
    """
    if "editable" in entry:
        return "--with-editable", str(entry["editable"])
    for place in ("directory", "path", "url"):
        if place in entry:
            return "--with", str(entry[place])
    if "git" in entry:
        raise LookupError(entry["name"])
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    return "--with", f"{entry['name']}{extras}{entry.get('specifier', '')}"
