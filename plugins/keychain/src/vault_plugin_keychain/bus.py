"""The session's D-Bus, with a time limit for every wait, so that a service that hangs or starts never blocks awsv.

The address comes from the context's environment, not from the process's.
"""

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
from secretstorage.exceptions import SecretStorageException

from vault_core.api import Context, StorageUnavailable

PATIENCE: Final = 5.0
"""Seconds to wait for one reply. D-Bus itself would wait for 25."""
DIALOG_PATIENCE: Final = 45.0
"""Seconds that the user has to answer a dialog: the same as for a prompt of awsv under ``credential_process``."""
_CONNECTING: Final = 2.0
_BEAT: Final = 0.5
"""Seconds between two calls of ``check``."""


class Bus(DBusConnection):  # type: ignore[misc]  # jeepney has no types
    """A connection with a time limit for every wait.

    :param sock: connected and authenticated; closed together with the connection.
    """

    def __init__(self, ctx: Context, sock: Any) -> None:
        self._ctx = ctx
        self._patience = PATIENCE
        super().__init__(sock)

    def receive(self, *, timeout: float | None = None) -> Any:
        """The next message. Every wait of jeepney, and so of SecretStorage, goes through this method.

        :param timeout: in seconds; None: the current default, where jeepney would wait for ever.
        :raises TimeoutError: no message came in time.
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
        """While the user answers a dialog: replies may take :data:`DIALOG_PATIENCE`."""
        self._patience = DIALOG_PATIENCE
        try:
            yield
        finally:
            self._patience = PATIENCE

    def call(self, address: DBusAddress, method: str, signature: str | None = None, body: tuple[Any, ...] = ()) -> Any:
        """Call a method and return its reply as a tuple.

        :raises DBusErrorResponse: the reply is an error.
        """
        reply = self.send_and_get_reply(new_method_call(address, method, signature, body))
        if reply.header.message_type is MessageType.error:
            raise DBusErrorResponse(reply)
        return reply.body

    def runs(self, service: str, title: str) -> bool:
        """Whether a service runs; False: the first call would start it.

        :param title: its name in messages.
        :raises StorageUnavailable: no program provides it.
        """
        proxy = Proxy(message_bus, self)
        if proxy.NameHasOwner(service)[0]:
            return True
        if service in proxy.ListActivatableNames()[0]:
            return False
        raise StorageUnavailable(
            f"no program provides {title} on this D-Bus session ({service})",
            hint="log in to a desktop that provides it, or use another store ('--backend file')",
        )

    def require(self, service: str, title: str) -> None:
        """Start a service unless it runs.

        :raises StorageUnavailable: no program provides it, or it does not start in time.
        """
        if self.runs(service, title):
            return
        try:
            Proxy(message_bus, self).StartServiceByName(service)
        except (TimeoutError, DBusErrorResponse) as error:
            raise StorageUnavailable(
                f"the program that provides {title} ({service}) does not start",
                hint="start it by hand to see why, or use another store ('--backend file')",
            ) from error


@contextmanager
def explained(title: str, service: str) -> Iterator[None]:
    """Turn failures of D-Bus, or of a service, into errors for the user.

    :param title: the service's name in messages; ``service`` is its name on the bus.
    """
    try:
        yield
    except TimeoutError as error:
        raise StorageUnavailable(
            f"{title} does not answer within {PATIENCE:g} s",
            hint=f"check the program that provides {service}, or use '--backend file'",
        ) from error
    except (OSError, SecretStorageException, DBusErrorResponse) as error:
        raise StorageUnavailable(
            f"lost the connection to {title}: {type(error).__name__}",
            hint="try again; if it still fails, log in again",
        ) from error


def connect(ctx: Context, title: str) -> Bus:
    """Connect to the session bus.

    :param title: the name of the service to be reached, for messages.
    :raises StorageUnavailable: there is no session bus, or it does not answer.
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
            return "timed out"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return "the address is invalid"


def _address(ctx: Context) -> str | None:
    """The address from the variable, else systemd's default path, as cron and SSH do not set the variable."""
    address = ctx.environ.get("DBUS_SESSION_BUS_ADDRESS")
    if address:
        return address
    runtime = ctx.environ.get("XDG_RUNTIME_DIR")
    default = Path(runtime, "bus") if runtime else None
    return f"unix:path={default}" if default and default.is_socket() else None
