"""The command that installs a distribution into the environment in which awsv runs.

A plain ``pip install`` would often use another environment, or one whose changes ``pipx`` or ``uv tool`` undo.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CORE = "vault-core"

OURS = {
    ("storage", "file"): "vault-plugin-file",
    ("passphrase", "env"): "vault-plugin-env",
    ("passphrase", "prompt"): "vault-plugin-prompt",
    ("mfa", "terminal"): "vault-plugin-prompt",
    ("session", "sts"): "vault-plugin-aws",
    ("command", "file"): "vault-plugin-file",
    ("storage", "hashicorp"): "vault-plugin-hashicorp",
    ("passphrase", "hashicorp"): "vault-plugin-hashicorp",
    ("passphrase", "ssm"): "vault-plugin-ssm",
    ("command", "ssm"): "vault-plugin-ssm",
    ("storage", "keychain"): "vault-plugin-keychain",
    ("storage", "secret-service"): "vault-plugin-keychain",
    ("storage", "kwallet"): "vault-plugin-keychain",
    ("storage", "wincred"): "vault-plugin-keychain",
    ("passphrase", "keychain"): "vault-plugin-keychain",
}
"""Kind and name of the plugins of this repository, to their distribution. An install command is shown for these alone,
because anybody can register any other name."""

STANDARD = ("vault-plugin-file", "vault-plugin-env", "vault-plugin-prompt", "vault-plugin-aws")
"""The distributions of ``vault-core[standard]``: the default settings need them."""


def install_hint(*distributions: str) -> str:
    """A shell command that installs these distributions and keeps those that are installed."""
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
    if Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists():  # PEP 668; awsv was installed anyway
        yield "--break-system-packages"


def _received(receipt: Path) -> list[str]:
    """The arguments of the installation: ``uv tool install`` replaces what is installed by what it is given.

    Empty if the receipt cannot be parsed.
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
    """An entry of uv's receipt as command-line arguments: an option and its value.

    :raises LookupError: it has no single argument (the branch of a repository).
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
