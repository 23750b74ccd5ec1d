"""The AWS shared config file and the credentials file, as botocore understands them.

Every profile, key and value equals what ``botocore.configloader`` returns, and what it rejects is rejected here. Two
things differ on purpose: a file that cannot be read, or that is named and missing, is an error (for botocore it is
empty), and a profile without a name is not a profile.
"""

from __future__ import annotations

import re
import shlex
from collections import ChainMap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

from vault_core import files
from vault_core.awsconfig import ini
from vault_core.errors import ConfigError
from vault_core.records import dataclass
from vault_core.settings import DEFAULTS

STATIC = ("aws_access_key_id", "aws_secret_access_key")
SESSION = ("aws_session_token", "aws_security_token")
"""Keys that, beside a static key, make it a session."""

OWN_PREFIX = "vault_"
OWN_KEYS = frozenset((*DEFAULTS, "role_arn", "source_profile", "mfa_serial"))
"""The keys that the core itself reads, after :data:`OWN_PREFIX`: none is a secret. All other keys with the prefix are
options of plugins."""

HIDDEN_WORDS = r"secret|token|passw|passphrase|(private|api)[_ -]?key"
"""Words, in any case, in the name of a key or in a comment, because of which the value is not shown."""

_USER_IN_URL = r"(?<=//)[^\s/@]+@"

_VARIABLES = "AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE"

_SECRET_WORDS = ("access_key", "secret", "session_token", "security_token", "password")


class Entry(NamedTuple):
    """A key of a section, its value and its place."""

    key: str
    """In lower case."""
    value: str
    """The value of a nested block keeps its line breaks and begins with one."""
    path: Path
    line: int
    """Counted from 1. Outside of the section if the key comes from ``[DEFAULT]``."""

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, {self.path}:{self.line})"  # the value may be a secret of the credentials file


class Section(NamedTuple):
    """A profile, an ``sso-session``, or a section of the credentials file."""

    name: str
    path: Path
    line: int
    """Of the header, counted from 1."""
    entries: Mapping[str, Entry]
    """By key in lower case."""

    def get(self, key: str) -> str | None:
        """The value; None where the key is absent or empty."""
        entry = self.entries.get(key)
        return (entry.value or None) if entry else None


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """The content of both files when they were read. Immutable."""

    config_file: Path
    credentials_file: Path
    profiles: Mapping[str, Section] = field(default_factory=dict)
    """``[default]`` and ``[profile NAME]`` of the config file, by name. Of two headers with the same name, the later
    one counts."""
    credentials: Mapping[str, Section] = field(default_factory=dict)
    """The credentials file, by header. Holds secrets, which :meth:`merged` leaves out."""
    sso_sessions: Mapping[str, Section] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """``[services NAME]``: service to key to value."""

    @classmethod
    def load(
        cls, config_file: Path, credentials_file: Path, named_by: Callable[[Path], str] = lambda _: ""
    ) -> AwsConfig:
        """Read both files. A file that does not exist and that no variable names is empty.

        :param named_by: returns the variable that names a file, or an empty string.
        :raises ConfigError: one cannot be read, or botocore would reject it; names the file and the line.
        """
        files = config_file, credentials_file
        config, credentials = (read(file, named_by(file)) for file in files)
        return cls.parse(config, credentials, *files)

    @classmethod
    def parse(cls, config: bytes, credentials: bytes, config_file: Path, credentials_file: Path) -> AwsConfig:
        """Parse the content of both files.

        :raises ConfigError: as :meth:`load`.
        """
        profiles: dict[str, Section] = {}
        sso_sessions: dict[str, Section] = {}
        services: dict[str, Mapping[str, Mapping[str, str]]] = {}
        for header, section in _sections(config, config_file):
            kind, name = classify(header)
            named = Section(name, section.path, section.line, section.entries)
            if kind == "profile":
                profiles[name] = named
            elif kind == "sso-session":
                sso_sessions[name] = named
            elif kind == "services":
                services[name] = {
                    key: nested(entry) for key, entry in section.entries.items() if entry.value.startswith("\n")
                }
        above = dict(_sections(credentials, credentials_file))
        return cls(config_file, credentials_file, profiles, above, sso_sessions, services)

    def names(self) -> list[str]:
        """The profiles of both files, those of the config file first.

        A section that only the credentials file has is a profile if it has a role, or settings without a plain key or
        a session: those are credentials of their own, which need no vault.
        """
        alone = (section for name, section in self.credentials.items() if name not in self.profiles)
        return [*self.profiles, *(section.name for section in alone if _is_profile(section))]

    def merged(self, name: str) -> Section | None:
        """The keys of a profile in both files, without the secrets of the credentials file; None: neither file has it.

        As in botocore's ``Session.full_config``, the credentials file takes precedence, key by key, even with an empty
        value.
        """
        section, above = self.profiles.get(name), self.credentials.get(name)
        settings = _settings(above) if above is not None else {}
        if above is None or not settings:
            return section
        if section is None:
            return Section(name, above.path, above.line, settings)
        return Section(name, section.path, section.line, {**section.entries, **settings})


def is_secret(key: str) -> bool:
    """Whether the value is a plain key, or by its name another secret, such as the old key of a rotation.

    The plugins' own options are not part of this: see :func:`may_be_shown`.
    """
    return not key.startswith("vault_") and any(word in key for word in _SECRET_WORDS)


