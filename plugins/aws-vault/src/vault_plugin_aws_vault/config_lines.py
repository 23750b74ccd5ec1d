"""The ``credential_process`` lines that run aws-vault."""

from collections.abc import Sequence
from pathlib import Path

from vault_core.api import ConfigError

PROGRAM = "aws-vault"
FORMS = (
    ("exec", "-j"),
    ("exec", "--json"),
    ("exec", "--format=json"),
    ("export", "--format=json"),
    ("export", "--format", "json"),
)
"""The words, besides the profile, of a line that prints credentials and changes nothing about them."""


def profile_of(words: Sequence[str]) -> str | None:
    """The profile whose credentials a line gets from aws-vault; None for the line of another program.

    :param words: the program and its arguments.
    :raises ConfigError: the line runs aws-vault with other options.
    """
    if Path(words[0]).name != PROGRAM:
        return None
    rest = [word for word in words[1:] if word != "--"]
    for position, word in enumerate(rest):
        if tuple(rest[:position] + rest[position + 1 :]) in FORMS:
            return word
    raise ConfigError(
        "runs aws-vault with other options; it runs awsv if the launcher 'aws-vault' of this plugin is first on PATH"
    )
