"""S19: the second implementation as a program opens every golden file with the secret that is typed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

INDEPENDENT = Path(__file__).parents[3] / "core" / "tests" / "vlt" / "independent.py"
GOLDEN = sorted(Path(__file__).with_name("golden").glob("*.vlt"))
QUESTIONS = {"passphrase": "Passphrase: ", "key": "Key .base64.: ", "recovery": "Recovery key: "}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_s19_second_decoder_opens_golden_files_by_command_line(path: Any) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    secret = expected.get("secret", expected.get("passphrase"))
    kind = expected.get("type", "passphrase")
    answers = (
        [(f"Secret of {source}: ", text) for source, text in sorted(secret.items())]
        if kind == "composite"
        else [(QUESTIONS[kind], secret)]
    )
    words = [str(INDEPENDENT), str(path), *([] if kind == "passphrase" else [kind])]
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    child = pexpect.spawn(sys.executable, words, env=environ, encoding="utf-8", timeout=60)
    for question, text in answers:
        child.expect(question)
        child.sendline(text)
    shown = child.read()
    child.close()
    assert child.exitstatus == 0, shown
    found = json.loads(shown.strip())
    assert (found["epoch"], found["entries"]) == (expected["epoch"], expected["entries"])
