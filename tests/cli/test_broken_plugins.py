"""A plugin that is broken, noisy, missing, ambiguous or somebody else's: it concerns only who names it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.broken_plugins import AT_IMPORT, NOISE, SAID, WHEN_USED, offer, spec
from support.home import PROGRAM, Home
from support.overlay_env import HEADER, PASSPHRASE, STORAGE, OverlayEnv, failure, install, module_of, plugin_folder
from support.vaults import KEY_ID, SECRET, UNLOCKED, ended, fill, offline
from vault_core.plugins.discovery import scan
from vault_core.plugins.install_hint import ON_BOTOCORE, OURS

CANARY = "canary-in-a-message"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    """An environment with every broken plugin at once."""
    site = OverlayEnv(tmp_path_factory.mktemp("broken") / "site")
    for name, source in AT_IMPORT.items():
        install(site, name, source)
    for name, source in WHEN_USED.items():
        install(site, name, HEADER + source + spec(name))
    site.install("vault-plugin-nowhere", {STORAGE: {"no-module": "vault_plugin_nowhere"}}, {})
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


@pytest.mark.parametrize("name", [*AT_IMPORT, "no-module"])
def test_one_that_does_not_load(name: str, broken: OverlayEnv, home: Home) -> None:
    distribution = "vault-plugin-nowhere" if name == "no-module" else f"vault-plugin-{name}"
    stderr = failure(home.run(broken.awsv, "list", "--unlock", env={"AWS_VAULT_BACKEND": name}), 3, distribution)
    assert "1.0" in stderr  # of which version


@pytest.mark.parametrize("name", WHEN_USED)
def test_one_that_fails_when_it_is_used(name: str, broken: OverlayEnv, home: Home) -> None:
    words = ["list", "--unlock"] if name.startswith("keys") else ["exec", "-n", "-j", "work"]
    for debug in ([], ["--debug"]):
        done = home.run(broken.awsv, *debug, "--backend", name, *words)
        assert CANARY not in done.stderr  # what a vendor's exception says may be a secret
        raises = name.endswith(("raises", "exits"))
        code = 1 if raises else 3
        if not debug:
            failure(done, code, f"vault-plugin-{name}")
        else:
            assert (done.returncode, done.stdout) == (code, "")
            assert f"{module_of(name)}.py" in done.stderr or not raises


@pytest.mark.parametrize("says", ["locate=leave", "principal=leave", "locate=lambda _: 7", "principal=lambda _: 1 / 0"])
def test_one_that_cannot_say_where_it_is(says: str, tmp_path: Path, home: Home) -> None:
    """Not even by ending the process: the caller would think that their command had run."""
    site = OverlayEnv(tmp_path / "site")
    source = "def open_(ctx): raise AssertionError\ndef leave(ctx): sys.exit(0)\n"
    install(site, "odd", HEADER + source + spec("odd", more=says))
    failure(home.run(site.awsv, "--backend", "odd", "exec", "work", "--", "/bin/true"), 125, "vault-plugin-odd")


def test_one_whose_option_breaks(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    source = "def open_(ctx): raise AssertionError\n"
    more = "options=(Option(name='size', help='a size', parse=lambda text: {}[text]),)"
    install(site, "odd", HEADER + source + spec("odd", more=more))
    done = home.run(site.awsv, "--backend", "odd", "list", "--unlock", env={"AWS_VAULT_ODD_SIZE": CANARY})
    assert CANARY not in failure(done, 1, "storage backend 'odd' failed with KeyError", "vault-plugin-odd")


def test_one_that_ends_the_process_when_it_is_closed(tmp_path: Path, home: Home) -> None:
    """Neither is a failure a success then, nor does the program not run that was to run."""
    site = OverlayEnv(tmp_path / "site")
    key = json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET})
    source = f"""{HEADER}
class B(StorageBackend):
    def get(self, key):
        return Item(value=Secret({key!r}), version="1") if "work" in key else None
    put = delete = get
    def keys(self):
        return iter(())
    def close(self):
        sys.exit(0)
def open_(ctx):
    return B()
