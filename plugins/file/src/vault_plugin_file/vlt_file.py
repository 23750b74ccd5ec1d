"""The bytes of ``store.vlt`` (``docs/file-format.md`` §4), as pure functions.

Reading has three steps, each of which trusts only what the step before has verified: :func:`parse` checks the form,
:func:`decrypt` needs the key and authenticates header and payload, :func:`open_entry` opens one entry. Input that is
not exactly in the format raises :class:`ValueError` with a reason to show the user (its subclass ``NewerFormat`` if a
newer version wrote the file). Nothing is ever repaired.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vault_core import vlt
from vault_core.api import Secret

MAGIC = b"\x89VLT\r\n\x1a\n"
VERSION = 1
MAX_FILE = 16 * 1024 * 1024
MAX_HEADER = 65_536
MAX_EPOCH = 2**63 - 1
_FIXED = 16  # magic, version, flags, header length
_MAC = 32
_TAG = 16
_BLOCK = 4096
_FSALT = 32
_NAME = r"[a-z0-9._-]+/[a-z0-9._-]+"
_ROW = rb'[{,]"(?P<name>[^"]*)":\{"s":"(?P<s>[^"]*)","v":(?P<v>0|[1-9][0-9]{0,18})\}[,}]'
_BASE64 = r"[A-Za-z0-9+/=]*"
_MAX_NAME = 900


class Foreign(ValueError):
    """The file is not a store."""


class Envelope(NamedTuple):
    """A parsed file; nothing in it is authenticated yet."""

    table: vlt.SlotTable
    epoch: int
    fsalt: bytes
    signed: bytes
    """Everything before the header MAC."""
    mac: bytes
    data: bytes
    """The whole file."""

    @property
    def payload(self) -> memoryview:
        """The encrypted payload. A view: a copy of a large payload would take as long as its decryption."""
        return memoryview(self.data)[len(self.signed) + _MAC :]

    def made_with(self, dek: Secret) -> bool:
        """Whether the header was written with this data key."""
        return vlt.same(_header_mac(self.table, dek, self.signed), self.mac)


class Entry(NamedTuple):
    """One entry of the index."""

    version: int
    """The epoch of the write that made the entry."""
    sealed: str
    """Base64."""


class Index(Mapping[str, Entry]):
    """The entries of an authenticated payload. A look-up reads a few rows; all other operations check every row.

    Names are sorted, and neither they nor base64 contain a quote, so a row is found by binary search in the text. To
    check the other rows would make each look-up as slow as reading the whole store, and protect against no attack: only
    an attacker who has the data key could write a malformed row.

    :param text: the index in the payload.
    :param epoch: the epoch of the write that made it.
    """

    def __init__(self, text: bytes | memoryview, epoch: int) -> None:
        self._text = text
        self._epoch = epoch
        self._all: dict[str, Entry] | None = None

    def __getitem__(self, name: str) -> Entry:
        """:raises ValueError: the entry is malformed."""
        if self._all is not None:
            return self._all[name]
        wanted = name.encode("ascii", "replace")
        low, high = 0, len(self._text)
        while low < high:
            middle = (low + high) // 2
            row = _next_row(self._text, middle)
            if row is None or row["name"] > wanted:
                high = middle
            elif row["name"] < wanted:
                low = row.end() - 1
            else:
                return _entry(row["s"].decode("ascii", "replace"), int(row["v"]), self._epoch)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())

    def whole(self) -> dict[str, Entry]:
        """Every entry.

        :raises ValueError: the text is not canonical, or an entry is malformed.
        """
        if self._all is None:
            self._all = _parse_index(bytes(self._text), self._epoch)
        return self._all


def _next_row(text: bytes | memoryview, start: int) -> re.Match[bytes] | None:
    return re.compile(_ROW).search(text, start)


def is_name(text: str) -> bool:
    """Whether this is a valid name of an entry."""
    return len(text) <= _MAX_NAME and re.fullmatch(_NAME, text) is not None


def parse(data: bytes) -> Envelope:
    """Check the form of a whole file.

    :raises Foreign: the file is not a store.
    :raises ValueError: it is damaged.
    """
    if len(data) > MAX_FILE:
        raise ValueError(f"it has more than {MAX_FILE} bytes")
    if not data.startswith(MAGIC):
        raise ValueError("it is truncated") if MAGIC.startswith(data) else Foreign("it has a different signature")
    if len(data) < _FIXED:
        raise ValueError("it is truncated")
    version, flags = int.from_bytes(data[8:10], "big"), int.from_bytes(data[10:12], "big")
    if version != VERSION:
        raise vlt.NewerFormat(f"format version {version}, this one reads {VERSION}")
    if flags:
        raise vlt.NewerFormat(f"unknown flags {flags:#06x}")
    length = int.from_bytes(data[12:16], "big")
    if not 1 <= length <= MAX_HEADER:
        raise ValueError(f"its header length is {length}")
    end = _FIXED + length
    payload = len(data) - end - _MAC - _TAG
    if payload < _BLOCK or payload % _BLOCK:
        raise ValueError("it is truncated, or bytes were added to it")
    return _parse_header(data, end)


def _parse_header(data: bytes, end: int) -> Envelope:
    header = vlt.parse_canonical(data[_FIXED:end], "its header")
    found = vlt.fields(header, ("epoch", "fsalt", "slots", "store"), "its header")
    return Envelope(
        table=vlt.SlotTable.parse(found["store"], found["slots"]),
        epoch=vlt.integer(found["epoch"], "epoch", least=1, most=MAX_EPOCH),
        fsalt=vlt.from_base64(found["fsalt"], "fsalt", least=_FSALT),
        signed=data[:end],
        mac=data[end : end + _MAC],
        data=data,
    )


def decrypt(envelope: Envelope, dek: Secret) -> Index:
    """Authenticate the header and decrypt the payload.

    :returns: entries by name, parsed when they are needed; their values stay encrypted.
    :raises ValueError: the header or the payload was changed.
    """
    if not envelope.made_with(dek):
        raise ValueError("its header was changed")
    key = _payload_key(envelope.table, dek, envelope.epoch, envelope.fsalt)
    try:
        plaintext = vlt.decrypt(key, envelope.payload, envelope.signed + envelope.mac)
    except vlt.Forged:
        raise ValueError("its payload was changed") from None
    length = int.from_bytes(plaintext[:4], "big")
    index, padding = memoryview(plaintext)[4 : 4 + length], plaintext[4 + length :]
    if len(index) != length or len(padding) >= _BLOCK or padding.strip(b"\0"):
        raise ValueError("its payload has the wrong length")
    return Index(index, envelope.epoch)


def _parse_index(text: bytes, epoch: int) -> dict[str, Entry]:
    index = vlt.parse_canonical(text, "its index")
    if not isinstance(index, dict):
        raise ValueError("its index is not an object")
    entries = {}
    for name, value in index.items():
        if not is_name(name):
            raise ValueError("its index has a malformed name")
        found = vlt.fields(value, ("s", "v"), "an entry of its index")
        entries[name] = _entry(found["s"], found["v"], epoch)
    return entries


def _entry(sealed: Any, version: Any, epoch: int) -> Entry:
    if not isinstance(sealed, str) or not re.fullmatch(_BASE64, sealed):
        raise ValueError("an entry of its index is malformed")
    return Entry(vlt.integer(version, "version of an entry", least=1, most=epoch), sealed)


def encode(table: vlt.SlotTable, dek: Secret, epoch: int, entries: Mapping[str, Entry]) -> bytes:
    """The bytes of a whole file, with a fresh salt.

    :raises ValueError: the file would be too large.
    """
    fsalt = os.urandom(_FSALT)
    header = vlt.canonical({**table.to_json(), "epoch": epoch, "fsalt": vlt.to_base64(fsalt)})
    index = vlt.canonical({name: {"s": entry.sealed, "v": entry.version} for name, entry in entries.items()})
    plaintext = len(index).to_bytes(4, "big") + index
    plaintext += bytes(-len(plaintext) % _BLOCK)
    numbers = VERSION.to_bytes(2, "big") + bytes(2) + len(header).to_bytes(4, "big")
    signed = MAGIC + numbers + header
    head = signed + _header_mac(table, dek, signed)
    data = head + vlt.encrypt(_payload_key(table, dek, epoch, fsalt), plaintext, head)
    if len(data) > MAX_FILE:
        raise ValueError(f"it would have {len(data)} bytes, and the limit is {MAX_FILE}")
    return data


def seal_entry(table: vlt.SlotTable, dek: Secret, name: str, version: int, value: Secret) -> Entry:
    """Encrypt a value as this version of this name in this store."""
    sealed = vlt.seal(dek.reveal(), _entry_info(table, name, version), value.reveal())
    return Entry(version, vlt.to_base64(sealed))


def open_entry(table: vlt.SlotTable, dek: Secret, name: str, entry: Entry) -> Secret:
    """Decrypt one entry.

    :raises ValueError: it is damaged, or was made for another name, version or store.
    """
    sealed = vlt.from_base64(entry.sealed, "it", least=vlt.SEALED_EXTRA + 1, most=MAX_FILE)
    return Secret(vlt.unseal(dek.reveal(), _entry_info(table, name, entry.version), sealed))


def header_mac(data: bytes) -> bytes:
    """The header MAC of a file that :func:`encode` made or :func:`parse` accepted."""
    end = _FIXED + int.from_bytes(data[12:16], "big")
    return data[end : end + _MAC]


def _header_mac(table: vlt.SlotTable, dek: Secret, signed: bytes) -> bytes:
    return vlt.mac(vlt.hkdf(dek.reveal(), table.store, b"vlt/v1/header-mac"), signed)


def _payload_key(table: vlt.SlotTable, dek: Secret, epoch: int, fsalt: bytes) -> bytes:
    return vlt.hkdf(dek.reveal(), fsalt, b"vlt/v1/payload" + vlt.lp(table.store, epoch))


def _entry_info(table: vlt.SlotTable, name: str, version: int) -> bytes:
    return b"vlt/v1/entry" + vlt.lp(table.store, name.encode("ascii"), version)
