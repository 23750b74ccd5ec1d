"""B20: a store's file names passphrase plugins in its slots, and anybody can write one; who nobody named stays out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.file_store import header_of, with_header
from support.home import Home
from support.overlay_env import HEADER, OverlayEnv
from support.slot_plugins import KEYRING
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline, store_path
from support.ways import table
from vault_core.vlt.encoding import canonical

EVIL = f"""{HEADER}
open(os.path.join(os.environ["HOME"], "loaded"), "w").close()

class Evil(PassphraseSource):
    def get(self, request):
        return None

@hookimpl
def vault_passphrase_sources():
    return (PassphraseSourceSpec(name="evil", summary="nobody named it", open=lambda ctx: Evil()),)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    site = OverlayEnv(tmp_path_factory.mktemp("forged") / "site")
    site.install("vault-plugin-evil", {"vault.passphrase.v1": {"evil": "evil_source"}}, {"evil_source.py": EVIL})
    site.install(
        "vault-plugin-keyring", {"vault.passphrase.v1": {"keyring": "keyring_source"}}, {"keyring_source.py": KEYRING}
    )
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def forged(data: bytes, kind: str) -> bytes:
    """A store that nothing opens, with a slot that names the plugin; all that a forger needs is in the file."""
    header = header_of(data)
    (slot,) = header["slots"]
    kdf = slot.pop("kdf")
    named: dict[str, object] = {"source": "evil"}
    if kind == "composite":
        named = {"factors": [{"kdf": kdf, "source": "env"}, {"kdf": {"alg": "none"}, "source": "evil"}]}
    header["slots"] = [{**slot, **named, "type": kind}]
    return with_header(data, canonical(header))


@pytest.mark.security("S5")
@pytest.mark.parametrize("kind", ["key", "composite"])
def test_a_plugin_that_only_a_forged_store_names_is_not_loaded(home: Home, site: OverlayEnv, kind: str) -> None:
    path = store_path(home)
    good = path.read_bytes()
    backup = home.path / "backup.vlt"
    backup.write_bytes(forged(good, kind))
    for words in (["file", "verify", str(backup)], ["file", "restore", "-y", str(backup)]):
        done = home.run(site.awsv, *words, env=UNLOCKED)
        assert (done.returncode, done.stdout) == (5, ""), done.stderr
        assert "was not tried, as no setting names evil" in done.stderr
        assert "--passphrase-source env,prompt,evil" in done.stderr
        assert path.read_bytes() == good
    path.write_bytes(backup.read_bytes())
    key = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    for words in (
        ["exec", "-n", "-j", "work"],
        ["list", "--unlock"],
        ["add", "--env", "other"],
        ["slot", "add", "--passphrase"],
    ):
        done = home.run(site.awsv, *words, env={**UNLOCKED, **key})
        assert (done.returncode, done.stdout) == (5, ""), done.stderr
        assert "no setting names evil" in done.stderr
    assert not (home.path / "loaded").exists()
    home.run(site.awsv, "list", "--unlock", "--passphrase-source", "env,evil", env=UNLOCKED)
    assert (home.path / "loaded").exists()  # this would have told


def test_a_store_that_only_a_key_slot_opens_needs_one_word_on_another_machine(home: Home, site: OverlayEnv) -> None:
    assert home.run(site.awsv, "slot", "add", "--source", "keyring", env=UNLOCKED).returncode == 0
    first = table(home).slots[0].id
    assert home.run(site.awsv, "slot", "remove", "--force", first).returncode == 0
    assert home.run(site.awsv, "list", "--unlock").returncode == 0  # made here: nothing is to be set
    shutil.rmtree(home.env["XDG_STATE_HOME"])  # another machine
    Path(home.env["XDG_STATE_HOME"]).mkdir(mode=0o700)
    done = home.run(site.awsv, "exec", "-n", "-j", "work")
    assert done.returncode == 5
    *_, message, hint = done.stderr.splitlines()
    assert "no setting names keyring" in message
    named = hint.partition("--passphrase-source ")[2]
    assert home.run(site.awsv, "list", "--unlock", "--passphrase-source", named).returncode == 0
    again = home.run(site.awsv, "exec", "-n", "-j", "work")
    assert json.loads(again.stdout)["AccessKeyId"] == KEY_ID
