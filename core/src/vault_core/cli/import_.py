"""``awsv import``: keys that lie elsewhere are copied into the vault, and read back and compared.

Nothing is removed by a copy. ``--remove-plain`` is a later command of its own, and ``undo`` takes it back.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vault_core import output
from vault_core.cli.app import App, global_options, subcommand
from vault_core.cli.moving import Vaults, move, say_who, write_report
from vault_core.cli.remove_plain import remove_plain, undo
from vault_core.cli.text import counted, difference
from vault_core.errors import ConfigError, PartlyDone, PassphraseError, UsageError, VaultError, WrongSecret
from vault_core.keyslots.manage import lacks_store
from vault_core.secret import Secret
from vault_core.sessions.plan import KeyStep
from vault_core.sessions.profiles import SessionOptions, own_profile

if TYPE_CHECKING:
    from vault_core.importing.copy import Outcome
    from vault_core.importing.scan import Found

PASSPHRASE = "AWS_VAULT_IMPORT_PASSPHRASE"  # noqa: S105 - a variable's name
ITEMS = "AWS_VAULT_FILE_DIR"
TRIES = 3


@click.group("import", invoke_without_command=True)
@click.option("--remove-plain", "remove", is_flag=True, help="Remove the copied keys from ~/.aws/credentials.")
@click.option("-n", "--dry-run", is_flag=True, help="With --remove-plain: print the change and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="With --remove-plain: do not ask.")
@click.pass_context
def command(ctx: click.Context, remove: bool, dry_run: bool, yes: bool) -> None:
    """Move keys into the vault: copy, wire, remove, and take it back.

    \b
    The way, each step on its own:
      awsv import credentials-file --check      copy the keys of ~/.aws/credentials
      awsv config credential-process --all      let every AWS SDK ask awsv
      awsv import --remove-plain                remove the plain keys
      awsv import undo                          the credentials file as it was
    """
    app = ctx.ensure_object(App)
    app.sweep_aws_files()
    if ctx.invoked_subcommand is not None:
        if remove or dry_run or yes:
            raise UsageError("these options go with --remove-plain alone, or behind the command")
        return
    if not remove:
        raise click.exceptions.NoArgsIsHelpError(ctx)
    remove_plain(app, dry_run=dry_run, yes=yes)


command.params.extend(global_options(hidden=True))


@subcommand("credentials-file")
@click.option("--check", is_flag=True, help="Ask AWS whose each key is.")
@click.option("--overwrite", is_flag=True, help="Replace stored keys that differ.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def credentials_file(app: App, check: bool, overwrite: bool, dry_run: bool, as_json: bool) -> None:
    """Copy every long-term key of ~/.aws/credentials.

    The file stays as it is; entries with a session token are left out. A name under which another key is stored is
    skipped and named.

    \b
    Example:
      awsv import credentials-file --check
    """
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.importing.credentials_file import keys

    path = app.settings.aws_credentials_file
    app = app.about(f"copying the keys of {path}")
    raw = app.host.read(path)
    if not raw:
        raise ConfigError(f"there is nothing in {path}", hint="set AWS_SHARED_CREDENTIALS_FILE, if it is elsewhere")
    config = AwsConfig.parse(app.host.read(app.settings.aws_config_file), raw, app.settings.aws_config_file, path)
    found = keys(config)
    vaults = Vaults(app)
    identities = say_who(app, found) if check else {}
    partly: PartlyDone | None = None
    with vaults.offering_recovery():
        outcomes = move(app, vaults, found, overwrite=overwrite, dry_run=dry_run)
        if not dry_run:
            app.receipts.write(path, raw, [one.name for one in outcomes if one.state.arrived])
        try:
            write_report(app, vaults, found, outcomes, identities, dry_run=dry_run, as_json=as_json)
        except PartlyDone as error:  # what arrived goes on all the same
            partly = error
    if not dry_run and any(one.state.arrived for one in outcomes):
        app.note(
            f"{path} is as it was; next: 'awsv config credential-process --all', then 'awsv import --remove-plain'"
        )
    if partly is not None:
        raise partly


@subcommand("aws-vault")
@click.option("--dir", "folder", metavar="DIR", help="The folder of aws-vault's items (~/.awsvault/keys).")
@click.option("--overwrite", is_flag=True, help="Replace stored keys that differ.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Change config lines that call aws-vault without asking.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def aws_vault(app: App, folder: str | None, overwrite: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Copy every key of aws-vault's file store.

    Its passphrase is asked for, or taken from AWS_VAULT_IMPORT_PASSPHRASE. Cached sessions are left out, aws-vault's
    files stay as they are. Lines of the AWS config that run aws-vault can be changed to run awsv: the change is shown
    first.

    \b
    Example:
      awsv import aws-vault --dir ~/.awsvault/keys
    """
    from vault_core.importing.awsvault import tokens

    place = _items_folder(app, folder)
    app = app.about(f"copying the keys of aws-vault in {place}")
    items = tokens(place)
    if not items:
        raise ConfigError(
            f"{place} holds no items of aws-vault",
            hint="name the folder by --dir; only aws-vault's file store is read",
        )
    found = _opened(app, place, items)
    vaults = Vaults(app)
    partly: PartlyDone | None = None
    with vaults.offering_recovery():
        outcomes = move(app, vaults, found, overwrite=overwrite, dry_run=dry_run)
        try:
            write_report(app, vaults, found, outcomes, {}, dry_run=dry_run, as_json=as_json)
        except PartlyDone as error:  # what arrived is wired all the same
            partly = error
    _rewire(app, _Served(app, vaults, outcomes), dry_run=dry_run, yes=yes)
    if partly is not None:
        raise partly


