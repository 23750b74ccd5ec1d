"""Record the secrets that open a store, and replay them: the user is never asked twice in one command."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from vault_core.api import StoreContext
from vault_core.errors import NoSecret, WrongSecret
from vault_core.secret import Secret


def record_secrets(ctx: StoreContext) -> tuple[StoreContext, StoreContext]:
    """A recorder, which unlocks like ``ctx`` and records the secrets; and a replayer, which unlocks only with them.

    The secrets are kept as long as the replayer.
    """
    # The source that was asked by its name (None: the user's ordinary sources), and the secret that opened the lock.
    recorded: list[tuple[str | None, Secret]] = []

    def record(
        key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        def recording(secret: Secret) -> Secret:
            key = derive(secret)
            recorded.append((source, secret))
            return key

        return ctx.unlock(key_id, recording, create=create, source=source)

    def replay(_key_id: str, derive: Callable[[Secret], Secret], *, source: str | None = None) -> Secret:
        for asked, secret in recorded:
            if asked == source:
                with suppress(WrongSecret):
                    return derive(secret)
        raise NoSecret("no recorded secret fits")

    return cast("StoreContext", _Unlocking(ctx, record)), cast("StoreContext", _Unlocking(ctx, replay))


class _Unlocking:
    """A context with another :meth:`unlock`."""

    def __init__(self, ctx: StoreContext, unlock: Callable[..., Secret]) -> None:
        self._ctx = ctx
        self.unlock = unlock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)
