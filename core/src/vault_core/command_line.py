"""Command lines in messages, to be copied into a shell."""

import os
import shlex


def command_line(command: str, *operands: str | os.PathLike[str]) -> str:
    """A command line with quoted operands; ``--`` precedes them if one would be parsed as an option.

    :param command: the program, its subcommand and options; not quoted.
    """
    words = [os.fspath(operand) for operand in operands]
    marker = ["--"] if any(word.startswith("-") for word in words) else []
    return " ".join([command, *marker, *map(shlex.quote, words)])
