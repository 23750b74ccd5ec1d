"""Bytes and objects as the format writes them (``docs/file-format.md`` §1): one spelling each, any other is refused.

Every function that reads raises :class:`ValueError` with a reason for the user, or :class:`NewerFormat` if only a newer
version can have written the text. Nothing here is secret.
"""

import binascii
import json
from collections.abc import Iterable
from typing import Any, NoReturn


class NewerFormat(ValueError):
    """The text uses a feature that this version does not know."""


def lp(*fields: bytes | int) -> bytes:
    """Join fields unambiguously: each is preceded by its length as u32; integers are u64 (both big-endian)."""
    parts = []
    for field in fields:
        data = field.to_bytes(8, "big") if isinstance(field, int) else field
        parts += [len(data).to_bytes(4, "big"), data]
    return b"".join(parts)


def to_base64(data: bytes) -> str:
    """Canonical base64, without line ends."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: object, name: str, *, least: int, most: int | None = None) -> bytes:
    """Decode a canonical base64 string.

    :param name: the field's name in messages.
    :param least: the minimum number of bytes; without ``most``, the exact number.
    :raises ValueError: it is something else.
    """
    if not isinstance(text, str):
        raise ValueError(f"{name} is not a string")
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError(f"{name} is not base64") from None
    if to_base64(data) != text:
        raise ValueError(f"{name} is not canonical base64")
    if not least <= len(data) <= (least if most is None else most):
        raise ValueError(f"{name} has {len(data)} bytes")
    return data


def canonical(value: object) -> bytes:
    """Canonical JSON: the only accepted spelling of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def parse_canonical(data: bytes, name: str) -> Any:
    """Parse canonical JSON.

    :param name: the text's name in messages.
    :raises ValueError: it is something else.
    """
    try:
        value = json.loads(data.decode("ascii"), parse_float=_refuse, parse_constant=_refuse)
        same = canonical(value) == data
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is not the JSON that this format allows") from None
    if not same:
        raise ValueError(f"{name} is not canonical JSON")
    return value


def _refuse(token: str) -> NoReturn:
    raise ValueError(token)


def fields(value: object, names: Iterable[str], name: str) -> dict[str, Any]:
    """Check that ``value`` is an object with exactly the given fields.

    :param name: the object's name in messages.
    :raises ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    wanted = set(names)
    if unknown := sorted(value.keys() - wanted):
        raise ValueError(f"{name} has an unknown field {unknown[0]!a:.40}")
    if missing := sorted(wanted - value.keys()):
        raise ValueError(f"{name} has no field {missing[0]!r}")
    return value


def integer(value: object, name: str, *, least: int, most: int) -> int:
    """Check that ``value`` is an integer from ``least`` to ``most``; true, 1.0 and "1" are not integers.

    :param name: the value's name in messages.
    :raises ValueError: it is something else.
    """
    if type(value) is not int:
        raise ValueError(f"{name} is not an integer")
    if not least <= value <= most:
        raise ValueError(f"{name} is not between {least} and {most}")
    return value
