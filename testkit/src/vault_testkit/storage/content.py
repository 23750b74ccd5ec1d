"""Every key and every value that the core may send."""

import string
from collections.abc import Sequence

import pytest

from vault_core.api import Secret, StorageBackend
from vault_core.storage.vault import encode
from vault_testkit.case import Case, check
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import holds, lists, shown

LONGEST_KEY = 900
"""Bytes."""
LONG_VALUE = 64 * 1024
"""Bytes; a backend that takes less says so by ``max_value``."""

KINDS = ("credentials", "seeds", "original", "meta", "part")
NAMES = {
    "every character": string.ascii_lowercase + string.digits + "._-",
    "escapes of dots": encode(".."),
    "escape of one dot": encode("."),
    "escaped slashes": encode("a//b/"),
    "escaped capitals": encode("Prod"),
    "small letters": "prod",
    "escaped spaces": encode(" a b "),
    "escaped UTF-8": encode("größe-北京"),
    "escaped control characters": encode("\x01\n\x7f"),
    "a leading hyphen": "-rf",
    "a leading underscore": "__init__",
    "a device of another system": "con",
    "one letter": "a",
    "digits": "0123",
    "ends in a hyphen": "a-",
    "ends in an escape": "a.2f",
    "a part": "0123456789abcdef0123456789abcdef01234567.zzzzzzzaaaaaaaa.12",
    "looks temporary": "a.tmp",
    "looks like a lock": "a.lock",
    "a percent sign, escaped": encode("100%"),
}
SIMILAR = ("a", "a-", "a--", "-a", "a_", "_a", "a-b", "a_b", "a.2db", "a.5fb", "a.2e", "a.2e.2e", ".2e.2e", ".2e", "aa")


def keeps(store: StorageBackend, keys: Sequence[str]) -> None:
    """Put an item under each of the keys, and fail unless these items are there and no others."""
    __tracebackhide__ = True
    for number, key in enumerate(keys):
        store.put(key, Secret(f"value {number}"))
    for number, key in enumerate(keys):
        holds(store, key, f"value {number}")
    lists(store, keys)


class Keys(StoragePart):
    """Every key that the core may send: ``kind/name`` over ``[a-z0-9._-]``, at most 900 bytes."""

    part = "Keys"

    def test_keys_of_every_form(self, case: Case) -> None:
        store = case.open()
        names = list(NAMES.values())[: case.afford(len(NAMES), "names", cost=4)]
        keys = [f"credentials/{name}" for name in names]
        keeps(store, keys)
        for key in keys:
            check(store.delete(key), f"delete({key!r}) did not find it")
            check(store.get(key) is None, f"{key!r} is still there after delete()")

    def test_keys_of_every_kind(self, case: Case) -> None:
        kinds = KINDS[: case.afford(len(KINDS), "kinds", cost=3, least=2)]
        keeps(case.open(), [f"{kind}/same-name" for kind in kinds])

    def test_keys_that_are_similar(self, case: Case) -> None:
        """Names of which a service or a file system may make one: they stay different."""
        names = SIMILAR[: case.afford(len(SIMILAR), "similar names", cost=2, least=2)]
        keeps(case.open(), [f"credentials/{name}" for name in names])

    @pytest.mark.parametrize("length", [255, 256, LONGEST_KEY])
    def test_keys_that_are_long(self, case: Case, length: int) -> None:
        store = case.open()
        room = length - len(case.target.prefix)
        keys = [f"credentials/{'n' * (room - 13)}{end}" for end in "ab"]
        keeps(store, keys)
        check(store.delete(keys[0]), f"delete() did not find a key of {length} bytes")
        holds(store, keys[1], "value 1")


ODD = (
    "x",
    "".join(map(chr, range(0x20, 0x7F))),
    " spaces around ",
    "   ",
    "0",
    "00123",
    "1e5",
    "null",
    "true",
    '""',
    "''",
    '{"access_key_id": "a\\"b"}',
    "[]",
    "a=b&c=d%20%s%%{}${HOME}`id`$(id)",
    "\\n\\x00\\",
    "-----BEGIN",
    "AAAA",
    "AAA=",
    "vlt1:AAAA",
    "@file",
    "-n",
    "#comment",
    ";--",
)
SIZES = (2, 255, 256, 1023, 1024, 1025, 2560, 4095, 4096, 4097, 8192, 32768, LONG_VALUE)
"""Bytes; 2560 is what Windows keeps in one item."""


class Values(StoragePart):
    """Every value that the core may send: one or more printable ASCII bytes, unchanged."""

    part = "Values"

    def test_values_of_every_form(self, case: Case) -> None:
        store, anew = case.open(), case.open()
        most = case.spec.max_value or LONG_VALUE
        values = [value for value in ODD if len(value) <= most]
        for value in values[: case.afford(len(values), "values", cost=3, least=2)]:
            store.put("credentials/value", Secret(value))
            holds(store, "credentials/value", value)
            holds(anew, "credentials/value", value)

    def test_values_of_every_size(self, case: Case) -> None:
        store = case.open()
        most = case.spec.max_value or LONG_VALUE
        sizes = sorted({size for size in SIZES if size < most} | {1, most})
        number = case.afford(len(sizes), "sizes", cost=2, least=2)
        for size in sizes[-number:]:
            value = "".join(chr(0x21 + (index * 7 + size) % 0x5E) for index in range(size))
            store.put("credentials/sized", Secret(value))
            found = store.get("credentials/sized")
            check(found is not None, f"a value of {size} bytes is not there after put()")
            got = found.value if found else None
            check(got == Secret(value), f"a value of {size} bytes came back as {shown(got)}")
        holds(case.open(), "credentials/sized", value)
