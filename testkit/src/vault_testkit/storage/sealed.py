"""The core's sealing over a backend that leaves the encryption to it (``at_rest=CORE``)."""

from vault_core.api import AtRest, Capability, Secret, StorageCorrupt, WrongSecret
from vault_testkit.case import Case, check
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, lists, raises
from vault_testkit.store_under_test import CORE

_WHY = "the core seals only what is at_rest=CORE"


class Sealed(StoragePart):
    """What the core puts over the backend works on it."""

    part = "Sealed"

    def test_sealed_round_trip(self, case: Case) -> None:
        case.needs_at_rest(AtRest.CORE, because=_WHY)
        store = case.open(CORE)
        check(store.get(KEY) is None, "an empty sealed store has an item")
        values = ["x", " spaces around ", "long " * 400]
        for value in values:
            store.put(KEY, Secret(value))
            holds(store, KEY, value)
        store.put(OTHER, Secret("another"))
        holds(case.open(CORE), KEY, values[-1])
        lists(store, [KEY, OTHER])
        check(store.delete(KEY), "delete() of a sealed item did not find it")
        lists(case.open(CORE), [OTHER])

    def test_sealed_values_are_bound_to_their_keys(self, case: Case) -> None:
        """The backend exchanges two values: the core notices."""
        case.needs_at_rest(AtRest.CORE, because=_WHY)
        store, raw = case.open(CORE), case.open()
        if case.spec.max_value is not None:
            case.skip(f"{case.spec.name} keeps sealed values in parts")
        store.put(KEY, Secret("one"))
        store.put(OTHER, Secret("two"))
        exchanged = raw.get(OTHER)
        raw.put(KEY, exchanged.value if exchanged else Secret("lost"))
        raises(StorageCorrupt, lambda: store.get(KEY), "the value of another key was accepted")

    def test_sealed_asks_for_the_passphrase(self, case: Case) -> None:
        case.needs_at_rest(AtRest.CORE, because=_WHY)
        case.open(CORE).put(KEY, Secret("one"))
        other = case.open(CORE, target=case.target.locked("wrong"))
        raises(WrongSecret, lambda: other.get(KEY), "a sealed store opened with a wrong passphrase")

    def test_sealed_store_is_made_once(self, case: Case) -> None:
        """Several processes find nothing and make the store: all of them can read all of it."""
        case.needs_at_rest(AtRest.CORE, because=_WHY)
        case.needs(Capability.CREATE_ONLY | Capability.CAS)
        items = [{f"credentials/p{task}": f"of {task}"} for task in range(4)]
        case.do(*({"act": "put", "layer": CORE, "items": mine} for mine in items))
        store = case.open(CORE)
        for mine in items:
            for key, value in mine.items():
                holds(store, key, value)
