"""The program ``awsv`` itself: it finds its own interpreter wherever it is installed, and runs nothing of anybody else.

:mod:`test_wheels` has the installers; here are the ways in which programs are called, and what stands in their way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

import vault_core
from support import parts
from support.home import PROGRAM, Home
from support.overlay_env import OverlayEnv, name_interpreter
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline

BASE = Path(sys.executable).resolve()
"""The interpreter that this environment was made from."""
SHELLS = ("dash", "bash", "sh")
PACKAGES = Path(sysconfig.get_path("purelib", vars={"base": "x", "installed_base": "x"})).relative_to("x")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return offline(tmp_path)


def version(home: Home, *argv: str | Path, env: Mapping[str, str | None] | None = None, cwd: Path | None = None) -> str:
    done = home.run(*argv, "--version", env=env, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What it answers."""
    said = version(offline(tmp_path_factory.mktemp("right")), PROGRAM)
    assert said.startswith("awsv ")
    return said


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# -- ways to call it ---------------------------------------------------------------------------------------------------


def test_it_is_called_by_a_relative_path(home: Home, right: str) -> None:
    folder = PROGRAM.parent
    assert version(home, "./awsv", cwd=folder) == right
    assert version(home, f"{folder.name}/awsv", cwd=folder.parent) == right
    assert version(home, f"../{folder.name}/awsv", cwd=folder) == right


@pytest.mark.parametrize("path", [".", "", "BIN", "/nowhere:BIN"])
def test_it_is_found_on_path(home: Home, right: str, path: str) -> None:
    script = 'exec awsv "$@"'
    env = {"PATH": path.replace("BIN", str(PROGRAM.parent))}
    assert version(home, "/bin/sh", "-c", script, "sh", env=env, cwd=PROGRAM.parent) == right