def may_be_shown(key: str, known: Collection[str] = ()) -> bool:
    """Whether the value of a profile's key may be printed. The value of an unknown key may be a secret.

    :param known: keys of plugins' options that are not declared secret.
    """
    if key.startswith(OWN_PREFIX):
        return key.removeprefix(OWN_PREFIX) in OWN_KEYS or key in known
    return not is_secret(key) and re.search(HIDDEN_WORDS, key, re.IGNORECASE) is None


def without_passwords(text: str) -> str:
    """The text, without the user names and passwords in its URLs."""
    return re.sub(_USER_IN_URL, "***@", text)


LIMIT = 16 << 20
"""The most bytes of one of the two files. The AWS tools have no limit; a file of a thousand profiles has 200 kB."""


def read(path: Path, variable: str = "") -> bytes:
    """The content of a config file; empty if there is no file, or if it is ``/dev/null``.

    :param variable: the environment variable that names the file. A file that is named and missing does not count as
        empty: a profile's role and MFA device would be missing, and the user would get their own rights.
    :raises ConfigError: it is named and missing, is not an ordinary file, cannot be read, or is too large.
    """
    correct = f"correct or unset {variable}" if variable else ""
    try:
        return files.read(path, limit=LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        if link := files.dangling_link(path):
            hint = correct or f"make what it points to, or remove it: rm {shlex.quote(str(link))}"
            raise ConfigError(f"cannot read {path}: {link} is a symbolic link to nothing", hint=hint) from None
        if variable:
            make = f", or make an empty file: touch {shlex.quote(str(path))}" if path.parent.is_dir() else ""
            raise ConfigError(f"{variable} names {path}, which is not there", hint=f"{correct}{make}") from None
        return b""
    except PermissionError:
        raise ConfigError(f"cannot read {path}: permission denied", hint=f"make {path} readable for you") from None
    except OSError as error:
        hint = correct or f"put an ordinary file there, or set {_VARIABLES} to one"
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint=hint) from None


def classify(header: str) -> tuple[str, str]:
    """The kind of a header of the config file (``profile``, ``sso-session``, ``services`` or empty), and its name.

    As in botocore, the header only has to start with the kind, and one that does not have two words is ignored.
    """
    for kind in ("profile", "sso-session", "services"):
        if header.startswith(kind):
            words = _words(header)
            return (kind, words[1]) if len(words) == 2 and words[1] else ("", "")
    return ("profile", header) if header == "default" else ("", "")


def nested(entry: Entry) -> dict[str, str]:
    """The keys of a nested block, such as ``s3 =`` with indented lines below it.

    :raises ConfigError: one of its lines has no ``=``.
    """
    pairs = {}
    for line in filter(None, map(str.strip, entry.value.splitlines())):
        key, delimiter, value = line.partition("=")
        if not delimiter:
            raise ConfigError(
                f"{entry.path}:{entry.line}: {entry.key} begins a nested block, and a line of it has no '='",
                hint="write 'key = value' in each of its lines, or the value behind the first '='",
            )
        pairs[key.strip()] = value.strip()
    return pairs


def _settings(section: Section) -> dict[str, Entry]:
    return {key: entry for key, entry in section.entries.items() if not is_secret(key)}


def _is_profile(section: Section) -> bool:
    said = {key for key, entry in _settings(section).items() if entry.value}
    has_role = not said.isdisjoint(("role_arn", "vault_role_arn"))  # which wins over the key beside it
    return has_role or (bool(said) and not any(section.get(key) for key in (*STATIC, *SESSION)))


def _sections(raw: bytes, path: Path) -> Iterator[tuple[str, Section]]:
    blocks = ini.parse(ini.split_lines(ini.decode(raw, path)), path)
    shared: dict[str, Entry] = {}
    for block in blocks:
        if block.header == ini.DEFAULTS:
            shared |= _entries(block, path)
    unchecked = set(shared)  # nothing is wrong with one that no section has, or that each has otherwise
    for block in blocks:
        if block.header != ini.DEFAULTS:
            own = _entries(block, path)
            unchecked -= _check_blocks([*own.values(), *(shared[key] for key in unchecked - own.keys())])
            # Not a copy of what all have: of a thousand profiles with a thousand keys in common it would be a million.
            entries = ChainMap(own, shared) if shared else own
            yield block.header, Section(block.header, path, block.line + 1, entries)


def _entries(block: ini.Block, path: Path) -> dict[str, Entry]:
    return {key: Entry(key, pair.value, path, pair.first + 1) for key, pair in block.pairs.items()}


def _check_blocks(entries: Collection[Entry]) -> set[str]:
    """Check the nested blocks among these entries; return the keys of all entries.

    :raises ConfigError: as :func:`nested`.
    """
    for entry in entries:
        if entry.value.startswith("\n"):
            nested(entry)
    return {entry.key for entry in entries}


def _words(header: str) -> list[str]:
    if not any(char in header for char in "\"'\\"):
        return [word for word in header.replace("\t", " ").split(" ") if word]
    try:
        return shlex.split(header)
    except ValueError:  # an open quotation: botocore ignores the section
        return []
