"""How messages count and list things, and show a change."""

from collections.abc import Iterable
from pathlib import Path

MAX_NAMED = 20
"""The most names that a message lists; the table, where there is one, has them all."""


def counted(number: int, thing: str) -> str:
    """``1 key``, ``2 keys``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def reasons(found: Iterable[tuple[str, str]]) -> str:
    """Names with their reasons, each reason once: ``'a', 'b': why; 'c': why not``."""
    pairs = list(found)
    names: dict[str, list[str]] = {}
    for name, reason in pairs[:MAX_NAMED]:
        names.setdefault(reason, []).append(repr(name))
    shown = "; ".join(f"{', '.join(some)}: {reason}" for reason, some in names.items())
    return f"{shown}; and {len(pairs) - MAX_NAMED} more" if len(pairs) > MAX_NAMED else shown


def difference(before: bytes, after: bytes, path: Path) -> str:
    """A change of a config file as people read it, without a newline at its end."""
    from vault_core.awsconfig.redacted_diff import patch

    return patch(before, after, path).removesuffix("\n")