"""
    install(site, "quits", source + spec("quits"))
    done = home.run(site.awsv, "--backend", "quits", "exec", "-n", "work", "--", "/bin/sh", "-c", "exit 7")
    assert (done.returncode, done.stderr) == (7, "")
    done = home.run(site.awsv, "--backend", "quits", "exec", "-n", "-j", "other")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr


def test_one_whose_options_are_none(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    install(site, "odd", HEADER + "def open_(ctx): raise AssertionError\n" + spec("odd", more="options=(7,)"))
    failure(home.run(site.awsv, "--backend", "odd", "list", "--unlock"), 3, "vault-plugin-odd")
    # Nobody knows which of its variables are secret, so all are.
    env = {**UNLOCKED, "AWS_VAULT_ODD_SIZE": CANARY}
    done = home.run(site.awsv, "exec", "-n", "work", "--", "/usr/bin/env", env=env)
    assert (done.returncode, CANARY in done.stdout) == (0, False), done.stderr


def test_with_a_child_the_failure_is_ours(broken: OverlayEnv, home: Home) -> None:
    failure(home.run(broken.awsv, "--backend", "raises", "exec", "work", "--", "/bin/true"), 125, "vault-plugin-raises")


def test_nobody_else_is_disturbed(broken: OverlayEnv, home: Home) -> None:
    for words in (["--version"], ["list"], ["exec", "-n", "-j", "work"], ["--help"]):
        here, there = (home.run(program, *words, env=UNLOCKED) for program in (broken.awsv, PROGRAM))
        assert (here.returncode, here.stderr) == (0, ""), words
        assert here.stdout == there.stdout


def test_they_are_listed_without_being_loaded(broken: OverlayEnv, home: Home) -> None:
    done = home.run(broken.awsv, "plugins", "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert set(found) >= {*AT_IMPORT, *WHEN_USED, "no-module", "file", "env", "prompt", "sts", "terminal"}
    assert found["raises"] == {
        "kind": "storage",
        "name": "raises",
        "distribution": "vault-plugin-raises",
        "version": "1.0",
        "state": "installed",
        "reason": None,
    }


def test_a_noisy_one_keeps_out_of_standard_output(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    indented = NOISE.replace("\n", "\n    ").rstrip()
    key = json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET})
    source = f"""{HEADER}{NOISE}
def noise():{indented}
class B(StorageBackend):
    def get(self, key):
        noise()
        return Item(value=Secret({key!r}), version="1")
    put = delete = keys = get
def open_(ctx):
    noise()
    return B()
