"""What is wrong in the spec that a plugin returned, one sentence per problem."""

import re
from collections.abc import Iterator
from typing import Any

from vault_core.api import AtRest, Capability, Option, SessionSpec, SourceNeed, StorageSpec

_OPTION_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z"
_SMALLEST_LIMIT = 64
"""The smallest valid :attr:`~vault_core.api.StorageSpec.max_value`, in bytes."""


def wrong_types(spec: Any) -> Iterator[str]:
    """The fields with a wrong type. Dataclasses do not check them, and a store whose ``at_rest`` is the text "core"
    would not be sealed."""
    options, reads = getattr(spec, "options", ()), getattr(spec, "secret_variables", ())
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        yield "its options are not a tuple of Option"
    if not isinstance(reads, tuple) or not all(isinstance(name, str) for name in reads):
        yield "its secret_variables are not a tuple of str"
    if isinstance(spec, SessionSpec) and not isinstance(spec.source, SourceNeed):
        yield "its source is not a SourceNeed"
    if isinstance(spec, StorageSpec):
        yield from _storage_problems(spec)


def problems(spec: Any) -> Iterator[str]:
    """The violations of the contract of specs, for ``awsv plugins check``; :func:`wrong_types` included."""
    if not isinstance(spec.summary, str) or not spec.summary.strip() or "\n" in spec.summary:
        yield "its summary is not one line of text"
    for name in ("open", "locate", "readers", "unavailable", "parameters"):
        given = getattr(spec, name, None)
        if not callable(given) and (given is not None or name == "open") and hasattr(spec, name):
            yield f"its {name} cannot be called"
    wrong = list(wrong_types(spec))
    yield from wrong
    if not wrong:
        yield from _option_problems(getattr(spec, "options", ()), is_session=isinstance(spec, SessionSpec))


def _option_problems(options: tuple[Option, ...], *, is_session: bool) -> Iterator[str]:
    names = [option.name for option in options]
    for name in names:
        if not isinstance(name, str) or not re.match(_OPTION_NAME, name):
            yield f"{name!r} is not an option name: lower-case words joined by -"
    if len(set(names)) < len(names):
        yield "two of its options have the same name"
    for option in options:
        if option.secret and option.from_profile and not is_session:
            yield f"its option {option.name!r} is secret: an AWS profile can set those of session providers only"


def _storage_problems(spec: StorageSpec) -> Iterator[str]:
    if not isinstance(spec.at_rest, AtRest):
        yield "its at_rest is not an AtRest"
    if not isinstance(spec.capabilities, Capability):
        yield "its capabilities are not a Capability"
    if spec.max_value is not None and not (isinstance(spec.max_value, int) and spec.max_value >= _SMALLEST_LIMIT):
        yield f"its max_value is not a number of bytes of at least {_SMALLEST_LIMIT}"
