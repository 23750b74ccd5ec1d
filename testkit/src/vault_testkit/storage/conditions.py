"""Writing only if nothing, or a known version, is there: without a race."""

from collections.abc import Callable
from functools import partial

from vault_core.api import ABSENT, Capability, Secret, StorageBackend, StorageConflict
from vault_testkit.case import Case, check
from vault_testkit.children import Worker
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, item_of, raises

RACERS = 4


def refused(action: Callable[[], object], what: str) -> None:
    """Fail unless this raises :class:`StorageConflict`."""
    __tracebackhide__ = True
    raises(StorageConflict, action, f"{what} did not raise StorageConflict")


def one_winner(case: Case, store: StorageBackend, before: str | None, expect: str, worker: Worker) -> None:
    """Several processes put at the same time with the same expectation: exactly one succeeds, and its value stays."""
    __tracebackhide__ = True
    values = {task: f"of process {task}" for task in range(RACERS)}
    report = case.do(
        *({"act": "put", "items": {KEY: value}, "expect": expect} for value in values.values()),
        worker=worker,
    )
    winners = [line["task"] for line in report.said if "put" in line]
    state = "no item" if before is None else "the same version"
    check(len(winners) == 1, f"{RACERS} processes expected {state} at the same time, and {len(winners)} succeeded")
    holds(store, KEY, values[winners[0]])


class CreateOnly(StoragePart):
    """``expect=ABSENT``, where ``CREATE_ONLY`` is declared, or ``CAS``, which includes it."""

    part = "CreateOnly"
    needs = Capability.CREATE_ONLY | Capability.CAS

    def test_create_only_creates(self, case: Case) -> None:
        store = case.open()
        version = store.put(KEY, Secret("first"), expect=ABSENT)
        check(item_of(store, KEY).version == version, "put(expect=ABSENT) returned a version that get() does not know")
        store.put(OTHER, Secret("second"), expect=ABSENT)
        store.delete(KEY)
        store.put(KEY, Secret("third"), expect=ABSENT)
        holds(case.open(), KEY, "third")

    def test_create_only_refuses_to_replace(self, case: Case) -> None:
        store = case.open()
        version = store.put(KEY, Secret("first"))
        for who in (store, case.open()):
            refused(partial(who.put, KEY, Secret("first"), expect=ABSENT), "put(expect=ABSENT) over an item")
            holds(who, KEY, "first")
            check(item_of(who, KEY).version == version, "a refused put() made another version")

    def test_create_only_has_one_winner(self, case: Case) -> None:
        store, worker = case.open(), case.worker()
        store.put(OTHER, Secret("the store is there"))
        for _ in range(case.afford(3, "races", cost=RACERS + 2)):
            one_winner(case, store, None, "absent", worker)
            store.delete(KEY)


class CheckAndSet(StoragePart):
    """``expect`` with a version, where ``CAS`` is declared."""

    part = "CheckAndSet"
    needs = Capability.CAS

    def test_check_and_set_replaces_what_it_knows(self, case: Case) -> None:
        store = case.open()
        first = store.put(KEY, Secret("first"))
        second = case.open().put(KEY, Secret("second"), expect=first)
        holds(store, KEY, "second")
        check(store.delete(KEY, expect=second), "delete() with the version that is there did not find the item")
        check(store.get(KEY) is None, "get() of a key that was deleted with its version is not None")

    def test_check_and_set_refuses_another_version(self, case: Case) -> None:
        store = case.open()
        first = store.put(KEY, Secret("same"))
        second = store.put(KEY, Secret("same"))
        refused(lambda: store.put(KEY, Secret("new"), expect=first), "put() with an older version")
        refused(lambda: store.delete(KEY, expect=first), "delete() with an older version")
        elsewhere = store.put(OTHER, Secret("same"))
        if elsewhere != second:
            refused(lambda: store.put(KEY, Secret("new"), expect=elsewhere), "put() with another item's version")
        holds(store, KEY, "same")
        check(item_of(store, KEY).version == second, "a refused put() or delete() made another version")

    def test_check_and_set_refuses_what_is_gone(self, case: Case) -> None:
        store = case.open()
        version = store.put(KEY, Secret("same"))
        store.delete(KEY)
        refused(lambda: store.put(KEY, Secret("new"), expect=version), "put() with the version of a deleted item")
        refused(lambda: store.delete(KEY, expect=version), "delete() with the version of a deleted item")
        check(store.get(KEY) is None, "a refused put() made an item")

    def test_check_and_set_is_not_fooled_by_a_new_beginning(self, case: Case) -> None:
        """A version names one state: who knows that of a deleted item does not know the one that took its place."""
        store = case.open()
        version = store.put(KEY, Secret("old"))
        store.delete(KEY)
        store.put(KEY, Secret("new"))
        what = "with the version of an item that was deleted and made anew"
        refused(lambda: store.put(KEY, Secret("newer"), expect=version), f"put() {what}")
        refused(lambda: store.delete(KEY, expect=version), f"delete() {what}")
        holds(store, KEY, "new")

    def test_check_and_set_has_one_winner(self, case: Case) -> None:
        store, worker = case.open(), case.worker()
        for round_ in range(case.afford(3, "races", cost=RACERS + 2)):
            one_winner(case, store, KEY, store.put(KEY, Secret(f"round {round_}")), worker)

    def test_check_and_set_deletes_what_it_knows(self, case: Case) -> None:
        """Some put and some delete, all with the same version: one of them succeeds, so no new value is deleted."""
        store, worker = case.open(), case.worker()
        for round_ in range(case.afford(5, "races", cost=RACERS + 2)):
            version = store.put(KEY, Secret(f"round {round_}"))
            puts: dict[str, object] = {"act": "put", "items": {KEY: "new"}, "expect": version}
            deletions: dict[str, object] = {"act": "delete", "key": KEY, "expect": version}
            report = case.do(*[puts, deletions] * (RACERS // 2), worker=worker)
            put, deleted = len(report.of("put")), report.of("deleted").count(True)
            check(
                put + deleted == 1,
                f"with the same version {put} processes could put the item, and {deleted} could delete it",
            )
            check((store.get(KEY) is not None) == bool(put), "a put was acknowledged, and the item deleted with it")

    def test_check_and_set_counts_right(self, case: Case) -> None:
        """Several processes count up one item: no step is lost."""
        store = case.open()
        store.put(KEY, Secret("0"))
        times = case.afford(10, "steps of each process", cost=4 * RACERS)
        report = case.do(*[{"act": "increment", "key": KEY, "times": times}] * RACERS)
        found = int(item_of(store, KEY).value.reveal())
        check(found == times * RACERS, f"{RACERS} processes counted {times} steps each, and the item says {found}")
        numbers = report.of("counted")
        check(len(set(numbers)) == len(numbers), "two processes succeeded in the same step")
