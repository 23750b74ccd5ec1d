"""The passphrase from the environment: a variable, or a file, a descriptor or a command that a variable names.

For store ``file`` the name is ``AWS_VAULT_FILE_PASSPHRASE``, then ``AWS_VAULT_PASSPHRASE``, which is for every store.
The first name that is set in any form is used: the name itself contains the passphrase, with ``_FILE`` a path, with
``_FD`` the number of an open descriptor, with ``_COMMAND`` a command. A variable that is set but unusable is an error,
and the next source is not tried: the user would be asked for a passphrase without an explanation.
"""

import re
import shlex
import time
from pathlib import Path

from vault_core import api
from vault_plugin_env.reading import Reader

_FORMS = ("", "_FILE", "_FD", "_COMMAND")
_EVERY_STORE = "AWS_VAULT_PASSPHRASE"
_OURS = r"AWS_VAULT_.*PASSPHRASE"
_COMMAND_SECONDS = 30.0


class Environment(api.PassphraseSource):
    """The source ``env``. It ignores the purpose of the request."""

    def __init__(self, context: api.Context) -> None:
        self._context = context

    def get(self, request: api.PassphraseRequest) -> api.Secret | None:
        for name in (variable(request.store), _EVERY_STORE):
            used = [name + form for form in _FORMS if name + form in self._context.environ]
            if len(used) > 1:
                raise api.PassphraseError(
                    f"{' and '.join(used)} are set at the same time", hint="unset all but one of them"
                )
            if used:
                return _checked(used[0], self._read(used[0], used[0].removeprefix(name), request.deadline))
        return None

    def _read(self, name: str, form: str, deadline: float | None) -> bytes:
        text = self._context.environ[name]
        if not text.strip() and form:
            return b""
        match form:
            case "_FILE":
                return _without_line_end(Reader(self._context, name, deadline).file(self._path(text)))
            case "_FD":
                return _without_line_end(Reader(self._context, name, deadline).descriptor(text))
            case "_COMMAND":
                return _without_line_end(self._output(name, text, deadline))
        return api.Secret(text).reveal()

    def _path(self, text: str) -> Path:
        """The path with ``~`` replaced by the home in the context's environment."""
        home = self._context.environ.get("HOME")
        if home and (text == "~" or text.startswith("~/")):
            return Path(home + text[1:])
        return Path(text)

    def _output(self, name: str, text: str, deadline: float | None) -> bytes:
        try:
            argv = shlex.split(text)
        except ValueError as error:
            raise api.PassphraseError(f"{name} cannot be split into words: {str(error).lower()}") from None
        seconds = _COMMAND_SECONDS if deadline is None else min(_COMMAND_SECONDS, deadline - time.monotonic())
        if seconds <= 0:
            raise api.SourceUnavailable(f"{name}: no time left to run {argv[0]}")
        # The user's own command runs as in the shell, but without the passphrase variables; so if it runs awsv, that
        # awsv does not run the command again.
        done = self._context.run(
            argv, timeout=seconds, env=[name for name in self._context.environ if not re.match(_OURS, name)]
        )
        if done.returncode:
            raise api.SourceUnavailable(f"{name}: {argv[0]} ended with exit code {done.returncode}")
        return done.stdout.reveal()


def variable(store: str) -> str:
    """The name of the store's own variable: upper case, ``_`` for every character outside A-Z and 0-9."""
    return f"AWS_VAULT_{re.sub('[^A-Z0-9]', '_', store.upper())}_PASSPHRASE"


def _without_line_end(data: bytes) -> bytes:
    """Remove one line end, which editors and ``echo`` add."""
    return data.removesuffix(b"\r\n") if data.endswith(b"\r\n") else data.removesuffix(b"\n")


def _checked(name: str, value: bytes) -> api.Secret:
    if not value:
        raise api.PassphraseError(f"{name} is set but empty", hint=f"unset {name}, or set it to a passphrase")
    secret = api.Secret(value)
    try:
        secret.reveal_text()
    except ValueError:
        raise api.PassphraseError(f"{name}: the passphrase is not UTF-8 text") from None
    return secret


@api.hookimpl
def vault_passphrase_sources() -> tuple[api.PassphraseSourceSpec, ...]:
    return (
        api.PassphraseSourceSpec(
            name="env",
            summary="from AWS_VAULT_<STORE>_PASSPHRASE or its _FILE, _FD, _COMMAND; programs you run can read it",
            open=Environment,
            secret_variables=("*",),
        ),
    )
