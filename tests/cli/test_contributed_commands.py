"""Commands of plugins: found by metadata, run as if they were awsv's own, and blamed on who wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.overlay_env import OverlayEnv
from support.recording_proxy import RecordingProxy
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline

GROUP = "vault.command.v1"
SPEC = """
from vault_core.api import CommandSpec, hookimpl
@hookimpl
def vault_commands():
    return (CommandSpec(name={name!r}, summary="for a test", target="{module}_command:command"),)
"""
COMMAND = """
import click
from vault_core.api import ConfigError
@click.group()
def command():
    "Help of a stranger."
@command.command()
@click.option("--loud", is_flag=True)
@click.argument("profile")
@click.pass_obj
def key(ctx, profile, loud):
    "Whose key it is."
    print("noise of a library")
    ctx.write(ctx.credentials(profile).access_key_id + "!" * loud)
@command.command()
@click.pass_obj
def table(ctx):
    ctx.write_table(("A", "B"), [("1", "2")])
    ctx.write_json({"a": 1})
    ctx.note("said")
@command.command()
@click.pass_obj
def sure(ctx):
    ctx.write(str(ctx.confirm("Sure?", flag="--yes")))
@command.command()
@click.pass_obj
def question(ctx):
    ctx.write(ctx.ask("Name: ", secret=False).reveal_text())
@command.command()
def refuses():
    raise ConfigError("a reason", hint="an action")
@command.command()
def breaks():
    raise KeyError("wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY")
@command.command()
def ends():
    raise EOFError("marshal data too short")
@command.command()
def leaves():
    raise SystemExit(0)
"""

BLANK = SPEC.format(name="blank", module="").replace('"_command:command"', "None")
PARAM = """
import click
def odd(ctx, parameter, value):
    raise EOFError
@click.command()
@click.option("--odd", callback=odd)
def command(odd):
    "Never gets there."
