"""The host, as a plugin sees it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vault_core.records import dataclass
from vault_core.secret import Secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of :meth:`Context.run`."""

    returncode: int
    stdout: Secret
    stderr: str


class Context(Protocol):
    """What every plugin may ask of its host; a storage backend gets a :class:`~vault_core.api.StoreContext`."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the plugin: a parsed value, or the default, for every declared name."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment at the start of the process, read-only. Build SDK clients from it explicitly.

        Two kinds of variables are missing unless ``secret_variables`` of the spec names them: those of other plugins,
        and those whose names denote a secret (``AWS_VAULT_…`` with ``PASSPHRASE``, ``PASSWORD``, ``SECRET`` or
        ``TOKEN``; ``VAULT_TOKEN``). AWS's own variables are included.
        """

    @property
    def child_environ(self) -> Mapping[str, str]:
        """:attr:`environ` for a program that finds its own AWS identity: without the secrets of awsv and of plugins,
        and without the variables of this process's AWS identity (keys, tokens, profile, role)."""

    @property
    def data_dir(self) -> Path:
        """The folder for durable data of the user (``$XDG_DATA_HOME/awsv``); it may not exist."""

    @property
    def state_dir(self) -> Path:
        """The folder for disposable state on this machine (``$XDG_STATE_HOME/awsv``); it may not exist."""

    @property
    def can_show_dialog(self) -> bool:
        """Whether a service may show the person a dialog of its own now (an unlock prompt of the desktop, say).

        Not under ``--no-input``, while listing, in ``CI`` or over SSH. To end what nobody answers is the plugin's.
        """

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        """Ask the user for one line at the controlling terminal.

        :param question: shown after a line that names the command; control characters are escaped.
        :param secret: do not echo what the user types.
        :raises QuestionRefused: the user pressed Ctrl-C, ended the input or entered an empty line.
        :raises SourceUnavailable: there is no terminal, the process is in the background, or asking is not allowed.
        """

    def confirm(self, question: str) -> bool:
        """Ask the user a yes-or-no question; False if the user cannot be asked."""

    def notify(self, message: str) -> None:
        """Show one line on standard error. It must not contain a secret."""

    def run(
        self, argv: Sequence[str], *, input: Secret | None = None, timeout: float = 30.0, env: Sequence[str] = ()
    ) -> RunResult:
        """Run a program without a shell, with standard input from ``input``.

        The program has no terminal, so opening ``/dev/tty`` fails at once, and inherits no open file. When it ends, at
        the timeout and after Ctrl-C, its process group is killed. It can write 16 MiB to standard output and 16 MiB to
        standard error.

        :param timeout: in seconds; the program is killed then, or at the host's own deadline if that is earlier.
        :param env: names of variables of :attr:`environ` for the program, besides ``PATH``, ``HOME``, ``LANG`` and
            others that every program gets.
        :raises SourceUnavailable: the program cannot be started, takes too long or writes too much.
        :raises Cancelled: as :meth:`check`, which is called while it runs.
        """

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[None]:
        """Hold a lock for the length of a ``with`` statement: one process of this user on this machine at a time.

        The death of the process releases it. It is not reentrant. :meth:`check` is called while waiting.

        :param name: lower-case letters, digits, ``.``, ``_`` and ``-``; begin it with the name of the plugin.
        :param timeout: how long to wait for another holder, in seconds.
        :raises StorageUnavailable: another process still holds the lock, or the lock cannot be made.
        :raises Cancelled: as :meth:`check`.
        """

    def wait(self, function: Callable[[], T], *, timeout: float) -> T:
        """Run a call that may block for long, such as the lookup of a host name, and return its result.

        It runs in a thread of its own. The thread is abandoned, not stopped, at the timeout and when :meth:`check`
        raises: have the function end soon after, and touch nothing that others use by then.

        :param timeout: in seconds.
        :raises TimeoutError: there was no result in time.
        :raises Cancelled: as :meth:`check`, which is called while waiting.
        :raises BaseException: what the function raised.
        """

    def find_recursion(self, profile: str) -> str | None:
        """The line of the AWS config because of which an AWS SDK with this profile would run awsv, as
        ``FILE:LINE: KEY = VALUE``; None if there is no such line.

        Call it before a profile is used to open a store: awsv would wait for itself.

        :raises ConfigError: the AWS config cannot be read.
        """

    def check(self) -> None:
        """Call at least once a second while waiting.

        :raises Cancelled: after Ctrl-C or the deadline.
        """
