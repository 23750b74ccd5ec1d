"""A store with a key slot gets another data key: the source has another key then, and older backups are told of."""

from __future__ import annotations

from pathlib import Path

from support.overlay_env import OverlayEnv
from support.slot_plugins import KEYRING
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline, store_path


def test_a_backup_that_only_a_key_slot_opens(tmp_path: Path) -> None:
    site, home = OverlayEnv(tmp_path / "site"), offline(tmp_path)
    site.install(
        "vault-plugin-keyring", {"vault.passphrase.v1": {"keyring": "keyring_source"}}, {"keyring_source.py": KEYRING}
    )
    fill(home, {"work": (KEY_ID, SECRET)})
    assert home.run(site.awsv, "slot", "add", "--source", "keyring", env=UNLOCKED).returncode == 0
    old = store_path(home).read_bytes()
    done = home.run(site.awsv, "file", "rekey", env=UNLOCKED)
    assert (done.returncode, "but no longer through a key slot" in done.stderr) == (0, True)
    assert home.run(site.awsv, "file", "verify").returncode == 0  # through the new key
    backup = tmp_path / "old.vlt"
    backup.write_bytes(old)
    assert home.run(site.awsv, "file", "verify", str(backup)).returncode == 5
    assert home.run(site.awsv, "file", "verify", str(backup), env=UNLOCKED).returncode == 0
