"""All settings: their sources and their order. The only reader of ``os.environ``.

The order is: flag, AWS profile key, environment, ``config.toml``, default. Setting ``backend`` is the flag
``--backend``, the profile key ``vault_backend``, the variable ``AWS_VAULT_BACKEND`` and ``backend`` in
``config.toml``; option ``dir`` of plugin ``file`` is ``-o file.dir=VALUE``, ``AWS_VAULT_FILE_DIR`` and ``dir`` in
``[plugin.file]``. For a ``[store.NAME]`` its own ``dir`` replaces the last two. Which options a profile key may set
is in :attr:`vault_core.api.Option.from_profile`, and the host enforces it.
"""

import os
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from vault_core import config_toml, files, folders
from vault_core.consulted import Environment
from vault_core.errors import ConfigError
from vault_core.records import dataclass

APP = "awsv"

DEFAULTS: Mapping[str, str] = {
    "backend": "file",
    "browser": "system",
    "key_max_age": "90d",
    "passphrase_source": "env,prompt",
    "prompt": "terminal",
    "rotation_grace": "7d",
    "session_cache": "runtime",
    "session_provider": "",
    "wait": "300",
}
"""Every setting of the core, with its default."""

PROFILE_SETTINGS = ("backend", "passphrase_source", "prompt", "session_provider")
"""The settings that an AWS profile can choose, too."""

PREFIX = "AWS_VAULT_"
"""The beginning of every variable of awsv, of the core and of plugins."""

LOAD_PLUGINS = "AWS_VAULT_LOAD_PLUGINS"
"""The plugins that may load, by name or distribution; empty: none. Not set: any plugin that is named."""

REMOVED = "AWS_VAULT_REMOVED"
"""Set for a child of ``exec``: the names of the variables that awsv removed, so that a nested call can say so."""

NO_HELP = "AWS_VAULT_DISABLE_HELP_MESSAGE"
"""Set to any value: ``exec`` does not announce the shell that it starts."""

PLAIN_HTTP = "AWS_VAULT_PLAIN_HTTP"
"""The hosts that may be contacted without TLS, written as in ``NO_PROXY``. Only a variable: no file can set it."""

OWN_VARIABLES = frozenset(
    (*(f"{PREFIX}{name.upper()}" for name in DEFAULTS), LOAD_PLUGINS, REMOVED, NO_HELP, PLAIN_HTTP)
)
"""The core's own variables: they do not name a plugin ``session`` or ``passphrase``."""

AWS_CONFIG_FILE = "AWS_CONFIG_FILE"
AWS_CREDENTIALS_FILE = "AWS_SHARED_CREDENTIALS_FILE"


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's text and where it came from (``--backend``, ``AWS_VAULT_BACKEND``, a file, ``default``)."""

    text: str = field(metadata={"json": "value"})
    origin: str = field(metadata={"json": "from"})


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """A store: a plugin name with default options, or ``[store.NAME]`` of ``config.toml``."""

    name: str
    backend: str
    options: Mapping[str, Any] = field(default_factory=dict)


def profile_key(plugin: str, option: str) -> str:
    """The key of an AWS profile that sets a plugin's option, if a profile may."""
    return f"vault_{plugin}_{option}".replace("-", "_")


def is_way_to_passphrase(name: str) -> bool:
    """Whether the variable names the place of a passphrase, and does not hold one."""
    return name.startswith(PREFIX) and name.endswith(("PASSPHRASE_FILE", "PASSPHRASE_COMMAND"))


