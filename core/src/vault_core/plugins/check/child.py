"""The child process of ``awsv plugins check``: it loads one plugin, reports what it finds, and ends.

The report is one JSON object on standard output; what the plugin prints goes to standard error.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from vault_core import stdout
from vault_core.api import Capability, Option, StorageSpec
from vault_core.asking import Asking
from vault_core.errors import PluginError, VaultError
from vault_core.plugins.boundary.calls import answer
from vault_core.plugins.host import Host, HostContext
from vault_core.plugins.loader import Plugins
from vault_core.plugins.spec_problems import problems
from vault_core.plugins.variables import variable
from vault_core.settings import Settings, StoreSettings


def main(job: Mapping[str, Any]) -> None:
    """Check the plugin that the job names, and end the process.

    :param job: ``kind``, ``name``, and ``flags`` as of :class:`~vault_core.settings.Settings`.
    """
    stdout.capture()
    report = _report(job["kind"], job["name"], job["flags"])
    stdout.flush()  # what the plugin printed and Python has buffered
    stdout.write_raw(json.dumps(report))
    os._exit(0)  # without the plugin's exit handlers


def _report(kind: str, name: str, flags: Mapping[str, str]) -> dict[str, Any]:
    settings = Settings(flags=flags)
    host = Host(settings, Plugins(settings.load_plugins), asking=Asking(allowed=False))
    try:
        spec: Any = host.plugins.load(kind, name)
        if wrong := "; ".join(problems(spec)):
            return _broken(wrong)
        context = reason = None
        if kind == "command":
            host.plugins.command(name)
        else:
            context = _context(host, kind, name, spec)
            reason = answer(host.plugins, kind, spec, "unavailable", context)
        offers = describe(name, spec, context)
    except VaultError as error:
        if error.exit_code in (VaultError.exit_code, PluginError.exit_code):  # not a failure that a contract allows
            return _broken(error.message, error.hint)
        return {"state": "unavailable", "reason": error.message, "hint": error.hint, **describe(name, spec, None)}
    return {"state": "unavailable" if reason else "ok", "reason": reason, "hint": None, **offers}


def _context(host: Host, kind: str, name: str, spec: Any) -> HostContext:
    """The context for this plugin. A storage backend gets the selected store, if that is one of its own."""
    store = None
    if kind == "storage":
        selected = host.settings.store(host.settings.value("backend").text)
        store = selected if selected.backend == name else StoreSettings(name, name)
    return host.context(kind, name, spec.options, store=store)


def _broken(reason: str, hint: str | None = None) -> dict[str, Any]:
    return {"state": "broken", "reason": reason, "hint": hint}


def describe(name: str, spec: Any, context: HostContext | None) -> dict[str, Any]:
    """What a plugin provides and reads, as JSON.

    :param context: None for a command, and if an option is invalid.
    :raises VaultError: a setting that the plugin reads is invalid, or the plugin returned a wrong type.
    """
    found: dict[str, Any] = {"summary": spec.summary, "capabilities": _capabilities(spec)}
    if isinstance(spec, StorageSpec):
        found |= {"at_rest": spec.at_rest.value, "max_value": spec.max_value}
        for question in ("locate", "readers"):
            found[question] = context and answer(context.plugins, "storage", spec, question, context)
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
