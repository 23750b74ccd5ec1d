"""A working folder, or a ``PYTHONPATH``, full of modules and metadata of somebody else's changes nothing.

Every module that any command loads, and that the interpreter loads before the first line of a program, is planted there
under its own name, and leaves a mark when it is executed.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from support.vaults import OTHER_ID, OTHER_SECRET, UNLOCKED, fill, offline

PLANTED = {"click", "boto3", "botocore", "json", "re", "pluggy", "rich", "cryptography", "vault_core", "tomllib"}
PLANTED |= {"sitecustomize", "usercustomize"} | {
    f"vault_plugin_{name}" for name in ("file", "env", "prompt", "aws", "evil")
}

NEW = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
COMMANDS: Sequence[tuple[Sequence[str], dict[str, str]]] = (
    (("--version",), {}),
    (("--help",), {}),
    (("plugins", "list"), {}),
    (("plugins", "check"), {}),
    (("export", "--format=json", "work"), UNLOCKED),
    (("exec", "work", "--", "/bin/sh", "-c", "echo $AWS_ACCESS_KEY_ID"), UNLOCKED),
    (("exec", "nobody", "--", "/bin/true"), UNLOCKED),
    (("add", "--env", "new"), {**UNLOCKED, **NEW}),
    (("list",), UNLOCKED),
    (("explain", "work"), UNLOCKED),
    (("ready", "work"), UNLOCKED),
    (("config", "credential-process", "--help"), {}),
    (("remove", "--force", "new"), UNLOCKED),
    (("clear",), {}),
    (("list",), {}),
)


def imported(stderr: str) -> set[str]:
    """The top-level names in a report of imports."""
    return set(re.findall(r"^import '(\w+)", stderr, re.MULTILINE))


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory, moto: MotoServer) -> set[str]:
    """The modules to plant, but not those without which no interpreter starts at all."""
    home = Home(tmp_path_factory.mktemp("names") / "machine", moto.url)
    home.configure("[profile work]\nregion = eu-west-1\n")
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    bare = imported(home.run(sys.executable, "-v", "-c", "import site").stderr)
    commands = (["exec", "-j", "work"], ["list"], ["--help"])
    runs = [home.watched(*words, flags=["-v"], env=UNLOCKED, timeout=120) for words in commands]
    loaded = set().union(*(imported(done.stderr) for done in runs))
    assert {"click", "pluggy", "cryptography", "botocore", "urllib3", "vault_core", "vault_plugin_file"} <= loaded
    assert "encodings" in bare
    return (loaded | PLANTED) - (bare - {"sitecustomize"})  # Debian's Python has one of its own


@pytest.fixture
def evil(tmp_path: Path, names: set[str]) -> Path:
    """The folder; what is executed of it writes its name to ``executed`` beside it."""
    folder = tmp_path / "evil"
    folder.mkdir()
    mark = f"import os\nos.write(os.open({str(tmp_path / 'executed')!r}, os.O_CREAT | os.O_WRONLY | os.O_APPEND), "
    for name in names:
        (folder / f"{name}.py").write_text(f"{mark}b'{name}\\n')\n")
    for distribution in ("vault_plugin_evil-1.0", "vault_plugin_file-99.0", "vault_core-99.0"):
        info = folder / f"{distribution}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n".format(*distribution.split("-"))
        )
        (info / "entry_points.txt").write_text(
            "[vault.storage.v1]\nfile = vault_plugin_evil\n[vault.session.v1]\nsts = vault_plugin_evil\n"
        )
    (folder / "config.toml").write_text('backend = "evil"\n')
    (folder / ".env").write_text("AWS_VAULT_BACKEND=evil\n")
    return folder


def executed(evil: Path) -> str:
    mark = evil.parent / "executed"
    return mark.read_text() if mark.exists() else ""


def machine(root: Path, front: RecordingProxy, moto: MotoServer) -> Home:
    home = Home(root, front.url)
    home.configure("[profile work]\nregion = eu-west-1\n")
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    return home


def answers(home: Home, **where: str) -> list[tuple[object, ...]]:
    """What every command answers, without what differs between two times and two homes."""
    found: list[tuple[object, ...]] = []
    cwd = Path(where.get("cwd", home.cwd))
    changes = {"PYTHONPATH": where["pythonpath"]} if "pythonpath" in where else {}
    for words, env in COMMANDS:
        done = home.awsv(*words, env={**env, **changes}, cwd=cwd)
        texts = [
            re.sub(r"(\d+-\d\d-\d\dT)?\d\d:\d\d:\d\dZ?|\d+m\d+s| +", " ", text.replace(str(home.root), "ROOT"))
            for text in (done.stdout, done.stderr)
        ]
        found.append((words, done.returncode, *texts))
    return found


def test_every_command_in_a_hostile_folder(tmp_path: Path, evil: Path, front: RecordingProxy, moto: MotoServer) -> None:
    clean = answers(machine(tmp_path / "clean", front, moto))
    assert [code for _, code, *_ in clean] == [0, 0, 0, 0, 0, 0, 125, 0, 0, 0, 0, 0, 0, 0, 0]
    home = machine(tmp_path / "hostile", front, moto)
    hostile = answers(home, cwd=str(evil), pythonpath=f":.:{evil}:{evil}/../evil:../evil")
    assert executed(evil) == ""
    assert hostile == clean


@pytest.mark.parametrize("pythonpath", [None, "", ".", ":", "../evil", "EVIL", "/nowhere:EVIL/"])
def test_each_way_to_name_the_folder(
    pythonpath: str | None, tmp_path: Path, evil: Path, front: RecordingProxy, moto: MotoServer
) -> None:
    home = machine(tmp_path / "machine", front, moto)
    env = {**UNLOCKED, "PYTHONPATH": pythonpath and pythonpath.replace("EVIL", str(evil))}
    done = home.awsv("exec", "-j", "work", env=env, cwd=evil)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Version"] == 1
    assert executed(evil) == ""


def test_a_program_that_python_runs_there_would_be_taken_in(tmp_path: Path, evil: Path) -> None:
    home = offline(tmp_path)
    home.run(sys.executable, "-c", "import json", env={"PYTHONPATH": str(evil)})
    assert executed(evil) == "sitecustomize\njson\n"  # so the tests above could have seen it


def test_the_child_keeps_the_path_of_its_user(
    tmp_path: Path, evil: Path, front: RecordingProxy, moto: MotoServer
) -> None:
    home = machine(tmp_path / "machine", front, moto)
    env = {**UNLOCKED, "PYTHONPATH": f".:{evil}"}
    done = home.awsv("exec", "work", "--", "/bin/sh", "-c", 'echo "$PYTHONPATH"', env=env, cwd=evil)
    assert done.stdout == f".:{evil}\n"


@pytest.mark.parametrize("path", ["purelib", "stdlib", "platlib"])
def test_a_path_that_names_our_own_folders_breaks_nothing(path: str, tmp_path: Path) -> None:
    home = offline(tmp_path)
    folder = sysconfig.get_path(path)
    done = home.awsv("plugins", "list", env={"PYTHONPATH": folder}, cwd=Path(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == home.awsv("plugins", "list").stdout


@pytest.mark.parametrize("words", [("--version",), ("list",), ("plugins", "list")], ids=" ".join)
def test_a_working_folder_that_is_gone(words: tuple[str, ...], tmp_path: Path) -> None:
    home = offline(tmp_path)
    command = f'mkdir gone && cd gone && rmdir ../gone && exec "{PROGRAM}" {" ".join(words)}'
    done = home.run("/bin/sh", "-c", command)
    told = [line for line in done.stderr.splitlines() if "getcwd" not in line]  # so says sh itself
    assert (done.returncode, told) == (0, home.awsv(*words).stderr.splitlines())
    assert done.stdout == home.awsv(*words).stdout


def test_modules_beside_the_launcher_are_not_imported(tmp_path: Path) -> None:
    """``~/.local/bin`` and the like hold scripts of all kinds."""
    home = offline(tmp_path)
    folder = home.root / "bin"
    folder.mkdir()
    for name in ("awsv", "awsv-python"):
        shutil.copy(PROGRAM.with_name(name), folder)
    (folder / "click.py").write_text("raise SystemExit('imported')\n")
    done = home.run(folder / "awsv", "list")
    assert (done.returncode, done.stdout) == (0, home.awsv("list").stdout)


@pytest.mark.parametrize("module", ["encodings", "codecs", "os", "site"])
def test_what_no_interpreter_starts_without_is_not_taken_from_there_either(module: str, tmp_path: Path) -> None:
    home = offline(tmp_path)
    (home.cwd / f"{module}.py").write_text(f"raise SystemExit({module!r})\n")
    for env in (
        {"PYTHONPATH": ""},
        {"PYTHONPATH": ":/x"},
        {"PYTHONPATH": str(home.cwd)},
        {"PYTHONHOME": str(home.cwd)},
    ):
        done = home.awsv("--version", env=env)
        assert (done.returncode, done.stderr) == (0, ""), env
