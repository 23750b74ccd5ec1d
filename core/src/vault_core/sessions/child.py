"""The program that ``exec`` becomes: how it is found, the environment that it gets, and how it is started."""

import errno
import os
import signal
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from vault_core.api import Credentials
from vault_core.child_env import environment, is_identity
from vault_core.errors import UsageError
from vault_core.sessions.formats import variables
from vault_core.settings import REMOVED, is_way_to_passphrase

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes for a command that does not exist, and for one that cannot be executed: POSIX, as in every shell."""


class NoProgram(UsageError):
    """The child command cannot be run. The exit code is :data:`NOT_FOUND` or :data:`NOT_EXECUTABLE`."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, hint="check the command's name and PATH")
        self.exit_code = exit_code


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """The path of a program, found as ``execvp`` does.

    :raises NoProgram: there is none, or it cannot be executed.
    """
    if "/" in name:
        candidates = [name]
    else:
        folders = environ.get("PATH", os.defpath).split(os.pathsep)
        candidates = [os.path.join(folder or ".", name) for folder in folders] if name else []  # noqa: PTH118 - "./x" must stay
    refused: str | None = None
    for candidate in candidates:
        try:
            mode = Path(candidate).stat().st_mode
        except PermissionError:
            refused = refused or "permission denied"
            continue
        except (OSError, ValueError):
            continue
        if stat.S_ISDIR(mode):
            refused = refused or "it is a directory"
        elif os.access(candidate, os.X_OK):
            return candidate
        else:
            refused = refused or "it is not executable"
    if refused:
        raise NoProgram(f"cannot run {name!r}: {refused}", NOT_EXECUTABLE)
    raise NoProgram(f"cannot run {name!r}: there is no such command", NOT_FOUND)


def child_environment(
    environ: Mapping[str, str], secret: Collection[str], naming: Collection[str], keep: Collection[str]
) -> dict[str, str]:
    """The environment of a child before it gets credentials: without another identity, and without secrets of awsv.

    :param secret: the variables that hold a secret.
    :param naming: the variables that name an open file with a secret in it.
    :param keep: the variables of these two that the child gets all the same.
    """
    hidden = {name for name in secret if not is_way_to_passphrase(name)}
    removed = (hidden | {name for name in naming if not is_identity(name)}) - set(keep)
    left = environment(environ, removed)
    before = [name for name in environ.get(REMOVED, "").split(",") if name and name not in environ]
    if names := sorted({*before, *removed}):
        left[REMOVED] = ",".join(names)
    else:
        left.pop(REMOVED, None)
    return left


def credential_variables(profile: str, credentials: Credentials, region: str | None) -> dict[str, str]:
    """The variables by which a child gets the credentials, and by which shell prompts show the profile."""
    given = {"AWS_VAULT": profile, **variables(credentials, region)}
    if "AWS_CREDENTIAL_EXPIRATION" in given:
        given["AWS_SESSION_EXPIRATION"] = given["AWS_CREDENTIAL_EXPIRATION"]  # the name that shell prompts read
    return given


def become(program: str, words: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process: from here on signals, exit code and terminal belong to the program.

    :raises NoProgram: the system refuses.
    """
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        # Python ignores these, and execve passes that on.
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execve(program, list(words), dict(environ))  # noqa: S606 - this is what the command is for
    except OSError as error:
        missing = error.errno == errno.ENOENT
        raise NoProgram(
            f"cannot run {words[0]!r}: {error.strerror}", NOT_FOUND if missing else NOT_EXECUTABLE
        ) from None
