"""``awsv add``: store a profile's keys in the vault."""

import json
import os
import select
import sys

import click

from vault_core.api import ABSENT, ANY, AtRest, Credentials
from vault_core.cli.app import App
from vault_core.cli.key_slots import offer_recovery
from vault_core.cli.options import profile_name, subcommand
from vault_core.command_line import command_line
from vault_core.errors import Cancelled, ConfigError, QuestionRefused, StorageConflict, StorageDenied, UsageError
from vault_core.keyslots.manage import lacks_store
from vault_core.secret import Secret
from vault_core.storage.new_key import doubts, from_json, pasted, session_refused
from vault_core.storage.vault import StoredKey, Vault

_STDIN_LIMIT = 1 << 16
"""Bytes; two keys take two hundred."""
_QUIET = 2.0
"""Seconds before a notice says that standard input is awaited; the AWS CLI needs one to answer."""


@subcommand("add")
@click.argument("profile", callback=profile_name)
@click.option("--env", "from_env", is_flag=True, help="Take the keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
@click.option("--check", is_flag=True, help="Ask AWS who the key belongs to, before it is stored.")
@click.option("--overwrite", is_flag=True, help="Replace a stored key without confirmation.")
@click.option("--shared", is_flag=True, help="Share the key with everyone who uses this store.")
@click.option(
    "--no-add-config",
    is_flag=True,
    hidden=True,
    expose_value=False,
    help="The default: unlike aws-vault, awsv adds no section.",
)
@click.pass_obj
def command(app: App, profile: str, from_env: bool, check: bool, overwrite: bool, shared: bool) -> None:
    """Store the AWS keys of a profile.

    Prompts for them at the terminal; --env takes them from the environment; standard input can be the output of
    "aws iam create-access-key". In a store that several people use, nothing is ever replaced.

    With --check, a key that AWS does not accept is not stored, and awsv offers to write the user's MFA device into the
    AWS config.

    \b
    Examples:
      awsv add work
      awsv add work --check
      aws iam create-access-key | awsv add work
    """
    app = app.about(f"adding the key of profile {profile}")
    _refuse_useless(app, profile)
    vault = app.vault(profile)
    is_new = lacks_store(vault)
    old = vault.get(profile, shared=shared)
    if vault.store.is_shared:
        _refuse_to_replace(vault, profile, old, overwrite=overwrite)
    is_first = _is_first(vault)
    if old is not None and not overwrite:
        question = f"Profile {profile!r} already has the key {old.credentials.access_key_id}. Replace it?"
        if not app.confirm(question, flag="--overwrite"):
            raise Cancelled("nothing was changed")
    piped = None if from_env else _from_stdin(app)
    key = _from_environment(app) if from_env else piped or _from_terminal(app)
    for doubt in doubts(key):
        app.note(f"warning: {doubt}")
    if check:
        from vault_core.cli.key_check import check_key, offer_mfa_device  # slow, and of use only here

        # What is piped in is often a key that 'aws iam create-access-key' has just created.
        devices = check_key(app, profile, key, is_new=piped is not None)
    # Only the key that the question named may be replaced, however long the answer took.
    expect = ANY if overwrite else ABSENT if old is None else old.version
    try:
        with app.changing_key(vault, profile):
            vault.put(profile, key, expect=expect, shared=shared)
    except StorageConflict:
        if vault.store.is_shared:
            _refuse_to_replace(vault, profile, vault.get(profile, shared=shared))
        raise StorageConflict(
            f"the key of profile {profile!r} was changed by someone else just now; nothing was changed here",
            hint=f"{command_line('awsv add', profile)}, to see what is there now",
        ) from None
    _report(app, vault, profile, key, old)
    if is_first and (readers := vault.store.readers):
        app.note(readers)
    if check:
        offer_mfa_device(app, profile, devices)
    if is_new:
        offer_recovery(app, vault.store.context, vault)


def _is_first(vault: Vault) -> bool:
    """Whether it is the first key of a store that names its readers."""
    if vault.store.spec.readers is None:
        return False
    try:
        return next(vault.names(), None) is None
    except StorageDenied:  # a user who may only write did not set the store up
        return False


def _refuse_useless(app: App, profile: str) -> None:
    """A profile that starts from another one never uses a key of its own."""
    if app.client.aws_config.merged(profile) is None:
        return
    source = app.client.resolver.profile(profile, target=False).source
    if source is not None:
        raise ConfigError(
            f"profile {profile!r} uses the credentials of {source!r}: a key of its own would have no effect",
            hint=command_line("awsv add", source),
        )


def _refuse_to_replace(vault: Vault, profile: str, there: StoredKey | None, *, overwrite: bool = False) -> None:
    """In a store of several people, a name belongs to the key that was stored first.

    :raises StorageConflict: there is such a key.
    :raises UsageError: ``--overwrite`` was given.
    """
    if there is not None:
        whose, flag = ("the shared key", " --shared") if there.shared else ("your key", "")
        raise StorageConflict(
            f"{whose} {there.credentials.access_key_id} has the name {profile!r} in {vault.store.place} already"
            f" ({there.written_by or 'since when is not known'}); nothing was changed",
            hint=f"choose another name, or '{command_line(f'awsv remove{flag}', profile)}' if that key is not needed",
        )
    if overwrite:
        raise UsageError(
            f"several people use {vault.store.place}: 'add' replaces nothing there", hint="omit --overwrite"
        )


def _report(app: App, vault: Vault, profile: str, key: Credentials, old: StoredKey | None) -> None:
    replaced = f" in place of {old.credentials.access_key_id}" if old is not None else ""
    app.write(f"Added credentials to profile {json.dumps(profile, ensure_ascii=False)} in vault")
    unlocked = "" if vault.store.spec.at_rest is AtRest.SERVICE else ", unlocked by your passphrase"
    app.note(f"stored {key.access_key_id}{replaced} in {vault.store.place}{unlocked}")


def _from_environment(app: App) -> Credentials:
    environ = app.settings.environ
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environ.get(name)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not set", hint="set them, or omit --env to be prompted")
    if environ.get("AWS_SESSION_TOKEN"):
        raise session_refused("with AWS_SESSION_TOKEN set, AWS_ACCESS_KEY_ID is the key of a session")
    return pasted(Secret(environ["AWS_ACCESS_KEY_ID"]), Secret(environ["AWS_SECRET_ACCESS_KEY"]))


def _from_stdin(app: App) -> Credentials | None:
    """The keys in a JSON document on standard input; None where it is a terminal, closed or empty."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    if not select.select([0], [], [], _QUIET)[0]:
        app.note("waiting for keys, as JSON, on standard input")  # an open pipe looks like a hang
    raw = b""
    while len(raw) < _STDIN_LIMIT and (chunk := os.read(0, _STDIN_LIMIT)):
        raw += chunk
    if not raw.strip():
        return None
    return from_json(raw)


def _from_terminal(app: App) -> Credentials:
    reason = app.host.cannot_ask()
    if reason:
        raise UsageError(
            f"no keys: standard input is empty, and prompting is not possible: {reason}",
            hint="give --env, or pipe the output of 'aws iam create-access-key' in",
        )
    terminal = app.host.terminal
    try:
        key_id = terminal.ask("Enter Access Key ID: ", secret=False)
        secret = terminal.ask("Enter Secret Access Key: ", secret=True)
    except QuestionRefused:
        raise Cancelled("no keys were given; nothing was changed") from None
    return pasted(key_id, secret)
