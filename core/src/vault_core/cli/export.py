"""``awsv export``: print a profile's credentials."""

import click

from vault_core.cli.app import App
from vault_core.cli.memo import leave_memo
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.sessions import session_options
from vault_core.sessions.formats import FORMATS
from vault_core.sessions.profiles import SessionOptions


@subcommand("export")
@click.argument("profile", callback=profile_name)
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="env", show_default=True, help="The output format."
)
@session_options
@click.pass_obj
def command(app: App, profile: str, form: str, options: SessionOptions) -> None:
    """Print a profile's credentials.

    \b
    Example:
      eval "$(awsv export --format=export-env work)"
    """
    plan, issued = app.session(profile, options, machine=True)
    app.write_credentials(FORMATS[form](profile, issued.credentials, plan.region))
    leave_memo(app, plan, issued, options)