"""
    install(site, "noisy", source + spec("noisy"))
    done = home.run(site.awsv, "--backend", "noisy", "exec", "-n", "-j", "work")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["AccessKeyId"] == KEY_ID
    assert done.stderr.count("noise: child") == 3
    child = home.run(
        site.awsv, "--backend", "noisy", "exec", "-n", "work", "--", "/bin/sh", "-c", "echo mine; echo its >&2"
    )
    assert child.stdout == "mine\n"
    assert child.stderr.count("noise: print") == 3
    assert child.stderr.endswith("its\n")


def test_one_that_hangs_can_be_interrupted(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    install(site, "hangs", offer("hangs", before='import time\nos.write(2, b"on it")\ntime.sleep(600)'))
    child = home.spawn("--backend", "hangs", "list", "--unlock", program=site.awsv)
    child.expect("on it")
    child.sendintr()
    child.expect("awsv: interrupted")
    assert ended(child) == 130
    assert home.run(site.awsv, "exec", "-n", "-j", "work", env=UNLOCKED).returncode == 0


def test_our_own_settings_name_no_plugin(tmp_path: Path, home: Home) -> None:
    """``AWS_VAULT_SESSION_CACHE`` is no option of a plugin ``session``: it is not loaded, and the child keeps it."""
    site = OverlayEnv(tmp_path / "site")
    for name in ("session", "passphrase", "load", "disable"):
        install(site, name, f"raise SystemExit(open({str(tmp_path / 'imported')!r}, 'w'))")
    ours = {
        "AWS_VAULT_SESSION_CACHE": "off",
        "AWS_VAULT_PASSPHRASE_SOURCE": "env",
        "AWS_VAULT_LOAD_PLUGINS": "file,env,sts,session,passphrase,load,disable",
        "AWS_VAULT_DISABLE_HELP_MESSAGE": "1",
    }
    done = home.run(site.awsv, "exec", "-n", "work", "--", "/usr/bin/env", env=UNLOCKED | ours)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "imported").exists()
    assert set(done.stdout.splitlines()) >= {f"{name}={text}" for name, text in ours.items()}


def test_completing_the_name_of_a_command_loads_none(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    install(site, "stranger", f"raise SystemExit(open({str(tmp_path / 'imported')!r}, 'w'))", group="vault.command.v1")
    for word, names in (("", {"add", "exec", "stranger"}), ("st", {"stranger"}), ("ex", {"exec", "explain", "export"})):
        completing = {"_AWSV_COMPLETE": "bash_complete", "COMP_WORDS": f"awsv {word}", "COMP_CWORD": "1"}
        done = home.run(site.awsv, env=completing)
        assert (done.returncode, done.stderr) == (0, "")
        found = {line.partition(",")[2] for line in done.stdout.splitlines()}
        assert found == names if word else found > names
    assert not (tmp_path / "imported").exists()


def test_two_that_offer_one_name(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    mark = tmp_path / "imported"
    for distribution in ("Vault.Plugin_One", "vault-plugin-two"):
        module = distribution.lower().replace(".", "_").replace("-", "_")
        site.install(distribution, {STORAGE: {"twin": module}}, {f"{module}.py": f"open({str(mark)!r}, 'w')"})
    stderr = failure(home.run(site.awsv, "--backend", "twin", "list", "--unlock"), 3, "'twin'")
    assert "vault-plugin-one and vault-plugin-two" in stderr
    assert not mark.exists()
    listed = json.loads(home.run(site.awsv, "plugins", "list", "--json").stdout)
    assert [entry["state"] for entry in listed if entry["name"] == "twin"] == ["conflict", "conflict"]
    assert home.run(site.awsv, "exec", "-n", "-j", "work", env=UNLOCKED).returncode == 0
    site.uninstall("vault-plugin-two")
    failure(home.run(site.awsv, "--backend", "twin", "list", "--unlock"), 3, "vault-plugin-one")
    assert mark.exists()


def test_two_that_offer_the_default(tmp_path: Path, home: Home) -> None:
    """Nobody takes over ``file`` by being installed: then it works for nobody, and both are named."""
    site = OverlayEnv(tmp_path / "site")
    site.install("evil-file", {STORAGE: {"file": "evil_file"}}, {"evil_file.py": "raise SystemExit('imported')"})
    failure(home.run(site.awsv, "list", env=UNLOCKED), 3, "evil-file and vault-plugin-file")


USES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "storage": (("list", "--unlock"), "AWS_VAULT_BACKEND"),
    "passphrase": (("list", "--unlock"), "AWS_VAULT_PASSPHRASE_SOURCE"),
    "session": (("exec", "-j", "work"), "AWS_VAULT_SESSION_PROVIDER"),
    "mfa": (("exec", "-j", "work"), "AWS_VAULT_PROMPT"),
    "command": ((), ""),
}
"""Kind to the words that use a plugin of it, and to the variable that names it."""


@pytest.mark.parametrize(("kind", "name"), OURS, ids=lambda text: text)
def test_one_of_ours_that_is_missing(kind: str, name: str, tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site", without=[OURS[kind, name]])
    words, variable = USES[kind]
    if kind == "mfa":
        home.configure("[profile work]\nregion = eu-west-1\nmfa_serial = arn:aws:iam::123456789012:mfa/ana\n")
    env = UNLOCKED if kind in ("session", "mfa") else {}
    stderr = failure(home.run(site.awsv, *words or [name, "--help"], env={**env, variable or "X": name}), 3, repr(name))
    folder = plugin_folder(OURS[kind, name])
    library = f"{folder.parents[1] / 'vault-botocore'} " if OURS[kind, name] in ON_BOTOCORE else ""
    assert stderr.splitlines()[-1] == f"hint: {site.python} -m pip install {library}{folder}"
    listed = json.loads(home.run(site.awsv, "plugins", "list", "--json", env={variable or "X": name}).stdout)
    assert [row["state"] for row in listed if (row["kind"], row["name"]) == (kind, name)] == ["missing"] * bool(words)


def test_a_missing_source_is_no_matter_while_another_has_the_passphrase(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site", without=["vault-plugin-prompt"])
    done = home.run(site.awsv, "exec", "-n", "-j", "work", env=UNLOCKED)
    assert (done.returncode, done.stderr) == (0, "")
    # Nor is it while a wrong one is refused: nobody can be asked here.
    wrong = home.run(site.awsv, "list", env={"AWS_VAULT_FILE_PASSPHRASE": "wrong"})
    assert wrong.returncode in (0, 5), wrong.stderr


def names_of(kind: str) -> list[str]:
    return [offer.name for offer in scan() if offer.kind == kind]


@pytest.mark.parametrize(
    ("kind", "flag", "name", "hint"),
    [
        ("storage backend", "--backend", "fiel", "did you mean 'file'?"),
        ("storage backend", "--backend", "vault-plugin-secrets", "available: {storage}"),
        ("storage backend", "--backend", "../file", "did you mean 'file'?"),
        ("storage backend", "--backend", "FILE", "available: {storage}"),
        ("storage backend", "--backend", "x", "available: {storage}"),
        ("passphrase source", "--passphrase-source", "promt", "did you mean 'prompt'?"),
        ("passphrase source", "--passphrase-source", "nobody-knows", "available: {passphrase}"),
    ],
)
def test_a_name_that_nobody_offers(kind: str, flag: str, name: str, hint: str, home: Home) -> None:
    stderr = failure(home.awsv(flag, name, "list", "--unlock"), 3, f"no {kind} named {name!r} is installed")
    known = {kind: sorted({*names_of(kind), *(ours for of, ours in OURS if of == kind)}) for kind, _ in OURS}
    hint = hint.format_map({kind: ", ".join(names) for kind, names in known.items()})
    assert stderr.splitlines()[-1] == f"hint: {hint}"
    assert "pip install" not in stderr  # anybody may register any name


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("list", "--unlock", "--backend", "offcie"), "did you mean 'office'?"),
        (("copy", "--from", "offcie", "--to", "file"), "did you mean 'office'?"),
        (("list", "--unlock", "--backend", "zzzz"), "available: {known}"),
        (("list", "--unlock", "--backend", "broken"), "did you mean 'file'?"),  # its backend is no store
    ],
)
def test_a_store_that_nobody_set_up(words: Sequence[str], hint: str, home: Home) -> None:
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir()
    config.write_text('[store.office]\nbackend = "file"\n[store.broken]\nbackend = "fil"\n')
    known = {*names_of("storage"), *(ours for kind, ours in OURS if kind == "storage"), "office", "broken"}
    stderr = failure(home.awsv(*words), 3, "no storage backend named")
    assert stderr.splitlines()[-1] == f"hint: {hint.format(known=', '.join(sorted(known)))}"


def test_names_from_metadata_cannot_drive_the_terminal(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    odd = dict.fromkeys(("\x1b[2J", "UPPER", "no", "a" * 40, "mfa", "..", "-x", "ünï"), "m")
    site.install("odd-names", {STORAGE: odd}, {"m.py": "raise SystemExit('imported')"}, version="1\x1b[31m")
    done = home.run(site.awsv, "plugins", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout
    # They take no flag of ours away, and those that cannot be typed cannot be loaded.
    assert home.run(site.awsv, "exec", "--no-session", "--mfa-token", "1", "-j", "work", env=UNLOCKED).returncode == 0
    failure(home.run(site.awsv, "--backend", "UPPER", "list", "--unlock"), 3, "'UPPER'")


SOURCES = {
    "source-raises": f"def get(self, request): raise ValueError({SAID})",
    "source-returns-text": f"def get(self, request): return {SAID}",
    "source-exits": "def get(self, request): sys.exit(3)",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_broken_source_is_blamed_and_not_the_store(name: str, tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    source = f"""{HEADER}
