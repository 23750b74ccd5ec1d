"""What a loaded plugin says of itself, and what in its spec makes no sense."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vault_core.api import AtRest, Capability, Option, SessionSpec, SourceNeed, StorageSpec
from vault_core.plugins.boundary import said

if TYPE_CHECKING:
    from vault_core.plugins.host import HostContext

_OPTION_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_SMALLEST_LIMIT = 64
"""Bytes: the least that :attr:`~vault_core.api.StorageSpec.max_value` may be."""


def wrong_types(spec: Any) -> Iterator[str]:
    """What in a spec is of another type than the core goes by, one sentence each: nothing checks the fields of a
    dataclass, and a store whose ``at_rest`` is the text "core" would be sealed by nobody."""
    options, reads = getattr(spec, "options", ()), getattr(spec, "secret_variables", ())
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        yield "its options are no tuple of Option"
    if not isinstance(reads, tuple) or not all(isinstance(name, str) for name in reads):
        yield "its secret_variables are no tuple of str"
    if isinstance(spec, SessionSpec) and not isinstance(spec.source, SourceNeed):
        yield "its source is not a SourceNeed"
    if isinstance(spec, StorageSpec):
        yield from _storage_faults(spec)


def faults(spec: Any) -> Iterator[str]:
    """What a plugin's spec has against its contract, one sentence each: for ``awsv plugins check``."""
    if not isinstance(spec.summary, str) or not spec.summary.strip() or "\n" in spec.summary:
        yield "its summary is not one line of text"
    for name in ("open", "locate", "readers", "unavailable", "parameters"):
        given = getattr(spec, name, None)
        if not callable(given) and (given is not None or name == "open") and hasattr(spec, name):
            yield f"its {name} cannot be called"
    wrong = list(wrong_types(spec))
    yield from wrong
    if not wrong:
        yield from _option_faults(getattr(spec, "options", ()), is_session=isinstance(spec, SessionSpec))


def _option_faults(options: tuple[Option, ...], *, is_session: bool) -> Iterator[str]:
    names = [option.name for option in options]
    for name in names:
        if not isinstance(name, str) or not _OPTION_NAME.match(name):
            yield f"{name!r} is no name of an option: lower-case words joined by -"
    if len(set(names)) < len(names):
        yield "two of its options have one name"
    for option in options:
        if option.secret and option.from_profile and not is_session:
            yield f"its option {option.name!r} is secret: an AWS profile sets one of a session provider alone"


def _storage_faults(spec: StorageSpec) -> Iterator[str]:
    if not isinstance(spec.at_rest, AtRest):
        yield "its at_rest is no AtRest"
    if not isinstance(spec.capabilities, Capability):
        yield "its capabilities are no Capability"
    if spec.max_value is not None and not (isinstance(spec.max_value, int) and spec.max_value >= _SMALLEST_LIMIT):
        yield f"its max_value is no number of {_SMALLEST_LIMIT} or more bytes"


def describe(name: str, spec: Any, context: HostContext | None) -> dict[str, Any]:
    """What a plugin offers, as JSON.

    :param context: None where there is none (of a command, or because an option is set wrongly).
    :raises VaultError: what the plugin looks at to answer is set wrongly, or an answer is no text.
    """
    found: dict[str, Any] = {"summary": spec.summary, "capabilities": _capabilities(spec)}
    if isinstance(spec, StorageSpec):
        found |= {"at_rest": spec.at_rest.value, "max_value": spec.max_value}
        for question in ("locate", "readers"):
            found[question] = context and said(context.host.plugins, "storage", spec, question, context)
    found["options"] = [_option(name, option) for option in getattr(spec, "options", ())]
    return found


def _capabilities(spec: Any) -> list[str]:
    if isinstance(spec, StorageSpec):
        names = [capability.name or "" for capability in Capability if capability in spec.capabilities]
        return [name.lower().replace("_", "-") for name in names]
    found = [name for name in ("interactive", "writable") if getattr(spec, name, False)]
    if source := getattr(spec, "source", None):
        found.append(f"source-{source.value}")
    return found


def _option(plugin: str, option: Option) -> dict[str, Any]:
    flag = f"--{plugin}-{option.name}"
    return {
        "name": option.name,
        "flag": None if option.secret else flag,
        "variable": f"AWS_VAULT_{flag.removeprefix('--')}".replace("-", "_").upper(),
        "default": None if option.secret or option.default is None else _default(option.default),
        "secret": option.secret,
        "help": option.help,
    }


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
