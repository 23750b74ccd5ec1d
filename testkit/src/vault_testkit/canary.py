"""Values that can be recognised, and the search for them in everything that a plugin leaves behind."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

LEAST = 12
"""Bytes. A shorter value turns up by chance in anything that is encoded."""


def make() -> str:
    """A random value of printable ASCII that nothing else contains, with characters that encodings change."""
    return f"canary+{secrets.token_hex(6)}/{secrets.token_urlsafe(18)}=~"


def forms(value: str | bytes) -> frozenset[bytes]:
    """The value plain, and in encodings that hide nothing: Base64 at each of its three offsets, hexadecimal, UTF-16,
    percent-encoded, reversed."""
    raw = value.encode("utf-8") if isinstance(value, str) else value
    if len(raw) < LEAST:
        return frozenset({raw})
    found = {raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), quote(raw, safe="").encode()}
    text = raw.decode("latin-1")
    found |= {text.encode("utf-16-le"), text.encode("utf-16-be")}
    for shift in range(3):
        # Inside of a longer text the Base64 of the value has one of three shapes, less what its neighbours share.
        encoded = base64.b64encode(b"\0" * shift + raw)
        inner = encoded[4 if shift else 0 : -4]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return frozenset(found)


def is_in(data: bytes | str, value: str | bytes) -> bool:
    """Whether the data hold the value in one of its :func:`forms`."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return any(form in raw for form in forms(value))


def files(places: Iterable[Path]) -> Iterator[Path]:
    """Every plain file below these folders, each once; links are not followed."""
    seen = set()
    for place in places:
        for path in [place, *sorted(place.rglob("*"))] if place.is_dir() else [place]:
            if path.is_file() and not path.is_symlink() and path not in seen:
                seen.add(path)
                yield path


def holding(places: Iterable[Path], value: str | bytes) -> list[str]:
    """The files that hold the value, in their content or their name."""
    found = []
    for path in files(places):
        try:
            if is_in(path.read_bytes(), value) or is_in(path.name, value):
                found.append(str(path))
        except (FileNotFoundError, PermissionError):  # gone meanwhile, or not ours to read: then nobody's who matters
            continue
    return found
