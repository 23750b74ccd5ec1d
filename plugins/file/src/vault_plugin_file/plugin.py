"""The specs of the storage backend ``file`` (one encrypted file, ``store.vlt``) and of the command ``awsv file``.

The other modules are imported when the store is opened or the command runs.
"""

from collections.abc import Sequence

from vault_core import api
from vault_plugin_file.location import STORE_NAME, folder, folder_text


def _locate(ctx: api.Context) -> str:
    return str(folder(ctx) / STORE_NAME)


def _open(ctx: api.StoreContext) -> api.StorageBackend:
    from vault_plugin_file.backend import FileBackend

    return FileBackend(ctx, folder(ctx))


@api.hookimpl
def vault_storage_backends() -> Sequence[api.StorageSpec]:
    return (
        api.StorageSpec(
            name="file",
            summary="one encrypted file in your data folder, opened with a passphrase",
            open=_open,
            at_rest=api.AtRest.BACKEND,
            capabilities=api.Capability.CREATE_ONLY | api.Capability.CAS,
            options=(
                api.Option(
                    name="dir", help=f"the folder of {STORE_NAME} (default: awsv's data folder)", parse=folder_text
                ),
                api.Option(
                    name="anchor",
                    help="on or off: detect an older or different file in place of the store (default: on)",
                    default=True,
                    parse=api.boolean,
                ),
            ),
            locate=_locate,
        ),
    )


@api.hookimpl
def vault_commands() -> Sequence[api.CommandSpec]:
    return (
        api.CommandSpec(
            name="file",
            summary="create, check, back up and restore the file store",
            target="vault_plugin_file.commands:command",
        ),
    )
