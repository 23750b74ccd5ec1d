"""The installed plugins with their states: what ``awsv plugins list`` and ``awsv plugins check`` show."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vault_core.command_line import did_you_mean
from vault_core.errors import PluginNotFound
from vault_core.plugins.discovery import AvailablePlugin, normalise
from vault_core.plugins.install_hint import OURS
from vault_core.plugins.loader import Plugins
from vault_core.settings import LOAD_PLUGINS, Settings

LOADABLE = ("selected", "installed")
UNUSABLE = ("conflict", "reserved", "unusable name", "other API version")
"""States in which a plugin cannot be used, whatever the settings name."""


@dataclass(frozen=True, slots=True)
class PluginEntry:
    """A plugin, by its metadata.

    :param kind: ``storage``, ``passphrase``, ``session``, ``mfa`` or ``command``.
    :param distribution: None where it is not known.
    :param version: None where the plugin is not installed.
    :param state: one of :data:`LOADABLE`, one of :data:`UNUSABLE`, ``disabled`` or ``missing``.
    :param reason: why the state is not ``selected`` or ``installed``.
    """

    kind: str
    name: str
    distribution: str | None
    version: str | None
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class CheckedPlugin(PluginEntry):
    """A plugin after its check: the state can be ``ok``, ``unavailable`` or ``broken``, too.

    :param hint: what helps.
    :param offers: what it offers, by name; empty where it was not loaded.
    :param said: the first line that it printed.
    """

    hint: str | None
    offers: Mapping[str, Any] = field(metadata={"inline": True})
    said: str | None


def entries(plugins: Plugins, settings: Settings, reserved: Collection[str]) -> list[PluginEntry]:
    """One entry per installed plugin, and one for each that the settings name and that is missing. Loads no plugin.

    :param reserved: the names of awsv's own commands.
    """
    offers = plugins.offers()
    count = Counter((offer.kind, offer.name) for offer in offers if offer.usable)
    selected = settings.named_plugins()
    if not any(kind == "session" for kind, _ in selected):
        selected.add(("session", "sts"))

    def state(offer: AvailablePlugin) -> tuple[str, str | None]:
        if not offer.nameable:
            return "unusable name", "a name has 2 to 32 of a-z, 0-9 and -, a letter first"
        if not offer.usable:
            return "other API version", offer.group
        if offer.kind == "command" and offer.name in reserved:
            return "reserved", "a command of awsv's own"
        if count[offer.kind, offer.name] > 1:
            return "conflict", "another distribution offers this name, too"
        if not plugins.may_load(offer):
            return "disabled", f"{LOAD_PLUGINS} does not name it"
        return ("selected" if (offer.kind, offer.name) in selected else "installed"), None

    installed = [
        PluginEntry(offer.kind, offer.name, offer.distribution, offer.version, *state(offer)) for offer in offers
    ]
    missing = sorted(selected - {(offer.kind, offer.name) for offer in offers})
    return installed + [
        PluginEntry(kind, name, OURS.get((kind, name)), None, "missing", plugins.hint(kind, name))
        for kind, name in missing
    ]


def named(plugins: Plugins, name: str, listed: Sequence[PluginEntry]) -> list[PluginEntry]:
    """The plugins of this name or distribution.

    :raises PluginNotFound: there are none.
    """
    matches = [entry for entry in listed if name == entry.name or normalise(name) == entry.distribution]
    if not matches:
        kinds = [kind for kind, known in OURS if known == name]
        near = did_you_mean(name, {entry.name for entry in listed}, "'awsv plugins list' shows them")
        raise PluginNotFound(
            f"no plugin named {name!r} is installed", hint=plugins.hint(kinds[0], name) if kinds else near
        )
    return matches


def examine(plugins: Plugins, settings: Settings, listed: Sequence[PluginEntry]) -> list[CheckedPlugin]:
    """Check the plugins, each in its own process. The state of one that may not be loaded stays as it is."""
    from vault_core.plugins.check.parent import check

    loadable = {(entry.kind, entry.name) for entry in listed if entry.state in LOADABLE}
    usable = [offer for offer in plugins.offers() if offer.usable]
    offers = [offer for offer in usable if (offer.kind, offer.name) in loadable]
    names = [offer.name for offer in usable]
    results = check(offers, flags=settings.flags, environ=settings.environ, installed=names)
    not_loaded: dict[str, Any] = {"hint": None, "offers": {}, "said": None}
    return [CheckedPlugin(**{**asdict(entry), **results.get((entry.kind, entry.name), not_loaded)}) for entry in listed]
