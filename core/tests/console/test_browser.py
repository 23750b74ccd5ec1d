"""Which browser is started, and with which arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from vault_core.console.browser import Browser, NoBrowser, choose, profile_folder
from vault_core.errors import ConfigError
from vault_core.settings import Value

SYSTEM = Value("system", "default")
DESKTOP = {"DISPLAY": ":0"}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("xdg-open", "wslview", "firefox", "google-chrome", "netscape"):
        folder.joinpath(name).write_text("#!/bin/sh\n")
        folder.joinpath(name).chmod(0o755)
    return folder


def chosen(
    programs: Path, setting: Value = SYSTEM, *, isolated: bool = False, environ: Mapping[str, str] = DESKTOP
) -> list[str]:
    """The words of the browser, without its folder."""
    found = choose(setting, {"PATH": str(programs), **environ}, isolated=isolated)
    return [word.removeprefix(f"{programs}/") for word in found.words]


def test_system_opens_links_by_default(programs: Path) -> None:
    assert chosen(programs) == ["xdg-open"]
    assert chosen(programs, environ={"WAYLAND_DISPLAY": "wayland-0"}) == ["xdg-open"]


def test_setting_comes_before_the_variable(programs: Path) -> None:
    named = {**DESKTOP, "BROWSER": "firefox"}
    assert chosen(programs, environ=named) == ["firefox"]
    assert chosen(programs, Value("google-chrome", "AWS_VAULT_BROWSER"), environ=named) == ["google-chrome"]
    assert chosen(programs, Value(str(programs / "netscape"), "--browser"), environ={}) == ["netscape"]


def test_variable_is_a_list_of_command_lines(programs: Path) -> None:
    named = {"BROWSER": "missing:'unclosed:firefox -P 'my own' %s:google-chrome"}
    assert chosen(programs, environ=named) == ["firefox", "-P", "my own", "%s"]


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "there is no display"),
        ({**DESKTOP, "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "this is an SSH session"),
        ({"WSL_DISTRO_NAME": "Debian", "PATH": "/nowhere"}, "there is no wslview"),
        ({**DESKTOP, "PATH": "/nowhere"}, "there is no xdg-open"),
        ({**DESKTOP, "BROWSER": "missing", "PATH": ""}, "there is no xdg-open"),
    ],
)
def test_no_browser_has_a_reason(programs: Path, environ: dict[str, str], reason: str) -> None:
    with pytest.raises(NoBrowser, match=reason):
        chosen(programs, environ=environ)


def test_browser_that_the_user_names_needs_no_display(programs: Path) -> None:
    """An editor's remote session, for example, sets a program that opens the link where the user is."""
    assert chosen(programs, environ={"BROWSER": "netscape", "SSH_CONNECTION": "x"}) == ["netscape"]


def test_setting_that_names_no_program_is_an_error(programs: Path) -> None:
    with pytest.raises(ConfigError, match="no program 'mosaic', which --browser names"):
        chosen(programs, Value("mosaic", "--browser"))


def test_windows_browser_is_elsewhere(programs: Path) -> None:
    found = choose(SYSTEM, {"PATH": str(programs), "WSL_DISTRO_NAME": "Debian"}, isolated=False)
    assert (found.name, found.is_elsewhere) == ("wslview", True)


def test_working_folder_gives_no_browser(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(programs)
    for path in ("", ".", ":", "bin"):
        with pytest.raises(NoBrowser):
            chosen(programs, environ={**DESKTOP, "PATH": path})


def test_isolated_browser_is_of_a_known_family(programs: Path) -> None:
    assert chosen(programs, isolated=True) == ["google-chrome"]
    assert chosen(programs, isolated=True, environ={**DESKTOP, "BROWSER": "firefox"}) == ["firefox"]
    assert chosen(programs, isolated=True, environ={**DESKTOP, "BROWSER": "netscape"}) == ["google-chrome"]
    with pytest.raises(ConfigError, match="no browser that can be isolated is installed") as none:
        chosen(programs, isolated=True, environ={**DESKTOP, "PATH": "/nowhere"})
    assert "install Chromium" in (none.value.hint or "")
    with pytest.raises(ConfigError, match="netscape is neither of the Chromium nor of the Firefox family"):
        Browser((str(programs / "netscape"),)).with_profile(Path("/x"))


def test_each_family_has_its_own_arguments() -> None:
    chrome = Browser(("/usr/bin/brave-browser",)).with_profile(Path("/state/x"))
    assert "--user-data-dir=/state/x/chromium" in chrome.words
    firefox = Browser(("/opt/librewolf",)).with_profile(Path("/state/x"))
    assert list(firefox.words) == ["/opt/librewolf", "--profile", "/state/x/firefox"]


def test_profiles_have_different_folders() -> None:
    names = ["a", "A", "a/b", "..", ".", "n" * 255, "m" * 255, "😀" * 63, ".environment", None]
    folders = [profile_folder(Path("/state"), name) for name in names]
    assert len(set(folders)) == len(names)
    assert all(folder.parent == Path("/state/browsers") for folder in folders)
    assert all(len(folder.name) < 255 and folder.name not in {".", "..", ""} for folder in folders)


@pytest.mark.process
def test_browser_outlives_the_terminal_and_ctrl_c(tmp_path: Path) -> None:
    """It gets a session of its own: what the terminal sends to awsv does not reach it."""
    seen = tmp_path / "seen"
    script = "import os, sys; open(sys.argv[1], 'w').write(f'{os.getsid(0)} {os.getppid()}')"
    browser = Browser((sys.executable, "-c", script, str(seen)))
    child = browser.start("http://127.0.0.1/", {}, umask=-1)
    assert child.wait(60) == 0
    assert seen.read_text() == f"{child.pid} {os.getpid()}"
