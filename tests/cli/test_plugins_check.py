"""``awsv plugins check``: each plugin in a process of its own; what it offers, or why it does not work."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from support.broken_plugins import AT_IMPORT, EXAMINED, NOISE, SAID, WHEN_USED, offer, spec
from support.busy import seconds
from support.dict_plugin import THIRD_PARTY
from support.home import Home
from support.overlay_env import HEADER, STORAGE, OverlayEnv, failure, install
from support.stored import until
from support.vaults import KEY_ID, SECRET, UNLOCKED, ended, fill, offline

CANARY = "canary-in-a-message"
SOUND = ("file", "env", "prompt", "terminal", "sts")
AWAY = f"unavailable=lambda ctx: 'there is no ' + {SAID}"
ODD_NAMES = ("\x1b[2J", "UPPER", "a" * 40, "../x", "-x")


def fill_gallery(site: OverlayEnv) -> None:
    """Everything that a distribution can do wrong, at once."""
    for name, source in AT_IMPORT.items():
        install(site, name, source)
    for name, source in WHEN_USED.items():
        install(site, name, HEADER + source + spec(name))
    for name, (source, _) in EXAMINED.items():
        install(site, name, source)
    install(site, "noisy", offer("noisy", before=NOISE))
    install(site, "away", offer("away", AWAY))
    install(site, "future", "raise SystemExit('imported')", group="vault.storage.v2")
    install(site, "spell", "raise SystemExit('imported')", group="vault.command.v1")
    for distribution in ("vault-plugin-one", "vault-plugin-two"):
        site.install(distribution, {STORAGE: {"twin": "twin"}}, {})
    site.install("vault-plugin-half", {STORAGE: {"half": "half", "half-b": "half"}}, {"half.py": offer("half")})
    site.install("vault-plugin-list", {"vault.command.v1": {"list": "m"}}, {})
    site.install("odd-names", {STORAGE: dict.fromkeys(ODD_NAMES, "m")}, {"m.py": "raise SystemExit('imported')"})


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    """All of them in one environment, where pip installed them."""
    folder = tmp_path_factory.mktemp("gallery")
    site = OverlayEnv(folder / "site")
    with site.by_pip(folder / "wheels"):
        fill_gallery(site)
    return site


@pytest.fixture
def drawer(tmp_path: Path) -> OverlayEnv:
    site = OverlayEnv(tmp_path / "site")
    install(site, "drawer", THIRD_PARTY)
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def checked(site: OverlayEnv, home: Home, *words: str, code: int = 0, **env: str) -> list[dict[str, Any]]:
    done = home.run(site.awsv, "plugins", "check", "--json", *words, env=env)
    assert done.returncode == code, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_the_whole_gallery(gallery: OverlayEnv, home: Home) -> None:
    began = time.monotonic()
    done = home.run(gallery.awsv, "plugins", "check", "--json")
    assert time.monotonic() - began < seconds(60)  # those that hang do so side by side
    assert done.returncode == 7, done.stderr
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name for name, row in found.items() if row["state"] == "ok"} >= {*SOUND, *WHEN_USED, "noisy"}
    for name in AT_IMPORT:
        row = found[name]
        assert (row["state"], row["distribution"]) == ("broken", f"vault-plugin-{name}"), row
        assert f"vault-plugin-{name} 1.0" in row["reason"]
    for name, (_, reason) in EXAMINED.items():
        assert found[name]["state"] == "broken", found[name]
        assert reason in found[name]["reason"]
    for name, state in {"twin": "conflict", "future": "other API version", "list": "reserved"}.items():
        assert found[name]["state"] == state
    assert {found[name]["state"] for name in ODD_NAMES} == {"unusable name"}
    assert found["noisy"]["said"] == "noise: write"
    assert {row["said"] for name, row in found.items() if name in SOUND} == {None}
    assert CANARY not in done.stderr
    assert "\x1b" not in done.stdout + home.run(gallery.awsv, "plugins", "check", "twin").stderr
    works = sum(row["state"] in ("ok", "unavailable") for row in found.values())
    assert works > len(SOUND)
    assert "plugins work; " in done.stderr


@pytest.mark.slow
def test_nobody_in_the_gallery_disturbs_who_does_not_name_them(gallery: OverlayEnv, home: Home, tmp_path: Path) -> None:
    bare = OverlayEnv(tmp_path / "bare")
    for words in (["--version"], ["list"], ["exec", "-n", "-j", "work"], ["export", "-n", "work"]):
        here, there = (home.run(site.awsv, *words, env=UNLOCKED) for site in (gallery, bare))
        assert (here.returncode, here.stdout, here.stderr) == (0, there.stdout, ""), words
    for words in (["plugins", "list"], ["plugins", "list", "--json"], ["--help"]):
        done = home.run(gallery.awsv, *words)
        assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.parametrize("name", [*AT_IMPORT, *(name for name in EXAMINED if not name.startswith("hangs"))])
def test_one_that_is_named_and_broken(name: str, gallery: OverlayEnv, home: Home) -> None:
    flag = ["--json"] if name < "i" else []
    stderr = failure(home.run(gallery.awsv, "plugins", "check", *flag, name), 3, f"vault-plugin-{name} 1.0")
    assert CANARY not in stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("twin", "another distribution offers this name, too"),
        ("future", "vault.storage.v2"),
        ("list", "a command of awsv's own"),
        ("UPPER", "a name has 2 to 32"),
        ("spell", "SystemExit"),
        ("nobody", "hint: 'awsv plugins list' shows them"),
        ("promt", "hint: did you mean 'prompt'?"),
        ("vault-plugin-nobody", "no plugin named 'vault-plugin-nobody'"),
    ],
)
def test_one_that_cannot_even_be_tried(name: str, reason: str, gallery: OverlayEnv, home: Home) -> None:
    failure(home.run(gallery.awsv, "plugins", "check", name), 3, reason)


def test_a_name_of_two_kinds_and_a_distribution(gallery: OverlayEnv, home: Home) -> None:
    assert {row["kind"] for row in checked(gallery, home, "file")} == {"command", "storage"}
    prompt = checked(gallery, home, "Vault_Plugin.Prompt")
    assert {(row["kind"], row["name"]) for row in prompt} == {("passphrase", "prompt"), ("mfa", "terminal")}
    half = checked(gallery, home, "vault-plugin-half", code=7)
    assert {row["name"]: row["state"] for row in half} == {"half": "ok", "half-b": "broken"}


def test_what_it_offers(drawer: OverlayEnv, home: Home) -> None:
    env = {"AWS_VAULT_DRAWER_PIN": "314159"}
    (row,) = checked(drawer, home, "drawer", **env)  # type: ignore[arg-type]  # a variable, not the code
    assert row == {
        "kind": "storage",
        "name": "drawer",
        "distribution": "vault-plugin-drawer",
        "version": "1.0",
        "state": "ok",
        "reason": None,
        "hint": None,
        "said": None,
        "summary": "a drawer",
        "capabilities": [],
        "at_rest": "core",
        "max_value": None,
        "locate": f"{home.env['XDG_DATA_HOME']}/awsv/drawer.json",
        "readers": None,
        "options": [
            {
                "name": "place",
                "flag": "-o drawer.place=VALUE",
                "variable": "AWS_VAULT_DRAWER_PLACE",
                "default": None,
                "secret": False,
                "help": "a file",
            },
            {
                "name": "pin",
                "flag": None,
                "variable": "AWS_VAULT_DRAWER_PIN",
                "default": None,
                "secret": True,
                "help": "digits",
            },
        ],
    }
    sheet = home.run(drawer.awsv, "plugins", "check", "drawer", env=env).stdout
    assert sheet.startswith("storage backend 'drawer' from vault-plugin-drawer 1.0: ok\n")
    for words in ("encrypted by:    awsv", "/awsv/drawer.json\n", "-o drawer.place=VALUE, AWS_VAULT_DRAWER_PLACE\n"):
        assert words in sheet
    assert "drawer.pin" not in sheet
    assert "314159" not in sheet
    assert not Path(home.env["XDG_DATA_HOME"], "awsv/drawer.json").exists()  # nothing was opened


def test_what_the_other_kinds_offer(gallery: OverlayEnv, home: Home) -> None:
    found = {(row["kind"], row["name"]): row for row in checked(gallery, home, "vault-plugin-prompt")}
    assert found["passphrase", "prompt"]["capabilities"] == ["interactive"]
    assert found["mfa", "terminal"]["capabilities"] == ["interactive"]
    assert checked(gallery, home, "sts")[0]["capabilities"] == ["source-required"]
    (command,) = (row for row in checked(gallery, home, "file") if row["kind"] == "command")
    assert (command["capabilities"], command["options"], "at_rest" in command) == ([], [], False)


def test_no_secret_for_who_is_only_looked_at(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    mark = tmp_path / "environ"
    install(site, "nosy", offer("nosy", before=f"open({str(mark)!r}, 'w').write(repr(dict(os.environ)))"))
    env = {
        **UNLOCKED,
        "AWS_VAULT_PASSPHRASE_FD": "7",
        "AWS_VAULT_NOSY_PLACE": "shown",
        **dict.fromkeys(("VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_PAT"), CANARY),
        **dict.fromkeys(("AWS_VAULT_HASHICORP_PASSWORD", "AWS_VAULT_HASHICORP_SECRET_ID", "AWS_VAULT_X_TOKEN"), CANARY),
    }
    assert home.run(site.awsv, "plugins", "check", "nosy", env=env).returncode == 0
    seen = mark.read_text()
    assert "shown" in seen
    assert "PASSPHRASE" not in seen
    assert CANARY not in seen


def test_where_the_selected_store_is(drawer: OverlayEnv, home: Home, tmp_path: Path) -> None:
    config = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    config.parent.mkdir()
    config.write_text(f'[store.office]\nbackend = "drawer"\nplace = "{tmp_path}/office"\n')
    place = f"{tmp_path}/place"
    assert checked(drawer, home, "drawer", AWS_VAULT_BACKEND="office")[0]["locate"] == f"{tmp_path}/office"
    assert checked(drawer, home, "drawer", AWS_VAULT_DRAWER_PLACE=place)[0]["locate"] == place
    assert checked(drawer, home, "drawer", "-o", f"drawer.place={place}")[0]["locate"] == place
    (row,) = checked(drawer, home, "drawer", AWS_VAULT_DRAWER_PIN=CANARY)
    assert row["state"] == "unavailable"  # the plugin is sound; what is set is not
    assert "AWS_VAULT_DRAWER_PIN" in row["reason"]
    assert CANARY not in json.dumps(row)


def test_one_that_cannot_run_here_says_why(gallery: OverlayEnv, home: Home) -> None:
    (row,) = checked(gallery, home, "away")
    assert (row["state"], row["reason"]) == ("unavailable", f"there is no {CANARY}")
    shown = home.run(gallery.awsv, "plugins", "check", "away")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f": unavailable: there is no {CANARY}\n" in shown.stdout


def test_a_noisy_one_is_contained(gallery: OverlayEnv, home: Home) -> None:
    (row,) = checked(gallery, home, "noisy")
    assert (row["state"], row["said"]) == ("ok", "noise: write")
    done = home.run(gallery.awsv, "plugins", "check", "noisy")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("noise") == 1


FLOOD = """
import threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print("x" * 1_000_000, flush=True)
child = subprocess.Popen(["/bin/sleep", "600"])
open(os.environ["MARK_FILE"], "w").write(f"{os.getpid()} {child.pid}")
"""


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie that nobody waited for has, too)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return not Path("/proc/self").exists() or not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("hangs", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_nothing_of_it_is_left_behind(hangs: bool, tmp_path: Path, home: Home) -> None:
    """Neither what it started, nor itself; and what it leaves running does not keep us waiting."""
    site = OverlayEnv(tmp_path / "site")
    install(site, "flood", offer("flood", before=FLOOD + ("time.sleep(600)" if hangs else "")))
    mark = tmp_path / "pids"
    began = time.monotonic()
    done = home.run(site.awsv, "plugins", "check", "flood", env={"MARK_FILE": str(mark)})
    took = time.monotonic() - began
    if hangs:
        failure(done, 3, "vault-plugin-flood 1.0", "10 seconds")
        assert took >= 10
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert took < seconds(10)
    pids = [int(word) for word in mark.read_text().split()]
    assert len(pids) == 2
    until(lambda: all(map(gone, pids)), "both are gone", 5)


def test_ctrl_c_ends_the_children(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    install(site, "flood", offer("flood", before=FLOOD + "time.sleep(600)"))
    mark = tmp_path / "pids"
    child = home.spawn("plugins", "check", "flood", env={"MARK_FILE": str(mark)}, program=site.awsv)
    until(lambda: mark.exists() and len(mark.read_text().split()) == 2, "it is at work")
    child.sendintr()
    assert ended(child) == 130
    pids = [int(word) for word in mark.read_text().split()]
    until(lambda: all(map(gone, pids)), "both are gone", 5)


def test_it_is_tried_in_a_process_of_its_own(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    source = 'open(os.environ["MARK_FILE"], "a").write(f"{os.getpid()} {os.getppid()}\\n")'
    install(site, "mark-a", offer("mark-a", before=source))
    install(site, "mark-b", offer("mark-b", before=source))
    mark = tmp_path / "pids"
    assert home.run(site.awsv, "plugins", "check", env={"MARK_FILE": str(mark)}).returncode == 0
    (a, b) = (line.split() for line in mark.read_text().splitlines())
    assert len({a[0], b[0], a[1]}) == 3
    assert a[1] == b[1] != str(os.getpid())
