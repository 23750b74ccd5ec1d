"""What a place holds that keys are moved from: the keys, what is none, and what is wrong with the rest."""

from __future__ import annotations

from dataclasses import dataclass, field

from vault_core.api import Credentials


@dataclass(frozen=True, slots=True)
class Bad:
    """Something that cannot be moved."""

    name: str
    """A profile, or a file where even that is not known."""
    reason: str
    """In lower case, without a secret."""


@dataclass(slots=True)
class Found:
    """The content of one place."""

    place: str
    """For people: a path or a store."""
    keys: dict[str, Credentials] = field(default_factory=dict)
    """Profile to long-term key."""
    sessions: list[str] = field(default_factory=list)
    """What is a cached session or a token, and stays where it is."""
    bad: list[Bad] = field(default_factory=list)

    def add(self, name: str, key: Credentials) -> None:
        """A key under a name. A second, different one under it makes both bad: neither is chosen silently."""
        if self.keys.setdefault(name, key) != key:
            first = self.keys.pop(name)
            self.bad.append(Bad(name, f"two different keys have this name: {first.access_key_id}, {key.access_key_id}"))
