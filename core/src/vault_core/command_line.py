"""Hints in messages: command lines to be copied into a shell, and the word that may have been meant."""

import os
import shlex
from collections.abc import Iterable


def command_line(command: str, *operands: str | os.PathLike[str]) -> str:
    """A command line with quoted operands; ``--`` precedes them if one would be parsed as an option.

    :param command: the program, its subcommand and options; not quoted.
    """
    words = [os.fspath(operand) for operand in operands]
    marker = ["--"] if any(word.startswith("-") for word in words) else []
    return " ".join([command, *marker, *map(shlex.quote, words)])


def did_you_mean(word: str, words: Iterable[str], otherwise: str) -> str:
    """A hint about an unknown word: the most similar of the known ones.

    :param otherwise: the hint if none is similar.
    """
    import difflib  # slow, and of use only after a mistake

    near = difflib.get_close_matches(word, sorted(words), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise
