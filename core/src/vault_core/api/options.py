"""Options: the settings that a plugin declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def boolean(text: str) -> bool:
    """Parse ``true``/``false``, ``yes``/``no``, ``on``/``off``, ``1``/``0``.

    :raises ValueError: for anything else.
    """
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
    raise ValueError("not true or false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of a plugin.

    Option ``dir`` of plugin ``file`` is ``-o file.dir=VALUE``, the variable ``AWS_VAULT_FILE_DIR`` and ``dir`` in
    ``[plugin.file]`` or ``[store.NAME]`` of ``config.toml``, in this order. Between flag and variable comes the AWS
    profile key ``vault_file_dir``, if :attr:`from_profile` allows it.
    """

    name: str
    """Lower-case words joined by ``-``."""
    help: str
    """One line: what it sets, and in which unit."""
    default: Any = None
    """The value where nobody sets it; not parsed."""
    parse: Callable[[str], Any] = str
    """Text to value; raises :class:`ValueError` with the reason, without the text where it may be secret."""
    secret: bool = False
    """Never shown; its variable is removed from the children of ``exec`` and hidden from other plugins. It has no flag:
    every user of the machine can read arguments."""
    from_profile: bool | None = None
    """Whether a key of an AWS profile may set it; where it may not, such a key is an error.

    ``~/.aws/config`` is shared, generated and copied between people. So no address, file or program may come from it
    that a secret is sent to or read from. None: yes for a session provider, whose options describe the profile's own
    session, unless the option is secret; no for every other kind. A secret option is only ever set by a profile of a
    session provider that says True.
    """
