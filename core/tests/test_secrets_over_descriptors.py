"""Secrets over descriptors, and who may try how often, in process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from vault_core.cli import descriptors, passwd
from vault_core.errors import Cancelled, PassphraseError, QuestionRefused, UsageError, WrongSecret
from vault_core.keyslots import new_slot, recovery_key
from vault_core.keyslots.manage import passphrase_slot
from vault_core.secret import Secret
from vault_core.vlt.slot_table import SlotTable

OPTION = click.Option(["--some-fd"])


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    pair = os.pipe()
    yield pair
    for number in pair:
        with suppress(OSError):
            os.close(number)


def copied(number: int, *, writing: bool) -> int:
    own = descriptors.descriptor(writing=writing)(click.Context(click.Command("x")), OPTION, number)
    assert own is not None
    return own


def closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


@pytest.mark.parametrize("writing", [False, True])
def test_an_own_copy_is_taken_that_no_child_gets(writing: bool, ends: tuple[int, int]) -> None:
    own = copied(ends[writing], writing=writing)
    assert own not in (0, 1, 2, ends[writing])
    assert not os.get_inheritable(own)
    assert os.path.samestat(os.fstat(own), os.fstat(ends[writing]))
    os.close(own)


@pytest.mark.parametrize("writing", [False, True])
def test_the_wrong_end_of_a_pipe_is_refused(writing: bool, ends: tuple[int, int]) -> None:
    use = r"written to \(from 3 on\)" if writing else "read from$"
    with pytest.raises(UsageError, match=f"^--some-fd {ends[not writing]}: not an open descriptor that can be {use}"):
        copied(ends[not writing], writing=writing)


@pytest.mark.parametrize("number", [-1, 987654, 1 << 40])
@pytest.mark.parametrize("writing", [False, True])
def test_what_is_no_descriptor_is_refused(number: int, writing: bool) -> None:
    with pytest.raises(UsageError, match=f"^--some-fd {number}: not an open descriptor"):
        copied(number, writing=writing)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_key_is_written_where_output_goes(number: int) -> None:
    with pytest.raises(UsageError, match=r"can be written to \(from 3 on\)$"):
        copied(number, writing=True)


@pytest.mark.parametrize(("mode", "refused"), [(0o600, False), (0o640, True), (0o604, True)])
def test_no_key_is_written_to_a_file_that_others_read(mode: int, refused: bool, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch()
    file.chmod(mode)
    number = os.open(file, os.O_WRONLY)
    try:
        if refused:
            with pytest.raises(UsageError, match="others may read the file that the key would go to"):
                copied(number, writing=True)
        else:
            os.close(copied(number, writing=True))
    finally:
        os.close(number)


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (b"a\n", b"a"),
        (b"a\r\n", b"a"),
        (b"a", b"a"),
        (b"a\n\n", b"a\n"),
        (b" a \r", b" a \r"),
        (b"a\r\n\r\n", b"a\r\n"),
    ],
)
def test_one_line_end_is_cut_off_and_the_descriptor_closed(sent: bytes, got: bytes, ends: tuple[int, int]) -> None:
    os.write(ends[1], sent)
    os.close(ends[1])
    assert descriptors.read_line(ends[0], "--some-fd").reveal() == got
    assert closed(ends[0])


@pytest.mark.parametrize("sent", [b"", b"\n", b"\r\n"])
def test_a_descriptor_that_delivers_nothing_is_refused_and_closed(sent: bytes, ends: tuple[int, int]) -> None:
    os.write(ends[1], sent)
    os.close(ends[1])
    with pytest.raises(PassphraseError, match=r"^the descriptor of --some-fd delivers nothing$"):
        descriptors.read_line(ends[0], "--some-fd")
    assert closed(ends[0])


@pytest.mark.parametrize(("over", "refused"), [(0, False), (1, True)])
def test_a_descriptor_delivers_so_much_and_no_more(
    over: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "_LIMIT", 10)
    (tmp_path / "long").write_bytes(b"x" * (10 + over))
    number = os.open(tmp_path / "long", os.O_RDONLY)
    if refused:
        with pytest.raises(PassphraseError, match=r"delivers too much$"):
            descriptors.read_line(number, "--some-fd")
    else:
        assert descriptors.read_line(number, "--some-fd").reveal() == b"x" * 10
    assert closed(number)


def test_a_key_is_written_whole_however_little_is_taken_at_a_time(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:2]))
    descriptors.write_line(ends[1], Secret("abcde"), "--some-fd")
    assert closed(ends[1])
    assert os.read(ends[0], 99) == b"abcde\n"


def test_a_key_that_nobody_takes_is_told_and_the_descriptor_closed(ends: tuple[int, int]) -> None:
    os.close(ends[0])
    with pytest.raises(UsageError, match=r"^the key cannot be written to the descriptor of --some-fd: "):
        descriptors.write_line(ends[1], Secret("abcde"), "--some-fd")
    assert closed(ends[1])


# -- recovery ----------------------------------------------------------------------------------------------------------


def shown(*answers: Any) -> tuple[list[str], int, BaseException | None]:
    """What is written when a key is shown, how often the person is asked, and how it ends."""
    text = new_slot.recovery(os.urandom(16))[1]
    last = text.reveal_text().rpartition("-")[2]
    written: list[str] = []
    left = [last if one is True else one for one in answers]
    asked = 0

    def ask(question: str, *, secret: bool) -> Secret:
        nonlocal asked
        asked += 1
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Secret(answer)

    slots: Any = SimpleNamespace(where="store 'file'")
    terminal: Any = SimpleNamespace(write=written.append, ask=ask)
    try:
        recovery_key.show(slots, terminal, text)
    except Cancelled as error:
        return written, asked, error
    assert text.reveal_text().replace("-", "") in written[0].replace("-", "").replace("\n", "").replace(" ", "")
    return written, asked, None


@pytest.mark.parametrize(
    ("answers", "asked", "counts"),
    [
        ((True,), 1, True),
        (("x", True), 2, True),
        (("x", "", True), 3, True),
        (("x", "x", "x", True), 3, False),
        ((QuestionRefused("no answer"),), 1, False),
    ],
)
def test_a_recovery_key_counts_when_its_last_group_is_typed_in_three_tries(
    answers: tuple[Any, ...], asked: int, counts: bool
) -> None:
    _, found, error = shown(*answers)
    assert (found, error is None) == (asked, counts)
    if error is not None:
        assert "is not valid, and nothing was changed" in str(error)


def table() -> SlotTable:
    """With a recovery key alone."""
    store, dek = os.urandom(16), Secret(os.urandom(32))
    return SlotTable(store, (new_slot.recovery(store)[0].wrap(dek),))


@pytest.mark.parametrize(("wrong", "asked", "opens"), [(0, 1, True), (2, 3, True), (3, 3, False)])
def test_a_person_may_type_the_recovery_key_three_times(wrong: int, asked: int, opens: bool) -> None:
    questions: list[str] = []
    notes: list[str] = []

    def open_(typed: Secret, where: str) -> tuple[None, Secret]:
        if len(questions) <= wrong:
            raise WrongSecret("it does not open it")
        return None, Secret("dek")

    def ask(question: str) -> Secret:
        questions.append(question)
        return Secret("typed")

    app: Any = SimpleNamespace(host=SimpleNamespace(cannot_ask=lambda: None), note=notes.append)
    with_recovery = SimpleNamespace(of_type=lambda kind: [kind], open_by_recovery=open_)
    slots: Any = SimpleNamespace(table=lambda: with_recovery, context=SimpleNamespace(ask=ask), where="store 'file'")
    if opens:
        assert passwd._open_by_recovery(app, slots, None) == Secret("dek")
    else:
        with pytest.raises(WrongSecret):
            passwd._open_by_recovery(app, slots, None)
    assert len(questions) == asked
    assert len(notes) == min(wrong, 2)


def test_which_passphrase_is_changed_has_to_be_clear() -> None:
    only = table()
    with pytest.raises(UsageError, match=r"has no passphrase to change$"):
        passphrase_slot(only, only.slots[0].id)
    assert passphrase_slot(only, None) is None
    one, two = object(), object()
    several: Any = SimpleNamespace(of_type=lambda _: (one, two), find=lambda _: two)
    with pytest.raises(UsageError, match=r"^the store has 2 passphrases"):
        passphrase_slot(several, None)
    assert passphrase_slot(several, "2") is two
    single: Any = SimpleNamespace(of_type=lambda _: (one,))
    assert passphrase_slot(single, None) is one


def test_variables_that_deliver_the_old_passphrase_are_named() -> None:
    ours = ("B_PASSPHRASE_FILE", "A_PASSPHRASE", "PASSPHRASE_SOURCE", "FILE_DIR")
    environ = dict.fromkeys([*(f"AWS_VAULT_{name}" for name in ours), "OTHERS_PASSPHRASE"], "x")
    app: Any = SimpleNamespace(settings=SimpleNamespace(environ=environ))
    assert passwd._delivering(app) == ["AWS_VAULT_A_PASSPHRASE", "AWS_VAULT_B_PASSPHRASE_FILE"]
