"""``awsv plugins list``, and what ``AWS_VAULT_LOAD_PLUGINS`` lets load: told by metadata alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.broken_plugins import offer
from support.dict_plugin import DRAWER, NEW, THIRD_PARTY
from support.home import Home
from support.overlay_env import PASSPHRASE, STORAGE, OverlayEnv, failure, install, plugin_folder
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline
from support.ways import ended

LOAD = "AWS_VAULT_LOAD_PLUGINS"
MARKS = "open({!r}, 'a').write('imported')"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


@pytest.fixture
def site(tmp_path: Path) -> OverlayEnv:
    """Every state but "missing", and a mark where one of them is imported."""
    site = OverlayEnv(tmp_path / "site")
    mark = {"m.py": MARKS.format(str(tmp_path / "mark"))}
    site.install("one", {STORAGE: {"twin": "m", "solo": "m"}}, mark)
    site.install("two", {STORAGE: {"twin": "m"}, PASSPHRASE: {"twin": "m"}}, {})
    site.install("newer", {"vault.storage.v2": {"solo": "m", "next": "m"}}, {})
    site.install("older", {"vault.mfa.v0": {"past": "m"}}, {})
    site.install("thief", {"vault.command.v1": {"exec": "m", "rm": "m"}, STORAGE: {"exec": "m"}}, {})
    site.install("odd", {STORAGE: {"A": "m", "no": "m"}}, {})
    return site


def states(site: OverlayEnv, home: Home, **env: str) -> dict[tuple[str, str, str], tuple[str, str | None]]:
    """(Kind, name, distribution) to (state, reason)."""
    done = home.run(site.awsv, "plugins", "list", "--json", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert all(list(row) == ["kind", "name", "distribution", "version", "state", "reason"] for row in rows)
    return {(row["kind"], row["name"], row["distribution"]): (row["state"], row["reason"]) for row in rows}


def test_every_state(site: OverlayEnv, home: Home, tmp_path: Path) -> None:
    found = states(site, home)
    taken = "another distribution offers this name, too"
    expected = {
        ("storage", "twin", "one"): ("conflict", taken),
        ("storage", "twin", "two"): ("conflict", taken),
        ("passphrase", "twin", "two"): ("installed", None),
        ("storage", "solo", "one"): ("installed", None),
        ("storage", "solo", "newer"): ("other API version", "vault.storage.v2"),
        ("storage", "next", "newer"): ("other API version", "vault.storage.v2"),
        ("mfa", "past", "older"): ("other API version", "vault.mfa.v0"),
        ("command", "exec", "thief"): ("reserved", "a command of awsv's own"),
        ("command", "rm", "thief"): ("reserved", "a command of awsv's own"),
        ("storage", "exec", "thief"): ("installed", None),
        ("storage", "A", "odd"): ("unusable name", "a name has 2 to 32 of a-z, 0-9 and -, a letter first"),
        ("storage", "no", "odd"): ("installed", None),
        ("storage", "file", "vault-plugin-file"): ("selected", None),
        ("passphrase", "env", "vault-plugin-env"): ("selected", None),
        ("passphrase", "prompt", "vault-plugin-prompt"): ("selected", None),
        ("mfa", "terminal", "vault-plugin-prompt"): ("selected", None),
        ("session", "sts", "vault-plugin-aws"): ("selected", None),
        ("command", "file", "vault-plugin-file"): ("installed", None),
    }
    assert {plugin: state for plugin, state in found.items() if plugin in expected} == expected
    table = home.run(site.awsv, "plugins", "list").stdout
    assert "storage     next " in table
    assert "other API version: vault.storage.v2\n" in table
    assert not (tmp_path / "mark").exists()
    failure(home.run(site.awsv, "--backend", "next", "list", "--unlock"), 3, "newer 1.0", "vault.storage.v2", "has v1")


def test_what_is_selected_and_missing(site: OverlayEnv, home: Home) -> None:
    env = {"AWS_VAULT_BACKEND": "sole", "AWS_VAULT_PASSPHRASE_SOURCE": "env,vault-plugin-evil", "AWS_VAULT_PROMPT": "x"}
    found = {plugin: state for plugin, state in states(site, home, **env).items() if state[0] == "missing"}
    assert found[("storage", "sole", None)] == ("missing", "did you mean 'solo'?")  # type: ignore[index]  # not installed
    assert {name for _, name, _ in found} == {"sole", "vault-plugin-evil", "x"}
    assert all("install" not in (reason or "") for _, reason in found.values())
    bare = OverlayEnv(site.python.parents[1].with_name("bare"), without=["vault-plugin-prompt"])
    reason = f"{bare.python} -m pip install {plugin_folder('vault-plugin-prompt')}"
    assert states(bare, home)["mfa", "terminal", "vault-plugin-prompt"] == ("missing", reason)


def test_a_named_store_selects_its_backend(site: OverlayEnv, home: Home) -> None:
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir()
    config.write_text('backend = "office"\n[store.office]\nbackend = "solo"\n')
    assert states(site, home)["storage", "solo", "one"] == ("selected", None)


def disabled(site: OverlayEnv, home: Home, value: str) -> set[tuple[str, str]]:
    return {plugin[:2] for plugin, state in states(site, home, **{LOAD: value}).items() if state[0] == "disabled"}


EVERY = {
    ("passphrase", "twin"),
    ("storage", "solo"),
    ("storage", "no"),
    ("storage", "exec"),
    ("storage", "file"),
    ("command", "file"),
    ("passphrase", "env"),
    ("passphrase", "prompt"),
    ("mfa", "terminal"),
    ("session", "sts"),
}


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("", set()),
        (" , ", set()),
        ("file", {("storage", "file"), ("command", "file")}),
        ("Vault_Plugin.Prompt , sts", {("passphrase", "prompt"), ("mfa", "terminal"), ("session", "sts")}),
        ("one", {("storage", "solo")}),  # and "twin" stays in conflict
        ("m,vault_plugin_file.plugin,*,one==1.0", set()),
    ],
)
def test_what_may_load(value: str, allowed: set[tuple[str, str]], site: OverlayEnv, home: Home) -> None:
    assert EVERY & disabled(site, home, value) == EVERY - allowed
    failure(
        home.run(site.awsv, "--backend", "twin", "list", "--unlock", env={LOAD: value}), 3, "offered by one and two"
    )


def test_it_only_narrows(site: OverlayEnv, home: Home, tmp_path: Path) -> None:
    """What it names is not selected by that, and a module in it is no plugin."""
    for value in ("solo", "one", "m", "twin"):
        for words in (["plugins", "list"], ["list"], ["--help"], ["exec", "-n", "-j", "work"]):
            home.run(site.awsv, *words, env={**UNLOCKED, LOAD: f"file,env,prompt,{value}"})
    assert not (tmp_path / "mark").exists()
    home.run(site.awsv, "--backend", "solo", "list", "--unlock", env={LOAD: "file"})
    assert not (tmp_path / "mark").exists()
    home.run(site.awsv, "--backend", "solo", "list", "--unlock", env={LOAD: "solo"})
    assert (tmp_path / "mark").exists()  # so the test could have seen it


def test_list_and_check_have_one_table(home: Home) -> None:
    listed, checked = (home.awsv("plugins", word, env=UNLOCKED).stdout.splitlines() for word in ("list", "check"))
    columns = [[line.split()[:4] for line in table if line] for table in (listed, checked)]
    assert columns[0] == columns[1]
    assert columns[0][0] == ["Kind", "Name", "Distribution", "Version"]


def test_what_may_not_load_says_so(home: Home) -> None:
    good = home.awsv("exec", "-n", "-j", "work", env={**UNLOCKED, LOAD: "file,env"})
    assert (good.returncode, good.stderr) == (0, "")
    for value in ("", "env", "vault-plugin-env"):
        stderr = failure(home.awsv("exec", "-n", "-j", "work", env={**UNLOCKED, LOAD: value}), 3, "'file'", LOAD)
        assert stderr.splitlines()[-1] == f"hint: add file to {LOAD}, or unset it"
    failure(home.awsv("exec", "-n", "-j", "work", env={LOAD: "file,env"}), 3, "passphrase source 'prompt'", LOAD)
    failure(home.awsv("exec", "-j", "work", env={**UNLOCKED, LOAD: "file,env"}), 3, "'sts'", "vault-plugin-aws")
    failure(home.awsv("file", "status", env={**UNLOCKED, LOAD: "env"}), 3, "command 'file'", LOAD)
    failure(home.awsv("plugins", "check", "file", env={LOAD: ""}), 3, LOAD)
    assert home.awsv("--version", env={LOAD: ""}).returncode == 0
    assert home.awsv("plugins", "check", env={LOAD: ""}).returncode == 0


def test_a_wrong_passphrase_is_told_although_nobody_may_be_asked_for_another(home: Home) -> None:
    child = home.spawn("exec", "-n", "-j", "work", env={LOAD: "file,env", "AWS_VAULT_FILE_PASSPHRASE": "wrong"})
    code, shown = ended(child)
    assert (code, "the passphrase from source 'env' does not open store 'file'" in shown) == (5, True)
    assert "hint: correct it; no other source was asked: passphrase source 'prompt'" in shown


def test_what_may_not_load_keeps_its_secrets_from_children(tmp_path: Path, home: Home) -> None:
    """Which of its options are secret cannot be known, so all of its variables go."""
    site = OverlayEnv(tmp_path / "site")
    install(site, "drawer", THIRD_PARTY)
    install(site, "shelf", offer("shelf", before="raise RuntimeError"))
    env = {**UNLOCKED, LOAD: "file,env", "AWS_VAULT_DRAWER_PIN": "314159", "AWS_VAULT_SHELF_WORD": "314159"}
    for allowed in ("file,env", "file,env,shelf"):
        child = home.run(site.awsv, "exec", "-n", "work", "--", "/usr/bin/env", env={**env, LOAD: allowed})
        assert child.returncode == 0, child.stderr
        assert "314159" not in child.stdout
        assert f"{LOAD}={allowed}" in child.stdout.splitlines()


def test_adding_another_needs_it_to_be_named(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    install(site, "drawer", THIRD_PARTY)
    env = {"AWS_VAULT_BACKEND": "drawer", **DRAWER, **NEW}
    failure(home.run(site.awsv, "add", "--env", "new", env={**env, LOAD: "file,env"}), 3, "'drawer'", LOAD)
    done = home.run(site.awsv, "add", "--env", "new", env={**env, LOAD: "env,vault-plugin-drawer"})
    assert done.returncode == 0, done.stderr
