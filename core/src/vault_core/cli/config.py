"""``awsv config``: make the AWS tools ask awsv. What would be written is shown before it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from vault_core import output
from vault_core.api import Capability
from vault_core.awsconfig.shared import AwsConfig
from vault_core.cli.app import App, profile_name, subcommand
from vault_core.cli.shim import command as aws_vault_shim
from vault_core.cli.text import counted, difference
from vault_core.errors import Cancelled, ConfigError, PassphraseError, StorageLocked, UsageError
from vault_core.pasting import command_line

if TYPE_CHECKING:
    from vault_core.awsconfig.credential_process import Proposal
    from vault_core.storage.vault import Store


@click.group("config")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Make AWS tools ask awsv."""
    ctx.ensure_object(App).sweep_aws_files()


@subcommand("credential-process", short_help="Make every AWS SDK ask awsv for a profile.")
@click.argument("profiles", metavar="[PROFILE]...", nargs=-1, callback=profile_name)
@click.option("--all", "every", is_flag=True, help="Every profile of the AWS config, and every stored key.")
@click.option(
    "--as", "as_name", metavar="NAME", callback=profile_name, help="Leave PROFILE as it is; add profile NAME."
)
@click.option("--undo", is_flag=True, help="Take it back: the file is as it was before.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the change and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def credential_process(
    app: App, profiles: tuple[str, ...], every: bool, as_name: str | None, undo: bool, dry_run: bool, yes: bool
) -> None:
    """Make every AWS SDK ask awsv for a profile's credentials.

    One line is added to the profile in the AWS config file. SDKs ignore that line in a profile with role_arn, so the
    keys role_arn, source_profile and mfa_serial are renamed to vault_role_arn and so on, which awsv understands; or
    PROFILE stays as it is, and --as adds a second profile. Nothing else in the file changes.

    \b
    Examples:
      awsv config credential-process work
      awsv config credential-process admin --as admin-sdk
      awsv config credential-process --all --dry-run
    """
    from vault_core.awsconfig.credential_process import propose
    from vault_core.awsconfig.write import save

    if bool(profiles) == every:
        raise UsageError("give either PROFILE or --all", hint="awsv config credential-process --help")
    if as_name is not None and len(profiles) != 1:
        raise UsageError("--as goes with one PROFILE")
    path, credentials = app.settings.aws_config_file, app.settings.aws_credentials_file
    raw, plain = app.host.read(path), app.host.read(credentials)
    config = AwsConfig.parse(raw, plain, path, credentials)
    copied = app.copied(plain)
    check = _Check(app.looking(), config, every=every)
    names = _every(app.looking(), config, copied, check, undo=undo) if every else list(dict.fromkeys(profiles))
    proposal = propose(config, raw, names, app.launcher, as_name=as_name, undo=undo, check=check, copied=copied)
    _report(app, proposal, every=every)
    if not proposal.changed:
        return
    if not undo:
        _warn_of_names(app, proposal.changed)
    shown = difference(raw, proposal.after, path)
    if dry_run:
        app.write(shown)
        return
    output.to_stderr(f"{shown}\n")
    if not yes and not app.confirm(f"Change {path} like this?", flag="--yes"):
        raise Cancelled("nothing was changed")
    save(path, raw, proposal.after, locks=app.config_locks)
    listed = ", ".join(map(repr, proposal.changed))
    app.note(f"{path}: {'taken back for' if undo else 'the AWS SDKs now ask awsv for'} {listed}")
    if proposal.waiting:
        app.note(
            f"{len(proposal.waiting)} of them as soon as their plain keys are out of {credentials}:"
            " 'awsv import --remove-plain' removes them"
        )


command.add_command(credential_process)
command.add_command(aws_vault_shim)


def _every(app: App, config: AwsConfig, copied: Collection[str], check: _Check, *, undo: bool) -> list[str]:
    """What ``--all`` means: the profiles, and the stored keys that can be seen without asking anybody.

    :param copied: the profiles of the credentials file whose keys were copied into the vault.
    """
    from vault_core.awsconfig.quoting import PROCESS, process_profile

    if undo:
        lines = [(name, section.get(PROCESS)) for name, section in config.profiles.items()]
        return [name for name, line in lines if line and process_profile(line, app.launcher) is not None]
    stored = check.names(app.vault().store) or ()
    return list(dict.fromkeys([*config.profiles, *sorted(copied), *sorted(stored)]))


class _Check:
    """Whether awsv can serve a profile, as far as that can be seen without asking anybody.

    :param every: nobody named the profiles, so one without a stored key is not meant.
    """

    def __init__(self, app: App, config: AwsConfig, *, every: bool) -> None:
        from vault_core.sessions.profiles import SessionOptions

        self._app = app
        self._config = config
        self._every = every
        self._planner = app.planner(SessionOptions())
        self._stored: dict[str, frozenset[str] | None] = {}

    def __call__(self, name: str) -> None:
        """Raise the VaultError that says why not."""
        from vault_core.sessions.plan import KeyStep

        first = self._planner.plan(name).steps()[0]
        if not isinstance(first, KeyStep) or not (self._every or name not in self._config.profiles):
            return
        stored = self.names(first.store)
        if stored is None or first.name in stored:
            return
        place = f"store {first.store.name!r} ({first.store.place})"
        if self._config.merged(name) is not None:
            raise ConfigError(
                f"profile {name!r}: no key is stored for {first.name!r} in {place}",
                hint=command_line("awsv add", first.name),
            )
        raise ConfigError(
            f"unknown profile {name!r}: it is neither in {self._config.config_file} nor in {place}",
            hint=self._app.profiles.suggestions(name, stored),
        )

    def names(self, store: Store) -> frozenset[str] | None:
        """The names in a store; None, which is said once, where it is locked or on a server."""
        from vault_core.storage.vault import Vault

        if store.identity not in self._stored:
            try:
                self._stored[store.identity] = frozenset(Vault(self._app.host, store).names())
            except (PassphraseError, StorageLocked):
                self._stored[store.identity] = None
                state = "needs the network" if Capability.REMOTE in store.spec.capabilities else "is locked"
                self._app.note(f"store {store.name!r} {state}: which keys it has was not checked")
        return self._stored[store.identity]


def _warn_of_names(app: App, names: list[str]) -> None:
    from vault_core.awsconfig.quoting import PORTABLE

    for name in names:
        if not PORTABLE.fullmatch(name):
            app.note(
                f"the AWS SDK for JavaScript does not see profile {name!r}: it reads only names of A-Z a-z 0-9 _@+.%:/-"
            )


def _report(app: App, proposal: Proposal, *, every: bool) -> None:
    """Say what is left alone, and why.

    :raises VaultError: a plain key would still win, or a profile that was named cannot be wired. Nothing is written.
    """
    if proposal.blocked:
        errors = list(proposal.blocked.values())
        raise ConfigError("; ".join(error.message for error in errors), hint=errors[0].hint)
    for error in proposal.skipped.values():
        if not every:
            raise error
        app.note(f"left alone: {error.message}")
    if not every:
        for reason in proposal.nothing.values():
            app.note(f"nothing to do: {reason}")
    elif not proposal.changed:
        already = f": awsv is asked for {counted(len(proposal.nothing), 'profile')} already" if proposal.nothing else ""
        app.note(f"nothing to do{already}")
