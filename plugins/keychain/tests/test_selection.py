"""Which keychain is opened: always the configured class, whatever else is installed or configured."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import secret_service
from support.dbus_services import KWALLET as KWALLET_SERVICE
from support.home import PROGRAM
from support.overlay_env import OverlayEnv, failure
from support.secret_service import desktop
from support.vaults import offline
from vault_core.api import Context, StorageUnavailable
from vault_plugin_keychain import plugin as offered
from vault_plugin_keychain.keychains import isolated
from vault_plugin_keychain.kinds import KINDS, KWALLET, MACOS, SECRET_SERVICE, Kind
from vault_plugin_keychain.opening import why_unavailable
from vault_plugin_keychain.storage import KeychainStore
from vault_testkit import FakeContext

NAMES = ("keychain", "secret-service", "kwallet")
PLATFORMS = {SECRET_SERVICE: "linux", KWALLET: "linux", MACOS: "darwin"}
KEY = "credentials/work"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return FakeContext(tmp_path, options={"name": "awsv", "collection-name": None})


def on(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "kind"),
    [("linux", SECRET_SERVICE), ("darwin", MACOS), ("freebsd14", SECRET_SERVICE)],
)
def test_keychain_is_keychain_of_platform(platform: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, platform)
    specs = {spec.name: spec for spec in offered.vault_storage_backends()}
    assert tuple(specs) == NAMES
    assert offered.own() is kind  # type: ignore[attr-defined]  # imported there, and not exported
    assert specs["keychain"].readers is not None
    assert {option.name for option in specs["keychain"].options} == (
        {"name", "collection-name"} if kind is SECRET_SERVICE else {"name"}
    )


def test_variables_of_aws_vault_keep_their_meaning(tmp_path: Path) -> None:
    with desktop() as session:
        home = offline(tmp_path)
        collection = {**session.env, "AWS_VAULT_SECRET_SERVICE_COLLECTION_NAME": "awsvault"}
        done = home.awsv("--backend", "secret-service", "list", env=collection)
        failure(done, 4, "no collection 'awsvault'")
        named = {**session.env, "AWS_VAULT_KEYCHAIN_NAME": "team one"}
        keys = '{"AccessKeyId": "AKIAQ2QZ7YJ3LEXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}'
        assert home.awsv("--backend", "keychain", "add", "work", input=keys, env=named).returncode == 0
        ((attributes, _),) = session.items()
        assert attributes["service"] == "team one"


@pytest.mark.parametrize("name", ["", " x", "x" * 65, "a/b", "a\nb", "ä"])
def test_invalid_name_is_refused(name: str) -> None:
    (option,) = (option for option in offered.vault_storage_backends()[0].options if option.name == "name")
    with pytest.raises(ValueError, match="letters, digits"):
        option.parse(name)


@pytest.mark.parametrize(
    ("kind", "platform"),
    [(kind, other) for kind in KINDS for other in ("linux", "darwin") if other != PLATFORMS[kind]],
    ids=lambda value: value if isinstance(value, str) else value.title,
)
def test_keychain_of_other_platform_is_unavailable(
    kind: Kind, platform: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, platform)
    with pytest.raises(StorageUnavailable, match=rf"{kind.title} is a part of \w+, and this is \w+") as caught:
        KeychainStore(ctx, kind)
    assert caught.value.exit_code == 4


def test_readers_is_one_sentence(ctx: Context) -> None:
    for spec in offered.vault_storage_backends():
        assert spec.readers is not None
        told = spec.readers(ctx)
        assert told[0].islower() or told.startswith("the Python")
        assert not told.endswith(".")
        assert "\n" not in told


# -- what plugins check says -------------------------------------------------------------------------------------------


def unavailable(kind: Kind, tmp_path: Path, environ: Mapping[str, str]) -> str | None:
    return why_unavailable(FakeContext(tmp_path, options={"name": "awsv"}, environ=environ), kind)


def test_unavailable_names_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {
        SECRET_SERVICE: "there is no session bus",
        KWALLET: "there is no session bus",
        MACOS: "is a part of macOS, and this is Linux",
    }
    for kind, reason in reasons.items():
        assert reason in (unavailable(kind, tmp_path, {}) or "")
    with desktop(logged_in=False) as session:
        assert "no program provides" in (unavailable(SECRET_SERVICE, tmp_path, session.env) or "")
        session.log_in()
        session.lock()  # that is another matter
        assert unavailable(SECRET_SERVICE, tmp_path, session.env) is None
        assert "no program provides" in (unavailable(KWALLET, tmp_path, session.env) or "")
        session.run_service(KWALLET_SERVICE, "closed", name="org.kde.kwalletd5")
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
        assert "dbus-python" in (unavailable(KWALLET, tmp_path, session.env) or "")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
        assert unavailable(KWALLET, tmp_path, session.env) is None


def test_activatable_service_is_available(tmp_path: Path) -> None:
    with desktop(activation=True, logged_in=False) as session:
        assert unavailable(SECRET_SERVICE, tmp_path, session.env) is None
        assert not session.owned()  # and it was not started for this


def test_bus_without_activation_is_absent_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gnome-keyring, the tests that need it are skipped with the name of the absent part."""
    monkeypatch.setattr(secret_service, "_SERVICES", str(tmp_path))
    monkeypatch.delenv("AWSV_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="absent part: gnome-keyring"), desktop(activation=True):
        pass


# -- attacks -----------------------------------------------------------------------------------------------------------

EVIL = """
import os, pathlib
from keyring.backend import KeyringBackend
pathlib.Path(os.environ["EVIL_MARK"]).write_text("imported")
class K(KeyringBackend):
    priority = 99
    def get_password(self, service, username): return None
    def set_password(self, service, username, password): pathlib.Path(os.environ["EVIL_MARK"]).write_text(password)
"""


@pytest.mark.parametrize("attack", ["variable", "keyringrc.cfg", "entry point", "null", "properties"])
def test_keyring_settings_do_not_choose_keychain(attack: str, tmp_path: Path) -> None:
    """An attacker who sets variables, writes keyring's configuration or installs a backend of keyring gets no key."""
    site = OverlayEnv(tmp_path / "site")
    site.install("evil", {"keyring.backends": {"evil": "evil"}} if attack == "entry point" else {}, {"evil.py": EVIL})
    home = offline(tmp_path)
    mark = tmp_path / "mark"
    env: dict[str, str | None] = {"EVIL_MARK": str(mark)}
    match attack:
        case "variable":
            env["PYTHON_KEYRING_BACKEND"] = "evil.K"
        case "null":
            env["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
        case "keyringrc.cfg":
            folder = Path(home.env["XDG_CONFIG_HOME"], "python_keyring")
            folder.mkdir(parents=True)
            for other in (folder, Path(home.env["XDG_DATA_HOME"], "python_keyring")):
                other.mkdir(parents=True, exist_ok=True)
                (other / "keyringrc.cfg").write_text(
                    f"[backend]\ndefault-keyring = evil.K\nkeyring-path = {site.packages}\n"
                )
        case "properties":
            env |= {
                "KEYRING_PROPERTY_SCHEME": "KeePassXC",
                "KEYRING_PROPERTY_APPID": "evil",
                "KEYRING_PROPERTY_PREFERRED_COLLECTION": "/org/freedesktop/secrets/collection/session",
            }
    with desktop() as session:
        keys = '{"AccessKeyId": "AKIAQ2QZ7YJ3LEXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}'
        env |= session.env
        done = home.run(site.awsv, "--backend", "keychain", "add", "work", input=keys, env=env)
        assert done.returncode == 0, done.stderr
        ((attributes, _),) = session.items()
    assert attributes["username"] == KEY
    assert (attributes["service"], attributes["application"]) == ("awsv", "awsv")
    assert not mark.exists()


def test_keyring_settings_attack_plain_keyring(tmp_path: Path) -> None:
    """The effect of the same variable on plain ``keyring``."""
    site = OverlayEnv(tmp_path / "site")
    site.install("evil", {}, {"evil.py": EVIL})
    home, mark = offline(tmp_path), tmp_path / "mark"
    env = {"EVIL_MARK": str(mark), "PYTHON_KEYRING_BACKEND": "evil.K"}
    assert home.run(site.python, "-c", "import keyring; keyring.get_keyring()", env=env).returncode == 0
    assert mark.read_text() == "imported"


def test_only_supported_classes_are_used() -> None:
    from keyring.backends import fail, null

    assert {(kind.module, kind.class_name) for kind in KINDS} == {
        ("keyring.backends.SecretService", "Keyring"),
        ("keyring.backends.kwallet", "DBusKeyring"),
        ("keyring.backends.macOS", "Keyring"),
    }
    for module in (null, fail):
        other = Kind(
            name="other", title="other", platform="linux", module=module.__name__, class_name="Keyring", readers=""
        )
        with pytest.raises(ValueError, match="not a supported keychain"):
            isolated(other)


def test_open_imports_one_keyring_backend(tmp_path: Path) -> None:
    home = offline(tmp_path)
    source = (
        "import sys, vault_plugin_keychain.plugin as plugin\n"
        "plugin.vault_storage_backends(); plugin.vault_passphrase_sources()\n"
        "def loaded(): return sorted(name for name in sys.modules if name.startswith(('keyring.backends.', 'jeepney', "
        "'secretstorage', 'dbus')) and name.count('.') < 3)\n"
        "assert not loaded() and 'keyring' not in sys.modules, loaded()\n"
        "from vault_plugin_keychain.keychains import isolated\n"
        "isolated(plugin.SECRET_SERVICE)\n"
        "print([name for name in loaded() if name.startswith('keyring.')])\n"
    )
    done = home.run(PROGRAM.with_name("python"), "-c", source)
    assert (done.stdout, done.stderr) == ("['keyring.backends.SecretService', 'keyring.backends.fail']\n", "")
