"""Make the AWS SDKs ask awsv for a profile's credentials: one ``credential_process`` line, and nothing in its way.

SDKs prefer most other keys to that line (``docs/adr/0003-credential-process.md`` says why that matters). So a role's
keys get names that only awsv knows, and every other key that would still take precedence is named, with its file and
line, before anything is written.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.quoting import (
    PROCESS,
    only_header,
    process_line,
    process_profile,
    process_words,
    profile_headers,
    section_header,
)
from vault_core.awsconfig.shared import SESSION, STATIC, AwsConfig, Entry, Section
from vault_core.errors import ConfigError, VaultError

ROLE = ("role_arn", "source_profile", "mfa_serial")
"""The keys of a role that are renamed."""
PREFIX = "vault_"
"""A role's key with this prefix means the same to awsv, and nothing to an SDK."""

MARK = "written by 'awsv config credential-process', whose --undo removes it"

SDK_ORDER = (
    "role_arn",
    "web_identity_token_file",
    *("sso_account_id", "sso_role_name", "sso_session", "sso_start_url", "sso_region"),
    *STATIC,
    "login_session",
    PROCESS,
)
"""The keys that decide whose credentials an SDK uses, in the order of botocore's ``create_credential_resolver``.

Botocore prefers static keys to the process only if they are in the credentials file; the SDKs for Go and
JavaScript do so in the config file too. So there is one order for both files.
"""


@dataclass(slots=True)
class Proposal:
    """A proposed change of the config file."""

    path: Path
    before: bytes
    after: bytes
    changed: list[str] = field(default_factory=list)
    """The profiles that the change is about."""
    nothing: dict[str, str] = field(default_factory=dict)
    """Profiles that need no change, and why."""
    skipped: dict[str, VaultError] = field(default_factory=dict)
    """Profiles that awsv cannot serve, or that another program serves."""
    blocked: dict[str, VaultError] = field(default_factory=dict)
    """Profiles for which an SDK would still use a plain key."""
    waiting: list[str] = field(default_factory=list)
    """Those of :attr:`changed` whose plain key takes precedence until it is removed, which comes next."""


def propose(
    config: AwsConfig,
    raw: bytes,
    names: Iterable[str],
    launcher: Path,
    *,
    as_name: str | None = None,
    undo: bool = False,
    check: Callable[[str], object] = lambda _: None,
    copied: Collection[str] = (),
) -> Proposal:
    """Work out the change of the config file that makes SDKs ask awsv for these profiles, or that reverts it.

    :param config: both files as read.
    :param raw: the content of the config file at that time.
    :param names: profiles; one without a section gets one.
    :param launcher: absolute path of awsv.
    :param as_name: leave the profile as it is, and give a second one of this name the line.
    :param check: raises VaultError for a profile that awsv itself cannot use.
    :param copied: profiles whose key in the credentials file is a copy of a stored one and will be removed: it is not
        an obstacle.
    :raises ConfigError: the file cannot be changed safely.
    """
    document = Document(raw, config.config_file)
    after_removal = _without_plain_keys(config, copied)
    wiring = _Wiring(after_removal, document, launcher)
    proposal = Proposal(config.config_file, raw, raw)
    for name in names:
        try:
            if undo:
                wiring.undo(as_name or name)
            else:
                check(name)
                wiring.wire(name) if as_name is None else wiring.second(name, as_name)
            proposal.changed.append(as_name or name)
        except _NothingToDo as reason:
            proposal.nothing[name] = str(reason)
        except _StillWins as error:
            proposal.blocked[name] = error
        except VaultError as error:
            proposal.skipped[name] = error
    if proposal.changed:
        proposal.after = document.edited()
        if not undo:
            _verify(after_removal, proposal, launcher)
            proposal.waiting = [name for name in proposal.changed if name in copied]
    return proposal


def in_order(config: AwsConfig, name: str) -> list[Entry]:
    """Every key from which an SDK might take a profile's credentials, in their order of precedence.

    The credentials file is merged over the config file, as botocore does.
    """
    files = [known[name].entries for known in (config.credentials, config.profiles) if name in known]
    return [entries[key] for key in SDK_ORDER for entries in files if key in entries]


def _without_plain_keys(config: AwsConfig, names: Collection[str]) -> AwsConfig:
    """The config after the plain keys of these profiles are removed from the credentials file."""
    return replace(
        config,
        credentials={
            name: section._replace(entries={k: one for k, one in section.entries.items() if k not in STATIC})
            if name in names
            else section
            for name, section in config.credentials.items()
        },
    )


class _NothingToDo(Exception):
    pass


class _StillWins(ConfigError):
    pass


