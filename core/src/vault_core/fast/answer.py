"""Answer ``exec -j``, ``export``, ``exec PROFILE -- COMMAND`` and ``--version`` from a memo, or not at all.

:mod:`vault_core.fast.leave` leaves a memo of a profile after a run of the usual path. It holds what that run printed,
until when that may be printed again, and everything that the run consulted: variables and files, as they were. If
anything is not exactly as it was, there is no answer, and the usual path follows, which also reports errors.

A memo is two files, each of them noise without the other, as a live session and its key are: in the private runtime
folder ``key (32) ‖ pad``, in the state folder ``BLAKE2b(key, content) (32) ‖ content XOR pad``. Key and pad are random
and used once. ADR 31 and ``docs/security.md`` say what this protects from.

Only modules are imported here that the interpreter has built in, or that take microseconds to import.
"""

import posix
import resource
import sys
from time import time

try:
    from _blake2 import blake2b
except ImportError:  # a Python that was built without it
    from hashlib import blake2b

FORMAT = b"awsv memo 1"
KEY = MAC = 32
NAME = 16
"""Lengths in bytes."""
LARGEST = 1 << 17
"""The longest memo, in bytes: a token has a thousand, and each of some fifty files that were consulted a hundred."""
OURS = ("AWS_VAULT_", "VAULT_", "BAO_")
"""Prefixes of the variables that may hold a secret of awsv, or name the place of one."""

_TYPE, _REGULAR, _FOLDER, _PIPE, _LINK = 0o170000, 0o100000, 0o040000, 0o010000, 0o120000
"""Types of files, in ``st_mode`` (inode(7))."""
_READ = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_NONBLOCK


class Memo:
    """The content of a memo: NUL-separated fields, because no variable and no path has a NUL in it."""

    def __init__(self, content: bytes) -> None:
        fields = content.split(b"\0")
        fields.reverse()
        if fields.pop() != FORMAT:
            raise ValueError("another format")
        self.path = _list(fields)
        """Where code was imported from."""
        self.made, self.until = float(fields.pop()), float(fields.pop())
        """From when and until when it may be used: seconds since 1970."""
        self.json, self.env = fields.pop(), fields.pop()
        """The output of ``exec -j`` and of ``export``, with the newline at its end."""
        self.can_exec = fields.pop() == b"yes"
        """A child may be started from it, too."""
        self.given = _list(fields)
        """``NAME=TEXT`` of the variables that a child gets."""
        self.hidden = _list(fields)
        """The names of the variables that a child does not get, besides those of an identity."""
        self.ours = _list(fields)
        """The names of the variables that begin as :data:`OURS`."""
        self.places = _list(fields)
        """``NAME=TEXT`` of the variables that could name an open file with a secret in it, and do not."""
        self.variables = _list(fields)
        """``=NAME=TEXT``, and ``-NAME`` for a variable that was not set."""
        self.files = _list(fields)
        """``FINGERPRINT PATH``, and ``- PATH`` where nothing was."""

    def holds(self, environ: dict[bytes, bytes]) -> bool:
        """Whether it may be used now, and everything that was consulted is as it was."""
        return (
            self.made <= time() < self.until
            and all(_is_as_it_was(entry, environ) for entry in self.variables)
            and all(map(_is_unchanged, self.files))
        )


def _list(fields: list[bytes]) -> list[bytes]:
    """The next list: its length, and its entries. The next field is at the end."""
    return [fields.pop() for _ in range(int(fields.pop()))]


def _is_as_it_was(entry: bytes, environ: dict[bytes, bytes]) -> bool:
    name, is_set, text = entry[1:].partition(b"=")
    return environ.get(name) == (text if is_set else None)


def _is_unchanged(entry: bytes) -> bool:
    mark, _, path = entry.partition(b" ")
    try:
        found = posix.stat(path) if mark[:1] in b"fd" else posix.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return mark == b"-"
    return mark == fingerprint(mark[:1], found)


