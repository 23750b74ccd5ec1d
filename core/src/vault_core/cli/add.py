"""``awsv add``: put a profile's keys into the vault."""

from __future__ import annotations

import json
import os
import re
import select
import sys
from typing import Any

import click

from vault_core.api import ABSENT, ANY, AtRest, Credentials
from vault_core.cli.app import App, profile_name, subcommand
from vault_core.cli.recovery import lacks_store, offer
from vault_core.errors import (
    Cancelled,
    ConfigError,
    QuestionRefused,
    StorageConflict,
    StorageDenied,
    UsageError,
)
from vault_core.pasting import command_line
from vault_core.secret import Secret
from vault_core.storage.vault import StoredKey, Vault

_KEY_ID = re.compile(r"(AKIA|ASIA)[A-Z2-7]{16}\Z")
"""An access key's id (IAM user guide, "IAM identifiers": AKIA for users, ASIA for sessions)."""
_SECRET_LENGTH = 40
_CARRIED = re.compile(rb"[!-~]+")
_OF_A_SESSION = "these look like keys of a session, which soon ends"
_STDIN_LIMIT = 1 << 16
"""Bytes; two keys take two hundred."""
_QUIET = 2.0
"""Seconds of waiting for standard input before it is said; the AWS CLI needs one to answer."""


