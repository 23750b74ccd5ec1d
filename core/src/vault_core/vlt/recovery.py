"""Recovery keys in writing (``docs/file-format.md`` §3.5): 32 random bytes, grouped, with a checksum.

The checksum distinguishes a mistyped key from the key of another store: a mistyped one is never tried on a store.
"""

import base64
import hashlib
import os
import re

from vault_core.errors import PassphraseError
from vault_core.secret import Secret

GROUP = 4
"""Characters in a group."""
_KEY_BYTES = 32
_CHECK_BYTES = 3
_CHARACTERS = 56
_SEPARATORS = "[ \t\r\n-]"
_TEXT = f"[A-Z2-7]{{{_CHARACTERS}}}"
_MISREAD = str.maketrans("018", "OIB")


def new() -> Secret:
    """A new recovery key, as text in 14 groups joined by ``-``. Its checksum detects every single wrong character."""
    while True:
        text = text_of(os.urandom(_KEY_BYTES))
        if notices_typos(text):  # all but one in ten thousand keys
            return text


def notices_typos(text: Secret) -> bool:
    """Whether no change of one character makes another well-formed key."""
    data = base64.b32decode(text.reveal_text().replace("-", ""))
    number = int.from_bytes(data, "big")
    for position in range(_CHARACTERS):
        for change in range(1, 32):
            other = (number ^ (change << 5 * position)).to_bytes(len(data), "big")
            if _check(other[:_KEY_BYTES]) == other[_KEY_BYTES:]:
                return False
    return True


def text_of(key: bytes) -> Secret:
    """The text of a recovery key of 32 bytes."""
    text = base64.b32encode(key + _check(key)).decode("ascii")
    return Secret("-".join(text[at : at + GROUP] for at in range(0, _CHARACTERS, GROUP)))


def key_of(text: Secret) -> bytes:
    """The 32 bytes of a recovery key as the user typed it.

    :raises PassphraseError: it is mistyped; the message says how, and shows no part of the key.
    """
    try:
        typed = re.sub(_SEPARATORS, "", text.reveal_text()).upper().translate(_MISREAD)
    except ValueError:
        raise _mistyped("it is not text") from None
    if len(typed) != _CHARACTERS:
        raise _mistyped(f"it has {len(typed)} characters instead of {_CHARACTERS}")
    if not re.fullmatch(_TEXT, typed):
        raise _mistyped("it holds a character that no recovery key has")
    data = base64.b32decode(typed)
    key, check = data[:_KEY_BYTES], data[_KEY_BYTES:]
    if check != _check(key):
        raise _mistyped("a character is wrong, or two are swapped")
    return key


def last_group(text: Secret) -> Secret:
    """The group that the user types back to show that the key was written down."""
    return Secret(text.reveal_text()[-GROUP:])


def same_group(group: Secret, typed: Secret) -> bool:
    """Whether ``typed`` is ``group``; it is normalised like a whole key."""
    try:
        return Secret(re.sub(_SEPARATORS, "", typed.reveal_text()).upper().translate(_MISREAD)) == group
    except ValueError:
        return False


def _check(key: bytes) -> bytes:
    return hashlib.sha256(b"vlt/v1/recovery" + key).digest()[:_CHECK_BYTES]


def _mistyped(reason: str) -> PassphraseError:
    return PassphraseError(
        f"the recovery key is mistyped: {reason}", hint="compare it with what was written down, group by group"
    )
