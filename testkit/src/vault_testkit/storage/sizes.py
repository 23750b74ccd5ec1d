"""Values above a backend's limit: the core splits them, over this backend, and is killed at every step."""

from __future__ import annotations

from vault_core.api import Capability, Secret
from vault_testkit.case import Case, check
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, lists, shown
from vault_testkit.storage.durability import killed, steps_of
from vault_testkit.store_under_test import SPLIT, SPLIT_LIMIT
from vault_testkit.tasks import digest


def _long(letter: str, parts: int) -> str:
    return letter * (SPLIT_LIMIT * parts - 5)


class Sizes(StoragePart):
    """The core's splitting at 64 bytes, over this backend."""

    part = "Sizes"

    def test_sizes_around_the_limit(self, case: Case) -> None:
        store = case.open(SPLIT)
        sizes = (1, SPLIT_LIMIT - 1, SPLIT_LIMIT, SPLIT_LIMIT + 1, 3 * SPLIT_LIMIT, 5 * SPLIT_LIMIT + 1)
        for size in sizes[-case.afford(len(sizes), "sizes", cost=20, least=2) :]:
            store.put(KEY, Secret("v" * size))
            holds(store, KEY, "v" * size)
            holds(case.open(SPLIT), KEY, "v" * size)
            lists(store, [KEY])

    def test_sizes_leave_nothing_behind(self, case: Case) -> None:
        store = case.open(SPLIT)
        store.put(KEY, Secret(_long("a", 4)))
        store.put(KEY, Secret(_long("b", 2)))
        store.put(OTHER, Secret(_long("c", 2)))
        store.put(KEY, Secret("short"))
        store.delete(OTHER)
        lists(case.open(), [KEY])

    def test_sizes_killed_at_every_step(self, case: Case) -> None:
        """Before every operation of a put in parts: the old value or the new one, whole."""
        old, new = _long("o", 3), _long("n", 4)
        store, worker = case.open(SPLIT), case.worker()
        store.put(OTHER, Secret("another"))
        store.put(KEY, Secret(old))
        task = {"act": "killed_at", "layer": SPLIT, "items": {KEY: new}, "operations": True}
        for step in case.sample(steps_of(case, worker, task), "steps to die at", cost=30):
            store.put(KEY, Secret(old))
            killed(case, worker, task, step)
            now = case.open(SPLIT)
            item = now.get(KEY)
            check(item is not None, f"killed at operation {step} of a put in parts, the item is gone")
            found = item.value if item else None
            check(found in (Secret(old), Secret(new)), f"killed at operation {step} it left {shown(found)}")
            lists(now, [KEY, OTHER])

    def test_sizes_with_readers(self, case: Case) -> None:
        """While one process replaces a value in parts, others see the old value or the new one."""
        case.needs(Capability.MULTI_PROCESS)
        store = case.open(SPLIT)
        values = [_long("a", 3), _long("b", 5), "short"]
        store.put(KEY, Secret(values[0]))
        rounds = case.afford(4, "rounds of writing", cost=60)
        writer = {"act": "rewrite", "layer": SPLIT, "key": KEY, "values": values * rounds}
        most = case.afford(1000, "reads", cost=10)
        report = case.do(writer, {"act": "read", "layer": SPLIT, "key": KEY, "most": most, "patient": True})
        strange = {one for all_ in report.of("seen") for one in all_} - {digest(value) for value in values}
        check(not strange, "while a value in parts was replaced, another process saw what nobody wrote")
