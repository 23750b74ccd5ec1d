"""Load the one plugin that was named, and check it against the hookspecs.

A plugin that cannot be imported, that raises, exits or prints hurts only who named it: nothing is imported before it
is named, and whatever it raises becomes a :class:`PluginError` with its distribution's name. What it prints goes where
the host program's output goes; the command line captures standard output before (:mod:`vault_core.stdout`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vault_core import api
from vault_core.command_line import did_you_mean
from vault_core.errors import PluginConflict, PluginDisabled, PluginError, PluginLoadError, PluginNotFound, VaultError
from vault_core.plugins.discovery import API, KINDS, AvailablePlugin, normalise, scan, scan_slowly
from vault_core.plugins.install_hint import OURS, STANDARD, install_hint
from vault_core.plugins.variables import variable
from vault_core.settings import LOAD_PLUGINS, OWN_VARIABLES

if TYPE_CHECKING:
    from vault_core.api import Option

_HOOKS: Mapping[str, tuple[str, str]] = {
    "storage": ("vault_storage_backends", "StorageSpec"),
    "passphrase": ("vault_passphrase_sources", "PassphraseSourceSpec"),
    "session": ("vault_session_providers", "SessionSpec"),
    "mfa": ("vault_mfa_sources", "MfaSourceSpec"),
    "command": ("vault_commands", "CommandSpec"),
}
"""A kind to its hook, and to the name of the class of its specs in :mod:`vault_core.api`, which imports it then."""


class Plugins:
    """The installed plugins. Each is loaded once.

    :param allowed: names of plugins or distributions; no other plugin may load. None: every plugin may.
    :param before_load: called before a plugin is imported.
    """

    def __init__(self, allowed: Iterable[str] | None = None, *, before_load: Callable[[], None] = lambda: None) -> None:
        self._before_load = before_load
        self._allowed = None if allowed is None else frozenset(map(normalise, allowed))
        self._offers: tuple[AvailablePlugin, ...] | None = None
        self._loaded: dict[tuple[str, str], Any] = {}

    def offers(self) -> tuple[AvailablePlugin, ...]:
        """The plugins that are installed, by metadata alone."""
        if self._offers is None:
            self._offers = scan()
        return self._offers

    def may_load(self, offer: AvailablePlugin) -> bool:
        """Whether :data:`~vault_core.settings.LOAD_PLUGINS` allows a plugin to load."""
        return self._allowed is None or not self._allowed.isdisjoint((offer.name, offer.distribution))

    def load(self, kind: str, name: str) -> Any:
        """The spec of the plugin with this name.

        :raises PluginNotFound: no installed distribution has it.
        :raises PluginConflict: several have it; none was imported.
        :raises PluginDisabled: it may not load.
        :raises PluginLoadError: its module or its hooks are broken.
        """
        if (kind, name) not in self._loaded:
            self._loaded[kind, name] = self._load(kind, self._find(kind, name))
        return self._loaded[kind, name]

    def loaded(self, kind: str, name: str) -> Any:
        """The spec of a plugin that was loaded before; else None."""
        return self._loaded.get((kind, name))

    def packages(self) -> set[str]:
        """The top-level packages of the plugins that were loaded."""
        return {self._find(kind, name).module.partition(".")[0] for kind, name in self._loaded}

    def options(self, offer: AvailablePlugin) -> Sequence[Option]:
        """The options of a plugin, which is loaded if necessary. The options of a command are not settings.

        :raises PluginError: as :meth:`load`.
        """
        if offer.kind == "command":
            return ()
        declared: Sequence[Option] = self.load(offer.kind, offer.name).options
        return declared

    def command(self, name: str) -> Any:
        """The ``click.Command`` that the ``target`` of a command's spec names, imported when it is run or checked.

        :raises PluginError: the plugin cannot be loaded, or the target is not a click command.
        """
        target = self.load("command", name).target
        try:
            module, _, attribute = target.partition(":")
            command = getattr(importlib.import_module(module), attribute, None)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            owner = self.owner("command", name)[0]
            raise PluginLoadError(
                f"command {name!r} from {owner} cannot be loaded: {type(error).__name__}",
                hint=f"update or uninstall {owner}; --debug shows where",
            ) from error
        click = sys.modules.get("click")  # a module that makes a click command has imported it
        if click is None or not isinstance(command, click.Command):
            raise PluginLoadError(
                f"command {name!r}: {target} is not a click command", hint=f"this is a bug of {module}"
            )
        return command

    @contextmanager
    def attributed_to(self, kind: str, name: str) -> Iterator[None]:
        """Report an unexpected exception of a plugin as a bug of its distribution; wraps every call into a plugin.

        The text of the exception is not shown, because it may hold a secret; ``--debug`` shows where it was raised.

        :raises VaultError: the exception was not a :class:`VaultError` or ``KeyboardInterrupt``.
        """
        try:
            yield
        except (VaultError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise VaultError(
                f"{KINDS[kind]} {name!r} failed with {type(error).__name__}",
                hint=f"this is a bug of {self.owner(kind, name)[0]}; --debug shows where",
            ) from error

    def owner(self, kind: str, name: str) -> tuple[str, str]:
        """The distribution and the version of a plugin, for messages."""
        found = [offer for offer in self.offers() if offer.usable and (offer.kind, offer.name) == (kind, name)]
        return (found[0].distribution, found[0].version) if found else (name, "of unknown version")

    def _find(self, kind: str, name: str) -> AvailablePlugin:
        found = self._offered(kind, name)
        if not found:
            self._offers = scan_slowly()
            found = self._offered(kind, name)
        usable = [offer for offer in found if offer.usable]
        if not usable:
            raise self._absent(kind, name, found)
        if len(usable) > 1:
            raise self._conflict(kind, name, usable)
        if not self.may_load(usable[0]):  # last: it must not resolve a conflict
            raise PluginDisabled(
                f"{KINDS[kind]} {name!r} from {usable[0].distribution} may not load: {LOAD_PLUGINS} does not name it",
                hint=f"add {name} to {LOAD_PLUGINS}, or unset it",
            )
        return usable[0]

    def _conflict(self, kind: str, name: str, offers: Sequence[AvailablePlugin]) -> PluginConflict:
        names = [offer.distribution for offer in offers]
        if len(set(names)) == 1:
            versions = " and ".join(offer.version for offer in offers)
            return PluginConflict(
                f"{KINDS[kind]} {name!r} is offered by {names[0]}, which is installed twice in one folder ({versions})",
                hint=f"uninstall {names[0]}, make sure that none of its files is left, and install it again",
            )
        return PluginConflict(
            f"{KINDS[kind]} {name!r} is offered by {' and '.join(names)}", hint="uninstall one of them"
        )

    def _offered(self, kind: str, name: str) -> list[AvailablePlugin]:
        return [offer for offer in self.offers() if offer.nameable and (offer.kind, offer.name) == (kind, name)]

    def _absent(self, kind: str, name: str, found: Sequence[AvailablePlugin]) -> PluginError:
        if not found:
            return PluginNotFound(f"no {KINDS[kind]} named {name!r} is installed", hint=self.hint(kind, name))
        offer = found[0]
        newer = f"update vault-core, or install an older {offer.distribution}"
        return PluginLoadError(
            f"{offer} needs {offer.group}; this awsv has v{API}",
            hint=newer if offer.api > API else f"update {offer.distribution}",
        )

    def hint(self, kind: str, name: str, more: Iterable[str] = ()) -> str:
        """Hint about a plugin that is not installed: an install command for one of ours, else the most similar name.

        :param more: further names that are valid here, such as those of stores.
        """
        if (kind, name) in OURS:
            missing = OURS[kind, name]
            bare = {offer.distribution for offer in self.offers()}.isdisjoint(STANDARD)
            return install_hint(*(STANDARD if bare and missing in STANDARD else (missing,)))
        known = {offer.name for offer in self.offers() if offer.kind == kind and offer.usable}
        known |= {ours for of_kind, ours in OURS if of_kind == kind} | set(more)
        return did_you_mean(name, known, f"available: {', '.join(sorted(known)) or 'none'}")

    def _load(self, kind: str, offer: AvailablePlugin) -> Any:
        self._before_load()
        hook, expected = _HOOKS[kind]
        try:
            specs = _specs(offer, hook)
        except (PluginError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise PluginLoadError(
                f"{offer} cannot be loaded: {_brief(error)}",
                hint=f"update or uninstall {offer.distribution}, or name another plugin",
            ) from error
        for spec in specs:
            if isinstance(spec, getattr(api, expected)) and spec.name == offer.name:
                _refuse_wrong(offer, spec)
                _refuse_taken(offer, getattr(spec, "options", ()))
                return spec
        raise _lacks(offer, f"no {expected} of that name")


def _specs(offer: AvailablePlugin, hook: str) -> list[Any]:
    """What the hook of a plugin's module returns. The manager is of this plugin alone: no other one is called."""
    import pluggy

    from vault_core import hookspecs

    manager = pluggy.PluginManager("vault")
    manager.add_hookspecs(hookspecs)
    module = importlib.import_module(offer.module)
    manager.register(module, name=offer.module)
    manager.check_pending()
    if not hasattr(module, hook):
        raise _lacks(offer, f"{offer.module} has no hook {hook}")
    return [spec for specs in getattr(manager.hook, hook)() for spec in specs]


