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


def install_line(*distributions: str) -> str:
    """A line for a shell that installs these distributions, and keeps what is installed."""
    prefix = Path(sys.prefix)
    names = " ".join(distributions)
    receipt = prefix / "uv-receipt.toml"  # written by "uv tool install"
    if receipt.is_file():
        return _with_uv(receipt, distributions)
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx inject {shlex.quote(prefix.name)} {names}"
    import importlib.util

    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip") is None:  # as in the environments that uv makes
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


def _with_uv(receipt: Path, distributions: tuple[str, ...]) -> str:
    """``uv tool`` adds nothing to what is installed: it installs again, with everything that it is given."""
    import tomllib

    try:
        known = tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]
        main = [_requirement(one) for one in known if one["name"] == CORE]
        more = [_requirement(one) for one in known if one["name"] != CORE]
    except (OSError, ValueError, LookupError, TypeError):
        main, more = [CORE], []
    words = ["uv", "tool", "install", *(main or [CORE])]
    for requirement in (*more, *distributions):
        words += ["--with", requirement]
    return shlex.join(words)


def _requirement(entry: Mapping[str, Any]) -> str:
    """An entry of uv's receipt as it is typed.

    :raises LookupError: it came from somewhere that is not one word (a repository's branch).
    """
    for place in ("directory", "editable", "path", "url"):
        if place in entry:
            return str(entry[place])
    if "git" in entry:
        raise LookupError(entry["name"])
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    return f"{entry['name']}{extras}{entry.get('specifier', '')}"
