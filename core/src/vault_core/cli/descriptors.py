"""Secrets over descriptors: options that take the number of a descriptor that the caller opened."""

import fcntl
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vault_core import stdout
from vault_core.errors import PassphraseError, UsageError
from vault_core.keyslots.manage import ChangingContext
from vault_core.keyslots.new_slot import Choose
from vault_core.secret import Secret

_Function = TypeVar("_Function", bound=Callable[..., Any])

_LIMIT = 1 << 21
"""Bytes read from a descriptor: twice the longest passphrase."""


def descriptor(*, writing: bool = False) -> Callable[[click.Context, click.Parameter, int | None], int | None]:
    """Callback of an option that takes the number of an open descriptor: a copy of it, which no child inherits.

    It is copied before anything else is opened, so that the number means what the caller meant.
    """

    def callback(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
        if value is None:
            return None
        least = 3 if writing else 0  # standard output and standard error go to files and other programs
        try:
            if value < least:
                raise ValueError
            mode = fcntl.fcntl(value, fcntl.F_GETFL) & os.O_ACCMODE
            if mode == (os.O_RDONLY if writing else os.O_WRONLY):
                raise ValueError
            own = fcntl.fcntl(value, fcntl.F_DUPFD_CLOEXEC, 3)
        except (OSError, ValueError, OverflowError):
            use = f"written to (from {least} on)" if writing else "read from"
            raise UsageError(f"{parameter.opts[0]} {value}: not an open descriptor that can be {use}") from None
        if writing and (why := stdout.open_to_others(own)):
            raise UsageError(
                f"{parameter.opts[0]} {value}: others may read the file that the key would go to: {why}",
                hint="delete the file, run 'umask 077' in this shell, and repeat the command",
            )
        return own

    return callback


def read_line(number: int, option: str) -> Secret:
    """The content of a descriptor, without one line end.

    :raises PassphraseError: it is empty or too long, or it cannot be read.
    """
    data = b""
    try:
        while len(data) <= _LIMIT and (part := os.read(number, 1 << 16)):
            data += part
    except OSError as error:
        raise PassphraseError(f"the descriptor of {option} cannot be read: {os.strerror(error.args[0])}") from None
    finally:
        os.close(number)
    data = data.removesuffix(b"\r\n") if data.endswith(b"\r\n") else data.removesuffix(b"\n")
    if not data or len(data) > _LIMIT:
        raise PassphraseError(f"the descriptor of {option} delivers {'too much' if data else 'nothing'}")
    return Secret(data)


def write_line(number: int, text: Secret, option: str) -> None:
    """Write a secret and a newline to a descriptor.

    :raises UsageError: not all of it could be written.
    """
    data = text.reveal() + b"\n"
    try:
        while data:
            data = data[os.write(number, data) :]
    except OSError as error:
        raise UsageError(
            f"the key cannot be written to the descriptor of {option}: {os.strerror(error.args[0])}"
        ) from None
    finally:
        os.close(number)


def descriptor_option(name: str, text: str, *, writing: bool = False) -> Callable[[_Function], _Function]:
    """An option that takes the number of a descriptor.

    :param text: its help.
    """
    return click.option(name, metavar="N", type=int, callback=descriptor(writing=writing), help=text)


new_passphrase_option = descriptor_option(
    "--new-passphrase-fd", "Read the new passphrase from descriptor N instead of prompting for it."
)
"""The option of commands that choose a new passphrase."""


def chooser(context: ChangingContext, number: int | None) -> Choose:
    """Chooses a new passphrase: at a prompt, or from the descriptor of ``--new-passphrase-fd``."""
    if number is None:
        return context.choose
    return lambda _key_id, derive, _source: derive(read_line(number, "--new-passphrase-fd"))
