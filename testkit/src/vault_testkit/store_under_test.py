"""Where the store of one test is, and how it is opened: the same in the test's process and in its children."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from vault_core.api import AtRest, ConfigError, Option, StorageBackend, StorageSpec
from vault_core.plugins.loader import Plugins
from vault_core.plugins.variables import visible
from vault_core.vlt import Argon2id
from vault_testkit.context import FakeContext
from vault_testkit.counting import Corner
from vault_testkit.setup import Setup

PASSPHRASE = "the contract's own passphrase"  # noqa: S105 - it opens nothing but the stores of these tests
"""What the sources say in every test."""
CHEAP = Argon2id(memory=19_456, passes=2, lanes=1)
"""The cost of the key derivation of stores that the core seals here: the least that it takes."""

RAW = "raw"
"""The backend as it is."""
CORE = "core"
"""The backend as the core uses it: sealed, if it leaves the encryption to the core."""
LEAST_LIMIT = 64
"""The smallest ``max_value`` that a backend may declare, in bytes."""


def load(kind: str, name: str) -> Any:
    """The spec of the plugin with this entry point.

    :raises PluginError: it is missing or broken.
    """
    return Plugins().load(kind, name)


def parsed(declared: Iterable[Option], options: Mapping[str, str]) -> dict[str, Any]:
    """Options as a plugin sees them, from what a user types.

    :raises ConfigError: one is not declared, or does not parse.
    """
    known = {option.name: option for option in declared}
    values = {name: option.default for name, option in known.items()}
    for name, text in options.items():
        if name not in known:
            raise ConfigError(f"Setup sets option {name!r}, which the plugin does not declare")
        values[name] = known[name].parse(text)
    return values


def host(spec: Any, setup: Setup, root: Path, **more: Any) -> FakeContext:
    """A new host, with the options and the environment of the setup. A secret variable that the plugin does not declare
    is hidden, as by the real host.

    :param more: other parameters of :class:`~vault_testkit.context.FakeContext`.
    """
    environ = visible(setup.environ, spec.name, spec.options, spec.secret_variables)
    return FakeContext(root, options=parsed(spec.options, setup.options), environ=environ, **more)


@dataclass(frozen=True)
class StoreUnderTest:
    """One test's corner of a store.

    :param root: a folder of the test's own; data and state folder are in it.
    :param prefix: with which the names of all its keys begin.
    """

    entry_point: str
    setup: Setup
    root: Path
    prefix: str
    passphrases: tuple[str, ...] = (PASSPHRASE,)

    @cached_property
    def spec(self) -> StorageSpec:
        spec: StorageSpec = load("storage", self.entry_point)
        return spec

    def context(self) -> FakeContext:
        """A new host."""
        return host(self.spec, self.setup, self.root, store=self.entry_point, passphrases=self.passphrases)

    def locked(self, *passphrases: str) -> StoreUnderTest:
        """The same place for a user who has other passphrases, or none."""
        return replace(self, passphrases=passphrases)

    def open(self, layer: str, count: Callable[[str], None], written: set[str]) -> StorageBackend:
        """Open it anew.

        :param layer: :data:`RAW` or :data:`CORE`.
        :param count: see :class:`~vault_testkit.counting.Corner`, as for ``written``.
        """
        from vault_core.storage.sealed import SealedBackend

        context = self.context()
        backend = Corner(self.spec.open(context), count, self.prefix, written)
        if layer == CORE and self.spec.at_rest is AtRest.CORE:
            return SealedBackend(backend, context, self.spec.capabilities, cost=CHEAP)
        return backend

    def to_json(self) -> dict[str, Any]:
        """For another process, with the path on which it finds the plugin."""
        setup = asdict(self.setup) | {"files": [str(path) for path in self.setup.files]}
        return asdict(self) | {"setup": setup, "root": str(self.root), "path": sys.path}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        setup = Setup(**{**value["setup"], "files": [Path(path) for path in value["setup"]["files"]]})
        passphrases = tuple(value["passphrases"])
        return cls(value["entry_point"], setup, Path(value["root"]), value["prefix"], passphrases)
