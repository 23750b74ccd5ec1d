"""The options that every command has, and the decorator that gives them to a command."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from vault_core import stdout
from vault_core.cli.app import App
from vault_core.cli.plugin_options import plugin_options

GLOBAL_OPTIONS: Mapping[str, str] = {
    "backend": "The store: a storage plugin's name, or a [store.NAME] of config.toml.",
    "passphrase-source": "Where passphrases come from, in order (env,prompt).",
    "prompt": "Where MFA codes come from, in order (terminal).",
}

_WIDEST, _MARGIN, _NARROWEST = 80, 2, 50
"""Columns of the help; click's."""


def _set_flag(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        assert parameter.name is not None  # noqa: S101 - click gives every option a name
        ctx.ensure_object(App).settings.flags[parameter.name.replace("_", "-")] = "1" if value is True else value


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    app = ctx.ensure_object(App)
    app.debug = app.debug or value


def _help_width(app: App) -> int:
    """The columns of the help, as many as click would use. Click imports shutil to find them, and so every compression
    that Python knows."""
    wanted = app.settings.environ.get("COLUMNS", "")
    columns = (int(wanted) if wanted.isdecimal() else 0) or stdout.columns() or _WIDEST
    return max(min(columns, _WIDEST) - _MARGIN, _NARROWEST)


def _show_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        app = ctx.ensure_object(App)
        ctx.terminal_width = _help_width(app)
        app.write(ctx.get_help())
        ctx.exit()


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """The options of the program, which every command accepts, too, as with aws-vault; ``--help`` is the last."""
    option = partial(click.Option, expose_value=False)
    flag = partial(option, is_flag=True, hidden=hidden)
    return [
        *(
            option([f"--{name}"], metavar="NAME", help=text, hidden=hidden, callback=_set_flag)
            for name, text in GLOBAL_OPTIONS.items()
        ),
        flag(["--no-input"], help="Never prompt: fail instead.", callback=_set_flag),
        flag(["--debug"], help="Show where a failure came from.", callback=_set_debug),
        *plugin_options(hidden=hidden),
        # click's own writes to descriptor 1, which is captured.
        option(["--help"], is_flag=True, is_eager=True, help="Show this message and exit.", callback=_show_help),
    ]


def subcommand(
    name: str, *, of: click.Group | None = None, cls: type[click.Command] = click.Command, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of the program: ``click.command`` with the global options added, hidden.

    The docstring of the function is its help; the first line is what the program's own ``--help`` shows.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = click.command(name, cls=cls, **attributes)(function)
        made.params.extend(global_options(hidden=True))
        if of is not None:
            of.add_command(made)
        return made

    return decorate


def profile_name(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Callback of every profile argument: check the name, or the names."""
    from vault_core.storage.vault import check_name

    if isinstance(value, tuple):
        return tuple(check_name(name) for name in value)
    return None if value is None else check_name(value)
