"""Leave a memo for the hot path (:mod:`vault_core.fast.answer`), and remove memos.

A memo is only left where the answer of the usual path depends on nothing but what the memo names. In doubt there is
none: the next run takes the usual path, too.
"""

import os
import posix
import re
import site
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from vault_core import consulted, files, folders
from vault_core.child_env import is_identity, is_secret_variable
from vault_core.fast import answer
from vault_core.records import dataclass
from vault_core.settings import AWS_CONFIG_FILE, AWS_CREDENTIALS_FILE, Settings

_SETTLED = 2.0
"""Seconds after which a file is known by the time of its last change (``st_ctime``, which nobody can set): file systems
count time in steps of up to two seconds, and a second change within one step leaves no trace."""

_MEMOS = "memos"
"""The folder of the memos, in the state folder and in the runtime folder."""
_OURS = rf"[0-9a-f]{{{2 * answer.NAME}}}|\.[0-9a-f]{{{2 * answer.NAME}}}\..*\.tmp"
"""The names of the files there: of memos, and of those that a killed process was writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the usual path answered about a profile."""

    until: float
    """Until when it may be given again, in seconds since 1970."""
    json: str
    env: str
    """The output of ``exec -j`` and of ``export``."""
    given: Mapping[str, str]
    """The variables that a child of ``exec`` gets."""
    hidden: Iterable[str]
    """The names of the variables that it does not get."""
    can_exec: bool
    """No setting names an open file with a secret in it, so a child can be started without closing one."""
    paths: Collection[str] = ()
    """What could be such a file: the paths that settings name."""


def leave(settings: Settings, profile: str, answered: Answer | None, packages: Collection[str]) -> None:
    """Leave a memo of the answer, or remove an earlier one where there must be none.

    :param answered: None: there must be none.
    :param packages: the top-level packages whose code gave the answer.
    """
    content = None
    with suppress(OSError, ValueError):  # the command has done what it was asked for
        content = _content(settings, answered, packages) if answered else None
    _forget(settings, profile)
    if content is not None:
        with suppress(OSError, ValueError):
            if _write(settings, profile, content):
                return
        _forget(settings, profile)  # what would never be used is not kept


def _write(settings: Settings, profile: str, content: bytes) -> bool:
    """Write a memo; whether the hot path would use it."""
    places = list(_folders(settings))
    if len(places) != 2:
        return False
    key, pad = os.urandom(answer.KEY), os.urandom(len(content))
    shares = (answer.mac(key, content) + answer.xor(content, pad), key + pad)
    for folder, share in zip(places, shares, strict=True):
        files.make_folder(folder, secret=True)
        files.replace(folder / _name(profile), share)
    return answer.read(os.fsencode(profile), posix.environ).holds(posix.environ)


def _forget(settings: Settings, profile: str) -> None:
    """Remove the memo of a profile."""
    for folder in _folders(settings):
        with suppress(OSError, ValueError):
            (folder / _name(profile)).unlink()


def _name(profile: str) -> str:
    """The name of the two files.

    :raises ValueError: there is no home folder.
    """
    return Path(os.fsdecode(answer.places(os.fsencode(profile), posix.environ)[0])).name


def forget_all(settings: Settings, older_than: float = 0) -> None:
    """Remove every memo.

    :param older_than: only those that were written so many seconds ago.
    """
    for folder in _folders(settings):
        with suppress(OSError):
            for path in folder.iterdir():
                if re.fullmatch(_OURS, path.name) and (not older_than or files.is_older(path, older_than)):
                    path.unlink(missing_ok=True)


def _folders(settings: Settings) -> Iterator[Path]:
    """The folder in the state folder, and the one in the runtime folder if there is one: not one that another user made
    or could replace by a link to elsewhere."""
    state = settings.state_dir / _MEMOS
    with suppress(OSError):
        folders.check(state, secret=True)
        yield state
    with suppress(OSError):
        runtime = settings.runtime_dir / _MEMOS
        folders.check(runtime.parent, secret=True)
        folders.check(runtime, secret=True)
        yield runtime


