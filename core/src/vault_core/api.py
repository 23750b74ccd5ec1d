"""The public surface for plugins. Nothing else of the core is public, except :mod:`vault_core.testing`.

A plugin is a module with one or more hooks (see :mod:`vault_core.hookspecs`) marked by :data:`hookimpl`. A hook
returns specs; the host calls ``spec.open(context)`` when the user has named the plugin, and that is the first place
where a vendor's SDK may be imported. Plugins never touch standard output, the terminal or ``os.environ``: the
:class:`Context` has what they need. All calls are synchronous.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import pluggy

from vault_core import sealing
from vault_core.errors import (
    AccessDenied,
    Cancelled,
    ConfigError,
    MfaError,
    MfaRejected,
    NoSecret,
    PassphraseError,
    QuestionRefused,
    SessionError,
    SourceUnavailable,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageError,
    StorageLocked,
    StorageUnavailable,
    VaultError,
    WrongSecret,
)
from vault_core.secret import Secret

__all__ = [
    "ABSENT",
    "ANY",
    "AccessDenied",
    "AtRest",
    "CallerIdentifier",
    "CallerIdentity",
    "Cancelled",
    "Capability",
    "CommandContext",
    "CommandSpec",
    "ConfigError",
    "Context",
    "Credentials",
    "Expect",
    "Item",
    "MfaError",
    "MfaRejected",
    "MfaRequest",
    "MfaSource",
    "MfaSourceSpec",
    "NoSecret",
    "Option",
    "PassphraseError",
    "PassphraseRequest",
    "PassphraseSource",
    "PassphraseSourceSpec",
    "Profile",
    "Purpose",
    "QuestionRefused",
    "RunResult",
    "Secret",
    "SessionError",
    "SessionProvider",
    "SessionRequest",
    "SessionSpec",
    "SlotKeeper",
    "Source",
    "SourceUnavailable",
    "StorageBackend",
    "StorageConflict",
    "StorageCorrupt",
    "StorageDenied",
    "StorageError",
    "StorageLocked",
    "StorageSpec",
    "StorageUnavailable",
    "VaultError",
    "Version",
    "WrongSecret",
    "boolean",
    "hookimpl",
    "sealing",
]

hookimpl = pluggy.HookimplMarker("vault")


# -- options -----------------------------------------------------------------------------------------------------------


def boolean(text: str) -> bool:
    """Parse ``true``/``false``, ``yes``/``no``, ``on``/``off``, ``1``/``0``.

    :raises ValueError: for anything else.
    """
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
    raise ValueError("not true or false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of a plugin.

    Option ``dir`` of plugin ``file`` is the flag ``--file-dir``, the AWS profile key ``vault_file_dir``, the variable
    ``AWS_VAULT_FILE_DIR`` and ``dir`` in ``[plugin.file]`` or ``[store.NAME]`` of ``config.toml``, in this order.
    """

    name: str
    """Lower-case words joined by ``-``."""
    help: str
    """One line: what it sets, and in which unit."""
    default: Any = None
    """The value where nobody sets it; not parsed."""
    parse: Callable[[str], Any] = str
    """Text to value; raises :class:`ValueError` with the reason, without the text where it may be secret."""
    secret: bool = False
    """Never shown, and its variable is removed from the children of ``exec``."""


# -- the host ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a vendor's tool answered to :meth:`Context.run`."""

    returncode: int
    stdout: Secret
    stderr: str


