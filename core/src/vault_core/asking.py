"""Whether and how the user may be asked: an immutable value for each operation, and what one run remembers."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vault_core import consulted, files, output
from vault_core.errors import QuestionRefused, SourceUnavailable
from vault_core.records import dataclass
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import StorageBackend

_ROW, _PURPOSE, _PROGRAM = 78, 40, 20
"""Columns: of the row that names the asker, in which the program that started us is never cut off (one more is for the
``…`` of what is cut); of the purpose; and of the program's name, which may be full of characters to escape."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How one operation may turn to the user. :func:`dataclasses.replace` makes variants."""

    purpose: str = ""
    """What the operation is for (``profile prod``); shown with each question."""
    allowed: bool = True
    """False under ``--no-input``, and while listing: ask no question and show no dialog."""
    offline: bool = False
    """Open neither a store nor a passphrase source that needs the network."""
    attended: bool = True
    """The user sees notices: no other program reads them."""
    time_limit: float | None = None
    """Seconds that the user has for an answer; None: no limit."""


class Prompter(Protocol):
    """What asks the user: :class:`vault_core.terminal.Terminal`, or a dialog of the host program."""

    def why_not(self) -> str | None:
        """None if the user can be asked now, else the reason, in lower case."""

    def ask(self, question: str, *, secret: bool, asker: str = "", deadline: float | None = None) -> Secret:
        """Ask for one line.

        :param question: may end with a space.
        :param secret: do not show what is typed.
        :param asker: one line that names what asks, and for what.
        :param deadline: on :func:`time.monotonic`'s clock; None: no limit.
        :raises QuestionRefused: the user declined.
        :raises SourceUnavailable: the user cannot be asked, or did not answer before the deadline.
        """

    def confirm(self, question: str, *, asker: str = "", default: bool = False) -> bool:
        """Ask yes or no.

        :raises QuestionRefused: the user declined.
        :raises SourceUnavailable: the user cannot be asked.
        """

    def write(self, text: str) -> None:
        """Show lines to the user, if that is possible."""


@dataclass
class RunState:
    """What a run of awsv, or a client, remembers from one operation to the next."""

    prompts_shown: int = 0
    keys: dict[str, Secret] = field(default_factory=dict)
    """Derived keys, by key id: no secret is asked for, and no key derived, twice."""
    cancelled: bool = False
    """Plugins that wait have to stop."""
    suspected: bool = False
    """A store may hold an older state than the user expects: sessions made from it are not cached."""
    stores: "list[StorageBackend]" = field(default_factory=list)
    """The open stores; :meth:`close_stores` closes them."""
    used_plugins: set[str] = field(default_factory=set)
    """The names of the plugins that got a context."""
    shown_keys: set[str] = field(default_factory=set)
    """The keys of AWS profiles that set an option of a plugin in use which is not secret."""
    hidden_keys: set[str] = field(default_factory=set)
    """The keys of AWS profiles that set a secret option of a plugin in use."""

    def cancel(self) -> None:
        """Have every plugin that waits stop soon: Ctrl-C reaches only the main thread."""
        self.cancelled = True

    def forget_keys(self, prefix: str) -> None:
        """Forget the derived keys whose id starts with the prefix: their slots changed, or one of them is wrong."""
        for key_id in [key_id for key_id in self.keys if key_id.startswith(prefix)]:
            del self.keys[key_id]

    def close_stores(self, keep: int = 0) -> None:
        """Close the open stores, the last one first. An error at that point changes nothing.

        :param keep: the number of stores that stay open, from the first one.
        """
        while len(self.stores) > keep:
            with suppress(BaseException):  # an exit, too
                self.stores.pop().close()


def at_terminal() -> Prompter:
    """What asks at the terminal."""
    from vault_core.terminal import Terminal  # after all, few runs ask

    return Terminal()


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The questions of one operation, and its notices."""

    terminal: Prompter = field(default_factory=at_terminal)
    asking: Asking = field(default_factory=Asking)
    state: RunState = field(default_factory=RunState)
    notice: Callable[[str], None] = output.notice
    """Receives one line for the user."""

    def cannot_ask(self) -> str | None:
        """None if the user can be asked; else the reason."""
        return self.terminal.why_not() if self.asking.allowed else "asking is not allowed here"

    def deadline(self) -> float | None:
        """The end of a question that is asked now, on :func:`time.monotonic`'s clock; None: no limit."""
        return None if self.asking.time_limit is None else time.monotonic() + self.asking.time_limit

    def require(self) -> None:
        """:raises SourceUnavailable: the user cannot be asked."""
        if reason := self.cannot_ask():
            raise SourceUnavailable(reason)

    def ask(self, question: str, *, secret: bool = True, deadline: float | None = None) -> Secret:
        """Ask for one line.

        :param deadline: None: :meth:`deadline`, counted from now.
        :raises QuestionRefused: the user declined.
        :raises SourceUnavailable: the user cannot be asked.
        """
        self.require()
        consulted.prevent()
        self.state.prompts_shown += 1
        deadline = self.deadline() if deadline is None else deadline
        return self.terminal.ask(question, secret=secret, asker=self.asker, deadline=deadline)

    def confirm(self, question: str) -> bool:
        """Ask yes or no; False if the user cannot be asked.

        :raises QuestionRefused: the user declined.
        """
        if self.cannot_ask() is not None:
            return False
        consulted.prevent()
        return self.terminal.confirm(question, asker=self.asker)

    @property
    def asker(self) -> str:
        """The line that names what asks: the purpose, the program that started this one, the folder."""
        parent = os.getppid()
        try:
            program = Path(f"/proc/{parent}/comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            program = "a program"
        try:
            folder = str(Path.cwd())
        except OSError:
            folder = "a deleted folder"
        start, end = "awsv for ", f", started by {output.cut(program, _PROGRAM)} (pid {parent})"
        left = _ROW - output.width(start + end)
        return f"{start}{output.cut(self.asking.purpose or 'a command', min(left, _PURPOSE))}{end} in {folder}"


def hold_terminal(folder: Path, deadline: float | None) -> AbstractContextManager[object]:
    """Hold the right to ask at this terminal: one question at a time, whichever process asks.

    The answer to two questions at once would go to either of them, and the first to end would turn the echo on again
    for the passphrase of the other. Processes with the same controlling terminal share a session; its id names the
    lock.

    :param folder: holds the lock; made if necessary. Where it cannot be made or locked, the question is asked anyway.
    :param deadline: on the clock of :func:`time.monotonic`; None waits for ever.
    :raises QuestionRefused: Ctrl-C while another process asks: it is meant for this question, too.
    :raises SourceUnavailable: the other question was not answered by the deadline.
    """
    timeout = None if deadline is None else deadline - time.monotonic()
    try:
        return files.held(folder / f"terminal-{os.getsid(0)}.lock", timeout=timeout)
    except TimeoutError:
        raise SourceUnavailable("another question at this terminal was not answered in time") from None
    except KeyboardInterrupt:
        raise QuestionRefused("no answer: interrupted") from None
    except OSError:
        return nullcontext()
