"""The host, as a plugin sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a vendor's tool answered to :meth:`Context.run`."""

    returncode: int
    stdout: Secret
    stderr: str


class Context(Protocol):
    """What every plugin may ask of its host; a storage backend gets a :class:`~vault_core.api.StoreContext`."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The plugin's own options, every declared name present, parsed."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment as it was at start, read-only. SDK clients are built from it explicitly.

        Variables that hold a secret by their name (``AWS_VAULT_…`` with ``PASSPHRASE``, ``PASSWORD``, ``SECRET`` or
        ``TOKEN``; ``VAULT_TOKEN``) and those of other plugins are not in it, unless the spec names them in
        ``secret_variables``. AWS's own variables are.
        """

    @property
    def child_environ(self) -> Mapping[str, str]:
        """:attr:`environ` for a program that is to find its own AWS identity: without the secrets of awsv and of
        plugins, and without the variables that say who this process is for AWS (keys, tokens, profile, role)."""

    @property
    def data_dir(self) -> Path:
        """Where this user's durable data belongs (``$XDG_DATA_HOME/awsv``); may not exist yet."""

    @property
    def state_dir(self) -> Path:
        """Where this user's disposable state of this machine belongs (``$XDG_STATE_HOME/awsv``); may not exist yet."""

    @property
    def can_show_dialog(self) -> bool:
        """Whether a service may show the person a dialog of its own now (an unlock prompt of the desktop, say).

        Not under ``--no-input``, while listing, in ``CI`` or over SSH. To end what nobody answers is the plugin's.
        """

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        """Ask the person at the controlling terminal for one line.

        :param question: shown after a line that names who asks; what could drive a terminal is escaped.
        :param secret: do not show what is typed.
        :raises QuestionRefused: Ctrl-C, end of input or an empty line.
        :raises SourceUnavailable: nobody can be asked (no terminal, in the background, or asking is not allowed).
        """

    def confirm(self, question: str) -> bool:
        """Ask the person yes or no; False where nobody can be asked."""

    def notify(self, message: str) -> None:
        """Show one line on standard error. Never a secret."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: Secret | None = None,
        timeout: float = 30.0,
        env: Sequence[str] = (),
    ) -> RunResult:
        """Run a program without a shell, with standard input from ``input``.

        It has no terminal: what opens ``/dev/tty`` to ask fails at once. It inherits no open file. At its end, and when
        time is up or the person presses Ctrl-C, it is killed with everything it started that has not made itself a
        daemon. It may write 16 MiB to standard output and to standard error each.

        :param timeout: seconds; the program is killed after them, or at the host's own deadline where that is nearer.
        :param env: names of further variables of :attr:`environ` that it needs, besides ``PATH``, ``HOME``, ``LANG``
            and their like.
        :raises SourceUnavailable: it cannot be started, takes too long or writes too much.
        :raises Cancelled: as :meth:`check`, which is called while it runs.
        """

    def comes_back(self, profile: str) -> str | None:
        """The line of the AWS config by which an AWS SDK that uses this profile would run awsv again, as
        ``FILE:LINE: KEY = VALUE``; None where there is none.

        Asked before a profile is used to open a store: awsv would wait for itself.

        :raises ConfigError: the AWS config cannot be read.
        """

    def check(self) -> None:
        """Call at least once a second while waiting.

        :raises Cancelled: after Ctrl-C or the deadline.
        """
