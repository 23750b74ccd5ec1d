"""``awsv copy``: between stores, compared, resumable; a source is deleted only after the comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.overlay_env import OverlayEnv
from support.slot_plugins import PLAIN, SHELF
from support.vaults import CHEAP, KEY_ID, OTHER_ID, OTHER_SECRET, PASSPHRASE, SECRET, offline
from vault_core.api import Credentials, Secret
from vault_core.cli import copy
from vault_core.cli.app import App
from vault_core.errors import UsageError
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_core.storage.vault import CREDENTIALS, Store, Vault, decode, encode
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

NAMES = ["default", "two words", "naïve-ü", "a/b"]
KEYS = dict.fromkeys(NAMES, (KEY_ID, SECRET))
OTHER = (OTHER_ID, OTHER_SECRET)
ENV = {"AWS_VAULT_A_PASSPHRASE": PASSPHRASE, "AWS_VAULT_B_PASSPHRASE": "another one"}
COPY = ("copy", "--from", "a", "--to", "b")


class Pair:
    """A home with two stores, ``a`` and ``b``, with passphrases of their own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folders = {name: home.root / f"store-{name}" for name in "ab"}
        config = Path(home.env["XDG_CONFIG_HOME"], "awsv")
        config.mkdir(parents=True)
        tables = [f'[store.{name}]\nbackend = "file"\ndir = "{path}"\n' for name, path in self.folders.items()]
        (config / "config.toml").write_text("".join(tables))

    def backend(self, name: str) -> FileBackend:
        passphrase = ENV[f"AWS_VAULT_{name.upper()}_PASSPHRASE"]
        context = FakeContext(self.home.root, passphrases=[passphrase])
        return FileBackend(context, self.folders[name], cost=CHEAP)

    def fill(self, name: str, keys: dict[str, tuple[str, str]]) -> None:
        backend = self.backend(name)
        for profile, (key_id, secret) in keys.items():
            value = json.dumps({"access_key_id": key_id, "secret_access_key": secret})
            backend.put(CREDENTIALS + encode(profile), Secret(value))

    def read(self, name: str) -> dict[str, tuple[str, str]]:
        backend = self.backend(name)
        found = {}
        for key in list(backend.keys()):
            item = backend.get(key)
            assert item is not None
            fields = json.loads(item.value.reveal())
            found[decode(key.removeprefix(CREDENTIALS))] = fields["access_key_id"], fields["secret_access_key"]
        return found


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Keys in ``a``, another one in ``b``."""
    made = Pair(offline(tmp_path))
    made.fill("a", KEYS)
    made.fill("b", {"own": OTHER})
    return made


def test_everything_is_copied(pair: Pair) -> None:
    done = pair.home.awsv(*COPY, env=ENV)
    assert done.returncode == 0, done.stderr
    assert "each was read back and compared" in done.stderr
    assert pair.read("b") == {**KEYS, "own": OTHER}
    assert pair.read("a") == KEYS
    assert SECRET not in done.stdout + done.stderr
    again = pair.home.awsv(*COPY, "--json", env=ENV)
    assert {one["state"] for one in json.loads(again.stdout)["keys"]} == {"same"}


def test_some_are_moved(pair: Pair) -> None:
    done = pair.home.awsv(*COPY, "two words", "a/b", "--delete-source", env=ENV)
    assert done.returncode == 0, done.stderr
    assert "deleted 2 keys from" in done.stderr
    assert pair.read("b") == {"two words": KEYS["default"], "a/b": KEYS["default"], "own": OTHER}
    assert set(pair.read("a")) == {"default", "naïve-ü"}


def test_a_conflict_stays_on_both_sides(pair: Pair) -> None:
    pair.fill("b", {"default": OTHER})
    done = pair.home.awsv(*COPY, "--delete-source", env=ENV)
    assert done.returncode == 7
    assert f"'default': key {OTHER_ID} is already stored" in done.stderr
    assert pair.read("b") == {**KEYS, "default": OTHER, "own": OTHER}
    assert pair.read("a") == {"default": KEYS["default"]}
    assert pair.home.awsv(*COPY, "--overwrite", env=ENV).returncode == 0
    assert pair.read("b") == {**KEYS, "own": OTHER}


def test_a_dry_run_writes_nothing(pair: Pair) -> None:
    before = {path: path.read_bytes() for folder in pair.folders.values() for path in folder.iterdir()}
    done = pair.home.awsv(*COPY, "--delete-source", "--dry-run", "--json", env=ENV)
    assert done.returncode == 0
    assert {one["state"] for one in json.loads(done.stdout)["keys"]} == {"copied"}
    assert {path: path.read_bytes() for folder in pair.folders.values() for path in folder.iterdir()} == before


def test_a_full_disk_is_gone_on_with(pair: Pair) -> None:
    """The limit on the size of files stands for the disk."""
    many = {f"profile-{number}": (KEY_ID, SECRET) for number in range(60)}
    pair.fill("a", many)
    limit = ((pair.folders["b"] / "store.vlt").stat().st_size + 4096) // 512
    words = (*COPY, "--delete-source")
    cut = pair.home.limited(limit, *words, env=ENV)
    assert cut.returncode in (4, 7), cut.stderr
    here, there = pair.read("a"), pair.read("b")
    assert set(here) | set(there) == {*KEYS, *many, "own"}
    assert 1 < len(there) < 65
    done = pair.home.awsv(*words, env=ENV)
    assert done.returncode == 0, done.stderr
    assert (pair.read("a"), set(pair.read("b"))) == ({}, {*KEYS, *many, "own"})


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--from", "a", "--to", "a"), 2, "are the same store"),
        (("--from", "a"), 2, "missing option '--to'"),
        (("--from", "a", "--to", "nowhere"), 3, "nowhere"),
        (("--from", "a", "--to", "b", "default", "missing"), 4, "no key is stored for profile 'missing'"),
    ],
)
def test_words_that_make_no_sense(pair: Pair, words: tuple[str, ...], code: int, says: str) -> None:
    done = pair.home.awsv("copy", *words, env=ENV)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr.lower()
    assert pair.read("b") == {"own": OTHER}


def test_a_store_that_is_still_to_be_made(pair: Pair) -> None:
    """Only 'add', 'import' and 'file init' make stores: where a mistyped name leads, no key goes."""
    config, folder = Path(pair.home.env["XDG_CONFIG_HOME"], "awsv/config.toml"), pair.home.root / "store-c"
    config.write_text(config.read_text() + f'[store.c]\nbackend = "file"\ndir = "{folder}"\n')
    env = {**ENV, "AWS_VAULT_C_PASSPHRASE": PASSPHRASE}
    words = ("copy", "--from", "a", "--to", "c")
    for more in ((), ("--dry-run",), ("--delete-source",)):
        done = pair.home.awsv(*words, *more, env=env)
        assert (done.returncode, done.stdout) == (4, "")
        assert "store 'c' does not exist yet" in done.stderr
        assert "hint: awsv add PROFILE --backend c\n" in done.stderr
    assert not folder.exists()
    assert pair.read("a") == KEYS
    assert pair.home.awsv("file", "init", "--backend", "c", env=env).returncode == 0
    done = pair.home.awsv(*words, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("backend", "code"), [("shelf", 4), ("plain", 7)])
def test_a_store_of_another_kind(pair: Pair, tmp_path: Path, backend: str, code: int) -> None:
    """One that awsv seals must have been made; one that protects itself is none that awsv makes (this one loses)."""
    site = OverlayEnv(tmp_path / "site")
    source = {"shelf": SHELF, "plain": PLAIN}[backend]
    module = f"{backend}_store"
    site.install(f"vault-plugin-{backend}", {"vault.storage.v1": {backend: module}}, {f"{module}.py": source})
    env = {**ENV, "AWS_VAULT_SHELF_PASSPHRASE": PASSPHRASE}
    words = ("copy", "--from", "a", "--to", backend)
    done = pair.home.run(site.awsv, *words, env=env)
    assert done.returncode == code, done.stderr
    if backend == "plain":
        assert "the stored key differs from the key that was written" in done.stderr
        return
    assert "store 'shelf' does not exist yet" in done.stderr
    assert "hint: awsv add PROFILE --backend shelf" in done.stderr
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    made = pair.home.run(site.awsv, "add", "--backend", "shelf", "--env", "first", env={**env, **keys})
    assert made.returncode == 0, made.stderr
    done = pair.home.run(site.awsv, *words, env=env)
    assert done.returncode == 0, done.stderr


def test_an_older_store_is_not_copied_where_nobody_sees_that_it_is_older(pair: Pair) -> None:
    old = (pair.folders["a"] / "store.vlt").read_bytes()
    assert pair.home.awsv("remove", "-f", "--backend", "a", "default", env=ENV).returncode == 0
    (pair.folders["a"] / "store.vlt").write_bytes(old)
    done = pair.home.awsv(*COPY, env=ENV)
    assert (done.returncode, done.stdout) == (4, "")
    assert "no user would see this notice" in done.stderr
    assert pair.read("b") == {"own": OTHER}


def test_an_older_store_is_not_copied_at_a_terminal_without_input(pair: Pair) -> None:
    """A warning at a terminal warns only a person, and ``--no-input`` says that none is there."""
    old = (pair.folders["a"] / "store.vlt").read_bytes()
    assert pair.home.awsv("remove", "-f", "--backend", "a", "default", env=ENV).returncode == 0
    (pair.folders["a"] / "store.vlt").write_bytes(old)
    child = pair.home.spawn(*COPY, "--no-input", env=ENV)
    child.expect_exact("no user would see this notice")
    child.wait()
    child.close()
    assert child.exitstatus == 4
    assert pair.read("b") == {"own": OTHER}


def test_a_wrong_passphrase_of_either_store(pair: Pair) -> None:
    for variable in ENV:
        done = pair.home.awsv(*COPY, env={**ENV, variable: "wrong"})
        assert (done.returncode, done.stdout) == (5, "")
    assert pair.read("b") == {"own": OTHER}


def test_one_folder_by_two_names_is_one_store(pair: Pair) -> None:
    config = Path(pair.home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.write_text(config.read_text() + f'[store.c]\nbackend = "file"\ndir = "{pair.folders["a"]}"\n')
    done = pair.home.awsv("copy", "--from", "a", "--to", "c", "--delete-source", env=ENV)
    assert done.returncode == 2
    assert pair.read("a") == KEYS


def test_one_file_by_two_paths_is_one_store(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is mounted twice, or a file system that takes capital letters for small ones."""
    host = Host(Settings({**pair.home.env, **ENV}), Plugins())
    one, other = (Store.named(host, name) for name in "ab")
    assert not copy._are_one(one, other)
    monkeypatch.setattr("os.path.samefile", lambda *places: places == (one.place, other.place))
    assert copy._are_one(one, other)


