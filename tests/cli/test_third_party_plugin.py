"""A storage plugin of a stranger's, who wrote no cryptography: it works end to end, and so do its options."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.dict_plugin import DRAWER, NEW, THIRD_PARTY
from support.overlay_env import OverlayEnv, failure, install
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, fill, offline

CANARY = "canary-in-a-message"


@pytest.fixture
def third_party(tmp_path: Path) -> OverlayEnv:
    """An environment with a storage plugin of a stranger's, who wrote no cryptography."""
    site = OverlayEnv(tmp_path / "third")
    install(site, "drawer", THIRD_PARTY)
    return site


def test_a_third_party_backend_works_end_to_end(third_party: OverlayEnv, tmp_path: Path) -> None:
    home = offline(tmp_path)
    env = {"AWS_VAULT_BACKEND": "drawer", **DRAWER}
    added = home.run(third_party.awsv, "add", "--env", "wörk/…", env={**env, **NEW})
    assert added.returncode == 0, added.stderr
    drawer = Path(home.env["XDG_DATA_HOME"], "awsv/drawer.json")
    kept = drawer.read_text()
    assert OTHER_SECRET not in kept
    assert OTHER_ID not in kept
    assert all(re.fullmatch(r"[a-z]+/[a-z0-9._-]+", key) for key in json.loads(kept))
    assert all(value.isascii() and value.isprintable() for value in json.loads(kept).values())
    assert home.run(third_party.awsv, "list", "--credentials", env=env).stdout == "wörk/…\n"
    key = json.loads(home.run(third_party.awsv, "exec", "-n", "-j", "wörk/…", env=env).stdout)
    assert (key["AccessKeyId"], key["SecretAccessKey"]) == (OTHER_ID, OTHER_SECRET)
    assert drawer.stat().st_mode & 0o777 == 0o600  # its author never thought of it
    failure(
        home.run(third_party.awsv, "exec", "-n", "-j", "wörk/…", env={"AWS_VAULT_BACKEND": "drawer"}), 5, "tried env"
    )
    wrong = home.run(third_party.awsv, "exec", "-n", "-j", "wörk/…", env={**env, "AWS_VAULT_DRAWER_PASSPHRASE": "no"})
    failure(wrong, 5, "'drawer'")
    assert home.run(third_party.awsv, "remove", "--force", "wörk/…", env=env).returncode == 0
    assert home.run(third_party.awsv, "list", "--credentials", env=env).stdout == ""


def test_value_above_the_limit_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    """The original of the plain file is too long: the keys are copied, and the file stays as it is."""
    site = OverlayEnv(tmp_path / "third")
    limited = THIRD_PARTY.replace('summary="a drawer"', 'summary="a drawer", max_value=900')
    refusing = limited.replace("expect=ANY):\n", "expect=ANY):\n        assert len(value.reveal()) <= 900\n", 1)
    assert refusing.count("900") == 2
    install(site, "drawer", refusing)
    home = offline(tmp_path)
    env = {"AWS_VAULT_BACKEND": "drawer", **DRAWER}
    drawer = Path(home.env["XDG_DATA_HOME"], "awsv/drawer.json")
    long = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": "x" * 900}
    failure(home.run(site.awsv, "add", "--env", "long", env={**env, **long}), 4, "keeps at most 900 in one item")
    assert not drawer.exists()
    plain = Path(home.env["HOME"], ".aws/credentials")
    plain.parent.mkdir(exist_ok=True)
    before = f"# {'long ' * 300}\n[work]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
    plain.write_text(before)
    for command in ("import credentials-file", "config credential-process --all --yes"):
        done = home.run(site.awsv, *command.split(), env=env)
        assert done.returncode == 0, done.stderr
    written, kept = plain.read_text(), drawer.read_text()
    done = home.run(site.awsv, "import", "--remove-plain", "--yes", env=env)
    failure(done, 4, "keeps at most 900 in one item; nothing was changed")
    assert (plain.read_text(), drawer.read_text()) == (written, kept)


