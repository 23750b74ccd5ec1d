"""Any bytes for the decoder: the container, its header, its index, and the slot table of other backends.

:func:`target` takes one input, of which the first byte says what the others are. Both implementations of the format
must agree whether it is one, the product must raise nothing but its own errors, and what it accepts must be the only
spelling of what it has read. ``python decoder.py CORPUS… -runs=N`` has atheris look for an input where that is not so
(libFuzzer's options); ``test_fuzz_decoder.py`` runs it, and, without atheris, the files of ``corpus`` and mutations.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
INDEPENDENT = FOLDER.parents[3] / "core" / "tests" / "vlt" / "independent.py"
EPOCH = 9


def _instrumented() -> contextlib.AbstractContextManager[object]:
    """Where atheris runs, it counts the branches of what is imported now."""
    if __name__ != "__main__":
        return contextlib.nullcontext()
    import atheris

    return atheris.instrument_imports(include=["vault_core.vlt", "vault_plugin_file.vlt_file", "json"])  # type: ignore[no-any-return]  # atheris has no types


with _instrumented():
    from vault_core import vlt
    from vault_core.api import Capability, Item, Secret, StorageBackend, StorageCorrupt
    from vault_core.storage.sealed import SealedBackend
    from vault_core.vlt import encoding, kdf, slot  # noqa: F401 - imported here, so that they are instrumented
    from vault_core.vlt import slot_table as _slot_table  # noqa: F401 - likewise
    from vault_plugin_file import vlt_file
    from vault_testkit.context import FakeContext

_spec = importlib.util.spec_from_file_location("awsv_independent_format_for_fuzzing", INDEPENDENT)
assert _spec is not None
independent = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = independent
_spec.loader.exec_module(independent)


class Found(AssertionError):
    """An input that shows a fault."""


def agree(data: bytes, mine: object, check: Callable[..., Any], *arguments: Any) -> None:
    """Whether both implementations accept the input, or both do not.

    :param mine: what the product made of it; None where it refused.
    """
    try:
        check(data, *arguments)
        accepted = True
    except (independent.Damaged, independent.Newer):
        accepted = False
    if accepted != (mine is not None):
        raise Found(
            f"the product {'accepts' if mine is not None else 'refuses'} it, the second implementation does not"
        )


def whole_file(data: bytes) -> bool:
    """A file."""
    try:
        found = vlt_file.parse(data)
    except ValueError:
        found = None
    agree(data, found, independent.check_file)
    if found is None:
        return False
    header = {**found.table.to_json(), "epoch": found.epoch, "fsalt": vlt.to_base64(found.fsalt)}
    if vlt.canonical(header) != found.signed[16:] or len(found.data) != len(data):
        raise Found("the header has another spelling")
    return True


def header(data: bytes) -> bool:
    """A header in a frame that fits it."""
    size = len(data).to_bytes(4, "big")
    return whole_file(vlt_file.MAGIC + b"\0\1\0\0" + size + data + bytes(32 + 16 + 4096))


def index(data: bytes) -> bool:
    """An index; each entry is also found by a look-up."""
    try:
        found = vlt_file.Index(data, EPOCH).whole()
    except ValueError:
        found = None
    agree(data, found, independent.check_index, EPOCH)
    for name in (*(found or ()), "a/b", "credentials/work", ""):
        with contextlib.suppress(KeyError, ValueError):
            entry = vlt_file.Index(data, EPOCH)[name]
            if found is not None and found.get(name) != entry:
                raise Found(f"{name} is found as another entry")
            continue
        if name in (found or ()):
            raise Found(f"{name} is not found")
    if found is not None:
        again = {name: {"s": entry.sealed, "v": entry.version} for name, entry in found.items()}
        if vlt.canonical(again) != data:
            raise Found("the index has another spelling")
    return found is not None


class _One(StorageBackend):
    """A backend with one value under every key."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def get(self, key: str) -> Item:
        return Item(value=Secret(self.data), version="")

    put = delete = keys = None  # type: ignore[assignment]  # nothing is to call them


def slot_table(data: bytes) -> bool:
    """The slot table of a store that the core seals."""
    try:
        found = SealedBackend(_One(data), FakeContext(FOLDER), Capability.NONE).slots()
    except StorageCorrupt:
        found = None
    agree(data, found, independent.check_slot_table)
    return found is not None


KINDS = (whole_file, header, index, slot_table)


def target(data: bytes) -> bool:
    """Try one input; whether it was accepted.

    :raises Found: it shows a fault. Whatever else comes out of here is one, too.
    """
    return KINDS[data[0] % len(KINDS)](data[1:]) if data else False


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Another input: where this one is JSON, mostly with another value somewhere in it, else with other bytes."""
    if rng.random() < 0.7:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(data[1:])
            for _ in range(rng.randint(1, 3)):
                value = _other_value(value, rng)
            return data[:1] + vlt.canonical(value)
    return data[:1] + _other_bytes(bytearray(data[1:]), rng)


VALUES: tuple[object, ...] = (
    *(0, 1, 2, 3, 4, 8, 9, 10, 16, 17, 65536, 19_456, 47_104, 2**17, 2**20, 2**22, 600_000, 2**63 - 1, 2**63, -1),
    *(
        1.5,
        True,
        None,
        "",
        "a/b",
        "none",
        "argon2id",
        "scrypt",
        "pbkdf2-sha256",
        "x" * 65,
        "\u202e",
        "\x7f",
        "ssm",
        "argon3",
    ),
    *("passphrase", "key", "composite", "recovery", "0123456789abcdef", [], {}, {"alg": "none"}),
    *(vlt.to_base64(bytes(size)) for size in (0, 16, 32, 48, 49)),
)


def _other_value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one change in it: another value, another name, one more, one less."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(sorted(value))
        rest = {other: found for other, found in value.items() if other != name}
        match rng.randrange(8):
            case 0:
                return rest
            case 1:
                return {**rest, str(rng.choice(VALUES)): value[name]}
            case 2:
                return {**value, str(rng.choice(VALUES)): rng.choice(VALUES)}
        return {**value, name: _other_value(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        inside = [value[at]] * rng.choice((0, 1, 2)) if rng.random() < 0.3 else [_other_value(value[at], rng)]
        return [*value[:at], *inside, *value[at + 1 :]]
    return rng.choice(VALUES)


def _other_bytes(data: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at, until = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : min(until, at + 16)]
            case 2:
                data[at:at] = data[at : min(until, at + 64)]
            case 3 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
    return bytes(data)


def main() -> None:
    import atheris

    def mutator(data: bytes, limit: int, seed: int) -> bytes:
        rng = random.Random(seed)
        found = mutated(data, rng) if data and rng.random() < 0.5 else atheris.Mutate(data, limit)
        return found[:limit]

    options = [*sys.argv, f"-dict={FOLDER / 'tokens.dict'}"]
    atheris.Setup(options, lambda data: target(data) and None, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
