"""A config file that somebody else wrote chooses no address, file or program: attacks with a server that records."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.home import Home
from support.recorder import Recorder, recording
from support.vaults import UNLOCKED, fill, offline, stores

TOKEN = "hvs.CANARY"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIACANARYCANARYCANA", "AWS_SECRET_ACCESS_KEY": "canary-of-a-secret"}
SERVER = "vault_backend = hashicorp\nvault_hashicorp_address = {url}\n"
SOURCE = "vault_passphrase_source = hashicorp\nvault_hashicorp_path = x\nvault_hashicorp_address = {url}\n"
KEEPER = "vault_passphrase_source = ssm\nvault_ssm_parameter = /x\nvault_ssm_credentials = environment\n"
JWT = SERVER + "vault_hashicorp_auth = jwt\nvault_hashicorp_role = x\nvault_hashicorp_jwt_file = ~/id_ed25519\n"
EVIL = {"server": SERVER, "jwt": JWT, "source": SOURCE, "keeper": KEEPER}

LOOK = (
    ("explain", "{}"),
    ("config", "credential-process", "-n", "{}"),
    ("config", "credential-process", "-n", "{}", "--as", "other"),
    ("config", "credential-process", "--all", "--dry-run"),
    ("config", "credential-process", "--all", "--undo", "-n"),
    ("list",),
    ("list", "--json"),
    ("plugins", "list"),
    ("clear", "{}"),
)
"""Commands that promise to look only."""
USE = (
    ("exec", "-j", "{}"),
    ("export", "{}"),
    ("login", "-s", "{}"),
    ("ready", "{}"),
    ("rotate", "{}"),
    ("add", "--env", "{}"),
    ("remove", "-f", "{}"),
    ("copy", "--to", "second", "{}"),
)


@pytest.fixture
def stranger() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def own() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def victim(tmp_path: Path, own: Recorder) -> Home:
    """Somebody with tokens, keys and a server of their own."""
    home = offline(tmp_path)
    fill(home, {"plain": (KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])})
    home.path.joinpath(".vault-token").write_text(TOKEN)
    home.path.joinpath("id_ed25519").write_text("PRIVATE-CANARY")
    stores(home, second=home.path / "second")
    home.env.update({**UNLOCKED, **KEYS, "VAULT_TOKEN": TOKEN, "VAULT_ADDR": own.url, "AWS_REGION": "eu-west-1"})
    home.env["AWS_VAULT_SECOND_PASSPHRASE"] = UNLOCKED["AWS_VAULT_FILE_PASSPHRASE"]
    return home


def words(command: tuple[str, ...], profile: str) -> list[str]:
    return [word.format(profile) for word in command]


@pytest.fixture
def evil(victim: Home, stranger: Recorder) -> Home:
    """A config file with a profile of each kind that would send a secret to a stranger."""
    sections = (f"[profile {kind}]\nregion = eu-west-1\n{told}" for kind, told in EVIL.items())
    victim.configure("".join(sections).format(url=stranger.url))
    return victim


def refused(done: subprocess.CompletedProcess[str], place: Path) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "an AWS profile cannot set option" in done.stderr
    assert f"_address ({place}:" in done.stderr or f"_parameter ({place}:" in done.stderr
    assert "hint: remove that line, and " in done.stderr


def test_commands_about_all_profiles_go_to_no_address_of_a_profile(evil: Home, stranger: Recorder) -> None:
    done = evil.awsv("config", "credential-process", "--all", "--dry-run")
    assert done.returncode == 0
    assert done.stderr.count("cannot set option 'address' of hashicorp") == 2, done.stderr
    done = evil.awsv("ready", "*")
    assert done.returncode != 0
    assert "cannot set option" in done.stdout + done.stderr, done
    assert evil.awsv("list").returncode == 0
    assert stranger.seen == []


@pytest.mark.parametrize("command", [LOOK[0], LOOK[1], *USE], ids=lambda command: command[0])
def test_no_command_goes_to_an_address_of_its_profile(command: tuple[str, ...], evil: Home, stranger: Recorder) -> None:
    done = evil.awsv(*words(command, "server"))
    assert stranger.seen == []
    if command[0] != "copy":  # which takes the store of the settings
        refused(done, evil.config)


@pytest.mark.parametrize("kind", ["jwt", "source", "keeper"])
def test_no_kind_of_plugin_takes_an_address_from_a_profile(
    kind: str, evil: Home, stranger: Recorder, own: Recorder
) -> None:
    for command in (LOOK[0], USE[0]):
        refused(evil.awsv(*words(command, kind)), evil.config)
    assert (stranger.seen, own.seen) == ([], [])


@pytest.mark.parametrize("where", ["credentials", "DEFAULT"])
def test_the_other_places_of_a_profiles_keys_change_nothing(where: str, victim: Home, stranger: Recorder) -> None:
    told = SERVER.format(url=stranger.url)
    victim.configure(f"[{where}]\n{told}[profile work]\nregion = eu-west-1\n")
    if where == "credentials":
        victim.credentials.write_text(f"[work]\n{told}")
    refused(victim.awsv("exec", "-j", "work"), getattr(victim, where, victim.config))
    assert stranger.seen == []


ASKED: dict[str, dict[str, str | None]] = {
    "store": {"AWS_VAULT_BACKEND": "hashicorp"},
    "source": {"AWS_VAULT_PASSPHRASE_SOURCE": "hashicorp", "AWS_VAULT_HASHICORP_PATH": "x"},
    "ssm": {
        "AWS_VAULT_PASSPHRASE_SOURCE": "ssm",
        "AWS_VAULT_SSM_PARAMETER": "/x",
        "AWS_VAULT_SSM_CREDENTIALS": "environment",
    },
}


@pytest.mark.parametrize("kind", ASKED)
def test_commands_that_only_look_ask_not_even_the_users_own_server(kind: str, victim: Home, own: Recorder) -> None:
    victim.configure("[profile work]\nregion = eu-west-1\n")
    env = {**ASKED[kind], "AWS_ENDPOINT_URL": own.url}
    for command in LOOK if kind == "store" else (LOOK[3], LOOK[5]):
        done = victim.awsv(*words(command, "work"), env=env)
        assert (own.seen, done.returncode) == ([], 0), (command, done)
    assert "not checked: " in victim.awsv("explain", "work", env=env).stdout
    assert own.seen == []
    victim.awsv("exec", "-j", "work", env=env)
    assert own.seen != [], "what uses the key does ask"


def test_a_profile_may_name_a_store_of_the_users_settings(victim: Home, own: Recorder) -> None:
    victim.configure("[profile work]\nregion = eu-west-1\nvault_backend = hashicorp\n")
    shown = victim.awsv("explain", "work")
    assert "not checked: store 'hashicorp' (secret/awsv at" in shown.stdout
    assert own.seen == []
    line = victim.awsv("config", "credential-process", "-n", "work").stdout
    assert "+credential_process = " in line
    assert "exec -j work" in line
    assert own.seen == []
    assert victim.awsv("exec", "-j", "work").returncode == 4
    assert TOKEN in "".join(own.seen)


def test_a_config_toml_that_others_can_write_sends_no_token_anywhere(victim: Home, stranger: Recorder) -> None:
    file = Path(victim.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    file.write_text(f'backend = "hashicorp"\n[plugin.hashicorp]\naddress = "{stranger.url}"\n')
    file.chmod(0o666)
    for command in (["list", "--unlock"], ["exec", "-j", "work"]):
        done = victim.awsv(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"awsv: {file} decides where keys go, and others can write it" in done.stderr
    assert stranger.seen == []
    file.chmod(0o600)
    assert victim.awsv("list", "--unlock").returncode == 4
    assert TOKEN in "".join(stranger.seen), "the user's own settings do decide"
