"""``awsv exec``: become a program, or a shell, that has a profile's credentials."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vault_core import stdout
from vault_core.child_env import environment, is_identity
from vault_core.cli.app import App, profile_name, subcommand
from vault_core.cli.harden import unharden
from vault_core.cli.inherited import Inherited
from vault_core.cli.sessions import session_options
from vault_core.errors import UsageError
from vault_core.secret import Secret
from vault_core.sessions.formats import FORMATS, variables
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import NO_HELP, REMOVED, is_way_to_passphrase

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a command that is not there, or is no program: POSIX, as in every shell."""


class ExecCommand(click.Command):
    """Options may stand before and after the profile; behind the first word of the child's command all is its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args, child = self._split(ctx, args)
        ctx.ensure_object(App).child = bool(child)
        ctx.params["child"] = tuple(child)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[--] [COMMAND [ARG]...]"]

    def _split(self, ctx: click.Context, args: Sequence[str]) -> tuple[list[str], list[str]]:
        profile_seen = False
        position = 0
        while position < len(args):
            word = args[position]
            if word == "--":
                rest = list(args[position + 1 :])
                return [*args[:position], *(["--", *rest[:1]] if not profile_seen else [])], rest[not profile_seen :]
            if word.startswith("-") and word != "-":
                position += self._wants_value(word)
            elif profile_seen:
                return list(args[:position]), list(args[position:])
            else:
                profile_seen = True
            position += 1
        return list(args), []

    def _wants_value(self, word: str) -> bool:
        """Whether an option's value is the next word: ``--region``, ``-d`` and ``-jd``, not ``-d90m``."""
        valued = {
            name
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        if word.startswith("--"):
            return word in valued
        return next((letter for letter in word[1:] if f"-{letter}" in valued), None) == word[-1]


@subcommand("exec", cls=ExecCommand)
@click.argument("profile", callback=profile_name)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print what a credential_process prints; run nothing.")
@click.option("--nested", is_flag=True, help="Allow a shell inside of a shell of awsv.")
@click.option("--keep-env", metavar="NAME", multiple=True, help="Leave this passphrase variable to the child.")
@session_options
@click.pass_obj
def command(
    app: App,
    profile: str,
    as_json: bool,
    nested: bool,
    keep_env: tuple[str, ...],
    duration: int | None,
    no_session: bool,
    region: str | None,
    mfa_token: str | None,
    child: tuple[str, ...],
) -> None:
    """Run a program, or a shell, with a profile's credentials.

    \b
    Examples:
      awsv exec work -- aws sts get-caller-identity
      awsv exec work                      a shell of yours with the credentials
      awsv exec --json work               as the credential_process of a profile
    """
    options = SessionOptions(duration, no_session, region, Secret(mfa_token) if mfa_token else None)
    if as_json:
        if child:
            raise UsageError("--json prints credentials and runs nothing", hint="leave the command or --json away")
        plan, issued = app.session(profile, options, machine=True)
        app.write_credentials(FORMATS["json"](profile, issued.credentials, plan.region))
        return
    environ = app.settings.environ
    inherited = Inherited.now(environ, app.settings.explicit_values(), app.open_files)
    secret = inherited.secret(keep_env)
    if not child and environ.get("AWS_VAULT") and not nested:
        raise UsageError(
            f"this is a shell of awsv already, for profile {environ['AWS_VAULT']!r}",
            hint="leave it with 'exit', or give --nested",
        )
    words = list(child) or [environ.get("SHELL") or "/bin/sh"]
    program = find_program(words[0], environ)
    plan, issued = app.session(profile, options, machine=False)
    given = {"AWS_VAULT": profile, **variables(issued.credentials, plan.region)}
    if "AWS_CREDENTIAL_EXPIRATION" in given:
        given["AWS_SESSION_EXPIRATION"] = given["AWS_CREDENTIAL_EXPIRATION"]  # the name that shell prompts read
    if not child and stdout.is_terminal() and not environ.get(NO_HELP):
        app.note(f"starting {words[0]} for profile {profile}; 'exit' leaves it")
    left = child_environment(app, inherited.naming, keep_env)
    app.close()
    stdout.give_back()
    inherited.hand_over(secret)
    become(program, words, {**left, **given})


def child_environment(app: App, naming: Collection[str], keep: Collection[str]) -> dict[str, str]:
    """The environment of a child, without credentials: no other identity, and no secret of ours.

    :param naming: the variables that name an open file in which a secret comes.
    """
    environ = app.settings.environ
    hidden = {name for name in app.host.secret_variables() if not is_way_to_passphrase(name)}
    removed = (hidden | {name for name in naming if not is_identity(name)}) - set(keep)
    left = environment(environ, removed)
    before = [name for name in environ.get(REMOVED, "").split(",") if name and name not in environ]
    if names := sorted({*before, *removed}):
        left[REMOVED] = ",".join(names)
    else:
        left.pop(REMOVED, None)
    return left


class NoProgram(UsageError):
    """The child command cannot be run; the exit code is the shells'."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, hint="check the command's name and PATH")
        self.exit_code = exit_code


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """The path of a program, found as ``execvp`` does, before anybody is asked for anything.

    :raises NoProgram: with exit code 127 if there is none, 126 if it cannot be executed.
    """
    if "/" in name:
        candidates = [name]
    else:
        folders = environ.get("PATH", os.defpath).split(os.pathsep)
        candidates = [os.path.join(folder or ".", name) for folder in folders] if name else []  # noqa: PTH118 - "./x" must stay
    refused: str | None = None
    for candidate in candidates:
        try:
            mode = Path(candidate).stat().st_mode
        except PermissionError:
            refused = refused or "permission denied"
            continue
        except (OSError, ValueError):
            continue
        if stat.S_ISDIR(mode):
            refused = refused or "it is a directory"
        elif os.access(candidate, os.X_OK):
            return candidate
        else:
            refused = refused or "it is not executable"
    if refused:
        raise NoProgram(f"cannot run {name!r}: {refused}", NOT_EXECUTABLE)
    raise NoProgram(f"cannot run {name!r}: there is no such command", NOT_FOUND)


def become(program: str, words: Sequence[str], environ: Mapping[str, str]) -> Any:
    """Replace this process: from here on signals, exit code and terminal are the program's own.

    :raises NoProgram: the system refuses, with exit code 126 or 127.
    """
    unharden()
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        # Python ignores these, and what is ignored stays so across execve.
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execve(program, list(words), dict(environ))  # noqa: S606 - this is what the command is for
    except OSError as error:
        missing = error.errno == errno.ENOENT
        raise NoProgram(
            f"cannot run {words[0]!r}: {error.strerror}", NOT_FOUND if missing else NOT_EXECUTABLE
        ) from None
