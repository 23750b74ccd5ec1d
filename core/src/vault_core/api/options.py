"""Options: the settings that a plugin declares."""

from collections.abc import Callable
from typing import Any

from vault_core.records import dataclass


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
    """The value if the option is not set; it is not parsed."""
    parse: Callable[[str], Any] = str
    """Text to value; raises :class:`ValueError` with the reason, which must not contain the text of a secret."""
    secret: bool = False
    """Never shown; its variable is removed from the children of ``exec`` and hidden from other plugins. It has no flag:
    every user of the machine can read arguments."""
    from_profile: bool | None = None
    """Whether a key of an AWS profile can set the option; otherwise such a key is an error.

    ``~/.aws/config`` is shared, generated and copied between users. So it must not choose an address, file or program
    to which a secret is sent or from which one is read. None means True for the options of a session provider that are
    not secret, and False for all others. A profile can set a secret option only of a session provider, with True.
    """
