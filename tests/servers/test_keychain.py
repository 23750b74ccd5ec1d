"""The keychain end to end: a real gnome-keyring keeps the file store's key, or is the store; and the README is so."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from support.busy import seconds
from support.home import PROGRAM, Home
from support.overlay_env import failure
from support.secret_service import DesktopSession, desktop
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, PASSPHRASE, SECRET, UNLOCKED, fill, offline

README = Path(__file__).parents[2] / "plugins/keychain/README.md"
FENCE = re.compile(r"^<!-- run -->\n```console\n(.*?)^```$", re.M | re.S)
READERS = "every program that runs as you can read what the Secret Service keeps"
AT_ONCE = 3.0
"""Seconds for a whole command; D-Bus alone would wait for 25."""

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with desktop() as session:
        yield session


@pytest.fixture
def home(tmp_path: Path, session: DesktopSession) -> Home:
    """In a desktop session, with a file store that holds profile ``work``."""
    home = offline(tmp_path)
    home.env |= session.env
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def document(key_id: str = KEY_ID, secret: str = SECRET) -> str:
    return json.dumps({"AccessKeyId": key_id, "SecretAccessKey": secret})


def hold_key(home: Home) -> str:
    """Have the keychain keep a key to the file store; its slot."""
    done = home.awsv("slot", "add", "--source", "keychain", "--label", "laptop", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (0, "")
    assert READERS in done.stderr
    slots = json.loads(home.awsv("slot", "list", "--json").stdout)["slots"]
    (slot,) = [slot for slot in slots if slot["type"] == "key"]
    assert (slot["label"], slot["sources"]) == ("laptop", ["keychain"])
    return str(slot["id"])


def key_of(done: CompletedProcess[str]) -> tuple[str, str]:
    """What a successful ``exec -j`` printed: one JSON object and nothing else."""
    assert done.returncode == 0, done.stderr
    fields = json.loads(done.stdout)
    return fields["AccessKeyId"], fields["SecretAccessKey"]


# -- a key to the file store -------------------------------------------------------------------------------------------


def test_the_keychain_opens_the_file_store_without_a_question(home: Home, session: DesktopSession) -> None:
    slot = hold_key(home)
    done = home.awsv("exec", "-j", "--no-session", "work")
    assert (key_of(done), done.stderr) == ((KEY_ID, SECRET), "")
    ((attributes, _),) = session.items()
    assert attributes["service"] == "awsv keys"
    assert attributes["username"].endswith(f"/{slot}")
    child = home.spawn("exec", "--no-session", "work", "--", "sh", "-c", "echo it is $AWS_ACCESS_KEY_ID")
    child.expect(f"it is {KEY_ID}")
    child.expect("\r\n")
    child.close()
    # Removing the way takes the key along.
    assert home.awsv("slot", "remove", "--force", slot).returncode == 0
    assert session.items() == []
    failure(home.awsv("exec", "-j", "--no-session", "work"), 5, "no passphrase for store 'file'")


@pytest.mark.parametrize("trouble", ["locked", "killed", "no bus"])
def test_where_the_keychain_is_not_the_passphrase_is(trouble: str, home: Home, session: DesktopSession) -> None:
    hold_key(home)
    reason = {"locked": "is locked", "killed": "no program provides the Secret Service", "no bus": "no session bus"}
    match trouble:
        case "locked":
            session.lock()
        case "killed":
            session.kill_daemon()
        case "no bus":
            del home.env["DBUS_SESSION_BUS_ADDRESS"]
    started = time.monotonic()
    done = home.awsv("exec", "-j", "--no-session", "work")
    assert failure(done, 5, "no passphrase for store 'file'").count(reason[trouble]) == 1
    assert time.monotonic() - started < seconds(AT_ONCE)
    done = home.awsv("exec", "-j", "--no-session", "work", env=UNLOCKED)
    assert key_of(done) == (KEY_ID, SECRET)
    assert done.stderr.count(reason[trouble]) == 1
    child = home.spawn("exec", "--no-session", "work", "--", "sh", "-c", "echo it is $AWS_ACCESS_KEY_ID")
    child.expect("Passphrase to unlock store 'file': ")
    child.sendline(PASSPHRASE)
    child.expect(f"it is {KEY_ID}")
    child.close()
    if trouble != "no bus":
        session.unlock()
        done = home.awsv("exec", "-j", "--no-session", "work")
        assert (key_of(done), done.stderr) == ((KEY_ID, SECRET), "")


def test_a_key_that_cannot_be_kept_makes_no_slot(home: Home, session: DesktopSession) -> None:
    before = home.awsv("slot", "list", "--json").stdout
    session.lock()
    done = home.awsv("slot", "add", "--source", "keychain", env=UNLOCKED)
    failure(done, 5, "the collection 'Login' of the Secret Service is locked")
    assert home.awsv("slot", "list", "--json").stdout == before
    session.unlock()
    assert session.items() == []


def test_a_key_that_somebody_changed_is_named(home: Home, session: DesktopSession) -> None:
    import secretstorage
    from jeepney.io.blocking import open_dbus_connection

    hold_key(home)
    with open_dbus_connection(session.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
        (item,) = secretstorage.get_default_collection(connection).get_all_items()
        item.set_secret(b"edited by hand")
    done = home.awsv("exec", "-j", "--no-session", "work")
    assert "edited" not in failure(done, 5, "the key for store 'file' in the Secret Service was not written by awsv")
    with open_dbus_connection(session.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
        (item,) = secretstorage.get_default_collection(connection).get_all_items()
        item.set_secret(b"YW5vdGhlciBrZXk=")
    done = home.awsv("exec", "-j", "--no-session", "work", env=UNLOCKED)
    assert key_of(done) == (KEY_ID, SECRET)


def test_a_new_data_key_takes_the_keychain_along(home: Home, session: DesktopSession) -> None:
    hold_key(home)
    ((old, old_key),) = session.items()
    assert home.awsv("file", "rekey", env=UNLOCKED).returncode == 0
    ((new, new_key),) = session.items()
    assert old["username"] != new["username"]
    assert old_key != new_key
    assert key_of(home.awsv("exec", "-j", "--no-session", "work")) == (KEY_ID, SECRET)


def test_as_a_source_of_passphrases_it_has_none_and_the_next_has_its_turn(home: Home) -> None:
    sources = {"AWS_VAULT_PASSPHRASE_SOURCE": "keychain,env"}
    done = home.awsv("exec", "-j", "--no-session", "work", env={**sources, **UNLOCKED})
    assert (key_of(done), done.stderr) == ((KEY_ID, SECRET), "")
    failure(home.awsv("exec", "-j", "--no-session", "work", env=sources), 5, "keychain (not set), env (not set)")


# -- the keychain as the store -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["keychain", "secret-service"])
def test_the_keychain_is_the_store(backend: str, home: Home, session: DesktopSession) -> None:
    home.env["AWS_VAULT_BACKEND"] = backend
    first = home.awsv("add", "prod", input=document())
    assert first.returncode == 0
    assert READERS in first.stderr
    assert "passphrase" not in first.stderr
    second = home.awsv("add", "name with blanks & ümlauts/1", input=document(OTHER_ID, OTHER_SECRET))
    assert second.returncode == 0
    assert READERS not in second.stderr
    listed = home.awsv("list", "--credentials")
    assert listed.stdout.splitlines() == ["name with blanks & ümlauts/1", "prod"]
    done = home.awsv("exec", "-j", "--no-session", "prod")
    assert (key_of(done), done.stderr) == ((KEY_ID, SECRET), "")
    assert home.awsv("add", "--overwrite", "prod", input=document(OTHER_ID, OTHER_SECRET)).returncode == 0
    assert key_of(home.awsv("exec", "-j", "--no-session", "prod")) == (OTHER_ID, OTHER_SECRET)
    assert home.awsv("remove", "--force", "prod").returncode == 0
    assert home.awsv("list", "--credentials").stdout.splitlines() == ["name with blanks & ümlauts/1"]
    assert len(session.items()) == 1
    failure(home.awsv("slot", "list"), 4, "has no key slots")


def test_a_locked_store_is_listed_as_locked_and_everything_else_fails_at_once(
    home: Home, session: DesktopSession
) -> None:
    home.env["AWS_VAULT_BACKEND"] = "keychain"
    assert home.awsv("add", "prod", input=document()).returncode == 0
    session.lock()
    listed = home.awsv("list")
    assert listed.returncode == 0
    assert "locked" in listed.stdout
    for arguments in (("add", "other"), ("remove", "--force", "prod"), ("exec", "-j", "--no-session", "prod")):
        started = time.monotonic()
        failure(home.awsv(*arguments, input=document()), 4, "the collection 'Login' of the Secret Service is locked")
        assert time.monotonic() - started < seconds(AT_ONCE)
    child = home.awsv("exec", "--no-session", "prod", "--", "true")
    failure(child, 125, "is locked")
    shown = home.awsv("--no-input", "exec", "-j", "--no-session", "prod", env={"DISPLAY": ":7"})
    failure(shown, 4, "dialogs are not allowed here")
    for where in ("SSH_CONNECTION", "CI"):
        failure(home.awsv("list", "--unlock", env={"DISPLAY": ":7", where: "1"}), 4, "dialogs are not allowed here")


def test_absent_keychain_is_exit_code_4(home: Home) -> None:
    failure(home.awsv("--backend", "kwallet", "list"), 4, "KWallet")
    failure(home.awsv("--backend", "kwallet", "add", "x", input=document()), 4, "KWallet")


@pytest.mark.slow
def test_eight_add_at_the_same_time(home: Home, session: DesktopSession) -> None:
    home.env["AWS_VAULT_BACKEND"] = "keychain"
    names = [f"profile-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        done = list(pool.map(lambda name: home.awsv("add", name, input=document()), names))
    assert [one.returncode for one in done] == [0] * len(names), [one.stderr for one in done]
    assert home.awsv("list", "--credentials").stdout.splitlines() == names
    assert len(session.items()) == len(names)


def test_plugins_check_says_who_can_read_it(home: Home) -> None:
    done = home.awsv("plugins", "check", "keychain")
    assert READERS in done.stdout + done.stderr


# -- the README --------------------------------------------------------------------------------------------------------


def test_the_readme_does_what_it_shows(home: Home) -> None:
    fences = FENCE.findall(README.read_text(encoding="utf-8"))
    assert len(fences) == 3
    lines = "".join(fences).splitlines()
    script = "\n".join(["set -e; exec 2>&1", *(line[2:] for line in lines if line.startswith("$ "))])
    path = {"PATH": f"{PROGRAM.parent}:{home.env['PATH']}"}
    done = home.run("/bin/bash", "-c", script, env={**UNLOCKED, **path})
    assert done.returncode == 0, done.stdout
    shown = done.stdout
    for line in lines:
        if not line.startswith("$ "):
            pattern = r"\s+".join(".*".join(map(re.escape, word.split("…"))) for word in line.split())
            found = re.search(pattern, shown)
            assert found, f"{line!r} is not, or not in this place, in\n{shown}"
            shown = shown[found.end() :]
