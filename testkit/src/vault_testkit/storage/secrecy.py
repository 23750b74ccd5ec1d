"""No value is where somebody else can read it: not in files, not in logs, not in what other programs are told."""

from __future__ import annotations

from pathlib import Path

from vault_core.api import AtRest, Capability, Secret
from vault_testkit import canary
from vault_testkit.part import StoragePart
from vault_testkit.place import CORE, PASSPHRASE
from vault_testkit.storage.basic import KEY, OTHER
from vault_testkit.storage.durability import steps_of
from vault_testkit.storage.trouble import places
from vault_testkit.trial import Trial, check


class Secrecy(StoragePart):
    """A value that nothing else contains is put, and everything is searched for it: plain, Base64, hexadecimal…

    What the core puts over the backend is there, as it is for users.
    """

    part = "Secrecy"

    def test_secrecy_of_files(self, trial: Trial) -> None:
        values = [canary.make() for _ in range(3)]
        store = trial.open(CORE)
        store.put(KEY, Secret(values[0]))
        store.put(KEY, Secret(values[1]))
        store.put(OTHER, Secret(values[2]))
        store.get(OTHER)
        store.delete(OTHER)
        store.close()
        self._nowhere(trial, "after some puts and a delete", *values, PASSPHRASE)

    def test_secrecy_of_files_at_every_step(self, trial: Trial) -> None:
        """A put is killed before and after every call that leaves the process: what lies there then tells nothing,
        temporary files included."""
        value = canary.make()
        store, worker = trial.open(CORE), trial.worker()
        store.put(KEY, Secret("before"))
        task = {"act": "killed_at", "layer": CORE, "items": {KEY: value}, "warm": KEY}
        for step in trial.sample(steps_of(trial, worker, task), "steps to die at", cost=4, most=16):
            # Where a killed put leaves damage that is what Durability is for.
            trial.do({**task, "step": step}, worker=worker, may_fail=True)
            self._nowhere(trial, f"killed at step {step} of a put", value)

    def test_secrecy_of_what_is_told(self, trial: Trial) -> None:
        """In another process: objects, logs at the lowest level, both outputs, exceptions, and the arguments and
        variables of other programs."""
        value = canary.make()
        refused = ["absent"] if trial.can(Capability.CREATE_ONLY) or trial.can(Capability.CAS) else []
        worker = trial.worker()
        told = trial.do(
            {"act": "everything", "layer": CORE, "key": KEY, "value": value, "refused": refused}, worker=worker
        )
        worker.close()
        looks = "\n".join(told.of("looks"))
        check(not canary.is_in(looks, value), "the value is in what a store, an item or an exception looks like")
        for path, what in (
            (worker.stderr, "a log, standard output or standard error"),
            (trial.place.root / "commands", "the arguments or the environment of another program"),
        ):
            check(not canary.holding([path], value), f"the value is in {what}")
            check(not canary.holding([path], PASSPHRASE), f"the passphrase is in {what}")
        self._nowhere(trial, "after every operation in another process", value, PASSPHRASE)

    def _nowhere(self, trial: Trial, when: str, *values: str) -> None:
        __tracebackhide__ = True
        for value in values:
            found = canary.holding(self._searched(trial), value)
            check(not found, f"{when}, a value can be read in {', '.join(found)}")

    def _searched(self, trial: Trial) -> list[Path]:
        where = places(trial.place)
        if trial.spec.at_rest is AtRest.SERVICE:  # how its service keeps it is the service's: what *we* leave counts
            return [*where]
        return [*where, trial.place.root]
