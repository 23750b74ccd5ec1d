"""Read an inventory from a file. It is from another machine, and anyone could have changed it on its way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault_core import files
from vault_core.errors import UsageError
from vault_core.rotation.identifiers import is_account, is_key_id, is_role, is_user, is_user_arn
from vault_core.rotation.inventory import VERSION

LIMIT = 4 << 20
"""Bytes: some ten thousand keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key that is to be deactivated. What the inventory does not say is None."""

    id: str
    account: str | None = None
    user: str | None = None
    is_root: bool = False
    """The inventory says that it is a key of the root user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What an inventory names: every key and every role once."""

    keys: tuple[ListedKey, ...]
    roles: tuple[str, ...]
    """ARNs."""


def read(path: Path) -> Listed:
    """What the inventory in a file names. What else the file holds is not looked at.

    :raises UsageError: the file cannot be read, or is not an inventory.
    """
    try:
        data = files.read(path, limit=LIMIT)
    except OSError as error:
        raise UsageError(f"the inventory {path} cannot be read: {error.strerror or error}") from None
    try:
        found = json.loads(data)
        if not isinstance(found, dict):
            raise _Unsuitable("it is not an object")
        if found.get("version") != VERSION or isinstance(found["version"], bool):
            raise _Unsuitable(f"its version is not {VERSION}")
        return _listed(found)
    except _Unsuitable as error:
        reason = str(error)
    except (ValueError, RecursionError):  # the decoder's own text would show parts of the file
        reason = "it is not JSON"
    raise UsageError(
        f"{path} is not an inventory: {reason}", hint="make it by 'awsv inventory --json', and change nothing in it"
    )


class _Unsuitable(Exception):
    """Why a file is not an inventory. Names places in it, and shows nothing of it."""


def _listed(found: Mapping[str, Any]) -> Listed:
    keys: dict[str, ListedKey] = {}
    roles: dict[str, None] = {}
    for number, entry in enumerate(_objects(found, "keys", "keys")):
        where = f"keys[{number}]"
        key = _key(entry, where)
        known = keys.get(key.id)
        if known is None or known.account is None:  # the same key in another store, whose journal knows less
            keys[key.id] = key
        for place, use in enumerate(_objects(entry, "profiles", f"{where}.profiles")):
            roles |= dict.fromkeys(_roles(use, f"{where}.profiles[{place}].roles"))
    return Listed(keys=tuple(keys.values()), roles=tuple(roles))


def _key(entry: Mapping[str, Any], where: str) -> ListedKey:
    key = _text(entry, "key", where, is_key_id)
    if key is None:
        raise _Unsuitable(f"{where}.key is missing")
    arn = _text(entry, "user_arn", where, is_user_arn)
    return ListedKey(
        id=key,
        account=_text(entry, "account", where, is_account),
        user=_text(entry, "user", where, is_user),
        is_root=arn is not None and arn.endswith(":root"),
    )


def _text(entry: Mapping[str, Any], name: str, where: str, suits: Callable[[str], bool]) -> str | None:
    text = entry.get(name)
    if text is not None and not (isinstance(text, str) and suits(text)):
        raise _Unsuitable(f"{where}.{name} is not what AWS calls one")
    return text


def _objects(entry: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    found = entry.get(name)
    if not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise _Unsuitable(f"{where} is not a list of objects")
    return found


def _roles(use: Mapping[str, Any], where: str) -> list[str]:
    found = use.get("roles")
    if not (isinstance(found, list) and all(isinstance(one, str) and is_role(one) for one in found)):
        raise _Unsuitable(f"{where} is not a list of ARNs of roles")
    return found
