"""The host: what the plugins of one operation share, and the contexts that it makes for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vault_core import child_env, output
from vault_core.api import Option
from vault_core.asking import Asking, Prompter, Prompts, RunState
from vault_core.errors import ConfigError, PluginError, VaultError
from vault_core.plugins.boundary import open_source
from vault_core.plugins.context import HostContext
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.loader import Plugins
from vault_core.plugins.variables import owner, variable, visible
from vault_core.settings import OWN_VARIABLES, PREFIX, Settings, StoreSettings, Value, is_secret_variable, profile_key
from vault_core.terminal import Terminal

if TYPE_CHECKING:
    from vault_core.api import PassphraseSource, PassphraseSourceSpec
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.plugins.passphrases import Passphrases


@dataclass(frozen=True)
class Host:
    """The services of one operation. Operations of one run differ in ``asking``, and share everything else."""

    settings: Settings
    plugins: Plugins
    terminal: Prompter = field(default_factory=Terminal)
    asking: Asking = field(default_factory=Asking)
    state: RunState = field(default_factory=RunState)
    notice: Callable[[str], None] = output.notice
    """Receives one line for the user."""

    def with_asking(self, asking: Asking) -> Host:
        """The host of another operation of the same run."""
        return dataclasses.replace(self, asking=asking)

    @property
    def prompts(self) -> Prompts:
        """The questions of this operation."""
        return Prompts(self.terminal, self.asking, self.state)

    def cannot_ask(self) -> str | None:
        """None if the user can be asked; else the reason."""
        return self.prompts.cannot_ask()

    def secret_variables(self) -> set[str]:
        """The variables of the environment that hold, or may hold, a secret of awsv or of a plugin. Children do not
        get them.

        A variable never causes a plugin to load. The secret options of the plugins that the settings name, and of
        those in use, are known; every variable of another plugin, installed or not, may be secret.
        """
        named = self._named()
        return {
            name
            for name in self.settings.environ
            if is_secret_variable(name)
            or (name.startswith(PREFIX) and name not in OWN_VARIABLES and not self._is_harmless(name, named))
        }

    def child_environ(self) -> dict[str, str]:
        """The environment of a program that finds its own AWS identity: without secrets and without any identity."""
        return child_env.environment(self.settings.environ, self.secret_variables())

    def _named(self) -> set[str]:
        """The names of the plugins that the settings name, in use or not, and of those in use."""
        settings = self.settings
        names = {settings.store(settings.value("backend").text).backend, settings.value("session_provider").text}
        return (
            self.state.used_plugins | names | set(settings.names("passphrase_source")) | set(settings.names("prompt"))
        )

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
        sources = _Sources(self, store.name if store else "", profile or {})
        return HostContext(self, MappingProxyType(options), environ, store, profile or {}, sources.chain)


@dataclass(frozen=True, slots=True)
class _Sources:
    """The passphrase sources for one store and one AWS profile."""

    host: Host
    store: str
    profile: Mapping[str, str]

    def chain(self) -> Passphrases:
        from vault_core.plugins.passphrases import Passphrases  # not needed while a session is live

        return Passphrases(self.store, self, self.host.settings, self.host.prompts, self.host.notice)

    def load(self, name: str) -> PassphraseSourceSpec:
        return self.host.plugins.load("passphrase", name)

    def check(self, spec: PassphraseSourceSpec) -> None:
        self._context(spec)

    def open(self, spec: PassphraseSourceSpec) -> PassphraseSource:
        return open_source(self.host.plugins, spec, self._context(spec))

    def _context(self, spec: PassphraseSourceSpec) -> HostContext:
        store = self.host.settings.store(self.store)
        return self.host.context("passphrase", spec.name, spec.options, store=store, profile=self.profile)


def _is_for_profiles(kind: str, option: Option) -> bool:
    """See :attr:`vault_core.api.Option.from_profile`."""
    if kind != "session":
        return bool(option.from_profile) and not option.secret
    return not option.secret if option.from_profile is None else option.from_profile


def _refuse_unknown(file: Path, section: str, options: Iterable[str], whose: str, known: Sequence[str]) -> None:
    for name in options:
        if name not in known:  # a misspelt option could select another store
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            listed = ", ".join(sorted(set(known))) or "no options"
            raise ConfigError(
                f"{file}: [{section}] sets {name!r}, which {whose} does not know",
                hint=f"did you mean {near[0]!r}?" if near else f"available: {listed}",
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
