"""Make the AWS SDKs ask awsv for a profile's credentials: one ``credential_process`` line, and nothing in its way.

An SDK looks at that line late (``docs/adr/0003-credential-process.md``). So a role's keys get names that only awsv
knows, and whatever else would still win is named, with its file and line, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vault_core.awsconfig.document import Document
from vault_core.awsconfig.quoting import PROCESS, process_line, process_profile, section_header
from vault_core.awsconfig.shared import AwsConfig, Entry, Section, classify
from vault_core.errors import ConfigError

RENAMED = ("role_arn", "source_profile", "mfa_serial")
"""The keys of a role. With the prefix they mean the same to awsv, and nothing to an SDK."""
PREFIX = "vault_"

MARK = "written by 'awsv config credential-process'; its --undo removes the section"

_ROLE = ("role_arn", "web_identity_token_file", "sso_account_id", "sso_role_name", "sso_session", "sso_start_url")
_STATIC = ("aws_access_key_id", "aws_secret_access_key")
SDK_ORDER = (*_ROLE, *_STATIC, "login_session", PROCESS)
"""What decides whose credentials an SDK takes, first come, first served: botocore's ``create_credential_resolver``.

Botocore prefers static keys to the process only if they stand in the credentials file; the SDKs for Go and JavaScript
do so in the config file too, so there is one order for both files.
"""


@dataclass(slots=True)
class Proposal:
    """What would be written, and what is left alone."""

    path: Path
    before: bytes
    after: bytes
    wired: list[str] = field(default_factory=list)
    """The profiles that the change is about."""
    notes: list[str] = field(default_factory=list)
    """Profiles for which nothing is to be done, a sentence each."""
    skipped: dict[str, ConfigError] = field(default_factory=dict)
    """Profiles that need what awsv does not do, or that another program serves."""
    blocked: dict[str, ConfigError] = field(default_factory=dict)
    """Profiles whose plain keys would still win over the line."""


class _Skip(ConfigError):
    """The profile is not for awsv."""


class _Nothing(Exception):
    """There is nothing to do; says why."""


def propose(
    config: AwsConfig,
    raw: bytes,
    names: Iterable[str],
    launcher: Path,
    *,
    as_name: str | None = None,
    undo: bool = False,
    check: Callable[[str], object] = lambda name: None,
) -> Proposal:
    """Work out the change of the config file that makes SDKs ask awsv for these profiles, or that takes it back.

    :param config: both files as read.
    :param raw: what the config file holds, the same that ``config`` was read from.
    :param names: profiles; one without a section gets one.
    :param launcher: absolute path of awsv.
    :param as_name: leave the one profile as it is and give a second one of this name the line.
    :param check: raises ConfigError for a profile that awsv itself cannot use.
    :raises ConfigError: the file cannot be edited safely.
    """
    document = Document(raw, config.config_file)
    proposal = Proposal(config.config_file, raw, raw)
    wiring = _Wiring(config, document, launcher)
    for name in names:
        try:
            if undo:
                wiring.undo(as_name or name)
            elif as_name is not None:
                check(name)
                wiring.second(name, as_name)
            else:
                wiring.wire(name, check)
            proposal.wired.append(as_name or name)
        except _Nothing as reason:
            proposal.notes.append(str(reason))
        except _Blocked as error:
            proposal.blocked[name] = error
        except ConfigError as error:
            proposal.skipped[name] = error
    if proposal.wired:
        proposal.after = document.edited()
        if not undo:
            _verify(
                replace(
                    config,
                    profiles=AwsConfig.parse(proposal.after, b"", config.config_file, config.config_file).profiles,
                ),
                proposal.wired,
                launcher,
            )
    return proposal
