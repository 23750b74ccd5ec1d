"""The console script ``awsv``.

It runs before anything else is imported, because what is imported from where must be decided first: the working
folder and ``PYTHONPATH`` may hold a ``json.py`` of somebody else's, and this process is about to hold secrets.
"""

import os
import sys


def _trusted_path() -> None:
    """Take ``''``, relative entries and ``PYTHONPATH`` off ``sys.path``, and away from children that are Python."""
    foreign = {os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)}  # noqa: PTH100 - pathlib is not imported yet, and must not be
    sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry) and entry not in foreign]  # noqa: PTH117 - see above


def main() -> int:
    """Run the command line; the exit code."""
    _trusted_path()
    if sys.argv[1:] in (["--version"], ["version"]):
        from vault_core.plugins.discovery import version_of

        print(f"awsv {version_of('vault-core') or 'of unknown version'}")  # noqa: T201 - no plugin was imported: standard output is still ours
        return 0
    from vault_core.cli.commands import run

    return run(sys.argv[1:])
