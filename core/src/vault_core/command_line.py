"""Command lines that people copy from a message into a shell."""

from __future__ import annotations

import os
import shlex


def command_line(command: str, *operands: str | os.PathLike[str]) -> str:
    """A line to paste: the operands are quoted, and behind ``--`` where one would be taken for an option.

    :param command: the program, its subcommand and options, as they are.
    """
    words = [os.fspath(operand) for operand in operands]
    marker = ["--"] if any(word.startswith("-") for word in words) else []
    return " ".join([command, *marker, *map(shlex.quote, words)])
