"""What every part of a contract has: a name, a plugin, and how to reach it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vault_core.api import Capability
from vault_testkit.case import Case, contract_property, new_prefix
from vault_testkit.setup import Setup
from vault_testkit.store_under_test import StoreUnderTest, load

BUDGET = "--contract-budget"


class Part:
    """Tests that look at one promise.

    A plugin's test class inherits all of them through a contract, says which plugin it is about, and may say how to
    reach it with a fixture ``setup``.
    """

    kind: ClassVar[str]
    part: ClassVar[str]
    """What the table calls it."""
    entry_point: ClassVar[str]
    """The plugin's name, as its entry point and its spec have it."""
    budget: ClassVar[int | None] = None
    """About how many operations each part may take where ``--contract-budget`` says nothing: for a service that is slow
    or costs money. None: as many as it likes. What was shrunk is shown."""

    @pytest.fixture
    def setup(self) -> Setup:
        """How to reach the plugin; override it where the default options are not enough."""
        return Setup()

    @pytest.fixture
    def spec(self) -> Any:
        """The plugin's spec."""
        return load(self.kind, self.entry_point)


def home_of(cls: type[Part], test: str) -> type:
    """The class that has a test in its body, not one that inherits it."""
    return next(base for base in cls.__mro__ if test in vars(base))


def part_of(cls: type[Part], test: str) -> str:
    """The name of the part that a test belongs to."""
    return str(vars(home_of(cls, test)).get("part", "own tests"))


def position_of(cls: type[Part], part: str) -> int:
    """Where the part comes in the table: in the order in which the contract names its parts."""
    return next((n for n, base in enumerate(cls.__mro__) if vars(base).get("part") == part), len(cls.__mro__))


def tests_of(cls: type[Part], part: str) -> int:
    """How many tests the part has."""
    return sum(name.startswith("test_") and part_of(cls, name) == part for name in dir(cls))


class StoragePart(Part):
    """A part of :class:`~vault_testkit.StorageContract`."""

    kind = "storage"
    needs = Capability(0)
    """The tests in the body of the class are skipped, visibly, unless the backend declares one of these."""

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest, tmp_path: Path, setup: Setup) -> Iterator[Case]:
        """The test's own corner of the store."""
        name = part_of(type(self), request.function.__name__)
        budget: Any = request.config.getoption(BUDGET, None) or self.budget
        share = None if budget is None else budget // tests_of(type(self), name)
        case = Case(StoreUnderTest(self.entry_point, setup, tmp_path, new_prefix()), share)
        if needed := vars(home_of(type(self), request.function.__name__)).get("needs"):
            case.needs(needed)
        yield case
        request.node.user_properties.append(contract_property(self.kind, self.entry_point, name, case))
        case.over()