"""


def install(site: OverlayEnv, name: str, *, command: str = COMMAND, distribution: str = "") -> None:
    distribution = distribution or f"vault-plugin-{name}"
    module = distribution.replace("-", "_")
    files = {f"{module}.py": SPEC.format(name=name, module=module), f"{module}_command.py": command}
    site.install(distribution, {GROUP: {name: module}}, files)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    site = OverlayEnv(tmp_path_factory.mktemp("commands") / "site")
    install(site, "visit")
    install(site, "list", distribution="vault-plugin-list-thief")
    install(site, "rm", distribution="vault-plugin-rm-thief")
    install(site, "twin", distribution="vault-plugin-one")
    install(site, "twin", distribution="vault-plugin-two")
    install(site, "crash", command="raise RuntimeError('at import')")
    install(site, "empty", command="command = 7")
    install(site, "short", command="raise EOFError('marshal data too short')")
    install(site, "param", command=PARAM)
    site.install("vault-plugin-blank", {GROUP: {"blank": "vault_plugin_blank"}}, {"vault_plugin_blank.py": BLANK})
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    home.env |= UNLOCKED
    return home


def test_it_gets_credentials_and_keeps_standard_output_clean(
    site: OverlayEnv, tmp_path: Path, front: RecordingProxy
) -> None:
    home = Home(tmp_path / "with-aws", front.url)
    fill(home, {"work": (KEY_ID, SECRET)})
    done = home.run(site.awsv, "visit", "key", "work", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "AKIAIOSFODNN7EXAMPLE\n"  # of moto's one session
    assert "noise of a library" in done.stderr
    assert [call.action for call in front.calls] == ["GetSessionToken"]


def test_it_works_like_one_of_ours(site: OverlayEnv, home: Home) -> None:
    done = home.run(site.awsv, "visit", "table")
    assert done.stdout == 'A  B\n=  =\n1  2\n{\n  "a": 1\n}\n'
    assert done.stderr == "awsv: said\n"


def test_it_takes_the_programs_options(site: OverlayEnv, home: Home) -> None:
    done = home.run(site.awsv, "visit", "key", "--loud", "--backend", "nowhere", "work")
    assert done.returncode == 3
    assert "no storage backend named 'nowhere'" in done.stderr
    done = home.run(site.awsv, "visit", "breaks", "--debug")
    assert "_command.py" in done.stderr
    assert SECRET not in done.stderr


def test_help_is_data(site: OverlayEnv, home: Home) -> None:
    done = home.run(site.awsv, "visit", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Help of a stranger." in done.stdout
    assert "--backend" not in done.stdout
    assert "Whose key it is." in home.run(site.awsv, "visit", "key", "--help").stdout


def test_the_programs_help_imports_none_of_them(site: OverlayEnv, home: Home) -> None:
    done = home.run(site.awsv, "--help")
    assert done.returncode == 0
    assert "visit  from vault-plugin-visit" in done.stdout
    assert "crash  from vault-plugin-crash" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("visit", "refuses"), 2, "awsv: a reason\nhint: an action\n"),
        (("visit", "breaks"), 1, "command 'visit' failed with KeyError\nhint: this is a bug of vault-plugin-visit"),
        (("visit", "ends"), 1, "command 'visit' failed with EOFError\nhint: this is a bug of vault-plugin-visit"),
        (("short",), 3, "command 'short' from vault-plugin-short cannot be loaded: EOFError"),
        (
            ("param", "--odd", "x"),
            1,
            "command 'param' failed with EOFError\nhint: this is a bug of vault-plugin-param",
        ),
        (("blank",), 3, "command 'blank' from vault-plugin-blank cannot be loaded: AttributeError"),
        (("visit", "leaves"), 1, "command 'visit' failed with SystemExit\nhint: this is a bug of vault-plugin-visit"),
        (("visit", "key"), 2, "awsv: missing argument 'PROFILE'"),
        (("visit", "nothing"), 2, "awsv: no such command 'nothing'"),
        (("visit", "sure"), 2, "give --yes"),
        (("visit", "question"), 5, "there is no terminal"),
        (("twin", "key"), 3, "offered by vault-plugin-one and vault-plugin-two"),
        (("crash",), 3, "command 'crash' from vault-plugin-crash cannot be loaded: RuntimeError"),
        (("empty",), 3, "vault_plugin_empty_command:command is not a click command"),
        (("visi",), 2, "did you mean 'awsv visit'?"),
    ],
)
def test_failures(site: OverlayEnv, home: Home, words: tuple[str, ...], code: int, said: str) -> None:
    done = home.run(site.awsv, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def test_names_of_ours_are_taken(site: OverlayEnv, home: Home) -> None:
    assert home.run(site.awsv, "list", "--credentials").stdout == "work\n"
    assert home.run(site.awsv, "rm", "--help").stdout.startswith("Usage: awsv rm")
    listed = json.loads(home.run(site.awsv, "plugins", "list", "--json").stdout)
    states = {(found["name"], found["distribution"]): found["state"] for found in listed if found["kind"] == "command"}
    assert states == {
        ("blank", "vault-plugin-blank"): "installed",
        ("crash", "vault-plugin-crash"): "installed",
        ("empty", "vault-plugin-empty"): "installed",
        ("file", "vault-plugin-file"): "installed",
        ("import-aws-vault", "vault-plugin-aws-vault"): "installed",
        ("param", "vault-plugin-param"): "installed",
        ("short", "vault-plugin-short"): "installed",
        ("ssm", "vault-plugin-ssm"): "installed",
        ("list", "vault-plugin-list-thief"): "reserved",
        ("rm", "vault-plugin-rm-thief"): "reserved",
        ("twin", "vault-plugin-one"): "conflict",
        ("twin", "vault-plugin-two"): "conflict",
        ("visit", "vault-plugin-visit"): "installed",
    }


def test_exec_is_not_hurt_by_a_command_whose_variables_are_set(site: OverlayEnv, home: Home) -> None:
    """Variables of a plugin make it load for its secret options, and a command has none."""
    env = {"AWS_VAULT_VISIT_X": "1", "AWS_VAULT_CRASH_X": "1"}
    done = home.run(site.awsv, "exec", "-n", "work", "--", "/bin/sh", "-c", "echo $AWS_ACCESS_KEY_ID", env=env)
    assert (done.returncode, done.stdout) == (0, f"{KEY_ID}\n"), done.stderr
