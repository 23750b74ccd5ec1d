"""Leave a memo for the hot path (:mod:`vault_core.fast.answer`), and remove memos.

A memo is only left where the answer of the usual path depends on nothing but what the memo names. In doubt there is
none: the next run takes the usual path, too.
"""

import os
import posix
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vault_core import consulted, files
from vault_core.fast import answer
from vault_core.settings import AWS_CONFIG_FILE, AWS_CREDENTIALS_FILE, Settings, is_secret_variable

_SETTLED = 2.0
"""Seconds after which a file is known by the time of its last change (``st_ctime``, which nobody can set): file systems
count time in steps of up to two seconds, and a second change within one step leaves no trace."""

_MEMOS = "memos"
"""The folder of the memos, in the state folder and in the runtime folder."""


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


def leave(settings: Settings, profile: str, answered: Answer | None, packages: Collection[str]) -> None:
    """Leave a memo of the answer, or remove an earlier one where there must be none.

    :param answered: None: there must be none.
    :param packages: the top-level packages whose code gave the answer.
    """
    _forget(settings, profile)
    content = _content(settings, answered, packages) if answered else None
    folders = list(_folders(settings))
    if content is None or len(folders) != 2:
        return
    key, pad = os.urandom(answer.KEY), os.urandom(len(content))
    shares = (answer.mac(key, content) + answer.xor(content, pad), key + pad)
    with suppress(OSError, ValueError):
        for folder, share in zip(folders, shares, strict=True):
            files.make_folder(folder, secret=True)
            files.replace(folder / _name(profile), share)
        if answer.read(os.fsencode(profile), posix.environ).holds(posix.environ):
            return
    _forget(settings, profile)  # what would never be used is not kept


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
                if not older_than or files.is_older(path, older_than):
                    path.unlink(missing_ok=True)


def _folders(settings: Settings) -> Iterator[Path]:
    """The folder in the state folder, and the one in the runtime folder if there is one."""
    yield settings.state_dir / _MEMOS
    with suppress(OSError):  # another user was first with the folder that would be ours
        yield settings.runtime_dir / _MEMOS


def _content(settings: Settings, answered: Answer, packages: Collection[str]) -> bytes | None:
    """The content of a memo; None where there must be none."""
    looked_up, noted = set(settings.environ.names), consulted.files()
    if noted is None or settings.flags or not settings.environ.get("HOME", "").startswith("/"):
        return None
    if not all(settings.environ.texts.get(name, "/")[:1] in "/~" for name in (AWS_CONFIG_FILE, AWS_CREDENTIALS_FILE)):
        return None  # relative to the working folder
    variables = _variables(looked_up, settings.environ.texts)
    _note_code(packages)
    began = consulted.began()
    if variables is None or not all(_is_settled(status, kind, began) for (kind, _), status in noted.items()):
        return None
    if not all(path.startswith("/") for _, path in noted):
        return None
    ours, places = answer.sensitive(posix.environ)
    text = [
        answer.FORMAT,
        *(b"%.6f" % moment for moment in (began, answered.until)),
        *(f"{output}\n".encode("utf-8", "surrogateescape") for output in (answered.json, answered.env)),
        b"yes" if answered.can_exec else b"no",
        *_listed(os.fsencode(f"{name}={value}") for name, value in answered.given.items()),
        *_listed(map(os.fsencode, answered.hidden)),
        *_listed(ours),
        *_listed(places),
        *_listed(variables),
        *_listed(
            (answer.fingerprint(kind.encode(), status) if status else b"-") + b" " + os.fsencode(path)
            for (kind, path), status in noted.items()
        ),
    ]
    content = b"\0".join(text)
    return content if content.count(b"\0") == len(text) - 1 and len(content) + answer.MAC <= answer.LARGEST else None


def _listed(entries: Iterable[bytes]) -> Iterator[bytes]:
    found = list(entries)
    yield b"%d" % len(found)
    yield from found


def _variables(names: Iterable[str], texts: Mapping[str, str]) -> list[bytes] | None:
    """The variables that decided; None where one of them is a secret, or the run asked which variables there are."""
    entries = []
    for name in sorted(names):
        if not name or (name in texts and (is_secret_variable(name) or "SECRET" in name or "TOKEN" in name.split("_"))):
            return None
        entries.append(os.fsencode(f"={name}={texts[name]}" if name in texts else f"-{name}"))
    return entries


def _is_settled(status: os.stat_result | None, kind: str, began: float) -> bool:
    """Whether a further change would show, see :data:`_SETTLED`."""
    if status is None or (stat.S_ISDIR(status.st_mode) and kind != "d"):
        return True
    return status.st_ctime < began - _SETTLED


def _note_code(packages: Collection[str]) -> None:
    """Note the code of the plugins that gave the answer, and what decides where code is imported from. The version of
    the core is in the name of a folder there."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in packages]
    code = [Path(module.__file__) for module in (answer, *modules) if module.__file__]
    for path in (*code, Path(sys.prefix, "pyvenv.cfg")):
        _note(path)
    for folder in filter(os.path.isabs, sys.path):
        consulted.note_folder(folder)
        for path in Path(folder).glob("*.pth"):
            _note(path)


def _note(path: Path) -> None:
    consulted.note("f", path, path.stat() if path.exists() else None)
