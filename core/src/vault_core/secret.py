"""A value that must not appear where people or logs can read it.

A :class:`Secret` masks itself wherever Python turns objects into text; :meth:`Secret.reveal` is the only door.
It does not wipe memory: CPython keeps copies that nobody can reach, and this module does not pretend otherwise.
"""

from typing import Any, NoReturn

MASK = "***"


class Secret:
    """An immutable secret byte string.

    :param value: the secret; text is kept as UTF-8.
    :raises TypeError: for anything but text or bytes, without showing the value.
    :raises ValueError: for text that has no UTF-8 (half a surrogate pair), without showing it.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a secret in a set or as a dictionary key invites comparison by hash

    def __init__(self, value: str | bytes | bytearray) -> None:
        if isinstance(value, str):
            self._value = _encoded(value)
        elif isinstance(value, bytes | bytearray):
            self._value = bytes(value)
        else:
            raise TypeError(f"a secret is made of text or bytes, not {type(value).__name__}")

    def reveal(self) -> bytes:
        """The secret itself. Every call is a place to look at in a review."""
        return self._value

    def reveal_text(self) -> str:
        """The secret as text.

        :raises ValueError: if it is not UTF-8, without showing the bytes.
        """
        try:
            return self._value.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("the secret is not UTF-8 text") from None

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac  # loads OpenSSL, and few runs compare secrets

        return hmac.compare_digest(self._value, other._value)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # the exception holds the text
        raise ValueError("the secret is not text") from None
