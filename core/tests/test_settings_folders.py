"""Settings: which folders are made and trusted, root's ``config.toml``, and what is said of variables and tables."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from support.person import Person
from vault_core import config_toml, files, folders
from vault_core.errors import ConfigError
from vault_core.settings import DEFAULTS, Settings, is_way_to_passphrase


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def test_the_state_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    found = Settings({"HOME": str(tmp_path)}).make_state_dir()
    assert found == tmp_path / ".local/state/awsv"
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_state_folder_that_cannot_be_made_is_left_to_who_writes_there(
    number: int, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(files, "make_folder", full)
    settings = person.settings()
    assert settings.make_state_dir() == settings.state_dir


def test_a_state_folder_that_another_was_faster_to_put_there_is_refused(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faster(folder: Path) -> None:
        raise folders.Untrusted(f"{folder} belongs to user id 7")

    monkeypatch.setattr(files, "make_folder", faster)
    with pytest.raises(ConfigError, match=r"cannot be trusted: .*belongs to user id 7") as refused:
        person.settings().make_state_dir()
    assert "XDG_STATE_HOME" in str(refused.value.hint)


def test_a_relative_runtime_folder_is_ignored(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert person.settings(XDG_RUNTIME_DIR="here").runtime_dir.is_absolute()


@pytest.mark.parametrize(
    ("name", "is_way"),
    [
        ("AWS_VAULT_PASSPHRASE_FILE", True),
        ("AWS_VAULT_OFFICE_PASSPHRASE_COMMAND", True),
        ("AWS_VAULT_OFFICE_PASSPHRASE", False),
        ("MY_PASSPHRASE_FILE", False),
    ],
)
def test_which_variables_say_where_a_passphrase_comes_from(name: str, is_way: bool) -> None:
    assert is_way_to_passphrase(name) is is_way


def test_what_flags_and_tables_set_is_told_with_who_says_it(person: Person) -> None:
    settings = person.settings('[store.office]\nbackend = "file"\n[plugin.file]\npin = true', {"file.dir": "/d"})
    told = {"-o file.dir": "/d", "[plugin.file] pin": "true", "[store.office] backend": "file"}
    assert settings.explicit_values() == told


@pytest.mark.parametrize(
    ("given", "names"), [(None, None), ("", ()), (" , ", ()), (" a, ,vault-plugin-b,", ("a", "vault-plugin-b"))]
)
def test_which_plugins_may_load(given: str | None, names: tuple[str, ...] | None, person: Person) -> None:
    environ = {} if given is None else {"AWS_VAULT_LOAD_PLUGINS": given}
    assert person.settings(flags=None, **environ).load_plugins == names


def test_what_holds_where_nobody_says_otherwise() -> None:
    assert dict(DEFAULTS) == {
        "backend": "file",
        "browser": "system",
        "key_max_age": "90d",
        "passphrase_source": "env,prompt",
        "prompt": "terminal",
        "rotation_grace": "7d",
        "session_cache": "runtime",
        "session_provider": "",
        "wait": "300",
    }
    assert config_toml.LIMIT == 1 << 20


AS_ROOT = pytest.mark.root("files of root take root")


@AS_ROOT
def test_roots_file_in_roots_folder_is_obeyed(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = person.settings('backend = "office"')
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert settings.value("backend").text == "office"


@AS_ROOT
def test_roots_folder_that_others_can_write_is_not_obeyed(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = person.settings('backend = "office"')
    person.file.parent.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="others can write it or its folder") as refused:
        settings.value("backend")
    assert str(refused.value.hint).startswith("chmod go-w ")
