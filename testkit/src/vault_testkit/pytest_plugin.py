"""The contracts' part of a pytest run: ``--contract-budget``, the table at its end, and fixtures with the fakes.

It is not loaded automatically: a project's root ``conftest.py`` has
``pytest_plugins = ["vault_testkit.pytest_plugin"]``.
"""

from pathlib import Path

import pytest

from vault_testkit.case import contract_property
from vault_testkit.clock import FakeClock
from vault_testkit.context import FakeContext
from vault_testkit.part import BUDGET, Part, part_of, position_of
from vault_testkit.summary import Summary
from vault_testkit.terminal import FakeTerminal


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vault", "contracts of awsv's plugins")
    group.addoption(
        BUDGET,
        type=int,
        metavar="N",
        help="about N operations per part and backend, for services that cost money; what was shrunk is shown",
    )
    group.addoption(
        "--contract-report", type=Path, metavar="FILE", help="write the outcome of every part to FILE, as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Summary(config.getoption("--contract-report")), "vault-contract-summary")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every report the name of its part, also where the test is skipped or its store cannot be reached."""
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, Part):
            name = part_of(item.cls, item.originalname)
            where = position_of(item.cls, name)
            item.user_properties.append(contract_property(item.cls.kind, item.cls.entry_point, name, position=where))


@pytest.fixture
def fake_context(tmp_path: Path) -> FakeContext:
    """A host context with nothing set, in the test's own folder."""
    return FakeContext(tmp_path)


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that only the test moves."""
    return FakeClock()


@pytest.fixture
def fake_terminal() -> FakeTerminal:
    """A terminal without anybody; its ``answers`` are a list to add to."""
    return FakeTerminal()
