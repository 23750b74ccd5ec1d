"""Find the installed plugins by the metadata of their distributions, without an import.

The entry-point files are read here, because importing ``importlib.metadata`` takes 50 ms, also in every cached
``credential_process`` call. It is used only if a name was not found (zip files, unusual finders). Only absolute entries
of ``sys.path`` count, so metadata in the working folder is never read.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator

from vault_core import consulted
from vault_core.records import dataclass

API = 1
"""The version of the plugin API of this core."""

KINDS = {
    "storage": "storage backend",
    "passphrase": "passphrase source",
    "session": "session provider",
    "mfa": "MFA source",
    "command": "command",
}
"""Kind of plugin to its name in messages."""
GROUPS = {kind: f"vault.{kind}.v{API}" for kind in KINDS}
"""Kind of plugin to entry-point group; the group carries the API version."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ALPHANUMERIC = frozenset(f"{_LETTERS}{_LETTERS.upper()}0123456789")
_IN_DISTRIBUTION = _ALPHANUMERIC | frozenset("._-")
"""Characters in the name of a distribution, which begins and ends with one of :data:`_ALPHANUMERIC`."""
_IN_PLUGIN = frozenset(f"{_LETTERS}0123456789-")
"""Characters in the name of a plugin, which begins with one of :data:`_LETTERS`."""
_SHORTEST, _LONGEST = 2, 32
"""Characters of the name of a plugin."""
_MOST_DIGITS = 4
"""Of a version of the plugin API."""


@dataclass(frozen=True, slots=True)
class AvailablePlugin:
    """One entry point of one installed distribution."""

    kind: str
    name: str
    distribution: str
    """The normalised name, as in the packaging specifications."""
    version: str
    module: str
    api: int = API
    """The version of the plugin API that the plugin needs."""

    def __str__(self) -> str:
        return f"{KINDS[self.kind]} {self.name!r} from {self.distribution} {self.version}"

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"vault.{self.kind}.v{self.api}"

    @property
    def nameable(self) -> bool:
        """Whether the name is valid: other names cannot be used in flags and settings."""
        return _SHORTEST <= len(self.name) <= _LONGEST and self.name[0] in _LETTERS and _IN_PLUGIN.issuperset(self.name)

    @property
    def usable(self) -> bool:
        """Whether this core supports its name and its API version."""
        return self.nameable and self.api == API


def scan(path: list[str] | None = None) -> tuple[AvailablePlugin, ...]:
    """Every plugin on the path, sorted.

    The first folder with a distribution counts, as for imports. A folder that holds a distribution twice yields its
    plugins twice, which is a conflict: the modules can belong to either of them.
    """
    return _collect(sys.path if path is None else path, _entry_point_files)


def _collect(path: Iterable[str], read: Callable[[str], Iterator[tuple[str, str, str]]]) -> tuple[AvailablePlugin, ...]:
    seen: set[str] = set()
    offers: list[AvailablePlugin] = []
    for folder in filter(os.path.isabs, dict.fromkeys(path)):
        found = [one for one in read(folder) if one[0] not in seen]
        seen.update(distribution for distribution, _, _ in found)
        for distribution, version, text in found:
            offers.extend(_parse(text, distribution, version))
    return tuple(sorted(offers, key=_order))


def _order(offer: AvailablePlugin) -> tuple[str | int, ...]:
    return offer.kind, offer.name, offer.distribution, offer.version, offer.module, offer.api


def scan_slowly() -> tuple[AvailablePlugin, ...]:
    """As :func:`scan`, by ``importlib.metadata``, for what is not in a plain folder."""
    import importlib.metadata

    def read(folder: str) -> Iterator[tuple[str, str, str]]:
        for found in importlib.metadata.distributions(path=[folder]):
            try:
                distribution, version = normalise(found.metadata["Name"]), found.version
                text = found.read_text("entry_points.txt") or ""
            except Exception:  # noqa: BLE001, S112 - damaged metadata can raise any exception
                continue
            yield distribution, version, text

    return _collect(sys.path, read)


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution; else None."""
    found = (one for folder in filter(os.path.isabs, sys.path) for one in _entry_point_files(folder))
    return next((version for name, version, _ in found if name == distribution), None)


def normalise(name: str) -> str:
    """The normalised name of a distribution, as in the packaging specifications."""
    name = name.replace("_", "-").replace(".", "-").lower()
    while "--" in name:
        name = name.replace("--", "-")
    return name


def _entry_point_files(folder: str) -> Iterator[tuple[str, str, str]]:
    consulted.look("d", folder)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        distribution, _, version = name.removesuffix(".dist-info").rpartition("-")
        if not name.endswith(".dist-info") or not version or not _is_distribution(distribution):
            continue
        path = os.path.join(folder, name, "entry_points.txt")
        try:
            with open(path, encoding="utf-8") as file:
                consulted.note("f", path, os.fstat(file.fileno()))
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError):
                consulted.look("f", path)
            # Without entry points it still hides a later distribution of the same name.
            text = ""
        yield normalise(distribution), version, text


def _is_distribution(name: str) -> bool:
    """Whether this is a name of the packaging specifications; the ``~ame`` of a failed uninstallation is none."""
    return bool(name) and _ALPHANUMERIC.issuperset(name[0] + name[-1]) and _IN_DISTRIBUTION.issuperset(name)


def _parse(text: str, distribution: str, version: str) -> Iterator[AvailablePlugin]:
    group: tuple[str, int] | None = None
    offers: dict[tuple[str, str], AvailablePlugin] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = _group(line[1:-1].strip())
        elif group and "=" in line and not line.startswith(("#", ";")):
            name, _, module = (part.strip() for part in line.partition("="))
            offer = AvailablePlugin(group[0], name, distribution, version, module, group[1])
            known = offers.get((offer.kind, name))
            # A distribution does not conflict with itself; of several API versions, ours counts.
            if known is None or (known.api != API and offer.api == API):
                offers[offer.kind, name] = offer
    yield from offers.values()


def _group(text: str) -> tuple[str, int] | None:
    """The kind and the version of the plugin API of an entry-point group of ours; None for another group."""
    kind, _, api = text.removeprefix("vault.").partition(".v")
    is_version = api.isascii() and api.isdigit() and len(api) <= _MOST_DIGITS and api == str(int(api))
    return (kind, int(api)) if text.startswith("vault.") and kind in KINDS and is_version else None
