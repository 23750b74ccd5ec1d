"""Check plugins, each in a child process, so that a plugin that prints, crashes or hangs affects only its own.

The child gets this process's import path, the variables that hold no secret, and ten seconds. Then it is killed with
all processes that it started.
"""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from vault_core import output
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.running import POLL, Exchange
from vault_core.plugins.variables import for_examination

LIMIT = 10.0
"""Seconds for one plugin."""
PARALLEL = 4
OUTPUT_LIMIT = 65_536
"""Bytes of a plugin's output that are kept."""

PROGRAM = (
    "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; "
    "from vault_core.plugins.check.child import main; main(job)"
)
"""Run with ``-I``: nothing is imported before the import path is set."""


def check(
    offers: Sequence[AvailablePlugin],
    *,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    installed: Iterable[str] = (),
) -> dict[tuple[str, str], dict[str, Any]]:
    """The result for each plugin, by kind and name: the fields ``state``, ``reason``, ``hint``, ``offers`` and ``said``
    of :class:`~vault_core.plugins.check.listing.CheckedPlugin`.

    :param flags: of this run, as of :class:`~vault_core.settings.Settings`.
    :param environ: the environment; a child gets only variables that cannot hold a secret of another plugin.
    :param installed: the names of all plugins.
    """
    interrupted = Event()

    def examine(offer: AvailablePlugin) -> dict[str, Any]:
        job = {"path": sys.path, "kind": offer.kind, "name": offer.name, "flags": dict(flags)}
        return _examine(job, for_examination(environ, offer.name, installed), interrupted)

    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            return {
                (offer.kind, offer.name): result
                for offer, result in zip(offers, pool.map(examine, offers), strict=True)
            }
        except BaseException:
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _examine(job: Mapping[str, Any], environ: Mapping[str, str], interrupted: Event) -> dict[str, Any]:
    ends = time.monotonic() + LIMIT
    argv = [sys.executable, "-I", "-c", PROGRAM]
    with Exchange(argv, environ, json.dumps(job).encode(), keep=OUTPUT_LIMIT) as child:
        while not (ended := child.finished(POLL)) and time.monotonic() < ends and not interrupted.is_set():
            pass
    found: dict[str, Any] = {"hint": None, "offers": {}, "said": _first_line(child.stderr)}
    try:
        report = json.loads(child.stdout)
    except ValueError:
        report = None
    if isinstance(report, dict):
        return found | {name: report.pop(name) for name in ("state", "reason", "hint")} | {"offers": report}
    if not ended:
        reason = f"it did not load and answer within {LIMIT:g} seconds"
    elif child.returncode < 0:
        reason = f"it ended its process by signal {-child.returncode}"
    else:
        reason = f"it ended its process with exit code {child.returncode}"
    return found | {"state": "broken", "reason": reason}


def _first_line(printed: bytearray) -> str | None:
    lines = printed.decode("utf-8", "replace").splitlines()
    return output.printable(next((line for line in lines if line.strip()), "")) or None