def test_a_key_that_is_gone_in_both_stores_comes_back(pair: Pair) -> None:
    """A server that two addresses lead to: nothing tells that but what becomes of a key."""
    app = App(Settings({**pair.home.env, **ENV}))
    here, there = (Vault(app.host, Store.named(app.host, "a")) for _ in range(2))
    key = here.get("default")
    assert key is not None
    with pytest.raises(UsageError, match=r"are the same store: .* the key of profile 'default' was put back"):
        copy._delete(app, here, there, dict.fromkeys(("default", "two words"), key.credentials))
    assert pair.read("a") == KEYS


def test_a_key_that_changed_meanwhile_is_not_deleted(pair: Pair) -> None:
    host = Host(Settings({**pair.home.env, **ENV}), Plugins())
    vault = Vault(host, Store.named(host, "a"))
    other = Credentials(access_key_id=OTHER_ID, secret_access_key=Secret(OTHER_SECRET))
    assert not vault.delete_only("default", other)
    assert not vault.delete_only("missing", other)
    assert pair.read("a") == KEYS
    assert vault.delete_only("default", Credentials(access_key_id=KEY_ID, secret_access_key=Secret(SECRET)))
    assert set(pair.read("a")) == set(KEYS) - {"default"}


def test_an_import_goes_to_the_store_that_each_profile_names(pair: Pair) -> None:
    pair.home.configure("[profile special]\nvault_backend = b\n")
    pair.home.credentials.write_text(
        "".join(
            f"[{name}]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n" for name in ("usual", "special")
        )
    )
    done = pair.home.awsv("import", "credentials-file", "--json", env={**ENV, "AWS_VAULT_BACKEND": "a"})
    assert done.returncode == 0, done.stderr
    assert {one["profile"]: one["store"] for one in json.loads(done.stdout)["keys"]} == {"usual": "a", "special": "b"}
    assert pair.read("a") == {**KEYS, "usual": (KEY_ID, SECRET)}
    assert pair.read("b") == {"own": OTHER, "special": (KEY_ID, SECRET)}
    env = {**ENV, "AWS_VAULT_BACKEND": "a"}
    for words in (("config", "credential-process", "--all", "-y"), ("import", "--remove-plain", "-y")):
        done = pair.home.awsv(*words, env=env)
        assert done.returncode == 0, done.stderr
    assert pair.home.credentials.read_bytes() == b""
    assert pair.home.awsv("import", "undo", env=env).returncode == 0
    assert pair.home.credentials.read_text().count(SECRET) == 2
