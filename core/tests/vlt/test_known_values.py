"""The known values of docs/file-format.md §8, through the product and through the second implementation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from vault_core.secret import Secret
from vault_core.vlt import derive, primitives, recovery
from vault_core.vlt.encoding import canonical, lp, to_base64
from vault_core.vlt.slot import Slot

DOC = Path(__file__).parents[3] / "docs" / "file-format.md"
STORE, DEK, R = bytes(range(16)), bytes(range(0x20, 0x40)), bytes(range(0x40, 0x60))
SALT, SEAL_SALT = bytes(range(0x60, 0x70)), bytes(range(0x80, 0xA0))
PASSPHRASE = "correct horse bättery staple"
RECOVERY_HEAD = {"id": "0011223344556677", "label": "Büro", "type": "recovery"}
KDF = {"alg": "argon2id", "m": 65536, "p": 4, "salt": to_base64(SALT), "t": 3}
KEY_HEAD = {"id": "0011223344556677", "label": "", "source": "keychain", "type": "key"}
BOTH = {"ssm": "of the service", "prompt": PASSPHRASE}
BOTH_HEAD = {
    "factors": [{"kdf": {"alg": "none"}, "source": "ssm"}, {"kdf": KDF, "source": "prompt"}],
    "id": "0011223344556677",
    "label": "",
    "type": "composite",
}
PASSPHRASE_HEAD = {"id": "0011223344556677", "kdf": KDF, "label": "", "type": "passphrase"}


@pytest.fixture(scope="module")
def known() -> Any:
    """The blocks of §8: title to its lines joined."""
    text = re.search(r"## 8 .*?```\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)[1]  # type: ignore[index]  # without a match the test fails here
    blocks = (block.splitlines() for block in text.strip().split("\n\n"))
    return {lines[0]: [line.strip() for line in lines[1:]] for lines in blocks}


def joined(known: Any, start: Any) -> Any:
    (lines,) = [lines for title, lines in known.items() if title.startswith(start)]
    return lines


def test_encodings_and_keys(known: Any, independent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lp(b"a", b"", 258).hex() == independent.lp(b"a", b"", 258).hex() == joined(known, "lp(")[0]
    for hkdf in (primitives.hkdf, independent.hkdf):
        assert hkdf(DEK, STORE, b"vlt/v1/header-mac", 32).hex() == joined(known, "header MAC key")[0]
        info = b"vlt/v1/payload" + lp(STORE, 7)
        assert hkdf(DEK, SEAL_SALT, info, 32).hex() == joined(known, "payload key")[0]


def test_sealed_values(known: Any, independent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda count: SEAL_SALT[:count])
    entry_info, value_info = (
        b"vlt/v1/entry" + lp(STORE, b"credentials/a", 7),
        b"vlt/v1/value" + lp(STORE, b"credentials/a"),
    )
    entry = primitives.seal(DEK, entry_info, b"value")
    assert entry.hex() == "".join(joined(known, "entry"))
    assert independent.unseal(DEK, entry_info, entry) == primitives.unseal(DEK, entry_info, entry) == b"value"
    kept = joined(known, "sealed value")[0]
    assert "vlt1:" + to_base64(primitives.seal(DEK, value_info, b"value")) == kept
    assert independent.read_value(STORE, DEK, "credentials/a", kept.encode()) == b"value"


def test_recovery_text(known: Any, independent: Any) -> None:
    text = joined(known, "recovery key")[0]
    assert independent.recovery_text(R) == recovery.text_of(R).reveal_text() == text
    assert independent.recovery_bytes(text.lower().replace("O", "0").replace("-", " ")) == R
    assert recovery.key_of(Secret(text.lower().replace("o", "0").replace("-", " "))) == R


def product_key(head: Any, secret: Any) -> Any:
    """The slot key as the product derives it."""
    if head["type"] != "composite":
        return derive.slot_key(STORE, head, Secret(secret))
    factors = {f["source"]: derive.stretched(f["kdf"], Secret(secret[f["source"]])) for f in head["factors"]}
    return derive.composite_key(STORE, head, factors)


@pytest.mark.parametrize(
    ("title", "head", "secret"),
    [
        ("recovery slot", RECOVERY_HEAD, recovery.text_of(R).reveal_text()),
        ("passphrase slot", PASSPHRASE_HEAD, PASSPHRASE),
        ("key slot", KEY_HEAD, to_base64(R)),
        ("composite slot", BOTH_HEAD, BOTH),
    ],
)
def test_slots(known: Any, independent: Any, title: Any, head: Any, secret: Any) -> None:
    text, wrap_key, commitment, wrap = joined(known, title)
    assert canonical(head).decode() == text
    theirs = independent.slot_key(STORE, head, secret)
    assert theirs.hex() == wrap_key + commitment
    assert product_key(head, secret).reveal() == theirs
    slot = Slot.wrapped(head, Secret(theirs), Secret(DEK))
    assert (slot.wrap.hex(), slot.commit.hex()) == (wrap, commitment)
    assert slot.unwrap(Secret(theirs), "it") == Secret(DEK)
