"""Which plugin answers is what the user names, in a flag, a profile, the environment or ``config.toml``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.dict_plugin import DRAWER, NEW, THIRD_PARTY
from support.home import Home
from support.overlay_env import HEADER, PASSPHRASE, OverlayEnv, failure, install
from support.vaults import KEY_ID, OTHER_ID, SECRET, UNLOCKED, fill, offline
from support.vaults import PASSPHRASE as WORDS

PLACES = ("flag", "profile", "environment", "config")
"""From the strongest."""

WORD = """
class Word(PassphraseSource):
    def __init__(self, ctx):
        self.ctx = ctx
    def get(self, request):
        self.ctx.notify(f"word was asked for {request.store}")
        said = self.ctx.options["said"]
        return Secret(said) if said else None
@hookimpl
def vault_passphrase_sources():
    return (PassphraseSourceSpec(
        name="word", summary="s", open=Word, options=(Option(name="said", help="the word", secret=True),)
    ),)
"""
SAID = {"AWS_VAULT_WORD_SAID": WORDS}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    """Two plugins of strangers."""
    site = OverlayEnv(tmp_path_factory.mktemp("selection") / "site")
    install(site, "drawer", THIRD_PARTY)
    install(site, "word", HEADER + WORD, group=PASSPHRASE)
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def say(home: Home, setting: str, place: str, value: str, more: str = "") -> tuple[Sequence[str], dict[str, str]]:
    """Have a setting say something: the flags and the variables for it; files are written."""
    name = setting.replace("_", "-")
    if place == "flag":
        return (f"--{name}", value), {}
    if place == "environment":
        return (), {f"AWS_VAULT_{setting.upper()}": value}
    if place == "profile":
        home.configure(f"{home.config.read_text()}vault_{setting} = {value}\n")
        return (), {}
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir(exist_ok=True)
    text = config.read_text() if config.exists() else ""
    config.write_text(f'{setting} = "{value}"\n{text}')
    return (), {}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("store", ["drawer", "office"])
def test_the_backend(place: str, store: str, site: OverlayEnv, home: Home, tmp_path: Path) -> None:
    """A plugin's name or a named store; and what is weaker does not count."""
    home.configure("[profile new]\nregion = eu-west-1\n")
    kept = tmp_path / "office.json" if store == "office" else Path(home.env["XDG_DATA_HOME"], "awsv/drawer.json")
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir(exist_ok=True)
    config.write_text(f'[store.office]\nbackend = "drawer"\nplace = "{kept}"\n')
    words, env = say(home, "backend", place, store)
    for weaker in PLACES[PLACES.index(place) + 1 :]:
        env |= say(home, "backend", weaker, "nowhere")[1]
    env |= {"AWS_VAULT_PASSPHRASE": DRAWER["AWS_VAULT_DRAWER_PASSPHRASE"]}
    added = home.run(site.awsv, *words, "add", "--env", "new", env={**env, **NEW})
    assert added.returncode == 0, added.stderr
    assert kept.exists()
    done = home.run(site.awsv, "exec", "-n", "-j", *words, "new", env=env)
    assert json.loads(done.stdout)["AccessKeyId"] == OTHER_ID, done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_the_passphrase_sources(place: str, site: OverlayEnv, home: Home) -> None:
    home.configure("[profile work]\nregion = eu-west-1\n")
    words, env = say(home, "passphrase_source", place, "env, word,prompt")
    for weaker in PLACES[PLACES.index(place) + 1 :]:
        env |= say(home, "passphrase_source", weaker, "nowhere")[1]
    done = home.run(site.awsv, *words, "exec", "-n", "-j", "work", env={**env, **SAID})
    assert json.loads(done.stdout)["AccessKeyId"] == KEY_ID, done.stderr
    assert done.stderr == "awsv: word was asked for file\n"
    # The first that has an answer answers, and the next one is asked if it has none.
    first = home.run(site.awsv, *words, "exec", "-n", "-j", "work", env={**env, **SAID, **UNLOCKED})
    assert (first.returncode, first.stderr) == (0, "")
    failure(home.run(site.awsv, *words, "exec", "-n", "-j", "work", env=env), 5, "env (not set), word", "prompt")