class _Wiring:
    """Edits the document, one profile at a time. A method that raises has changed nothing."""

    def __init__(self, config: AwsConfig, document: Document, launcher: Path) -> None:
        self._config = config
        self._document = document
        self._launcher = launcher
        self._headers = profile_headers(document)

    def wire(self, name: str) -> None:
        section, value = self._section(name), process_line(self._launcher, name)
        if section is None:
            self._refuse_winners(name)
            self._document.append_section(section_header(name), {PROCESS: value}, MARK)
            return
        [header] = self._headers[name]
        current = self._own_line(section)
        renamed = self._role_keys(section, {key: PREFIX + key for key in ROLE})
        self._refuse_winners(name, renamed)
        if current and current.value == value and not renamed:
            raise _NothingToDo(f"the SDKs ask awsv for profile {name!r} already")
        for key in renamed:
            self._document.rename(header, key, PREFIX + self._document.blocks[header].pairs[key].spelled)
        self._set_line(header, current, value)

    def second(self, name: str, as_name: str) -> None:
        section, value = self._section(as_name), process_line(self._launcher, name)
        self._refuse_winners(as_name)
        if section is None:
            source = self._config.merged(name)
            region = source.get("region") if source else None
            pairs = {PROCESS: value} | ({"region": region} if region and "\n" not in region else {})
            self._document.append_section(section_header(as_name), pairs, MARK)
            return
        current = section.entries.get(PROCESS)
        if current is None or process_profile(current.value, self._launcher) != name:
            raise ConfigError(
                f"profile {as_name!r} exists and is another one ({section.path}:{section.line})",
                hint="choose another name for --as",
            )
        if current.value == value:
            raise _NothingToDo(f"profile {as_name!r} asks awsv for {name!r} already")
        self._set_line(self._headers[as_name][0], current, value)

    def undo(self, name: str) -> None:
        section = self._section(name)
        current = section.entries.get(PROCESS) if section else None
        if section is None or current is None:
            raise _NothingToDo(f"profile {name!r} has no {PROCESS} line to remove")
        self._in_its_section(section, current)
        asked = process_profile(current.value, self._launcher)
        if asked is None:
            raise ConfigError(
                f"{current.path}:{current.line}: this command did not write the {PROCESS} line of profile {name!r}",
                hint="remove it by hand",
            )
        [header] = self._headers[name]
        pairs = self._document.blocks[header].pairs
        if pairs.keys() <= {PROCESS, "region"} and self._document.is_appended(header, MARK):
            self._document.remove_appended(header)
            return
        renamed = self._role_keys(section, {PREFIX + key: key for key in ROLE} if asked == name else {})
        self._document.remove(header, PROCESS)
        for key in renamed:
            self._document.rename(header, key, pairs[key].spelled[len(PREFIX) :])

    # -- what is there -----------------------------------------------------------------------------------------------

    def _section(self, name: str) -> Section | None:
        only_header(self._document, name, self._headers.get(name, ()))
        return self._config.profiles.get(name)

    def _own_line(self, section: Section) -> Entry | None:
        """The profile's line if awsv wrote it; None if it has no line."""
        current = section.entries.get(PROCESS)
        if current is None:
            return None
        self._in_its_section(section, current)
        asked = process_profile(current.value, self._launcher)
        if asked is None:
            program = (process_words(current.value) or ["a program"])[0]
            raise ConfigError(
                f"{current.path}:{current.line}: profile {section.name!r} has a {PROCESS} line already, which runs"
                f" {program!r}",
                hint="remove that line first, or use --as NAME",
            )
        if asked != section.name:
            raise _NothingToDo(f"profile {section.name!r} asks awsv for {asked!r} already")
        return current

    def _role_keys(self, section: Section, names: dict[str, str]) -> list[str]:
        """The keys to rename: none unless the profile takes credentials from another one or a role.

        :param names: old name to new name, in the order of :data:`ROLE`.
        """
        if not any(key in section.entries for key in list(names)[:2]):
            return []
        found = [key for key in names if key in section.entries]
        for key in found:
            self._in_its_section(section, section.entries[key])
            if (there := section.entries.get(names[key])) is not None:
                raise ConfigError(
                    f"profile {section.name!r} has both {key} ({section.path}:{section.entries[key].line}) and"
                    f" {there.key} ({there.path}:{there.line})",
                    hint="remove one of the two",
                )
        return found

    def _in_its_section(self, section: Section, entry: Entry) -> None:
        if entry.key not in self._document.blocks[self._headers[section.name][0]].pairs:
            raise ConfigError(
                f"{entry.path}:{entry.line}: {entry.key} of profile {section.name!r} comes from [DEFAULT], which speaks"
                " for every section",
                hint="move it into the profiles that need it",
            )

    def _refuse_winners(self, name: str, renamed: Collection[str] = ()) -> None:
        """Raise if another key than the line would take precedence."""
        winners = [
            entry
            for entry in in_order(self._config, name)
            if entry.path != self._config.config_file or entry.key not in (PROCESS, *renamed)
        ]
        if not winners:
            return
        listed = ", ".join(f"{entry.key} ({entry.path}:{entry.line})" for entry in winners)
        section = self._config.credentials.get(name)
        if section is not None and any(section.get(key) for key in SESSION):
            hint = "leave it to the program that writes it there, or remove these lines"
            raise ConfigError(_other_first(name, f"the session in {section.path}:{section.line}"), hint=hint)
        if any(entry.key in STATIC for entry in winners):
            hint = "copy the key with 'awsv import credentials-file', then repeat"
            raise _StillWins(_other_first(name, listed), hint=hint)
        elsewhere = any(entry.path != self._config.config_file for entry in winners)
        raise ConfigError(
            _other_first(name, listed),
            hint=f"move these lines into {self._config.config_file}, then repeat"
            if elsewhere
            else "leave this profile to the AWS CLI, or remove these lines",
        )

    def _set_line(self, header: str, current: Entry | None, value: str) -> None:
        if current is None:
            self._document.add(header, PROCESS, value)
        elif current.value != value:
            self._document.replace(header, PROCESS, value)


def _verify(config: AwsConfig, proposal: Proposal, launcher: Path) -> None:
    """Read the result as an SDK would: the first key that decides must be our line."""
    after = AwsConfig.parse(proposal.after, b"", config.config_file, config.credentials_file)
    merged = replace(after, credentials=config.credentials)
    for name in proposal.changed:
        first = next(iter(in_order(merged, name)), None)
        if first is None or process_profile(first.value, launcher) is None:
            where = f"{first.key} ({first.path}:{first.line})" if first else "nothing"
            hint = "remove that line, or move it into the profiles that need it"
            raise ConfigError(_other_first(name, where), hint=hint)


def _other_first(name: str, what: str) -> str:
    return f"the SDKs would not ask awsv for profile {name!r}: they take {what} first"
