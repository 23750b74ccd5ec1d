"""The specs of the storage backend ``file`` (one encrypted file, ``store.vlt``) and of the command ``awsv file``.

The other modules are imported when the store is opened or the command runs.
"""

from collections.abc import Sequence

from vault_core.api import (
    AtRest,
    Capability,
    CommandSpec,
    Context,
    Option,
    StorageBackend,
    StorageSpec,
    StoreContext,
    boolean,
    hookimpl,
)
from vault_plugin_file.location import STORE_NAME, folder, folder_text


def _locate(ctx: Context) -> str:
    return str(folder(ctx) / STORE_NAME)


def _open(ctx: StoreContext) -> StorageBackend:
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
                Option(name="dir", help=f"the folder of {STORE_NAME} (default: awsv's data folder)", parse=folder_text),
                Option(
                    name="anchor",
                    help="on or off: detect an older or different file in place of the store (default: on)",
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
            summary="create, check, back up and restore the file store",
            target="vault_plugin_file.commands:command",
        ),
    )
