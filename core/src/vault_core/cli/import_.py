"""``awsv import``: copy keys into the vault, remove the plain ones, and undo the removal.

A copy removes nothing. The importers of other stores are commands of plugins: ``awsv import NAME`` runs the command
``import-NAME``.
"""

import click

from vault_core import output
from vault_core.awsconfig.shared import AwsConfig
from vault_core.cli.app import App
from vault_core.cli.commands import IMPORTER, CommandGroup
from vault_core.cli.importing import offer_recovery_keys, show
from vault_core.cli.options import global_options, subcommand
from vault_core.cli.text import MAX_NAMED, counted, difference, reasons
from vault_core.errors import Cancelled, ConfigError, PartlyDone, UsageError
from vault_core.importing.backups import Backups
from vault_core.importing.copy import import_scan
from vault_core.importing.credentials_file import NOT_STORED, UNWIRED, Removal, commented_secrets, deleted_lines, scan
from vault_core.importing.remove import PlainFile
from vault_core.importing.vaults import Vaults


class Importers(CommandGroup):
    """The commands of ``awsv import``."""

    prefix = IMPORTER
    plugin_title = "Importers of plugins"


@click.group("import", cls=Importers, invoke_without_command=True)
@click.option("--remove-plain", "remove", is_flag=True, help="Remove the copied keys from ~/.aws/credentials.")
@click.option("-n", "--dry-run", is_flag=True, help="With --remove-plain: print the change and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="With --remove-plain: do not ask.")
@click.pass_context
def command(ctx: click.Context, remove: bool, dry_run: bool, yes: bool) -> None:
    """Import keys into the vault, or undo an import.

    \b
    The steps, one command each:
      awsv import credentials-file --check      copy the keys of ~/.aws/credentials
      awsv config credential-process --all      point every AWS SDK at awsv
      awsv import --remove-plain                remove the plain keys
      awsv import undo                          restore the credentials file
    """
    app = ctx.ensure_object(App)
    app.sweep_aws_files()
    if ctx.invoked_subcommand is not None:
        if remove or dry_run or yes:
            raise UsageError(
                "--remove-plain, --dry-run and --yes cannot be given before a command",
                hint=f"put them after it: awsv import {ctx.invoked_subcommand} --help",
            )
        return
    if not remove:
        raise click.exceptions.NoArgsIsHelpError(ctx)
    _remove_plain(app, dry_run=dry_run, yes=yes)


command.params.extend(global_options(hidden=True))


@subcommand("credentials-file", of=command)
@click.option("--check", is_flag=True, help="Verify each key with sts:GetCallerIdentity.")
@click.option("--overwrite", is_flag=True, help="Replace stored keys that differ.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be done and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def credentials_file(app: App, check: bool, overwrite: bool, dry_run: bool, as_json: bool) -> None:
    """Copy every long-term key of ~/.aws/credentials.

    The file is not changed; entries with a session token are not copied. If a different key is stored under a name,
    that entry is skipped and named.

    \b
    Example:
      awsv import credentials-file --check
    """
    from vault_core.sessions.identify import identify  # slow, and of use only with --check

    path, config_file = app.settings.aws_credentials_file, app.settings.aws_config_file
    app = app.about(f"importing keys from {path}")
    raw = app.host.read(path)
    if not raw:
        raise ConfigError(f"{path} does not exist or is empty", hint="set AWS_SHARED_CREDENTIALS_FILE to another file")
    found = scan(AwsConfig.parse(app.host.read(config_file), raw, config_file, path))
    checks = identify(app.host, app.client.resolver, found.keys) if check else None
    vaults = Vaults(app.vault)
    with app.client.key_changes.changing_keys() as changing:
        report = import_scan(found, vaults, changing, checks, overwrite=overwrite, dry_run=dry_run)
    if not dry_run:
        app.import_records.write(path, raw, [key.profile for key in report.arrived])
    failure = show(app, report, as_json=as_json)
    offer_recovery_keys(app, vaults)
    if not dry_run and report.arrived:
        app.note(
            f"{path} is unchanged; next: 'awsv config credential-process --all', then 'awsv import --remove-plain'"
        )
    if failure is not None:
        raise failure


@subcommand("undo", of=command, short_help="Restore ~/.aws/credentials.")
@click.option("--overwrite", is_flag=True, help="Even if it has changed since; the vault keeps its present content.")
@click.pass_obj
def undo(app: App, overwrite: bool) -> None:
    """Restore ~/.aws/credentials, byte for byte, to its state before 'awsv import --remove-plain'.

    \b
    Example:
      awsv import undo
    """
    app = app.about(f"restoring {app.settings.aws_credentials_file}")
    plain = _plain_file(app)
    plain.restore(overwrite=overwrite)
    app.note(f"restored {plain.path}; its keys are in the vault, too, and SDKs use the plain ones first")


def _plain_file(app: App) -> PlainFile:
    path = app.settings.aws_credentials_file
    return PlainFile(
        path=path,
        config_file=app.settings.aws_config_file,
        read=app.host.read,
        backups=Backups(app.vault(), path),
        records=app.import_records,
        locks=app.config_locks,
    )


def _remove_plain(app: App, *, dry_run: bool, yes: bool) -> None:
    """Remove the keys that were copied and that SDKs now get from awsv.

    :raises StorageError: the file has changed since the copy.
    :raises PartlyDone: some plain keys are still in the file.
    """
    app = app.about(f"removing the plain keys of {app.settings.aws_credentials_file}")
    plain = _plain_file(app)
    raw = app.host.read(plain.path)
    plain.require_copied(raw)
    vaults = Vaults(app.vault)
    removal = plain.propose(raw, app.launcher, vaults)
    if not removal.removed:
        return _show_kept(app, removal, done=False)
    shown = difference(raw, removal.after, plain.path)
    if dry_run:
        app.write(shown)
        return None
    output.to_stderr(f"{shown}\n")
    obstacle = plain.obstacle()
    if not obstacle and not yes and not app.confirm(f"Change {plain.path} like this?", flag="--yes"):
        raise Cancelled("nothing was changed")
    plain.remove(removal, write=not obstacle)
    if obstacle:
        raise _patch(app, removal, obstacle)
    app.note(
        f"removed the keys of {counted(len(removal.removed), 'profile')} from {plain.path}; 'awsv import undo' restores"
        " them. Backups, other copies and the disk may still contain them: a key that was once in a plain file should"
        " be replaced by a new one"
    )
    _warn_of_comments(app, removal)
    return _show_kept(app, plain.propose(removal.after, app.launcher, vaults), done=True)  # with new line numbers


def _show_kept(app: App, removal: Removal, *, done: bool) -> None:
    """:raises PartlyDone: plain keys are still in the file."""
    if not removal.kept:
        if not done:
            app.note(f"{removal.path} contains no plain long-term keys")
        return
    listed = reasons((entry.name, entry.reason) for entry in removal.kept)
    fixes = {
        UNWIRED: "awsv config credential-process --all, then repeat",
        NOT_STORED: "awsv import credentials-file, then repeat",
    }
    known = [fixes[entry.reason] for entry in removal.kept if entry.reason in fixes]
    raise PartlyDone(
        f"the plain keys of {counted(len(removal.kept), 'profile')} are still in {removal.path}: {listed}",
        hint=known[0] if known else "fix or remove those lines by hand, then repeat",
    )


def _patch(app: App, removal: Removal, obstacle: str) -> ConfigError:
    """Print the change as a patch on standard output; the failure to raise, as the keys are still in the file."""
    app.write("\n".join(deleted_lines(removal)))
    return ConfigError(
        f"{obstacle}: it was not changed. The patch on standard output only deletes lines",
        hint="apply it where the file is kept (patch --ed FILE PATCH); 'awsv import undo' reverts it",
    )


def _warn_of_comments(app: App, removal: Removal) -> None:
    if lines := commented_secrets(removal.after, removal.path):
        listed = ", ".join(map(str, lines[:MAX_NAMED]))
        where = f"line{'' if len(lines) == 1 else 's'} {listed}"
        app.note(f"warning: comments of {removal.path} seem to contain a secret, in {where}; they were not removed")
