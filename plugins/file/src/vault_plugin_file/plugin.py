"""The storage backend ``file``: one encrypted file, ``store.vlt``, in a folder of the user's own; and ``awsv file``.

This module only describes them; the rest is imported when the store is opened or the command is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vault_core.api import (
    AtRest,
    Capability,
    CommandSpec,
    ConfigError,
    Context,
    Option,
    StorageSpec,
    StoreContext,
    boolean,
    hookimpl,
)

if TYPE_CHECKING:
    from vault_plugin_file.backend import FileBackend

STORE_NAME = "store.vlt"


def _folder_text(text: str) -> str:
    if not text.startswith(("/", "~/")) and text != "~":
        raise ValueError("a folder is named from the root (/…) or from home (~/…)")
    return text


def folder(ctx: Context) -> Path:
    """The folder of the store: option ``dir``, else the user's data folder.

    :raises ConfigError: it is named from home, and this user has none.
    """
    chosen = ctx.options.get("dir")
    if chosen is None:
        return ctx.data_dir
    text = str(chosen)
    home = ctx.environ.get("HOME")
    if home and (text == "~" or text.startswith("~/")):
        return Path(home + text[1:])
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"the store's folder {text} is in your home, and there is no HOME", hint="set HOME") from None


def _locate(ctx: Context) -> str:
    return str(folder(ctx) / STORE_NAME)


def _open(ctx: StoreContext) -> FileBackend:
    from vault_plugin_file.backend import FileBackend

    return FileBackend(ctx, folder(ctx))


@hookimpl
def vault_storage_backends() -> Sequence[StorageSpec]:
    return (
        StorageSpec(
            name="file",
            summary="one encrypted file in your data folder, opened with a passphrase",
            open=_open,
            at_rest=AtRest.BACKEND,
            capabilities=Capability.CREATE_ONLY | Capability.CAS,
            options=(
                Option(
                    name="dir",
                    help=f"folder that holds {STORE_NAME} (default: awsv's data folder)",
                    parse=_folder_text,
                ),
                Option(
                    name="anchor",
                    help="on or off: notice an older or another file in the place of the store (default: on)",
                    default=True,
                    parse=boolean,
                ),
            ),
            locate=_locate,
        ),
    )


@hookimpl
def vault_commands() -> Sequence[CommandSpec]:
    return (
        CommandSpec(
            name="file",
            summary="make, check, back up and restore the file store",
            target="vault_plugin_file.commands:command",
        ),
    )
