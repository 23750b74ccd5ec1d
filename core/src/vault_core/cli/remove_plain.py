"""``awsv import --remove-plain`` and ``awsv import undo``: plain keys leave the credentials file, and come back."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vault_core import output
from vault_core.cli.app import App, subcommand
from vault_core.cli.moving import Vaults
from vault_core.cli.text import MAX_NAMED, counted, difference, reasons
from vault_core.errors import Cancelled, ConfigError, PartlyDone, StorageError

if TYPE_CHECKING:
    from vault_core.api import Credentials
    from vault_core.importing.backups import Originals
    from vault_core.importing.credentials_file import Removal

_PURPOSE = "-originals"
"""Of the lock under which an original is kept, its file changed and what was copied noted: one step after the other."""


def remove_plain(app: App, *, dry_run: bool, yes: bool) -> None:
    """Remove the keys that were copied from the credentials file, and that SDKs ask awsv for instead.

    :raises StorageError: the file has changed since the copy.
    :raises PartlyDone: some plain keys are still there.
    """
    from vault_core.awsconfig.write import alone, save
    from vault_core.importing.backups import Originals

    path = app.settings.aws_credentials_file
    app = app.about(f"removing the plain keys of {path}")
    raw = app.host.read(path)
    _refuse_unless_copied(app, path, raw)
    removal = _proposal(app, raw)
    if not removal.removed:
        return _tell_rest(app, removal, done=False)
    shown = difference(raw, removal.after, path)
    if dry_run:
        app.write(shown)
        return None
    output.to_stderr(f"{shown}\n")
    obstacle = _obstacle(path)
    if not obstacle and not yes and not app.confirm(f"Change {path} like this?", flag="--yes"):
        raise Cancelled("nothing was changed")
    originals = Originals(app.vault(), path)
    originals.read()  # may ask, so before the lock
    with alone(path, app.config_locks, _PURPOSE):
        originals.push(raw, _mode(path), removal.after)
        if obstacle:
            _print_patch(app, removal, obstacle)
        save(path, raw, removal.after, locks=app.config_locks)
        app.receipts.write(path, removal.after, app.copied(raw))
    app.note(
        f"the keys of {counted(len(removal.removed), 'profile')} are out of {path}; 'awsv import undo' puts them back."
        " Backups and other copies may still hold them, and the disk may: a key that once lay in a plain file should"
        " be replaced by a new one"
    )
    _warn_of_comments(app, removal)
    return _tell_rest(app, _proposal(app, removal.after), done=True)  # the lines have other numbers now


@subcommand("undo", short_help="Put ~/.aws/credentials back as it was.")
@click.option("--overwrite", is_flag=True, help="Also if the file was changed since; what it holds now is kept.")
@click.pass_obj
def undo(app: App, overwrite: bool) -> None:
    """Put ~/.aws/credentials back, byte for byte, as it was before 'awsv import --remove-plain'.

    \b
    Example:
      awsv import undo
    """
    from vault_core.awsconfig.write import alone
    from vault_core.importing.backups import Originals

    path = app.settings.aws_credentials_file
    app = app.about(f"putting {path} back")
    originals = Originals(app.vault(), path)
    originals.read()  # may ask, so before the lock
    with alone(path, app.config_locks, _PURPOSE):
        _undo(app, path, originals, overwrite=overwrite)
    app.note(f"{path} is as it was; its keys are in the vault as well, and SDKs take the plain ones first")


def _undo(app: App, path: Path, originals: Originals, *, overwrite: bool) -> None:
    from vault_core.awsconfig.write import save
    from vault_core.importing.backups import Original
    from vault_core.importing.record import digest
    from vault_core.secret import Secret

    kept = originals.read()
    if not kept:
        raise StorageError(
            f"the store holds no original of {path}", hint="only what 'awsv import --remove-plain' changed comes back"
        )
    last, raw = kept.pop(), app.host.read(path)
    content = last.content.reveal()
    if raw != content and digest(raw) != last.left:
        if not overwrite:
            raise StorageError(
                f"{path} was changed since its keys were removed; nothing was put back",
                hint="'awsv import undo --overwrite' replaces it; what it holds now is kept in the vault",
            )
        # Until the file is back both are kept: whatever stops us, the next undo finds what it needs.
        now = Original(Secret(raw), _mode(path), digest(content))
        originals.write([*kept, now, last])
        kept.append(now)
    if raw != content or _mode(path) != last.mode:
        save(path, raw, content, mode=last.mode, locks=app.config_locks)
    app.receipts.write(path, content, _copied_profiles(app, path))
    originals.write(kept)


def _refuse_unless_copied(app: App, path: Path, raw: bytes) -> None:
    from vault_core.importing.record import digest

    receipt = app.receipts.read(path)
    if receipt is None:
        raise ConfigError(f"nothing was copied from {path} yet", hint="awsv import credentials-file")
    if receipt.digest != digest(raw):
        raise StorageError(
            f"{path} has changed since it was copied; nothing was removed",
            hint="'awsv import credentials-file' copies what is new in it",
        )


def _proposal(app: App, raw: bytes) -> Removal:
    from vault_core.awsconfig.quoting import process_profile, process_words
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.importing.credentials_file import propose_removal
    from vault_core.sessions.profiles import own_profile

    def asks(line: str) -> str | None:
        words = process_words(line)
        ours = bool(words) and Path(words[0]).name.startswith("awsv")
        with suppress(ConfigError):  # a line of ours with options is not one that asks for the profile as it is
            return process_profile(line, app.launcher) or (own_profile(line) if ours else None)
        return None

    files = app.settings.aws_config_file, app.settings.aws_credentials_file
    config = AwsConfig.parse(app.host.read(files[0]), raw, *files)
    vaults = Vaults(app)

    def stored(name: str, key: Credentials) -> bool:
        found = vaults(name).get(name)
        return found is not None and found.credentials == key

    return propose_removal(config, raw, asks, stored)


def _tell_rest(app: App, removal: Removal, *, done: bool) -> None:
    """:raises PartlyDone: there are plain keys left."""
    from vault_core.importing.credentials_file import NOT_STORED, UNWIRED

    if not removal.kept:
        if not done:
            app.note(f"there are no plain long-term keys in {removal.path}")
        return
    listed = reasons((bad.name, bad.reason) for bad in removal.kept)
    helps = {
        UNWIRED: "awsv config credential-process --all, then repeat",
        NOT_STORED: "awsv import credentials-file, then repeat",
    }
    known = [helps[bad.reason] for bad in removal.kept if bad.reason in helps]
    raise PartlyDone(
        f"the plain keys of {counted(len(removal.kept), 'profile')} stay in {removal.path}: {listed}",
        hint=known[0] if known else "mend or remove those lines by hand, then repeat",
    )


def _obstacle(path: Path) -> str | None:
    """Why the file is not to be written by us."""
    if path.is_symlink():
        return f"{path} is a symbolic link to {os.path.realpath(path)}, which something else may manage"
    if not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK):
        return f"{path} is read-only"
    if not os.access(path.parent, os.W_OK):
        return f"the folder of {path} is read-only"
    return None


def _print_patch(app: App, removal: Removal, obstacle: str) -> None:
    """The change as a patch on standard output.

    :raises ConfigError: always: the keys are still there.
    """
    from vault_core.importing.credentials_file import deleted_lines

    app.write("\n".join(deleted_lines(removal)))
    raise ConfigError(
        f"{obstacle}: it was not changed. Standard output has the patch, which only deletes lines",
        hint="apply it where the file is kept (patch --ed FILE PATCH); 'awsv import undo' takes it back",
    )


def _warn_of_comments(app: App, removal: Removal) -> None:
    from vault_core.importing.credentials_file import commented_secrets

    if lines := commented_secrets(removal.after, removal.path):
        listed = ", ".join(map(str, lines[:MAX_NAMED]))
        where = f"line{'' if len(lines) == 1 else 's'} {listed}"
        app.note(f"warning: comments of {removal.path} hold what looks like a secret, in {where}: they stay")


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600


def _copied_profiles(app: App, path: Path) -> frozenset[str]:
    receipt = app.receipts.read(path)
    return receipt.profiles if receipt else frozenset()
