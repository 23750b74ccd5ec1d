"""The host context: what a plugin may ask of awsv, as :class:`vault_core.api.Context` describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vault_core.api import RunResult
from vault_core.errors import Cancelled, StorageDenied, VaultError
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.asking import Prompts, RunState
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.plugins.loader import Plugins
    from vault_core.plugins.passphrases import Passphrases
    from vault_core.settings import Settings, StoreSettings
    from vault_core.vlt import Argon2id, KeySlots

T = TypeVar("T")


class Services(Protocol):
    """What all contexts of one operation share."""

    @property
    def settings(self) -> Settings: ...
    @property
    def plugins(self) -> Plugins: ...
    @property
    def prompts(self) -> Prompts: ...
    @property
    def state(self) -> RunState: ...
    @property
    def notice(self) -> Callable[[str], None]: ...
    def child_environ(self) -> dict[str, str]: ...
    def aws_config(self) -> AwsConfig: ...


class HostContext:
    """The :class:`vault_core.api.Context` of one plugin.

    :param profile: the keys of the AWS profile that the plugin is opened for.
    :param passphrases: makes the chain of the sources that can open the store.
    """

    def __init__(
        self,
        services: Services,
        options: Mapping[str, Any],
        environ: Mapping[str, str],
        store: StoreSettings | None,
        profile: Mapping[str, str],
        passphrases: Callable[[], Passphrases],
    ) -> None:
        self._services = services
        self._profile = profile
        self._passphrases = passphrases
        self.options = options
        self.store = store.name if store else ""
        self.environ = environ
        self.data_dir = services.settings.data_dir

    @property
    def plugins(self) -> Plugins:
        """The installed plugins; for the core."""
        return self._services.plugins

    @property
    def child_environ(self) -> Mapping[str, str]:
        return MappingProxyType(self._services.child_environ())

    @property
    def state_dir(self) -> Path:
        """Created and checked here: a plugin would create it with its own umask, and not check its owner."""
        return self._services.settings.make_state_dir()

    @property
    def can_show_dialog(self) -> bool:
        # Over SSH the dialog would appear on the desktop of another user, and in CI on none.
        allowed = self._services.prompts.asking.allowed
        return allowed and not any(self.environ.get(name) for name in ("CI", "SSH_CONNECTION"))

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        state = self._services.state
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
        return self._services.settings.names("passphrase_source", self._profile)

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
        from vault_core import terminal_lock

        prompts = self._services.prompts
        prompts.require()
        deadline = prompts.deadline()
        with terminal_lock.held(self.state_dir, deadline):
            return prompts.ask(question, secret=secret, deadline=deadline)

    def confirm(self, question: str) -> bool:
        return self._services.prompts.confirm(question)

    def notify(self, message: str) -> None:
        self._services.notice(message)

    def suspect(self, message: str, *, hint: str) -> None:
        if not self._services.prompts.asking.attended:
            raise StorageDenied(
                f"{message}; no user would see this notice, so nothing is read from the store", hint=hint
            )
        self._services.state.suspected = True
        self.notify(f"{message}: you can read it, and programs cannot ({hint})")

    def run(
        self, argv: Sequence[str], *, input: Secret | None = None, timeout: float = 30.0, env: Sequence[str] = ()
    ) -> RunResult:
        from vault_core.plugins.running import run

        return run(argv, environ=self.environ, names=env, input=input, timeout=timeout, check=self.check)

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[None]:
        from vault_core.plugins.waiting import lock

        return lock(self.state_dir, name, timeout=timeout, check=self.check)

    def wait(self, function: Callable[[], T], *, timeout: float) -> T:
        from vault_core.plugins.waiting import wait

        return wait(function, timeout=timeout, check=self.check)

    def find_recursion(self, profile: str) -> str | None:
        from vault_core.awsconfig.recursion import find_recursion

        return find_recursion(self._services.aws_config(), profile, self.environ)

    def check(self) -> None:
        # Ctrl-C raises KeyboardInterrupt in the main thread; other threads learn of it here.
        if self._services.state.cancelled:
            raise Cancelled("interrupted")
