"""One call into a plugin, and what came of it: a result or an exception, in time, without a word of a secret."""

import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault_core.api import VaultError
from vault_testkit import canary
from vault_testkit.case import check, fail
from vault_testkit.context import FakeContext

PATIENCE = 20.0
"""Seconds that any call may take, for a slow machine. A plugin that keeps its deadline needs far less."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call."""

    result: Any = None
    error: BaseException | None = None

    def text(self) -> str:
        """Everything that a user or a log could see of it."""
        if self.error is None:
            return f"{self.result!r} {self.result}"
        hint = getattr(self.error, "hint", None) or ""
        return "".join(traceback.format_exception(self.error)) + repr(self.error) + hint

    def one_of(self, results: tuple[type, ...], errors: tuple[type[VaultError], ...], what: str) -> None:
        """Fail unless the result, or the error, is of one of these types."""
        __tracebackhide__ = True
        if self.error is not None:
            names = ", ".join(error.__name__ for error in errors) or "no error"
            kind = f"{type(self.error).__module__}.{type(self.error).__name__}"
            check(isinstance(self.error, errors), f"{what} raised {kind}; allowed: {names}")
        else:
            names = " or ".join("None" if one is type(None) else one.__name__ for one in results)
            check(isinstance(self.result, results), f"{what} returned {type(self.result).__name__}; allowed: {names}")


def call(action: Callable[[], Any], what: str) -> Outcome:
    """Make the call, for at most :data:`PATIENCE` seconds."""
    __tracebackhide__ = True
    found: list[Outcome] = []

    def run() -> None:
        try:
            found.append(Outcome(result=action()))
        except BaseException as error:  # noqa: BLE001 - to be judged
            found.append(Outcome(error=error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not found:
        fail(f"{what} did not return within {PATIENCE:g} s, whatever its deadline")
    return found[0]


def nowhere(secrets: Iterable[str], context: FakeContext, places: Iterable[Path], *texts: str) -> None:
    """Fail if one of the secrets can be read in a message, a log or a file of the plugin."""
    __tracebackhide__ = True
    said = "\n".join([*texts, *context.notes, *context.questions])
    where = list(places)
    for secret in secrets:
        check(
            not canary.is_in(said, secret), "a secret is in a message, a log, a question or what an object looks like"
        )
        found = canary.holding(where, secret)
        check(not found, f"a secret can be read in {', '.join(found)}")
