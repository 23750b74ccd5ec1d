"""Where a setting comes from: flag, profile key, environment, ``config.toml``, default, in this order."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.person import Person
from vault_core.api import AtRest, Option, StorageSpec, boolean
from vault_core.awsconfig.shared import read
from vault_core.child_env import is_secret_variable
from vault_core.errors import ConfigError
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import DEFAULTS, Settings, StoreSettings, Value


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def test_the_order_of_a_core_setting(person: Person) -> None:
    environ = {"AWS_VAULT_BACKEND": "by-variable"}
    profile = {"vault_backend": "by-profile"}
    config = 'backend = "by-config"'
    everything = person.settings(config, {"backend": "by-flag"}, **environ)
    assert everything.value("backend", profile) == Value("by-flag", "--backend")
    no_flag = person.settings(config, None, **environ)
    assert no_flag.value("backend", profile) == Value("by-profile", "vault_backend")
    assert no_flag.value("backend") == Value("by-variable", "AWS_VAULT_BACKEND")
    assert person.settings(config).value("backend") == Value("by-config", str(person.file))
    assert person.settings().value("backend") == Value("file", "default")


def test_the_order_of_an_option(person: Person) -> None:
    environ = {"AWS_VAULT_FILE_KEY_DIR": "/variable"}
    profile = {"vault_file_key_dir": "/profile"}
    config = '[plugin.file]\nkey-dir = "/config"'
    everything = person.settings(config, {"file.key-dir": "/flag"}, **environ)
    assert everything.option("file", "key-dir", None, profile) == Value("/flag", "-o file.key-dir")
    no_flag = person.settings(config, None, **environ)
    assert no_flag.option("file", "key-dir", None, profile) == Value("/profile", "vault_file_key_dir")
    assert no_flag.option("file", "key-dir") == Value("/variable", "AWS_VAULT_FILE_KEY_DIR")
    found = person.settings(config).option("file", "key-dir")
    assert found == Value("/config", f"[plugin.file] of {person.file}")
    assert person.settings().option("file", "key-dir") is None


def test_a_named_store_against_the_rest(person: Person) -> None:
    config = '[store.office]\nbackend = "file"\ndir = "/office"\n[plugin.file]\ndir = "/plugin"\nmode = "m"'
    settings = person.settings(config, AWS_VAULT_FILE_DIR="/variable")
    office = settings.store("office")
    assert office == StoreSettings("office", "file", {"dir": "/office"})
    assert settings.option("file", "dir", office) == Value("/office", f"[store.office] of {person.file}")
    assert settings.option("file", "mode", office) == Value("m", f"[plugin.file] of {person.file}")
    assert settings.option("file", "dir", settings.store("file")) == Value("/variable", "AWS_VAULT_FILE_DIR")
    assert settings.option("other", "dir", office) is None
    profile = {"vault_file_dir": "/profile"}
    assert settings.option("file", "dir", office, profile) == Value("/profile", "vault_file_dir")
    flagged = person.settings(config, {"file.dir": "/flag"})
    assert flagged.option("file", "dir", office, profile) == Value("/flag", "-o file.dir")


def test_a_plugin_name_is_a_store(person: Person) -> None:
    assert person.settings().store("keychain") == StoreSettings("keychain", "keychain", {})


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_empty_variable_or_profile_key_says_nothing(name: str, person: Person) -> None:
    settings = person.settings("", None, **{f"AWS_VAULT_{name.upper()}": ""})
    assert settings.value(name, {f"vault_{name}": ""}) == Value(DEFAULTS[name], "default")


def test_lists_of_names(person: Person) -> None:
    settings = person.settings('passphrase_source = ["ssm", "env"]\nprompt = "a, b,,a"')
    assert settings.names("passphrase_source") == ("ssm", "env")
    assert settings.names("prompt") == ("a", "b")
    with pytest.raises(ConfigError, match="AWS_VAULT_PROMPT names nothing"):
        person.settings(AWS_VAULT_PROMPT=" , ").names("prompt")


@pytest.mark.parametrize(
    ("value", "text"), [("true", "true"), ("false", "false"), ("3", "3"), ("1.5", "1.5"), ("[1, true]", "1,true")]
)
def test_toml_values_are_what_a_variable_would_hold(value: str, text: str, person: Person) -> None:
    found = person.settings(f"[plugin.file]\nx = {value}").option("file", "x")
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("backend", "config.toml: Expected '='"),
        (b"\xff\xfe", "config.toml"),
        ("bakend = 'file'", "unknown setting 'bakend'"),
        ("store = 'file'", "store must consist of tables, as in [store.NAME]"),
        ("[store]\nfile = 1", "store must consist of tables"),
        ("plugin = []", "plugin must consist of tables"),
        ("[backend]\na = 1", "backend is neither one value nor a list of values"),
        ("backend = [['file']]", "backend is neither"),
        ("[plugin.file.dir]\na = 1", "[plugin.file] dir is neither"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(config: str | bytes, told: str, person: Person) -> None:
    with pytest.raises(ConfigError) as caught:
        person.settings(config).value("backend")
    assert told in caught.value.message
    assert str(person.file) in caught.value.message


def test_a_file_that_cannot_be_read_is_not_ignored(person: Person) -> None:
    settings = person.settings()
    person.file.unlink()
    person.file.mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*config\.toml: it is a directory"):
        settings.value("backend")


def test_no_file_is_no_settings(person: Person) -> None:
    settings = person.settings()
    person.file.unlink()
    assert settings.value("backend").origin == "default"


@pytest.mark.parametrize("table", ["[store.office]", "[store.office]\nbackend = 3", "[store.office]\nbackend = true"])
def test_a_store_needs_a_backend(table: str, person: Person) -> None:
    with pytest.raises(ConfigError, match=r"\[store\.office\] has no backend"):
        person.settings(table).store("office")


def test_folders(person: Person) -> None:
    home = Path(person.environ["HOME"])
    settings = Settings(
        {"HOME": str(home), "XDG_DATA_HOME": "/data", "XDG_STATE_HOME": "relative", "XDG_RUNTIME_DIR": "/r"}
    )
    assert settings.data_dir == Path("/data/awsv")
    assert settings.state_dir == home / ".local/state/awsv"  # the XDG specification: a relative path is ignored
    assert settings.config_dir == home / ".config/awsv"
    assert settings.runtime_dir == Path("/r/awsv")


@pytest.mark.parametrize("home", [".", "here", "~"])
def test_a_home_that_depends_on_the_working_folder_is_refused(home: str) -> None:
    with pytest.raises(ConfigError, match=r"\(HOME\) is not an absolute path"):
        _ = Settings({"HOME": home}).config_dir


@pytest.mark.filterwarnings("error")
def test_the_runtime_folder_without_its_variable(person: Person) -> None:
    """The system's own, or a temporary one; both have the user's number in their names, so each user has another."""
    found, user = person.settings().runtime_dir, os.getuid()
    assert (found.is_absolute(), found.name) == (True, "awsv")
    if sys.platform == "linux":
        assert found.parent in (Path(f"/run/user/{user}"), Path(tempfile.gettempdir(), f"runtime-{user}"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "HOME/.aws/config"),  # as in the SDKs for Go and JavaScript; botocore reads no file then
        ("~/c", "HOME/c"),
        ("~", "HOME"),
        ("~root/c", str(Path("~root/c").expanduser())),
        ("/etc/aws", "/etc/aws"),
        ("sub/c", "CWD/sub/c"),
    ],
)
def test_where_the_aws_files_are(given: str, expected: str, person: Person) -> None:
    home = person.environ["HOME"]
    wanted = expected.replace("HOME", home).replace("CWD", str(Path.cwd()))
    assert str(person.settings(AWS_CONFIG_FILE=given).aws_config_file) == wanted


def test_a_home_of_nobody_is_named(person: Person) -> None:
    with pytest.raises(ConfigError, match="AWS_CONFIG_FILE names ~nobody-at-all/c: no such user") as caught:
        _ = person.settings(AWS_CONFIG_FILE="~nobody-at-all/c").aws_config_file
    assert caught.value.hint == "correct or unset AWS_CONFIG_FILE"


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_only_a_file_that_a_variable_names_must_be_there(variable: str, person: Person) -> None:
    def files(settings: Settings) -> tuple[Path, Path]:
        return settings.aws_config_file, settings.aws_credentials_file

    settings = person.settings()
    assert [read(path, settings.named_by(path)) for path in files(settings)] == [b"", b""]
    settings = person.settings("", None, **{variable: "~/confgi"})
    told = []
    for path in files(settings):
        try:
            assert read(path, settings.named_by(path)) == b""
        except ConfigError as error:
            told.append(error.message)
    assert told == [f"{variable} names {person.environ['HOME']}/confgi, which is not there"]
    # One name for both: each is read, and neither may be missing.
    settings = person.settings(AWS_CONFIG_FILE="~/x", AWS_SHARED_CREDENTIALS_FILE="~/x")
    for path in files(settings):
        with pytest.raises(ConfigError, match="which is not there"):
            read(path, settings.named_by(path))


def test_the_environment_is_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_VAULT_BACKEND", "before")
    settings = Settings()
    monkeypatch.setenv("AWS_VAULT_BACKEND", "after")
    assert settings.environ["AWS_VAULT_BACKEND"] == "before"
    with pytest.raises(TypeError):
        settings.environ["X"] = "1"  # type: ignore[index]  # that is the point


@pytest.mark.parametrize(
    "name",
    [
        "AWS_VAULT_FILE_PASSPHRASE",
        "AWS_VAULT_PASSPHRASE",
        "AWS_VAULT_FILE_PASSPHRASE_FD",
        "AWS_VAULT_X_PASSWORD",
        "AWS_VAULT_X_TOKEN",
        "AWS_VAULT_X_SECRET_ID",
        "VAULT_TOKEN",
        "BAO_TOKEN",
    ],
)
def test_variables_that_hold_a_secret(name: str) -> None:
    assert is_secret_variable(name)


@pytest.mark.parametrize(
    "name",
    [
        "AWS_VAULT",
        "AWS_VAULT_FILE_DIR",
        "AWS_VAULT_FILE_PASSPHRASE_FILE",
        "AWS_VAULT_PASSPHRASE_COMMAND",
        "AWS_VAULT_PASSPHRASE_SOURCE",
        "AWS_SESSION_TOKEN_TTL",
        "GITHUB_TOKEN",
        "PASSPHRASE",
        "VAULT_TOKEN_X",
    ],
)
def test_variables_that_hold_none(name: str) -> None:
    assert not is_secret_variable(name)


SPEC = StorageSpec(
    name="file",
    summary="s",
    open=lambda _: pytest.fail("opened"),
    at_rest=AtRest.SERVICE,
    options=(
        Option(name="dir", help="a folder", default=Path("/default")),
        Option(name="sync", help="yes or no", parse=boolean),
        Option(name="pin", help="digits", parse=int, secret=True),
    ),
)


def context(settings: Settings, store: str = "file") -> Mapping[str, object]:
    host = Host(settings, Plugins())
    return host.context("storage", "file", SPEC.options, store=settings.store(store)).options


def test_options_arrive_parsed_and_complete(person: Person) -> None:
    assert context(person.settings()) == {"dir": Path("/default"), "sync": None, "pin": None}
    assert context(person.settings("[plugin.file]\nsync = true\npin = 12"))["sync"] is True
    assert context(person.settings(AWS_VAULT_FILE_PIN="12"))["pin"] == 12


def test_an_option_that_does_not_parse_says_where_it_was_set(person: Person) -> None:
    with pytest.raises(ConfigError) as caught:
        context(person.settings(AWS_VAULT_FILE_SYNC="perhaps"))
    assert caught.value.message == "option 'sync' of file, from AWS_VAULT_FILE_SYNC: 'perhaps': not true or false"
    assert caught.value.hint == "it is: yes or no"


def test_a_secret_option_that_does_not_parse_is_not_repeated(person: Person) -> None:
    with pytest.raises(ConfigError) as caught:
        context(person.settings(AWS_VAULT_FILE_PIN="hunter2"))
    assert "hunter2" not in caught.value.message
    assert "AWS_VAULT_FILE_PIN" in caught.value.message


@pytest.mark.parametrize(
    ("written", "store", "said"),
    [
        (
            '[store.office]\nbackend = "file"\n',
            "office",
            "[store.office] sets {!r}, which backend 'file' does not know",
        ),
        ("[plugin.file]\n", "file", "[plugin.file] sets {!r}, which plugin 'file' does not know"),
    ],
    ids=["store", "plugin"],
)
def test_only_what_a_plugin_knows_is_set(written: str, store: str, said: str, person: Person) -> None:
    for option, hint in (("dri", "did you mean 'dir'?"), ("zzzz", "available: dir, pin, sync")):
        with pytest.raises(ConfigError) as caught:
            context(person.settings(f'{written}{option} = "/typo"'), store)
        assert caught.value.message == f"{person.file}: {said.format(option)}"
        assert caught.value.hint == hint


def test_of_the_sections_of_plugins_only_that_of_the_one_in_use_is_looked_at(person: Person) -> None:
    settings = person.settings('[plugin.hashicorp]\nadress = "https://typo"')
    assert context(settings)["dir"] == Path("/default")


def test_plugins_of_several_kinds_with_one_name_share_a_section(person: Person) -> None:
    """Storage backend and passphrase source ``hashicorp`` each have options that the other has not."""
    host = Host(person.settings('[plugin.hashicorp]\npath = "where"\nfield = "which"\nmount = "both"'), Plugins())
    storage = host.plugins.load("storage", "hashicorp").options
    source = host.plugins.load("passphrase", "hashicorp").options
    assert "path" not in {option.name for option in storage}
    assert host.context("storage", "hashicorp", storage).options["mount"] == "both"
    assert host.context("passphrase", "hashicorp", source).options["path"] == "where"
    host = Host(person.settings('[plugin.hashicorp]\nfeild = "which"'), Plugins())
    for kind, declared in (("storage", storage), ("passphrase", source)):
        with pytest.raises(ConfigError) as caught:
            host.context(kind, "hashicorp", declared)
        assert caught.value.hint == "did you mean 'field'?"
