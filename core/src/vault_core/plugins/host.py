"""The host context: what a plugin may ask of awsv, and how it is answered."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vault_core import output
from vault_core.api import Option, RunResult, StorageBackend
from vault_core.errors import Cancelled, ConfigError, PluginError, SourceUnavailable, VaultError
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret
from vault_core.settings import OWN_VARIABLES, Settings, StoreSettings, Value, is_secret_variable
from vault_core.terminal import Terminal

RUN_ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "XDG_RUNTIME_DIR")
"""What the programs get that :meth:`~vault_core.api.Context.run` starts, besides the variables named there."""

_PURPOSE_COLUMNS = 40
"""However long a name is, which program asks stands in the same row of 80 columns."""


@dataclass
class Host:
    """What all contexts of one command share."""

    settings: Settings
    plugins: Plugins
    terminal: Terminal = field(default_factory=Terminal)
    may_ask: bool = True
    """False under ``--no-input``, and while listing."""
    local: bool = False
    """Leave out passphrase sources that need the network: while listing."""
    question_limit: float | None = None
    """Seconds that a person has for an answer; None: as long as it takes."""
    ends: float | None = None
    """When whoever waits in a plugin must give up, on :func:`time.monotonic`'s clock; None: never."""
    purpose: str = ""
    """What the command is about (``profile prod``), for the line that names who asks."""
    questions: int = 0
    """How many a person was asked in this process."""
    stores: list[StorageBackend] = field(default_factory=list)
    """What was opened; :meth:`close` closes it."""
    _secret_variables: set[str] = field(default_factory=set)
    keys: dict[str, Secret] = field(default_factory=dict)
    """Derived keys of this process, by key id: nothing is asked, or derived, twice."""

    def secret_variables(self) -> set[str]:
        """Variables behind the secret options of plugins: removed from children.

        Whoever sets a variable of a plugin names that plugin, and only then it is loaded for this. Of one that does not
        load all variables count as secret.
        """
        told = [name for name in self.settings.environ if not is_secret_variable(name) and name not in OWN_VARIABLES]
        for offer in self.plugins.offers():
            prefix = _variable(f"{offer.name}_")
            if offer.usable and any(variable.startswith(prefix) for variable in told):
                try:
                    with self.plugins.blame(offer.kind, offer.name):
                        self._note_secrets(offer.name, self.plugins.options(offer))
                except VaultError:  # broken, and not needed so far: that is told to who needs it
                    self._secret_variables |= {variable for variable in told if variable.startswith(prefix)}
        return self._secret_variables

    def _note_secrets(self, plugin: str, declared: Sequence[Option]) -> None:
        self._secret_variables |= {_variable(f"{plugin}_{option.name}") for option in declared if option.secret}

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

    def close(self) -> None:
        """Close the stores that were opened: a login ends, say. Whatever goes wrong then changes nothing."""
        while self.stores:
            with suppress(BaseException):  # an exit, too
                self.stores.pop().close()

    def forget_keys(self, prefix: str) -> None:
        """Forget the derived keys whose id begins like this: their slots have changed, or one of them is wrong."""
        for key_id in [key_id for key_id in self.keys if key_id.startswith(prefix)]:
            del self.keys[key_id]

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
        purpose = output.cut(self.purpose or "a command", _PURPOSE_COLUMNS)
        return f"awsv for {purpose}, started by {program} (pid {parent}) in {folder}"

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

        :raises ConfigError: an option does not parse, or ``config.toml`` sets one that there is not; the message says
            where it was set.
        """
        options: dict[str, Any] = {}
        with self.plugins.blame(kind, name):
            self._refuse_unknown(kind, name, [option.name for option in declared], store)
            for option in declared:
                value = self.settings.option(name, option.name, store, profile)
                options[option.name] = option.default if value is None else _parse(name, option, value)
            self._note_secrets(name, declared)
        return HostContext(self, MappingProxyType(options), store, profile or {})


def _variable(name: str) -> str:
    return f"AWS_VAULT_{name}".replace("-", "_").upper()


def _refuse_unknown(file: Path, section: str, options: Iterable[str], whose: str, known: Sequence[str]) -> None:
    for name in options:
        if name not in known:  # a misspelt folder would be another store
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"{file}: [{section}] sets {name!r}, which {whose} does not know",
                hint=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known)) or 'no options'}",
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
    """The :class:`vault_core.api.Context` of one plugin."""

    def __init__(
        self, host: Host, options: Mapping[str, Any], store: StoreSettings | None, profile: Mapping[str, str]
    ) -> None:
        self._host = host
        self._profile = profile
        self.options = options
        self.store = store.name if store else ""
        self.environ = host.settings.environ
        self.data_dir = host.settings.data_dir
        self.state_dir = host.settings.state_dir

    @property
    def host(self) -> Host:
        """What all contexts of the command share; for the core."""
        return self._host

    @property
    def may_show_dialog(self) -> bool:
        # Over SSH it would appear on the desktop of whoever sits there, and in CI nobody sits.
        return self._host.may_ask and not any(self.environ.get(name) for name in ("CI", "SSH_CONNECTION"))

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, factor: str | None = None
    ) -> Secret:
        from vault_core.plugins.unlock import unlock

        if key_id not in self._host.keys:
            sources = self._sources(factor)
            try:
                self._host.keys[key_id] = unlock(
                    self._host,
                    self.store,
                    key_id,
                    derive,
                    sources,
                    create=create,
                    factor=factor,
                    profile=self._profile,
                )
            except VaultError:
                self._host.forget_keys(f"{key_id}/")  # its other factors: one of them may be the wrong one
                raise
        return self._host.keys[key_id]

    def choose(self, key_id: str, derive: Callable[[Secret], Secret], factor: str | None = None) -> Secret:
        """The key of a new way into an existing store; for the core's commands. Not remembered.

        :param factor: the source that delivers the passphrase; None: a person chooses one.
        :raises PassphraseError: nobody did.
        """
        from vault_core.plugins.unlock import choose

        sources = self._sources(factor)
        return choose(self._host, self.store, key_id, derive, sources, factor=factor, profile=self._profile)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the passphrase sources that are asked here, in order; for the core's commands."""
        return self._host.settings.names("passphrase_source", self._profile)

    def _sources(self, factor: str | None) -> tuple[str, ...]:
        return (factor,) if factor else self.sources

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        from vault_core.plugins.unlock import keep

        keep(self._host, self.store, source, key_id, secret, self._profile)

    def forget(self, source: str, key_id: str) -> bool:
        from vault_core.plugins.unlock import forget

        return forget(self._host, self.store, source, key_id, self._profile)

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        reason = self._host.why_nobody_can_be_asked()
        if reason:
            raise SourceUnavailable(reason)
        from vault_core.plugins.turns import turn

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

    def run(
        self, argv: Sequence[str], *, input: Secret | None = None, timeout: float = 30.0, env: Sequence[str] = ()
    ) -> RunResult:
        import subprocess

        environ = {name: self.environ[name] for name in (*RUN_ENVIRONMENT, *env) if name in self.environ}
        pipe = subprocess.PIPE
        try:
            child = subprocess.Popen(list(argv), env=environ, process_group=0, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise SourceUnavailable(f"{argv[0]} cannot be started: {error.strerror}") from None
        with child:
            try:
                stdout, stderr = child.communicate(input.reveal() if input else b"", timeout)
            except BaseException as error:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # with what it started: nothing of it is left behind
                if isinstance(error, subprocess.TimeoutExpired):
                    raise SourceUnavailable(f"{argv[0]} did not end within {timeout:g} s") from None
                raise
        return RunResult(returncode=child.returncode, stdout=Secret(stdout), stderr=stderr.decode("utf-8", "replace"))

    def comes_back(self, profile: str) -> str | None:
        from vault_core.awsconfig.loops import comes_back
        from vault_core.awsconfig.shared import AwsConfig

        settings = self._host.settings
        config = AwsConfig.load(settings.aws_config_file, settings.aws_credentials_file)
        return comes_back(config, profile, self.environ)

    def check(self) -> None:
        # Ctrl-C arrives as KeyboardInterrupt in the main thread; what is left to look at is the clock.
        if self._host.ends is not None and time.monotonic() > self._host.ends:
            raise Cancelled("the time for this is over")
