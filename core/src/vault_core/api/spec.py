"""What the specs of all kinds of plugins have in common."""

from collections.abc import Callable

from vault_core.api.context import Context
from vault_core.api.options import Option
from vault_core.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSpec:
    """What every spec says about its plugin."""

    name: str
    """The name that the user types: ``[a-z][a-z0-9-]{1,31}``, equal to the entry point's name."""
    summary: str
    """One line, for ``awsv plugins list`` and the documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenableSpec(PluginSpec):
    """The spec of a plugin that the host opens: every kind but commands.

    Each kind adds ``open``, which returns the open plugin for a context: the first place that may import an SDK.
    """

    options: tuple[Option, ...] = ()
    """The settings of the plugin."""
    unavailable: Callable[[Context], str | None] | None = None
    """Why the plugin cannot run on this machine (a missing service or program), or None. It takes less than a second,
    opens nothing and never prompts. For ``awsv plugins check``; ``open`` has to notice the same."""
    secret_variables: tuple[str, ...] = ()
    """Secret environment variables that the plugin reads besides those of its options, as in ``("VAULT_TOKEN",)``;
    ``*`` matches any text. :attr:`Context.environ` hides all others."""
