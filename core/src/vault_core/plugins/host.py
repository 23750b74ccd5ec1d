"""The host context: what a plugin may ask of awsv, and how it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vault_core import child_env, output
from vault_core.api import Option, RunResult, StorageBackend
from vault_core.errors import Cancelled, ConfigError, PluginError, SourceUnavailable, StorageDenied, VaultError
from vault_core.plugins.discovery import Offer
from vault_core.plugins.loader import Plugins
from vault_core.plugins.variables import owner, variable, visible
from vault_core.secret import Secret
from vault_core.settings import OWN_VARIABLES, PREFIX, Settings, StoreSettings, Value, is_secret_variable, profile_key
from vault_core.terminal import Terminal

if TYPE_CHECKING:
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.vlt import Argon2id, KeySlots

_ROW, _PURPOSE, _PROGRAM = 78, 40, 20
"""Columns: of the row that says who asks, in which the program that started us is never cut off (one more is for the
``…`` of what is); of what for; and of the program's name, which may be full of what has to be escaped."""


@dataclass
class Host:
    """What all contexts of one command share."""

    settings: Settings
    plugins: Plugins
    terminal: Terminal = field(default_factory=Terminal)
    may_ask: bool = True
    """False under ``--no-input``, and while listing."""
    local: bool = False
    """Neither stores nor passphrase sources that need the network are opened: see :meth:`looking`."""
    question_limit: float | None = None
    """Seconds that a person has for an answer; None: as long as it takes."""
    ends: float | None = None
    """When whoever waits in a plugin must give up, on :func:`time.monotonic`'s clock; None: never."""
    attended: bool = True
    """Whether a person sees what is told: no program reads our output, and somebody is at the terminal."""
    suspected: bool = False
    """Something that was read may not be what the person means: nothing that is made of it is kept."""
    purpose: str = ""
    """What the command is about (``profile prod``), for the line that names who asks."""
    questions: int = 0
    """How many a person was asked in this process."""
    stores: list[StorageBackend] = field(default_factory=list)
    """What was opened; :meth:`close` closes it."""
    shown_keys: set[str] = field(default_factory=set)
    """The keys of AWS profiles that set options of the plugins opened so far, but for secret ones."""
    _hidden_keys: set[str] = field(default_factory=set)
    """Those that set a secret option of one of them."""
    _used: set[str] = field(default_factory=set)
    """The names of the plugins that got a context."""
    keys: dict[str, Secret] = field(default_factory=dict)
    """Derived keys of this process, by key id: nothing is asked, or derived, twice."""

    def secret_variables(self) -> set[str]:
        """Those of the environment that hold a secret of awsv or of a plugin, or may: children do not get them.

        A variable never has a plugin loaded: of the plugins that the settings name, and of those that this command
        uses, the secret options are known; of any other plugin, installed or not, every variable may be one.
        """
        named = self._named()
        return {
            name
            for name in self.settings.environ
            if is_secret_variable(name)
            or (name.startswith(PREFIX) and name not in OWN_VARIABLES and not self._is_harmless(name, named))
        }

    def child_environ(self) -> dict[str, str]:
        """The environment of a program that finds its own identity: without secrets, and without any other identity."""
        return child_env.environment(self.settings.environ, self.secret_variables())

    def _named(self) -> set[str]:
        """The plugins that the settings name, whether or not this command needed them, and those that it used."""
        settings = self.settings
        names = {settings.store(settings.value("backend").text).backend, settings.value("session_provider").text}
        return self._used | names | set(settings.names("passphrase_source")) | set(settings.names("prompt"))

    def _is_harmless(self, name: str, named: set[str]) -> bool:
        """Whether the variable belongs to a plugin that is named, and is no secret of it."""
        offers = [offer for offer in self.plugins.offers() if offer.usable]
        plugin = owner(name, [offer.name for offer in offers])
        if plugin not in named:
            return False
        try:
            secret = [option for offer in offers if offer.name == plugin for option in self._secret_options(offer)]
        except VaultError:  # broken, and not needed so far: that is told to who needs it
            return False
        return name not in [variable(plugin, option.name) for option in secret]

    def _secret_options(self, offer: Offer) -> list[Option]:
        with self.plugins.blame(offer.kind, offer.name):
            return [option for option in self.plugins.options(offer) if option.secret]

    def _refuse_unknown(self, kind: str, plugin: str, known: Sequence[str], store: StoreSettings | None) -> None:
        file = self.settings.config_file
        if kind == "storage" and store is not None:
            _refuse_unknown(file, f"store.{store.name}", store.options, f"backend {plugin!r}", known)
        table = self.settings.config.get("plugin", {}).get(plugin, ())
        if all(option in known for option in table):
            return
        # Plugins of several kinds with one name share a section; only now is another one loaded for it.
        for offer in self.plugins.offers():
            if offer.name == plugin and offer.kind != kind and offer.usable:
                try:
                    known = [*known, *(option.name for option in self.plugins.options(offer))]
                except PluginError:  # it does not load, so nobody knows what it would know
                    return
        _refuse_unknown(file, f"plugin.{plugin}", table, f"plugin {plugin!r}", known)

    def _refuse_profile_key(self, kind: str, plugin: str, option: Option, profile: Mapping[str, str]) -> None:
        """:raises ConfigError: the profile sets the option, although it is for the user's own settings to do so."""
        key = profile_key(plugin, option.name)
        if not profile.get(key):
            return
        file = self.settings.config_file
        instead = f"set {variable(plugin, option.name)}, or {option.name} below [plugin.{plugin}] of {file}"
        if kind == "storage":
            instead = f'name the store: [store.NAME] with backend = "{plugin}" and {option.name} in {file}, and'
            instead += " vault_backend = NAME in the profile"
        places = ", ".join(self._places(key, profile[key]))
        where = f"{key} ({places})" if places else key
        raise ConfigError(
            f"{where}: an AWS profile cannot set option {option.name!r} of {plugin}, as only your own settings decide"
            " where secrets lie and where they are sent",
            hint=f"remove that line, and {instead}",
        )

    def _places(self, key: str, value: str) -> list[str]:
        """``FILE:LINE`` of the lines of the AWS config that say this."""
        config = self.aws_config()
        sections = (*config.credentials.values(), *config.profiles.values())
        entries = [section.entries[key] for section in sections if key in section.entries]
        return list(dict.fromkeys(f"{entry.path}:{entry.line}" for entry in entries if entry.value == value))

    def aws_config(self) -> AwsConfig:
        """Both files of the AWS config, as they are now.

        :raises ConfigError: they cannot be read.
        """
        from vault_core.awsconfig.shared import AwsConfig

        settings = self.settings
        return AwsConfig.load(settings.aws_config_file, settings.aws_credentials_file, settings.named_by)

    def read(self, path: Path) -> bytes:
        """What one of these two files holds.

        :raises ConfigError: see :func:`vault_core.awsconfig.shared.read`.
        """
        from vault_core.awsconfig.shared import read

        return read(path, self.settings.named_by(path))

    def close(self) -> None:
        """Close the stores that were opened: a login ends, say. Whatever goes wrong then changes nothing."""
        while self.stores:
            with suppress(BaseException):  # an exit, too
                self.stores.pop().close()

    def forget_keys(self, prefix: str) -> None:
        """Forget the derived keys whose id begins like this: their slots have changed, or one of them is wrong."""
        for key_id in [key_id for key_id in self.keys if key_id.startswith(prefix)]:
            del self.keys[key_id]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """For commands that only look: meanwhile neither a person nor a server is asked for anything."""
        before = self.may_ask, self.local
        self.may_ask, self.local = False, True
        try:
            yield
        finally:
            self.may_ask, self.local = before

    def why_nobody_can_be_asked(self) -> str | None:
        """None if a person can be asked; else the reason."""
        return self.terminal.why_not() if self.may_ask else "asking is not allowed here"

    def deadline(self) -> float | None:
        """When a question that is asked now ends, on :func:`time.monotonic`'s clock."""
        return None if self.question_limit is None else time.monotonic() + self.question_limit

    @cached_property
    def asker(self) -> str:
        """Who asks: what for, which program started us, where."""
        import os

        parent = os.getppid()
        try:
            program = Path(f"/proc/{parent}/comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            program = "a program"
        try:
            folder = str(Path.cwd())
        except OSError:
            folder = "a folder that is gone"
        start, end = "awsv for ", f", started by {output.cut(program, _PROGRAM)} (pid {parent})"
        left = _ROW - output.width(start + end)
        return f"{start}{output.cut(self.purpose or 'a command', min(left, _PURPOSE))}{end} in {folder}"

    def context(
        self,
        kind: str,
        name: str,
        declared: Sequence[Option],
        *,
        store: StoreSettings | None = None,
        profile: Mapping[str, str] | None = None,
    ) -> HostContext:
        """The context for one plugin.

        :raises ConfigError: an option does not parse, ``config.toml`` sets one that there is not, or the profile sets
            one that is not its to set; the message says where it was set.
        """
        options: dict[str, Any] = {}
        with self.plugins.blame(kind, name):
            self._refuse_unknown(kind, name, [option.name for option in declared], store)
            for option in declared:
                if not _is_for_profiles(kind, option):
                    self._refuse_profile_key(kind, name, option, profile or {})
                value = self.settings.option(name, option.name, store, profile)
                options[option.name] = option.default if value is None else _parse(name, option, value)
        self._used.add(name)
        # Plugins of several kinds, or called a and a-b, may share a key: it is secret if it is one's secret.
        self._hidden_keys |= {profile_key(name, option.name) for option in declared if option.secret}
        self.shown_keys |= {profile_key(name, option.name) for option in declared}
        self.shown_keys -= self._hidden_keys
        reads = getattr(self.plugins.loaded(kind, name), "secret_variables", ())
        installed = [offer.name for offer in self.plugins.offers() if offer.usable]
        environ = visible(self.settings.environ, name, declared, reads, installed)
        return HostContext(self, MappingProxyType(options), environ, store, profile or {})


def _is_for_profiles(kind: str, option: Option) -> bool:
    """See :attr:`vault_core.api.Option.from_profile`."""
    if kind != "session":
        return bool(option.from_profile) and not option.secret
    return not option.secret if option.from_profile is None else option.from_profile


def _refuse_unknown(file: Path, section: str, options: Iterable[str], whose: str, known: Sequence[str]) -> None:
    for name in options:
        if name not in known:  # a misspelt folder would be another store
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            listed = ", ".join(sorted(set(known))) or "no options"
            raise ConfigError(
                f"{file}: [{section}] sets {name!r}, which {whose} does not know",
                hint=f"did you mean {near[0]!r}?" if near else f"known are {listed}",
            )


def _parse(plugin: str, option: Option, value: Value) -> Any:
    try:
        return option.parse(value.text)
    except ValueError as error:
        # Of a secret not even the reason is shown: int() and its like repeat the text in it.
        reason = "cannot be understood" if option.secret else f"{value.text!r}: {error}"
        raise ConfigError(
            f"option {option.name!r} of {plugin}, from {value.origin}: {reason}", hint=f"it is: {option.help}"
        ) from None


class HostContext:
    """The context of one plugin: a :class:`vault_core.api.StoreContext`, for every kind."""

    def __init__(
        self,
        host: Host,
        options: Mapping[str, Any],
        environ: Mapping[str, str],
        store: StoreSettings | None,
        profile: Mapping[str, str],
    ) -> None:
        self._host = host
        self._profile = profile
        self.options = options
        self.store = store.name if store else ""
        self.environ = environ
        self.data_dir = host.settings.data_dir

    @property
    def host(self) -> Host:
        """What all contexts of the command share; for the core."""
        return self._host

    @property
    def child_environ(self) -> Mapping[str, str]:
        return MappingProxyType(self._host.child_environ())

    @property
    def state_dir(self) -> Path:
        """Made by us, because a plugin would make it as its umask says, and would not look whose it is by then."""
        return self._host.settings.make_state_dir()

    @property
    def can_show_dialog(self) -> bool:
        # Over SSH it would appear on the desktop of whoever sits there, and in CI nobody sits.
        return self._host.may_ask and not any(self.environ.get(name) for name in ("CI", "SSH_CONNECTION"))

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        from vault_core.passphrases import unlock

        if key_id not in self._host.keys:
            sources = self._sources(source)
            try:
                self._host.keys[key_id] = unlock(
                    self._host,
                    self.store,
                    key_id,
                    derive,
                    sources,
                    create=create,
                    factor=source,
                    profile=self._profile,
                )
            except VaultError:
                self._host.forget_keys(f"{key_id}/")  # its other factors: one of them may be the wrong one
                raise
        return self._host.keys[key_id]

    def choose(self, key_id: str, derive: Callable[[Secret], Secret], source: str | None = None) -> Secret:
        """The key of a new way into an existing store; for the core's commands. Not remembered.

        :param source: the source that delivers the passphrase; None: a person chooses one.
        :raises PassphraseError: nobody did.
        """
        from vault_core.passphrases import choose

        sources = self._sources(source)
        return choose(self._host, self.store, key_id, derive, sources, factor=source, profile=self._profile)

    @property
    def sources(self) -> tuple[str, ...]:
        return self._host.settings.names("passphrase_source", self._profile)

    def _sources(self, source: str | None) -> tuple[str, ...]:
        return (source,) if source else self.sources

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        from vault_core.passphrases import keep

        keep(self._host, self.store, source, key_id, secret, self._profile)

    def forget(self, source: str, key_id: str) -> bool:
        from vault_core.passphrases import forget

        return forget(self._host, self.store, source, key_id, self._profile)

    def key_slots(self, where: str, *, cost: Argon2id | None = None) -> KeySlots:
        from vault_core.keyslots.service import StoreKeySlots

        return StoreKeySlots(self, where, cost=cost)

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        reason = self._host.why_nobody_can_be_asked()
        if reason:
            raise SourceUnavailable(reason)
        from vault_core.terminal_lock import turn

        deadline = self._host.deadline()
        with turn(self.state_dir, deadline):
            self._host.questions += 1
            return self._host.terminal.ask(question, secret=secret, asker=self._host.asker, deadline=deadline)

    def confirm(self, question: str) -> bool:
        if self._host.why_nobody_can_be_asked():
            return False
        return self._host.terminal.confirm(question, asker=self._host.asker)

    def notify(self, message: str) -> None:
        output.note(message)

    def suspect(self, message: str, *, hint: str) -> None:
        if not self._host.attended:
            raise StorageDenied(f"{message}; nobody would see that here, so nothing is read from it", hint=hint)
        self._host.suspected = True
        self.notify(f"{message}: you can read it, and programs cannot ({hint})")

    def run(
        self, argv: Sequence[str], *, input: Secret | None = None, timeout: float = 30.0, env: Sequence[str] = ()
    ) -> RunResult:
        from vault_core.plugins.running import run

        return run(argv, environ=self.environ, names=env, input=input, timeout=timeout, check=self.check)

    def comes_back(self, profile: str) -> str | None:
        from vault_core.awsconfig.recursion import comes_back

        return comes_back(self._host.aws_config(), profile, self.environ)

    def check(self) -> None:
        # Ctrl-C arrives as KeyboardInterrupt in the main thread; what is left to look at is the clock.
        if self._host.ends is not None and time.monotonic() > self._host.ends:
            raise Cancelled("the time for this is over")
