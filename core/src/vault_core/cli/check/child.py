"""The child of ``awsv plugins check``: it loads one plugin, says what it found, and ends at once.

What is told goes to standard output as one JSON object; whatever the plugin prints goes to standard error, as always.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vault_core import stdout
from vault_core.errors import PluginError, VaultError
from vault_core.plugins.boundary import said
from vault_core.plugins.inspect import describe, faults

if TYPE_CHECKING:
    from vault_core.cli.app import App
    from vault_core.plugins.context import HostContext


def main(job: Mapping[str, Any]) -> None:
    """Examine the plugin that the job names, and end the process.

    :param job: ``kind``, ``name``, and ``flags`` as of :class:`~vault_core.settings.Settings`.
    """
    import json

    found = _examine(job["kind"], job["name"], job["flags"])
    stdout.flush()  # what the plugin printed and Python has kept
    stdout.write_raw(json.dumps(found))
    os._exit(0)  # what the plugin left to be done at the end of a process is of no interest


def _examine(kind: str, name: str, flags: Mapping[str, str]) -> dict[str, Any]:
    from vault_core.cli.app import App
    from vault_core.settings import Settings

    app = App(Settings(flags={**flags, "no-input": "1"}))
    try:
        spec: Any = app.plugins.load(kind, name)  # type: ignore[call-overload]  # the kind is data here
        if wrong := "; ".join(faults(spec)):
            return _broken(wrong)
        if kind == "command":
            from vault_core.cli.plugin_commands import load

            load(app, name)
            return {"state": "ok", "reason": None, "hint": None, **describe(name, spec, None)}
    except VaultError as error:
        return _broken(error.message, error.hint)
    return _where_it_runs(app, kind, name, spec)


def _where_it_runs(app: App, kind: str, name: str, spec: Any) -> dict[str, Any]:
    try:
        context = _context(app, kind, name, spec)
        reason = said(app.plugins, kind, spec, "unavailable", context)
        found = describe(name, spec, context)
    except VaultError as error:
        if error.exit_code in (VaultError.exit_code, PluginError.exit_code):  # no failure that a contract allows
            return _broken(error.message, error.hint)
        return {"state": "unavailable", "reason": error.message, "hint": error.hint, **describe(name, spec, None)}
    return {"state": "unavailable" if reason else "ok", "reason": reason, "hint": None, **found}


def _context(app: App, kind: str, name: str, spec: Any) -> HostContext:
    """The context for this plugin; of a storage backend that of the selected store, if it is this one's."""
    from vault_core.settings import StoreSettings

    store = None
    if kind == "storage":
        selected = app.settings.store(app.settings.value("backend").text)
        store = selected if selected.backend == name else StoreSettings(name, name)
    return app.host.context(kind, name, spec.options, store=store)


def _broken(reason: str, hint: str | None = None) -> dict[str, Any]:
    return {"state": "broken", "reason": reason, "hint": hint}
