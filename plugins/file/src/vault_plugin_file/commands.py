"""``awsv file``: the store's file made, checked, backed up and restored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from vault_core.api import Cancelled, CommandContext
from vault_plugin_file import maintenance
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.backup import write_copy
from vault_plugin_file.location import folder
from vault_plugin_file.rollback_guard import Verdict
from vault_plugin_file.status import counted, lines, row, status
from vault_plugin_file.store import State, StoreFile

_FILE = click.Path(path_type=Path)


def _store(ctx: CommandContext) -> StoreFile:
    storage = ctx.storage("file")
    return StoreFile(storage, folder(storage))


def _opened_by(state: State) -> str:
    return "opens with: " + ", ".join(slot.describe() for slot in state.table.slots)


@click.group("file")
def command() -> None:
    """Make, check, back up and restore the file store.

    \b
    Examples:
      awsv file status
      awsv file backup ~/backups/awsv-2026-11.vlt
    """


@command.command("init")
@click.pass_obj
def init(ctx: CommandContext) -> None:
    """Make an empty store, where there is none.

    'awsv add' makes one too, when it is first needed.

    \b
    Example:
      awsv file init
    """
    store = _store(ctx)
    state = maintenance.create(store)
    ctx.write(f"Made {store.where}")
    ctx.note(f"it {_opened_by(state)}")
    ctx.offer_recovery("file", FileBackend(store.ctx, store.file.folder))


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def show_status(ctx: CommandContext, as_json: bool) -> None:
    """Show the store's slots, sizes, permissions and anchor. Asks nobody.

    \b
    Example:
      awsv file status
    """
    facts = status(_store(ctx))
    if as_json:
        return ctx.write_json(facts)
    for line in lines(facts):
        ctx.write(line)
    if facts["exists"]:
        ctx.write("")
        ctx.write_table(("Id", "Type", "Label", "Source", "A guess costs"), [row(slot) for slot in facts["slots"]])
    return None


@command.command("verify")
@click.argument("backup", type=_FILE, required=False)
@click.pass_obj
def verify(ctx: CommandContext, backup: Path | None) -> None:
    """Check every byte and every entry of the store, or of a backup.

    Exit code 4, and what is damaged, if anything is.

    \b
    Examples:
      awsv file verify
      awsv file verify ~/backups/awsv-2026-11.vlt
    """
    store = _store(ctx)
    state = maintenance.need(store) if backup is None else maintenance.open_copy(store, backup)
    where = store.where if backup is None else str(backup)
    whole = "the other entries are not affected; 'awsv file restore BACKUP' brings all back"
    maintenance.require_whole(state, where, whole if backup is None else maintenance.ANOTHER_BACKUP)
    slots, writes = counted(len(state.table.slots), "slot"), counted(state.epoch, "write")
    ctx.write(f"{where} is whole: {_entries(state)}, {slots}, {writes}")


@command.command("rekey")
@click.option("--drop", is_flag=True, help="Drop the slots that cannot be opened, without asking.")
@click.pass_obj
def rekey(ctx: CommandContext, drop: bool) -> None:
    """Give the store another data key, and seal every entry again.

    For when somebody may have seen the data key, or had a way in that was removed. Every slot must be opened;
    nothing is asked twice. What cannot be opened is dropped, after a question.

    \b
    Example:
      awsv file rekey
    """
    store = _store(ctx)

    def may_drop(slots: Sequence[str]) -> bool:
        question = f"These did not open, and will not open the store any more: {', '.join(slots)}. Go on?"
        return drop or ctx.confirm(question, flag="--drop")

    state, before = maintenance.rekey(store, may_drop)
    ctx.write(f"{store.where} has another data key: {_entries(state)} sealed again")
    ctx.note(f"it {_opened_by(state)}")
    ctx.note("older copies and backups still open as they did: delete them if the old key may be known")
    if before.of_type("key"):
        ctx.note("but not through a key slot, whose source has another key now: make a new backup")


@command.command("backup")
@click.argument("file", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace FILE without asking.")
@click.pass_obj
def backup(ctx: CommandContext, file: Path, overwrite: bool) -> None:
    """Copy the store into one encrypted FILE. Asks nobody for a passphrase.

    The copy opens with what opens the store now; a passphrase that is changed later does not change it.

    \b
    Example:
      awsv file backup ~/backups/awsv-2026-11.vlt
    """
    store = _store(ctx)
    envelope, verdict = store.look()
    if envelope is None:
        raise store.missing()
    maintenance.check_backup_target(store, file)
    if not verdict.trusted:
        ctx.note(f"warning: this is not the newest state that this machine has seen ({verdict.value})")
    if file.exists() and not overwrite:
        overwrite = ctx.confirm(f"{file} exists. Replace it?", flag="--overwrite")
        if not overwrite:
            raise Cancelled("nothing was changed")
    write_copy(file, envelope.data, overwrite=overwrite)
    ctx.write(
        f"Wrote {file}: {counted(len(envelope.data), 'byte')}, the store after {counted(envelope.epoch, 'write')}"
    )
    ctx.note("it opens with: " + ", ".join(slot.describe() for slot in envelope.table.slots))
    ctx.note(f"to check it: {store.command('verify', file)}")


@command.command("restore", short_help="Put a backup in the place of the store.")
@click.argument("file", type=_FILE)
@click.option("-y", "--yes", is_flag=True, help="Replace the store without asking.")
@click.pass_obj
def restore(ctx: CommandContext, file: Path, yes: bool) -> None:
    """Put a backup in the place of the store, after every entry of it was checked.

    The old file is kept beside.

    \b
    Example:
      awsv file restore ~/backups/awsv-2026-11.vlt
    """
    store = _store(ctx)

    def may_replace() -> bool:
        return yes or ctx.confirm(f"Replace {store.where}? The old file is kept beside.", flag="--yes")

    state, kept = maintenance.restore(store, file, may_replace, ctx.changing_store("file"))
    ctx.write(f"Restored {store.where} from {file}: {_entries(state)}")
    if kept is not None:
        ctx.note(f"the old file is {kept}")
    ctx.note(f"it {_opened_by(state)}")


@command.command("accept", short_help="Accept the store as it is.")
@click.option("--older", "flag", flag_value="older", help="The file is an older copy, and meant to be.")
@click.option("--fork", "flag", flag_value="fork", help="Two machines wrote it, and this copy is the one to keep.")
@click.option("--replaced", "flag", flag_value="replaced", help="Another store is there, or none, and that is meant.")
@click.pass_context
def accept(click_ctx: click.Context, flag: str | None) -> None:
    """Accept the store as it is, where this machine remembers another state of it.

    'awsv file status' shows what it takes the store for.

    \b
    Example:
      awsv file accept --older
    """
    if flag is None:
        raise click.UsageError("say what you accept: --older, --fork or --replaced", click_ctx)
    ctx: CommandContext = click_ctx.obj
    ctx.note(maintenance.accept(_store(ctx), Verdict(flag), ctx.changing_store("file")))


def _entries(state: State) -> str:
    return counted(len(state.entries), "entry", "entries")
