"""The program: its commands, and how an error is reported."""

from __future__ import annotations

import importlib
import io
import keyword
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import click

from vault_core import consulted, output, stdout
from vault_core.cli.app import App
from vault_core.cli.options import global_options
from vault_core.errors import Cancelled, OutputError, UsageError, VaultError
from vault_core.plugins.discovery import version_of
from vault_core.plugins.install_hint import OURS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "add": "Store the AWS keys of a profile.",
    "clear": "Forget sessions.",
    "config": "Point AWS tools at awsv.",
    "copy": "Copy keys from one store to another.",
    "exec": "Run a program, or a shell, with a profile's credentials.",
    "explain": "Show how a profile gets its credentials (never prompts).",
    "export": "Print a profile's credentials.",
    "import": "Import keys into the vault, or undo an import.",
    "inventory": "List what a thief of this machine would have.",
    "login": "Open the AWS console in a browser.",
    "list": "List profiles, stored keys and sessions.",
    "passwd": "Change the passphrase of the store.",
    "plugins": "List, check and create plugins.",
    "ready": "Make the sessions of many profiles at once.",
    "recovery": "Make a recovery key for the store.",
    "remove": "Remove the stored keys of a profile.",
    "revoke": "Deactivate the keys of a lost machine.",
    "rotate": "Renew stored keys, so that no key is lost.",
    "slot": "Manage the ways to unlock the store.",
}
"""The line of each command in ``--help``, so that the help imports no command."""

ALIASES = {"ls": "list", "rm": "remove"}
IMPORTER = "import-"
"""Prefix of the plugin commands that run as ``awsv import NAME``."""
CHILD_FAILED = 125
"""The exit code of awsv's own failure where a child command was given, as with env(1) and timeout(1)."""

HELP = """Keep AWS keys in a vault, and hand short-lived credentials to any AWS tool.

\b
Start:
  awsv add work                     store the keys of profile "work"
  awsv exec work -- aws s3 ls       run a program with its session
  awsv config credential-process work --as work-sdk    point every AWS SDK at awsv
"""


Resolved = tuple[str | None, click.Command | None, list[str]]
"""A command's name as it was typed, the command, and the words that follow."""


