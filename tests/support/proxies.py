"""The variables by which an environment names a proxy, in both cases of letters."""

from __future__ import annotations

VARIABLES = tuple(spelt for name in ("http_proxy", "https_proxy", "all_proxy") for spelt in (name, name.upper()))


def everywhere(url: str) -> dict[str, str]:
    """An environment in which a proxy is for everything; ``no_proxy`` names somebody else."""
    return {**dict.fromkeys(VARIABLES, url), "no_proxy": "other.invalid", "NO_PROXY": "other.invalid"}
