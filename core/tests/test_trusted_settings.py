"""Who may decide where secrets go: nobody who can write the AWS config, or somebody else's ``config.toml``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.person import Person
from vault_core.api import Option
from vault_core.errors import ConfigError
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


# -- what an AWS profile sets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "allowed", "secret", "is_set"),
    [
        ("session", None, False, True),
        ("session", True, False, True),
        ("session", False, False, False),
        ("session", None, True, False),
        ("session", True, True, True),
        *((kind, None, False, False) for kind in ("storage", "passphrase", "mfa")),
        *((kind, True, False, True) for kind in ("storage", "passphrase", "mfa")),
        *((kind, True, True, False) for kind in ("storage", "passphrase", "mfa")),
    ],
)
def test_which_options_an_aws_profile_sets(
    kind: str, allowed: bool | None, secret: bool, is_set: bool, person: Person
) -> None:
    option = Option(name="key-dir", help="h", secret=secret, from_profile=allowed)
    profile = {"vault_odd_key_dir": "CANARY", "vault_odd_dir": "x"}
    for flags in ({}, {"odd.key-dir": "flag"}):  # not passed over where something else would win
        host = Host(person.settings('[plugin.odd]\nkey-dir = "config"', flags), Plugins())
        if is_set:
            found = host.context(kind, "odd", (option,), profile=profile).options["key-dir"]
            assert found == flags.get("odd.key-dir", "CANARY")
            continue
        with pytest.raises(ConfigError) as caught:
            host.context(kind, "odd", (option,), profile=profile)
        assert "vault_odd_key_dir: an AWS profile cannot set option 'key-dir' of odd" in caught.value.message
        assert "CANARY" not in f"{caught.value.message}{caught.value.hint}"
        assert caught.value.hint is not None
        assert str(person.file) in caught.value.hint
        assert ("vault_backend = NAME" if kind == "storage" else "AWS_VAULT_ODD_KEY_DIR") in caught.value.hint
    assert host.context(kind, "odd", (option,), profile={"vault_odd_key_dir": ""}).options["key-dir"]


def test_the_line_of_a_key_that_no_profile_sets_is_named(person: Person) -> None:
    aws = Path(person.environ["HOME"], ".aws")
    aws.mkdir()
    aws.joinpath("config").write_text("[DEFAULT]\n\nvault_odd_dir = x\n[profile a]\n[profile b]\nvault_odd_dir = y\n")
    aws.joinpath("credentials").write_text("[a]\nregion = r\nvault_odd_dir = z\n")
    host = Host(person.settings(), Plugins())
    option = Option(name="dir", help="h")
    for value, place in (("x", f"{aws}/config:3"), ("y", f"{aws}/config:6"), ("z", f"{aws}/credentials:3")):
        with pytest.raises(ConfigError) as caught:
            host.context("storage", "odd", (option,), profile={"vault_odd_dir": value})
        assert caught.value.message.startswith(f"vault_odd_dir ({place}): ")


def test_no_plugin_of_ours_lets_a_profile_say_where_secrets_lie() -> None:
    plugins = Plugins()
    ours = [offer for offer in plugins.offers() if offer.kind in ("storage", "passphrase", "mfa") and offer.usable]
    assert {offer.name for offer in ours} >= {"file", "hashicorp", "ssm", "env", "prompt", "keychain"}
    declared = [(offer.name, option) for offer in ours for option in plugins.options(offer)]
    assert [f"{name} {option.name}" for name, option in declared if option.from_profile] == []


# -- who may write config.toml -----------------------------------------------------------------------------------------

PLANTED = 'backend = "hashicorp"\n[plugin.hashicorp]\naddress = "http://127.0.0.1:1"\n'
AS_ROOT = pytest.mark.root("files of another user take root")
NOBODY = 65534


def not_obeyed(settings: Settings) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        settings.value("backend")
    assert "config.toml" in caught.value.message
    assert "http://" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("folder", "file"),
    [(0o700, 0o666), (0o700, 0o620), (0o777, 0o600), (0o1777, 0o600), (0o770, 0o600), (0o775, 0o664)],
)
def test_a_file_that_others_can_write_is_not_obeyed_until_the_hint_is_followed(
    folder: int, file: int, person: Person
) -> None:
    settings = person.settings(PLANTED)
    person.file.chmod(file)
    person.file.parent.chmod(folder)
    hint = not_obeyed(settings).hint
    assert hint is not None
    assert hint.startswith("chmod go-w ")
    assert subprocess.run(["/bin/sh", "-c", hint], check=False).returncode == 0
    assert Settings(person.environ).value("backend").text == "hashicorp"


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o755, 0o644), (0o555, 0o444)])
def test_a_file_that_others_can_only_read_is_obeyed(folder: int, file: int, person: Person) -> None:
    settings = person.settings(PLANTED)
    person.file.chmod(file)
    person.file.parent.chmod(folder)
    assert settings.value("backend").text == "hashicorp"


def test_a_folder_that_others_can_put_in_place_of_ours_is_not_obeyed(person: Person) -> None:
    """Root's, too: whoever is root keeps its settings as everybody does."""
    settings = person.settings(PLANTED)
    above = person.file.parent.parent
    above.chmod(0o777)
    assert f"{above} is owned or writable by another user" in not_obeyed(settings).message
    above.chmod(0o1777)
    assert settings.value("backend").text == "hashicorp"