class Settings:
    """The settings of one process: a snapshot of the environment, the flags, and ``config.toml``, read when needed.

    :param environ: default: the environment of this process.
    :param flags: ``backend`` or ``file.dir`` (option ``dir`` of plugin ``file``) to text, as given on the command line.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None) -> None:
        self.environ = Environment(os.environ if environ is None else environ)
        self.flags: dict[str, str] = dict(flags or {})

    # -- folders and files -------------------------------------------------------------------------------------------

    def _folder(self, variable: str, fallback: str) -> Path:
        given = self.environ.get(variable, "")
        # The XDG specification has relative paths ignored.
        return Path(given) / APP if given.startswith("/") else self.home / fallback / APP

    @cached_property
    def home(self) -> Path:
        """The home folder: ``HOME``, else that of the password database.

        :raises ConfigError: there is none, or ``HOME`` is relative: the owner of the working folder would decide.
        """
        given = self.environ.get("HOME")
        if given and not given.startswith("/"):
            raise ConfigError(f"the home folder {given!r} (HOME) is not an absolute path", hint="set HOME")
        try:
            return Path(given or Path("~").expanduser())
        except RuntimeError:
            raise ConfigError("there is no home folder", hint="set HOME") from None

    @cached_property
    def config_dir(self) -> Path:
        """The folder of ``config.toml``."""
        return self._folder("XDG_CONFIG_HOME", ".config")

    @cached_property
    def data_dir(self) -> Path:
        """Durable data: the default place of stores."""
        return self._folder("XDG_DATA_HOME", ".local/share")

    @cached_property
    def state_dir(self) -> Path:
        """Disposable state of this machine: sessions, locks. It may not exist yet.

        :raises ConfigError: another user can write it: its content decides which sessions are served.
        """
        folder = self._folder("XDG_STATE_HOME", ".local/state")
        try:
            folders.check(folder)
        except OSError as error:
            raise _untrusted(folder, error) from None
        return folder

    def make_state_dir(self) -> Path:
        """:attr:`state_dir`, created if possible.

        :raises ConfigError: as there, also for a folder that another process created meanwhile.
        """
        try:
            files.make_folder(self.state_dir)
        except folders.Untrusted as error:
            raise _untrusted(self.state_dir, error) from None
        except OSError:  # a disk that is full or read-only: a later write reports that
            pass
        return self.state_dir

    @cached_property
    def runtime_dir(self) -> Path:
        """Private, and empty after logout or reboot if the system has such a folder. Not checked, may not exist."""
        given = self.environ.get("XDG_RUNTIME_DIR", "")
        if given.startswith("/"):
            return Path(given) / APP
        for decides in ("TMPDIR", "TEMP", "TMP"):
            self.environ.get(decides)
        folders.note_way(Path(f"/run/user/{os.geteuid()}"))
        import warnings

        import platformdirs  # costs milliseconds, and most systems set the variable

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the unset variable; the code that uses the folder checks it
            return Path(platformdirs.user_runtime_dir(APP))

    @cached_property
    def config_file(self) -> Path:
        return self.config_dir / "config.toml"

    def _aws_file(self, variable: str, name: str) -> Path:
        given = self.environ.get(variable)
        if not given:
            return self.home / ".aws" / name
        if given == "~" or given.startswith("~/"):
            return self.home / given[2:]
        try:
            return Path(given).expanduser().absolute()
        except RuntimeError:
            raise ConfigError(f"{variable} names {given}: no such user", hint=f"correct or unset {variable}") from None

    @cached_property
    def aws_config_file(self) -> Path:
        """``AWS_CONFIG_FILE``, else ``~/.aws/config``."""
        return self._aws_file(AWS_CONFIG_FILE, "config")

    @cached_property
    def aws_credentials_file(self) -> Path:
        """``AWS_SHARED_CREDENTIALS_FILE``, else ``~/.aws/credentials``."""
        return self._aws_file(AWS_CREDENTIALS_FILE, "credentials")

    def named_by(self, path: Path) -> str:
        """The variable that names one of the two AWS files; empty if the file is in its default place."""
        variable = AWS_CONFIG_FILE if path == self.aws_config_file else AWS_CREDENTIALS_FILE
        return variable if self.environ.get(variable) else ""

    # -- config.toml -------------------------------------------------------------------------------------------------

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """``config.toml``; empty if there is none.

        :raises ConfigError: it cannot be read, another user can write it, it is not TOML, or it has an unknown key.
        """
        return config_toml.read(self.config_file, DEFAULTS)

    # -- values ------------------------------------------------------------------------------------------------------

    def value(self, name: str, profile: Mapping[str, str] | None = None) -> Value:
        """Return a setting of the core.

        :param name: a key of :data:`DEFAULTS`.
        :param profile: the keys of the AWS profile, if there is one.
        """
        return (
            self._explicit(name.replace("_", "-"), name, profile or {})
            or self._ambient(name, self.config.get(name), str(self.config_file))
            or Value(DEFAULTS[name], "default")
        )

    def option(
        self, plugin: str, option: str, store: StoreSettings | None = None, profile: Mapping[str, str] | None = None
    ) -> Value | None:
        """Return an option of a plugin, or None if it is not set.

        :param store: the store to open: its own options win over the environment and ``[plugin.NAME]``.
        """
        key = f"{plugin}_{option}".replace("-", "_")
        if explicit := self._explicit(f"{plugin}.{option}", key, profile or {}):
            return explicit
        if store and store.backend == plugin and option in store.options:
            # A named store has its own place; the environment is about the store with the plugin's own name.
            return Value(_text(store.options[option]), f"[store.{store.name}] of {self.config_file}")
        table: Mapping[str, Any] = self.config.get("plugin", {}).get(plugin, {})
        return self._ambient(key, table.get(option), f"[plugin.{plugin}] of {self.config_file}")

    def _explicit(self, flag: str, key: str, profile: Mapping[str, str]) -> Value | None:
        """The value from a flag or the AWS profile."""
        if flag in self.flags:
            return Value(self.flags[flag], _flag(flag))
        if profile.get(f"vault_{key}"):
            return Value(profile[f"vault_{key}"], f"vault_{key}")
        return None

    def _ambient(self, key: str, configured: Any, where: str) -> Value | None:
        """The value from the environment or ``config.toml``."""
        variable = f"AWS_VAULT_{key.upper()}"
        if self.environ.get(variable):
            return Value(self.environ[variable], variable)
        if configured is not None:
            return Value(_text(configured), where)
        return None

    def names(self, name: str, profile: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Return a setting that is a list of names, in order, without duplicates."""
        value = self.value(name, profile)
        names = tuple(dict.fromkeys(part.strip() for part in value.text.split(",") if part.strip()))
        if not names:
            raise ConfigError(f"{value.origin} names nothing", hint=f"for example {DEFAULTS[name]}")
        return names

    def named_plugins(self) -> set[tuple[str, str]]:
        """Return the kind and name of each plugin that the settings name; the default session provider is not named.

        :raises ConfigError: as :attr:`config`.
        """
        provider = self.value("session_provider").text
        return {
            ("storage", self.store(self.value("backend").text).backend),
            *([("session", provider)] if provider else ()),
            *(("passphrase", name) for name in self.names("passphrase_source")),
            *(("mfa", name) for name in self.names("prompt")),
        }

    def explicit_values(self) -> dict[str, str]:
        """Return what flags and the tables of ``config.toml`` set, by ``--FLAG`` or ``[plugin.NAME] OPTION``.

        :raises ConfigError: as :attr:`config`.
        """
        found = {_flag(name): text for name, text in self.flags.items()}
        for kind in ("plugin", "store"):
            for name, table in self.config.get(kind, {}).items():
                found |= {f"[{kind}.{name}] {option}": _text(value) for option, value in table.items()}
        return found

    @property
    def load_plugins(self) -> tuple[str, ...] | None:
        """The names in :data:`LOAD_PLUGINS`; None if it is not set. It only restricts which plugins may load."""
        given = self.environ.get(LOAD_PLUGINS)
        return None if given is None else tuple(part.strip() for part in given.split(",") if part.strip())

    def store(self, name: str) -> StoreSettings:
        """Return the settings of a store by its name.

        :raises ConfigError: ``[store.NAME]`` has no ``backend``.
        """
        table = self.config.get("store", {}).get(name)
        if table is None:
            return StoreSettings(name, name)
        backend = table.get("backend")
        if not isinstance(backend, str):
            raise ConfigError(f"{self.config_file}: [store.{name}] has no backend", hint='add backend = "file"')
        return StoreSettings(name, backend, {key: value for key, value in table.items() if key != "backend"})


def _flag(name: str) -> str:
    """How a flag is given on the command line."""
    return f"-o {name}" if "." in name else f"--{name}"


def _untrusted(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"the state folder cannot be trusted: {error.strerror or error}",
        hint=f"make {folder} yours alone (chown, chmod go-w), or set XDG_STATE_HOME to a folder of your own",
    )


def _text(value: Any) -> str:
    """Return a TOML value as the text that a variable would hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_text(part) for part in value)
    return str(value)
