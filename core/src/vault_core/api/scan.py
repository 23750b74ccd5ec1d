"""The result of looking for AWS keys outside the vault: what an importer found, before anything is copied."""

from dataclasses import field

from vault_core.api.session import Credentials
from vault_core.records import dataclass


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that cannot be imported."""

    name: str
    """A profile, or a file where the profile is unknown."""
    reason: str
    """In lower case, without a secret."""


@dataclass(slots=True)
class ImportScan:
    """The keys found in one source. Fill it with :meth:`add`; nothing is copied until the scan is imported."""

    source: str
    """Where the keys come from, for people: a path or a store."""
    keys: dict[str, Credentials] = field(default_factory=dict)
    """Profile to long-term key."""
    sessions: list[str] = field(default_factory=list)
    """Names of cached sessions and tokens; they are not imported."""
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, name: str, key: Credentials) -> None:
        """Accept a key. Two different keys of one name are both rejected, so that neither is chosen silently."""
        if self.keys.setdefault(name, key) != key:
            first = self.keys.pop(name)
            ids = f"{first.access_key_id}, {key.access_key_id}"
            self.rejected.append(Rejected(name, f"two different keys have this name: {ids}"))
