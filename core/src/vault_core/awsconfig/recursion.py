"""Whether an AWS SDK that uses a profile would run awsv again: a vault must not wait for a key that is in it.

The search is botocore's: the key that decides first (:func:`~vault_core.awsconfig.credential_process.in_order`), and
every ``source_profile``. If it is not certain whether a program runs awsv, the answer is yes: an unnecessary error is
better than a loop.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from vault_core.awsconfig import OWN_COMMANDS
from vault_core.awsconfig.credential_process import in_order
from vault_core.awsconfig.quoting import PROCESS, process_words
from vault_core.awsconfig.shared import STATIC, AwsConfig, Entry

_SCRIPT_BYTES = 1 << 16
"""How much of a script is searched: a wrapper of awsv is short."""
_NOT_ENOUGH = frozenset(("sso_session", "sso_start_url", "sso_region", "aws_secret_access_key"))
"""Keys that alone do not make botocore use SSO or a plain key."""
_OWN_PACKAGE = "vault_core"
_OWN_WORD = re.compile(rf"(?:^|[\s/;&|(`\"'])(?:{'|'.join(OWN_COMMANDS)})(?=$|[\s;&|)`\"'])")


def find_recursion(config: AwsConfig, profile: str, environ: Mapping[str, str]) -> str | None:
    """``FILE:LINE: KEY = VALUE`` of the line by which an SDK that uses this profile would run awsv; else None.

    :param environ: ``PATH`` says which program a line means.
    """
    seen: set[str] = set()
    name: str | None = profile
    while name is not None and name not in seen:
        entry, behind = _decides(config, name, is_source=bool(seen))
        seen.add(name)
        name = behind
        if entry is not None and entry.key == PROCESS and _runs_awsv(entry.value, environ):
            return f"{entry.path}:{entry.line}: {entry.key} = {entry.value}"
    return None


def _decides(config: AwsConfig, name: str, *, is_source: bool) -> tuple[Entry | None, str | None]:
    """The key from which an SDK takes a profile's credentials; or the profile from which it takes them.

    :param is_source: it is the ``source_profile`` of another.
    """
    entries = in_order(config, name)
    keys = {entry.key for entry in entries}
    entries = [one for one in entries if one.key not in _NOT_ENOUGH]
    if is_source and not keys.isdisjoint(STATIC):
        # Botocore assumes no role for a source that has a plain key, and may take the process all the same.
        entries = [one for one in entries if one.key != "role_arn"]
    if PROCESS in keys:
        # Of a plain key and a process in the config file, botocore takes the process, and others the key.
        entries = [one for one in entries if one.key not in STATIC or one.path != config.config_file]
    first = entries[0] if entries else None
    if first is None or first.key != "role_arn" or "web_identity_token_file" in keys:
        return first, None
    sections = [known[name] for known in (config.credentials, config.profiles) if name in known]
    source = next(filter(None, (section.get("source_profile") for section in sections)), None)
    if source != name:
        return None, source
    # A role on top of the profile's own credentials.
    return next((one for one in entries[1:] if one.key in (*STATIC, PROCESS)), None), None


def _runs_awsv(command: str, environ: Mapping[str, str]) -> bool:
    words = process_words(command)
    if any(Path(word).name in OWN_COMMANDS or _OWN_WORD.search(word) for word in words):
        return True  # as the program itself, or as an argument of a shell or another program
    found = shutil.which(words[0], path=environ.get("PATH", "")) if words else None
    return found is not None and _is_wrapper(Path(found))


def _is_wrapper(program: Path) -> bool:
    """Whether it is a link to awsv, a copy of it, or a script with a line that runs it."""
    try:
        if program.resolve().name in OWN_COMMANDS:
            return True
        with program.open("rb") as file:
            text = file.read(_SCRIPT_BYTES)
    except (OSError, RuntimeError):  # RuntimeError: links that go round in a circle, before Python 3.13
        return False
    if not text.startswith(b"#!"):
        return False
    first, *lines = text[2:].decode("utf-8", "replace").splitlines()
    lines = [first, *(line for line in lines if not line.lstrip().startswith("#"))]
    return any(_OWN_WORD.search(line) or _OWN_PACKAGE in line for line in lines)