class Context(Protocol):
    """Everything a plugin may ask of its host."""

    @property
    def store(self) -> str:
        """The name of the store that is being opened, or for which a secret is wanted; empty where there is none."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The plugin's own options, every declared name present, parsed."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment as it was at start, read-only. SDK clients are built from it explicitly."""

    @property
    def data_dir(self) -> Path:
        """Where this user's durable data belongs (``$XDG_DATA_HOME/awsv``); may not exist yet."""

    @property
    def state_dir(self) -> Path:
        """Where this user's disposable state of this machine belongs (``$XDG_STATE_HOME/awsv``); may not exist yet."""

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, factor: str | None = None
    ) -> Secret:
        """The key of a lock, derived from a secret that the plugin does not get to see otherwise.

        The host finds a secret (the sources that the user ordered), calls ``derive`` with it, and repeats with
        another one when ``derive`` raises :class:`WrongSecret`. At most one ``derive`` runs at a time per user.

        :param key_id: names the lock: store and slot; what is remembered or locked is kept by it.
        :param derive: secret to key; slow, and without side effects, as it may run several times.
        :param create: a new secret is being chosen: an interactive source asks twice.
        :param factor: the name of the only source to ask: of a lock that needs several factors, or whose key is kept
            by that source.
        :raises NoSecret: no source had a secret.
        :raises WrongSecret: none was right.
        :raises PassphraseError: the person declined, or a source is set up wrongly.
        """

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        """Have a passphrase source keep a secret: :meth:`unlock` with it as ``factor`` and this ``key_id`` finds it.

        :raises PassphraseError: the source keeps no secrets, or does not give this one back.
        :raises SourceUnavailable: it cannot answer now.
        """

    def forget(self, source: str, key_id: str) -> bool:
        """Have a passphrase source forget what it keeps for a lock; True if there was something.

        :raises PassphraseError: the source keeps no secrets.
        :raises SourceUnavailable: it cannot answer now.
        """

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        """Ask the person at the controlling terminal for one line.

        :param question: shown as it is, after a line that names who asks.
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
        """Run a program without a shell, in its own process group, with standard input from ``input``.

        :param timeout: seconds; the program is killed after them.
        :param env: names of further variables of :attr:`environ` that it needs, besides ``PATH``, ``HOME``, ``LANG``
            and their like.
        :raises SourceUnavailable: it cannot be started, or takes too long.
        """

    def check(self) -> None:
        """Call at least once a second while waiting.

        :raises Cancelled: after Ctrl-C or the deadline.
        """


# -- storage backends --------------------------------------------------------------------------------------------------


class _Expectation(enum.Enum):
    ANY = "any"
    ABSENT = "absent"


ANY: Final = _Expectation.ANY
"""Replace whatever is there."""
ABSENT: Final = _Expectation.ABSENT
"""Write only if nothing is there."""

Version = str
"""Names one state of one item; opaque, equal only to itself."""
Expect = _Expectation | str
""":data:`ANY`, :data:`ABSENT`, or the :data:`Version` that must be there."""


class Capability(enum.Flag):
    """What a storage backend can do beyond the four methods, and what its users should know."""

    NONE = 0
    CREATE_ONLY = enum.auto()
    """``put`` understands :data:`ABSENT`, without a race."""
    CAS = enum.auto()
    """``put`` and ``delete`` understand a version (check and set), without a race."""
    INTERACTIVE = enum.auto()
    """Opening it may show a dialog of its own."""
    REMOTE = enum.auto()
    """It needs the network."""
    SHARED = enum.auto()
    """Several people read it."""
    READ_ONLY = enum.auto()
    """``put`` and ``delete`` are refused."""
    MULTI_PROCESS = enum.auto()
    """Several processes may write at a time and nothing is lost."""
    MULTI_THREAD = enum.auto()
    """One object may be used from several threads at a time."""
    LISTS_LOCKED = enum.auto()
    """``keys`` works without unlocking."""


class AtRest(enum.Enum):
    """Who encrypts what the backend keeps."""

    CORE = "core"
    """The core: the backend sees only sealed values. The author writes no cryptography."""
    BACKEND = "backend"
    """The backend, with keys from :meth:`Context.unlock`."""
    SERVICE = "service"
    """The service behind the backend (an OS keychain, a server)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a backend keeps under a key."""

    value: Secret
    """One or more printable ASCII bytes."""
    version: Version


class StorageBackend(ABC):
    """An open store. Keys are ``kind/name`` over ``[a-z0-9._-]``, at most 900 bytes; values are printable ASCII.

    Every trouble is a :class:`~vault_core.errors.StorageError`; a vendor's exception is wrapped (``raise … from``).
    """

    @abstractmethod
    def get(self, key: str) -> Item | None:
        """The item, or None if there is none."""

    @abstractmethod
    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        """Create or replace, atomically: a reader sees the old value or the new one, never half.

        :param expect: :data:`ABSENT` or a version arrives only at a backend that declares ``CREATE_ONLY`` or ``CAS``.
        :returns: the version that is now there. It is durable when this returns.
        :raises StorageConflict: something else than ``expect`` was there; nothing was changed.
        """

    @abstractmethod
    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        """Delete; True if it was there.

        :raises StorageConflict: something else than ``expect`` was there; nothing was changed.
        """

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Every key, in any order."""

    def close(self) -> None:  # noqa: B027 - closing is optional: most backends hold nothing open
        """Let go of what is open. May be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """A storage backend on offer."""

    name: str
    """What the user types: ``[a-z][a-z0-9-]{1,31}``, equal to the entry point's name."""
    summary: str
    """One line for ``plugins list``."""
    open: Callable[[Context], StorageBackend]
    """Open the store; it may unlock now or at the first need. The first place where an SDK may be imported."""
    at_rest: AtRest = AtRest.CORE
    capabilities: Capability = Capability.NONE
    options: tuple[Option, ...] = ()
    max_value: int | None = None
    """The most bytes a value may have; the core splits what is longer. None: no limit worth naming."""
    locate: Callable[[Context], str] | None = None
    """Where the store is, for people (a path, a URL); cheap, opens nothing."""


