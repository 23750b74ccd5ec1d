"""What is told of slots, and from which cost on one is made anew."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import NoSecret, Secret, StorageUnavailable, WrongSecret
from vault_core.cli.slot import _opens_with as opens_with
from vault_core.keyslots import hints, replay
from vault_core.keyslots.manage import KeySlots, SlotSummary
from vault_core.keyslots.rekey import forget_kept
from vault_core.keyslots.service import StoreKeySlots
from vault_core.vlt.kdf import Argon2id, cost
from vault_core.vlt.recovery import same_group
from vault_core.vlt.slot import Slot
from vault_core.vlt.slot_table import SlotTable
from vault_testkit.context import FakeContext

STORE = bytes(16)
TODAY = Argon2id(memory=20_000, passes=3, lanes=1)


def slot(kind: str = "passphrase", number: int = 1, **further: Any) -> Any:
    head = {"id": f"{number:016x}", "type": kind, "label": "", **further}
    return Slot(head, bytes(32), bytes(48))


def argon2(memory: Any, passes: Any) -> Any:
    return {"alg": "argon2id", "m": memory, "t": passes, "p": 1, "salt": ""}


@pytest.mark.parametrize(
    ("kdf", "weak"),
    [
        (argon2(20_000, 3), False),
        (argon2(60_000, 1), False),
        (argon2(19_999, 3), True),
        (argon2(29_999, 2), True),
        (argon2(30_000, 2), False),
        ({"alg": "scrypt", "n": 2**10, "r": 8, "p": 1, "salt": ""}, False),
        ({"alg": "pbkdf2-sha256", "rounds": 1, "salt": ""}, False),
    ],
)
@pytest.mark.parametrize("able", [True, False])
def test_a_slot_is_made_anew_where_a_guess_costs_less_than_at_a_new_one(
    tmp_path: Path, kdf: Any, weak: Any, able: Any
) -> None:
    ctx = FakeContext(tmp_path, store="team")
    slots = StoreKeySlots(ctx, "it", cost=TODAY, upgrades=able)
    slots.note_opened(STORE, slot(kdf=kdf), Secret("p"))
    assert slots.upgrade_pending is (weak and able)
    assert [("passwd --backend team" in note, "next write" in note) for note in ctx.notes] == [(not able, able)] * weak
    slots.forget()
    assert not slots.upgrade_pending


def test_what_derivations_cost() -> None:
    assert cost(argon2(20_000, 3)) == 60_000
    assert cost({"alg": "scrypt", "n": 2**15, "r": 8, "p": 2}) == 3 * 2**15 * 2
    assert cost({"alg": "pbkdf2-sha256", "rounds": 600_003}) == 150_000
    assert cost({"alg": "none"}) == 0
    factors = [{"kdf": argon2(20_000, 3), "source": "a"}, {"kdf": {"alg": "none"}, "source": "b"}]
    assert slot("composite", factors=factors).cost == 60_000
    assert (slot("key", source="a").cost, slot("recovery").cost) == (0, 0)


@pytest.mark.parametrize(("store", "line"), [("", "awsv x"), ("file", "awsv x"), ("team", "awsv x --backend team")])
def test_a_command_names_the_store_where_it_is_another_than_the_usual_one(
    tmp_path: Path, store: Any, line: Any
) -> None:
    assert hints.on_store(FakeContext(tmp_path, store=store), "x") == line


@pytest.mark.parametrize(
    ("kinds", "hint"),
    [
        (("passphrase", "recovery"), "awsv passwd --recovery"),
        (("passphrase", "key"), "the only other way in is key slot 00000000 (ssm): check its sources"),
        (("passphrase", "passphrase"), "no other way in exists"),
    ],
)
def test_the_way_out(tmp_path: Path, kinds: Any, hint: Any) -> None:
    further = {"key": {"source": "ssm"}, "passphrase": {"kdf": argon2(1, 1)}, "recovery": {}}
    table = SlotTable(STORE, tuple(slot(kind, number, **further[kind]) for number, kind in enumerate(kinds)))
    assert hints.other_ways(FakeContext(tmp_path, store="file"), table).startswith(hint)


@pytest.mark.parametrize(
    ("typed", "good"),
    [("OIBA", True), ("oiba", True), ("018a", True), (" o-i b\ta ", True), ("OIBB", False), ("", False)],
)
def test_the_last_group_is_read_as_generously_as_a_key(typed: Any, good: Any) -> None:
    assert same_group(Secret("OIBA"), Secret(typed)) is good
    assert not same_group(Secret("OIBA"), Secret(b"\xff"))


def test_only_key_slots_have_keys_that_are_forgotten(tmp_path: Path) -> None:
    ctx = FakeContext(tmp_path)
    keys = [slot("key", number, source="ssm") for number in (1, 2)]
    table = SlotTable(STORE, (*keys, slot(kdf=argon2(1, 1), number=3)))
    for one in table.slots[:2]:
        ctx.keep("ssm", f"{STORE.hex()}/{one.id}", Secret("k"))
    forget_kept(ctx, table.store, (table.slots[0], table.slots[2]))
    assert list(ctx.kept) == [("ssm", f"{STORE.hex()}/{table.slots[1].id}")]


def test_what_one_source_said_is_not_repeated_for_another(tmp_path: Path) -> None:
    ctx = FakeContext(tmp_path, passphrases=["2"], factors={"ssm": ["1"]})
    recorder, again = replay.record_secrets(ctx)
    for source in ("ssm", None):
        recorder.unlock("k", lambda secret: secret, source=source)
    ctx.passphrases = [Secret("3")]
    recorder.unlock("k", lambda secret: secret)
    assert again.unlock("k", lambda secret: secret) == Secret("2")
    assert again.unlock("k", lambda secret: secret, source="ssm") == Secret("1")

    def second(secret: Any) -> Any:
        if secret != Secret("3"):
            raise WrongSecret("x")
        return secret

    assert again.unlock("k", second) == Secret("3")
    for factor in ("ssm", "other"):
        with pytest.raises(NoSecret):
            again.unlock("k", second, source=factor)


def test_the_list_tells_costs_and_no_salt(tmp_path: Path) -> None:
    factors = [{"kdf": argon2(2, 1), "source": "env"}, {"kdf": {"alg": "none"}, "source": "ssm"}]
    table = SlotTable(
        STORE, (slot(kdf=argon2(1, 1)), slot("composite", 2, factors=factors), slot("recovery", 3, label="safe"))
    )
    nothing: Any = None
    keeper: Any = SimpleNamespace(slots=lambda: table)
    context: Any = FakeContext(tmp_path, store="team")
    told = KeySlots(context, keeper, nothing, nothing).list()
    assert (told.store, told.recovery) == ("team", True)
    shown = {"alg": "argon2id", "m": 1, "t": 1, "p": 1}
    assert told.slots == [
        SlotSummary("0000000000000001", "passphrase", "", (), [shown]),
        SlotSummary("0000000000000002", "composite", "", ("env", "ssm"), [{**shown, "m": 2}, {"alg": "none"}]),
        SlotSummary("0000000000000003", "recovery", "safe", (), []),
    ]


@pytest.mark.parametrize(
    ("kind", "sources", "kdf", "told"),
    [
        ("passphrase", (), [{"alg": "argon2id", "m": 65536, "t": 3}], "a passphrase (argon2id, 64 MiB, 3 passes)"),
        ("passphrase", (), [{"alg": "scrypt", "n": 1}], "a passphrase (scrypt)"),
        ("key", ("keychain",), [], "a key that keychain keeps"),
        ("composite", ("prompt", "ssm"), [], "passphrases from prompt and ssm"),
        ("recovery", (), [], "the recovery key"),
    ],
)
def test_what_opens_a_slot_is_told(kind: str, sources: tuple[str, ...], kdf: list[Any], told: str) -> None:
    assert opens_with(SlotSummary("1", kind, "", sources, kdf)) == told


def test_a_store_that_is_not_there_has_no_slots(tmp_path: Path) -> None:
    nothing: Any = None
    context: Any = FakeContext(tmp_path, store="team")
    keeper: Any = SimpleNamespace(slots=lambda: None)
    with pytest.raises(StorageUnavailable):
        KeySlots(context, keeper, nothing, nothing).list()


def test_a_change_of_the_slots_forgets_the_derived_keys_of_that_store(tmp_path: Path) -> None:
    """The key of a slot that is gone would open the store once more in this process."""
    table, dek = SlotTable(STORE, (slot(),)), Secret("dek")
    nothing: Any = None
    context: Any = FakeContext(tmp_path, store="team")
    forgotten: list[str] = []

    def change_slots(change: Any, *, dek: Secret) -> None:
        assert change(table, dek) is table
        assert forgotten == []  # not before the store is written

    keeper: Any = SimpleNamespace(change_slots=change_slots)
    KeySlots(context, keeper, nothing, forgotten.append).change(lambda found, _: found, dek)
    assert forgotten == [f"{STORE.hex()}/"]
