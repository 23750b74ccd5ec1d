"""The spec of the storage backend ``pass``. The module with the backend is imported by ``open``."""

import shutil
from pathlib import Path, PurePosixPath

from vault_core.api import AtRest, Context, Option, StorageBackend, StorageSpec, hookimpl


def folder(text: str) -> PurePosixPath:
    """Parse a folder of the password store.

    :raises ValueError: it is the password store itself, or outside it.
    """
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("not a folder below the password store")
    return path


def password_store(ctx: Context) -> Path:
    """The folder in which ``pass`` keeps its entries."""
    return Path(ctx.environ.get("PASSWORD_STORE_DIR") or "~/.password-store").expanduser()


def place(ctx: Context) -> Path:
    """The folder of awsv's entries."""
    return password_store(ctx).joinpath(ctx.options["folder"])


def unavailable(ctx: Context) -> str | None:
    """Why the backend cannot be used here, or None."""
    if not shutil.which("pass", path=ctx.environ.get("PATH")):
        return "the program 'pass' is not installed"
    if not (password_store(ctx) / ".gpg-id").exists():
        return f"{password_store(ctx)} is not a password store: 'pass init GPG-ID' creates one"
    return None


def open_store(ctx: Context) -> StorageBackend:
    """Open the store, without running ``pass``."""
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
                    help="the folder of awsv's entries in the password store",
                    default=PurePosixPath("awsv"),
                    parse=folder,
                ),
            ),
            locate=lambda ctx: str(place(ctx)),
            readers=lambda ctx: f"anyone who has a GPG key that a .gpg-id in {password_store(ctx)} names",
            unavailable=unavailable,
        ),
    )
