"""Write the MFA device of a user into a profile's section."""

from __future__ import annotations

from pathlib import Path

from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.quoting import only_header, profile_headers, section_header

MARK = "written by 'awsv add --check'"


def with_mfa_serial(raw: bytes, path: Path, profile: str, serial: str) -> bytes:
    """The config file with ``mfa_serial`` in the section of a profile that has none; without a section it gets one.

    :param raw: what the file holds.
    :raises ConfigError: the file cannot be changed safely.
    """
    document = Document(raw, path)
    header = only_header(document, profile, profile_headers(document).get(profile, ()))
    if header is None:
        document.append_section(section_header(profile), {"mfa_serial": serial}, MARK)
    else:
        document.add(header, "mfa_serial", serial)
    return document.edited()
