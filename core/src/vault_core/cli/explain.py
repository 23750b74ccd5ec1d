"""``awsv explain``: the plan of a profile. It asks nobody and makes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import click

from vault_core.awsconfig.quoting import PROCESS
from vault_core.awsconfig.shared import may_be_shown, without_passwords
from vault_core.cli.app import App, profile_name, subcommand
from vault_core.cli.sessions import OPTIONS
from vault_core.errors import PassphraseError, StorageError, WrongSecret
from vault_core.sessions.engine import kind_of
from vault_core.sessions.formats import timestamp
from vault_core.sessions.plan import KeyStep, Plan, SessionStep, Step
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import is_secret_variable
from vault_core.storage.vault import Vault

MASK = "***"
"""In place of a value that may be secret."""


@subcommand("explain")
@click.argument("profile", callback=profile_name)
@OPTIONS[0]
@OPTIONS[1]
@OPTIONS[2]
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(app: App, profile: str, duration: int | None, no_session: bool, region: str | None, as_json: bool) -> None:
    """Show how a profile gets its credentials: each step, where each value came from, what is cached.

    \b
    --json prints an object with
      profile   its name
      region    its region, or null
      steps     a list of objects with step and profile; a stored key has store, place and state,
                a session provider, parameters and cached_until (UTC, or null)
      values    a list of objects with profile, key, value (*** if it may be secret) and from: where it was set
      settings  by name, objects with value and from
      notes     a list of sentences

    \b
    Example:
      awsv explain work
    """
    app = app.looking()
    described = describe(app, app.planner(SessionOptions(duration, no_session, region)).plan(profile))
    if as_json:
        app.write_json(described)
    else:
        for line in lines(described):
            app.write(line)


def describe(app: App, plan: Plan) -> dict[str, Any]:
    """The plan as data: what ``--json`` prints."""
    return {
        "profile": plan.profile,
        "region": plan.region,
        "steps": [_step(app, step) for step in plan.steps()],
        "values": [
            {"profile": profile.name, "key": key, "value": _shown(app, key, value), "from": profile.origins[key]}
            for profile in plan.chain
            for key, value in profile.keys.items()
            if key in profile.origins
        ],
        "settings": {
            name: {"value": value.text, "from": value.origin}
            for name in ("backend", "passphrase_source", "prompt")
            for value in [app.settings.value(name, plan.chain[-1].keys)]
        },
        "notes": list(plan.notes),
    }


def _shown(app: App, key: str, value: str) -> str:
    """A value that may be secret is nobody's business here: what no plugin that was opened vouches for."""
    known = {one for one in app.host.state.shown_keys if not is_secret_variable(f"AWS_{one.upper()}")}
    if key == PROCESS:
        from vault_core.awsconfig.redacted_diff import without_secret

        value = without_secret(f"{key} = {value}").removeprefix(f"{key} = ")
    return without_passwords(value) if may_be_shown(key, known) else MASK


def _parameters(app: App, step: SessionStep) -> dict[str, Any]:
    """What the provider made of the profile, without what it was told by an option that is secret."""
    declared = app.plugins.load("session", step.provider).options
    understood = app.host.context("session", step.provider, declared, profile=step.options).options
    secrets: set[str] = set()
    for one in declared:
        if one.secret and (told := app.settings.option(step.provider, one.name, None, step.options)):
            secrets |= {told.text, *_texts(understood[one.name])}  # as it was written, and what was made of it

    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: without(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [without(one) for one in value]
        return MASK if any(secret in str(value) for secret in secrets) else value

    return {name: without(value) for name, value in step.parameters.items()}


def _texts(value: Any) -> Iterator[str]:
    """What is in a value of an option, as text."""
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        for one in value:
            yield from _texts(one)
    elif value not in (None, ""):
        yield str(value)


def _step(app: App, step: Step) -> dict[str, Any]:
    if isinstance(step, KeyStep):
        store, state = step.store, _stored(app, step)
        return {"step": "stored key", "profile": step.name, "store": store.name, "place": store.place, "state": state}
    live = app.cache.get(step.cache_key)
    expires = live.credentials.expires if live else None
    return {
        "step": kind_of(step),
        "profile": step.profile,
        "provider": step.provider,
        "parameters": _parameters(app, step),
        "cached_until": timestamp(expires) if expires else None,
    }


def _stored(app: App, step: KeyStep) -> str:
    try:
        key = Vault(app.host, step.store).get(step.name)
    except (StorageError, WrongSecret) as error:
        return f"not checked: {error.message}"
    except PassphraseError:
        return "not checked: locked"
    if key is None:
        return "missing"
    return f"stored: {key.credentials.access_key_id}{', shared' if key.shared else ''}"


def lines(described: dict[str, Any]) -> list[str]:
    """The same for a person."""
    import json

    from vault_core.output import printable

    found = [f"profile {described['profile']}, region {described['region'] or 'not set'}", "", "steps"]
    for number, step in enumerate(described["steps"], 1):
        if step["step"] == "stored key":
            found.append(
                f"  {number}. stored key of {step['profile']!r} in store {step['store']!r} ({step['place']}):"
                f" {step['state']}"
            )
            continue
        state = f"cached until {step['cached_until']}" if step["cached_until"] else "not cached"
        found.append(f"  {number}. {step['step']} for profile {step['profile']!r}: {state}")
        found.extend(
            f"       {key} = {value if isinstance(value, str) else json.dumps(value)}"
            for key, value in step["parameters"].items()
            if key != "action"
        )
    found += ["", "values"]
    found.extend(
        f"  {value['profile']}: {value['key']} = {value['value']}  ({value['from']})" for value in described["values"]
    )
    found += ["", "settings"]
    found.extend(f"  {name} = {value['value']}  ({value['from']})" for name, value in described["settings"].items())
    found.extend(f"note: {note}" for note in described["notes"])
    return [printable(line) for line in found]  # a line break in a name begins no line of its own
