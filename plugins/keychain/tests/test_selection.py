"""Which keychain is opened: the one that was named, by its class, whatever else is installed or configured.

macOS, Windows and KWallet are not here: ``keyring``'s own classes for them run on stand-ins of the system's calls.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dbus_services import KWALLET as KWALLET_SERVICE
from support.home import PROGRAM
from support.secret_service import DesktopSession, desktop
from support.sites import Site, failure
from support.vaults import offline
from vault_core.api import Context, Secret, StorageError, StorageLocked, StorageUnavailable
from vault_core.testing import FakeContext
from vault_plugin_keychain import bus
from vault_plugin_keychain import plugin as offered
from vault_plugin_keychain.keychains import Keychain, isolated, open_keychain
from vault_plugin_keychain.plugin import KINDS, KWALLET, MACOS, SECRET_SERVICE, WINCRED, Kind
from vault_plugin_keychain.storage import KeychainStore

NAMES = ("keychain", "secret-service", "kwallet", "wincred")
PLATFORMS = {SECRET_SERVICE: "linux", KWALLET: "linux", MACOS: "darwin", WINCRED: "win32"}
KEY = "credentials/work"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return FakeContext(tmp_path, options={"name": "awsv", "collection-name": None})


def on(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "kind"),
    [("linux", SECRET_SERVICE), ("darwin", MACOS), ("win32", WINCRED), ("freebsd14", SECRET_SERVICE)],
)
def test_keychain_is_the_one_of_the_platform(platform: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, platform)
    specs = {spec.name: spec for spec in offered.vault_storage_backends()}
    assert tuple(specs) == NAMES
    assert offered.own() is kind
    assert specs["keychain"].who_reads is not None
    assert specs["keychain"].max_value == (kind.most - 19 if kind.most else None)
    assert {option.name for option in specs["keychain"].options} == (
        {"name", "collection-name"} if kind is SECRET_SERVICE else {"name"}
    )


def test_the_variables_of_aws_vault_keep_their_meaning(tmp_path: Path) -> None:
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
def test_a_name_that_no_keychain_should_have(name: str) -> None:
    (option,) = (option for option in offered.vault_storage_backends()[0].options if option.name == "name")
    with pytest.raises(ValueError, match="letters, digits"):
        option.parse(name)


@pytest.mark.parametrize(
    ("kind", "platform"),
    [(kind, other) for kind in KINDS for other in ("linux", "darwin", "win32") if other != PLATFORMS[kind]],
    ids=lambda value: value if isinstance(value, str) else value.title,
)
def test_on_the_wrong_platform(kind: Kind, platform: str, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, platform)
    with pytest.raises(StorageUnavailable, match=rf"{kind.title} is a part of \w+, and this is \w+") as caught:
        KeychainStore(ctx, kind)
    assert caught.value.exit_code == 4


def test_who_reads_is_one_sentence(ctx: Context) -> None:
    for spec in offered.vault_storage_backends():
        assert spec.who_reads is not None
        told = spec.who_reads(ctx)
        assert told[0].islower() or told.startswith("the Python")
        assert not told.endswith(".")
        assert "\n" not in told


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
def test_nothing_else_chooses_the_keychain(attack: str, tmp_path: Path) -> None:
    """Who can set variables, write keyring's configuration or install a backend of keyring gets no key by it."""
    site = Site(tmp_path / "site")
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


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """What ``keyring`` itself does with the same variable."""
    site = Site(tmp_path / "site")
    site.install("evil", {}, {"evil.py": EVIL})
    home, mark = offline(tmp_path), tmp_path / "mark"
    env = {"EVIL_MARK": str(mark), "PYTHON_KEYRING_BACKEND": "evil.K"}
    assert home.run(site.python, "-c", "import keyring; keyring.get_keyring()", env=env).returncode == 0
    assert mark.read_text() == "imported"