command.add_command(credentials_file)
command.add_command(aws_vault)
command.add_command(undo)


def _items_folder(app: App, given: str | None) -> Path:
    from vault_core.importing.awsvault import tokens

    if given is not None:
        return Path(given).absolute()
    usual = app.settings.home / ".awsvault" / "keys"
    named = app.settings.environ.get(ITEMS, "")
    if named.startswith("~/"):
        named = str(app.settings.home / named[2:])
    # The variable may mean awsv's own store by now; then there are no items in its folder.
    if named.startswith("/") and Path(named).is_dir() and tokens(Path(named)):
        return Path(named)
    return usual


def _opened(app: App, place: Path, items: dict[str, bytes]) -> Found:
    """The items, with the passphrase of the variable, or of a person who has three tries."""
    from vault_core.importing.awsvault import open_items

    given = app.settings.environ.get(PASSPHRASE)
    if given is not None:
        if not given:
            raise PassphraseError(
                f"{PASSPHRASE} is set, and empty", hint="set it to aws-vault's passphrase, or unset it"
            )
        return open_items(place, items, Secret(given))
    for attempt in range(1, TRIES + 1):
        try:
            return open_items(place, items, _ask(app, place))
        except WrongSecret as error:
            if attempt == TRIES or app.host.cannot_ask():
                raise
            app.note(error.message)
    raise AssertionError("the last try returns or raises")


def _ask(app: App, place: Path) -> Secret:
    from vault_core.errors import QuestionRefused

    reason = app.host.cannot_ask()
    if reason:
        raise PassphraseError(
            f"no passphrase for aws-vault's items in {place}: {PASSPHRASE} is not set, and nobody can be asked:"
            f" {reason}",
            hint=f"run it in a terminal, or set {PASSPHRASE}",
        )
    try:
        return app.host.terminal.ask(f"Passphrase of aws-vault's items in {place}: ", secret=True)
    except QuestionRefused:
        raise PassphraseError("no passphrase was given; nothing was copied") from None


class _Served:
    """Whether awsv can give out a profile's credentials after the copy, as aws-vault does."""

    def __init__(self, app: App, vaults: Vaults, outcomes: list[Outcome]) -> None:
        self._vaults = vaults
        self._planner = app.planner(SessionOptions())
        self._arrived = {outcome.name: outcome.state.arrived for outcome in outcomes}

    def __call__(self, profile: str) -> bool:
        try:
            first = self._planner.plan(profile).steps()[0]
            if not isinstance(first, KeyStep):
                return True
            if first.name in self._arrived:
                return self._arrived[first.name]
            vault = self._vaults(first.name)
            return not lacks_store(vault) and vault.get(first.name) is not None
        except VaultError:
            return False


def _rewire(app: App, served: _Served, *, dry_run: bool, yes: bool) -> None:
    """Offer to change the config's lines that run aws-vault."""
    from vault_core.awsconfig.rewiring import propose
    from vault_core.awsconfig.write import save

    path = app.settings.aws_config_file
    raw = app.host.read(path)

    def asked(line: str) -> str | None:
        with suppress(ConfigError):  # it has options of its own
            return own_profile(line)
        return None

    proposal = propose(raw, path, app.launcher, asked, served)
    for place, why in proposal.left.items():
        app.note(f"left alone: {place} {why}")
    if not proposal.changed:
        return
    output.to_stderr(f"{difference(raw, proposal.after, path)}\n")
    what = f"{counted(len(proposal.changed), 'line')} of {path}"
    if dry_run:
        app.note(f"{what} would be changed like this: awsv in place of aws-vault")
    elif not yes and app.host.cannot_ask():
        app.note(f"{what} would be changed like this, and nothing was; --yes does it")
    elif yes or app.confirm(f"Change {path} like this?", flag="--yes"):
        save(path, raw, proposal.after, locks=app.config_locks)
        app.note(f"changed {what}: awsv in place of aws-vault")
    else:
        app.note(f"{path} was not changed")
