"""How a contract reaches the plugin under test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a test needs to open the plugin, in its own process and in others.

    Without one a plugin is opened with its default options, an empty environment, and data and state folders of the
    test's own.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    """The plugin's options as a user types them; the rest have their defaults."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """The environment: what :attr:`~vault_core.api.Context.environ` shows, and all that the child processes get which
    the contract starts, besides ``HOME`` and ``TMPDIR``: folders of the test's own unless given."""
    files: Sequence[Path] = ()
    """Folders (or files) besides the data and the state folder in which the plugin or its service keeps something: they
    are searched for values that must not be readable."""
    before_child: Sequence[str] = ()
    """Words to put before the command of a child process: a program that gives it what it needs (``dbus-run-session
    --``)."""