def test_only_the_four_classes_are_used() -> None:
    from keyring.backends import fail, null

    assert {(kind.module, kind.class_name) for kind in KINDS} == {
        ("keyring.backends.SecretService", "Keyring"),
        ("keyring.backends.kwallet", "DBusKeyring"),
        ("keyring.backends.Windows", "WinVaultKeyring"),
        ("keyring.backends.macOS", "Keyring"),
    }
    for module in (null, fail):
        other = Kind(
            name="other", title="other", platform="linux", module=module.__name__, class_name="Keyring", readers=""
        )
        with pytest.raises(ValueError, match="no keychain"):
            isolated(other)


def test_naming_the_plugin_imports_no_keyring_and_opening_it_loads_one_backend(tmp_path: Path) -> None:
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


# -- stand-ins of the other systems ------------------------------------------------------------------------------------


class WinError(Exception):
    def __init__(self, winerror: int, funcname: str) -> None:
        super().__init__(winerror, funcname)
        self.winerror = winerror
        self.funcname = funcname


class Win32:
    """As much of ``win32cred`` as ``keyring`` uses, with the limit that Windows has."""

    CRED_TYPE_GENERIC = 1
    CRED_PERSIST_ENTERPRISE = 3

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def CredRead(self, Type: int, TargetName: str) -> dict[str, Any]:  # noqa: N802, N803 - Windows calls it so
        if TargetName not in self.kept:
            raise WinError(1168, "CredRead")
        return self.kept[TargetName]

    def CredWrite(self, credential: dict[str, Any], flags: int) -> None:  # noqa: N802 - Windows calls it so
        blob = credential["CredentialBlob"].encode("utf-16-le")
        if len(blob) > 2_560:
            raise WinError(1783, "CredWrite")
        self.kept[credential["TargetName"]] = credential | {"CredentialBlob": blob}

    def CredDelete(self, Type: int, TargetName: str) -> None:  # noqa: N802, N803 - Windows calls it so
        if self.kept.pop(TargetName, None) is None:
            raise WinError(1168, "CredDelete")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Win32]:
    cred = Win32()
    error = types.ModuleType("win32ctypes.pywin32.pywintypes")
    error.error = WinError  # type: ignore[attr-defined]  # a module of our making
    api = types.ModuleType("win32ctypes.pywin32")
    api.pywintypes, api.win32cred = error, cred  # type: ignore[attr-defined]  # a module of our making
    cred.__name__ = "win32cred"  # type: ignore[attr-defined]  # keyring looks at it
    monkeypatch.setitem(sys.modules, "win32ctypes", types.ModuleType("win32ctypes"))
    monkeypatch.setitem(sys.modules, "win32ctypes.pywin32", api)
    monkeypatch.delitem(sys.modules, "keyring.backends.Windows", raising=False)
    on(monkeypatch, "win32")
    yield cred
    sys.modules.pop("keyring.backends.Windows", None)


def exercise(ctx: Context, kind: Kind) -> KeychainStore:
    """What every store does; some of it is left."""
    store = KeychainStore(ctx, kind)
    assert (store.get(KEY), list(store.keys())) == (None, [])
    names = [f"credentials/{number}-{'x' * 200}" for number in range(12)]
    for name in names:
        store.put(name, Secret(f"first of {name}"))
        store.put(name, Secret(f"second of {name}"))
    for name in names:
        item = KeychainStore(ctx, kind).get(name)
        assert item is not None
        assert item.value == Secret(f"second of {name}")
    assert sorted(store.keys()) == sorted(names)
    assert [store.delete(name) for name in (names[0], names[0])] == [True, False]
    assert sorted(store.keys()) == sorted(names[1:])
    return store


def test_windows_keeps_what_is_small_enough(windows: Win32, ctx: Context) -> None:
    store = exercise(ctx, WINCRED)
    spec = next(spec for spec in offered.vault_storage_backends() if spec.name == "wincred")
    assert spec.max_value == 1_261
    longest = Secret("x" * spec.max_value)
    store.put(KEY, longest)
    item = store.get(KEY)
    assert item is not None
    assert item.value == longest
    with pytest.raises(StorageError, match="cannot write the Windows Credential Manager: WinError"):
        store.put(KEY, Secret("x" * (spec.max_value + 1)))
    item = store.get(KEY)
    assert item is not None
    assert item.value == longest
    # 12 names of 214 bytes: the index alone is longer than an item may be.
    assert sum(1 for name in windows.kept if "index" in name) > 2


