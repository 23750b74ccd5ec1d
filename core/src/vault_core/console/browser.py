"""Which program opens an address: the user's choice, or the system's."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vault_core.errors import ConfigError
from vault_core.settings import Value
from vault_core.storage.vault import encode

SYSTEM = "system"
"""The setting ``browser`` by default: what opens links on this system."""

CHROMIUM = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "brave-browser",
    "microsoft-edge",
    "vivaldi",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Brave Browser.app/Contents/MacOS/Brave Browser",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
FIREFOX = (
    "firefox",
    "firefox-esr",
    "librewolf",
    "zen-browser",
    "/Applications/Firefox.app/Contents/MacOS/firefox",
)
_FAMILIES = {"chromium": re.compile(r"chrom|brave|edge|vivaldi|opera"), "firefox": re.compile(r"firefox|librewolf|zen")}
"""Parts of program names; browsers of a family take the same arguments."""

_LONGEST = 200
"""Characters of a folder's name: file systems allow 255."""


class NoBrowser(Exception):
    """No browser can be started here; the text is the reason, in lower case."""


@dataclass(frozen=True, slots=True)
class Browser:
    """A program that opens an address.

    :param words: its command line; ``%s`` in a word is the address, which otherwise comes last.
    :param is_elsewhere: the browser runs on another system, from which this one cannot tell its user.
    """

    words: Sequence[str]
    is_elsewhere: bool = False

    @property
    def name(self) -> str:
        """For messages."""
        return Path(self.words[0]).name

    @property
    def family(self) -> str | None:
        """``chromium`` or ``firefox``, by the name of the program; None: neither, or unknown."""
        return next((family for family, names in _FAMILIES.items() if names.search(self.name.lower())), None)

    def with_profile(self, folder: Path) -> Browser:
        """The same browser with a profile of its own: cookies and history are in this folder alone.

        :raises ConfigError: the family of the browser is not known.
        """
        own: tuple[str, ...]
        if self.family == "chromium":
            own = (f"--user-data-dir={folder / 'chromium'}", "--no-first-run", "--no-default-browser-check")
        elif self.family == "firefox":
            # Without --new-instance, which refuses a profile that has a window open; other profiles' windows are not
            # used anyway.
            own = ("--profile", str(folder / "firefox"))
        else:
            raise ConfigError(
                f"{self.name} is neither of the Chromium nor of the Firefox family: it cannot be isolated",
                hint="name one that is with --browser",
            )
        return Browser((*self.words, *own), self.is_elsewhere)

    def start(self, address: str, environ: Mapping[str, str], *, umask: int) -> subprocess.Popen[bytes]:
        """Start it, in a session of its own and without our files.

        :param umask: of the browser; -1: ours.
        :raises OSError: it cannot be started.
        """
        words = [word.replace("%s", address) for word in self.words]
        if words == list(self.words):
            words.append(address)
        none = subprocess.DEVNULL
        return subprocess.Popen(
            words, env=dict(environ), stdin=none, stdout=none, stderr=none, start_new_session=True, umask=umask
        )


def choose(setting: Value, environ: Mapping[str, str], *, isolated: bool) -> Browser:
    """The browser of the setting, else that of ``BROWSER``, else the system's.

    :param isolated: it must be of a known family.
    :raises ConfigError: the setting names no program, or no browser that can be isolated is installed.
    :raises NoBrowser: the user named none, and there is no display, or nothing that opens links.
    """
    if setting.text != SYSTEM:
        program = _find(setting.text, environ)
        if program is None:
            raise ConfigError(
                f"there is no program {setting.text!r}, which {setting.origin} names as the browser",
                hint="give the name or the path of a browser",
            )
        return Browser((program,))
    named = _named(environ)
    if named is not None and (not isolated or named.family):
        return named
    if named is None and (reason := _no_display(environ)):
        raise NoBrowser(reason)
    if not isolated:
        return _system(environ)
    found = next(filter(None, (_find(name, environ) for name in (*CHROMIUM, *FIREFOX))), None)
    if found is None:
        raise ConfigError(
            "no browser that can be isolated is installed",
            hint="install Chromium, Chrome, Brave, Edge or Firefox, or name one with --browser",
        )
    return Browser((found,))


def profile_folder(state: Path, profile: str | None) -> Path:
    """The folder of the browser profiles of an AWS profile, below the state folder.

    :param profile: None: the session of the environment.
    """
    name = ".environment" if profile is None else encode(profile)
    if profile is not None and len(name) > _LONGEST:  # encode() makes no such name
        name = f".sha256-{hashlib.sha256(profile.encode()).hexdigest()}"
    return state / "browsers" / name


def _named(environ: Mapping[str, str]) -> Browser | None:
    """The first program of ``BROWSER`` that exists: command lines with ``:`` between them."""
    for line in environ.get("BROWSER", "").split(os.pathsep):
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if words and (program := _find(words[0], environ)):
            return Browser((program, *words[1:]))
    return None


def _system(environ: Mapping[str, str]) -> Browser:
    """:raises NoBrowser: nothing opens links here."""
    opener = "open" if sys.platform == "darwin" else "wslview" if _is_windows(environ) else "xdg-open"
    program = _find(opener, environ)
    if program is None:
        raise NoBrowser(f"there is no {opener}")
    return Browser((program,), is_elsewhere=opener == "wslview")


def _no_display(environ: Mapping[str, str]) -> str | None:
    """Why a browser would not appear before the user; None if it would."""
    if environ.get("SSH_CONNECTION"):
        return "this is an SSH session"
    if sys.platform == "darwin" or _is_windows(environ):
        return None
    return None if environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") else "there is no display"


def _is_windows(environ: Mapping[str, str]) -> bool:
    """Whether this is Windows' subsystem for Linux."""
    return bool(environ.get("WSL_DISTRO_NAME"))


def _find(name: str, environ: Mapping[str, str]) -> str | None:
    """The path of a program. Folders of ``PATH`` that depend on the working folder do not count."""
    if "/" in name:
        path = Path(name).absolute()
        return str(path) if path.is_file() and os.access(path, os.X_OK) else None
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder.startswith("/")]
    return shutil.which(name, path=os.pathsep.join(folders)) if folders else None
