"""``awsv config``: point AWS tools at awsv. Each change is shown before it is written."""

import re

import click

from vault_core import output
from vault_core.awsconfig.credential_process import Proposal, propose
from vault_core.awsconfig.quoting import PORTABLE
from vault_core.awsconfig.shared import AwsConfig
from vault_core.awsconfig.write import save
from vault_core.cli.app import App
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.text import counted, difference
from vault_core.errors import Cancelled, ConfigError, UsageError
from vault_core.sessions.profiles import SessionOptions
from vault_core.sessions.servable import Servable, all_profiles, served_profiles


@click.group("config")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Point AWS tools at awsv."""
    ctx.ensure_object(App).sweep_aws_files()


@subcommand("credential-process", of=command, short_help="Point every AWS SDK at awsv for a profile.")
@click.argument("profiles", metavar="[PROFILE]...", nargs=-1, callback=profile_name)
@click.option("--all", "every", is_flag=True, help="Every profile of the AWS config, and every stored key.")
@click.option(
    "--as", "as_name", metavar="NAME", callback=profile_name, help="Add profile NAME instead of changing PROFILE."
)
@click.option("--undo", is_flag=True, help="Undo the change of the profile.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the change and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def credential_process(
    app: App, profiles: tuple[str, ...], every: bool, as_name: str | None, undo: bool, dry_run: bool, yes: bool
) -> None:
    """Point every AWS SDK at awsv for a profile's credentials.

    One line is added to the profile in the AWS config file. SDKs ignore that line in a profile with role_arn, so the
    keys role_arn, source_profile and mfa_serial are renamed to vault_role_arn and so on, which awsv understands; or
    PROFILE stays as it is, and --as adds a second profile. Nothing else in the file changes.

    \b
    Examples:
      awsv config credential-process work
      awsv config credential-process admin --as admin-sdk
      awsv config credential-process --all --dry-run
    """
    if bool(profiles) == every:
        raise UsageError("give either PROFILE or --all", hint="awsv config credential-process --help")
    if as_name is not None and len(profiles) != 1:
        raise UsageError("--as goes with one PROFILE")
    path, credentials = app.settings.aws_config_file, app.settings.aws_credentials_file
    raw, plain = app.host.read(path), app.host.read(credentials)
    config = AwsConfig.parse(raw, plain, path, credentials)
    copied = app.import_records.copied(credentials, plain)
    looking = app.looking()
    check = Servable(looking.host, app.client.resolver, looking.planner(SessionOptions()), config, every=every)
    if not every:
        names = list(dict.fromkeys(profiles))
    elif undo:
        names = served_profiles(config, app.launcher)
    else:
        names = all_profiles(config, copied, check.names(looking.vault().store) or ())
    proposal = propose(config, raw, names, app.launcher, as_name=as_name, undo=undo, check=check, copied=copied)
    _report(app, proposal, every=every)
    if not proposal.changed:
        return
    if not undo:
        _warn_of_names(app, proposal.changed)
    shown = difference(raw, proposal.after, path)
    if dry_run:
        app.write(shown)
        return
    output.to_stderr(f"{shown}\n")
    if not yes and not app.confirm(f"Change {path} like this?", flag="--yes"):
        raise Cancelled("nothing was changed")
    save(path, raw, proposal.after, locks=app.config_locks)
    listed = ", ".join(map(repr, proposal.changed))
    app.note(f"{path}: {'undone for' if undo else 'the AWS SDKs now use awsv for'} {listed}")
    if proposal.waiting:
        app.note(
            f"{len(proposal.waiting)} of them only after their plain keys are removed from {credentials}:"
            " 'awsv import --remove-plain' does that"
        )


def _warn_of_names(app: App, names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(PORTABLE, name):
            app.note(
                f"the AWS SDK for JavaScript does not see profile {name!r}: it reads only names of A-Z a-z 0-9 _@+.%:/-"
            )


def _report(app: App, proposal: Proposal, *, every: bool) -> None:
    """Report the profiles that are not changed, and why.

    :raises VaultError: a plain key would still win, or a profile that was named cannot be changed. Nothing is written.
    """
    if proposal.blocked:
        errors = list(proposal.blocked.values())
        raise ConfigError("; ".join(error.message for error in errors), hint=errors[0].hint)
    for error in proposal.skipped.values():
        if not every:
            raise error
        app.note(f"not changed: {error.message}")
    if not every:
        for reason in proposal.nothing.values():
            app.note(f"nothing to do: {reason}")
    elif not proposal.changed:
        already = f": {counted(len(proposal.nothing), 'profile')} already configured" if proposal.nothing else ""
        app.note(f"nothing to do{already}")
