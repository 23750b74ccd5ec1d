"""The program: which commands there are, and how a failure is shown."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vault_core import output, stdout
from vault_core.cli.app import App, global_options
from vault_core.errors import Cancelled, OutputError, UsageError, VaultError
from vault_core.plugins.discovery import Offer, version_of
from vault_core.plugins.loader import OURS
from vault_core.settings import is_secret_variable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "add": "Store the AWS keys of a profile.",
    "clear": "Forget sessions.",
    "config": "Make AWS tools ask awsv.",
    "copy": "Copy keys from one store to another.",
    "exec": "Run a program, or a shell, with a profile's credentials.",
    "explain": "Show how a profile gets its credentials; ask nobody.",
    "export": "Print a profile's credentials.",
    "import": "Move keys into the vault, and take it back.",
    "list": "List profiles, stored keys and sessions.",
    "passwd": "Change the passphrase of the store.",
    "plugins": "Show, check and begin plugins.",
    "ready": "Make the sessions of many profiles at once.",
    "recovery": "Make a recovery key for the store.",
    "remove": "Remove the stored keys of a profile.",
    "slot": "Show, add and remove ways into the store.",
}
"""Command to its line in ``--help``, so that showing it imports none of them."""

ALIASES = {"ls": "list", "rm": "remove"}
CHILD_FAILED = 125
"""The exit code of awsv's own failure where a child command was given, as with env(1) and timeout(1)."""

HELP = """Keep AWS keys in a vault, and hand short-lived credentials to any AWS tool.

\b
Start:
  awsv add work                     store the keys of profile "work"
  awsv exec work -- aws s3 ls       run a program with a session of it
  awsv config credential-process work --as work-sdk    let every AWS SDK ask awsv
"""


