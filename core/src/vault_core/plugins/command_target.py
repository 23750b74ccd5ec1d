"""The click command that a plugin of kind ``command`` names, imported when it is run or checked."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from vault_core.errors import PluginLoadError
from vault_core.plugins.loader import Plugins


def import_command(plugins: Plugins, name: str) -> Any:
    """The ``click.Command`` that the spec's ``target`` names.

    :raises PluginError: the plugin cannot be loaded, or the target is not a click command.
    """
    spec = plugins.load("command", name)
    try:
        module, _, attribute = spec.target.partition(":")
        command = getattr(importlib.import_module(module), attribute, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        owner = plugins.owner("command", name)[0]
        raise PluginLoadError(
            f"command {name!r} from {owner} cannot be loaded: {type(error).__name__}",
            hint=f"update or uninstall {owner}; --debug shows where",
        ) from error
    click = sys.modules.get("click")  # a module that makes a click command has imported it
    if click is None or not isinstance(command, click.Command):
        raise PluginLoadError(
            f"command {name!r}: {spec.target} is not a click command", hint=f"this is a bug of {module}"
        )
    return command
