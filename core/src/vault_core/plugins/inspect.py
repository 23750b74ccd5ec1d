"""The description of a loaded plugin, for ``awsv plugins check``."""

from typing import Any

from vault_core.api import Capability, Option, StorageSpec
from vault_core.plugins.boundary import said
from vault_core.plugins.host import HostContext
from vault_core.plugins.variables import variable


def describe(name: str, spec: Any, context: HostContext | None) -> dict[str, Any]:
    """What a plugin provides and reads, as JSON.

    :param context: None for a command, and if an option is invalid.
    :raises VaultError: a setting that the plugin reads is invalid, or the plugin returned a wrong type.
    """
    found: dict[str, Any] = {"summary": spec.summary, "capabilities": _capabilities(spec)}
    if isinstance(spec, StorageSpec):
        found |= {"at_rest": spec.at_rest.value, "max_value": spec.max_value}
        for question in ("locate", "readers"):
            found[question] = context and said(context.plugins, "storage", spec, question, context)
    found["options"] = [_option(name, option) for option in getattr(spec, "options", ())]
    return found


def _capabilities(spec: Any) -> list[str]:
    if isinstance(spec, StorageSpec):
        names = [capability.name or "" for capability in Capability if capability in spec.capabilities]
        return [name.lower().replace("_", "-") for name in names]
    found = [name for name in ("interactive", "writable") if getattr(spec, name, False)]
    if source := getattr(spec, "source", None):
        found.append(f"source-{source.value}")
    return found


def _option(plugin: str, option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "flag": None if option.secret else f"-o {plugin}.{option.name}=VALUE",
        "variable": variable(plugin, option.name),
        "default": None if option.secret or option.default is None else _default(option.default),
        "secret": option.secret,
        "help": option.help,
    }


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