@AS_ROOT
@pytest.mark.parametrize("theirs", ["file", "folder", "both"])
def test_a_file_of_somebody_else_is_not_obeyed(theirs: str, person: Person) -> None:
    settings = person.settings(PLANTED)
    for name, path in (("file", person.file), ("folder", person.file.parent)):
        if theirs in (name, "both"):
            os.chown(path, NOBODY, NOBODY)
    error = not_obeyed(settings)
    assert f"user id {NOBODY}" in error.message
    assert error.hint is not None
    assert "XDG_CONFIG_HOME" in error.hint


def test_what_is_behind_a_link_is_looked_at(person: Person, tmp_path: Path) -> None:
    settings = person.settings()
    person.file.unlink()
    target = tmp_path / "elsewhere"
    target.write_text(PLANTED)
    target.chmod(0o666)
    person.file.symlink_to(target)
    not_obeyed(settings)
    target.chmod(0o644)
    assert settings.value("backend").text == "hashicorp"


def test_a_link_into_a_folder_that_others_can_write_is_not_followed(person: Person, tmp_path: Path) -> None:
    """They could exchange the file for an older one of the user's own, of which everything looks right."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/config.toml").write_text('backend = "keychain"')
    person.file.parent.mkdir(parents=True, exist_ok=True)
    person.file.symlink_to(tmp_path / "shared/config.toml")
    assert Settings(person.environ).config == {"backend": "keychain"}
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(ConfigError, match=r"cannot be trusted: .*shared is owned or writable by another user"):
        _ = Settings(person.environ).config


def test_a_link_to_nothing_is_not_taken_for_no_settings(person: Person, tmp_path: Path) -> None:
    settings = person.settings()
    person.file.unlink()
    assert Settings(person.environ).value("backend").origin == "default"
    person.file.symlink_to(tmp_path / "unmounted")
    hint = not_obeyed(settings).hint
    assert hint == f"make what it points to, or remove it: rm {person.file}"


def test_neither_a_pipe_nor_a_huge_or_deep_file_holds_anybody_up(person: Person) -> None:
    assert "nested too deeply" in not_obeyed(person.settings("x = " + "[" * 5000)).message
    assert "larger than 1 MiB" in not_obeyed(person.settings(b"#" * (1 << 20 | 1))).message
    person.file.unlink()
    os.mkfifo(person.file)
    assert "not an ordinary file" in not_obeyed(Settings(person.environ)).message