class Program(click.Group):
    """The commands, imported one by one as they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *_contributed(ctx.ensure_object(App))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(ctx.find_object(App), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))
        if theirs := _theirs(ctx.ensure_object(App)):
            with formatter.section("Commands of plugins"):
                formatter.write_dl(sorted(theirs.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a word can become; names no plugin, so loads none. click would, for the help of each command."""
        from click.shell_completion import CompletionItem

        lines = {**COMMANDS, **_theirs(ctx.ensure_object(App))}
        found = [CompletionItem(name, help=lines[name]) for name in sorted(lines) if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            import difflib

            if ("command", args[0]) in OURS:
                ctx.ensure_object(App).plugins.load("command", args[0])  # says how to install it
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            raise UsageError(
                f"no command {args[0]!r}", hint=f"did you mean 'awsv {near[0]}'?" if near else "awsv --help"
            )
        return super().resolve_command(ctx, args)


def _command(app: App | None, word: str) -> click.Command | None:
    """The command that a word names, imported for it; None if none does.

    :raises PluginError: it is a plugin's, and cannot be loaded.
    """
    name = ALIASES.get(word, word)
    if name not in COMMANDS:
        if not app or name not in _contributed(app):
            return None
        from vault_core.cli.plugin_commands import load  # of no use to the core's own commands

        return load(app, name)
    module = f"{name}_" if keyword.iskeyword(name) else name
    made: click.Command = importlib.import_module(f"vault_core.cli.{module}").command
    return made


def _theirs(app: App) -> dict[str, str]:
    """Command of a plugin to its line in ``--help``."""
    return {name: f"from {owner}" for name, owner in _contributed(app).items() if name not in COMMANDS}


def _contributed(app: App) -> dict[str, str]:
    """Command to the distribution that offers it, by metadata. The core's own names win: they are looked up first."""
    return {
        offer.name: offer.distribution for offer in app.plugins.offers() if offer.kind == "command" and offer.usable
    }


def run(argv: Sequence[str]) -> int:
    """Run the command line; the exit code. Everything that goes wrong is told here, and only here."""
    app = App()
    try:
        code = _run(app, list(argv))
        stdout.flush()
    except VaultError as error:
        output.report_error(error, trace=error if app.debug else None)
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        output.to_stderr(f"{error.ctx.get_help() if error.ctx else HELP}\n")  # nothing was asked for: this is no data
        code = UsageError.exit_code
    except click.UsageError as error:
        output.report_error(_usage(error))
        code = UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.report_error(Cancelled("interrupted"))
        code = Cancelled.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is told in one line, without values
        failure = _unexpected(error)
        output.report_error(failure, trace=error if app.debug else None)
        code = failure.exit_code
    finally:
        app.close()
    return CHILD_FAILED if code and app.child and code not in (126, 127, Cancelled.exit_code) else code


def _usage(error: click.UsageError) -> UsageError:
    """What click found wrong, in our form."""
    near: Sequence[str] | None = getattr(error, "possibilities", None)  # of a word that nobody knows
    message = (error.message if near else error.format_message()).rstrip(".")
    where = error.ctx.command_path if error.ctx else "awsv"
    hint = f"did you mean {near[0]!r}?" if near else f"{where} --help"
    return UsageError(message[:1].lower() + message[1:], hint=hint)


def _unexpected(error: Exception) -> VaultError:
    """A bug of awsv, unless it is click that could not write its help: that is still in the buffer."""
    try:
        stdout.flush()
    except OutputError as lost:
        return lost
    return VaultError(f"unexpected {type(error).__name__}", hint="this is a bug of awsv; --debug shows where")


def _run(app: App, argv: list[str]) -> int:
    if "exec" in argv:
        _ = app.open_files  # a flag of a plugin loads it
    try:
        app.settings.flags.update(take_plugin_flags(app, argv))
    except UsageError:
        app.child = "exec" in argv and "--" in argv[argv.index("exec") :]  # which nobody has read yet
        raise
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
        result = program.main(argv, prog_name="awsv", standalone_mode=False, obj=app)
    except click.Abort as aborted:
        # click takes it for the end of input at a question; ours say that otherwise, so it is a file cut short, say.
        if isinstance(aborted.__cause__, EOFError):
            raise aborted.__cause__ from None
        raise
    return result if isinstance(result, int) else 0


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Beside other options; alone it is answered before click is imported."""
    if value:
        ctx.ensure_object(App).write(f"awsv {version_of('vault-core') or 'of unknown version'}")
        ctx.exit()


def take_plugin_flags(app: App, argv: list[str]) -> dict[str, str]:
    """Take ``--PLUGIN-OPTION VALUE`` out of the words, but not out of those of a child's command.

    Which options a plugin has is known only when it is loaded, so the name before the first ``-`` decides: it must be
    an installed plugin's. The options of the program come first, and behind its word those of the command.

    :raises UsageError: a plugin's option is a secret, or unknown, or a value is missing.
    """
    if not any(_plugins_of(app, word) for word in argv):
        return {}
    found: dict[str, str] = {}
    words: list[str] = []
    own = _takes_value(*global_options(hidden=True))
    position = 0
    while position < len(argv) and argv[position] != "--" and not (words[:1] == ["exec"] and len(words) > 2):
        name, equals, value = argv[position].partition("=")
        offers = _plugins_of(app, name)
        if name in own or not offers:
            if not name.startswith("-"):
                words.append(name)
                own |= _options_of(app, name) if len(words) == 1 else {}
            position += 2 if own.get(name) and not equals else 1
            continue
        _check_flag(app, offers, name)
        if not equals:
            if position + 1 == len(argv):
                raise UsageError(f"option {name} needs a value")
            value = argv.pop(position + 1)
        del argv[position]
        found[name.removeprefix("--")] = value
    return found


def _plugins_of(app: App, word: str) -> list[Offer]:
    """The plugins whose option a word would be, by its beginning."""
    if not word.startswith("--") or "-" not in word[2:]:
        return []
    return [
        offer
        for offer in app.plugins.offers()
        if offer.usable and offer.kind != "command" and word.startswith(f"--{offer.name}-")
    ]


def _options_of(app: App, word: str) -> dict[str, bool]:
    """As :func:`_takes_value`, of the command that a word names and of those inside of it."""
    try:
        command = _command(app, word)
    except VaultError:  # which is told when it is to run
        return {}

    def parameters(of: click.Command) -> list[click.Parameter]:
        inner = of.commands.values() if isinstance(of, click.Group) else ()
        return [*of.params, *(parameter for member in inner for parameter in parameters(member))]

    return _takes_value(*parameters(command)) if command else {}


def _takes_value(*parameters: click.Parameter) -> dict[str, bool]:
    """Every spelling of the options, with whether its value is the next word: that is no profile and no command."""
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    return {
        name: not (option.is_flag or option.count)
        for option in options
        for name in (*option.opts, *option.secondary_opts)
    }


def _check_flag(app: App, offers: Sequence[Offer], flag: str) -> None:
    """Whether a plugin's flag may be given.

    :raises UsageError: its value would be a secret, which every user of the machine could read; or no plugin of that
        name has such an option.
    """
    known: dict[str, bool] = {}
    whole = True
    for offer in offers:
        try:
            with app.plugins.blame(offer.kind, offer.name):
                for option in app.plugins.options(offer):
                    name = f"--{offer.name}-{option.name}"
                    known[name] = known.get(name, False) or option.secret  # of several with this name
        except VaultError:  # broken: that is told to who needs it, and what it would know nobody knows
            whole = False
    if known.get(flag) or is_secret_variable(_variable(flag)):
        raise UsageError(
            f"there is no {flag}: other users can read the arguments of a program", hint=f"set {_variable(flag)}"
        )
    if whole and flag not in known:
        import difflib

        near = next(iter(difflib.get_close_matches(flag, known, n=1)), None)
        hint = f"'awsv plugins check {offers[0].name}' shows its options"
        if near:
            hint = f"set {_variable(near)}" if known[near] else f"did you mean {near!r}?"
        raise UsageError(f"no such option {flag!r}", hint=hint)


def _variable(flag: str) -> str:
    return f"AWS_VAULT_{flag.removeprefix('--')}".replace("-", "_").upper()
