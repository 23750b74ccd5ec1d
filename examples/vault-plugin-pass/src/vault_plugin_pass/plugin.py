"""What the plugin offers. Imported as soon as somebody names it; what does the work comes with ``open``."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from vault_core.api import AtRest, Context, Option, StorageBackend, StorageSpec, hookimpl


def folder(text: str) -> PurePosixPath:
    """Parse a folder of the password store.

    :raises ValueError: it would be another place than the store, or all of it.
    """
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("not a folder below the password store")
    return path


def password_store(ctx: Context) -> Path:
    """Where ``pass`` keeps its entries."""
    return Path(ctx.environ.get("PASSWORD_STORE_DIR") or "~/.password-store").expanduser()


def place(ctx: Context) -> Path:
    """Where awsv's entries are."""
    return password_store(ctx).joinpath(ctx.options["folder"])


def unavailable(ctx: Context) -> str | None:
    """Why it cannot run here."""
    if not shutil.which("pass", path=ctx.environ.get("PATH")):
        return "the program 'pass' is not installed"
    if not (password_store(ctx) / ".gpg-id").exists():
        return f"{password_store(ctx)} is no password store: 'pass init GPG-ID' makes it one"
    return None


def open_store(ctx: Context) -> StorageBackend:
    """The store; runs nothing yet."""
    from vault_plugin_pass.backend import PassBackend

    return PassBackend(ctx, password_store(ctx), ctx.options["folder"])


@hookimpl
def vault_storage_backends() -> tuple[StorageSpec, ...]:
    return (
        StorageSpec(
            name="pass",
            summary="pass, the password store on GnuPG",
            open=open_store,
            at_rest=AtRest.SERVICE,
            options=(
                Option(
                    name="folder",
                    help="the folder of the password store that holds awsv's entries",
                    default=PurePosixPath("awsv"),
                    parse=folder,
                ),
            ),
            locate=lambda ctx: str(place(ctx)),
            readers=lambda ctx: f"whoever holds a GPG key that a .gpg-id of {password_store(ctx)} names",
            unavailable=unavailable,
        ),
    )
