"""What was acknowledged survives kill -9; what was not is there whole or not at all."""

import random
from typing import Any

from vault_core.api import Secret, VaultError
from vault_testkit.case import Case, check, fail
from vault_testkit.children import Worker
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, item_of, lists, shown
from vault_testkit.store_under_test import CORE

KILLED = -9


def steps_of(case: Case, worker: Worker, task: dict[str, Any]) -> int:
    """How many steps the task has at which it can be killed."""
    __tracebackhide__ = True
    steps: int = case.do({**task, "step": 0}, worker=worker).of("steps")[0]
    return steps


class Durability(StoragePart):
    """A process that writes is killed with SIGKILL; another one looks at what it left."""

    part = "Durability"

    def test_durability_of_what_was_acknowledged(self, case: Case) -> None:
        """A process that dies without closing the store has stored every value whose put returned."""
        case.open().put(OTHER, Secret("from before"))
        task = {"act": "put_and_die", "items": {KEY: "acknowledged", "seeds/one": "too"}}
        report = case.do(task)
        check(report.of("put") == [KEY, "seeds/one"], "the process did not get as far as its death")
        store = case.open()
        for key, value in ((KEY, "acknowledged"), ("seeds/one", "too"), (OTHER, "from before")):
            item = store.get(key)
            check(item is not None, f"a put of {key!r} was acknowledged, the process killed, and the item is lost")
            holds(store, key, value)

    def test_durability_at_every_step(self, case: Case) -> None:
        """Killed before and after every call that leaves the process: the old value or the new one, whole."""
        old, new = "the old value, which is longer than the new one" * 3, "the new value"
        store, worker = case.open(), case.worker()
        store.put(OTHER, Secret("another"))
        store.put(KEY, Secret(old))
        task = {"act": "killed_at", "items": {KEY: new}, "warm": KEY}
        for step in case.sample(steps_of(case, worker, task), "steps to die at", cost=6):
            store.put(KEY, Secret(old))
            case.do({**task, "step": step}, worker=worker)
            self._whole(case, {old, new}, f"at step {step} of a put")

    def test_durability_of_the_first_put(self, case: Case) -> None:
        """Killed while it makes the store: nothing or the item, and the next put works."""
        worker = case.worker()
        task = {"act": "killed_at", "layer": CORE, "items": {KEY: "first"}}
        steps = steps_of(case, worker, task)
        for number, step in enumerate(case.sample(steps, "steps to die at", cost=6, most=6)):
            case.open(CORE).delete(KEY)
            case.do({**task, "step": step}, worker=worker)
            store = case.open(CORE)
            item = store.get(KEY)
            check(item is None or item.value == Secret("first"), f"killed at step {step} of a put it left half an item")
            store.put(OTHER, Secret(f"after it {number}"))
            holds(store, OTHER, f"after it {number}")

    def test_durability_of_a_deletion(self, case: Case) -> None:
        """Killed while it deletes: the item is there whole, or gone."""
        store, worker = case.open(), case.worker()
        store.put(OTHER, Secret("another"))
        store.put(KEY, Secret("value"))
        task = {"act": "killed_at", "delete": KEY, "warm": KEY}
        for step in case.sample(steps_of(case, worker, task), "steps to die at", cost=6, most=12):
            store.put(KEY, Secret("value"))
            case.do({**task, "step": step}, worker=worker)
            now = case.open()
            item = now.get(KEY)
            check(item is None or item.value == Secret("value"), f"killed at step {step} of a delete it left half")
            lists(now, [OTHER] if item is None else [KEY, OTHER])
            holds(now, OTHER, "another")

    def test_durability_at_any_moment(self, case: Case) -> None:
        """Killed at random moments while it writes one value after the other: none that it reported is lost."""
        chance = random.Random(case.target.prefix)  # noqa: S311 - the moment is not secret
        store, worker = case.open(), case.worker()
        store.put(OTHER, Secret("another"))
        filler = "x" * min(500, (case.spec.max_value or 500) - 20)
        for _ in range(case.afford(10, "deaths", cost=12, least=2)):
            store.put(KEY, Secret(f"{filler}#-1"))
            task = {"act": "put_on", "key": KEY, "value": filler, "warm": KEY}
            report = case.do({**task, "kill_after": chance.uniform(0.0, 0.03)}, worker=worker)
            check(report.codes == [KILLED], f"the process was to be killed, and ended with {report.codes}")
            acknowledged = max(report.of("put"), default=-1)
            allowed = {f"{filler}#{number}" for number in (acknowledged, acknowledged + 1)}
            self._whole(case, allowed, f"after put {acknowledged} was acknowledged")

    def _whole(self, case: Case, allowed: set[str], when: str) -> None:
        __tracebackhide__ = True
        try:
            self._look(case, allowed, when)
        except VaultError as error:
            fail(f"killed {when}, the store cannot be used: {type(error).__name__}: {error}")

    def _look(self, case: Case, allowed: set[str], when: str) -> None:
        __tracebackhide__ = True
        store = case.open()
        check(store.get(KEY) is not None, f"killed {when}, the item is gone: neither the old value nor the new one")
        found = item_of(store, KEY).value
        check(found.reveal_text() in allowed, f"killed {when}, the item is neither old nor new: {shown(found)}")
        lists(store, [KEY, OTHER])
        holds(store, OTHER, "another")
        store.put(OTHER, Secret("another"))
