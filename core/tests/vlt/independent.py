"""A second implementation of docs/file-format.md, written from its text: standard library and raw primitives only.

It imports nothing of awsv. The section signs refer to that text. ``python independent.py FILE [TYPE]`` asks for what
slots of that type (``passphrase``, ``key``, ``composite``, ``recovery``) open with, and prints the entries of a store.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import unicodedata
from getpass import getpass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


class Wrong(Exception):
    """The secret opens no slot (§6)."""


class Damaged(Exception):
    """A check failed (§6)."""


class Newer(Exception):
    """Written by a newer version (§6)."""


def need(condition: Any, why: Any) -> None:
    if not condition:
        raise Damaged(why)


# §1 notation ----------------------------------------------------------------------------------------------------------


def lp(*arguments: Any) -> Any:
    out = b""
    for argument in arguments:
        if isinstance(argument, int):
            argument = struct.pack(">Q", argument)
        out += struct.pack(">I", len(argument)) + argument
    return out


def unb64(text: Any, least: Any, most: Any = None) -> Any:
    need(isinstance(text, str), "base64: a string")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Damaged("base64") from None
    need(base64.b64encode(data).decode() == text, "base64: canonical")
    need(least <= len(data) <= (most or least), "base64: length")
    return data


def b64(data: Any) -> Any:
    return base64.b64encode(data).decode()


def hkdf(key: Any, salt: Any, info: Any, n: Any) -> Any:
    prk = hmac.new(salt, key, hashlib.sha256).digest()
    out, block, counter = b"", b"", 1
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:n]


def gcm(key: Any, plaintext: Any, aad: Any) -> Any:
    return AESGCM(key).encrypt(b"\0" * 12, plaintext, aad)


def ungcm(key: Any, data: Any, aad: Any, why: Any) -> Any:
    need(len(data) >= 16, why)
    try:
        return AESGCM(key).decrypt(b"\0" * 12, data, aad)
    except InvalidTag:
        raise Damaged(why) from None


def cjson(value: Any) -> Any:
    """Canonical JSON, spelled out rather than left to a library's options."""
    if isinstance(value, dict):
        return "{" + ",".join(cjson(key) + ":" + cjson(value[key]) for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(cjson, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(map(character, value)) + '"'
    need(type(value) is int and value >= 0, "JSON: only objects, arrays, strings, integers")
    return str(value)


def character(char: Any) -> Any:
    if char in '"\\':
        return "\\" + char
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def parse(data: Any) -> Any:
    try:
        value = json.loads(data.decode("ascii"))
        again = cjson(value).encode("ascii")
    except (ValueError, RecursionError):
        raise Damaged("JSON") from None
    need(again == data, "JSON: canonical")
    return value


def only(value: Any, *names: Any) -> Any:
    need(isinstance(value, dict) and set(value) == set(names), f"fields {names}")
    return value


def number(value: Any, least: Any, most: Any) -> Any:
    need(type(value) is int and least <= value <= most, f"number from {least} to {most}")
    return value


# §2 ------------------------------------------------------------------------------------------------------------------


def unseal(dek: Any, info: Any, sealed: Any) -> Any:
    return ungcm(hkdf(dek, sealed[:32], info, 32), sealed[32:], info, "sealed value")


# §3 ------------------------------------------------------------------------------------------------------------------

SOURCE = r"[a-z][a-z0-9-]{1,31}"
FURTHER = {"passphrase": ["kdf"], "key": ["source"], "composite": ["factors"], "recovery": []}


def check_kdf(kdf: Any) -> None:
    need(isinstance(kdf, dict) and isinstance(kdf.get("alg"), str), "kdf: alg")
    if kdf["alg"] == "argon2id":
        only(kdf, "alg", "m", "p", "salt", "t")
        m, t = number(kdf["m"], 19456, 1048576), number(kdf["t"], 1, 16)
        number(kdf["p"], 1, 16)
        need(m * t <= 4194304 and (t > 1 or m >= 47104), "argon2id: m and t together")
    elif kdf["alg"] == "scrypt":
        only(kdf, "alg", "n", "p", "r", "salt")
        n, p = number(kdf["n"], 2**15, 2**20), number(kdf["p"], 1, 16)
        number(kdf["r"], 8, 8)
        need(n in [2**k for k in range(15, 21)] and n * p <= 2**21, "scrypt: n")
        need(not (n == 2**15 and p < 3) and not (n == 2**16 and p < 2), "scrypt: floor")
    elif kdf["alg"] == "pbkdf2-sha256":
        only(kdf, "alg", "rounds", "salt")
        number(kdf["rounds"], 600000, 10000000)
    else:
        raise Newer(kdf["alg"])
    unb64(kdf["salt"], 16)


def cost(kdf: Any) -> Any:
    if kdf["alg"] == "argon2id":
        return kdf["m"] * kdf["t"]
    if kdf["alg"] == "scrypt":
        return 3 * kdf["n"] * kdf["p"]
    return kdf["rounds"] // 4 if kdf["alg"] == "pbkdf2-sha256" else 0


def check_slot(slot: Any) -> None:
    need(isinstance(slot, dict) and isinstance(slot.get("type"), str), "slot: type")
    if slot["type"] not in FURTHER:
        raise Newer(slot["type"])
    only(slot, "commit", "id", "label", "type", "wrap", *FURTHER[slot["type"]])
    unb64(slot["commit"], 32)
    unb64(slot["wrap"], 48)
    need(isinstance(slot["id"], str) and re.fullmatch("[0-9a-f]{16}", slot["id"]), "slot: id")
    label = slot["label"]
    need(isinstance(label, str) and len(label) <= 64, "slot: label")
    need(not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", label), "slot: label")
    if slot["type"] == "passphrase":
        check_kdf(slot["kdf"])
    if slot["type"] == "key":
        need(isinstance(slot["source"], str) and re.fullmatch(SOURCE, slot["source"]), "slot: source")
    if slot["type"] == "composite":
        factors = slot["factors"]
        need(isinstance(factors, list) and 2 <= len(factors) <= 4, "slot: factors")
        for factor in factors:
            only(factor, "kdf", "source")
            need(isinstance(factor["source"], str) and re.fullmatch(SOURCE, factor["source"]), "factor: source")
            if factor["kdf"] != {"alg": "none"}:
                check_kdf(factor["kdf"])
        need(len({factor["source"] for factor in factors}) == len(factors), "factors: sources differ")
        need(any(factor["kdf"] != {"alg": "none"} for factor in factors), "factors: one kdf at least")


def passphrase_bytes(text: Any) -> Any:
    data = unicodedata.normalize("NFC", text).encode("utf-8")
    need(1 <= len(data) <= 1048576, "passphrase: length")
    return data


def derive(kdf: Any, passphrase: Any) -> Any:
    secret = passphrase_bytes(passphrase)
    if kdf["alg"] == "none":
        return secret
    salt = unb64(kdf["salt"], 16)
    if kdf["alg"] == "argon2id":
        return Argon2id(salt=salt, length=32, iterations=kdf["t"], lanes=kdf["p"], memory_cost=kdf["m"]).derive(secret)
    if kdf["alg"] == "scrypt":
        n, r, p = kdf["n"], kdf["r"], kdf["p"]
        return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, dklen=32, maxmem=129 * n * r + 1024 * r * p)
    return hashlib.pbkdf2_hmac("sha256", secret, salt, kdf["rounds"], 32)


def recovery_bytes(text: Any) -> Any:
    text = re.sub("[ \t\r\n-]", "", text).upper().translate(str.maketrans("018", "OIB"))
    need(re.fullmatch("[A-Z2-7]{56}", text), "recovery key: mistyped")
    data = base64.b32decode(text)
    need(hashlib.sha256(b"vlt/v1/recovery" + data[:32]).digest()[:3] == data[32:], "recovery key: mistyped")
    return data[:32]


def recovery_text(secret: Any) -> Any:
    text = base64.b32encode(secret + hashlib.sha256(b"vlt/v1/recovery" + secret).digest()[:3]).decode()
    return "-".join(text[i : i + 4] for i in range(0, 56, 4))


def material(slot: Any, secret: Any) -> Any:
    """``secret``: text; for a composite slot a dictionary from source to passphrase."""
    if slot["type"] == "passphrase":
        return derive(slot["kdf"], secret)
    if slot["type"] == "key":
        return unb64(secret, 32, 64)
    if slot["type"] == "recovery":
        return recovery_bytes(secret)
    return lp(*(derive(factor["kdf"], secret[factor["source"]]) for factor in slot["factors"]))


def slot_head(slot: Any) -> Any:
    return cjson({name: slot[name] for name in slot if name not in ("commit", "wrap")}).encode()


def slot_key(store: Any, slot: Any, secret: Any) -> Any:
    return hkdf(material(slot, secret), store, b"vlt/v1/slot" + lp(slot_head(slot)), 64)


def open_slots(store: Any, slots: Any, kind: Any, secret: Any) -> Any:
    for slot in slots:
        if slot["type"] != kind:
            continue
        key = slot_key(store, slot, secret)
        if hmac.compare_digest(key[32:], unb64(slot["commit"], 32)):
            return ungcm(key[:32], unb64(slot["wrap"], 48), slot_head(slot), "wrap")
    raise Wrong


def make_slot(store: Any, dek: Any, secret: Any, **head: Any) -> Any:
    """A whole slot around ``dek``; ``head`` are its fields but ``id``."""
    slot = {"id": os.urandom(8).hex(), "label": "", **head}
    key = slot_key(store, slot, secret)
    return {**slot, "commit": b64(key[32:]), "wrap": b64(gcm(key[:32], dek, slot_head(slot)))}


# §4 ------------------------------------------------------------------------------------------------------------------


def check_table(store: Any, slots: Any) -> Any:
    need(isinstance(slots, list) and 1 <= len(slots) <= 8, "slots: number")
    for slot in slots:
        check_slot(slot)
    need(len({slot["id"] for slot in slots}) == len(slots), "slots: ids")
    parts = [part for slot in slots for part in slot.get("factors", [slot]) if "kdf" in part]
    need(sum(cost(part["kdf"]) for part in parts) <= 2**23, "slots: cost of all derivations")
    return unb64(store, 16)


def check_file(data: Any) -> Any:
    """The form of a store file: the length of its header, the header, and its fields as bytes and numbers."""
    need(16 <= len(data) <= 16777216 and data[:8] == b"\x89VLT\r\n\x1a\n", "magic")
    version, flags, length = struct.unpack(">HHI", data[8:16])
    if version != 1 or flags != 0:
        raise Newer(version)
    need(1 <= length <= 65536, "header length")
    body = len(data) - (48 + length + 16)
    need(body >= 4096 and body % 4096 == 0, "size")
    header = only(parse(data[16 : 16 + length]), "epoch", "fsalt", "slots", "store")
    store = check_table(header["store"], header["slots"])
    return length, header["slots"], store, number(header["epoch"], 1, 2**63 - 1), unb64(header["fsalt"], 32)


def read_file(data: Any, secret: Any, kind: str = "passphrase") -> Any:
    """Epoch and entries (name to value) of a store file."""
    length, slots, store, epoch, fsalt = check_file(data)
    dek = open_slots(store, slots, kind, secret)
    mac_key = hkdf(dek, store, b"vlt/v1/header-mac", 32)
    mac = hmac.new(mac_key, data[: 16 + length], hashlib.sha256).digest()
    need(hmac.compare_digest(mac, data[16 + length : 48 + length]), "header MAC")
    key = hkdf(dek, fsalt, b"vlt/v1/payload" + lp(store, epoch), 32)
    plain = ungcm(key, data[48 + length :], data[: 48 + length], "payload")
    (size,) = struct.unpack(">I", plain[:4])
    index, padding = plain[4 : 4 + size], plain[4 + size :]
    need(len(index) == size and len(padding) < 4096 and not padding.strip(b"\0"), "padding")
    entries = check_index(index, epoch)
    return epoch, {name: read_entry(dek, store, name, value) for name, value in entries.items()}


def check_index(index: Any, epoch: Any) -> Any:
    entries = parse(index)
    need(isinstance(entries, dict), "index")
    for name, value in entries.items():
        need(re.fullmatch("[a-z0-9._-]+/[a-z0-9._-]+", name) and len(name) <= 900, "name")
        only(value, "s", "v")
        number(value["v"], 1, epoch)
        need(isinstance(value["s"], str) and re.fullmatch("[A-Za-z0-9+/=]*", value["s"]), "sealed value: alphabet")
    return entries


def read_entry(dek: Any, store: Any, name: Any, value: Any) -> Any:
    sealed = unb64(value["s"], 49, 16777216)
    return unseal(dek, b"vlt/v1/entry" + lp(store, name.encode(), value["v"]), sealed)


# §5 ------------------------------------------------------------------------------------------------------------------


def check_slot_table(text: Any) -> Any:
    """Identity and fields of the value of ``meta/slots``."""
    table = parse(text)
    if isinstance(table, dict) and type(table.get("format")) is int and table["format"] > 1:
        raise Newer(table["format"])
    only(table, "format", "mac", "slots", "store")
    number(table["format"], 1, 1)
    unb64(table["mac"], 32)
    return check_table(table["store"], table["slots"]), table


def open_table(text: Any, secret: Any, kind: str = "passphrase") -> Any:
    """Identity and DEK from the value of ``meta/slots``."""
    store, table = check_slot_table(text)
    dek = open_slots(store, table["slots"], kind, secret)
    rest = cjson({name: table[name] for name in table if name != "mac"}).encode()
    mac = hmac.new(hkdf(dek, store, b"vlt/v1/table-mac", 32), rest, hashlib.sha256).digest()
    need(hmac.compare_digest(mac, unb64(table["mac"], 32)), "table MAC")
    return store, dek


def read_value(store: Any, dek: Any, key: Any, text: Any) -> Any:
    need(text[:5] == b"vlt1:", "sealed value: prefix")
    sealed = unb64(text[5:].decode("ascii"), 49, len(text))
    return unseal(dek, b"vlt/v1/value" + lp(store, key.encode()), sealed)


def ask(slots: Any, kind: Any) -> Any:
    """What :func:`material` takes for slots of this type."""
    if kind == "composite":
        sources = {factor["source"] for slot in slots if slot["type"] == kind for factor in slot["factors"]}
        return {source: getpass(f"Secret of {source}: ") for source in sorted(sources)}
    return getpass({"passphrase": "Passphrase: ", "key": "Key (base64): ", "recovery": "Recovery key: "}[kind])


def main(path: Any, kind: str = "passphrase") -> None:
    data = Path(path).read_bytes()
    epoch, entries = read_file(data, ask(check_file(data)[1], kind), kind)
    print(json.dumps({"epoch": epoch, "entries": {name: value.decode() for name, value in entries.items()}}))  # noqa: T201 - a tool for people


if __name__ == "__main__":
    main(*sys.argv[1:])
