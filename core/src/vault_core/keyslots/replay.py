"""Nothing is asked twice: what opened a store for a command opens its slots once more when they are made anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from vault_core.errors import NoSecret, WrongSecret
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import Context

_Said = list[tuple[str | None, Secret]]
"""Which source was asked by its name (None: the ordinary chain), and the secret that was taken from it."""


def record_secrets(ctx: Context) -> tuple[Context, Context]:
    """Two contexts in place of one: the first asks as it does, and hears what is said; the second only repeats that.

    The secrets are kept as long as the second context is.
    """
    said: _Said = []
    return cast("Context", _Recorder(ctx, said)), cast("Context", _Replayer(ctx, said))


class _Around:
    """A context that does everything but :meth:`unlock` as another one."""

    def __init__(self, ctx: Context, said: _Said) -> None:
        self._ctx = ctx
        self._said = said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


class _Recorder(_Around):
    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        def noted(secret: Secret) -> Secret:
            key = derive(secret)
            self._said.append((source, secret))
            return key

        return self._ctx.unlock(key_id, noted, create=create, source=source)


class _Replayer(_Around):
    def unlock(
        self,
        key_id: str,  # noqa: ARG002 - of the protocol; what is repeated was said to another lock
        derive: Callable[[Secret], Secret],
        *,
        create: bool = False,  # noqa: ARG002 - of the protocol; nothing new is chosen here
        source: str | None = None,
    ) -> Secret:
        for asked, secret in self._said:
            if asked == source:
                with suppress(WrongSecret):
                    return derive(secret)
        raise NoSecret("nobody has said it yet")
