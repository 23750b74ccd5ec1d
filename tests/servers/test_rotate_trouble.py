"""``awsv rotate`` where the machine is at fault: the store, the clock, the journal, the key itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from support.home import Home
from support.iam_front import IamFront, Trouble
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy, bad_signature, clock_skew, error
from support.stored import UNLOCKED, add, until
from support.vaults import stored

BLOCKS = 4
"""Of 512 bytes: a journal fits, a store does not."""


def held(home: Home) -> tuple[str, str]:
    """The key in the vault."""
    return stored(home)["work"]


def rotate_limited(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    return home.limited(BLOCKS, "rotate", "work", *words)


@pytest.mark.parametrize("words", [[], ["--leaked"]], ids=["normal", "leaked"])
def test_store_that_cannot_be_written_costs_no_key(words: list[str], rotating: Home, iam: IamFront) -> None:
    before = held(rotating)
    done = rotate_limited(rotating, *words)
    assert done.returncode == 4
    assert "was deleted again" in done.stderr
    assert held(rotating) == before
    assert iam.at_iam("bob") == {before[0]: True}
    done = rotating.awsv("rotate", "work", *words)
    assert done.returncode == 0, done.stderr
    assert iam.works(*held(rotating))


def test_store_that_cannot_be_written_costs_no_session_that_replaces_a_leaked_key(
    rotating: Home, iam: IamFront
) -> None:
    """The leaked key is inactive by then: of this user, nothing but the session can sign."""
    rotating.configure(f"[profile work]\nmfa_serial = arn:aws:iam::{ACCOUNT}:mfa/bob\n")
    done = rotate_limited(rotating, "--leaked", "-t", "123456")
    assert done.returncode == 4, done.stderr
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False}
    done = rotating.awsv("rotate", "work", "--leaked")
    assert done.returncode == 0, done.stderr
    assert iam.works(*held(rotating))
    assert iam.bob.access_key_id not in iam.at_iam("bob")
    # The session of the leaked key is served no more.
    done = rotating.awsv("exec", "-j", "work")
    assert done.returncode == 6
    assert "MFA" in done.stderr


def test_new_key_that_can_neither_be_stored_nor_deleted_is_named_and_deleted_by_the_next_run(
    rotating: Home, iam: IamFront
) -> None:
    iam.denied.add(("bob", "DeleteAccessKey"))
    done = rotate_limited(rotating)
    assert done.returncode == 7
    [new] = set(iam.at_iam("bob")) - {iam.bob.access_key_id}
    assert f"the new key {new} could not be deleted" in done.stderr
    assert f"hint: 'awsv rotate work', which deletes {new} first" in done.stderr
    iam.denied.clear()
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 0, done.stderr
    assert f"deleted {new}, which an earlier run made and did not store" in done.stderr
    assert new not in iam.at_iam("bob")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir(mode=0o700)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=0700,size=24k", "tmpfs", place], capture_output=True
    ).returncode:
        pytest.skip("root may not mount a tmpfs here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.root("only root can mount a file system")
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_disk_that_is_full_or_read_only_at_the_moment_of_writing(
    how: str, rotating: Home, iam: IamFront, small: Path
) -> None:
    """It is neither before the new key is made."""
    before = held(rotating)
    folder = Path(rotating.env["XDG_DATA_HOME"]) / "awsv"
    for path in folder.iterdir():
        (small / path.name).write_bytes(path.read_bytes())
        (small / path.name).chmod(0o600)
    rotating.env["AWS_VAULT_FILE_DIR"] = str(small)

    def spoil() -> None:
        if how == "full":
            with (small / "film").open("wb", buffering=0) as film:
                while True:
                    try:
                        film.write(bytes(1024))
                    except OSError:
                        return
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)

    iam.arm(Trouble(3, "before", spoil))  # the proof of the new key
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 4, done.stderr
    assert "was deleted again" in done.stderr
    assert iam.at_iam("bob") == {before[0]: True}
    assert iam.works(*before)


def test_key_of_the_root_user_is_refused(rotating: Home, iam: IamFront) -> None:
    iam.roots.add(iam.bob.access_key_id)
    for words in ([], ["--leaked"]):
        done = rotating.awsv("rotate", "work", *words)
        assert done.returncode == 2
        assert f"{iam.bob.access_key_id} is a key of the root user of account" in done.stderr
    assert {call.action for call in iam.calls} == {"GetCallerIdentity"}


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (clock_skew(7200), "this machine's clock is 2 hours behind AWS's"),
        (error(400, "RequestExpired", "Request has expired.", date_shift=-7200), "2 hours ahead of AWS's"),
        (bad_signature("the signed text"), "the secret key does not match the access key"),
    ],
)
def test_clock_or_secret_that_is_wrong_is_named_before_anything_happens(
    fault: object, text: str, home: Home, front: RecordingProxy, moto: MotoServer
) -> None:
    home.env |= UNLOCKED
    add(home, moto.alice, "work")
    front.on("GetCallerIdentity", fault)  # type: ignore[arg-type]  # one of several
    done = home.awsv("rotate", "work")
    assert done.returncode == 6
    assert text in done.stderr
    assert front.actions == ["GetCallerIdentity"]


def test_damaged_journal_never_leads_to_a_deletion(rotating: Home, iam: IamFront) -> None:
    iam.arm(Trouble(2, "lose-after"))
    assert rotating.awsv("rotate", "work").returncode == 6
    [orphan] = set(iam.at_iam("bob")) - {iam.bob.access_key_id}
    [journal] = (rotating.path / ".local/state/awsv/rotations").glob("*.json")
    for text in ("{", json.dumps(json.loads(journal.read_text()) | {"new": orphan})):  # without the time of its making
        journal.write_text(text)
        done = rotating.awsv("rotate", "work")
        assert done.returncode == 7
        assert "journal of an earlier rotation is damaged" in done.stderr
        assert set(iam.at_iam("bob")) == {iam.bob.access_key_id, orphan}


def test_lost_reply_to_the_call_that_makes_a_key_ends_in_a_question_about_that_key(
    rotating: Home, iam: IamFront
) -> None:
    iam.arm(Trouble(2, "lose-after"))
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 6
    assert "there may be a key of user bob that no process has" in done.stderr
    [orphan] = set(iam.at_iam("bob")) - {iam.bob.access_key_id}
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 7
    assert f"{orphan} (active, created" in done.stderr
    assert "made after the rotation began, perhaps by a run that was interrupted" in done.stderr
    done = rotating.awsv("rotate", "--replace", orphan, "work")
    assert done.returncode == 0, done.stderr
    assert orphan not in iam.at_iam("bob")


def test_interrupt_between_making_and_storing_is_finished_by_the_next_run(rotating: Home, iam: IamFront) -> None:
    process = rotating.start("rotate", "work", start_new_session=True)
    iam.delay = 3600.0  # the proof of the new key takes until the interrupt
    try:
        for line in process.stderr or ():
            if "made AKIA" in line:
                process.send_signal(2)
                break
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
    iam.delay = 0.0
    assert len(iam.at_iam("bob")) == 2
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 0, done.stderr
    assert iam.works(*held(rotating))


@pytest.mark.parametrize("call", [0, 1], ids=["identified", "listed"])
def test_two_names_of_one_key_that_are_rotated_at_once_make_one_key(call: int, rotating: Home, iam: IamFront) -> None:
    """The second run has read the old key when the first one replaces it under both names."""
    add(rotating, iam.bob, "work", "copy")
    first: list[subprocess.CompletedProcess[str]] = []
    iam.arm(Trouble(call, "before", lambda: first.append(rotating.awsv("rotate", "copy"))))
    done = rotating.awsv("rotate", "work")
    assert (first[0].returncode, done.returncode) == (0, 4), (first[0].stderr, done.stderr)
    assert "another process replaced the key of 'work' meanwhile" in done.stderr
    assert "--leaked" not in done.stderr
    assert iam.works(*held(rotating))
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False, held(rotating)[0]: True}


def test_key_that_is_stored_while_the_question_about_it_is_open_is_not_deleted(rotating: Home, iam: IamFront) -> None:
    """An administrator could delete it; the one who answers has read that the store holds another key."""
    add(rotating, iam.bob, "work", "copy")
    add(rotating, iam.user("admin"), "admin")
    iam.delay = 3600.0  # the new key of the first run is not proven until the question is open
    first = rotating.start("rotate", "copy", "--as", "admin")
    until(lambda: len(iam.at_iam("bob")) == 2, "a new key")
    terminal = rotating.spawn("rotate", "work", "--as", "admin")
    terminal.expect("Delete AKIA")
    iam.delay = 0.0
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    terminal.sendline("y")
    terminal.expect("another process replaced the key of 'work' meanwhile")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 4
    assert iam.works(*held(rotating))