def test_it_works_as_a_named_store(third_party: OverlayEnv, tmp_path: Path) -> None:
    home = offline(tmp_path)
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir()
    place = tmp_path / "elsewhere.json"
    config.write_text(f'[store.office]\nbackend = "drawer"\nplace = "{place}"\n')
    env = {"AWS_VAULT_BACKEND": "office", "AWS_VAULT_OFFICE_PASSPHRASE": "another long passphrase"}
    assert home.run(third_party.awsv, "add", "--env", "work", env={**env, **NEW}).returncode == 0
    assert place.exists()
    # The environment speaks of the store with the plugin's own name; a flag is for this very command.
    other = {**env, "AWS_VAULT_DRAWER_PLACE": str(tmp_path / "other.json")}
    assert home.run(third_party.awsv, "list", "--credentials", env=other).stdout == "work\n"
    listed = home.run(third_party.awsv, "-o", f"drawer.place={tmp_path}/other.json", "list", "--credentials", env=env)
    assert (listed.returncode, listed.stdout) == (0, "")
    config.write_text(f'[store.office]\nbackend = "drawer"\nplaec = "{place}"\n')
    done = home.run(third_party.awsv, "list", "--credentials", env=env)
    failure(done, 2, "[store.office]", "'plaec'", "did you mean 'place'?")


def test_who_may_write_and_not_list_adds_a_key(tmp_path: Path) -> None:
    site = OverlayEnv(tmp_path / "third")
    told = THIRD_PARTY.replace(
        'summary="a drawer"', 'summary="a drawer", at_rest=AtRest.SERVICE, readers=lambda ctx: "all"'
    )
    install(site, "drawer", told.replace("return iter(self._read())", 'raise StorageDenied("listing is denied")'))
    done = offline(tmp_path).run(site.awsv, "add", "--env", "work", env={"AWS_VAULT_BACKEND": "drawer", **NEW})
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "machine/home/.local/share/awsv/drawer.json").read_text())
    assert "listing" not in done.stderr


def test_its_options_are_flags_and_variables(third_party: OverlayEnv, tmp_path: Path) -> None:
    home = offline(tmp_path)
    env = {"AWS_VAULT_BACKEND": "drawer", **DRAWER}
    place = str(tmp_path / "a")
    option = f"drawer.place={place}"
    added = home.run(third_party.awsv, "add", "--env", "work", f"-o{option}", env={**env, **NEW})
    assert added.returncode == 0, added.stderr
    by_flag = home.run(third_party.awsv, "exec", "-d", "1h", "-o", option, "-n", "-j", "work", env=env)
    assert json.loads(by_flag.stdout)["AccessKeyId"] == OTHER_ID, by_flag.stderr
    by_variable = home.run(third_party.awsv, "list", "--credentials", env={**env, "AWS_VAULT_DRAWER_PLACE": place})
    assert by_variable.stdout == "work\n"
    childs = ("exec", "-n", "work", "/bin/echo", "-o", "x")
    done = home.run(third_party.awsv, "-o", option, *childs, env=env)
    assert done.stdout == "-o x\n", done.stderr


def test_its_secret_option_is_shown_to_nobody(third_party: OverlayEnv, tmp_path: Path) -> None:
    home = offline(tmp_path)
    env = {"AWS_VAULT_BACKEND": "drawer", **DRAWER, "AWS_VAULT_DRAWER_PIN": "314159"}
    assert home.run(third_party.awsv, "add", "--env", "work", env={**env, **NEW}).returncode == 0
    child = home.run(third_party.awsv, "exec", "-n", "work", "--", "/usr/bin/env", env=env)
    assert child.returncode == 0, child.stderr
    assert "314159" not in child.stdout
    assert "AWS_VAULT_REMOVED=AWS_VAULT_DRAWER_PASSPHRASE,AWS_VAULT_DRAWER_PIN" in child.stdout.splitlines()
    # Not used for this command, and yet no business of the child.
    fill(home, {"work": (KEY_ID, SECRET)})
    env = {**env, **UNLOCKED, "AWS_VAULT_BACKEND": "file"}
    child = home.run(third_party.awsv, "exec", "-n", "work", "--", "/usr/bin/env", env=env)
    assert child.returncode == 0, child.stderr
    assert "314159" not in child.stdout
    env |= {"AWS_VAULT_BACKEND": "drawer", "AWS_VAULT_DRAWER_PIN": CANARY}
    odd = home.run(third_party.awsv, "exec", "-n", "-j", "work", env=env)
    stderr = failure(odd, 2, "AWS_VAULT_DRAWER_PIN")
    assert CANARY not in stderr
