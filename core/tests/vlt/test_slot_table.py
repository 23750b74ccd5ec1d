"""Key slots: what opens, what does not, and which of the errors says so."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vault_core import vlt
from vault_core.api import PassphraseError, Secret, StorageCorrupt, StorageLocked, StorageUnavailable, WrongSecret
from vault_core.keyslots import new_slot, unlock
from vault_core.vlt import primitives
from vault_core.vlt.encoding import NewerFormat, canonical, to_base64
from vault_core.vlt.kdf import Argon2id
from vault_core.vlt.slot_table import SlotTable
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S15")

SCRYPT = {"alg": "scrypt", "n": 2**15, "p": 3, "r": 8, "salt": to_base64(bytes(range(16)))}
PBKDF2 = {"alg": "pbkdf2-sha256", "rounds": 600_000, "salt": to_base64(bytes(range(16)))}
ARGON2 = {"alg": "argon2id", "m": 19_456, "p": 1, "salt": to_base64(bytes(range(16))), "t": 2}
KEY_TEXT = to_base64(bytes(range(32)))


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return FakeContext(tmp_path, passphrases=["right"])


@pytest.fixture
def made(ctx: FakeContext) -> Any:
    return new_slot.table(ctx)


def with_passphrase(tmp_path: Any, *passphrases: Any) -> Any:
    return FakeContext(tmp_path, passphrases=passphrases)


def reparsed(table: Any, **changes: Any) -> Any:
    """The table after a trip through JSON, with fields of its first slot changed."""
    value = table.to_json()
    value["slots"][0].update(changes)
    value = json.loads(canonical(value))
    return SlotTable.parse(value["store"], value["slots"])


def other_slots(independent: Any, store: Any, dek: Any) -> Any:
    """One slot of each kind, made by the second implementation, as (kind, secret, slot)."""
    recovery = independent.recovery_text(bytes(range(32)))
    factors = [{"kdf": ARGON2, "source": "prompt"}, {"kdf": {"alg": "none"}, "source": "ssm"}]
    both = {"prompt": "one", "ssm": "two"}
    return [
        ("passphrase", "s", independent.make_slot(store, dek, "s", type="passphrase", kdf=SCRYPT, label="büro 🔑")),
        ("passphrase", "p", independent.make_slot(store, dek, "p", type="passphrase", kdf=PBKDF2)),
        ("key", KEY_TEXT, independent.make_slot(store, dek, KEY_TEXT, type="key", source="keychain")),
        ("composite", both, independent.make_slot(store, dek, both, type="composite", factors=factors)),
        ("recovery", recovery, independent.make_slot(store, dek, recovery, type="recovery", label='"\\')),
    ]


def test_what_is_created_opens(made: Any, ctx: FakeContext) -> None:
    table, dek = made
    assert unlock.open_table(ctx, reparsed(table), "x") == dek
    assert len(dek.reveal()) == 32
    assert ctx.unlocked == [f"{table.store.hex()}/{table.slots[0].id}"] * 2  # one lock, one name


def test_two_stores_share_nothing(ctx: FakeContext) -> None:
    (one, first), (two, second) = (new_slot.table(ctx) for _ in range(2))
    assert first != second
    assert one.store != two.store
    assert one.slots[0].head["kdf"]["salt"] != two.slots[0].head["kdf"]["salt"]


def test_the_default_cost_is_the_documented_one(
    ctx: FakeContext, monkeypatch: pytest.MonkeyPatch, independent: Any
) -> None:
    from vault_core.keyslots import new_slot

    monkeypatch.setattr(new_slot, "DEFAULT_COST", Argon2id())
    table, dek = new_slot.table(ctx)
    kdf = table.slots[0].head["kdf"]
    assert (kdf["m"], kdf["t"], kdf["p"]) == (65536, 3, 4)
    assert independent.open_slots(table.store, table.to_json()["slots"], "passphrase", "right") == dek.reveal()


def test_a_weaker_legal_cost_opens(ctx: FakeContext) -> None:
    table, dek = new_slot.table(ctx, cost=Argon2id(47_104, 1, 1))
    assert unlock.open_table(ctx, reparsed(table), "x") == dek


def test_wrong_passphrase(made: Any, tmp_path: Path) -> None:
    with pytest.raises(WrongSecret, match="wrong passphrase for /the/store") as caught:
        unlock.open_table(with_passphrase(tmp_path, "wrong", "Right", "right "), made[0], "/the/store")
    assert caught.value.exit_code == 5


def test_the_right_one_among_several(made: Any, tmp_path: Path) -> None:
    assert unlock.open_table(with_passphrase(tmp_path, "wrong", "right"), made[0], "x") == made[1]


def test_a_damaged_wrap_is_not_a_wrong_passphrase(made: Any, ctx: FakeContext, tmp_path: Path) -> None:
    damaged = reparsed(made[0], wrap=to_base64(bytes(48)))
    with pytest.raises(StorageCorrupt, match="the passphrase is right, but slot"):
        unlock.open_table(ctx, damaged, "x")
    with pytest.raises(WrongSecret):
        unlock.open_table(with_passphrase(tmp_path, "wrong"), damaged, "x")


@pytest.mark.parametrize(
    "change",
    [
        {"commit": to_base64(bytes(32))},
        {"label": "another"},
        {"id": "0" * 16},
        {"kdf": {**ARGON2}},
        {"kdf": "weaker"},
    ],
)
def test_any_change_of_the_head_shuts_the_slot(made: Any, ctx: FakeContext, change: Any) -> None:
    if change == {"kdf": "weaker"}:
        change = {"kdf": {**made[0].slots[0].head["kdf"], "m": 19_457}}
    with pytest.raises(WrongSecret):
        unlock.open_table(ctx, reparsed(made[0], **change), "x")


def test_slots_of_another_store_do_not_open(ctx: FakeContext) -> None:
    (one, _), (two, _) = (new_slot.table(ctx) for _ in range(2))
    with pytest.raises(WrongSecret):
        unlock.open_table(ctx, SlotTable(one.store, two.slots), "x")


def test_slots_of_every_type_are_kept_and_the_passphrase_opens(made: Any, ctx: FakeContext, independent: Any) -> None:
    table, dek = made
    value = table.to_json()
    others = other_slots(independent, table.store, dek.reveal())
    value["slots"] = [slot for _, _, slot in others] + value["slots"]
    text = canonical(value)
    again = SlotTable.parse(**json.loads(text))
    assert unlock.open_table(ctx, again, "x") == dek
    assert canonical(again.to_json()) == text
    for kind, secret, slot in others:  # and what was kept really opens
        assert independent.open_slots(table.store, [slot], kind, secret) == dek.reveal()


def test_two_passphrase_slots(made: Any, tmp_path: Path, independent: Any) -> None:
    table, dek = made
    second = independent.make_slot(table.store, dek.reveal(), "second", type="passphrase", kdf=ARGON2)
    both = SlotTable.parse(to_base64(table.store), [*table.to_json()["slots"], second])
    for passphrase in ("right", "second"):
        assert unlock.open_table(with_passphrase(tmp_path, passphrase), both, "x") == dek


def test_a_remembered_key_that_does_not_fit(made: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctx, "unlock", lambda *_, **__: Secret(bytes(64)))
    with pytest.raises(StorageLocked, match="remembered"):
        unlock.open_table(ctx, made[0], "x")


# -- passphrases -------------------------------------------------------------------------------------------------------


def test_composed_and_decomposed_are_one_passphrase(tmp_path: Path) -> None:
    table, dek = new_slot.table(with_passphrase(tmp_path, "pässword"))
    assert unlock.open_table(with_passphrase(tmp_path, "pa\u0308ssword"), table, "x") == dek


@pytest.mark.parametrize("passphrase", ["nul\0nul", " spaces ", "line\n", "🔑", "x" * 1_048_576])
def test_any_text_is_a_passphrase(tmp_path: Path, passphrase: Any) -> None:
    table, dek = new_slot.table(with_passphrase(tmp_path, passphrase))
    assert unlock.open_table(with_passphrase(tmp_path, passphrase), table, "x") == dek
    for other in (
        passphrase[:-1] or "y",
        passphrase.replace("x", "", 1) + ".",
        (passphrase.strip() + "-")[-1_048_576:],
    ):
        with pytest.raises(WrongSecret):
            unlock.open_table(with_passphrase(tmp_path, other), table, "x")


@pytest.mark.parametrize(("secret", "reason"), [(b"", "empty"), (b"x" * 1_048_577, "longer"), (b"\xff\xfe", "UTF-8")])
def test_what_is_no_passphrase(made: Any, ctx: FakeContext, secret: Any, reason: Any) -> None:
    ctx.passphrases = [Secret(secret)]
    for call in (lambda: unlock.open_table(ctx, made[0], "x"), lambda: new_slot.table(ctx)):
        with pytest.raises(PassphraseError, match=reason):
            call()


# -- form --------------------------------------------------------------------------------------------------------------

FORMS = {
    "no slots": lambda v: v.update(slots=[]),
    "nine slots": lambda v: v.update(slots=[{**v["slots"][0], "id": f"{n:016x}"} for n in range(9)]),
    "two of one id": lambda v: v["slots"].append(v["slots"][0]),
    "slots an object": lambda v: v.update(slots={"0": v["slots"][0]}),
    "slot a string": lambda v: v["slots"].append("x"),
    "no type": lambda v: v["slots"][0].pop("type"),
    "type a number": lambda v: v["slots"][0].update(type=1),
    "type a list": lambda v: v["slots"][0].update(type=["passphrase"]),
    "unknown field": lambda v: v["slots"][0].update(extra=1),
    "field of another type": lambda v: v["slots"][0].update(source="ssm"),
    "missing label": lambda v: v["slots"][0].pop("label"),
    "label too long": lambda v: v["slots"][0].update(label="x" * 65),
    "label with newline": lambda v: v["slots"][0].update(label="a\nb"),
    "label with escape": lambda v: v["slots"][0].update(label="\x9b0m"),
    "label with surrogate": lambda v: v["slots"][0].update(label="\ud800"),
    "label a number": lambda v: v["slots"][0].update(label=5),
    "id upper case": lambda v: v["slots"][0].update(id="ABCDEF0123456789"),
    "id short": lambda v: v["slots"][0].update(id="00"),
    "id with newline": lambda v: v["slots"][0].update(id="0" * 16 + "\n"),
    "short commit": lambda v: v["slots"][0].update(commit=to_base64(bytes(31))),
    "long wrap": lambda v: v["slots"][0].update(wrap=to_base64(bytes(49))),
    "store short": lambda v: v.update(store=to_base64(bytes(15))),
    "store a number": lambda v: v.update(store=1),
    "key source with path": lambda v: v["slots"].append(further(v, "key", source="../x")),
    "key source a number": lambda v: v["slots"].append(further(v, "key", source=1)),
    "one factor": lambda v: v["slots"].append(further(v, "composite", factors=[{"kdf": ARGON2, "source": "prompt"}])),
    "five factors": lambda v: v["slots"].append(
        further(v, "composite", factors=[{"kdf": ARGON2, "source": f"s{n}"} for n in range(5)])
    ),
    "no derivation": lambda v: v["slots"].append(
        further(v, "composite", factors=[{"kdf": {"alg": "none"}, "source": name} for name in ("env", "ssm")])
    ),
    "one source twice": lambda v: v["slots"].append(
        further(v, "composite", factors=[{"kdf": ARGON2, "source": "env"}] * 2)
    ),
    "factor with a field": lambda v: v["slots"].append(
        further(v, "composite", factors=[{"kdf": ARGON2, "source": "env", "x": 1}, {"kdf": ARGON2, "source": "ssm"}])
    ),
    "factor source with path": lambda v: v["slots"].append(
        further(v, "composite", factors=[{"kdf": ARGON2, "source": "env"}, {"kdf": ARGON2, "source": "../x"}])
    ),
    "factor of no algorithm": lambda v: v["slots"].append(
        further(v, "composite", factors=[{"kdf": 1, "source": "env"}, {"kdf": ARGON2, "source": "ssm"}])
    ),
    "derivation of no algorithm": lambda v: v["slots"][0].update(kdf=1),
}
REASONS = {
    "no slots": "expected 1 to 8 slots, found 0",
    "nine slots": "expected 1 to 8 slots, found 9",
    "two of one id": "two slots have the same id",
    "slots an object": "slots is not a list",
    "slot a string": "slot 2 has no type",
    "no type": "slot 1 has no type",
    "type a number": "slot 1 has no type",
    "type a list": "slot 1 has no type",
    "unknown field": "slot 1 has an unknown field 'extra'",
    "field of another type": "slot 1 has an unknown field 'source'",
    "missing label": "slot 1 has no field 'label'",
    "label too long": "label of slot 1 is malformed: at most 64 characters",
    "label with newline": "label of slot 1 is malformed: no control characters",
    "label with escape": "label of slot 1 is malformed: no control characters",
    "label with surrogate": "label of slot 1 is malformed: no control characters",
    "label a number": "label of slot 1 is malformed: at most 64 characters",
    "id upper case": "id of slot 1 is malformed",
    "id short": "id of slot 1 is malformed",
    "id with newline": "id of slot 1 is malformed",
    "short commit": "commit of slot 1 has 31 bytes",
    "long wrap": "wrap of slot 1 has 49 bytes",
    "store short": "store has 15 bytes",
    "store a number": "store is not a string",
    "key source with path": "source of slot 2 is malformed",
    "key source a number": "source of slot 2 is malformed",
    "one factor": "slot 2 must have 2 to 4 factors",
    "five factors": "slot 2 must have 2 to 4 factors",
    "no derivation": "no factor of slot 2 has a key derivation function",
    "one source twice": "two factors of slot 2 name the same source",
    "factor with a field": "factor 1 of slot 2 has an unknown field 'x'",
    "factor source with path": "source of factor 2 of slot 2 is malformed",
    "factor of no algorithm": "kdf of factor 1 of slot 2 names no algorithm",
    "derivation of no algorithm": "kdf of slot 1 names no algorithm",
}


def further(value: Any, kind: Any, **more: Any) -> Any:
    slot = value["slots"][0]
    common = {name: slot[name] for name in ("commit", "label", "wrap")}
    return {**common, "id": "f" * 16, "type": kind, **more}


@pytest.mark.parametrize("name", FORMS)
def test_form(made: Any, independent: Any, name: Any) -> None:
    value = copy.deepcopy(made[0].to_json())
    SlotTable.parse(**value)
    FORMS[name](value)
    with pytest.raises(ValueError, match=f"^{REASONS[name]}$") as caught:
        SlotTable.parse(**value)
    assert not isinstance(caught.value, NewerFormat)
    with pytest.raises(independent.Damaged):
        independent.check_table(**value)


def test_an_unknown_type_is_from_a_newer_version(made: Any) -> None:
    value = made[0].to_json()
    value["slots"].append(further(value, "fido2", credential="x"))
    with pytest.raises(NewerFormat, match="fido2"):
        SlotTable.parse(**value)


# -- machine -----------------------------------------------------------------------------------------------------------


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    script = (
        "import resource\n"
        "from vault_core.errors import StorageUnavailable\n"
        "from vault_core.vlt import primitives\n"
        "from vault_core.vlt.kdf import Argon2id\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "try: primitives.argon2id(b'x', bytes(16), Argon2id(1048576, 1, 1))\n"
        "except StorageUnavailable as error: print(error.message)\n"
    )
    if sys.platform == "darwin":
        pytest.skip("macOS does not enforce RLIMIT_AS")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout.strip() == "not enough memory: the passphrase's key derivation needs 1024 MiB"


def test_a_build_without_argon2id_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm

    def unsupported(**_: Any) -> Any:
        raise UnsupportedAlgorithm("no")

    monkeypatch.undo()
    monkeypatch.setattr(primitives, "_Argon2id", unsupported)
    with pytest.raises(StorageUnavailable, match="has no Argon2id"):
        primitives.argon2id(b"x", bytes(16), Argon2id())


def test_the_api_costs_no_cryptography() -> None:
    script = (
        "import sys, vault_core.api\n"
        "print([name for name in sys.modules if name.startswith(('cryptography', 'vault_core.vlt.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert all(getattr(vlt, name) is not None for name in vlt.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = vlt.nothing  # type: ignore[attr-defined]  # that is what is tested
