"""``awsv config aws-vault-shim``: a launcher named ``aws-vault``, for what calls that name and sees no alias."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

import click

from vault_core.cli.app import App, subcommand
from vault_core.errors import Cancelled, ConfigError

NAME = "aws-vault"
MARK = "# written by 'awsv config aws-vault-shim', whose --undo removes it"


@subcommand("aws-vault-shim")
@click.option("--undo", is_flag=True, help="Remove the launcher.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, even if a real aws-vault is hidden by it.")
@click.pass_obj
def command(app: App, undo: bool, yes: bool) -> None:
    """Install a launcher named aws-vault that runs awsv.

    It lies beside awsv, or in ~/.local/bin if that folder is not yours to write. A real aws-vault is never replaced;
    one that would be hidden is named first.

    \b
    Example:
      awsv config aws-vault-shim
    """
    places = [app.launcher.parent / NAME, app.settings.home / ".local/bin" / NAME]
    if undo:
        _remove(app, places)
        return
    target = next((place for place in places if _is_ours(place)), None) or _place(places)
    if target.exists() and not _is_ours(target):
        raise ConfigError(
            f"{target} is there already, and is not a launcher of awsv; nothing was changed",
            hint=f"uninstall that aws-vault, or 'alias {NAME}=awsv'",
        )
    on_path = [Path(folder, NAME) for folder in app.settings.environ.get("PATH", "").split(":") if folder]
    position = on_path.index(target) if target in on_path else len(on_path)
    others = [place for place in on_path if place != target and os.access(place, os.X_OK) and not _is_ours(place)]
    hidden = [place for place in others if on_path.index(place) > position]
    if hidden and not yes:
        question = f"{hidden[0]} would not be found any more: {target} comes first on PATH. Install it?"
        if not app.confirm(question, flag="--yes"):
            raise Cancelled("nothing was changed")
    _write(target, app.launcher)
    app.note(f"{target} runs {app.launcher}")
    if hidden:
        app.note(f"it hides {hidden[0]}, which stays where it is")
    elif others:
        app.note(f"warning: {others[0]} comes first on PATH, so {NAME} still means that one")
    if target not in on_path:
        app.note(f"warning: {target.parent} is not on PATH: name {target} where {NAME} is called")


def _place(places: list[Path]) -> Path:
    """The first place whose folder is ours to write; the last one's is made."""
    return next((place for place in places if os.access(place.parent, os.W_OK)), places[-1])


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(1024)
    except OSError:
        return False


def _write(target: Path, launcher: Path) -> None:
    """Put the launcher in place at once, complete."""
    text = f'#!/bin/sh\n{MARK}\nexec {shlex.quote(str(launcher))} "$@"\n'
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(descriptor, 0o755)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot write {target}: {(error.strerror or '').lower()}", hint=f"or 'alias {NAME}=awsv' in your shell"
        ) from None


def _remove(app: App, places: list[Path]) -> None:
    ours = [place for place in places if _is_ours(place)]
    try:
        for place in ours:
            place.unlink()
            app.note(f"removed {place}")
    except OSError as error:
        raise ConfigError(f"cannot remove {ours[-1]}: {(error.strerror or '').lower()}") from None
    if not ours:
        app.note(f"nothing to do: no launcher of awsv is named {NAME}")
