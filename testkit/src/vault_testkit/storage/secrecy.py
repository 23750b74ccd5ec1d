"""No value is where another user can read it: not in files, in logs or in the arguments of other programs."""

from pathlib import Path

from vault_core.api import AtRest, Capability, Secret
from vault_testkit import canary
from vault_testkit.case import Case, check
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER
from vault_testkit.storage.durability import steps_of
from vault_testkit.storage.trouble import places
from vault_testkit.store_under_test import CORE, PASSPHRASE


class Secrecy(StoragePart):
    """A value that nothing else contains is put, and everything is searched for it: plain, Base64, hexadecimal…

    What the core puts over the backend is there, as it is for users.
    """

    part = "Secrecy"

    def test_secrecy_of_files(self, case: Case) -> None:
        values = [canary.make() for _ in range(3)]
        store = case.open(CORE)
        store.put(KEY, Secret(values[0]))
        store.put(KEY, Secret(values[1]))
        store.put(OTHER, Secret(values[2]))
        store.get(OTHER)
        store.delete(OTHER)
        store.close()
        self._nowhere(case, "after some puts and a delete", *values, PASSPHRASE)

    def test_secrecy_of_files_at_every_step(self, case: Case) -> None:
        """A put is killed before and after every call that leaves the process: what is there then reveals nothing,
        temporary files included."""
        value = canary.make()
        store, worker = case.open(CORE), case.worker()
        store.put(KEY, Secret("before"))
        task = {"act": "killed_at", "layer": CORE, "items": {KEY: value}, "warm": KEY}
        for step in case.sample(steps_of(case, worker, task), "steps to die at", cost=4, most=16):
            # Where a killed put leaves damage that is what Durability is for.
            case.do({**task, "step": step}, worker=worker, may_fail=True)
            self._nowhere(case, f"killed at step {step} of a put", value)

    def test_secrecy_of_what_is_told(self, case: Case) -> None:
        """In another process: objects, logs at the lowest level, both outputs, exceptions, and the arguments and
        variables of other programs."""
        value = canary.make()
        refused = ["absent"] if case.can(Capability.CREATE_ONLY) or case.can(Capability.CAS) else []
        worker = case.worker()
        report = case.do(
            {"act": "everything", "layer": CORE, "key": KEY, "value": value, "refused": refused}, worker=worker
        )
        worker.close()
        looks = "\n".join(report.of("looks"))
        check(not canary.is_in(looks, value), "the value is in what a store, an item or an exception looks like")
        for path, what in (
            (worker.stderr, "a log, standard output or standard error"),
            (case.target.root / "commands", "the arguments or the environment of another program"),
        ):
            check(not canary.holding([path], value), f"the value is in {what}")
            check(not canary.holding([path], PASSPHRASE), f"the passphrase is in {what}")
        self._nowhere(case, "after every operation in another process", value, PASSPHRASE)

    def _nowhere(self, case: Case, when: str, *values: str) -> None:
        __tracebackhide__ = True
        for value in values:
            found = canary.holding(self._searched(case), value)
            check(not found, f"{when}, a value can be read in {', '.join(found)}")

    def _searched(self, case: Case) -> list[Path]:
        where = places(case.target)
        if case.spec.at_rest is AtRest.SERVICE:  # how its service keeps it is the service's: what *we* leave counts
            return [*where]
        return [*where, case.target.root]
