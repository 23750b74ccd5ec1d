"""``awsv plugins``: what is installed. Nothing of it is imported."""

from __future__ import annotations

from collections import Counter

import click

from vault_core.cli.app import App, subcommand


@click.group("plugins")
def command() -> None:
    """Show the installed plugins."""


@subcommand("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_plugins(app: App, as_json: bool) -> None:
    """List the plugins: kind, name, distribution, version and state.

    "selected" is what the settings name now; "conflict" is a name that two distributions offer, which neither can use;
    "reserved" is a command with a name of awsv's own, which cannot be used.

    \b
    Example:
      awsv plugins list
    """
    offers = app.plugins.offers()
    count = Counter((offer.kind, offer.name) for offer in offers)
    selected = _selected(app)
    rows = [
        {
            "kind": offer.kind,
            "name": offer.name,
            "distribution": offer.distribution,
            "version": offer.version,
            "state": _state((offer.kind, offer.name), count, selected),
        }
        for offer in offers
    ]
    if as_json:
        app.write_json(rows)
    else:
        app.write_table(("Kind", "Name", "Distribution", "Version", "State"), [tuple(row.values()) for row in rows])


def _state(plugin: tuple[str, str], count: Counter[tuple[str, str]], selected: set[tuple[str, str]]) -> str:
    from vault_core.cli.commands import ALIASES, COMMANDS

    kind, name = plugin
    if kind == "command" and (name in COMMANDS or name in ALIASES):
        return "reserved"
    if count[plugin] > 1:
        return "conflict"
    return "selected" if plugin in selected else "installed"


def _selected(app: App) -> set[tuple[str, str]]:
    settings = app.settings
    return {
        ("storage", settings.store(settings.value("backend").text).backend),
        ("session", settings.value("session_provider").text or "sts"),
        *(("passphrase", name) for name in settings.names("passphrase_source")),
        *(("mfa", name) for name in settings.names("prompt")),
    }


command.add_command(list_plugins)
