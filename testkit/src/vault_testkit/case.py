"""One test of a contract: its part of the store, the number of its operations, and the clean-up after it."""

import json
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import pytest

from vault_core import api
from vault_testkit.children import Report, Stuck, Worker
from vault_testkit.counting import OPERATIONS, Corner
from vault_testkit.store_under_test import RAW, StoreUnderTest

PROPERTY = "vault-contract"
"""The name of the property in a test's report that says what it belongs to and what it did."""


def fail(message: str) -> NoReturn:
    """Fail the test: the backend broke its contract."""
    __tracebackhide__ = True
    pytest.fail(message)


def check(kept: object, message: str) -> None:
    """Fail with the message unless the promise was kept."""
    __tracebackhide__ = True
    if not kept:
        fail(message)


class Case:
    """The store, the processes and the budget of one test.

    :param budget: the most operations that this test should take; None: any number.
    """

    def __init__(self, target: StoreUnderTest, budget: int | None) -> None:
        self.target = target
        self.counts: Counter[str] = Counter()
        self.shrunk: list[str] = []
        self._budget = budget
        self._counting = threading.Lock()
        self._written: set[str] = set()
        self._opened: list[api.StorageBackend] = []
        self._workers: list[Worker] = []

    @property
    def spec(self) -> api.StorageSpec:
        return self.target.spec

    # -- what may be asked of this backend -----------------------------------------------------------------------------

    def needs(self, wanted: api.Capability) -> None:
        """Skip the test, visibly, unless the backend declares one of these."""
        if not self.spec.capabilities & wanted:
            names = " or ".join(str(capability.name) for capability in wanted)
            self.skip(f"{self.spec.name} does not declare {names}")

    def needs_at_rest(self, *kinds: api.AtRest, because: str) -> None:
        """Skip the test, visibly, unless one of these encrypts."""
        if self.spec.at_rest not in kinds:
            self.skip(f"{self.spec.name} is at_rest={self.spec.at_rest.name}: {because}")

    def skip(self, reason: str) -> NoReturn:
        """Skip the test with a reason that the table shows."""
        __tracebackhide__ = True
        pytest.skip(reason)

    def can(self, capability: api.Capability) -> bool:
        """Whether the backend declares it."""
        return capability in self.spec.capabilities

    # -- opening -------------------------------------------------------------------------------------------------------

    def open(self, layer: str = RAW, *, target: StoreUnderTest | None = None) -> api.StorageBackend:
        """Open the store again; it is closed after the test."""
        store = (target or self.target).open(layer, self._count, self._written)
        self._opened.append(store)
        return store

    def foreign(self) -> api.StorageBackend:
        """The whole backend, including keys of other users."""
        backend = Corner(self.spec.open(self.target.context()), self._count, "", set())
        self._opened.append(backend)
        return backend

    def common(self) -> tuple[api.StorageBackend, api.StorageBackend]:
        """A user's own items and the shared ones, both of one store that is opened again."""
        backend = self.spec.open(self.target.context())
        if not isinstance(backend, api.SharedItems):
            fail(f"{self.spec.name} declares SHARED, and its open store is not a SharedItems")
        own, common = (
            Corner(one, self._count, self.target.prefix, self._written) for one in (backend, backend.shared())
        )
        self._opened += [own, common]
        return own, common

    def worker(self) -> Worker:
        """A process that can do tasks with the store; it ends with the test."""
        worker = Worker(self.target, self.counts.update)
        self._workers.append(worker)
        return worker

    def do(self, *tasks: Mapping[str, Any], worker: Worker | None = None, may_fail: bool = False) -> Report:
        """Let other processes do the tasks at the same time.

        :param may_fail: do not fail if one of them raises.
        """
        __tracebackhide__ = True
        for task in tasks:
            self._written |= {*task.get("items", ()), *([task["key"]] if "key" in task else [])}
        try:
            report = (worker or self.worker()).do(*tasks)
        except Stuck as error:
            fail(str(error))
        for what in () if may_fail else report.errors():
            fail(f"a process with the store failed: {what}")
        return report

    def _count(self, name: str) -> None:
        with self._counting:  # a store may be used from several threads
            self.counts[name] += 1

    # -- what it costs -------------------------------------------------------------------------------------------------

    def afford(self, wanted: int, what: str, *, cost: int, least: int = 1) -> int:
        """The number of rounds that this test can afford.

        :param wanted: without a budget.
        :param what: the rounds, for the table (``keys``).
        :param cost: operations a round.
        :param least: with fewer rounds the test would prove nothing.
        """
        if self._budget is None:
            return wanted
        rounds = max(least, min(wanted, self._budget // cost))
        if rounds < wanted:
            self.shrunk.append(f"{what} {wanted} to {rounds}")
        return rounds

    def sample(self, steps: int, what: str, *, cost: int, most: int = 24) -> list[int]:
        """The steps to look at: the first, the last, and evenly spread ones between."""
        number = min(steps, self.afford(min(steps, most), what, cost=cost, least=2))
        if number <= 1:
            return list(range(1, steps + 1))
        return sorted({1 + round(index * (steps - 1) / (number - 1)) for index in range(number)})

    # -- afterwards ----------------------------------------------------------------------------------------------------

    def over(self) -> None:
        """Close everything and remove every key of this test, whether it passed or failed."""
        for worker in self._workers:
            worker.close()
        for store in self._opened:
            with suppress(Exception):  # another test is about a failure to close
                store.close()
        with suppress(api.VaultError):  # a store that is locked or broken on purpose
            self._remove(self.target.open(RAW, lambda _: None, set()))
        if api.Capability.SHARED in self.spec.capabilities:
            with suppress(api.VaultError):
                self._remove(self.common()[1])

    def _remove(self, corner: api.StorageBackend) -> None:
        """Remove every key that is listed, or that was put and is not listed. One that cannot be removed is skipped."""
        keys = set(self._written)
        with suppress(Exception):
            keys |= set(corner.keys())
        for key in keys:
            try:
                corner.delete(key)
            except (api.StorageLocked, api.StorageUnavailable, api.PassphraseError):
                break  # the other keys cannot be removed either
            except Exception:  # noqa: BLE001, S112 - the backend may be broken; its tests have reported that
                continue
        corner.close()


def new_prefix() -> str:
    """The prefix of the names of one test's keys: random, so that no other keys are touched."""
    return f"ct{secrets.token_hex(5)}-"


def is_ours(key: str) -> bool:
    """Whether a key of the whole store belongs to this test of the contract, or to another one that runs now."""
    name = key.partition("/")[2]
    return name.startswith("ct") and name[12:13] == "-"


def contract_property(
    kind: str, entry_point: str, part: str, case: Case | None = None, *, position: int = 0
) -> tuple[str, str]:
    """A test's property: what it belongs to, and what it did.

    :param position: of the part in the table.
    """
    counts = {name: case.counts[name] for name in OPERATIONS} if case else {}
    shrunk: Iterable[str] = case.shrunk if case else ()
    found = {"kind": kind, "name": entry_point, "part": part, "position": position}
    return PROPERTY, json.dumps({**found, "counts": counts, "shrunk": list(shrunk)})