class MacError(Exception):
    pass


class MacNotFound(MacError):
    pass


class MacDenied(MacError):
    pass


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], str]]:
    """``keyring``'s class for macOS on a stand-in of its ``api`` module, which replaces by deleting first."""
    kept: dict[tuple[str, str], str] = {}
    api = types.ModuleType("keyring.backends.macOS.api")

    def find(keychain: None, service: str, name: str) -> str:
        assert keychain is None
        if (service, name) not in kept:
            raise MacNotFound
        return kept[service, name]

    def delete(keychain: None, service: str, name: str) -> None:
        find(keychain, service, name)
        del kept[service, name]

    def write(keychain: None, service: str, name: str, text: str) -> None:
        kept.pop((service, name), None)
        kept[service, name] = text

    functions = {"find_generic_password": find, "set_generic_password": write, "delete_generic_password": delete}
    errors = {"Error": MacError, "NotFound": MacNotFound, "KeychainDenied": MacDenied}
    vars(api).update(functions | errors)
    monkeypatch.setitem(sys.modules, "keyring.backends.macOS.api", api)
    monkeypatch.delitem(sys.modules, "keyring.backends.macOS", raising=False)
    monkeypatch.setenv("KEYCHAIN_PATH", "/somebody/elses.keychain")
    on(monkeypatch, "darwin")
    yield kept
    sys.modules.pop("keyring.backends.macOS", None)


def test_macos(macos: dict[tuple[str, str], str], ctx: Context) -> None:
    exercise(ctx, MACOS)
    assert {service for service, _ in macos} == {"awsv"}


def test_macos_refuses(macos: dict[tuple[str, str], str], ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_arguments: Any) -> str:
        raise MacDenied("-128, of secret value")

    monkeypatch.setattr(sys.modules["keyring.backends.macOS.api"], "find_generic_password", denied)
    with pytest.raises(StorageLocked, match="the macOS login keychain is locked, or refused us"):
        KeychainStore(ctx, MACOS).get(KEY)


# -- KWallet -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with desktop(logged_in=False) as session:
        yield session


def wallet(session: DesktopSession, tmp_path: Path, *, dialogs: bool = False) -> Keychain:
    given = FakeContext(tmp_path, options={"name": "awsv"}, environ=session.env, may_show_dialog=dialogs)
    return open_keychain(given, KWALLET, "awsv")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("off", StorageUnavailable, "KWallet is switched off"),
        ("closed", StorageLocked, "the wallet 'kdewallet' of KWallet is closed, and nobody can be asked here"),
        ("mute", StorageUnavailable, "KWallet does not answer"),
    ],
)
def test_kwallet_is_looked_at_before_keyring_waits_for_it(
    state: str,
    kind: type[Exception],
    words: str,
    session: DesktopSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus, "PATIENCE", 0.7)
    session.run_service(KWALLET_SERVICE, state, name="org.kde.kwalletd5")
    with pytest.raises(kind, match=words):
        wallet(session, tmp_path)


def test_kwallet_is_not_there(session: DesktopSession, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="no program offers KWallet"):
        wallet(session, tmp_path)


@pytest.mark.parametrize(("state", "dialogs"), [("open", False), ("closed", True)])
def test_kwallet_without_its_library(state: str, dialogs: bool, session: DesktopSession, tmp_path: Path) -> None:
    """``keyring`` talks to KWallet through dbus-python, which it does not bring along."""
    try:
        import dbus  # noqa: F401 - whether it is there
    except ImportError:
        pass
    else:
        pytest.skip("dbus-python is installed here")
    session.run_service(KWALLET_SERVICE, state, name="org.kde.kwalletd5")
    with pytest.raises(StorageUnavailable, match="KWallet needs a library") as caught:
        wallet(session, tmp_path, dialogs=dialogs).get(KEY)
    assert caught.value.hint is not None
    assert "dbus-python" in caught.value.hint