@subcommand("add")
@click.argument("profile", callback=profile_name)
@click.option("--env", "from_env", is_flag=True, help="Take the keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
@click.option("--overwrite", is_flag=True, help="Replace a stored key without asking.")
@click.option("--shared", is_flag=True, help="For everybody who uses the store, not for you alone.")
@click.option(
    "--no-add-config", is_flag=True, hidden=True, expose_value=False, help="As ever: aws-vault would add one."
)
@click.pass_obj
def command(app: App, profile: str, from_env: bool, overwrite: bool, shared: bool) -> None:
    """Store the AWS keys of a profile.

    Asks for them at the terminal; --env takes them from the environment; and standard input may hold what
    "aws iam create-access-key" prints. In a store that several people use, nothing is ever replaced.

    \b
    Examples:
      awsv add work
      aws iam create-access-key | awsv add work
    """
    app.host.purpose = f"adding the key of profile {profile}"
    _refuse_useless(app, profile)
    vault = app.vault(profile)
    is_new = lacks_store(vault)
    old = vault.get(profile, shared=shared)
    if vault.store.is_shared:
        _refuse_to_replace(vault, profile, old, overwrite=overwrite)
    is_first = _is_first(vault)
    if old is not None and not overwrite:
        question = f"Profile {profile!r} has the key {old.credentials.access_key_id} already. Replace it?"
        if not app.confirm(question, flag="--overwrite"):
            raise Cancelled("nothing was changed")
    key = _from_environment(app) if from_env else _from_stdin(app) or _from_terminal(app)
    for doubt in doubts(key):
        app.note(f"warning: {doubt}")
    # Only the key that was asked about may be replaced, however long the answer took.
    expect = ANY if overwrite else ABSENT if old is None else old.version
    try:
        with app.changing_key(vault, profile):
            vault.put(profile, key, expect=expect, shared=shared)
    except StorageConflict:
        if vault.store.is_shared:
            _refuse_to_replace(vault, profile, vault.get(profile, shared=shared))
        raise StorageConflict(
            f"somebody else changed the key of profile {profile!r} just now; nothing was changed here",
            hint=f"{command_line('awsv add', profile)}, to see what is there now",
        ) from None
    _report(app, vault, profile, key, old)
    if is_first and (readers := vault.store.readers):
        app.note(readers)
    if is_new:
        offer(app, vault.store.context, vault)


def _is_first(vault: Vault) -> bool:
    """Whether it is the first key of a store whose users should be told who can read it."""
    if vault.store.spec.readers is None:
        return False
    try:
        return next(vault.names(), None) is None
    except StorageDenied:  # who may write and not list has been told by whoever set the store up
        return False


def _refuse_useless(app: App, profile: str) -> None:
    """A profile that starts from another one never uses a key of its own."""
    found = app.profiles.profile(profile, target=False) if app.aws_config.merged(profile) is not None else None
    if found is not None and found.source is not None:
        raise ConfigError(
            f"profile {profile!r} uses the credentials of {found.source!r}: a key of its own would have no effect",
            hint=command_line("awsv add", found.source),
        )


def _refuse_to_replace(vault: Vault, profile: str, there: StoredKey | None, *, overwrite: bool = False) -> None:
    """In a store of several people, who has a name keeps it.

    :raises StorageConflict: somebody has it.
    :raises UsageError: ``--overwrite`` was given.
    """
    if there is not None:
        whose, flag = ("everybody's key", " --shared") if there.shared else ("your key", "")
        raise StorageConflict(
            f"{whose} {there.credentials.access_key_id} has the name {profile!r} in {vault.store.place} already"
            f" ({there.written_by or 'nobody knows since when'}); nothing was changed",
            hint=f"choose another name, or '{command_line(f'awsv remove{flag}', profile)}' if that key is of no use",
        )
    if overwrite:
        raise UsageError(
            f"several people use {vault.store.place}: 'add' replaces nothing there",
            hint="leave --overwrite away",
        )


def _report(app: App, vault: Vault, profile: str, key: Credentials, old: StoredKey | None) -> None:
    replaced = f" in place of {old.credentials.access_key_id}" if old is not None else ""
    sources = ",".join(vault.store.context.sources)
    app.write(f"Added credentials to profile {json.dumps(profile, ensure_ascii=False)} in vault")
    opens = "" if vault.store.spec.at_rest is AtRest.SERVICE else f"; a passphrase opens it (sources: {sources})"
    app.note(f"{key.access_key_id}{replaced} is in {vault.store.place}{opens}")


def _from_environment(app: App) -> Credentials:
    environ = app.settings.environ
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environ.get(name)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not set", hint="export them, or leave --env away to be asked")
    if environ.get("AWS_SESSION_TOKEN"):
        app.note(f"warning: AWS_SESSION_TOKEN is set: {_OF_A_SESSION}")
    return _key(Secret(environ["AWS_ACCESS_KEY_ID"]), Secret(environ["AWS_SECRET_ACCESS_KEY"]))


def _from_stdin(app: App) -> Credentials | None:
    """The keys in a JSON document on standard input; None where it is a terminal, closed or empty."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    if not select.select([0], [], [], _QUIET)[0]:
        app.note("waiting for keys, as JSON, on standard input")  # a pipe that nobody closes looks like a hang
    raw = b""
    while len(raw) < _STDIN_LIMIT and (chunk := os.read(0, _STDIN_LIMIT)):
        raw += chunk
    if not raw.strip():
        return None
    try:
        document: Any = json.loads(raw)
        fields = document.get("AccessKey", document)
        key_id, secret = Secret(fields["AccessKeyId"]), Secret(fields["SecretAccessKey"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # The decoder's own exception would hold the document.
        raise UsageError(
            "standard input is not JSON with AccessKeyId and SecretAccessKey",
            hint="pipe the output of 'aws iam create-access-key' in, or run it in a terminal",
        ) from None
    if fields.get("SessionToken"):
        app.note(f"warning: there is a SessionToken: {_OF_A_SESSION}")
    return _key(key_id, secret)


def _from_terminal(app: App) -> Credentials:
    reason = app.host.why_nobody_can_be_asked()
    if reason:
        raise UsageError(
            f"no keys: standard input is empty, and nobody can be asked: {reason}",
            hint="give --env, or pipe the output of 'aws iam create-access-key' in",
        )
    terminal = app.host.terminal
    try:
        key_id = terminal.ask("Enter Access Key ID: ", secret=False)
        secret = terminal.ask("Enter Secret Access Key: ", secret=True)
    except QuestionRefused:
        raise Cancelled("no keys were given; nothing was changed") from None
    return _key(key_id, secret)


def _key(key_id: Secret, secret: Secret) -> Credentials:
    """The key, without the blanks that come along when it is pasted.

    :raises UsageError: it holds what no environment variable and no request to AWS could carry.
    """
    found = []
    for what, value in (("access key id", key_id), ("secret access key", secret)):
        text = value.reveal().strip()
        if not text:
            raise UsageError(f"the {what} is empty; nothing was changed")
        if not _CARRIED.fullmatch(text):
            raise UsageError(
                f"the {what} holds blanks or characters that no AWS key has; nothing was changed", hint="copy it again"
            )
        found.append(Secret(text))
    return Credentials(access_key_id=found[0].reveal_text(), secret_access_key=found[1])


def doubts(key: Credentials) -> list[str]:
    """Why these may not be AWS keys. They are stored all the same: AWS decides what a key is, not awsv."""
    found = []
    if not _KEY_ID.match(key.access_key_id):
        found.append("the access key id does not look like one (AKIA and 16 capital letters and digits)")
    elif key.access_key_id.startswith("ASIA"):
        found.append("this is the key of a session (ASIA…), which soon ends; the vault is for a user's own key (AKIA…)")
    if len(key.secret_access_key.reveal()) != _SECRET_LENGTH:
        found.append(f"the secret access key does not have {_SECRET_LENGTH} characters")
    return found
