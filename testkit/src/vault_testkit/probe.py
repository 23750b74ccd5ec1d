"""Imports a plugin's module as the core does when the plugin is named, and reports what that did.

Run as a program, in an interpreter of its own, by :mod:`vault_testkit.purity`. Standard input names the module and
the file for the report.
"""

import json
import sys
from pathlib import Path
from typing import Any

_CODE = (".py", ".pyc", ".so", ".pth", ".zip")
_LOUD = ("socket", "subprocess", "sqlite3", "shutil", "tempfile")
"""Every audit event of these modules counts."""
_ON_FILES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"}
_ON_PROCESSES = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "os.putenv", "os.unsetenv"}


class Watch:
    """Records the interpreter's audit events while it is on."""

    def __init__(self) -> None:
        self.on = True
        self.heard: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and self._counts(event, arguments):
            self.heard.append(f"{event} {arguments[0] if arguments else ''}".strip())

    def _counts(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            # Importing opens code to read it.
            return bool(set(str(arguments[1] or "")) & set("wax+")) or not str(arguments[0]).endswith(_CODE)
        if event == "ctypes.dlopen":
            return bool(arguments[0])
        return event in _ON_FILES | _ON_PROCESSES or event.partition(".")[0] in _LOUD


def main() -> None:
    """Import the module, call the hook, and write the report."""
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    sys.dont_write_bytecode = True
    import importlib
    import threading

    import pluggy  # noqa: F401 - the core has it by then, and what follows too

    from vault_core import api, hookspecs  # noqa: F401

    before, path, watch = set(sys.modules), list(sys.path), Watch()
    sys.addaudithook(watch)
    module = importlib.import_module(given["module"])
    specs = list(getattr(module, given["hook"])())
    watch.on = False
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    report = {
        "modules": sorted(new - sys.stdlib_module_names),
        "events": watch.heard,
        "names": [[type(spec).__name__, spec.name] for spec in specs],
        "threads": threading.active_count(),
        "path_changed": sys.path != path,
    }
    Path(given["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
