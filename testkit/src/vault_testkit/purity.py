"""Naming a plugin costs nothing: its module imports no SDK, opens nothing and prints nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vault_core.plugins.discovery import GROUPS, scan
from vault_core.plugins.loader import _HOOKS
from vault_testkit.case import check, fail
from vault_testkit.part import Part

SECONDS = 10
PROBE = Path(__file__).with_name("probe.py")


def look(kind: str, entry_point: str, folder: Path) -> dict[str, Any]:
    """Import the plugin's module in a new interpreter and call its hook; what happened.

    :param folder: empty; the interpreter writes its report there.
    """
    __tracebackhide__ = True
    offers = [offer for offer in scan() if (offer.kind, offer.name) == (kind, entry_point)]
    check(offers, f"no installed distribution has an entry point {entry_point!r} in {GROUPS[kind]}")
    check(len(offers) == 1, f"{' and '.join(offer.distribution for offer in offers)} both offer {entry_point!r}")
    report = folder / "report.json"
    job = json.dumps({"path": sys.path, "module": offers[0].module, "hook": _HOOKS[kind][0], "report": str(report)})
    argv = [sys.executable, "-I", str(PROBE)]
    try:
        done = subprocess.run(argv, input=job, capture_output=True, text=True, timeout=SECONDS, check=False, env={})
    except subprocess.TimeoutExpired:
        fail(f"importing {offers[0].module} takes more than {SECONDS} s")
    check(
        done.returncode == 0 and report.exists(), f"importing {offers[0].module} failed: {done.stderr.strip()[-1500:]}"
    )
    found: dict[str, Any] = json.loads(report.read_bytes())
    own = offers[0].module.partition(".")[0]
    found["modules"] = [name for name in found["modules"] if name not in (own, "vault_core", "pluggy")]
    found["printed"] = done.stdout + done.stderr
    found["spec"] = _HOOKS[kind][1]
    return found


class Purity(Part):
    """The module that the entry point names, imported in an interpreter of its own."""

    part = "Purity"

    def test_purity_of_imports(self, tmp_path: Path) -> None:
        """An SDK is imported in ``open``, or later: every command would pay for it otherwise."""
        found = look(self.kind, self.entry_point, tmp_path)["modules"]
        check(
            not found,
            f"naming {self.entry_point!r} imports {', '.join(found)}: only the standard library, vault_core and pluggy"
            " may be imported before open()",
        )

    def test_purity_of_effects(self, tmp_path: Path) -> None:
        """It opens no file and no connection, starts no program and no thread, and prints nothing."""
        found = look(self.kind, self.entry_point, tmp_path)
        check(not found["events"], f"naming {self.entry_point!r} does {'; '.join(found['events'][:5])}")
        check(not found["printed"], f"naming {self.entry_point!r} prints {found['printed'][:200]!r}")
        check(found["threads"] == 1, f"naming {self.entry_point!r} starts a thread")
        check(not found["path_changed"], f"naming {self.entry_point!r} changes sys.path")

    def test_purity_of_the_hook(self, tmp_path: Path) -> None:
        """The hook gives a spec of the entry point's name."""
        found = look(self.kind, self.entry_point, tmp_path)
        specs = [list(one) for one in found["names"]]
        wanted = [found["spec"], self.entry_point]
        check(wanted in specs, f"the hook gives {specs}, and among them should be {wanted}")