@pytest.mark.parametrize("name", ["awsv", "", "-x", "aws-vault", "a b", "/no/such/awsv"])
def test_it_is_called_by_another_name(home: Home, right: str, name: str) -> None:
    done = subprocess.run(
        [name, "--version"], executable=PROGRAM, env=home.environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == (right, "")


def test_it_is_called_without_an_environment(right: str) -> None:
    done = subprocess.run([PROGRAM, "--version"], env={}, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (right, "")


def test_it_is_called_through_links(home: Home, right: str) -> None:
    folder = home.root / "a folder"
    folder.mkdir()
    (folder / "first").symlink_to(PROGRAM)
    (folder / "second").symlink_to("first")
    (folder / "third").symlink_to("../a folder/second")
    (home.root / "bin").symlink_to(PROGRAM.parent)
    for name in (folder / "first", folder / "second", folder / "third", home.root / "bin/awsv"):
        assert version(home, name) == right
    assert version(home, "./third", cwd=folder) == right
    assert version(home, "/bin/sh", "-c", 'exec third "$@"', "sh", env={"PATH": ""}, cwd=folder) == right


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_that_is_a_systems_sh_can_run_it(home: Home, shell: str) -> None:
    run = parts.need(shell, shutil.which(shell), how=f"apt-get install {shell}")
    done = home.run(run, PROGRAM, "exec", "nobody", "--", "x y", "", "*", "'", '"', "$HOME", "a\nb")
    assert (done.returncode, done.stderr.splitlines()[0]) == (127, "awsv: cannot run 'x y': there is no such command")
    assert home.run(run, PROGRAM, "--version").stdout.startswith("awsv ")


def test_it_is_run_by_python_itself(home: Home, right: str) -> None:
    """It starts again, isolated."""
    (home.cwd / "vault_core.py").write_text("raise SystemExit('imported')")
    assert version(home, sys.executable, PROGRAM, env={"PYTHONPATH": str(home.cwd)}) == right


# -- where it is installed ---------------------------------------------------------------------------------------------


def test_a_folder_with_blanks_and_quotes(tmp_path: Path, home: Home, right: str) -> None:
    for name in ("a folder", "it's", 'say "hello"', "$HOME `x`"):
        assert version(home, OverlayEnv(tmp_path / name).awsv) == right


@pytest.mark.parametrize(
    "written",
    [
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",  # uv, where a path has blanks
        "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n",  # pip, where it is long
        # uv, for an environment that can be moved
        "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n",
        "#!python\n",
        "",
    ],
)
def test_every_way_in_which_an_installer_writes_its_interpreter(
    written: str, tmp_path: Path, home: Home, right: str
) -> None:
    site = OverlayEnv(tmp_path / "site")
    site.awsv.with_name("awsv-python").write_text(written.format(python=site.python))
    if "{python}" in written:
        site.python.rename(tmp_path / "elsewhere")  # so it can be nothing but what is written
        (tmp_path / "site/bin/python3").symlink_to(BASE)
        site.awsv.with_name("awsv-python").write_text(written.format(python=site.awsv.with_name("python3")))
    assert version(home, site.awsv) == right


def test_in_an_environment_the_hot_path_is_one_file_and_no_package(tmp_path: Path, home: Home) -> None:
    site = OverlayEnv(tmp_path / "site")
    (site.packages / "vault_core").symlink_to(Path(vault_core.__file__).parent)
    for path in site.packages.glob("vault_core-*.dist-info"):
        path.unlink()
    (site.packages / "vault_core-9.dist-info").mkdir()
    done = home.run(site.python, "-I", "-S", "-v", site.awsv, "--version")
    assert done.stdout == "awsv 9\n"
    assert "answer.cpython" in done.stderr or "answer.py" in done.stderr
    assert "import 'vault_core" not in done.stderr


@pytest.fixture
def local(home: Home) -> Path:
    """``~/.local`` as ``pip install --user`` leaves it: no interpreter beside the script."""
    root = home.path / ".local"
    site = OverlayEnv(root)
    name_interpreter(site.awsv, BASE)
    site.python.unlink()
    (root / "pyvenv.cfg").unlink()
    return root


def test_an_installation_of_the_user(local: Path, home: Home, right: str) -> None:
    assert version(home, local / "bin/awsv") == right
    fill(home, {"work": (KEY_ID, SECRET)})
    assert home.run(local / "bin/awsv", "list", "--credentials", env=UNLOCKED).stdout == "work\n"


def test_what_another_user_could_have_put_there_is_not_imported(local: Path, home: Home) -> None:
    for folder in (local / PACKAGES, local / "lib", local):
        folder.chmod(0o777)
        done = home.run(local / "bin/awsv", "--version")
        folder.chmod(0o755)
        assert done.returncode == 1
        assert "has no vault-core\nhint: install awsv again, where only you write\n" in done.stderr


def test_what_others_could_add_or_their_group_can_write_is_not_imported(local: Path, home: Home) -> None:
    packages = local / PACKAGES
    before = packages.stat().st_gid
    for mode, group in ((0o1777, before), (0o775, 100)):
        if os.geteuid() == 0:
            os.chown(packages, -1, group)
        packages.chmod(mode)
        done = home.run(local / "bin/awsv", "--version")
        if mode & 0o002 or os.geteuid() == 0:
            assert done.returncode == 1, oct(mode)
    packages.chmod(0o755)


def test_no_variable_stands_in_for_what_names_the_interpreter(tmp_path: Path, home: Home) -> None:
    shutil.copy(PROGRAM, tmp_path / "awsv")
    evil = program(tmp_path / "evil", f": > {home.root}/ran")
    env = {"awsv_python": str(evil), "awsv_more": f"exec' {evil} "}
    for there in (None, "", "#!/bin/sh\n"):
        if there is not None:
            (tmp_path / "awsv-python").write_text(there)
        done = home.run(tmp_path / "awsv", "--version", env=env)
        assert (done.returncode, (home.root / "ran").exists()) == (1, False)


def test_an_interpreter_that_is_gone_is_named(tmp_path: Path, home: Home) -> None:
    shutil.copy(PROGRAM, tmp_path / "awsv")
    done = home.run(tmp_path / "awsv", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"awsv: the Python that {tmp_path}/awsv was installed for is not there\n"
        "hint: install awsv again; to have it in another folder, make a symbolic link to it\n"
    )


def test_an_interpreter_without_the_core_is_named(tmp_path: Path, home: Home) -> None:
    """As after "python3.13 -m venv --upgrade": the programs stay, and the packages are another Python's."""
    venv.create(tmp_path / "venv", symlinks=True)
    shutil.copy(PROGRAM, tmp_path / "venv/bin")
    python = tmp_path / "venv/bin/python"
    done = home.run(tmp_path / "venv/bin/awsv", "exec", "-j", "work")
    assert (done.returncode, done.stdout) == (1, "")
    release = "{}.{}".format(*sys.version_info)
    told = f"awsv: {python} (Python {release}) has no vault-core\nhint: install awsv again, where only you write\n"
    assert done.stderr == told


# -- what is in its way ------------------------------------------------------------------------------------------------


def test_nothing_on_path_is_run(home: Home, right: str) -> None:
    evil = home.root / "evil"
    for name in (
        "python",
        "python3",
        "readlink",
        "dirname",
        "realpath",
        "sh",
        "env",
        "awsv",
        "test",
        "[",
        "echo",
        "read",
    ):
        program(evil / name, f": > {home.root}/ran")
    (home.root / "linked").symlink_to(PROGRAM)
    for path in (str(evil), f"{evil}:/usr/bin", "."):
        assert version(home, home.root / "linked", env={"PATH": path}, cwd=evil) == right
    assert not (home.root / "ran").exists()


def test_no_module_of_a_package_stands_in_for_one_of_python(tmp_path: Path, home: Home, right: str) -> None:
    site = OverlayEnv(tmp_path / "site")
    if not (site.packages / "vault_core").exists():  # the tests have it elsewhere, and the hot path takes it from here
        (site.packages / "vault_core").symlink_to(Path(vault_core.__file__).parent)
    for name in ("_blake2", "_signal", "hashlib", "os", "resource", "site"):
        (site.packages / f"{name}.py").write_text(f"open({str(home.root / 'ran')!r}, 'w')")
    assert version(home, site.awsv) == right
    assert not (home.root / "ran").exists()


def test_variables_of_shells_and_of_python_change_nothing(home: Home, right: str) -> None:
    evil = home.root / "evil"
    script = program(evil / "profile", f": > {home.root}/ran")
    (evil / "sitecustomize.py").write_text(f"open({str(home.root / 'ran')!r}, 'w')")
    env = dict.fromkeys(("ENV", "BASH_ENV", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR"), str(script))
    env |= dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "CDPATH", "PYTHONPYCACHEPREFIX"), str(evil))
    env |= {"PYTHONINSPECT": "1", "PYTHONVERBOSE": "1", "PYTHONWARNINGS": "error", "PYTHONBREAKPOINT": "os.abort"}
    env |= {"IFS": "/awsv", "OPTIND": "9", "awsv_python": str(script), "awsv_script": str(script), "PYTHONSAFEPATH": ""}
    assert version(home, PROGRAM, env=env) == right
    assert not (home.root / "ran").exists()


def test_functions_that_bash_exports_are_not_called(home: Home, right: str) -> None:
    bash = parts.need("bash", shutil.which("bash"), how="apt-get install bash")
    (home.root / "sh").symlink_to(bash)
    names = ("read", "echo", "[", "test", "exec", "unset", ":", "readlink")
    env = {f"BASH_FUNC_{name}%%": f"() {{ : > {home.root}/ran; }}" for name in names}
    (home.root / "linked").symlink_to(PROGRAM)
    assert version(home, home.root / "sh", home.root / "linked", env=env) == right
    assert not (home.root / "ran").exists()


def test_the_child_has_the_environment_of_the_caller(home: Home) -> None:
    fill(home, {"work": (KEY_ID, SECRET)})
    names = ("python", "line", "self", "link", "folder", "script", "PYTHONPATH", "PYTHONHOME", "CDPATH", "ENV")
    env = {**dict.fromkeys(names, "mine"), "PWD": str(home.cwd), "ODD": "a\nb", "EMPTY": ""}
    done = home.awsv("exec", "-n", "work", "--", "/usr/bin/env", "-0", env={**env, **UNLOCKED})
    assert done.returncode == 0, done.stderr
    found = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)
    assert env.items() <= found.items()
    new = set(found) - {*home.env, *env, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_VAULT", "AWS_VAULT_REMOVED"}
    assert new <= {"AWS_REGION", "AWS_DEFAULT_REGION", "SHLVL", "OLDPWD", "_"}  # the last three: bash's


def test_the_line_that_is_written_for_sdks_names_it(home: Home, local: Path) -> None:
    fill(home, {"work": (KEY_ID, SECRET)})
    (home.root / "link").symlink_to(local / "bin/awsv")
    for called, named in ((PROGRAM, PROGRAM), (local / "bin/awsv",) * 2, (home.root / "link", local / "bin/awsv")):
        done = home.run(called, "config", "credential-process", "-n", "work", env=UNLOCKED)
        assert f"+credential_process = {named} exec -j work\n" in done.stdout, done.stderr


@pytest.mark.root("only root can become another user here")
def test_packages_of_another_user_are_not_imported_by_root(home: Home) -> None:
    """``sudo`` with the home of the user who called it."""
    packages = home.path / ".local" / PACKAGES
    packages.mkdir(parents=True)
    (packages / "evil.pth").write_text(f"import os; open({str(home.root / 'ran')!r}, 'w')\n")
    system = home.root / "system"
    system.mkdir()
    shutil.copy(PROGRAM, system)
    name_interpreter(system / "awsv", BASE)
    home.run(system / "awsv", "--version")
    assert (home.root / "ran").exists()  # of this very user they are, so the test could see it
    (home.root / "ran").unlink()
    shutil.chown(packages, 65534)
    home.run(system / "awsv", "--version")
    assert not (home.root / "ran").exists()
