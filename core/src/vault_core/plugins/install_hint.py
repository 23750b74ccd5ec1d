"""The command that adds plugins to the environment that awsv runs in, from where this awsv came.

Another environment's ``pip`` adds them where awsv does not look, and the next upgrade by ``uv tool`` removes what
``uv tool`` was not given. What came from a checkout is taken from there: anybody can register its name in an index.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from vault_core.plugins.discovery import scan

OURS = {
    ("storage", "file"): "vault-plugin-file",
    ("passphrase", "env"): "vault-plugin-env",
    ("passphrase", "prompt"): "vault-plugin-prompt",
    ("mfa", "terminal"): "vault-plugin-prompt",
    ("session", "sts-federation"): "vault-plugin-aws",
    ("session", "sts"): "vault-plugin-aws",
    ("command", "file"): "vault-plugin-file",
    ("command", "import-aws-vault"): "vault-plugin-aws-vault",
    ("storage", "hashicorp"): "vault-plugin-hashicorp",
    ("passphrase", "hashicorp"): "vault-plugin-hashicorp",
    ("passphrase", "ssm"): "vault-plugin-ssm",
    ("command", "ssm"): "vault-plugin-ssm",
    ("storage", "keychain"): "vault-plugin-keychain",
    ("storage", "secret-service"): "vault-plugin-keychain",
    ("storage", "kwallet"): "vault-plugin-keychain",
    ("passphrase", "keychain"): "vault-plugin-keychain",
}
"""Kind and name of the plugins of this repository, to their distribution. An install command is shown for these alone,
because anybody can register any other name."""

STANDARD = ("vault-plugin-file", "vault-plugin-env", "vault-plugin-prompt", "vault-plugin-aws")
"""The distributions of the default settings, which ``awsv`` requires."""

ON_BOTOCORE = ("vault-plugin-aws", "vault-plugin-ssm")
"""The distributions that require ``vault-botocore``."""


def install_hint(*distributions: str) -> str:
    """A command for a shell that installs these distributions of ours and keeps what is installed.

    A sentence if vault-core came from a place that is neither an index, a folder of wheels nor a checkout, or if the
    record of a place is damaged.
    """
    try:
        return _install_command(distributions)
    except ValueError:
        return f"install {' '.join(distributions)} from where vault-core came from"


def _install_command(distributions: tuple[str, ...]) -> str:
    prefix, origin = Path(sys.prefix), _direct_url("vault-core")
    checkout = Path(unquote(urlsplit(origin["url"]).path)).parent if origin else None
    if checkout and not (checkout / "awsv/pyproject.toml").is_file():
        return f"install {' '.join(distributions)} from where vault-core came from: {origin['url']}"
    if (prefix / "pipx_metadata.json").is_file():
        names = [_awsv_with(distributions, checkout)] if checkout else distributions
        return shlex.join(["pipx", "inject", prefix.name, *names])
    if (prefix / "uv-receipt.toml").is_file():  # written by "uv tool install", which removes what it is not given
        return shlex.join(["uv", "tool", "install", _awsv_with(distributions, checkout), *_other_plugins()])
    sources = list(distributions)
    if checkout:  # an installer asks the index for whatever the command does not name
        library = ["vault-botocore"] if set(distributions) & set(ON_BOTOCORE) else []
        sources = [
            str(checkout / folder) for folder in (*library, *(f"plugins/{_short(one)}" for one in distributions))
        ]
    import importlib.util

    if importlib.util.find_spec("pip") is None:  # as in an environment that uv made
        core = [str(checkout / "core")] if checkout else []  # without it, uv asks the index for vault-core
        return shlex.join(["uv", "pip", "install", "--python", sys.executable, *core, *sources])
    return shlex.join([sys.executable, "-m", "pip", "install", *_outside_of_environments(), *sources])


def _awsv_with(distributions: tuple[str, ...], checkout: Path | None) -> str:
    """The distribution ``awsv`` with the extras for these distributions and for ours that are installed.

    From a checkout it refers to the folders of all of ours. A plugin alone refers to vault-core by its name, and what
    pipx and ``uv tool`` do then takes vault-core from the index.
    """
    installed = {offer.distribution for offer in scan()} & set(OURS.values())
    extras = ",".join(sorted(map(_short, (installed | set(distributions)) - set(STANDARD))))
    return (str(checkout / "awsv") if checkout else "awsv") + (f"[{extras}]" if extras else "")


def _other_plugins() -> Iterator[str]:
    """Options of ``uv tool install`` that keep the installed plugins of others."""
    for name in sorted({offer.distribution for offer in scan()} - set(OURS.values())):
        origin = _direct_url(name)
        vcs = origin.get("vcs_info")
        url = f"{vcs['vcs']}+{origin['url']}@{vcs['commit_id']}" if vcs else origin.get("url")
        yield from ("--with", f"{name} @ {url}" if url else name)


def _short(distribution: str) -> str:
    return distribution.removeprefix("vault-plugin-")


def _direct_url(distribution: str) -> dict[str, Any]:
    """Where an installed distribution came from, if not from an index or a folder of wheels (PEP 610); else empty.

    :raises ValueError: the record is damaged; the distribution's author could have written it.
    """
    import importlib.metadata
    import json

    origin = json.loads(importlib.metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    if not isinstance(origin, dict):
        raise ValueError("not an object")
    vcs = origin.get("vcs_info", {"vcs": "", "commit_id": ""})
    texts = [origin.get("url"), *(vcs.get(key) for key in ("vcs", "commit_id"))] if isinstance(vcs, dict) else [None]
    if origin and not all(isinstance(text, str) for text in texts):
        raise ValueError("not as PEP 610 says")
    return origin


def _outside_of_environments() -> Iterator[str]:
    if sys.prefix != sys.base_prefix:
        return
    import site
    import sysconfig

    if Path(__file__).is_relative_to(site.getusersitepackages()):
        yield "--user"
    if Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists():  # PEP 668; awsv was installed anyway
        yield "--break-system-packages"
