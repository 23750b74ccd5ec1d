"""The session's D-Bus, with a limit to every wait: no service that hangs, or has to be started first, stalls awsv.

The address comes from the context's environment, not from the process's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from jeepney import DBusAddress, DBusErrorResponse, MessageType, new_method_call
from jeepney.bus import get_connectable_addresses
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, Proxy, prep_socket

from vault_core.api import Context, StorageUnavailable

PATIENCE: Final = 5.0
"""Seconds for one answer. D-Bus itself would wait for 25."""
DIALOG_PATIENCE: Final = 45.0
"""Seconds that a person has for a dialog: as long as for a question of awsv's own under ``credential_process``."""
_CONNECTING: Final = 2.0
_BEAT: Final = 0.5
"""Seconds between two looks at whether the host still wants the answer."""


class Bus(DBusConnection):  # type: ignore[misc]  # jeepney has no types
    """A connection on which every wait ends.

    :param sock: connected and authenticated; closed with this.
    """

    def __init__(self, ctx: Context, sock: Any) -> None:
        self._ctx = ctx
        self._patience = PATIENCE
        super().__init__(sock)

    def receive(self, *, timeout: float | None = None) -> Any:
        """The next message. All of jeepney's waiting, and so SecretStorage's, ends here.

        :param timeout: seconds; None: the patience of now, where jeepney would wait for ever.
        :raises TimeoutError: none came.
        """
        deadline = time.monotonic() + (self._patience if timeout is None else timeout)
        while True:
            self._ctx.check()
            left = deadline - time.monotonic()
            try:
                return super().receive(timeout=max(0.0, min(_BEAT, left)))
            except TimeoutError:
                if left <= _BEAT:
                    raise

    @contextmanager
    def dialog(self) -> Iterator[None]:
        """While a person is asked: answers may take :data:`DIALOG_PATIENCE`."""
        self._patience = DIALOG_PATIENCE
        try:
            yield
        finally:
            self._patience = PATIENCE

    def call(self, address: DBusAddress, method: str, signature: str | None = None, body: tuple[Any, ...] = ()) -> Any:
        """What a method answers, as a tuple.

        :raises DBusErrorResponse: it refuses.
        """
        reply = self.send_and_get_reply(new_method_call(address, method, signature, body))
        if reply.header.message_type is MessageType.error:
            raise DBusErrorResponse(reply)
        return reply.body

    def runs(self, service: str, title: str) -> bool:
        """Whether a service runs; False: it would be started at the first call.

        :param title: what people call it.
        :raises StorageUnavailable: nobody offers it.
        """
        proxy = Proxy(message_bus, self)
        if proxy.NameHasOwner(service)[0]:
            return True
        if service in proxy.ListActivatableNames()[0]:
            return False
        raise StorageUnavailable(
            f"no program offers {title} on this D-Bus session ({service})",
            hint="log in to a desktop that has one, or use another store ('--backend file')",
        )

    def require(self, service: str, title: str) -> None:
        """Have a service run, and start it if it can be.

        :raises StorageUnavailable: nobody offers it, or it does not start in time.
        """
        if self.runs(service, title):
            return
        try:
            Proxy(message_bus, self).StartServiceByName(service)
        except (TimeoutError, DBusErrorResponse) as error:
            raise StorageUnavailable(
                f"the program that offers {title} ({service}) does not start",
                hint="start it by hand to see why, or use another store ('--backend file')",
            ) from error


def connect(ctx: Context, title: str) -> Bus:
    """The session's bus.

    :param title: for what, in messages.
    :raises StorageUnavailable: there is none.
    """
    address = _address(ctx)
    if address is None:
        raise StorageUnavailable(
            f"{title} is reached through D-Bus, and there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set",
            hint="run it in a desktop session, or use another store ('--backend file')",
        )
    try:
        sock = prep_socket(next(get_connectable_addresses(address)), timeout=_CONNECTING)
        try:
            return Bus(ctx, sock)
        except BaseException:
            sock.close()
            raise
    except (OSError, RuntimeError, ValueError, StopIteration) as error:
        raise StorageUnavailable(
            f"{title} is reached through D-Bus, and the session bus at {address} does not answer: {_reason(error)}",
            hint="run it in a desktop session, or use another store ('--backend file')",
        ) from error


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "it is silent"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return "that is no usable address"


def _address(ctx: Context) -> str | None:
    """The variable, or the place where systemd puts the bus of a user: what cron and SSH start lacks the variable."""
    told = ctx.environ.get("DBUS_SESSION_BUS_ADDRESS")
    if told:
        return told
    runtime = ctx.environ.get("XDG_RUNTIME_DIR")
    usual = Path(runtime, "bus") if runtime else None
    return f"unix:path={usual}" if usual and usual.is_socket() else None
