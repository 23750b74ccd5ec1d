"""Record the secrets that open a store, and replay them: the user is never asked twice in one command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from vault_core.errors import NoSecret, WrongSecret
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import StoreContext

_Recorded = list[tuple[str | None, Secret]]
"""The source that was asked by its name (None: the user's ordinary sources), and the secret that opened the lock."""


def record_secrets(ctx: StoreContext) -> tuple[StoreContext, StoreContext]:
    """A recorder, which unlocks like ``ctx`` and records the secrets; and a replayer, which unlocks only with them.

    The secrets are kept as long as the replayer.
    """
    recorded: _Recorded = []
    return cast("StoreContext", _Recorder(ctx, recorded)), cast("StoreContext", _Replayer(ctx, recorded))


class _Wrapper:
    """A context whose :meth:`unlock` differs from another's."""

    def __init__(self, ctx: StoreContext, recorded: _Recorded) -> None:
        self._ctx = ctx
        self._recorded = recorded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


class _Recorder(_Wrapper):
    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        def recording(secret: Secret) -> Secret:
            key = derive(secret)
            self._recorded.append((source, secret))
            return key

        return self._ctx.unlock(key_id, recording, create=create, source=source)


class _Replayer(_Wrapper):
    def unlock(
        self,
        key_id: str,  # noqa: ARG002 - of the protocol; the secrets were recorded for another lock
        derive: Callable[[Secret], Secret],
        *,
        create: bool = False,  # noqa: ARG002 - of the protocol; nothing new is chosen here
        source: str | None = None,
    ) -> Secret:
        for asked, secret in self._recorded:
            if asked == source:
                with suppress(WrongSecret):
                    return derive(secret)
        raise NoSecret("no recorded secret fits")
