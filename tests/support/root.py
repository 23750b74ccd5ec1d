"""Tests that need root carry ``pytest.mark.root(reason)``; for an ordinary user they are skipped with that reason.

Every other test runs for an ordinary user. So who has run all as one has ``-m root`` left for root, and that is all.
"""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "root(reason): needs root, because of this; skipped for an ordinary user")


@pytest.hookimpl(tryfirst=True)  # before fixtures, which may cost a server
def pytest_runtest_setup(item: pytest.Item) -> None:
    mark = item.get_closest_marker("root")
    if mark is not None and os.geteuid() != 0:
        pytest.skip(f"needs root: {mark.args[0]}")
