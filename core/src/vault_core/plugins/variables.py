"""The variables of the environment that a plugin sees.

This prevents mistakes, not malice: a plugin runs in the process of awsv, which has all variables.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from vault_core.api import Option
from vault_core.child_env import is_secret_variable
from vault_core.consulted import Visible
from vault_core.settings import OWN_VARIABLES, is_way_to_passphrase

ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "XDG_RUNTIME_DIR")
"""Variables that every program of a plugin gets."""
DESKTOP = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "SSH_CONNECTION", "CI", "TZ")
"""Further variables that decide whether a plugin can run here."""

_PLACE = r"(?a)(LC|XDG)_[A-Z_]+|[A-Z0-9_]+_(ADDR|DIR|FILE|HOST|NAMESPACE|PORT|REGION)|[A-Z0-9_]*HOME"
"""Names of variables that say where something is, and do not hold a secret."""


def variable(plugin: str, option: str) -> str:
    """The environment variable of an option of a plugin."""
    return f"AWS_VAULT_{plugin}_{option}".replace("-", "_").upper()


def visible(
    environ: Mapping[str, str],
    plugin: str,
    declared: Sequence[Option],
    reads: Sequence[str] = (),
    installed: Iterable[str] = (),
) -> Mapping[str, str]:
    """The environment for a plugin, without the secrets of other plugins.

    :param declared: the options of the plugin; it sees their variables.
    :param reads: ``secret_variables`` of its spec.
    :param installed: the names of all plugins. The variables of other plugins are hidden, because only loading a plugin
        would show which of its variables are secret.
    """
    own = {variable(plugin, option.name) for option in declared}
    names = [plugin, *installed]

    def shown(name: str) -> bool:
        if name in own or any(fnmatchcase(name, pattern) for pattern in reads):
            return True
        return not is_secret_variable(name) and owner(name, names) in (None, plugin)

    return Visible(environ, shown)


def for_examination(environ: Mapping[str, str], plugin: str, installed: Iterable[str]) -> dict[str, str]:
    """The environment of a process that examines a plugin, which the user may never have named."""
    names = [plugin, *installed]

    def given(name: str) -> bool:
        if is_secret_variable(name) or is_way_to_passphrase(name):  # a command may contain the passphrase
            return False
        if name.startswith("AWS_VAULT_"):
            return name in OWN_VARIABLES or owner(name, names) == plugin
        return name in ENVIRONMENT or name in DESKTOP or re.fullmatch(_PLACE, name) is not None

    return {name: text for name, text in environ.items() if given(name)}


def owner(name: str, plugins: Iterable[str]) -> str | None:
    """The plugin of a variable: that of ``AWS_VAULT_A_B_C`` is ``a-b``, if both ``a`` and ``a-b`` exist."""
    found = [plugin for plugin in plugins if name not in OWN_VARIABLES and name.startswith(variable(plugin, ""))]
    return max(found, key=len, default=None)
