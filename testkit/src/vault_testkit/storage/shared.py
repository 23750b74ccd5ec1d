"""Items that everybody with access to the store shares, where ``SHARED`` is declared."""

from __future__ import annotations

from vault_core.api import ABSENT, AtRest, Capability, Secret, StorageConflict
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, lists
from vault_testkit.trial import Trial, check, fail


class Shared(StoragePart):
    """A person's own items and the common ones are two stores in one."""

    part = "Shared"

    def test_shared_is_apart_from_own(self, trial: Trial) -> None:
        trial.needs(Capability.SHARED)
        check(trial.spec.at_rest is AtRest.SERVICE, "SHARED is only for at_rest=SERVICE")
        own, common = trial.common()
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
        holds(trial.common()[1], KEY, "common")

    def test_shared_names_are_taken_once(self, trial: Trial) -> None:
        trial.needs(Capability.SHARED)
        trial.needs(Capability.CREATE_ONLY, Capability.CAS)
        _, common = trial.common()
        common.put(KEY, Secret("first"), expect=ABSENT)
        try:
            trial.common()[1].put(KEY, Secret("second"), expect=ABSENT)
        except StorageConflict:
            holds(common, KEY, "first")
            return
        fail("put(expect=ABSENT) over a common item did not raise StorageConflict")

    def test_shared_items_are_deleted(self, trial: Trial) -> None:
        trial.needs(Capability.SHARED)
        own, common = trial.common()
        common.put(KEY, Secret("common"))
        check(own.delete(KEY) is False, "a person's own store deleted a common item")
        check(common.delete(KEY) is True, "delete() of a common item did not find it")
        lists(trial.common()[1], [])