class SlotKeeper(ABC):
    """What an open store with key slots can do besides: ``awsv slot``, ``passwd`` and ``recovery`` work through it.

    The core's own sealed stores are one; a backend with ``at_rest=BACKEND`` may be.
    """

    @abstractmethod
    def slots(self) -> sealing.SlotTable:
        """The store's slots as they are now. Asks nobody.

        :raises StorageUnavailable: there is no store yet.
        """

    @abstractmethod
    def change_slots(
        self, change: Callable[[sealing.SlotTable, Secret], sealing.SlotTable], *, dek: Secret | None = None
    ) -> None:
        """Replace the slots, atomically and durably; entries stay as they are.

        :param change: from the slots as they are under the lock and the data key (DEK) to the new slots; asks nobody,
            and may run several times.
        :param dek: the data key, where the caller has opened the store already (through a recovery key, say): nobody
            is asked. It is checked against the store like any other.
        :raises PassphraseError: the store cannot be opened.
        :raises StorageCorrupt: ``dek`` is not this store's.
        """


# -- passphrase sources ------------------------------------------------------------------------------------------------


class Purpose(enum.Enum):
    """What a passphrase is wanted for."""

    UNLOCK = "unlock"
    CREATE = "create"
    CHANGE = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseRequest:
    """One question to a passphrase source."""

    store: str
    """The name of the store, as the user types it (``file``)."""
    key_id: str
    """The lock. What a source keeps (:meth:`PassphraseSource.put`) is found again by it alone: a store may get another
    name."""
    purpose: Purpose = Purpose.UNLOCK
    attempt: int = 1
    """1 for the first try, counted per source."""
    may_ask: bool = True
    """False: nobody may be asked; an interactive source answers None."""
    deadline: float | None = None
    """On :func:`time.monotonic`'s clock; None: no limit."""


