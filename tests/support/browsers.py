"""Browsers for tests: a script that behaves like one, and the real Chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

SCRIPT = """#!{python}
# Writes down how it was called, and then opens its last word as a browser does.
import json, os, sys, urllib.request
files = {{number: os.readlink(f"/proc/self/fd/{{number}}") for number in (0, 1, 2)}}
was = {{"argv": sys.argv[1:], "environ": dict(os.environ), "files": files, "umask": os.umask(0o22)}}
with open({log!r}, "a") as log:
    log.write(json.dumps(was) + "\\n")
{more}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}), urllib.request.HTTPCookieProcessor())
print(opener.open(sys.argv[-1], timeout=30).read())
"""
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""Nothing is drawn, and nothing reaches the network. Without a sandbox, which root cannot have."""


def script(path: Path, log: Path, *, more: str = "") -> Path:
    """A program that stands in for a browser.

    :param log: gets a line of JSON for each start.
    :param more: Python that runs before the page is opened.
    """
    path.write_text(SCRIPT.format(python=sys.executable, log=str(log), more=more))
    path.chmod(0o755)
    return path


def chromium() -> Path | None:
    """The real Chromium."""
    return _found("chromium")


def firefox() -> Path | None:
    """The real Firefox."""
    return _found("firefox") or _found("firefox-esr")


def _found(name: str) -> Path | None:
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")
    return Path(found) if found else None


def wrapped(path: Path, program: Path, *words: str, pids: Path) -> Path:
    """A program that becomes another one with more words.

    :param path: its name must be that of the family.
    :param pids: gets the number of each process that it becomes.
    """
    line = " ".join(f"'{word}'" for word in (str(program), *words))
    path.write_text(f"#!/bin/sh\necho $$ >> '{pids}'\nexec {line} \"$@\"\n")
    path.chmod(0o755)
    return path
