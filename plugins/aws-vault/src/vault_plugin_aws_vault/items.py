"""Read aws-vault's file store: a folder without an index, with one encrypted item per file.

File names are ignored, because versions of aws-vault named the files differently: each item contains its own name.
Long-term keys are told apart from cached sessions and tokens by their fields.
"""

import base64
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vault_core.api import ConfigError, Credentials, ImportScan, Rejected, Secret, WrongSecret
from vault_plugin_aws_vault import jwe

MAX_TOTAL_BYTES = 1 << 26
"""Limit for all items together, which are read into memory; tens of thousands of aws-vault's items are smaller."""
START = b"eyJ"
"""The first bytes of every item: base64url of ``{"``."""


def read_items(folder: Path) -> dict[str, bytes]:
    """The items of a folder, file name to token. Truncated and empty files count, as aws-vault leaves them at a crash;
    other files and folders (``.DS_Store``) do not.

    :raises ConfigError: the folder does not exist or cannot be read, or its items exceed :data:`MAX_TOTAL_BYTES`.
    """
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names only: the files are opened without following links
    except OSError as error:
        raise ConfigError(
            f"cannot read {folder}: {(error.strerror or '').lower()}",
            hint="give the folder of aws-vault's items with --dir (~/.awsvault/keys, or its AWS_VAULT_FILE_DIR)",
        ) from None
    items: dict[str, bytes] = {}
    left = MAX_TOTAL_BYTES
    for name in names:
        data = _read(folder / name)
        if data is None or (data and not data.startswith(START)):
            continue
        items[name] = data
        left -= len(data)
        if left < 0:
            raise ConfigError(
                f"{folder} contains more than {MAX_TOTAL_BYTES >> 20} MiB of files that look like items of aws-vault",
                hint="move the files of other programs away; an item of aws-vault has one or two kilobytes",
            )
    return items


def scan(folder: Path, items: Mapping[str, bytes], passphrase: Secret) -> ImportScan:
    """Decrypt the items. The cheapest are decrypted first; items beyond :data:`jwe.MAX_TOTAL_ROUNDS` are rejected.

    :param items: the result of :func:`read_items`.
    :raises WrongSecret: the passphrase opens none of them.
    """
    result = ImportScan(str(folder))
    closed = []
    spent = 0
    for rounds, name, token in sorted((jwe.rounds(token), name, token) for name, token in items.items()):
        spent += rounds
        if spent > jwe.MAX_TOTAL_ROUNDS:
            reason = f"its {rounds:,} rounds of key derivation are too many in addition to those of the other items"
            result.rejected.append(Rejected(_shown(name), f"{reason}; the limit is {jwe.MAX_TOTAL_ROUNDS:,} in total"))
            continue
        try:
            _add(result, name, *_item(jwe.decrypt(token, passphrase)))
        except jwe.WrongPassphrase:
            closed.append(Rejected(_shown(name), "this passphrase does not open it; it has another one or is damaged"))
            spent += jwe.ODD_COST if rounds == jwe.ODD_ROUNDS else 0  # that derivation was tried, too
        except ValueError as error:
            result.rejected.append(Rejected(_shown(name), str(error)))
    if closed and len(closed) + len(result.rejected) == len(items):
        raise WrongSecret(
            f"the passphrase opens none of the {len(closed)} items of aws-vault in {folder}",
            hint="give the passphrase that aws-vault prompts for or reads from AWS_VAULT_FILE_PASSPHRASE",
        )
    result.rejected += closed
    return result


def _read(path: Path) -> bytes | None:
    """A whole regular file, up to the size limit of a token; None for a link, a folder, a pipe or a file that cannot
    be read."""
    with suppress(OSError), open(path, "rb", opener=_open_once) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read(jwe.MAX_BYTES + 1)
    return None


def _open_once(path: str, flags: int) -> int:
    """Open without following a link, and without waiting for the writer of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _item(plain: Secret) -> tuple[str, Mapping[str, Any]]:
    """Name and data of an item.

    :raises jwe.Unreadable: it is not an item; the message holds nothing of its content.
    """
    try:
        item = json.loads(plain.reveal())
        name, data = item["Key"], json.loads(base64.b64decode(item["Data"], validate=True))
    except (ValueError, KeyError, TypeError, RecursionError):
        name, data = None, None
    if not isinstance(name, str) or not isinstance(data, dict):
        raise jwe.Unreadable("its content is not an item of aws-vault")
    return name, data


def _add(result: ImportScan, file: str, name: str, data: Mapping[str, Any]) -> None:
    if ("AccessKeyId" in data and "Expiration" in data) or "Token" in data or data.get("SessionToken"):
        result.sessions.append(name)
        return
    fields = {"access key ID": data.get("AccessKeyID"), "secret access key": data.get("SecretAccessKey")}
    if missing := [field for field, text in fields.items() if not (isinstance(text, str) and text.strip())]:
        reason = f"it has no {' and '.join(missing)} (file {_shown(file)})"
        result.rejected.append(Rejected(_shown(name), reason))
        return
    key_id, secret = fields.values()
    try:
        key = Credentials(access_key_id=str(key_id), secret_access_key=Secret(str(secret)))
    except ValueError:
        result.rejected.append(Rejected(_shown(name), "its secret access key is not valid text"))
    else:
        result.add(name, key)


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
