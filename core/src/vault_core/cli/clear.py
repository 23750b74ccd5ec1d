"""``awsv clear``: forget sessions."""

from __future__ import annotations

import click

from vault_core.cli.app import App, profile_name, subcommand


@subcommand("clear")
@click.argument("profile", required=False, callback=profile_name)
@click.pass_obj
def command(app: App, profile: str | None) -> None:
    """Forget sessions: all of them, or those that depend on a profile.

    AWS does not take sessions back: who has a copy can use it until it ends.

    \b
    Example:
      awsv clear work
    """
    app.write(f"Cleared {app.cache.drop(profile)} sessions.")