class S(PassphraseSource):
    {SOURCES[name]}
@hookimpl
def vault_passphrase_sources():
    return (PassphraseSourceSpec(name={name!r}, summary="s", open=lambda ctx: S()),)
"""
    install(site, name, source, group=PASSPHRASE)
    code = 3 if "returns" in name else 1
    stderr = failure(home.run(site.awsv, "--passphrase-source", name, "exec", "-n", "-j", "work"), code, name)
    assert f"a bug of vault-plugin-{name}" in stderr
    assert CANARY not in stderr
    both = home.run(site.awsv, "--passphrase-source", f"env,{name}", "exec", "-n", "-j", "work", env=UNLOCKED)
    assert (both.returncode, both.stderr) == (0, "")


LOOSE = """
class Loose(StorageBackend):
    def __init__(self, ctx):
        os.umask(0)
        self.ctx, self.items = ctx, {}
    def get(self, key):
        return self.items.get(key)
    def put(self, key, value, *, expect=ANY):
        self.ctx.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.items[key] = Item(value=value, version="1")
        return "1"
    def delete(self, key, *, expect=ANY):
        return self.items.pop(key, None) is not None
    def keys(self):
        return list(self.items)
def open_(ctx): return Loose(ctx)
"""


def test_one_that_lets_everybody_write_what_is_made_harms_nobody_else(tmp_path: Path) -> None:
    """Neither awsv's folders and files nor the folder that it gave the plugin are as the umask says."""
    site, home = OverlayEnv(tmp_path / "site"), offline(tmp_path)
    install(site, "loose", HEADER + LOOSE + spec("loose"))
    document = json.dumps({"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET})
    state = Path(home.env["XDG_STATE_HOME"], "deep")
    home.env["XDG_STATE_HOME"] = str(state)
    done = home.run(site.awsv, "--backend", "loose", "add", "work", input=document)
    assert done.returncode == 0, done.stderr
    made = [state, *state.rglob("*")]
    assert len(made) > 3
    assert [path for path in made if path.stat().st_mode & 0o077] == []
    assert home.awsv("list").returncode == 0
