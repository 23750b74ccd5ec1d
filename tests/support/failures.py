"""How every failure looks to whoever ran the command."""

from __future__ import annotations

import re


def assert_shape(stdout: str, stderr: str) -> None:
    """Nothing on standard output; the last lines are the message and one hint."""
    assert stdout == ""
    lines = stderr.splitlines()
    assert "Traceback" not in stderr
    hints = [line for line in lines if line.startswith("hint: ")]
    assert len(hints) <= 1
    message = lines[-1 - len(hints)]
    assert re.fullmatch(r"awsv: ([a-z0-9'\"/(]|AWS|MFA|STS|[A-Z]+_[A-Z_]+ |--).*[^.]", message), stderr
    assert all(not hint.endswith(".") for hint in hints)
