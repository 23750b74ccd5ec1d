"""``awsv explain``: how a profile gets its credentials."""

import json
from functools import partial

import click

from vault_core.cli.app import App
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.sessions import session_options
from vault_core.output import printable
from vault_core.sessions.explain import ExplainedKey, ExplainedSession, Explanation, explain
from vault_core.sessions.formats import timestamp
from vault_core.sessions.profiles import SessionOptions


@subcommand("explain")
@click.argument("profile", callback=profile_name)
@partial(session_options, mfa=False)
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(app: App, profile: str, options: SessionOptions, as_json: bool) -> None:
    """Show how a profile gets its credentials: each step, the origin of each value, and what is cached. Never prompts.

    \b
    --json prints an object with
      profile   its name
      region    its region, or null
      steps     a list of objects with step and profile; a stored key has store, place and state,
                a session provider, parameters and cached_until (UTC, or null)
      values    a list of objects with profile, key, value (*** if it may be secret) and from: where it is set
      settings  by name, objects with value and from
      notes     a list of sentences

    \b
    Example:
      awsv explain work
    """
    app = app.looking()
    plan = app.planner(options).plan(profile)
    explanation = explain(app.host, app.client.cache, plan)
    if as_json:
        app.write_json(explanation)
        return
    for line in _lines(explanation):
        app.write(printable(line))  # a line break in a name must not begin another line


def _lines(explanation: Explanation) -> list[str]:
    lines = [f"profile {explanation.profile}, region {explanation.region or 'not set'}", "", "steps"]
    for number, step in enumerate(explanation.steps, 1):
        lines += _step(number, step)
    lines += ["", "values"]
    lines += [f"  {value.profile}: {value.key} = {value.value}  ({value.origin})" for value in explanation.values]
    lines += ["", "settings"]
    lines += [f"  {name} = {setting.text}  ({setting.origin})" for name, setting in explanation.settings.items()]
    return lines + [f"note: {note}" for note in explanation.notes]


def _step(number: int, step: ExplainedKey | ExplainedSession) -> list[str]:
    if isinstance(step, ExplainedKey):
        return [f"  {number}. stored key of {step.profile!r} in store {step.store!r} ({step.place}): {step.state}"]
    state = f"cached until {timestamp(step.cached_until)}" if step.cached_until else "not cached"
    return [f"  {number}. {step.step} for profile {step.profile!r}: {state}"] + [
        f"       {key} = {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in step.parameters.items()
        if key != "action"
    ]