def fingerprint(kind: bytes, found: posix.stat_result) -> bytes:
    """The identity of a file, and of its content unless it is a folder.

    :param kind: ``f``: the file to which symbolic links lead. ``n``: what has this very name, perhaps a link. ``t``:
        as ``n``, and only the type of what is not a link. ``d``: a folder, and which entries it has.
    """
    mode = found.st_mode
    if kind == b"t" and mode & _TYPE != _LINK:
        return b"t%d" % (mode & _TYPE)
    identity = b"%c%d-%d-%d-%d-%d" % (kind, found.st_dev, found.st_ino, mode, found.st_uid, found.st_gid)
    if mode & _TYPE == _FOLDER and kind != b"d":
        return identity
    return b"%b-%d-%d-%d" % (identity, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def answer(words: list[str], path: list[str] | None = None) -> int | None:
    """Run the command; its exit code. None: nothing was done, and the usual path has to do it.

    :param words: the command line without the program.
    :param path: ``sys.path`` of the usual path. None: Python has not completed it yet, because we are in a virtual
        environment, where nothing but the files that are in the memo decides it.
    """
    try:
        if words == ["--version"]:
            return _write(_version())
        what, profile, command = _asked(words)
        environ = posix.environ
        limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, limit[1]))  # a core file would hold the session
        try:
            memo = read(profile, environ)
            is_usable = memo.holds(environ) and path in (None, list(map(_decoded, memo.path)))
            if is_usable and not command and _is_private_output():
                return _write(memo.json if what == "json" else memo.env)
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, limit)
        if is_usable and command:
            _become(memo, command, environ)
        return None
    except (LookupError, OSError, ValueError):  # a memo is a cache: it has no damaged state
        return None


def _asked(words: list[str]) -> tuple[str, bytes, list[bytes]]:
    """What is asked for: ``json``, ``env`` or ``exec``; the profile; the words of a child.

    :raises ValueError: another command, or another form of one of these.
    """
    encoded = list(map(_encoded, words))
    plain = [not word.startswith("-") and word != "" for word in words]
    if len(words) == 3 and words[0] == "exec" and words[1] in ("-j", "--json") and plain[2]:
        return "json", encoded[2], []
    if len(words) == 2 and words[0] == "export" and plain[1]:
        return "env", encoded[1], []
    if len(words) > 2 and words[0] == "exec" and plain[1]:
        child = encoded[3:] if words[2] == "--" else encoded[2:] if plain[2] else []
        if child and child[0]:
            return "exec", encoded[1], child
    raise ValueError("another command")


def _encoded(text: str) -> bytes:
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def _decoded(data: bytes) -> str:
    return data.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def places(profile: bytes, environ: dict[bytes, bytes]) -> tuple[bytes, list[bytes]]:
    """Where the memo of a profile is: its share in the state folder, and the places where the other share may be.

    These are the folders of :class:`vault_core.settings.Settings`. The name covers the installation and the version of
    Python, which are in the path of this module, and the encoding by which bytes are the name of a profile.

    :raises ValueError: there is no home folder.
    """
    home = environ.get(b"HOME", b"")
    state, runtime = environ.get(b"XDG_STATE_HOME", b""), environ.get(b"XDG_RUNTIME_DIR", b"")
    if not state.startswith(b"/"):
        state = home + b"/.local/state"
        if not home.startswith(b"/"):
            raise ValueError("no home")
    if runtime.startswith(b"/"):
        folders = [runtime]
    elif sys.platform == "darwin":
        folders = [home + b"/Library/Caches/TemporaryItems"]
    else:
        folders = [b"/run/user/%d" % posix.geteuid(), b"/tmp/runtime-%d" % posix.geteuid()]
    who = b"\0".join((_encoded(__file__), sys.getfilesystemencoding().encode(), profile))
    name = b"/awsv/memos/" + blake2b(who, digest_size=NAME).hexdigest().encode()
    return state + name, [folder + name for folder in folders]


def read(profile: bytes, environ: dict[bytes, bytes]) -> Memo:
    """The memo of a profile.

    :raises OSError: there is none, or it is not private.
    :raises ValueError: it is damaged.
    """
    ours, candidates = places(profile, environ)
    sealed = _read_private(ours)
    for path in candidates:
        try:
            other = _read_private(path)
        except FileNotFoundError:
            continue
        cipher, pad = sealed[MAC:], other[KEY:]
        content = xor(cipher, pad)
        if len(cipher) != len(pad) or mac(other[:KEY], content) != sealed[:MAC]:
            raise ValueError("not two shares of one memo")
        return Memo(content)
    raise FileNotFoundError


def mac(key: bytes, content: bytes) -> bytes:
    """The authentication code. It is over what both shares make together, so neither can be changed alone."""
    return blake2b(content, key=key, digest_size=MAC, person=FORMAT).digest()


