"""``awsv plugins``: what is installed, whether it works, and the beginning of a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click

from vault_core.cli.app import App, subcommand
from vault_core.errors import PartlyDone, PluginError, PluginNotFound, UsageError
from vault_core.plugins.discovery import Offer, normalise
from vault_core.plugins.loader import KINDS, OURS
from vault_core.settings import LOAD_PLUGINS

UNUSABLE = ("conflict", "reserved", "unusable name", "other API version")
"""States in which nobody can use a plugin, whatever they name or set."""


@click.group("plugins")
def command() -> None:
    """Show, check and begin plugins."""


@subcommand("list", short_help="List the plugins, and load none.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_plugins(app: App, as_json: bool) -> None:
    """List the plugins: kind, name, distribution, version and state. None of them is loaded.

    "selected" is what the settings name now, "missing" is named by them and not installed. What cannot be used is
    in "conflict" with another distribution's plugin of that name, "reserved" (a command with a name of awsv's own), of
    an "unusable name" or made for an "other API version"; "disabled" is what AWS_VAULT_LOAD_PLUGINS does not name.

    \b
    --json prints a list of objects with kind, name, distribution, version, state and reason;
    distribution and version are null where they are not known, reason where there is none.

    \b
    Example:
      awsv plugins list
    """
    rows = entries(app)
    if as_json:
        return app.write_json(rows)
    return _write_table(app, rows)


@subcommand("check", short_help="Load each plugin, and say what it offers or why not.")
@click.argument("name", metavar="[NAME|DISTRIBUTION]", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def check_plugins(app: App, name: str | None, as_json: bool) -> None:
    """Load each plugin in a process of its own, and show what it offers or why it does not work.

    Each has ten seconds. No store is opened and nobody is asked. The exit code is 3 if none of the plugins works, 7 if
    some do not. "unavailable" is a sound plugin that cannot run on this machine, or not with these settings.

    \b
    --json prints a list of objects with what 'plugins list' has, and with
      hint     what helps, or null
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
    rows = [row for row in entries(app) if row["state"] != "missing"]
    if name is not None:
        rows = named(app, name, rows)
    checked = examine(app, rows)
    unusable = ("broken", "disabled", *UNUSABLE) if name is not None else ("broken", *UNUSABLE)
    broken = [row for row in checked if row["state"] in unusable]
    if broken and len(broken) == len(checked):
        raise PluginError(f"{_titled(broken[0])}: {broken[0]['reason']}", hint=_hint(broken[0]))
    if as_json:
        app.write_json(checked)
    elif name is not None:
        app.write("\n\n".join("\n".join(sheet(row)) for row in checked))
    else:
        _write_table(app, checked)
    if broken:
        works = len(checked) - len(broken)
        first = f"{broken[0]['kind']} plugin {broken[0]['name']!r} of {broken[0]['distribution']}"
        raise PartlyDone(f"{works} of {len(checked)} plugins work; {first} does not", hint=_hint(broken[0]))


@subcommand("new", short_help="Begin a storage plugin: a project that works.")
@click.argument("name")
@click.pass_obj
def new_plugin(app: App, name: str) -> None:
    """Begin a storage plugin: a project that works, in the new folder vault-plugin-NAME.

    It keeps items as files in a folder; your service takes their place. Its only test is the contract of storage
    backends, which it passes.

    \b
    Example:
      awsv plugins new mystore
    """
    from pathlib import Path

    from vault_core.cli.scaffold import make
    from vault_core.plugins.discovery import version_of

    taken = sorted(
        {offer.distribution for offer in app.plugins.offers() if (offer.kind, offer.name) == ("storage", name)}
    )
    if taken or ("storage", name) in OURS:
        owner = " and ".join(taken) or OURS["storage", name]
        raise UsageError(f"storage backend {name!r} is offered by {owner}", hint="choose another name")
    folder = make(name, Path.cwd(), core=version_of("vault-core") or "0.1")
    app.write(str(folder))
    app.note(f"{folder.name}/README.md says how to install and test it")


# -- what is installed -----------------------------------------------------------------------------------------------


def entries(app: App) -> list[dict[str, Any]]:
    """One entry a plugin, by metadata, and one for each that is selected and missing."""
    offers = app.plugins.offers()
    count = Counter((offer.kind, offer.name) for offer in offers if offer.usable)
    selected = _selected(app)
    found = [_entry(offer, *_state(app, offer, count, selected)) for offer in offers]
    missing = sorted(selected - {(offer.kind, offer.name) for offer in offers})
    return found + [
        {
            "kind": kind,
            "name": name,
            "distribution": OURS.get((kind, name)),
            "version": None,
            "state": "missing",
            "reason": app.plugins.hint(kind, name),
        }
        for kind, name in missing
    ]


