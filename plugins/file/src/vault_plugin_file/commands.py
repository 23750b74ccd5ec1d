"""``awsv file``: create, check, back up and restore the file store."""

from collections.abc import Sequence
from pathlib import Path

import click

from vault_core.api import Cancelled, CommandContext
from vault_plugin_file import maintenance
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.backup import write_copy
from vault_plugin_file.location import folder
from vault_plugin_file.rollback_guard import RollbackStatus
from vault_plugin_file.status import counted, lines, row, status
from vault_plugin_file.store import State, StoreFile

_FILE = click.Path(path_type=Path)


def _store(ctx: CommandContext) -> StoreFile:
    storage = ctx.storage("file")
    return StoreFile(storage, folder(storage))


def _opened_by(state: State) -> str:
    return "it opens with: " + ", ".join(slot.describe() for slot in state.table.slots)


@click.group("file")
def command() -> None:
    """Create, check, back up and restore the file store.

    \b
    Examples:
      awsv file status
      awsv file backup ~/backups/awsv-2026-11.vlt
    """


@command.command("init")
@click.pass_obj
def init(ctx: CommandContext) -> None:
    """Create an empty store if there is none.

    'awsv add' also creates one when it is first needed.

    \b
    Example:
      awsv file init
    """
    store = _store(ctx)
    state = maintenance.create(store)
    ctx.write(f"Created {store.where}")
    ctx.note(_opened_by(state))
    ctx.offer_recovery("file", FileBackend(store.ctx, store.file.folder))


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def show_status(ctx: CommandContext, as_json: bool) -> None:
    """Show slots, sizes, permissions and anchor (never prompts).

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
        ctx.write_table(("Id", "Type", "Label", "Source", "Cost of a guess"), [row(slot) for slot in facts["slots"]])
    return None


@command.command("verify")
@click.argument("backup", type=_FILE, required=False)
@click.pass_obj
def verify(ctx: CommandContext, backup: Path | None) -> None:
    """Check every byte and every entry of the store or of a backup.

    If something is damaged, it is named, and the exit code is 4.

    \b
    Examples:
      awsv file verify
      awsv file verify ~/backups/awsv-2026-11.vlt
    """
    store = _store(ctx)
    state = maintenance.need(store) if backup is None else maintenance.open_copy(store, backup)
    where = store.where if backup is None else str(backup)
    repair = "the other entries are not affected; 'awsv file restore BACKUP' restores all of them"
    maintenance.require_whole(state, where, repair if backup is None else maintenance.ANOTHER_BACKUP)
    slots, writes = counted(len(state.table.slots), "slot"), counted(state.epoch, "write")
    ctx.write(f"{where} is intact: {_entries(state)}, {slots}, {writes}")


@command.command("rekey")
@click.option("--drop", is_flag=True, help="Drop the slots that cannot be unlocked, without asking.")
@click.pass_obj
def rekey(ctx: CommandContext, drop: bool) -> None:
    """Give the store a new data key and encrypt every entry again.

    Use it if another person may know the data key, or could open a slot that you have removed. Every slot must be
    unlocked; no secret is asked twice. Slots that cannot be unlocked are dropped after you confirm it.

    \b
    Example:
      awsv file rekey
    """
    store = _store(ctx)

    def may_drop(slots: Sequence[str]) -> bool:
        question = f"These slots could not be unlocked, and will be dropped: {', '.join(slots)}. Continue?"
        return drop or ctx.confirm(question, flag="--drop")

    state, before = maintenance.rekey(store, may_drop)
    ctx.write(f"{store.where} has a new data key: {_entries(state)} encrypted again")
    ctx.note(_opened_by(state))
    ctx.note("older copies and backups still open as before: delete them if another person may know the old key")
    if before.of_type("key"):
        ctx.note("but no longer through a key slot, whose source has a new key now: make a new backup")


@command.command("backup")
@click.argument("file", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace FILE without asking.")
@click.pass_obj
def backup(ctx: CommandContext, file: Path, overwrite: bool) -> None:
    """Copy the store into one encrypted FILE (never prompts).

    The copy opens with what opens the store now, even after you change the store's passphrase.

    \b
    Example:
      awsv file backup ~/backups/awsv-2026-11.vlt
    """
    store = _store(ctx)
    envelope, status = store.look()
    if envelope is None:
        raise store.missing()
    maintenance.check_backup_target(store, file)
    if not status.trusted:
        ctx.note(f"warning: this is not the newest state that this machine has seen ({status.value})")
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


@command.command("restore", short_help="Restore the store from a backup.")
@click.argument("file", type=_FILE)
@click.option("-y", "--yes", is_flag=True, help="Replace the store without asking.")
@click.pass_obj
def restore(ctx: CommandContext, file: Path, yes: bool) -> None:
    """Restore the store from a backup, after checking every entry of the backup.

    The old file is kept next to it.

    \b
    Example:
      awsv file restore ~/backups/awsv-2026-11.vlt
    """
    store = _store(ctx)

    def may_replace() -> bool:
        return yes or ctx.confirm(f"Replace {store.where}? The old file is kept next to it.", flag="--yes")

    state, kept = maintenance.restore(store, file, may_replace, ctx.changing_store("file"))
    ctx.write(f"Restored {store.where} from {file}: {_entries(state)}")
    if kept is not None:
        ctx.note(f"the old file is {kept}")
    ctx.note(_opened_by(state))


@command.command("accept", short_help="Accept the store as it is.")
@click.option("--older", "flag", flag_value="older", help="The file is an older copy, on purpose.")
@click.option("--fork", "flag", flag_value="fork", help="Two machines wrote the store; keep this copy.")
@click.option("--replaced", "flag", flag_value="replaced", help="A different store or no store is there, on purpose.")
@click.pass_context
def accept(click_ctx: click.Context, flag: str | None) -> None:
    """Accept the store as it is, if this machine has recorded another state of it.

    'awsv file status' shows how the store differs from what was recorded.

    \b
    Example:
      awsv file accept --older
    """
    if flag is None:
        raise click.UsageError("name what you accept: --older, --fork or --replaced", click_ctx)
    ctx: CommandContext = click_ctx.obj
    ctx.note(maintenance.accept(_store(ctx), RollbackStatus(flag), ctx.changing_store("file")))


def _entries(state: State) -> str:
    return counted(len(state.entries), "entry", "entries")
