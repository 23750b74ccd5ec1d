"""``awsv import aws-vault``: copy every key of aws-vault's file store."""

from pathlib import Path

import click

from vault_core import api
from vault_plugin_aws_vault.config_lines import profile_of
from vault_plugin_aws_vault.items import read_items, scan
from vault_plugin_aws_vault.plugin import FOLDER, PASSPHRASE

TRIES = 3


@click.command("aws-vault")
@click.option("--dir", "folder", metavar="DIR", help="The folder of aws-vault's items (~/.awsvault/keys).")
@click.option("--overwrite", is_flag=True, help="Replace stored keys that differ.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be done and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Change config lines that run aws-vault without asking.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(
    ctx: api.CommandContext, folder: str | None, overwrite: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Copy every key of aws-vault's file store.

    The passphrase of that store is read from AWS_VAULT_IMPORT_PASSPHRASE, or prompted for. Cached sessions are not
    copied, and no file of aws-vault is changed. Lines of the AWS config that run aws-vault can be changed to run awsv;
    the change is shown first.

    \b
    Example:
      awsv import aws-vault --dir ~/.awsvault/keys
    """
    place = items_folder(ctx, folder)
    items = read_items(place)
    if not items:
        raise api.ConfigError(
            f"{place} contains no items of aws-vault",
            hint="give the folder with --dir; only aws-vault's file store can be imported",
        )
    found = opened(ctx, place, items)
    ctx.import_keys(found, profile_of, overwrite=overwrite, dry_run=dry_run, yes=yes, as_json=as_json)


def items_folder(ctx: api.CommandContext, given: str | None) -> Path:
    """The folder of the option, of the variable if it contains items, or the default one of aws-vault."""
    if given is not None:
        return Path(given).absolute()
    home = Path(ctx.environ.get("HOME") or Path.home())
    named = ctx.environ.get(FOLDER, "")
    if named.startswith("~/"):
        named = str(home / named[2:])
    # The variable may already be set for awsv's own store; that folder contains no items.
    if named.startswith("/") and Path(named).is_dir() and read_items(Path(named)):
        return Path(named)
    return home / ".awsvault" / "keys"


def opened(ctx: api.CommandContext, place: Path, items: dict[str, bytes]) -> api.ImportScan:
    """Decrypt the items with the passphrase of the variable, or of the user, who has three tries.

    :raises PassphraseError: there is no passphrase, or it opens no item.
    """
    text = ctx.environ.get(PASSPHRASE)
    if text is not None:
        if not text:
            raise api.PassphraseError(
                f"{PASSPHRASE} is set but empty", hint="set it to the passphrase of aws-vault, or unset it"
            )
        return scan(place, items, api.Secret(text))
    for _ in range(TRIES - 1):
        try:
            return scan(place, items, _ask(ctx, place))
        except api.WrongSecret as error:
            ctx.note(error.message)
    return scan(place, items, _ask(ctx, place))


def _ask(ctx: api.CommandContext, place: Path) -> api.Secret:
    try:
        return ctx.ask(f"Passphrase of aws-vault's items in {place}: ")
    except api.SourceUnavailable as error:
        raise api.PassphraseError(
            f"no passphrase for aws-vault's items in {place}: {PASSPHRASE} is not set, and there is no prompt:"
            f" {error.message}",
            hint=f"run the command in a terminal, or set {PASSPHRASE}",
        ) from None
    except api.QuestionRefused:
        raise api.PassphraseError("no passphrase was given; nothing was copied") from None
