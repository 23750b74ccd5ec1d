"""S15: every type of slot, made and opened; which one is asked of whom; and what the loser is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vault_core import vlt
from vault_core.api import (
    NoSecret,
    PassphraseError,
    Secret,
    SourceUnavailable,
    StorageConflict,
    StorageDenied,
    StorageError,
    StorageLocked,
    WrongSecret,
)
from vault_core.errors import PluginError, UsageError
from vault_core.keyslots import new_slot, sources, unlock
from vault_core.keyslots.rekey import forget_kept, rekey
from vault_core.vlt import recovery
from vault_core.vlt.kdf import NO_KDF, Argon2id
from vault_core.vlt.slot_table import MAX_SLOTS, SlotTable
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S15")

CHEAP = Argon2id(memory=19_456, passes=2, lanes=1)
SCRYPT = {"alg": "scrypt", "n": 2**15, "p": 3, "r": 8, "salt": vlt.to_base64(bytes(range(16)))}
PBKDF2 = {"alg": "pbkdf2-sha256", "rounds": 600_000, "salt": vlt.to_base64(bytes(range(16)))}
WHERE = "/the/store"


@pytest.fixture
def made(tmp_path: Path) -> Any:
    return new_slot.table(FakeContext(tmp_path, passphrases=["right"]))


@pytest.fixture
def nobody(tmp_path: Path) -> Any:
    """Nobody says anything here."""
    return FakeContext(tmp_path)


def saying(secrets: Any) -> Any:
    """Whoever chooses a secret says these: by source, None being the person."""
    return lambda _key_id, derive, source: derive(Secret(secrets[source]))


def only(table: Any, new: Any, dek: Any) -> Any:
    """A table with this one slot."""
    return SlotTable(table.store, (new.wrap(dek),))


def both(table: Any, dek: Any, secrets: Any) -> Any:
    return only(table, new_slot.composite(table.store, saying(secrets), list(secrets), cost=CHEAP), dek)


# -- passphrases -------------------------------------------------------------------------------------------------------


def test_a_second_passphrase(made: Any, tmp_path: Path) -> None:
    table, dek = made
    new = new_slot.passphrase(table.store, saying({None: "second"}), cost=CHEAP, label="büro")
    table = table.add(dek, new)
    assert [(slot.type, slot.label) for slot in table.slots] == [("passphrase", ""), ("passphrase", "büro")]
    for number, passphrase in enumerate(("right", "second")):
        slot, opened = unlock.open_by_passphrase(FakeContext(tmp_path, passphrases=[passphrase]), table, WHERE)
        assert (slot, opened) == (table.slots[number], dek)


@pytest.mark.parametrize("kdf", [SCRYPT, PBKDF2], ids=lambda kdf: kdf["alg"])
def test_other_derivations_open(made: Any, tmp_path: Path, independent: Any, kdf: Any) -> None:
    table, dek = made
    slot = independent.make_slot(table.store, dek.reveal(), "pässword", type="passphrase", kdf=kdf)
    table = SlotTable.parse(vlt.to_base64(table.store), [slot])
    assert unlock.open_table(FakeContext(tmp_path, passphrases=["wrong", "pa\u0308ssword"]), table, WHERE) == dek
    with pytest.raises(WrongSecret):
        unlock.open_table(FakeContext(tmp_path, passphrases=["wrong"]), table, WHERE)


# -- keys that a source keeps ------------------------------------------------------------------------------------------


def test_a_kept_key_opens_and_nobody_is_asked(made: Any, nobody: Any, independent: Any) -> None:
    table, dek = made
    new = new_slot.key(table.store, nobody, "keychain", label="laptop")
    table = table.add(dek, new)
    assert unlock.open_table(nobody, table, WHERE) == dek
    assert nobody.unlocked == [f"{table.store.hex()}/{new.id}"]
    (((kept_by, key_id), text),) = nobody.kept.items()
    assert (kept_by, key_id) == ("keychain", f"{table.store.hex()}/{new.id}")
    assert independent.open_slots(table.store, [table.slots[1].to_json()], "key", text.reveal_text()) == dek.reveal()
    forget_kept(nobody, table.store, table.slots)
    assert nobody.kept == {}


@pytest.mark.parametrize("delivered", ["no base64!", vlt.to_base64(bytes(31)), vlt.to_base64(bytes(32)), ""])
def test_a_kept_key_that_is_wrong_or_none_is_passed_over(made: Any, tmp_path: Path, delivered: Any) -> None:
    table, dek = made
    ctx = FakeContext(tmp_path, passphrases=["right"])
    table = table.add(dek, new_slot.key(table.store, ctx, "keychain"))
    ctx.kept = dict.fromkeys(ctx.kept, Secret(delivered))
    assert unlock.open_table(ctx, table, WHERE) == dek
    assert ctx.notes == []
    ctx.passphrases = [Secret("wrong")]
    with pytest.raises(WrongSecret):
        unlock.open_table(ctx, table, WHERE)
    assert [note for note in ctx.notes if "key slot" in note and "(keychain) did not open" in note] == ctx.notes != []


def test_a_source_that_is_locked_is_told_before_the_passphrase_is_asked_for_and_once(made: Any, tmp_path: Path) -> None:
    class Locked(FakeContext):
        def unlock(self, key_id: Any, derive: Any, *, source: Any = None, **how: Any) -> Any:
            if source:
                raise SourceUnavailable("it is locked")
            self.notes.append("asked")
            return super().unlock(key_id, derive, **how)

    table, dek = made
    ctx = Locked(tmp_path, passphrases=["right"])
    table = table.add(dek, new_slot.key(table.store, ctx, "keychain"))
    assert unlock.open_table(ctx, table, WHERE) == dek
    told = f"{table.slots[1].describe()} did not open: it is locked"
    assert ctx.notes == [told, "asked"]
    ctx.passphrases, ctx.notes = [], []
    with pytest.raises(NoSecret):
        unlock.open_table(ctx, table, WHERE)
    assert ctx.notes == [told, "asked"]
    ctx.notes = []
    with pytest.raises(NoSecret, match="it is locked"):
        unlock.open_table(ctx, table.remove(table.slots[0].id), WHERE)
    assert ctx.notes == []


def test_only_a_kept_key_and_it_is_gone(made: Any, nobody: Any) -> None:
    table, dek = made
    table = only(table, new_slot.key(table.store, nobody, "keychain"), dek)
    nobody.kept.clear()
    sources.remember(nobody, table)
    with pytest.raises(NoSecret, match=r"nothing opens /the/store: key slot .* \(keychain\) did not open") as caught:
        unlock.open_table(nobody, table, WHERE)
    assert caught.value.exit_code == 5
    with pytest.raises(StorageLocked, match="no slot that a passphrase alone opens"):
        unlock.open_by_passphrase(nobody, table, WHERE)


# -- composite ---------------------------------------------------------------------------------------------------------

FACTORS = {"ssm": "of the service", "prompt": "of the person"}


def test_all_factors_open(made: Any, tmp_path: Path, independent: Any) -> None:
    table, dek = both(made[0], made[1], FACTORS), made[1]
    ctx = FakeContext(tmp_path, factors={name: [text] for name, text in FACTORS.items()})
    assert unlock.open_table(ctx, table, WHERE) == dek
    base = f"{table.store.hex()}/{table.slots[0].id}"
    assert ctx.unlocked == [f"{base}/ssm", base]
    slots = table.to_json()["slots"]
    assert independent.open_slots(table.store, slots, "composite", FACTORS) == dek.reveal()


@pytest.mark.parametrize("wrong", FACTORS)
def test_one_factor_wrong(made: Any, tmp_path: Path, independent: Any, wrong: Any) -> None:
    table = both(made[0], made[1], FACTORS)
    said = {name: [f"not {text}" if name == wrong else text] for name, text in FACTORS.items()}
    with pytest.raises(WrongSecret, match=r"one of its 2 factors is wrong"):
        unlock.open_table(FakeContext(tmp_path, factors=said), table, WHERE)
    with pytest.raises(independent.Wrong):
        independent.open_slots(table.store, table.to_json()["slots"], "composite", {n: t[0] for n, t in said.items()})


@pytest.mark.parametrize("missing", FACTORS)
def test_one_factor_missing(made: Any, tmp_path: Path, missing: Any) -> None:
    table = both(made[0], made[1], FACTORS)
    said = {name: [text] for name, text in FACTORS.items() if name != missing}
    with pytest.raises(NoSecret, match="composite slot"):
        unlock.open_table(FakeContext(tmp_path, factors=said), table, WHERE)


def test_exchanged_factors_do_not_open(made: Any, tmp_path: Path) -> None:
    table = both(made[0], made[1], FACTORS)
    said = {"ssm": [FACTORS["prompt"]], "prompt": [FACTORS["ssm"]]}
    with pytest.raises(WrongSecret):
        unlock.open_table(FakeContext(tmp_path, factors=said), table, WHERE)


def test_a_person_who_was_asked_again_is_asked_no_more(made: Any, tmp_path: Path) -> None:
    table, dek = made
    new = new_slot.composite(table.store, saying(FACTORS), list(FACTORS), cost=CHEAP)
    said = {"ssm": [FACTORS["ssm"]], "prompt": ["one", "two", "three"]}
    ctx = FakeContext(tmp_path, passphrases=["right"], factors=said)
    with pytest.raises(PassphraseError, match="one of its 2 factors") as caught:
        unlock.open_table(ctx, table.add(dek, new), WHERE)
    assert "composite slot" in (caught.value.hint or "")
    ctx.factors["prompt"].append(Secret(FACTORS["prompt"]))
    assert unlock.open_table(ctx, table.add(dek, new), WHERE) == dek


def test_a_factor_that_is_not_stretched_is_asked_first(made: Any, tmp_path: Path, independent: Any) -> None:
    table, dek = made
    factors = [{"kdf": CHEAP.to_json(), "source": "prompt"}, {"kdf": dict(NO_KDF), "source": "ssm"}]
    slot = independent.make_slot(table.store, dek.reveal(), FACTORS, type="composite", factors=factors)
    table = SlotTable.parse(vlt.to_base64(table.store), [slot])
    ctx = FakeContext(tmp_path, factors={name: [text] for name, text in FACTORS.items()})
    assert unlock.open_table(ctx, table, WHERE) == dek
    assert ctx.unlocked[0].endswith("/ssm")


@pytest.mark.parametrize("sources", [["one"], ["one", "one"], ["a", "b", "c", "d", "e"]])
def test_the_number_of_factors(made: Any, sources: Any) -> None:
    with pytest.raises(UsageError, match="2 to 4 different sources"):
        new_slot.composite(made[0].store, saying({}), sources, cost=CHEAP)


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_a_recovery_key_opens_only_where_it_is_asked_for(made: Any, nobody: Any, independent: Any) -> None:
    table, dek = made
    new, text = new_slot.recovery(table.store)
    table = only(table, new, dek)
    slot, opened = table.open_by_recovery(text, WHERE)
    assert (slot, opened) == (table.slots[0], dek)
    assert independent.open_slots(table.store, [slot.to_json()], "recovery", text.reveal_text()) == dek.reveal()
    with pytest.raises(StorageLocked, match="opens only with its recovery key") as caught:
        unlock.open_table(nobody, table, WHERE)
    assert caught.value.hint == "awsv passwd --recovery --backend test"
    assert nobody.unlocked == nobody.questions == []


def test_a_recovery_key_as_people_type_it(made: Any) -> None:
    table, dek = made
    new, text = new_slot.recovery(table.store)
    typed = text.reveal_text().lower().replace("-", " ").replace("o", "0").replace("i", "1").replace("b", "8")
    assert only(table, new, dek).open_by_recovery(Secret(f" {typed}\r\n"), WHERE)[1] == dek


def test_another_stores_recovery_key_is_wrong_and_not_mistyped(made: Any) -> None:
    table, dek = made
    with pytest.raises(StorageLocked, match="has no recovery key"):
        table.open_by_recovery(recovery.new(), WHERE)
    table = table.add(dek, new_slot.recovery(table.store)[0])
    with pytest.raises(WrongSecret, match="does not open /the/store"):
        table.open_by_recovery(recovery.new(), WHERE)


def test_the_hint_after_a_wrong_passphrase(made: Any, tmp_path: Path) -> None:
    table, dek = made
    ctx = FakeContext(tmp_path, store="file", passphrases=["wrong"])
    hints = []
    with_key = table.add(dek, new_slot.key(table.store, FakeContext(tmp_path), "keychain"))
    for each in (table, table.add(dek, new_slot.recovery(table.store)[0]), with_key):
        with pytest.raises(WrongSecret) as caught:
            unlock.open_table(ctx, each, WHERE)
        hints.append(caught.value.hint)
    assert hints[0].startswith("no other way in exists (no recovery key was made)")
    assert hints[1] == "awsv passwd --recovery"
    assert hints[2] == f"the only other way in is key slot {with_key.slots[1].id[:8]} (keychain): check its sources"


# -- changing ----------------------------------------------------------------------------------------------------------


def test_a_slot_in_place_of_another(made: Any, tmp_path: Path) -> None:
    table, dek = made
    table = table.add(dek, new_slot.recovery(table.store)[0])
    changed = table.replace(dek, table.slots[0].id, new_slot.passphrase(table.store, saying({None: "new"}), cost=CHEAP))
    assert changed.slots[1] == table.slots[1]
    assert changed.slots[0].id != table.slots[0].id
    assert unlock.open_table(FakeContext(tmp_path, passphrases=["new"]), changed, WHERE) == dek
    with pytest.raises(WrongSecret):
        unlock.open_table(FakeContext(tmp_path, passphrases=["right"]), changed, WHERE)
    with pytest.raises(StorageConflict, match="another process changed slot"):
        changed.replace(dek, table.slots[0].id, new_slot.recovery(table.store)[0])


def test_the_last_way_in_stays(made: Any) -> None:
    table, dek = made
    with pytest.raises(StorageDenied, match="last way"):
        table.remove(table.slots[0].id)
    table = table.add(dek, new_slot.recovery(table.store)[0])
    left = table.remove(table.slots[0].id)
    assert left.slots == table.slots[1:]
    with pytest.raises(StorageConflict):
        left.remove(table.slots[0].id)


def test_eight_slots_and_no_more(made: Any) -> None:
    table, dek = made
    while len(table.slots) < MAX_SLOTS:
        table = table.add(dek, new_slot.recovery(table.store)[0])
    SlotTable.parse(**table.to_json())
    with pytest.raises(StorageError, match="8 slots"):
        table.add(dek, new_slot.recovery(table.store)[0])


def test_a_slot_for_another_store(made: Any) -> None:
    table, dek = made
    foreign = new_slot.recovery(bytes(16))[0]
    for change in (lambda: table.add(dek, foreign), lambda: table.replace(dek, table.slots[0].id, foreign)):
        with pytest.raises(StorageConflict, match="another store"):
            change()


def test_finding_a_slot(made: Any) -> None:
    table, dek = made
    table = table.add(dek, new_slot.recovery(table.store)[0])
    for slot in table.slots:
        assert table.find(slot.id) == slot
    for text in ("", "x", table.slots[0].id + "0"):
        with pytest.raises(UsageError, match="no slot"):
            table.find(text)


@pytest.mark.parametrize("label", ["x" * 65, "a\nb", "\x9b0m", "\ud800"])
def test_a_label_that_cannot_be_kept(made: Any, label: Any) -> None:
    with pytest.raises(UsageError, match="label"):
        new_slot.recovery(made[0].store, label=label)


# -- rekey -------------------------------------------------------------------------------------------------------------


def full(table: Any, dek: Any, ctx: Any) -> Any:
    """The table with a slot of each type, and the text of its recovery key."""
    rescue, text = new_slot.recovery(table.store, label="safe")
    for new in (
        new_slot.key(table.store, ctx, "keychain", label="laptop"),
        new_slot.composite(table.store, saying(FACTORS), list(FACTORS), cost=CHEAP),
        rescue,
    ):
        table = table.add(dek, new)
    return table, text


def test_rekey_makes_every_slot_again(made: Any, tmp_path: Path) -> None:
    ctx = FakeContext(tmp_path, passphrases=["right"], factors={name: [text] for name, text in FACTORS.items()})
    table, text = full(made[0], made[1], ctx)
    ctx.terminal.answers = [text.reveal_text()]
    again, dek, dropped = rekey(ctx, table, WHERE)
    assert dropped == ()
    assert again.store == table.store
    assert dek != made[1]
    assert [(s.type, s.label) for s in again.slots] == [(s.type, s.label) for s in table.slots]
    assert {s.id for s in again.slots} & {s.id for s in table.slots} == set()
    assert {s.commit for s in again.slots} & {s.commit for s in table.slots} == set()
    for slot in again.slots:
        alone = SlotTable(again.store, (slot,))
        opened = (
            alone.open_by_recovery(text, WHERE)[1] if slot.type == "recovery" else unlock.open_table(ctx, alone, WHERE)
        )
        assert opened == dek
    forget_kept(ctx, table.store, table.slots)
    assert unlock.open_table(ctx, again, WHERE) == dek
    assert unlock.open_table(ctx, table, WHERE) == made[1]  # the old slots know nothing of the new key


def test_rekey_lets_a_person_try_a_recovery_key_three_times(made: Any, tmp_path: Path) -> None:
    ctx = FakeContext(tmp_path, passphrases=["right"])
    _, wrong = new_slot.recovery(made[0].store)
    rescue, text = new_slot.recovery(made[0].store)
    table = made[0].add(made[1], rescue)
    ctx.terminal.answers = ["mistyped", wrong.reveal_text(), text.reveal_text()]
    again, _, dropped = rekey(ctx, table, WHERE)
    assert ([slot.type for slot in again.slots], dropped) == (["passphrase", "recovery"], ())
    assert ctx.notes[-1] == "this is not the recovery key of this slot"
    ctx.terminal.answers = ["mistyped"] * 3 + [text.reveal_text()]  # type: ignore[assignment]  # a list of text is one of what it takes
    assert [slot.id for slot in rekey(ctx, table, WHERE)[2]] == [rescue.id]
    assert ctx.terminal.answers == [text.reveal_text()]


def test_rekey_drops_what_does_not_open(made: Any, tmp_path: Path, nobody: Any) -> None:
    ctx = FakeContext(tmp_path, passphrases=["right"])
    table, _ = full(made[0], made[1], ctx)
    ctx.terminal.answers = [None]
    again, dek, dropped = rekey(ctx, table, WHERE)
    assert [slot.type for slot in again.slots] == ["passphrase", "key"]
    assert [slot.type for slot in dropped] == ["composite", "recovery"]
    assert unlock.open_table(ctx, again, WHERE) == dek
    with pytest.raises(StorageLocked, match="keeps its data key"):
        rekey(nobody, made[0], WHERE)


def test_rekey_with_source_that_is_not_installed_drops_its_slot(made: Any, tmp_path: Path) -> None:
    class Uninstalled(FakeContext):
        def keep(self, source: Any, key_id: Any, secret: Any) -> Any:
            raise PluginError(f"no passphrase source {source!r} is installed")

    table, _ = full(made[0], made[1], FakeContext(tmp_path, passphrases=["right"]))
    ctx = Uninstalled(tmp_path, passphrases=["right"])
    table = replace(table, slots=tuple(slot for slot in table.slots if slot.type in ("passphrase", "key")))
    again, dek, dropped = rekey(ctx, table, WHERE)
    assert ([slot.type for slot in again.slots], [slot.type for slot in dropped]) == (["passphrase"], ["key"])
    assert unlock.open_table(ctx, again, WHERE) == dek
