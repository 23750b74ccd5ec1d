"""Reading aws-vault's file store: one encrypted item a file, in a folder without an index.

File names decide nothing, as aws-vault itself named items in several ways: each item says who it is. Long-term keys
are found, cached sessions and tokens are told apart from them by their content.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vault_core.api import Credentials
from vault_core.errors import ConfigError, UsageError, WrongSecret
from vault_core.importing import jwe
from vault_core.importing.scan import Bad, Found
from vault_core.secret import Secret
from vault_core.storage.vault import check_name

MOST_BYTES = 1 << 26
"""Of all items together: they are read into memory, and tens of thousands as aws-vault writes them have less."""
START = b"eyJ"
"""How every item begins: base64url of ``{"``."""


def tokens(folder: Path) -> dict[str, bytes]:
    """The items of a folder: file name to token, the torn and empty ones included, which aws-vault leaves at a crash.

    What is no item (``.DS_Store``, a folder) is left out.

    :raises ConfigError: there is no such folder, it cannot be read, or holds more than :data:`MOST_BYTES`.
    """
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names only: they are opened without following links
    except OSError as error:
        raise ConfigError(
            f"cannot read {folder}: {(error.strerror or '').lower()}",
            hint="name the folder of aws-vault's items by --dir (it is ~/.awsvault/keys, or its AWS_VAULT_FILE_DIR)",
        ) from None
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    for name in names:
        data = _read(folder / name)
        if data is None or (data and not data.startswith(START)):
            continue
        found[name] = data
        left -= len(data)
        if left < 0:
            raise ConfigError(
                f"{folder} holds more than {MOST_BYTES >> 20} MiB of what looks like items of aws-vault",
                hint="move away what aws-vault has not written; its items have a kilobyte or two",
            )
    return found


def open_items(folder: Path, items: Mapping[str, bytes], passphrase: Secret) -> Found:
    """The keys in the items. Those that cost least come first, and those that are too dear beside them are not opened.

    :param items: as :func:`tokens` returns them.
    :raises WrongSecret: the passphrase opens none of them.
    """
    found = Found(str(folder))
    closed = []
    spent = 0
    for rounds, name, token in sorted((jwe.rounds(token), name, token) for name, token in items.items()):
        spent += rounds
        if spent > jwe.MOST_TOGETHER:
            reason = f"its {rounds:,} rounds of key derivation are too many beside those of the other items"
            found.bad.append(Bad(_shown(name), f"{reason}; {jwe.MOST_TOGETHER:,} in all are the most"))
            continue
        try:
            _sort_in(found, name, _item(jwe.decrypt(token, passphrase)))
        except jwe.WrongPassphrase:
            closed.append(Bad(_shown(name), "this passphrase does not open it: it has another one, or is damaged"))
            spent += jwe.ODD_COST if rounds == jwe.ODD_ROUNDS else 0  # it was tried as well
        except ValueError as error:
            found.bad.append(Bad(_shown(name), str(error)))
    if closed and len(closed) + len(found.bad) == len(items):
        raise WrongSecret(
            f"the passphrase opens none of the {len(closed)} items of aws-vault in {folder}",
            hint="give the one that aws-vault asks for, or had in its AWS_VAULT_FILE_PASSPHRASE",
        )
    found.bad += closed
    return found


def _read(path: Path) -> bytes | None:
    """A whole file; None for anything else, such as a folder, a link or a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(jwe.LARGEST + 1)
    except OSError:
        return None
    finally:
        os.close(fd)


def _item(plain: Secret) -> tuple[str, Mapping[str, Any]]:
    """Name and data of an item.

    :raises ValueError: it is none; the text holds nothing of it.
    """
    try:
        item = json.loads(plain.reveal())
        name, data = item["Key"], json.loads(base64.b64decode(item["Data"], validate=True))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise jwe.Unreadable("it was decrypted, and is not an item of aws-vault") from None
    if not isinstance(name, str) or not isinstance(data, dict):
        raise jwe.Unreadable("it was decrypted, and is not an item of aws-vault")
    return name, data


def _sort_in(found: Found, file: str, item: tuple[str, Mapping[str, Any]]) -> None:
    name, data = item
    if ("AccessKeyId" in data and "Expiration" in data) or "Token" in data or data.get("SessionToken"):
        found.sessions.append(name)
        return
    key_id, secret = data.get("AccessKeyID"), data.get("SecretAccessKey")
    texts = [text for text in (key_id, secret) if isinstance(text, str) and text.strip()]
    if len(texts) < 2:
        missing = " and ".join(one for one, text in _parts(key_id, secret) if text not in texts)
        found.bad.append(Bad(_shown(name), f"it has no {missing} (file {_shown(file)})"))
        return
    try:
        found.add(check_name(name), Credentials(access_key_id=texts[0], secret_access_key=Secret(texts[1])))
    except (UsageError, ValueError) as error:
        found.bad.append(Bad(_shown(name), error.message if isinstance(error, UsageError) else "it is not text"))


def _parts(key_id: Any, secret: Any) -> Iterator[tuple[str, Any]]:
    yield "access key id", key_id
    yield "secret access key", secret


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
