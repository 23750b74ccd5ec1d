"""Find the installed plugins by the metadata of their distributions, without an import.

The entry-point files are read here, because importing ``importlib.metadata`` takes 50 ms, also in every cached
``credential_process`` call. It is used only if a name was not found (zip files, unusual finders). Only absolute entries
of ``sys.path`` count, so metadata in the working folder is never read.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vault_core import consulted

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

_GROUP = re.compile(rf"vault\.(?P<kind>{'|'.join(GROUPS)})\.v(?P<api>0|[1-9][0-9]{{0,3}})\Z", re.ASCII)
_DIST_INFO = re.compile(r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)-(?P<version>[^-/]+)\.dist-info\Z")
"""The name is that of the packaging specifications, so the ``~ame`` of a failed uninstallation does not match."""
_USABLE = re.compile(r"[a-z][a-z0-9-]{1,31}\Z")


@dataclass(frozen=True, slots=True, order=True)
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
        return _USABLE.match(self.name) is not None

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
    return tuple(sorted(offers))


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
    return re.sub(r"[-_.]+", "-", name).lower()


def _entry_point_files(folder: str) -> Iterator[tuple[str, str, str]]:
    consulted.look("d", folder)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if not name.endswith(".dist-info") or not (match := _DIST_INFO.match(name)):
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
        yield normalise(match["name"]), match["version"], text


def _parse(text: str, distribution: str, version: str) -> Iterator[AvailablePlugin]:
    group: re.Match[str] | None = None
    offers: dict[tuple[str, str], AvailablePlugin] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = _GROUP.match(line[1:-1].strip())
        elif group and "=" in line and not line.startswith(("#", ";")):
            name, _, module = (part.strip() for part in line.partition("="))
            offer = AvailablePlugin(group["kind"], name, distribution, version, module, int(group["api"]))
            known = offers.get((offer.kind, name))
            # A distribution does not conflict with itself; of several API versions, ours counts.
            if known is None or (known.api != API and offer.api == API):
                offers[offer.kind, name] = offer
    yield from offers.values()
