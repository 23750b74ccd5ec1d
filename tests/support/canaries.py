"""Secrets that can be recognised, and the search for them in everything that a program leaves behind."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

# None of them holds a piece of another, or anything that a program would print by itself.
PASSPHRASE = "canary-Passphrase-7f3a+9/b2"
WRONG_PASSPHRASE = "canary-Mistyped-51cc+0/d4"
KEY_SECRET = "canaryLongTermSecret+8b1/4e0c77d2f6a9b3c"
SESSION_SECRET = "canarySessionSecret+2d9/9c41ab77e05f6d18"
SESSION_TOKEN = "canarySessionToken" + "Q7x+Zk/3" * 12 + "=="
MFA_CODE = "824193"

ALL: Mapping[str, str] = {
    "passphrase": PASSPHRASE,
    "wrong passphrase": WRONG_PASSPHRASE,
    "secret access key": KEY_SECRET,
    "session's secret": SESSION_SECRET,
    "session token": SESSION_TOKEN,
    "MFA code": MFA_CODE,
}


def found(data: bytes | str, among: Iterable[str] = ALL) -> set[str]:
    """The canaries in the data, plain or in an encoding that hides nothing."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return {name for name in among if any(form in raw for form in _forms(ALL[name]))}


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    forms = {raw, raw[::-1], quote(secret, safe="").encode(), raw.hex().encode(), raw.hex().upper().encode()}
    forms |= {raw.decode().encode(encoding) for encoding in ("utf-16-le", "utf-16-be")}
    if len(raw) < 8:  # six digits turn up in any base64
        return {raw}
    for shift in range(3):
        # Inside of a longer text the base64 of the secret has one of three shapes, less what its neighbours share.
        encoded = base64.b64encode(b"\0" * shift + raw)
        inner = encoded[4 if shift else 0 : -4]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


def found_in_files(folder: Path, *, but: Iterable[Path] = ()) -> dict[str, set[str]]:
    """The files below a folder that hold a canary, in their content or their name."""
    given = set(but)
    return {
        str(path): names
        for path in folder.rglob("*")
        if path.is_file() and path not in given and (names := found(path.read_bytes()) | found(str(path)))
    }
