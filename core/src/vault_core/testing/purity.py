"""Naming a plugin costs nothing: its module imports no SDK, opens nothing and prints nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from vault_core.plugins.discovery import GROUPS, scan
from vault_core.plugins.loader import _HOOKS
from vault_core.testing.part import Part
from vault_core.testing.trial import check, fail

SECONDS = 10
_PROBE = """
import json, os, sys, threading
given = json.loads(sys.stdin.readline())
sys.path[:] = given["path"]
sys.dont_write_bytecode = True
import importlib, logging, pluggy
from vault_core import api, hookspecs
before, events = set(sys.modules), []
def hook(event, arguments):
    if event == "open":
        path, mode = str(arguments[0]), str(arguments[1] or "")
        if not set(mode) & set("wax+") and path.endswith((".py", ".pyc", ".so", ".pth", ".zip")):
            return
    elif event.partition(".")[0] not in ("socket", "subprocess", "sqlite3", "shutil", "tempfile") and event not in (
        "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
        "os.link", "os.symlink", "os.putenv", "os.chmod", "os.truncate", "ctypes.dlopen",
    ):
        return
    if event == "ctypes.dlopen" and not arguments[0] or events is None:
        return
    events.append(f"{event} {str(arguments[0]) if arguments else ''}")
environ, path = dict(os.environ), list(sys.path)
sys.addaudithook(hook)
module = importlib.import_module(given["module"])
specs = [spec for spec in getattr(module, given["hook"])()]
seen, events = events, None
import importlib.util
def origin(name):
    return name.partition(".")[0]
new = sorted({origin(name) for name in set(sys.modules) - before})
os.write(int(given["fd"]), json.dumps({
    "modules": [name for name in new if name not in sys.stdlib_module_names],
    "events": seen,
    "names": [[type(spec).__name__, spec.name] for spec in specs],
    "threads": threading.active_count(),
    "changed": [what for what, was, now in (
        ("os.environ", environ, dict(os.environ)), ("sys.path", path, sys.path)) if was != now],
}).encode())
"""
"""Run by an interpreter of its own, which has imported what the core has when it loads a plugin."""


def look(kind: str, entry_point: str) -> dict[str, Any]:
    """Import the plugin's module in a new interpreter and call its hook; what happened."""
    __tracebackhide__ = True
    offers = [offer for offer in scan() if (offer.kind, offer.name) == (kind, entry_point)]
    check(offers, f"no installed distribution has an entry point {entry_point!r} in {GROUPS[kind]}")
    check(len(offers) == 1, f"{' and '.join(offer.distribution for offer in offers)} both offer {entry_point!r}")
    import os

    read, write = os.pipe()
    job = {"path": sys.path, "module": offers[0].module, "hook": _HOOKS[kind][0], "fd": write}
    try:
        with os.fdopen(read, "rb") as said:
            done = subprocess.run(
                [sys.executable, "-I", "-c", _PROBE],
                input=json.dumps(job) + "\n",
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
                env={},
                pass_fds=[write],
            )
            os.close(write)
            data = said.read()
    except subprocess.TimeoutExpired:
        fail(f"importing {offers[0].module} takes more than {SECONDS} s")
    check(done.returncode == 0 and data, f"importing {offers[0].module} failed: {done.stderr.strip()[-1500:]}")
    found: dict[str, Any] = json.loads(data)
    own = offers[0].module.partition(".")[0]
    found["modules"] = [name for name in found["modules"] if name not in (own, "vault_core", "pluggy")]
    found["printed"] = done.stdout + done.stderr
    found["spec"] = _HOOKS[kind][1]
    return found


class Purity(Part):
    """The module that the entry point names, imported in an interpreter of its own."""

    part = "Purity"

    def test_purity_of_imports(self) -> None:
        """An SDK is imported in ``open``, or later: every command would pay for it otherwise."""
        found = look(self.kind, self.entry_point)["modules"]
        check(
            not found,
            f"naming {self.entry_point!r} imports {', '.join(found)}: only the standard library, vault_core and pluggy"
            " may be imported before open()",
        )

    def test_purity_of_effects(self) -> None:
        """It opens no file and no connection, starts no program and no thread, and prints nothing."""
        found = look(self.kind, self.entry_point)
        check(not found["events"], f"naming {self.entry_point!r} does {'; '.join(found['events'][:5])}")
        check(not found["printed"], f"naming {self.entry_point!r} prints {found['printed'][:200]!r}")
        check(found["threads"] == 1, f"naming {self.entry_point!r} starts a thread")
        check(not found["changed"], f"naming {self.entry_point!r} changes {' and '.join(found['changed'])}")

    def test_purity_of_the_hook(self) -> None:
        """The hook gives a spec of the entry point's name."""
        found = look(self.kind, self.entry_point)
        specs = [list(one) for one in found["names"]]
        wanted = [found["spec"], self.entry_point]
        check(wanted in specs, f"the hook gives {specs}, and among them should be {wanted}")