def xor(data: bytes, pad: bytes) -> bytes:
    """The exclusive or of two texts, as long as the longer one."""
    size = max(len(data), len(pad))
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def _read_private(path: bytes) -> bytes:
    """The content of a file that only this user can open.

    :raises OSError: there is none.
    :raises ValueError: others may have written it, or may read it; or it is too large.
    """
    descriptor = posix.open(path, _READ)
    try:
        found = posix.fstat(descriptor)
        private = found.st_mode & _TYPE == _REGULAR and found.st_uid == posix.geteuid() and not found.st_mode & 0o077
        data = posix.read(descriptor, LARGEST + 1) if private else b""
    finally:
        posix.close(descriptor)
    if not MAC < len(data) <= LARGEST:
        raise ValueError("not private, or of a wrong size")
    return data


def _is_private_output() -> bool:
    """False where the usual path has to warn: see :func:`vault_core.stdout.open_to_others`."""
    found = posix.fstat(1)
    if found.st_mode & _TYPE not in (_REGULAR, _PIPE):
        return True
    # macOS shows a pipe without a name as open to the group.
    others = 0o007 if found.st_mode & _TYPE == _PIPE and sys.platform == "darwin" else 0o077
    return found.st_uid in (0, posix.geteuid()) and not found.st_mode & others


def _write(data: bytes) -> int | None:
    """Write to standard output; None if nothing could be written."""
    written = 0
    try:
        while written < len(data):
            written += posix.write(1, data[written:])
    except OSError as error:
        if not written:
            return None
        from vault_core import output, stdout

        lost = stdout.lost(error)
        output.report_error(lost)
        return lost.exit_code
    return 0


def _version() -> bytes:
    """The answer to ``--version``, from the name of the folder with the metadata of the core.

    :raises ValueError: there is not exactly one beside the core.
    """
    beside = __file__.rsplit("/", 3)[0]
    (name,) = (name for name in posix.listdir(beside) if name.startswith("vault_core-") and name.endswith(".dist-info"))
    return f"awsv {name.removeprefix('vault_core-').removesuffix('.dist-info')}\n".encode()


def _become(memo: Memo, command: list[bytes], environ: dict[bytes, bytes]) -> None:
    """Replace this process by the child, as the usual path does. Returns if it has to.

    :raises OSError: a standard descriptor is closed, or the program cannot be executed.
    """
    if not memo.can_exec or sensitive(environ) != (memo.ours, memo.places):
        return
    for descriptor in (0, 1, 2):
        posix.fstat(descriptor)
    from vault_core.child_env import is_identity  # not for the other answers

    program = _find(command[0], environ)
    hidden = frozenset(memo.hidden)
    left = {
        name: text
        for name, text in environ.items()
        if name not in hidden and not is_identity(name.decode("utf-8", "surrogateescape"))
    }
    left.update((name, text) for name, _, text in (entry.partition(b"=") for entry in memo.given))
    import _signal  # type: ignore[import-not-found]  # typeshed has only signal, which imports enum

    ignored = (_signal.SIGPIPE, _signal.SIGXFSZ)  # by Python, and execve passes that on
    for number in ignored:
        _signal.signal(number, _signal.SIG_DFL)
    try:
        posix.execve(program, command, left)
    finally:
        for number in ignored:
            _signal.signal(number, _signal.SIG_IGN)


def sensitive(environ: dict[bytes, bytes]) -> tuple[list[bytes], list[bytes]]:
    """The names of the variables that may hold a secret of awsv, and ``NAME=TEXT`` of those that may name an open file
    with one (see :mod:`vault_core.sessions.inherited_files`)."""
    from vault_core.child_env import is_identity, is_secret_variable

    ours, places = [], []
    for name, text in environ.items():
        word = name.decode("utf-8", "surrogateescape")
        is_ours = word.startswith(OURS)
        if is_ours:
            ours.append(name)
        is_path = is_ours and text.startswith((b"/", b"~/")) and not (is_secret_variable(word) or is_identity(word))
        if (is_ours or is_identity(word)) and (is_path or name.endswith((b"_FILE", b"_FD"))):
            places.append(name + b"=" + text)
    return sorted(ours), sorted(places)


def _find(name: bytes, environ: dict[bytes, bytes]) -> bytes:
    """The path of a program, found as :func:`vault_core.sessions.child.find_program` does.

    :raises FileNotFoundError: there is none that can be executed.
    """
    folders = (
        [b""]
        if b"/" in name
        else [
            one if one.endswith(b"/") else (one or b".") + b"/"
            for one in environ.get(b"PATH", b"/bin:/usr/bin").split(b":")
        ]
    )
    for folder in folders:
        try:
            found = posix.stat(folder + name)
        except OSError:
            continue
        if found.st_mode & _TYPE != _FOLDER and posix.access(folder + name, posix.X_OK):
            return folder + name
    raise FileNotFoundError