def _refuse_wrong(offer: AvailablePlugin, spec: Any) -> None:
    """:raises PluginLoadError: a field of the spec has a wrong type."""
    from vault_core.plugins.spec_problems import wrong_types

    if wrong := "; ".join(wrong_types(spec)):
        raise _bug(offer, f"{offer} has an invalid spec: {wrong}")


def _refuse_taken(offer: AvailablePlugin, options: Sequence[Option]) -> None:
    """:raises PluginLoadError: the variable of an option is one of awsv's own."""
    taken = set(OWN_VARIABLES)
    if offer.kind == "storage":  # the passphrase of the store with the plugin's name
        taken |= {variable(offer.name, f"passphrase{form}") for form in ("", "_file", "_fd", "_command")}
    for option in options:
        if (name := variable(offer.name, option.name)) in taken:
            raise _bug(offer, f"{offer} has an option {option.name!r}, and {name} is awsv's own")


def _lacks(offer: AvailablePlugin, what: str) -> PluginLoadError:
    return _bug(offer, f"{offer.distribution} {offer.version} offers {KINDS[offer.kind]} {offer.name!r}, but {what}")


def _bug(offer: AvailablePlugin, message: str) -> PluginLoadError:
    return PluginLoadError(message, hint=f"this is a bug of {offer.distribution}")


def _brief(error: BaseException) -> str:
    """The first line of an exception's text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
