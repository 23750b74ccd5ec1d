"""``awsv exec``: become a program, or a shell, that has a profile's credentials."""

from collections.abc import Sequence

import click

from vault_core import stdout
from vault_core.cli.app import App
from vault_core.cli.harden import unharden
from vault_core.cli.memo import leave_memo
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.sessions import session_options
from vault_core.errors import UsageError
from vault_core.sessions.child import become, child_environment, credential_variables, find_program
from vault_core.sessions.formats import FORMATS
from vault_core.sessions.inherited_files import Inherited
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import NO_HELP


class ExecCommand(click.Command):
    """Options come before or after the profile; from the child's first word on, all words belong to the child."""

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
        """Whether the next word is the value of this option: of ``--region``, ``-d`` and ``-jd``, not of ``-d90m``
        or ``-ofile.dir=/srv/foo``."""
        valued = {
            name
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        if word.startswith("--"):
            return word in valued
        first = next((place for place, letter in enumerate(word) if f"-{letter}" in valued), None)
        return first == len(word) - 1


@subcommand("exec", cls=ExecCommand)
@click.argument("profile", callback=profile_name)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print credential_process JSON and run nothing.")
@click.option("--nested", is_flag=True, help="Allow running inside another awsv shell.")
@click.option(
    "--keep-env", metavar="NAME", multiple=True, help="Keep this passphrase variable in the child's environment."
)
@session_options
@click.pass_obj
def command(
    app: App,
    profile: str,
    as_json: bool,
    nested: bool,
    keep_env: tuple[str, ...],
    options: SessionOptions,
    child: tuple[str, ...],
) -> None:
    """Run a program, or a shell, with a profile's credentials.

    \b
    Examples:
      awsv exec work -- aws sts get-caller-identity
      awsv exec work                      a shell with the credentials
      awsv exec --json work               for the credential_process of a profile
    """
    if as_json:
        if child:
            raise UsageError("--json prints credentials and runs nothing", hint="omit the command or --json")
        plan, issued = app.session(profile, options, machine=True)
        app.write_credentials(FORMATS["json"](profile, issued.credentials, plan.region))
        leave_memo(app, plan, issued, options)
        return
    environ = app.settings.environ.texts
    inherited = Inherited.now(environ, app.settings.explicit_values(), app.open_files)
    secret = inherited.secret(keep_env)
    if not child and environ.get("AWS_VAULT") and not nested:
        raise UsageError(
            f"you are already in an awsv shell for profile {environ['AWS_VAULT']!r}",
            hint="type 'exit' to leave it, or use --nested",
        )
    words = list(child) or [environ.get("SHELL") or "/bin/sh"]
    program = find_program(words[0], environ)
    plan, issued = app.session(profile, options, machine=False)
    if not child and stdout.is_terminal() and not environ.get(NO_HELP):
        app.note(f"starting {words[0]} for profile {profile}; type 'exit' to leave it")
    leave_memo(app, plan, issued, options)
    left = child_environment(environ, app.host.secret_variables(), inherited.naming, keep_env)
    app.close()
    stdout.give_back()
    inherited.hand_over(secret)
    unharden()
    become(program, words, {**left, **credential_variables(profile, issued.credentials, plan.region)})
