"""The host: what the plugins of one operation share, and the context that each of them gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from vault_core import child_env
from vault_core.asking import Prompts, hold_terminal
from vault_core.command_line import did_you_mean
from vault_core.errors import Cancelled, ConfigError, PluginError, StorageDenied, VaultError
from vault_core.plugins import waiting
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.loader import Plugins
from vault_core.plugins.variables import owner, variable, visible
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.settings import OWN_VARIABLES, PREFIX, Settings, StoreSettings, Value, profile_key

if TYPE_CHECKING:
    from vault_core.api import Option, PassphraseSourceSpec, RunResult
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.plugins.passphrases import Passphrases
    from vault_core.vlt import Argon2id, KeySlots

T = TypeVar("T")


@dataclass(frozen=True)
class Host(Prompts):
    """The services of one operation. Operations of one run differ in ``asking``, and share everything else."""

    settings: Settings
    plugins: Plugins

    def secret_variables(self) -> set[str]:
        """The variables of the environment that hold, or may hold, a secret of awsv or of a plugin. Children do not
        get them.

        A variable never causes a plugin to load. The secret options of the plugins that the settings name, and of
        those in use, are known; every variable of another plugin, installed or not, may be secret.
        """
        named = self.state.used_plugins | {name for _, name in self.settings.named_plugins()}
        return {
            name
            for name in self.settings.environ.texts
            if child_env.is_secret_variable(name)
            or (name.startswith(PREFIX) and name not in OWN_VARIABLES and not self._is_harmless(name, named))
        }

    def child_environ(self) -> dict[str, str]:
        """The environment of a program that finds its own AWS identity: without secrets and without any identity."""
        return child_env.environment(self.settings.environ, self.secret_variables())

    def _is_harmless(self, name: str, named: set[str]) -> bool:
        """Whether the variable belongs to a named plugin, and is not a secret option of it."""
        offers = [offer for offer in self.plugins.offers() if offer.usable]
        plugin = owner(name, [offer.name for offer in offers])
        if plugin not in named:
            return False
        try:
            secret = [option for offer in offers if offer.name == plugin for option in self._secret_options(offer)]
        except VaultError:  # broken, and not needed so far: the command that needs it reports that
            return False
        return name not in [variable(plugin, option.name) for option in secret]

    def _secret_options(self, offer: AvailablePlugin) -> list[Option]:
        with self.plugins.attributed_to(offer.kind, offer.name):
            return [option for option in self.plugins.options(offer) if option.secret]

    def _refuse_unknown(self, kind: str, plugin: str, known: Sequence[str], store: StoreSettings | None) -> None:
        file = self.settings.config_file
        if kind == "storage" and store is not None:
            _refuse_unknown(file, f"store.{store.name}", store.options, f"backend {plugin!r}", known)
        table = self.settings.config.get("plugin", {}).get(plugin, ())
        if all(option in known for option in table):
            return
        # Plugins of several kinds with one name share a section; the others are loaded only now.
        for offer in self.plugins.offers():
            if offer.name == plugin and offer.kind != kind and offer.usable:
                try:
                    known = [*known, *(option.name for option in self.plugins.options(offer))]
                except PluginError:  # it does not load, so its options are unknown
                    return
        _refuse_unknown(file, f"plugin.{plugin}", table, f"plugin {plugin!r}", known)

    def _refuse_profile_key(self, kind: str, plugin: str, option: Option, profile: Mapping[str, str]) -> None:
        """:raises ConfigError: the profile sets the option, and only the user's own settings may."""
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
            " where secrets are stored and where they are sent",
            hint=f"remove that line, and {instead}",
        )

    def _places(self, key: str, value: str) -> list[str]:
        """``FILE:LINE`` of the lines of the AWS config that set this."""
        config = self.aws_config()
        sections = (*config.credentials.values(), *config.profiles.values())
        entries = [section.entries[key] for section in sections if key in section.entries]
        return list(dict.fromkeys(f"{entry.path}:{entry.line}" for entry in entries if entry.value == value))

    def aws_config(self) -> AwsConfig:
        """Read both files of the AWS config.

        :raises ConfigError: they cannot be read.
        """
        from vault_core.awsconfig.shared import AwsConfig

        settings = self.settings
        return AwsConfig.load(settings.aws_config_file, settings.aws_credentials_file, settings.named_by)

    def read(self, path: Path) -> bytes:
        """Read one of the two files of the AWS config as it is.

        :raises ConfigError: see :func:`vault_core.awsconfig.shared.read`.
        """
        from vault_core.awsconfig.shared import read

        return read(path, self.settings.named_by(path))

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

        :raises ConfigError: an option does not parse, ``config.toml`` sets an unknown one, or the profile sets one
            that a profile may not set; the message says where it was set.
        """
        options: dict[str, Any] = {}
        with self.plugins.attributed_to(kind, name):
            self._refuse_unknown(kind, name, [option.name for option in declared], store)
            for option in declared:
                if not _is_for_profiles(kind, option):
                    self._refuse_profile_key(kind, name, option, profile or {})
                value = self.settings.option(name, option.name, store, profile)
                options[option.name] = option.default if value is None else _parse(name, option, value)
        self.state.used_plugins.add(name)
        # Plugins of several kinds, or named a and a-b, may share a key: it is secret if one of them says so.
        self.state.hidden_keys |= {profile_key(name, option.name) for option in declared if option.secret}
        self.state.shown_keys |= {profile_key(name, option.name) for option in declared}
        self.state.shown_keys -= self.state.hidden_keys
        reads = getattr(self.plugins.loaded(kind, name), "secret_variables", ())
        installed = [offer.name for offer in self.plugins.offers() if offer.usable]
        environ = visible(self.settings.environ, name, declared, reads, installed)
        return HostContext(self, MappingProxyType(options), environ, store, profile or {})


class HostContext:
    """The :class:`vault_core.api.Context` of one plugin.

    :param profile: the keys of the AWS profile that the plugin is opened for.
    """

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
    def plugins(self) -> Plugins:
        """The installed plugins; for the core."""
        return self._host.plugins

    @property
    def child_environ(self) -> Mapping[str, str]:
        return MappingProxyType(self._host.child_environ())

    @property
    def state_dir(self) -> Path:
        """Created and checked here: a plugin would create it with its own umask, and not check its owner."""
        return self._host.settings.make_state_dir()

    @property
    def can_show_dialog(self) -> bool:
        # Over SSH the dialog would appear on the desktop of another user, and in CI on none.
        allowed = self._host.asking.allowed
        return allowed and not any(self.environ.get(name) for name in ("CI", "SSH_CONNECTION"))

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        state = self._host.state
        if key_id not in state.keys:
            names = self._names(source)
            try:
                state.keys[key_id] = self._passphrases().unlock(key_id, derive, names, create=create, source=source)
            except VaultError:
                state.forget_keys(f"{key_id}/")  # its other factors: one of them may be the wrong one
                raise
        return state.keys[key_id]

    def choose(self, key_id: str, derive: Callable[[Secret], Secret], source: str | None = None) -> Secret:
        """Return the key of a new slot of an existing store; for the core's commands. It is not remembered.

        :param source: the source that delivers the passphrase; None: the user chooses one.
        :raises PassphraseError: no passphrase was chosen.
        """
        return self._passphrases().choose(key_id, derive, self._names(source), source=source)

    @property
    def sources(self) -> tuple[str, ...]:
        return self._host.settings.names("passphrase_source", self._profile)

    def _passphrases(self) -> Passphrases:
        from vault_core.plugins.passphrases import Passphrases  # not needed while a session is live

        return Passphrases(self.store, self._host.plugins, self._source_context, self._host.settings, self._host)

    def _source_context(self, spec: PassphraseSourceSpec) -> HostContext:
        store = self._host.settings.store(self.store)
        return self._host.context("passphrase", spec.name, spec.options, store=store, profile=self._profile)

    def _names(self, source: str | None) -> tuple[str, ...]:
        return (source,) if source else self.sources

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        self._passphrases().keep(source, key_id, secret)

    def forget(self, source: str, key_id: str) -> bool:
        return self._passphrases().forget(source, key_id)

    def key_slots(self, where: str, *, cost: Argon2id | None = None) -> KeySlots:
        from vault_core.keyslots.service import StoreKeySlots

        return StoreKeySlots(self, where, cost=cost)

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        self._host.require()
        deadline = self._host.deadline()
        with hold_terminal(self.state_dir, deadline):
            return self._host.ask(question, secret=secret, deadline=deadline)

    def confirm(self, question: str) -> bool:
        return self._host.confirm(question)

    def notify(self, message: str) -> None:
        self._host.notice(message)

    def suspect(self, message: str, *, hint: str) -> None:
        if not self._host.asking.attended:
            raise StorageDenied(
                f"{message}; no user would see this notice, so nothing is read from the store", hint=hint
            )
        self._host.state.suspected = True
        self.notify(f"{message}: you can read it, and programs cannot ({hint})")

    def run(
        self, argv: Sequence[str], *, input: Secret | None = None, timeout: float = 30.0, env: Sequence[str] = ()
    ) -> RunResult:
        from vault_core.plugins.running import run

        return run(argv, environ=self.environ, names=env, input=input, timeout=timeout, check=self.check)

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[None]:
        return waiting.lock(self.state_dir, name, timeout=timeout, check=self.check)

    def wait(self, function: Callable[[], T], *, timeout: float) -> T:
        return waiting.wait(function, timeout=timeout, check=self.check)

    def find_recursion(self, profile: str) -> str | None:
        from vault_core.awsconfig.recursion import find_recursion

        return find_recursion(self._host.aws_config(), profile, self.environ)

    def check(self) -> None:
        # Ctrl-C raises KeyboardInterrupt in the main thread; other threads learn of it here.
        if self._host.state.cancelled:
            raise Cancelled("interrupted")


def _is_for_profiles(kind: str, option: Option) -> bool:
    """See :attr:`vault_core.api.Option.from_profile`."""
    if kind != "session":
        return bool(option.from_profile) and not option.secret
    return not option.secret if option.from_profile is None else option.from_profile


def _refuse_unknown(file: Path, section: str, options: Iterable[str], whose: str, known: Sequence[str]) -> None:
    for name in options:
        if name not in known:  # a misspelt option could select another store
            listed = ", ".join(sorted(set(known))) or "no options"
            raise ConfigError(
                f"{file}: [{section}] sets {name!r}, which {whose} does not know",
                hint=did_you_mean(name, known, f"available: {listed}"),
            )


def _parse(plugin: str, option: Option, value: Value) -> Any:
    try:
        return option.parse(value.text)
    except ValueError as error:
        # Not even the reason is shown for a secret: int() and its like repeat the text in it.
        reason = "cannot be understood" if option.secret else f"{value.text!r}: {error}"
        raise ConfigError(
            f"option {option.name!r} of {plugin}, from {value.origin}: {reason}", hint=f"it is: {option.help}"
        ) from None
