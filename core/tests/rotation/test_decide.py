"""The decision, over every combination of facts that matters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from vault_core.rotation.decide import ENDS, MOST_KEYS, SETTLED, Do, Facts, Signs, Step, may_start, next_step
from vault_core.rotation.journal import Entry

OLD, NEW, OTHER = "AKIAOLD", "AKIANEW", "AKIAOTHER"
NOW, GRACE = 1_800_000_000.0, 1000.0
BEGUN = Entry(old=OLD, user="alice", account="1", known=(OLD,), started=NOW - 5000)


def entries() -> Iterator[Entry | None]:
    yield None
    for leaked, revoke, new, deactivated, revoked in itertools.product(
        (False, True), (False, True), (None, NEW), (None, NOW - 1, NOW - 2000), (None, NOW - 1)
    ):
        created = NOW - 3000 if new else None
        made: dict[str, Any] = {"new": new, "created": created, "deactivated": deactivated, "revoked": revoked}
        yield Entry(old=OLD, user="alice", account="1", known=(OLD,), started=NOW, leaked=leaked, revoke=revoke, **made)


def listings() -> Iterator[dict[str, bool] | None]:
    yield None
    for keys in itertools.chain.from_iterable(itertools.combinations((OLD, NEW, OTHER), n) for n in range(3)):
        for active in itertools.product((False, True), repeat=len(keys)):
            yield dict(zip(keys, active, strict=True))


def all_facts() -> Iterator[Facts]:
    combinations: Any = itertools.product(
        entries(), listings(), (OLD, NEW, OTHER), Signs, *[(False, True)] * 2, (None, OTHER), *[(False, True)] * 3
    )
    for entry, listed, held, signs, leaked, finish, named, has_secret, proven, may in combinations:
        yield Facts(
            held=held,
            listed=listed,
            journal=entry,
            signs=signs,
            now=NOW,
            grace=GRACE,
            leaked=leaked,
            finish=finish,
            replace=named,
            has_secret=has_secret and entry is not None and entry.new is not None,
            proven=proven,
            may_start=may,
        )


def test_no_combination_of_facts_touches_a_key_that_must_stay() -> None:
    count = 0
    for facts in all_facts():
        count += 1
        step = next_step(facts)
        match step.do:
            case Do.DELETE | Do.DEACTIVATE:
                check_touched(facts, step)
            case Do.CREATE:
                assert facts.has_room
                assert facts.journal
                assert facts.journal.new is None
            case Do.STORE:
                assert facts.has_secret
                assert facts.journal
                assert facts.proven or (facts.journal.leaked and facts.journal.deactivated)
            case Do.CLOSE:
                assert facts.journal
                assert not facts.lists(facts.journal.old)
    assert count > 100_000


def check_touched(facts: Facts, step: Step) -> None:
    entry = facts.journal
    named = {entry.old, entry.new} if entry else set()
    # A key that the journal does not name: only if the user named it, and only to make room.
    assert step.key in named or (step.key == facts.replace and step.do is Do.DELETE and not facts.has_room), facts
    if step.key == facts.held:
        # The key in the vault: only the leaked one, and only if somebody else signs.
        assert entry
        assert entry.leaked
        assert step.key == entry.old
        assert facts.signs is not Signs.KEY
    elif step.key == OLD:
        # The old key: only if the vault holds another one that works, or has leaked itself.
        assert facts.proven or facts.leaked, facts
    elif step.key == NEW:
        # The new key: only if nobody has its secret, and the old one may still be active.
        assert entry
        assert not facts.has_secret, facts
        assert entry.leaked or entry.deactivated is None, facts


def facts(entry: Entry | None, held: str = OLD, **more: object) -> Facts:
    base = {"listed": {OLD: True}, "signs": Signs.KEY, "now": NOW, "grace": GRACE}
    return Facts(held=held, journal=entry, **(base | more))  # type: ignore[arg-type]  # fields by name


def waiting(ago: float, **more: object) -> Facts:
    entry = Entry(old=OLD, user="a", account="1", known=(OLD,), started=1, new=NEW, created=2.0, deactivated=NOW - ago)
    return facts(entry, NEW, **({"listed": {OLD: False, NEW: True}, "proven": True} | more))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (facts(None), Step(Do.START)),
        (facts(None, finish=True, may_start=False), Step(Do.END)),
        (facts(None, listed={OLD: True, OTHER: True}), Step(Do.CHOOSE)),
        (facts(None, listed={OLD: True, OTHER: False}), Step(Do.CHOOSE)),
        (facts(None, listed={OLD: True, OTHER: True}, replace=OTHER), Step(Do.START)),
        (facts(None, listed={OLD: True, OTHER: True}, leaked=True), Step(Do.START)),
        (facts(BEGUN), Step(Do.CREATE)),
        (facts(BEGUN, held=OTHER), Step(Do.FORGET)),
        (facts(BEGUN, leaked=True), Step(Do.MARK_LEAKED)),
        (waiting(GRACE - 1), Step(Do.END)),
        (waiting(GRACE), Step(Do.DELETE, OLD)),
        (waiting(1, finish=True), Step(Do.DELETE, OLD)),
        (waiting(1, leaked=True), Step(Do.DELETE, OLD)),
        (waiting(SETTLED + 1, listed={OLD: True, NEW: True}), Step(Do.ASK_REACTIVATED, OLD)),
        (waiting(GRACE, listed={OLD: True, NEW: True}), Step(Do.ASK_REACTIVATED, OLD)),
        (waiting(SETTLED, listed={OLD: True, NEW: True}), Step(Do.END)),
        (waiting(SETTLED + 1, listed={OLD: True, NEW: True}, finish=True), Step(Do.DELETE, OLD)),
        (waiting(GRACE, listed={NEW: True}), Step(Do.CLOSE)),
        (waiting(GRACE, gone={OLD}), Step(Do.CLOSE)),
        (waiting(1, proven=False), Step(Do.PROVE, NEW)),
        (replace(waiting(1), held=OLD), Step(Do.ASK_RESTORED, OLD)),
        (replace(waiting(SETTLED + 1, listed={OLD: True, NEW: True}), held=OLD), Step(Do.FORGET, OLD)),
    ],
)
def test_next_step_of_a_situation(given: Facts, wanted: Step) -> None:
    assert next_step(given) == wanted


LEAKED = replace(BEGUN, leaked=True, revoke=True, new=NEW, created=NOW - 9, deactivated=NOW - 8)


@pytest.mark.parametrize(
    ("signs", "listed", "wanted"),
    [
        (Signs.SESSION, {OLD: False, NEW: True}, Step(Do.DELETE, OLD)),
        (Signs.SESSION, {NEW: True}, Step(Do.REVOKE)),
        (Signs.KEY, {OLD: False, NEW: True}, Step(Do.REVOKE)),
        (Signs.ADMIN, {OLD: False, NEW: True}, Step(Do.REVOKE)),
    ],
)
def test_session_that_signs_is_revoked_after_its_last_call(signs: Signs, listed: dict[str, bool], wanted: Step) -> None:
    assert next_step(facts(LEAKED, NEW, signs=signs, listed=listed, proven=True)) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (facts(None), True),
        (facts(None, finish=True), False),
        (facts(BEGUN), False),
        (facts(BEGUN, held=OTHER), True),
        (waiting(1), True),
        (waiting(1, finish=True), False),
        (facts(BEGUN, leaked=True), False),
    ],
)
def test_run_that_resumes_begins_no_second_rotation(given: Facts, wanted: bool) -> None:
    assert may_start(given) is wanted


def test_ends_are_the_steps_that_do_nothing() -> None:
    assert {Do.CHOOSE, Do.ASK_REACTIVATED, Do.ASK_RESTORED, Do.END} == ENDS
    assert MOST_KEYS == 2