class PassphraseSource(ABC):
    """An open passphrase source."""

    @abstractmethod
    def get(self, request: PassphraseRequest) -> Secret | None:
        """The passphrase, or None where this source is not configured for the store: the next one is tried.

        :raises SourceUnavailable: configured, but it cannot answer now: one line is shown and the next one is tried.
        :raises QuestionRefused: the person declined; no other source is tried.
        :raises PassphraseError: configured wrongly (set but empty, a file that cannot be read); nothing else is tried.
        """

    def put(self, request: PassphraseRequest, secret: Secret) -> None:  # noqa: ARG002 - for those that keep it
        """Keep a secret for the request's ``key_id``, in place of an older one. Only where the spec says ``writable``.

        :raises SourceUnavailable: it cannot be kept now.
        """
        raise PassphraseError(f"this source keeps no secrets for store {request.store!r}")

    def forget(self, request: PassphraseRequest) -> bool:
        """Forget what is kept for the request's ``key_id``; True if there was something.

        :raises SourceUnavailable: it cannot be done now.
        """
        raise PassphraseError(f"this source keeps no secrets for store {request.store!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseSourceSpec:
    """A passphrase source on offer."""

    name: str
    summary: str
    open: Callable[[Context], PassphraseSource]
    options: tuple[Option, ...] = ()
    interactive: bool = False
    """It asks a person: a wrong secret is asked for again, three times in all."""
    writable: bool = False
    """It has ``put`` and ``forget``: it can keep a key that opens a store (``awsv slot add --source NAME``)."""


# -- MFA sources -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaRequest:
    """One question to an MFA source."""

    serial: str
    """The device's serial number or ARN, as in ``mfa_serial``."""
    profile: str
    """The profile for which the code is wanted."""
    attempt: int = 1
    """1 for the first try; higher when AWS rejected the code before."""
    may_ask: bool = True
    deadline: float | None = None
    """On :func:`time.monotonic`'s clock; None: no limit."""


class MfaSource(ABC):
    """An open MFA source."""

    @abstractmethod
    def code(self, request: MfaRequest) -> Secret | None:
        """The device's code now, or None where this source does not know the device: the next one is tried.

        :raises SourceUnavailable: it cannot answer now: one line is shown and the next one is tried.
        :raises QuestionRefused: the person declined; no other source is tried.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaSourceSpec:
    """An MFA source on offer."""

    name: str
    summary: str
    open: Callable[[Context], MfaSource]
    options: tuple[Option, ...] = ()
    interactive: bool = False
    """It asks a person: a code that AWS rejects is asked for again, three times in all."""


# -- session providers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """AWS credentials: a user's long-term key, or a session that ends."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expires: datetime | None = None
    """Aware, UTC; None for a long-term key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One step's view of an AWS profile: what the config file, the environment and the flags come to."""

    name: str
    keys: Mapping[str, str] = field(default_factory=dict)
    """AWS config keys in lower case, empty ones left out. ``mfa_serial`` is there only if this step is to use MFA."""


class Source(enum.Enum):
    """Whether a session provider works on other credentials."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """One session to issue."""

    parameters: Mapping[str, Any]
    """What :attr:`SessionSpec.parameters` returned."""
    source: Credentials | None
    mfa: Callable[[], Secret]
    """The code of the device in the parameters' ``mfa_serial``. The host asks for it, once; raises MfaError."""
    deadline: float
    """On :func:`time.monotonic`'s clock."""


class SessionProvider(ABC):
    """An open session provider."""

    @abstractmethod
    def issue(self, request: SessionRequest) -> Credentials:
        """Make the session.

        :raises MfaRejected: AWS did not accept the code.
        :raises AccessDenied: AWS refused.
        :raises SessionError: everything else, the network included, with the reason and a hint.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """A session provider on offer."""

    name: str
    summary: str
    open: Callable[[Context], SessionProvider]
    parameters: Callable[[Mapping[str, Any], Profile], Mapping[str, Any]]
    """Options and profile to parameters. Pure. It covers *everything* that can change the session: the result is the
    cache key, and what ``explain`` prints. Values are JSON; an ``mfa_serial`` in it means that a code will be asked.
    Raises :class:`~vault_core.errors.ConfigError` naming the key that makes no sense."""
    source: Source = Source.REQUIRED
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """Whose credentials some are."""

    account: str
    """Twelve digits."""
    arn: str
    """Of the user or the assumed role; ``…:root`` is the account's owner."""


class CallerIdentifier(ABC):
    """What a session provider can do besides: tell whose credentials these are (``awsv import … --check``)."""

    @abstractmethod
    def identify(self, request: SessionRequest) -> CallerIdentity:
        """Whose the request's source credentials are; of its parameters only the endpoint counts.

        :raises AccessDenied: nobody's: AWS does not accept them.
        :raises SessionError: AWS did not answer.
        """


# -- commands ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command on offer (group ``vault.command.v1``); the core's own names are taken."""

    name: str
    """What the user types: ``awsv NAME``."""
    summary: str
    """One line, for the documentation; ``awsv --help`` shows the distribution instead, as it imports nothing."""
    target: str
    """``package.module:attribute``: a ``click`` command or group, imported when it is run. Its ``obj`` is a
    :class:`CommandContext`."""


class CommandContext(Protocol):
    """What a plugin's command may ask of its host. Failures are raised as VaultError; the host prints them."""

    def storage(self, plugin: str) -> Context:
        """The context of the store that the settings name, if its backend is ``plugin``; else of the plugin's default
        store. For a storage plugin's own commands."""

    def offer_recovery(self, plugin: str, keeper: SlotKeeper) -> None:
        """The store of :meth:`storage` was just made: offer a recovery key to the person at the terminal, if there is
        one, as ``add`` does."""

    def credentials(self, profile: str) -> Credentials:
        """The credentials of a profile, as ``exec`` would hand them out."""

    def write(self, text: str) -> None:
        """Data for a person or a program, on standard output; a newline is added."""

    def write_json(self, value: Any) -> None:
        """Data for a program."""

    def write_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Data for a person, in columns."""

    def note(self, message: str) -> None:
        """One line on standard error. Never a secret."""

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        """As :meth:`Context.ask`."""

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask yes or no; ``flag`` is what to give where nobody can be asked, for the hint.

        :raises VaultError: nobody can be asked.
        """