def _entry(offer: Offer, state: str, reason: str | None) -> dict[str, Any]:
    return {
        "kind": offer.kind,
        "name": offer.name,
        "distribution": offer.distribution,
        "version": offer.version,
        "state": state,
        "reason": reason,
    }


def _state(
    app: App, offer: Offer, count: Mapping[tuple[str, str], int], selected: set[tuple[str, str]]
) -> tuple[str, str | None]:
    from vault_core.cli.commands import ALIASES, COMMANDS

    if not offer.nameable:
        return "unusable name", "a name has 2 to 32 of a-z, 0-9 and -, a letter first"
    if not offer.usable:
        return "other API version", offer.group
    if offer.kind == "command" and (offer.name in COMMANDS or offer.name in ALIASES):
        return "reserved", "a command of awsv's own"
    if count[offer.kind, offer.name] > 1:
        return "conflict", "another distribution offers this name, too"
    if not app.plugins.may_load(offer):
        return "disabled", f"{LOAD_PLUGINS} does not name it"
    return ("selected" if (offer.kind, offer.name) in selected else "installed"), None


def _selected(app: App) -> set[tuple[str, str]]:
    settings = app.settings
    return {
        ("storage", settings.store(settings.value("backend").text).backend),
        ("session", settings.value("session_provider").text or "sts"),
        *(("passphrase", name) for name in settings.names("passphrase_source")),
        *(("mfa", name) for name in settings.names("prompt")),
    }


def _write_table(app: App, rows: Sequence[Mapping[str, Any]]) -> None:
    app.write_table(
        ("Kind", "Name", "Distribution", "Version", "State"),
        [(row["kind"], row["name"], row["distribution"] or "-", row["version"] or "-", worded(row)) for row in rows],
    )


def worded(row: Mapping[str, Any]) -> str:
    """The state for a person."""
    return f"{row['state']}: {row['reason']}" if row["reason"] else str(row["state"])


# -- what works ------------------------------------------------------------------------------------------------------


def named(app: App, name: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The plugins of this name or distribution.

    :raises PluginNotFound: there is none.
    """
    found = [row for row in rows if name == row["name"] or normalise(name) == row["distribution"]]
    if not found:
        import difflib

        ours = [kind for kind, known in OURS if known == name]
        near = difflib.get_close_matches(name, [row["name"] for row in rows], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "'awsv plugins list' shows them"
        raise PluginNotFound(
            f"no plugin named {name!r} is installed", hint=app.plugins.hint(ours[0], name) if ours else hint
        )
    return found


def examine(app: App, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with what their plugins said; those that may not load are left as they are."""
    from vault_core.cli.check.parent import check

    loadable = {(row["kind"], row["name"]) for row in rows if row["state"] in ("selected", "installed")}
    offers = [offer for offer in app.plugins.offers() if offer.usable and (offer.kind, offer.name) in loadable]
    installed = [offer.name for offer in app.plugins.offers() if offer.usable]
    results = check(offers, flags=app.settings.flags, environ=app.settings.environ, installed=installed)
    said = {(offer.kind, offer.name): result for offer, result in zip(offers, results, strict=True)}
    return [{**row, **said.get((row["kind"], row["name"]), {"hint": None, "said": None})} for row in rows]


def _titled(row: Mapping[str, Any]) -> str:
    return f"{KINDS[row['kind']]} {row['name']!r} from {row['distribution']} {row['version']}"


def _hint(row: Mapping[str, Any]) -> str:
    return row.get("hint") or f"update or uninstall {row['distribution']}"


def sheet(row: Mapping[str, Any]) -> list[str]:
    """All about one plugin, for a person."""
    from vault_core.output import printable

    lines = [f"{_titled(row)}: {worded(row)}"]
    facts = {
        "about": row.get("summary"),
        "encrypted by": {"core": "awsv", "backend": "the plugin", "service": "the service behind it"}.get(
            row.get("at_rest", "")
        ),
        "can": ", ".join(row.get("capabilities", ())),
        "largest value": f"{row['max_value']} bytes" if row.get("max_value") else None,
        "where": row.get("locate"),
        "who can read it": row.get("readers"),
        "prints": row["said"],
    }
    lines += [f"  {f'{title}:':<17}{fact}" for title, fact in facts.items() if fact]
    for option in row.get("options", ()):
        told = not option["default"] or "default" in option["help"]
        default = "" if told else f" (default: {option['default']})"
        names = ", ".join(filter(None, (option["flag"], option["variable"])))
        lines += [f"  {names}", f"      {option['help']}{default}"]
    return [printable(line) for line in lines]


command.add_command(list_plugins)
command.add_command(check_plugins)
command.add_command(new_plugin)
