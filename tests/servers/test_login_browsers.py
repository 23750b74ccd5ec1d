"""``awsv login`` with real browsers, without a display and without the network."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support import browsers, parts
from support.federation import Federation, standing_in
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, add, until
from vault_core.console.browser import Browser
from vault_core.console.handover import page
from vault_core.secret import Secret

CONFIG = "".join(
    f"[profile {name}]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{role}\nsource_profile = work\nregion = eu-west-1\n"
    for name, role in (("blue", "RoleA"), ("green", "RoleB"))
)
SECONDS = 30
"""Of a cold start of a browser on an idle machine, at most."""


@pytest.fixture
def aws(front: RecordingProxy) -> Iterator[Federation]:
    with standing_in(front) as federation:
        yield federation


@pytest.fixture
def person(home: Home, moto: MotoServer, aws: Federation) -> Iterator[Home]:
    home.configure(CONFIG)
    add(home, moto.alice, "work")
    # Chromium makes a socket in TMPDIR, and the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp", ignore_cleanup_errors=True) as short:
        home.env.update({**UNLOCKED, "AWS_VAULT_STS_SIGNIN_URL": aws.url, "TMPDIR": short})
        yield home
        for line in pids(home).read_text().split() if pids(home).exists() else []:
            with suppress(ProcessLookupError):  # each is the leader of its own group
                os.killpg(int(line), signal.SIGKILL)


def pids(home: Home) -> Path:
    return home.root / "pids"


@pytest.fixture
def chromium(person: Home) -> Path:
    program = parts.need("Chromium", browsers.chromium(), how="apt-get install chromium")
    return browsers.wrapped(person.root / "chromium", program, *browsers.QUIET, pids=pids(person))


@pytest.fixture
def firefox(person: Home) -> Path:
    program = parts.need("Firefox", browsers.firefox(), how="apt-get install firefox-esr")
    return browsers.wrapped(person.root / "firefox", program, "--headless", pids=pids(person))


def login(home: Home, browser: Path, *words: str) -> None:
    done = home.awsv("login", "--browser", browser, *words, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_chromium_shows_the_console(person: Home, aws: Federation, chromium: Path) -> None:
    login(person, chromium, "blue")
    until(lambda: bool(aws.visits), "a visit of the console", SECONDS)
    [opened] = aws.logins
    assert aws.visits == [f"aws-session={opened.access_key_id}"]
    assert (aws.tokens, aws.refusals) == ({}, [])


def test_chromium_opens_a_private_page_where_no_user_is_known(person: Home, aws: Federation, chromium: Path) -> None:
    """As on a system without ``/proc/net/tcp``: there the page in a file is what the browser gets."""
    url = person.awsv("login", "--stdout", "blue").stdout.strip()
    with page(person.runtime / "login", Secret(url)) as address:
        child = Browser((str(chromium),)).start(address, person.environment(), umask=0o77)
        try:
            until(lambda: bool(aws.visits), "a visit of the console", SECONDS)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    assert "referer" not in aws.logins[0].headers


def test_two_isolated_profiles_are_open_at_once(person: Home, aws: Federation, chromium: Path) -> None:
    for number, name in enumerate(("blue", "green"), start=1):
        login(person, chromium, "--isolated", name)
        until(lambda number=number: len(aws.visits) >= number, f"visit {number}", SECONDS)  # type: ignore[misc]  # a default
    blue, green = aws.logins
    assert blue.access_key_id != green.access_key_id
    assert (blue.cookies, green.cookies) == ("", "")
    assert aws.visits == [f"aws-session={blue.access_key_id}", f"aws-session={green.access_key_id}"]
    folders = [Path(person.env["XDG_STATE_HOME"]) / "awsv/browsers" / name / "chromium" for name in ("blue", "green")]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]
    running = [int(line) for line in pids(person).read_text().split() if Path(f"/proc/{line}").exists()]
    assert len(running) == 2


def test_firefox_has_a_profile_of_its_own(person: Home, aws: Federation, firefox: Path) -> None:
    for number, name in enumerate(("blue", "green"), start=1):
        login(person, firefox, "--isolated", name)
        until(lambda number=number: len(aws.visits) >= number, f"visit {number}", SECONDS)  # type: ignore[misc]  # a default
    assert [one.cookies for one in aws.logins] == ["", ""]
    state = Path(person.env["XDG_STATE_HOME"]) / "awsv/browsers"
    assert {path.name for path in state.iterdir()} == {"blue", "green"}
    assert all((state / name / "firefox/prefs.js").exists() for name in ("blue", "green"))
