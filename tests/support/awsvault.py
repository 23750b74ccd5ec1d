"""Stores of aws-vault: the real ones of the fixtures, and items made here for what the real ones do not have."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

PASSPHRASE = "correct horse battery staple"
ARCHIVE = Path(__file__).parents[1] / "fixtures/aws-vault/stores.tgz"


def unpack(folder: Path, name: str) -> tuple[Path, dict[str, tuple[str, str]]]:
    """The folder of items of a real store, and the keys in it: profile to key id and secret."""
    # By tar: tarfile wants a filter from Python 3.12 on, and knows none before 3.11.4.
    subprocess.run(["tar", "-xzf", ARCHIVE, "-C", folder], check=True)
    expected = json.loads((folder / name / "EXPECTED.json").read_text(encoding="utf-8"))["profiles"]
    keys = {profile: (key["aws_access_key_id"], key["aws_secret_access_key"]) for profile, key in expected.items()}
    return folder / name / "keys", keys


def write_item(
    folder: Path,
    file: str,
    name: str,
    data: Any,
    *,
    passphrase: str = PASSPHRASE,
    rounds: int = 8192,
    seal: bool = True,
) -> None:
    """An item as aws-vault writes it.

    :param data: what is kept under the name, JSON.
    :param rounds: of the key derivation, as its header says.
    :param seal: False: derive nothing, so that no passphrase opens it.
    """
    item = {"Key": name, "Data": base64.b64encode(json.dumps(data).encode()).decode(), "Label": "", "Description": ""}
    salt, key, iv = os.urandom(12), os.urandom(32), os.urandom(12)
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": rounds, "p2s": _encoded(salt).decode()}
    head = _encoded(json.dumps(header, separators=(",", ":")).encode())
    salted = b"PBES2-HS256+A128KW\0" + salt
    kek = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salted, rounds, 16) if seal else os.urandom(16)
    sealed = AESGCM(key).encrypt(iv, json.dumps(item).encode(), head)
    parts = [head, *map(_encoded, (aes_key_wrap(kek, key), iv, sealed[:-16], sealed[-16:]))]
    (folder / file).write_bytes(b".".join(parts))


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