def test_the_order_is_the_users(site: OverlayEnv, home: Home) -> None:
    env = {"AWS_VAULT_PASSPHRASE_SOURCE": "word,env,word", **SAID, **UNLOCKED}
    done = home.run(site.awsv, "exec", "-n", "-j", "work", env=env)
    assert (done.returncode, done.stderr) == (0, "awsv: word was asked for file\n")


def test_a_list_may_be_one_in_config(site: OverlayEnv, home: Home) -> None:
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir()
    config.write_text(f'passphrase_source = ["word", "prompt"]\n[plugin.word]\nsaid = "{WORDS}"\n')
    done = home.run(site.awsv, "exec", "-n", "-j", "work")
    assert json.loads(done.stdout)["AccessKeyId"] == KEY_ID, done.stderr


def test_each_profile_may_have_its_own(site: OverlayEnv, home: Home) -> None:
    """Two profiles of one config file, in two stores, by two sources."""
    home.configure(
        "[profile work]\nvault_passphrase_source = word\n"
        "[profile new]\nvault_backend = drawer\nvault_passphrase_source = env\n"
    )
    env = {**DRAWER, **SAID}
    added = home.run(site.awsv, "add", "--env", "new", env={**env, **NEW})
    assert added.returncode == 0, added.stderr
    for name, key in (("work", KEY_ID), ("new", OTHER_ID)):
        done = home.run(site.awsv, "exec", "-n", "-j", name, env=env)
        assert json.loads(done.stdout)["AccessKeyId"] == key, done.stderr
    assert home.run(site.awsv, "list", "--credentials", env=env).returncode == 5  # the settings' own store


@pytest.mark.parametrize(("section", "option"), [("file", "dri"), ("word", "sayd")], ids=["storage", "passphrase"])
def test_a_misspelt_option_in_config(section: str, option: str, site: OverlayEnv, home: Home) -> None:
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir()
    config.write_text(
        f'passphrase_source = "word"\n[plugin.{section}]\n{option} = "x"\n[plugin.prompt]\n{option} = "x"\n'
    )
    stderr = failure(home.run(site.awsv, "exec", "-n", "-j", "work", env=SAID), 2, f"{config}: [plugin.{section}] sets")
    assert stderr.splitlines()[-1] == f"hint: did you mean {'dir' if section == 'file' else 'said'!r}?"


@pytest.mark.parametrize("place", PLACES)
def test_what_is_named_and_not_installed(place: str, site: OverlayEnv, home: Home) -> None:
    home.configure("[profile work]\nregion = eu-west-1\n")
    for setting, wrong, near in (("backend", "drawr", "drawer"), ("passphrase_source", "wrod", "word")):
        Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml").unlink(missing_ok=True)
        home.configure("[profile work]\nregion = eu-west-1\n")
        words, env = say(home, setting, place, wrong)
        stderr = failure(home.run(site.awsv, *words, "exec", "-n", "-j", "work", env=env), 3, repr(wrong))
        assert stderr.splitlines()[-1] == f"hint: did you mean {near!r}?"
        assert "vault-plugin" not in stderr


DIALOG = f"""{HEADER}
class B(StorageBackend):
    def get(self, key): return None
    put = delete = get
    def keys(self): return iter(())
def open_(ctx):
    open(ctx.environ["MARK"], "a").write(f"{{ctx.can_show_dialog}} ")
    if not ctx.can_show_dialog:
        raise StorageLocked("the collection is locked", hint="unlock it")
    return B()
@hookimpl
def vault_storage_backends():
    return (StorageSpec(
        name="desktop", summary="s", open=open_, at_rest=AtRest.SERVICE
    ),)
"""


def test_an_interactive_store_shows_no_dialog_to_a_list(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    install(site, "desktop", DIALOG)
    mark = tmp_path / "mark"
    env = {"AWS_VAULT_BACKEND": "desktop", "MARK": str(mark)}
    home.configure("[profile work]\nregion = eu-west-1\n")
    listed = home.run(site.awsv, "list", "--json", env=env)
    assert [entry["stored"] for entry in json.loads(listed.stdout)] == [None]
    assert "locked" in home.run(site.awsv, "list", env=env).stdout
    assert mark.read_text() == "False False "
    unlocked = home.run(site.awsv, "list", "--unlock", "--json", env=env)
    assert [entry["stored"] for entry in json.loads(unlocked.stdout)] == [False]
    assert mark.read_text() == "False False True "
    failure(home.run(site.awsv, "--no-input", "list", "--unlock", env=env), 4, "locked")
