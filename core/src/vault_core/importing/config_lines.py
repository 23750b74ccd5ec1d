"""Change ``credential_process`` lines that run another program so that they run awsv for the same profile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.quoting import PROCESS, process_line, process_words
from vault_core.awsconfig.shared import classify
from vault_core.errors import ConfigError, VaultError
from vault_core.importing.copy import ImportReport
from vault_core.importing.vaults import Vaults
from vault_core.sessions.plan import KeyStep, Planner


@dataclass(slots=True)
class LineChanges:
    """The config file with the changed lines."""

    after: bytes
    changed: list[str] = field(default_factory=list)
    """Profiles."""
    kept: dict[str, str] = field(default_factory=dict)
    """``FILE:LINE`` of each line that stays, and why."""


class Available:
    """Whether awsv can provide a profile's credentials once a scan is imported. Stores that are open are read.

    :param report: on the import, or on its dry run.
    """

    def __init__(self, planner: Planner, vaults: Vaults, report: ImportReport) -> None:
        self._planner = planner
        self._vaults = vaults
        self._arrived = {key.profile: key.state.arrived for key in report.keys}

    def __call__(self, profile: str) -> bool:
        try:
            first = self._planner.plan(profile).steps()[0]
            if not isinstance(first, KeyStep):
                return True
            if first.name in self._arrived:
                return self._arrived[first.name]
            vault = self._vaults(first.name)
            return not self._vaults.is_new(vault) and vault.get(first.name) is not None
        except VaultError:
            return False


def propose(
    raw: bytes,
    path: Path,
    launcher: Path,
    profile_of: Callable[[Sequence[str]], str | None],
    availability: Callable[[bytes], Callable[[str], bool]],
) -> LineChanges:
    """Work out the change of the config file.

    :param launcher: absolute path of awsv.
    :param profile_of: from the words of a line to the profile whose credentials it prints; None if the line is not to
        be changed. It raises ConfigError to say why a line of its program is kept.
    :param availability: from a content of the config file to a function that says whether awsv can then provide the
        credentials of a profile.
    :raises ConfigError: the file cannot be changed safely.
    """
    document = Document(raw, path)
    changes = LineChanges(raw)
    asked: dict[str, str] = {}
    for header, block in document.blocks.items():
        pair = block.pairs.get(PROCESS)
        words = process_words(pair.value) if pair is not None else []
        if pair is None or not words or classify(header)[0] != "profile":
            continue
        try:
            profile = profile_of(words)
            if profile is not None:
                process_line(launcher, profile)  # only some names fit in a line
                asked[header] = profile
        except ConfigError as error:
            changes.kept[f"{path}:{pair.first + 1}"] = error.message
    if not asked:
        return changes
    is_available = availability(_edited(raw, path, launcher, asked))
    accepted = {header: profile for header, profile in asked.items() if is_available(profile)}
    for header, profile in asked.items():
        if header not in accepted:
            line = document.blocks[header].pairs[PROCESS].first + 1
            changes.kept[f"{path}:{line}"] = f"asks for {profile!r}, which awsv cannot provide"
    if accepted:
        changes.after = _edited(raw, path, launcher, accepted)
    changes.changed = [classify(header)[1] for header in accepted]
    return changes


def _edited(raw: bytes, path: Path, launcher: Path, profiles: Mapping[str, str]) -> bytes:
    """The file with a line for awsv in each of these sections.

    :param profiles: header to the profile that awsv is asked for.
    """
    document = Document(raw, path)
    for header, profile in profiles.items():
        document.replace(header, PROCESS, process_line(launcher, profile))
    return document.edited()
