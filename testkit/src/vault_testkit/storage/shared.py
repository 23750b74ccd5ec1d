"""Items that everybody with access to the store shares, where ``SHARED`` is declared."""

from functools import partial

from vault_core.api import ABSENT, AtRest, Capability, Secret
from vault_testkit.case import Case, check
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, lists
from vault_testkit.storage.conditions import refused


class Shared(StoragePart):
    """A person's own items and the common ones are two stores in one."""

    part = "Shared"
    needs = Capability.SHARED

    def test_shared_is_apart_from_own(self, case: Case) -> None:
        check(case.spec.at_rest is AtRest.SERVICE, "SHARED is only for at_rest=SERVICE")
        own, common = case.common()
        own.put(KEY, Secret("own"))
        lists(common, [])
        common.put(KEY, Secret("common"))
        common.put(OTHER, Secret("another"))
        holds(own, KEY, "own")
        holds(common, KEY, "common")
        lists(own, [KEY])
        lists(common, [KEY, OTHER])
        check(own.get(OTHER) is None, "a common item is among the person's own")
        own.delete(KEY)
        holds(case.common()[1], KEY, "common")

    def test_shared_names_are_taken_once(self, case: Case) -> None:
        case.needs(Capability.CREATE_ONLY | Capability.CAS)
        _, common = case.common()
        common.put(KEY, Secret("first"), expect=ABSENT)
        refused(partial(case.common()[1].put, KEY, Secret("second"), expect=ABSENT), "put(expect=ABSENT) over an item")
        holds(common, KEY, "first")

    def test_shared_items_are_deleted(self, case: Case) -> None:
        own, common = case.common()
        common.put(KEY, Secret("common"))
        check(own.delete(KEY) is False, "a person's own store deleted a common item")
        check(common.delete(KEY) is True, "delete() of a common item did not find it")
        lists(case.common()[1], [])