def _content(settings: Settings, answered: Answer, packages: Collection[str]) -> bytes | None:
    """The content of a memo; None where there must be none."""
    looked_up, noted = set(settings.environ.names), consulted.files()
    if noted is None or settings.flags or not settings.environ.get("HOME", "").startswith("/"):
        return None
    texts = settings.environ.texts
    if not all(_is_absolute(texts.get(name, "/")) for name in (AWS_CONFIG_FILE, AWS_CREDENTIALS_FILE)):
        return None
    if {os.fsencode(name): os.fsencode(text) for name, text in texts.items()} != posix.environ:
        return None  # something that Python ran at its start changed it, and would change the next run's
    variables = _variables(looked_up, texts, answered.hidden)
    _note_code(packages)
    began = consulted.began()
    if variables is None or not all(_is_settled(status, kind, began) for (kind, _), status in noted.items()):
        return None
    if not all(path.startswith("/") for _, path in noted):
        return None
    ours, places = answer.sensitive(posix.environ)
    can_exec = answered.can_exec and _note_ways(answered, places)
    text = [
        answer.FORMAT,
        *_listed(map(os.fsencode, sys.path)),
        *(b"%.6f" % moment for moment in (began, answered.until)),
        *(f"{output}\n".encode("utf-8", "surrogateescape") for output in (answered.json, answered.env)),
        b"yes" if can_exec else b"no",
        *_listed(os.fsencode(f"{name}={value}") for name, value in answered.given.items()),
        *_listed(map(os.fsencode, answered.hidden)),
        *_listed(ours),
        *_listed(places if can_exec else ()),
        *_listed(variables),
        *_listed(
            (answer.fingerprint(kind.encode(), status) if status else b"-") + b" " + os.fsencode(path)
            for (kind, path), status in noted.items()
        ),
    ]
    content = b"\0".join(text)
    return content if content.count(b"\0") == len(text) - 1 and len(content) + answer.MAC <= answer.LARGEST else None


def _note_ways(answered: Answer, places: Iterable[bytes]) -> bool:
    """Note where the paths lead that settings name: none is an open file now, and a link could make it one. False where
    the working folder decides, or the text may be a secret and no path."""
    names = {os.fsdecode(entry.partition(b"=")[0]) for entry in places}
    if not all(map(os.path.isabs, answered.paths)) or {*answered.hidden} & {n for n in names if n[-5:] != "_FILE"}:
        return False
    for path in answered.paths:
        folders.note_way(Path(path))
    return True


def _listed(entries: Iterable[bytes]) -> Iterator[bytes]:
    found = list(entries)
    yield b"%d" % len(found)
    yield from found


def _is_absolute(text: str) -> bool:
    """Not relative to the working folder, nor to what the password database says of a user."""
    return not text or text == "~" or text.startswith(("/", "~/"))


def _variables(names: Iterable[str], texts: Mapping[str, str], hidden: Iterable[str]) -> list[bytes] | None:
    """The variables that decided; None where one of them is a secret, or the run asked which variables there are.

    :param hidden: the variables that a child does not get.
    """
    hidden = frozenset(hidden)
    entries = []
    for name in sorted(names):
        secret = is_secret_variable(name) or "SECRET" in name or "TOKEN" in name.split("_")
        if not name or (name in texts and (secret or (name in hidden and not is_identity(name)))):
            return None
        entries.append(os.fsencode(f"={name}={texts[name]}" if name in texts else f"-{name}"))
    return entries


def _is_settled(status: os.stat_result | None, kind: str, began: float) -> bool:
    """Whether a further change would show, see :data:`_SETTLED`."""
    if status is None or (stat.S_ISDIR(status.st_mode) and kind != "d"):
        return True
    if kind == "t" and not stat.S_ISLNK(status.st_mode):
        return True
    return status.st_ctime < began - _SETTLED


def _note_code(packages: Collection[str]) -> None:
    """Note the code that gave the answer, of the core and of plugins, and what decides where code is imported from."""
    ours = {*packages, answer.__name__.partition(".")[0]}
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in ours]
    for path in filter(None, (getattr(module, "__file__", None) for module in modules)):
        consulted.look("f", path)
    consulted.look("f", Path(sys.prefix, "pyvenv.cfg"))
    for folder in filter(os.path.isabs, {*sys.path, *site.getsitepackages()}):  # some of these may appear later
        consulted.look("d", folder)
        for path in Path(folder).glob("*.pth"):
            consulted.look("f", path)