class CommandGroup(click.Group):
    """Commands of the core, and those of plugins, which are listed by metadata and imported when they are run.

    The core's own names win. An alias is not listed.
    """

    prefix = ""
    """Prefix of the plugin commands that belong to the group; their names in it have none."""
    plugin_title = "Commands of plugins"
    aliases: Mapping[str, str] = {}

    def own(self) -> Mapping[str, str]:
        """The line of each command of the core in the help."""
        return {name: command.get_short_help_str(80) for name, command in self.commands.items()}

    def others(self, ctx: click.Context) -> dict[str, str]:
        """The line of each plugin command in the help."""
        offers = [one for one in ctx.ensure_object(App).plugins.offers() if one.kind == "command" and one.usable]
        lines = {
            offer.name.removeprefix(self.prefix): f"from {offer.distribution}"
            for offer in offers
            if offer.name.startswith(IMPORTER) == (self.prefix == IMPORTER)
        }
        return {name: line for name, line in lines.items() if name not in self.own() and name not in self.aliases}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({**self.own(), **self.others(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.others(ctx):
            return super().get_command(ctx, cmd_name)
        from vault_core.cli.plugin_commands import load  # the core's own commands do not need it

        return load(ctx.ensure_object(App), self.prefix + cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Resolved:
        app, name = ctx.ensure_object(App), self.prefix + args[0]
        if ("command", name) in OURS and self.get_command(ctx, args[0]) is None:
            app.plugins.load("command", name)  # says how to install it
        word, command, rest = super().resolve_command(ctx, args)
        if command is not None and args[0] in self.others(ctx) and not ctx.resilient_parsing:
            from vault_core.cli.plugin_commands import PluginCommand

            command = PluginCommand(app, name, command)
        return word, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, lines in (("Commands", self.own()), (self.plugin_title, self.others(ctx))):
            if lines:
                with formatter.section(title):
                    formatter.write_dl(sorted(lines.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin like this. Loads no plugin, as click would for the help of each command."""
        from click.shell_completion import CompletionItem

        lines = {**self.own(), **self.others(ctx)}
        found = [CompletionItem(name, help=lines[name]) for name in sorted(lines) if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


class Program(CommandGroup):
    """The commands of the program. Each is imported when it is used."""

    aliases = ALIASES

    def own(self) -> Mapping[str, str]:
        return COMMANDS

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError:  # before the words of 'exec' were parsed
            ctx.ensure_object(App).child = "exec" in words and "--" in words[words.index("exec") :]
            raise

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return super().get_command(ctx, name)
        module = f"{name}_" if keyword.iskeyword(name) else name
        made: click.Command = importlib.import_module(f"vault_core.cli.{module}").command
        return made

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Resolved:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            raise UsageError(
                f"no command {args[0]!r}", hint=f"did you mean 'awsv {near[0]}'?" if near else "awsv --help"
            ) from None


def run(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code. All errors are reported here, and only here."""
    consulted.start()
    app = App()
    try:
        code = _run(app, list(argv))
        stdout.flush()
    except VaultError as error:
        output.report_error(error, trace=error if app.debug else None)
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        output.to_stderr(
            f"{error.ctx.get_help() if error.ctx else HELP}\n"
        )  # an error: help that was not asked for is not data
        code = UsageError.exit_code
    except click.UsageError as error:
        output.report_error(_usage(error))
        code = UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.report_error(Cancelled("interrupted"))
        code = Cancelled.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is reported in one line, without values
        failure = _unexpected(error)
        output.report_error(failure, trace=error if app.debug else None)
        code = failure.exit_code
    finally:
        app.close()
    return CHILD_FAILED if code and app.child and code not in (126, 127, Cancelled.exit_code) else code


def _usage(error: click.UsageError) -> UsageError:
    """An error of click, in the form of awsv's."""
    near: Sequence[str] | None = getattr(error, "possibilities", None)  # for an unknown word
    message = (error.message if near else error.format_message()).rstrip(".")
    where = error.ctx.command_path if error.ctx else "awsv"
    hint = f"did you mean {near[0]!r}?" if near else f"{where} --help"
    return UsageError(message[:1].lower() + message[1:], hint=hint)


def _unexpected(error: Exception) -> VaultError:
    """A bug of awsv, unless click could not write its help, which is still in the buffer."""
    try:
        stdout.flush()
    except OutputError as lost:
        return lost
    return VaultError(f"unexpected {type(error).__name__}", hint="this is a bug of awsv; --debug shows where")


def _run(app: App, argv: list[str]) -> int:
    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Show the version and exit.",
        callback=_show_version,
    )
    *options, shown = global_options(hidden=False)
    program = Program("awsv", help=HELP, params=[*options, version, shown], no_args_is_help=True)
    try:
        with _completion_written(app):
            result = program.main(argv, prog_name="awsv", standalone_mode=False, obj=app)
    except click.Abort as aborted:
        # click takes it for the end of input at a prompt; our prompts raise another error, so it has another cause.
        if isinstance(aborted.__cause__, EOFError):
            raise aborted.__cause__ from None
        raise
    return result if isinstance(result, int) else 0


@contextmanager
def _completion_written(app: App) -> Iterator[None]:
    """Write a completion of the shell to the real standard output: click writes it to descriptor 1, which is captured
    if the line names a plugin."""
    if not app.settings.environ.get("_AWSV_COMPLETE"):
        yield
        return
    words = io.BytesIO()
    try:
        with redirect_stdout(io.TextIOWrapper(words, "utf-8", "surrogateescape")) as text:
            yield
    finally:
        text.flush()
        stdout.write_raw(words.getvalue().decode("utf-8", "surrogateescape"))


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Together with other options. Alone, it is answered before click is imported."""
    if value:
        ctx.ensure_object(App).write(f"awsv {version_of('vault-core') or 'of unknown version'}")
        ctx.exit()
