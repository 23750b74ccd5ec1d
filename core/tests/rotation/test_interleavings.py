"""Killed, refused, or without the reply at every point: a rotation never loses a key, and the next run ends clean."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from support.rotation_simulation import GRACE, SimulatedAws, Trouble, World, run
from support.security import DEEP
from vault_core.api import CallerIdentity, Credentials, Secret
from vault_core.errors import PartlyDone, SessionError, StorageConflict, StorageError, VaultError
from vault_core.rotation.decide import Signs
from vault_core.rotation.place import Rotated, Wishes

HOWS = ("kill-before", "kill-after", "refuse", "deny", "lose")
STRIDE = 1 if DEEP else 4
NORMAL = Wishes(grace=GRACE)
FINISH = Wishes(grace=GRACE, finish=True)
LEAKED = Wishes(grace=GRACE, leaked=True, revoke=True)
WORLDS: list[dict[str, Any]] = [
    {},
    {"delay": 8.0},
    {"stale": True},
    {"remote": True},
    {"delay": 8.0, "stale": True, "remote": True},
]
ids = [",".join(world) or "plain" for world in WORLDS]


def fresh(clock: Callable[[Any], Any], **kind: Any) -> tuple[World, str]:
    world: World = clock(World(**kind))
    old = world.make()
    world.now += 100 * 86400
    world.store(old)
    return world, old.access_key_id


def points(clock: Callable[[Any], Any], wishes: Wishes, signs: Signs, kind: Any) -> int:
    world, _ = fresh(clock, **kind)
    assert isinstance(run(world, wishes, signs), Rotated)
    return len(world.points)


def settle(world: World, wishes: Wishes, signs: Signs) -> Rotated:
    """Repeat the command until it ends clean: at most twice, and once more with the key that it names."""
    for _ in range(4):
        outcome = run(world, wishes, signs)
        if isinstance(outcome, PartlyDone):
            [foreign] = [key for key in world.keys if key in (outcome.hint or "")]
            outcome = run(world, Wishes(grace=GRACE, leaked=wishes.leaked, replace=foreign), signs)
        if isinstance(outcome, Rotated):
            return outcome
        world.now += 61
    raise AssertionError(outcome)


def normal_promise(world: World) -> None:
    assert world.held_works
    assert len(world.keys) <= 2


def single(count: int) -> Iterator[Trouble]:
    return (Trouble(point, how) for point in range(count + 2) for how in HOWS)


@pytest.mark.parametrize("signs", [Signs.KEY, Signs.SESSION, Signs.ADMIN])
@pytest.mark.parametrize("kind", WORLDS, ids=ids)
def test_normal_rotation_keeps_a_working_key_whatever_happens(
    signs: Signs, kind: Any, clock: Callable[[Any], Any]
) -> None:
    for trouble in single(points(clock, NORMAL, signs, kind)):
        world, old = fresh(clock, **kind)
        world.after_each = lambda world=world: normal_promise(world)  # type: ignore[misc]  # binds the loop's world
        run(world, NORMAL, signs, trouble)
        normal_promise(world)
        world.now += 61
        outcome = settle(world, NORMAL, signs)
        assert outcome.new == world.stored[0] != old, trouble
        assert world.held_works
        assert {key: state.active for key, state in world.keys.items()} == {old: False, outcome.new: True}, trouble
        world.now += GRACE + 61
        assert isinstance(run(world, FINISH, signs), Rotated)
        assert set(world.keys) == {world.stored[0]}
        assert world.entry is None
        assert world.dead_signatures == 0


@pytest.mark.parametrize("signs", [Signs.KEY, Signs.SESSION, Signs.ADMIN])
@pytest.mark.parametrize("kind", WORLDS, ids=ids)
def test_leaked_key_is_never_active_again(signs: Signs, kind: Any, clock: Callable[[Any], Any]) -> None:
    for trouble in single(points(clock, LEAKED, signs, kind)):
        world, old = fresh(clock, **kind)
        dead = False

        def promise(world: World = world, old: str = old, trouble: Trouble = trouble) -> None:
            nonlocal dead
            active = old in world.keys and world.keys[old].active
            assert not (dead and active), trouble
            dead = dead or not active

        world.after_each = promise
        run(world, LEAKED, signs, trouble)
        promise()
        world.now += 61
        again = LEAKED if world.entry is None or world.entry.leaked or world.stored[0] == old else NORMAL
        settle(world, again, signs)
        promise()
        assert dead
        assert old not in world.keys
        # An administrator needs no room for the leaked key, so nobody was asked about a key whose reply was lost.
        assert len(world.keys) <= (2 if signs is Signs.ADMIN else 1), trouble
        assert world.held_works
        assert world.entry is None
        assert world.dead_signatures == 0, trouble
        assert world.revoked >= 1


@pytest.mark.parametrize("signs", [Signs.SESSION, Signs.ADMIN])
def test_leaked_key_is_deactivated_before_a_new_one_is_made(signs: Signs, clock: Callable[[Any], Any]) -> None:
    world, _ = fresh(clock)
    run(world, LEAKED, signs)
    assert world.points.index("UpdateAccessKey") < world.points.index("CreateAccessKey") < world.points.index("put")
    if signs is Signs.ADMIN:
        assert world.points.index("PutUserPolicy") < world.points.index("CreateAccessKey")


def test_leaked_key_that_signs_is_deactivated_right_after_the_store(clock: Callable[[Any], Any]) -> None:
    world, _ = fresh(clock)
    run(world, LEAKED, Signs.KEY)
    put = world.points.index("put")
    assert world.points[:put].count("GetCallerIdentity") == 2  # the old key's, and the proof of the new one
    assert next(name for name in world.points[put + 1 :] if name[0].isupper()) == "UpdateAccessKey"


@pytest.mark.parametrize("signs", [Signs.KEY, Signs.ADMIN])
@pytest.mark.parametrize("wishes", [NORMAL, LEAKED], ids=["normal", "leaked"])
def test_foreign_key_made_at_any_point_is_never_touched_unasked(
    signs: Signs, wishes: Wishes, clock: Callable[[Any], Any]
) -> None:
    for point, trouble in itertools.product(range(20), [None, *(Trouble(at, "lose") for at in range(0, 14, STRIDE))]):
        world, old = fresh(clock)
        made: list[Credentials] = []

        def somebody(world: World = world, made: list[Credentials] = made) -> None:
            if len(world.keys) < 2:
                made.append(world.make(foreign=True))

        world.at[point] = somebody
        outcome = run(world, wishes, signs, trouble)
        world.at.clear()
        world.now += 61
        for _ in range(3):
            foreign = {key.access_key_id for key in made}
            assert foreign <= {key for key, state in world.keys.items() if state.active}, (point, trouble)
            assert wishes.leaked or world.held_works
            if isinstance(outcome, PartlyDone) and "as many as AWS allows" in outcome.message:
                assert {key for key in world.keys if key in outcome.message} == set(world.keys)
            outcome = run(world, wishes if old == world.stored[0] else NORMAL, signs)
        assert isinstance(outcome, VaultError | Rotated)


@pytest.mark.parametrize("signs", [Signs.KEY, Signs.SESSION, Signs.ADMIN])
@pytest.mark.parametrize("wishes", [NORMAL, LEAKED], ids=["normal", "leaked"])
def test_two_troubles_in_a_row(signs: Signs, wishes: Wishes, clock: Callable[[Any], Any]) -> None:
    """The run that resumes is itself killed, refused or without a reply."""
    step = 1 if DEEP else 31  # no divisor of the number of kinds: each kind occurs
    for first, second in itertools.islice(itertools.product(single(14), single(14)), None, None, step):
        world, old = fresh(clock, delay=2.0, stale=True)
        for trouble in (first, second):
            run(world, wishes, signs, trouble)
            world.now += 61
            assert wishes.leaked or world.held_works
        again = wishes if not wishes.leaked or world.entry or world.stored[0] == old else NORMAL
        settle(world, again, signs)
        assert world.held_works, (first, second)
        assert len(world.keys) <= 2
        if wishes.leaked:
            assert old not in world.keys
        assert world.dead_signatures == 0


def test_store_that_is_restored_never_costs_the_only_active_key(clock: Callable[[Any], Any]) -> None:
    """The vault holds the old key again, which is inactive; the new one is the only one that works."""
    for signs in (Signs.SESSION, Signs.ADMIN):
        world, old = fresh(clock)
        before = world.stored
        outcome = run(world, NORMAL, signs)
        assert isinstance(outcome, Rotated)
        new, world.stored = world.stored, before
        world.session = new[0]  # used meanwhile: without a session, nothing of the user can sign
        outcome = run(world, NORMAL, signs)
        assert isinstance(outcome, PartlyDone)
        assert new[0] in (outcome.hint or "")
        assert {key: state.active for key, state in world.keys.items()} == {old: False, new[0]: True}


@pytest.mark.parametrize("signs", [Signs.KEY, Signs.SESSION, Signs.ADMIN])
@pytest.mark.parametrize("how", ["late", "late-killed"])
def test_write_that_a_server_carries_out_late_costs_no_key(how: str, signs: Signs, clock: Callable[[Any], Any]) -> None:
    """The store says that the write failed, and shows the old key; the write would land after the new key is gone."""
    world, _ = fresh(clock, remote=True)
    run(world, NORMAL, signs)
    put = world.points.index("put")
    world, old = fresh(clock, remote=True)
    run(world, NORMAL, signs, Trouble(put, how))
    assert world.late is not None
    assert (world.stored[0], world.held_works) == (old, True)
    settle(world, NORMAL, signs)
    assert world.held_works


def test_new_key_that_iam_accepts_later_than_sts_is_waited_for(clock: Callable[[Any], Any]) -> None:
    world, old = fresh(clock, delay=2.0, iam_delay=9.0)
    assert isinstance(run(world, NORMAL, Signs.KEY), Rotated)
    assert {key: state.active for key, state in world.keys.items()} == {old: False, world.stored[0]: True}


EVERY = pytest.mark.parametrize("signs", [Signs.KEY, Signs.SESSION, Signs.ADMIN])


@EVERY
def test_store_that_returns_another_secret_costs_no_key(
    signs: Signs, clock: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, old = fresh(clock)

    def mangled(key: Credentials) -> None:
        world.stored, world.version = (key.access_key_id, "cut off"), world.version + 1

    monkeypatch.setattr(world, "store", mangled)
    outcome = run(world, NORMAL, signs)
    assert isinstance(outcome, StorageError)
    assert "does not return the key that was put into it" in outcome.message
    assert {key: state.active for key, state in world.keys.items()} == {old: True}


@EVERY
def test_new_key_of_another_user_is_not_stored(
    signs: Signs, clock: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, old = fresh(clock)
    identify = SimulatedAws.identify

    def identified(aws: SimulatedAws, source: Credentials) -> CallerIdentity:
        found = identify(aws, source)
        of_new = source.session_token is None and source.access_key_id != old
        return replace(found, arn=found.arn.replace("alice", "bob")) if of_new else found

    monkeypatch.setattr(SimulatedAws, "identify", identified)
    outcome = run(world, NORMAL, signs)
    assert isinstance(outcome, SessionError)
    assert "is a key of user bob" in outcome.message
    assert {key: state.active for key, state in world.keys.items()} == {old: True}
    assert world.stored[0] == old


@EVERY
def test_key_that_another_process_stores_meanwhile_is_not_overwritten(
    signs: Signs, clock: Callable[[Any], Any]
) -> None:
    theirs = Credentials(access_key_id="AKIATHEIRS", secret_access_key=Secret("theirs"))
    world, _ = fresh(clock)
    run(world, NORMAL, signs)
    for point in range(world.points.index("CreateAccessKey"), world.points.index("put") + 1):
        world, old = fresh(clock)
        world.at[point] = partial(world.store, theirs)
        assert isinstance(run(world, NORMAL, signs), StorageConflict), point
        assert world.stored == ("AKIATHEIRS", "theirs")
        assert {key: state.active for key, state in world.keys.items()} == {old: True}
