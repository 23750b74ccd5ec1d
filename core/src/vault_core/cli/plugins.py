"""``awsv plugins``: list the installed plugins, check them, and create a new one."""

from collections.abc import Sequence

import click

from vault_core.cli.app import App
from vault_core.cli.options import subcommand
from vault_core.errors import PartlyDone, PluginError, UsageError
from vault_core.plugins.check.listing import UNUSABLE, CheckedPlugin, PluginEntry, entries, examine, named
from vault_core.plugins.discovery import KINDS
from vault_core.plugins.install_hint import OURS


@click.group("plugins")
def command() -> None:
    """List, check and create plugins."""


@subcommand("list", of=command, short_help="List the plugins without loading them.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def list_plugins(app: App, as_json: bool) -> None:
    """List the plugins: kind, name, distribution, version and state. No plugin is loaded.

    The settings name a "selected" plugin; a "missing" one is named by them and not installed. A plugin cannot be used
    if another distribution has one of the same name ("conflict"), if awsv has a command of that name ("reserved"), if
    it has an "unusable name" or was made for an "other API version", or if AWS_VAULT_LOAD_PLUGINS does not name it
    ("disabled").

    \b
    --json prints a list of objects with kind, name, distribution, version, state and reason;
    distribution and version are null where they are not known, reason where there is none.

    \b
    Example:
      awsv plugins list
    """
    listed = _entries(app)
    if as_json:
        return app.write_json(listed)
    return _write_table(app, listed)


@subcommand("check", of=command, short_help="Load each plugin and show what it offers.")
@click.argument("name", metavar="[NAME|DISTRIBUTION]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def check_plugins(app: App, name: str | None, as_json: bool) -> None:
    """Load each plugin in its own process, and show what it offers or why it does not work.

    Each has ten seconds. No store is opened, and there are no prompts. The exit code is 3 if none of the plugins works,
    7 if some do not. An "unavailable" plugin works, but not on this machine, or not with these settings.

    \b
    --json prints a list of objects with what 'plugins list' has, and with
      hint     what to do about it, or null
      said     the first line that the plugin printed, or null
      summary, capabilities, options
               what it offers, if it could be loaded; an option has name, flag, variable,
               default, secret and help
      at_rest, max_value, locate, readers
               of a storage backend: who encrypts, the largest value, where it is, who can read it

    \b
    Example:
      awsv plugins check keychain
    """
    listed: Sequence[PluginEntry] = [entry for entry in _entries(app) if entry.state != "missing"]
    if name is not None:
        listed = named(app.plugins, name, listed)
    checked = examine(app.plugins, app.settings, listed)
    unusable = ("broken", "disabled", *UNUSABLE) if name is not None else ("broken", *UNUSABLE)
    broken = [plugin for plugin in checked if plugin.state in unusable]
    if broken and len(broken) == len(checked):
        raise PluginError(f"{_titled(broken[0])}: {broken[0].reason}", hint=_hint(broken[0]))
    if as_json:
        app.write_json(checked)
    elif name is not None:
        app.write("\n\n".join("\n".join(sheet(plugin)) for plugin in checked))
    else:
        _write_table(app, checked)
    if broken:
        first = f"{broken[0].kind} plugin {broken[0].name!r} of {broken[0].distribution}"
        works = f"{len(checked) - len(broken)} of {len(checked)} plugins work"
        raise PartlyDone(f"{works}; {first} does not", hint=_hint(broken[0]))


@subcommand("new", of=command, short_help="Create a working storage plugin.")
@click.argument("name")
@click.pass_obj
def new_plugin(app: App, name: str) -> None:
    """Create a working storage plugin in the new folder vault-plugin-NAME.

    It stores items as files in a folder; replace them with your service. Its only test is the contract kit for storage
    backends, which it passes.

    \b
    Example:
      awsv plugins new mystore
    """
    from pathlib import Path

    from vault_core.plugins.discovery import version_of
    from vault_core.plugins.scaffold import make

    taken = sorted(
        {offer.distribution for offer in app.plugins.offers() if (offer.kind, offer.name) == ("storage", name)}
    )
    if taken or ("storage", name) in OURS:
        owner = " and ".join(taken) or OURS["storage", name]
        raise UsageError(f"storage backend {name!r} is offered by {owner}", hint="choose another name")
    folder = make(name, Path.cwd(), core=version_of("vault-core") or "0.1")
    app.write(str(folder))
    app.note(f"{folder.name}/README.md says how to install and test it")


def _entries(app: App) -> list[PluginEntry]:
    from vault_core.cli.commands import ALIASES, COMMANDS

    return entries(app.plugins, app.settings, {*COMMANDS, *ALIASES})


def _write_table(app: App, listed: Sequence[PluginEntry]) -> None:
    app.write_table(
        ("Kind", "Name", "Distribution", "Version", "State"),
        [(row.kind, row.name, row.distribution or "-", row.version or "-", _state(row)) for row in listed],
    )


def _state(row: PluginEntry) -> str:
    return f"{row.state}: {row.reason}" if row.reason else row.state


def _titled(row: PluginEntry) -> str:
    return f"{KINDS[row.kind]} {row.name!r} from {row.distribution} {row.version}"


def _hint(row: CheckedPlugin) -> str:
    return row.hint or f"update or uninstall {row.distribution}"


def sheet(row: CheckedPlugin) -> list[str]:
    """All about one plugin, for a person."""
    from vault_core.output import printable

    offers = row.offers
    encrypted = {"core": "awsv", "backend": "the plugin", "service": "the service behind it"}
    facts = {
        "about": offers.get("summary"),
        "encrypted by": encrypted.get(offers.get("at_rest", "")),
        "can": ", ".join(offers.get("capabilities", ())),
        "largest value": f"{offers['max_value']} bytes" if offers.get("max_value") else None,
        "where": offers.get("locate"),
        "who can read it": offers.get("readers"),
        "prints": row.said,
    }
    lines = [f"{_titled(row)}: {_state(row)}"]
    lines += [f"  {f'{title}:':<17}{fact}" for title, fact in facts.items() if fact]
    for option in offers.get("options", ()):
        in_help = not option["default"] or "default" in option["help"]
        default = "" if in_help else f" (default: {option['default']})"
        names = ", ".join(filter(None, (option["flag"], option["variable"])))
        lines += [f"  {names}", f"      {option['help']}{default}"]
    return [printable(line) for line in lines]
