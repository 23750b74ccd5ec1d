"""How the results of the library are printed: ``--json`` is one serialisation of the same dataclasses."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from vault_core.errors import VaultError


def to_json(value: Any) -> Any:
    """A result as values that :mod:`json` knows: the fields of a dataclass in their order, times in UTC.

    A field's metadata can name its key (``json``; None omits it), or replace it with its own members (``inline``).
    """
    match value:
        case datetime():
            from vault_core.sessions.formats import timestamp

            return timestamp(value)
        case VaultError():
            return value.message
        case Mapping():
            return {name: to_json(member) for name, member in value.items()}
        case list() | tuple():
            return [to_json(member) for member in value]
    return _members(value) if is_dataclass(value) else value


def _members(value: Any) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for field in fields(value):
        member, key = to_json(getattr(value, field.name)), field.metadata.get("json", field.name)
        if key is not None:
            members |= member if field.metadata.get("inline") else {key: member}
    return members
