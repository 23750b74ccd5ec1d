"""Slots that are made anew right after the store was opened: nobody is asked for the same secret again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Secret
from vault_core.keyslots import new_slot, unlock
from vault_core.keyslots.rekey import rekey
from vault_core.keyslots.replay import record_secrets
from vault_core.vlt.kdf import Argon2id
from vault_core.vlt.slot_table import SlotTable
from vault_testkit.context import FakeContext

CHEAP = Argon2id(memory=19_456, passes=2, lanes=1)
STORE, DEK, WHERE = bytes(range(16)), Secret(bytes(range(32))), "/x/store.vlt"
MINE = {"prompt": "mine", "ssm": "of the service"}
OTHER = {"prompt": "another", "ssm": "of another service"}


def context(tmp_path: Any, factors: Any) -> Any:
    return FakeContext(tmp_path, passphrases=["right"], factors={name: [text] for name, text in factors.items()})


def composite(secrets: Any) -> Any:
    return new_slot.composite(
        STORE, lambda _key_id, derive, source: derive(Secret(secrets[source])), list(secrets), cost=CHEAP
    )


def passphrase() -> Any:
    return new_slot.passphrase(STORE, lambda _key_id, derive, _source: derive(Secret("right")), cost=CHEAP)


@pytest.mark.parametrize("make", [passphrase, lambda: composite(MINE)])
def test_what_opened_the_store_is_repeated(tmp_path: Path, make: Any) -> None:
    ctx = context(tmp_path, MINE)
    table = SlotTable(STORE, (make().wrap(DEK),))
    recorder, replayer = record_secrets(ctx)
    assert unlock.open_table(recorder, table, WHERE) == DEK
    asked = len(ctx.unlocked)
    again, dek, dropped = rekey(ctx, table, WHERE, replayer=replayer)
    assert (len(ctx.unlocked), dropped, ctx.notes) == (asked, (), [])
    assert unlock.open_table(ctx, again, WHERE) == dek != DEK


def test_of_another_slot_with_the_same_sources_it_is_asked(tmp_path: Path) -> None:
    one, other = context(tmp_path, MINE), context(tmp_path, OTHER)
    table = SlotTable(STORE, (composite(MINE).wrap(DEK), composite(OTHER).wrap(DEK)))
    recorder, replayer = record_secrets(one)
    unlock.open_table(recorder, table, WHERE)
    again, dek, dropped = rekey(other, table, WHERE, replayer=replayer)
    assert (len(again.slots), dropped) == (2, ())
    assert unlock.open_table(one, again, WHERE) == unlock.open_table(other, again, WHERE) == dek
    assert [note.partition(":")[0] for note in other.notes[:1]] == [f"for {table.slots[1].describe()}"]


def test_a_wrong_secret_is_not_kept(tmp_path: Path) -> None:
    ctx = FakeContext(tmp_path, passphrases=["wrong", "right"])
    table = SlotTable(STORE, (passphrase().wrap(DEK),))
    recorder, replayer = record_secrets(ctx)
    unlock.open_table(recorder, table, WHERE)
    seen: list[Secret] = []
    assert replayer.unlock("k", lambda secret: seen.append(secret) or secret) == Secret("right")
    assert seen == [Secret("right")]
