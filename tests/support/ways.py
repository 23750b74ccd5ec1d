"""Stores with slots, as tests look at them from outside: which secret opens, and what lies in them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.busy import seconds
from support.home import PROGRAM, Home
from support.vaults import store_path
from vault_core.api import PassphraseError, Secret, StorageLocked
from vault_core.keyslots import unlock
from vault_core.vlt import SlotTable
from vault_plugin_file import vlt_file
from vault_testkit import FakeContext

KEY = re.compile(r"([A-Z2-7]{4}-){6}[A-Z2-7]{4}")
"""Half a recovery key, as one of its two lines shows it."""


def table(home: Home) -> SlotTable:
    """The slots of the default store of a home."""
    return vlt_file.parse(store_path(home).read_bytes()).table


def opens(home: Home, passphrase: str) -> bool:
    """Whether a passphrase opens the default store of a home."""
    try:
        unlock.open_by_passphrase(FakeContext(home.root, passphrases=[passphrase]), table(home), "it")
    except (PassphraseError, StorageLocked):
        return False
    return True


def sealed_entries(home: Home, passphrase: str) -> dict[str, vlt_file.Entry]:
    """The entries of the default store as they lie there, sealed."""
    envelope = vlt_file.parse(store_path(home).read_bytes())
    dek = unlock.open_by_passphrase(FakeContext(home.root, passphrases=[passphrase]), envelope.table, "it")[1]
    return vlt_file.decrypt(envelope, dek)  # type: ignore[return-value]  # an index, which is a mapping


def recovers(home: Home, text: str) -> bool:
    """Whether a recovery key opens the default store of a home."""
    try:
        table(home).open_by_recovery(Secret(text), "it")
    except (PassphraseError, StorageLocked):
        return False
    return True


def with_descriptors(home: Home, *words: str, env: Mapping[str, str], **texts: str) -> subprocess.Popen[bytes]:
    """Start ``awsv`` without a terminal, each ``text`` at the descriptor that option ``--NAME-fd`` gets.

    A name's ``_`` is the option's ``-``. Its output is dropped; the caller waits for it.
    """
    options: list[str] = []
    given: list[int] = []
    try:
        for name, text in texts.items():
            reading, writing = os.pipe()
            os.write(writing, text.encode())
            os.close(writing)
            given.append(reading)
            options += [f"--{name.replace('_', '-')}-fd", str(reading)]
        return subprocess.Popen(
            [PROGRAM, *words, *options],
            env=home.environment(env),
            cwd=home.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=given,
            start_new_session=True,
        )
    finally:
        for number in given:
            os.close(number)


def finished(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Exit code and standard error of what :func:`with_descriptors` started."""
    stderr = process.communicate(timeout=seconds(60))[1].decode()
    return process.returncode, stderr


def answer(child: Any, *answers: tuple[str, str]) -> None:
    """Type an answer to each question as it appears on a terminal."""
    for question, text in answers:
        child.expect(question)
        child.sendline(text)


def ended(child: Any) -> tuple[int, str]:
    """Exit code, and the rest of what the terminal showed."""
    import pexpect

    child.expect(pexpect.EOF)
    shown: str = child.before
    child.close()
    code: int = child.exitstatus
    return code, shown


def shown_key(child: Any) -> str:
    """Read a recovery key from a terminal on which it is being shown, up to the question for its last group."""
    child.expect("The recovery key of store")
    lines = []
    for _ in range(2):
        child.expect(KEY)
        lines.append(child.match.group(0))
    child.expect("Type the last group to confirm you wrote it down: ")
    return "-".join(lines)


def files_with(root: Path, text: str) -> list[Path]:
    """The files below a folder that hold a recovery key, or a line of it, in any spelling."""
    groups = text.split("-")
    pieces = {text, "".join(groups), " ".join(groups), "-".join(groups[:7]), "-".join(groups[7:]), "".join(groups[:7])}
    needles = [spelling.encode() for piece in pieces for spelling in (piece, piece.lower())]
    found = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if any(needle in path.read_bytes() for needle in needles)]
