"""Which variables of the environment a plugin sees.

It is a guard against mistakes, not against malice: a plugin runs in awsv's own process, which has them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

from vault_core.settings import OWN_VARIABLES, is_secret_variable, is_way_to_passphrase

if TYPE_CHECKING:
    from vault_core.api import Option

ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "XDG_RUNTIME_DIR")
"""What programs get that a plugin runs, besides the variables that it names."""
DESKTOP = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "SSH_CONNECTION", "CI", "TZ")
"""What decides, besides :data:`ENVIRONMENT`, whether a plugin can run here."""

_PLACE = re.compile(r"(LC|XDG)_[A-Z_]+|[A-Z0-9_]+_(ADDR|DIR|FILE|HOST|NAMESPACE|PORT|REGION)|[A-Z0-9_]*HOME", re.ASCII)
"""Names of variables that say where something is, and hold no secret."""


def variable(plugin: str, option: str) -> str:
    """The variable of a plugin's option."""
    return f"AWS_VAULT_{plugin}_{option}".replace("-", "_").upper()


def visible(
    environ: Mapping[str, str],
    plugin: str,
    declared: Sequence[Option],
    reads: Sequence[str] = (),
    installed: Iterable[str] = (),
) -> Mapping[str, str]:
    """The environment as a plugin sees it: without the secrets of others.

    :param declared: its options; it sees their variables.
    :param reads: its spec's ``secret_variables``.
    :param installed: the names of all plugins: what belongs to another one is hidden, as nobody knows whether it is
        secret before that one is loaded.
    """
    own = {variable(plugin, option.name) for option in declared}
    names = [plugin, *installed]

    def shown(name: str) -> bool:
        if name in own or any(fnmatchcase(name, pattern) for pattern in reads):
            return True
        return not is_secret_variable(name) and owner(name, names) in (None, plugin)

    return MappingProxyType({name: text for name, text in environ.items() if shown(name)})


def for_examination(environ: Mapping[str, str], plugin: str, installed: Iterable[str]) -> dict[str, str]:
    """The environment of a process that only looks at a plugin, which its user may never have named."""
    names = [plugin, *installed]

    def given(name: str) -> bool:
        if is_secret_variable(name) or is_way_to_passphrase(name):  # the command may hold what it prints
            return False
        if name.startswith("AWS_VAULT_"):
            return name in OWN_VARIABLES or owner(name, names) == plugin
        return name in ENVIRONMENT or name in DESKTOP or _PLACE.fullmatch(name) is not None

    return {name: text for name, text in environ.items() if given(name)}


def owner(name: str, plugins: Iterable[str]) -> str | None:
    """The plugin that a variable belongs to: of ``a`` and ``a-b`` ``AWS_VAULT_A_B_C`` is the latter's."""
    found = [plugin for plugin in plugins if name not in OWN_VARIABLES and name.startswith(variable(plugin, ""))]
    return max(found, key=len, default=None)
