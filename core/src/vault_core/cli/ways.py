"""What ``slot``, ``passwd`` and ``recovery`` share: the ways into the selected store, and secrets over descriptors."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vault_core import output
from vault_core.cli.app import App
from vault_core.errors import PassphraseError, PluginError, UsageError, VaultError
from vault_core.keyslots.hints import missing_store
from vault_core.secret import Secret
from vault_core.vlt import SlotKeeper

if TYPE_CHECKING:
    from vault_core.keyslots.new_slot import Choose
    from vault_core.plugins.host import HostContext
    from vault_core.vlt import KeySlots, NewSlot, SlotTable

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MOST = 1 << 21
"""Bytes read from a descriptor: twice the longest passphrase."""


@dataclass(frozen=True)
class Ways:
    """The ways into one store.

    :param context: the store's.
    :param keeper: the store itself.
    :param place: where it is, if that says more than its name.
    """

    app: App
    context: HostContext
    keeper: SlotKeeper
    place: str | None = None

    @classmethod
    def selected(cls, app: App, purpose: str) -> Ways:
        """Those of the store that the settings name.

        :param purpose: what the command does to it, for the line that names who asks.
        """
        vault = app.vault()
        app.host.purpose = f"{purpose} {vault.store.name}"
        return cls(app, vault.store.context, vault, vault.store.place if vault.store.spec.locate else None)

    @property
    def where(self) -> str:
        return f"store {self.context.store!r}"

    @property
    def file(self) -> str:
        """What the message names that says that a secret does not open it."""
        return self.place or self.where

    @cached_property
    def key_slots(self) -> KeySlots:
        """What opens the store, and upgrades the passphrase slot that opened it."""
        return self.context.key_slots(self.file)

    def table(self) -> SlotTable:
        """The slots as they are now.

        :raises StorageUnavailable: the store does not exist yet.
        """
        table = self.keeper.slots()
        if table is None:
            raise missing_store(self.context)
        return table

    def open(self) -> Secret:
        """The data key, by any slot but a recovery slot."""
        return self.key_slots.open(self.table())

    def change(self, change: Callable[[SlotTable, Secret], SlotTable], dek: Secret) -> None:
        """Change the slots of the opened store; no key of a slot that is gone is remembered."""
        changed = b""
        self.key_slots.prepare_upgrade()

        def noted(table: SlotTable, key: Secret) -> SlotTable:
            nonlocal changed
            changed = table.store
            return self.key_slots.upgraded(change(table, key), key)

        self.keeper.change_slots(noted, dek=dek)
        self.app.host.forget_keys(f"{changed.hex()}/")

    def add(self, new: NewSlot, dek: Secret) -> None:
        """Put one more slot into the opened store."""
        self.change(lambda table, key: table.add(key, new), dek)

    def lacks(self, new: NewSlot) -> bool:
        """Whether it is certain, after a failure, that the store has no such slot: what fails late may be written."""
        try:
            return all(slot.id != new.id for slot in self.table().slots)
        except VaultError:
            return False

    def warn_of_outage(self, given: Mapping[str, str] = MappingProxyType({})) -> None:
        """Warn if every way in needs the network: a store that AWS opens is closed while AWS is down.

        A passphrase slot counts as the sources that the settings name, as it does not say where its passphrase is kept.

        :param given: the sources of those passphrase slots (by id) of which it is known.
        """
        configured = self.context.sources
        needed: dict[str, None] = {}
        for slot in self.table().slots:
            names = (given[slot.id],) if slot.id in given else configured if slot.type == "passphrase" else slot.sources
            remote = [name for name in names if self._is_remote(name)]
            # Of the sources of a passphrase one is enough, a composite slot needs all of its own.
            if not remote or (slot.type == "passphrase" and len(remote) < len(names)):
                return
            needed.update(dict.fromkeys(remote))
        self.app.note(
            f"warning: {self.where} opens only with {' or '.join(needed)}: while that cannot be reached, nothing opens"
            " it ('awsv recovery' makes a way in that needs no network)"
        )

    def _is_remote(self, source: str) -> bool:
        with suppress(PluginError):  # not installed here: whether it needs the network is not known
            return self.app.plugins.load("passphrase", source).remote
        return False

    def choose(self, descriptor: int | None = None) -> Choose:
        """Who chooses a new passphrase: a person, or whoever writes to this descriptor."""
        if descriptor is None:
            return self.context.choose

        return lambda _key_id, derive, _source: derive(read_line(descriptor, "--new-passphrase-fd"))


def descriptor(*, writing: bool = False) -> Callable[[click.Context, click.Parameter, int | None], int | None]:
    """Callback of an option that takes the number of an open descriptor: an own copy of it, which no child gets.

    It is copied before anything else is opened, so that the number is what the caller meant by it.
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
            raise UsageError(f"{parameter.opts[0]} {value}: no open descriptor that can be {use}") from None
        if writing and (why := output.open_to_others(own)):
            raise UsageError(
                f"{parameter.opts[0]} {value}: others may read the file that the key would go to: {why}",
                hint="delete the file, say 'umask 077' in this shell, and repeat the command",
            )
        return own

    return callback


def read_line(number: int, option: str) -> Secret:
    """What a descriptor delivers to its end, without one line end.

    :raises PassphraseError: nothing, too much, or it cannot be read.
    """
    data = b""
    try:
        while len(data) <= _MOST and (part := os.read(number, 1 << 16)):
            data += part
    except OSError as error:
        raise PassphraseError(f"the descriptor of {option} cannot be read: {os.strerror(error.args[0])}") from None
    finally:
        os.close(number)
    data = data.removesuffix(b"\r\n") if data.endswith(b"\r\n") else data.removesuffix(b"\n")
    if not data or len(data) > _MOST:
        raise PassphraseError(f"the descriptor of {option} delivers {'too much' if data else 'nothing'}")
    return Secret(data)


def write_line(number: int, text: Secret, option: str) -> None:
    """Write a secret and a newline to a descriptor, all of it.

    :raises UsageError: it takes less.
    """
    data = text.reveal() + b"\n"
    try:
        while data:
            data = data[os.write(number, data) :]
    except OSError as error:
        raise UsageError(f"the descriptor of {option} takes no key: {os.strerror(error.args[0])}") from None
    finally:
        os.close(number)


def new_passphrase_option(function: _Function) -> _Function:
    """The option of commands that have a passphrase chosen."""
    return click.option(
        "--new-passphrase-fd",
        metavar="N",
        type=int,
        callback=descriptor(),
        help="Read the new passphrase from descriptor N instead of asking for it.",
    )(function)
