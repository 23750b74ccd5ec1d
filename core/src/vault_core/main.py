"""The entry point of the launcher ``awsv``, which has removed every untrusted folder from ``sys.path``.

Only what every run needs is imported here: ``--version`` answers without click, plugins or settings.
"""

import _thread
import atexit
import gc
import os
import sys

TYPE_CHECKING = False  # known to type checkers; typing costs more than --version does

if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130

_COLLECTED_AFTER = 50_000
"""New objects after which Python looks for garbage. By default (700) it does so a hundred times before the first
command runs, and finds none."""


def main(*, asked: bool = False) -> int:
    """Run the command line; the exit code.

    :param asked: :mod:`vault_core.fast.answer` was asked already, and has no answer.
    """
    gc.set_threshold(_COLLECTED_AFTER)
    _open_standard_descriptors()
    sys.unraisablehook = _interrupt_again
    try:
        if not asked:
            from vault_core.fast.answer import answer

            if (code := answer(sys.argv[1:], sys.path)) is not None:
                return code
        if sys.argv[1:] in (["--version"], ["version"]):
            return _version()
        from vault_core.cli.harden import harden

        harden()  # before other imports: until here every program of this user can read this process
        from vault_core.cli.commands import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # before or after the command line could handle it
        return INTERRUPTED
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # in a class statement of an import: Python 3.11 wraps it
            return INTERRUPTED
        raise


def leave(code: int) -> "NoReturn":
    """End the process of the command line with this exit code.

    The stores are closed and the locks released by now, and the rest ends with the process. So the interpreter does not
    take itself apart piece by piece, which is a tenth of a short run; but what others want done at the end is done.
    """
    threading = sys.modules.get("threading")
    if threading is not None and any(not thread.daemon for thread in threading.enumerate()[1:]):
        sys.exit(code)  # waits for them
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:  # noqa: SIM105 - without contextlib
                stream.flush()
            except (AttributeError, OSError, ValueError):  # it is None or closed, or its reader has left
                pass
    except KeyboardInterrupt:
        code = INTERRUPTED
    os._exit(code)


def _interrupt_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Repeat an interrupt that Python could not raise (in ``__del__``, in the callback of a weak reference).

    Otherwise Python would show a traceback and continue, and the interrupt would be lost.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        _thread.start_new_thread(_thread.interrupt_main, ())  # from here it would arrive in this very function
    else:
        sys.__unraisablehook__(unraisable)


def _version() -> int:
    from vault_core import output, stdout
    from vault_core.errors import OutputError
    from vault_core.plugins.discovery import version_of

    try:
        stdout.write(f"awsv {version_of('vault-core') or 'of unknown version'}\n")
    except OutputError as error:
        output.report_error(error)
        return error.exit_code
    return 0


def _open_standard_descriptors() -> None:
    """Open descriptors 0, 1 and 2 if they are closed: the next file to be opened would get the number, and our output.

    Reading then finds the end, writing to standard output fails, and writing to standard error has no effect. The
    children of ``exec`` find them closed, as the caller left them.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number, which is this one
