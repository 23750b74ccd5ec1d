"""``awsv recovery``, and the recovery key that a new store comes with: shown once, nowhere else, and it opens."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from support import parts
from support.awsvault import PASSPHRASE as THEIRS
from support.awsvault import write_item
from support.home import PROGRAM, Home
from support.vaults import KEY_ID, PASSPHRASE, SECRET, UNLOCKED, fill, offline, store_path
from support.ways import ended, files_with, finished, opens, recovers, shown_key, table, with_descriptors

KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
OFFER = r"Create a recovery key to keep on paper\? \[Y/n\] "
LAST = "Type the last group to confirm you wrote it down: "
UNCHANGED = "the recovery key is not valid, and nothing was changed"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


# -- at a terminal -----------------------------------------------------------------------------------------------------


def test_made_lost_and_used(home: Home) -> None:
    child = home.spawn("recovery", "--label", "safe")
    child.expect("Passphrase to unlock store 'file': ")
    child.sendline(PASSPHRASE)
    text = shown_key(child)
    assert not recovers(home, text)  # it counts only after this
    child.sendline(text[-4:].lower())
    code, shown = ended(child)
    assert (code, "awsv: the recovery key opens store 'file'" in shown) == (0, True)
    assert [(slot.type, slot.label) for slot in table(home).slots] == [("passphrase", ""), ("recovery", "safe")]
    child = home.spawn("passwd", "--recovery")
    wrong = text.replace(text[0], "B" if text[0] == "A" else "A", 1)
    for typed, answer in ((wrong, "the recovery key is mistyped: a character is wrong"), (text[:-1], "has 55 char")):
        child.expect("Recovery key of store 'file': ")
        child.sendline(typed)
        child.expect(answer)
    child.expect("Recovery key of store 'file': ")
    child.sendline(text.lower().replace("-", " "))
    for question in ("New passphrase for store 'file': ", "Repeat passphrase: "):
        child.expect(question)
        child.sendline("another passphrase")
    assert ended(child)[0] == 0
    assert (opens(home, "another passphrase"), opens(home, PASSPHRASE), recovers(home, text)) == (True, False, True)
    assert home.awsv("list", "--unlock", env={"AWS_VAULT_FILE_PASSPHRASE": "another passphrase"}).returncode == 0


def test_it_is_nowhere_but_on_the_terminal(home: Home) -> None:
    script = f"{PROGRAM} --debug recovery >out 2>err; {PROGRAM} --debug passwd --recovery >>out 2>>err; echo $? >code"
    child = home.spawn("-c", script, program="/bin/sh", env=UNLOCKED)
    text = shown_key(child)
    child.sendline(text[-4:])
    child.expect("Recovery key of store 'file': ")
    child.sendline(text)
    for question in ("New passphrase for store 'file': ", "Repeat passphrase: "):
        child.expect(question)
        child.sendline("another passphrase")
    ended(child)
    assert (home.cwd / "code").read_text() == "0\n", (home.cwd / "err").read_text()
    assert "the recovery key opens store" in (home.cwd / "err").read_text()
    assert files_with(home.root, text) == []
    (home.cwd / "canary").write_text(f"x{text}x")  # the search finds what is there
    assert files_with(home.root, text) == [home.cwd / "canary"]


def test_what_is_typed_of_it_is_not_shown(home: Home) -> None:
    text = recovery_key(home)
    child = home.spawn("passwd", "--recovery")
    child.expect("Recovery key of store 'file': ")
    child.sendline(text)
    child.expect("New passphrase")
    assert text not in child.before
    child.sendintr()
    ended(child)


def test_the_last_group_must_be_right(home: Home) -> None:
    before = store_path(home).read_bytes()
    child = home.spawn("recovery", env=UNLOCKED)
    text = shown_key(child)
    wrong = "AAAA" if text[-4:] != "AAAA" else "BBBB"
    for _ in range(2):
        child.sendline(wrong)
        child.expect("That is not its last group")
        child.expect(LAST)
    child.sendline(wrong)
    code, shown = ended(child)
    assert (code, UNCHANGED in shown) == (130, True)
    assert store_path(home).read_bytes() == before


@pytest.mark.parametrize("how", ["interrupt", "end", "empty", "term", "hangup"])
def test_given_up_at_the_question(home: Home, how: str) -> None:
    before = store_path(home).read_bytes()
    child = home.spawn("recovery", env=UNLOCKED)
    text = shown_key(child)
    match how:
        case "interrupt":
            child.sendintr()
        case "end":
            child.sendeof()
        case "empty":
            child.sendline("")
        case "term":
            child.kill(signal.SIGTERM)
        case "hangup":
            child.kill(signal.SIGHUP)
    code, shown = ended(child)
    assert code != 0
    assert (UNCHANGED in shown) == (how in ("interrupt", "end", "empty"))
    assert store_path(home).read_bytes() == before
    assert not recovers(home, text)
    assert files_with(home.root, text) == []


def test_a_second_one_is_counted(home: Home) -> None:
    first = recovery_key(home)
    code, stderr = finished(with_descriptors(home, "passwd", "--recovery", env={}, recovery=first, new_passphrase="n"))
    assert (code, stderr.count("awsv: ")) == (0, 1)
    child = home.spawn("recovery", env={"AWS_VAULT_FILE_PASSPHRASE": "n"})
    second = shown_key(child)
    child.sendline(second[-4:])
    assert "2 recovery keys open it now" in ended(child)[1]
    assert second != first
    assert recovers(home, first)
    assert recovers(home, second)


# -- without one -------------------------------------------------------------------------------------------------------


def recovery_key(home: Home) -> str:
    """Make a recovery key without a terminal."""
    path = home.root / "recovery-key"
    done = home.run("/bin/sh", "-c", f"umask 077; {PROGRAM} recovery --recovery-fd 3 3>{path}", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = path.read_text()
    assert text.endswith("\n")
    path.unlink()
    assert files_with(home.root, text.strip()) == []
    assert text.strip() not in done.stderr
    return text.strip()


def test_to_a_descriptor(home: Home) -> None:
    assert recovers(home, recovery_key(home))


@pytest.mark.parametrize(("number", "counts"), [(1, False), (2, True)], ids=["before", "after"])
def test_a_key_that_may_count_is_not_to_be_destroyed(home: Home, number: int, counts: bool) -> None:
    """The disk fails before, or after, the new file is in its place."""
    strace = parts.need("strace", shutil.which("strace"), how="apt-get install strace")
    path = home.root / "key"
    fault = f"{strace} -f -o /dev/null -e inject=fsync:error=EIO:when={number}"
    done = home.run("/bin/sh", "-c", f"umask 077; {fault} {PROGRAM} recovery --recovery-fd 3 3>{path}", env=UNLOCKED)
    assert (done.returncode, recovers(home, path.read_text().strip())) == (4, counts), done.stderr
    assert ("is not valid: destroy it" in done.stderr) is not counts
    if counts:
        new = table(home).slots[1].id
        assert f"keep the recovery key just shown: it is valid if 'awsv slot list' shows slot {new}" in done.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--recovery-fd 1", "--recovery-fd 1: not an open descriptor that can be written to"),
        ("--recovery-fd 2", "--recovery-fd 2: not an open descriptor"),
        (
            "--recovery-fd 3",
            "--recovery-fd 3: not an open descriptor",
        ),  # nor one opened later
        ("--recovery-fd 3 3</dev/null", "--recovery-fd 3: not an open descriptor"),
        ("--recovery-fd -1", "--recovery-fd -1: not an open descriptor"),
        ("--recovery-fd 99999999999999999999", "not an open descriptor"),
        (
            "--recovery-fd 3 3>/dev/full",
            "cannot be written to the descriptor of --recovery-fd: No space left",
        ),
        ("", "a recovery key cannot be shown: there is no terminal"),
        ("--no-input", "a recovery key cannot be shown: asking is not allowed here"),
    ],
)
def test_nowhere_to_write_it(home: Home, words: str, why: str) -> None:
    before = store_path(home).read_bytes()
    done = home.run("/bin/sh", "-c", f"{PROGRAM} recovery {words}", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert store_path(home).read_bytes() == before


OPEN = "--recovery-fd 3: others may read the file that the key would go to"


@pytest.mark.parametrize("command", ["recovery", "slot add --recovery"])
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("umask 022", "its mode is 0644"),
        ("umask 027", "its mode is 0640"),
        ("umask 077; touch key; chmod 606 key", "its mode is 0606"),
        ("umask 077; mkfifo key; chmod 644 key", "its mode is 0644"),
    ],
)
def test_a_file_that_others_may_read_gets_no_key(home: Home, command: str, before: str, why: str) -> None:
    stored = store_path(home).read_bytes()
    done = home.run("/bin/sh", "-c", f"{before}; {PROGRAM} {command} --recovery-fd 3 3<>key", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{OPEN}: {why}" in done.stderr
    assert store_path(home).read_bytes() == stored
    assert (home.cwd / "key").stat().st_size == 0


def test_what_the_hint_says_of_such_a_file_works(home: Home) -> None:
    command = f"{PROGRAM} recovery --recovery-fd 3 3>key"
    done = home.run("/bin/sh", "-c", f"umask 022; {command}; rm key; umask 077; {command}", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert "\nhint: delete the file, run 'umask 077' in this shell, and repeat the command\n" in done.stderr
    assert recovers(home, (home.cwd / "key").read_text().strip())


def test_the_example_of_the_help_makes_a_private_file(home: Home) -> None:
    [example] = [line.strip() for line in home.awsv("recovery", "--help").stdout.splitlines() if "3>" in line]
    script = f"umask 022; PATH={PROGRAM.parent}:$PATH; {example}"
    done = home.run("/bin/sh", "-c", script, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert (home.path / "awsv-recovery").stat().st_mode & 0o777 == 0o600


def test_no_store_and_no_passphrase(tmp_path: Path, home: Home) -> None:
    done = home.run("/bin/sh", "-c", f"umask 077; {PROGRAM} recovery --recovery-fd 3 3>key")
    assert (done.returncode, (home.cwd / "key").read_bytes()) == (5, b"")
    (tmp_path / "other").mkdir()
    done = offline(tmp_path / "other").run(
        "/bin/sh", "-c", f"umask 077; {PROGRAM} recovery --recovery-fd 3 3>key", env=UNLOCKED
    )
    assert done.returncode == 4
    assert "yet" in done.stderr


# -- of a new store ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["", "y", "yes"])
def test_a_new_store_comes_with_one(tmp_path: Path, answer: str) -> None:
    home = offline(tmp_path)
    child = home.spawn("add", "work", "--env", env=KEYS)
    for question in ("New passphrase for store 'file': ", "Repeat passphrase: "):
        child.expect(question)
        child.sendline(PASSPHRASE)
    child.expect(OFFER)
    assert "Added credentials" in child.before
    child.sendline(answer)
    text = shown_key(child)
    child.sendline(text[-4:])
    assert ended(child)[0] == 0
    assert recovers(home, text)
    child = home.spawn("add", "other", "--env", env={**KEYS, **UNLOCKED})  # no offer where the store is there
    code, shown = ended(child)
    assert (code, "recovery" in shown) == (0, False)


@pytest.mark.parametrize("answer", ["n\r", "\x03", "\x04", "y\r\x03", "what\rwhat\rwhat\r"])
def test_a_new_store_without_one(tmp_path: Path, answer: str) -> None:
    home = offline(tmp_path)
    child = home.spawn("add", "work", "--env", env={**KEYS, **UNLOCKED})
    child.expect(OFFER)
    for part in answer.removesuffix("\r").split("\r"):
        if part == "\x03" and answer != part:
            child.expect(LAST)
        child.send(part if part < " " else f"{part}\r")
        if part == "what" and answer:
            child.expect(r"please answer y or n: |awsv: ")
    code, shown = ended(child)
    assert code == 0
    assert "store 'file' has no recovery key; 'awsv recovery' makes one" in shown
    assert [slot.type for slot in table(home).slots] == ["passphrase"]
    assert home.awsv("list", "--unlock", env=UNLOCKED).stdout.count("work") == 2


@pytest.mark.parametrize("words", [("import", "credentials-file"), ("file", "init")], ids=lambda words: words[0])
def test_every_command_that_makes_a_store_offers_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    home = offline(tmp_path)
    home.credentials.write_text(f"[work]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    child = home.spawn(*words, env=UNLOCKED)
    child.expect(OFFER)
    child.sendline("")
    text = shown_key(child)
    child.sendline(text[-4:])
    assert ended(child)[0] == 0
    assert recovers(home, text)
    done = home.awsv("import", "credentials-file", env=UNLOCKED)
    assert (done.returncode, "recovery" in done.stdout + done.stderr) == (0, False)


@pytest.mark.parametrize(
    ("words", "opens"),
    [
        (("add", "--env", "work"), "STORE, unlocked by your passphrase"),
        (("import", "credentials-file"), "STORE is new; it opens with: SLOT"),
        (("import", "aws-vault"), "STORE is new; it opens with: SLOT"),
        (("file", "init"), "Created STORE\nawsv: it opens with: SLOT"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_every_command_that_makes_a_store_says_where_and_what_opens_it(
    tmp_path: Path, words: tuple[str, ...], opens: str
) -> None:
    home = offline(tmp_path)
    home.credentials.write_text(f"[work]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    items = home.path / ".awsvault/keys"
    items.mkdir(parents=True)
    write_item(items, "work", "work", {"AccessKeyID": KEY_ID, "SecretAccessKey": SECRET})
    done = home.awsv(*words, env={**KEYS, **UNLOCKED, "AWS_VAULT_IMPORT_PASSPHRASE": THEIRS})
    assert done.returncode == 0, done.stderr
    said = opens.replace("STORE", str(store_path(home))).replace("SLOT", table(home).slots[0].describe())
    assert said in done.stdout + done.stderr
    again = home.awsv("import", "credentials-file", env=UNLOCKED)
    assert "is new" not in again.stderr


def test_nothing_is_offered_where_nobody_is(tmp_path: Path) -> None:
    home = offline(tmp_path)
    done = home.awsv("add", "work", "--env", env={**KEYS, **UNLOCKED})
    assert (done.returncode, "recovery" in done.stderr + done.stdout) == (0, False)
    (tmp_path / "other").mkdir()
    child = offline(tmp_path / "other").spawn("--no-input", "add", "work", "--env", env={**KEYS, **UNLOCKED})
    code, shown = ended(child)
    assert (code, "recovery" in shown) == (0, False), shown
