"""Importers: commands of plugins that run as ``awsv import NAME`` and hand their scan to the core."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.overlay_env import OverlayEnv, failure
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, fill, offline, stored

SEED = {"seed": (OTHER_ID, OTHER_SECRET)}
HOOK = """
from vault_core.api import CommandSpec, hookimpl
@hookimpl
def vault_commands():
    return (CommandSpec(name="import-{name}", summary="for a test", target="{name}_command:command",
                        secret_variables=("OTHER_TOOL_PASSPHRASE",)),)
"""
COMMAND = f"""
import click
from vault_core.api import Credentials, ConfigError, ImportScan, Rejected, Secret
def profile_of(words):
    if words[0] != "other-tool":
        return None
    if words[1:] != ["get", "work"]:
        raise ConfigError("has other words")
    return "work"
@click.command("other")
@click.option("-y", "--yes", is_flag=True)
@click.option("-n", "--dry-run", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def command(ctx, yes, dry_run, as_json):
    "Import from another tool."
    names = ("OTHER_TOOL_PASSPHRASE", "AWS_VAULT_FILE_PASSPHRASE")
    ctx.note(f"passphrase {{ctx.environ.get(names[0])}}, {{ctx.environ.get(names[1])}}")
    scan = ImportScan("the other tool", rejected=[Rejected("half", "it has no secret")] if as_json else [])
    scan.add("work", Credentials(access_key_id={KEY_ID!r}, secret_access_key=Secret({SECRET!r})))
    scan.add("bad\\0name", Credentials(access_key_id={KEY_ID!r}, secret_access_key=Secret({SECRET!r})))
    ctx.import_keys(scan, profile_of, overwrite=False, dry_run=dry_run, yes=yes, as_json=as_json)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> OverlayEnv:
    """An installation with the importer ``other``, and with importers whose names the core has."""
    site = OverlayEnv(tmp_path_factory.mktemp("site") / "venv", without=["vault-plugin-aws-vault"])
    for name in ("other", "undo"):
        files = {f"{name}_hook.py": HOOK.format(name=name), f"{name}_command.py": COMMAND}
        site.install(f"vault-plugin-{name}", {"vault.command.v1": {f"import-{name}": f"{name}_hook"}}, files)
    bad = "import click\n@click.command('bad')\ndef command():\n    raise ZeroDivisionError\n"
    files = {"bad_hook.py": HOOK.format(name="bad"), "bad_command.py": bad}
    site.install("vault-plugin-bad", {"vault.command.v1": {"import-bad": "bad_hook"}}, files)
    site.install("vault-plugin-broken", {"vault.command.v1": {"import-broken": "no_such_module"}}, {})
    return site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, SEED)
    return home


def test_importer_of_ours_that_is_missing_is_named_with_its_install_command(site: OverlayEnv, home: Home) -> None:
    for words in (("import", "aws-vault"), ("import", "aws-vault", "--dir", "/x"), ("import-aws-vault",)):
        stderr = failure(home.run(site.awsv, *words), 3, "no command named 'import-aws-vault' is installed")
        assert stderr.endswith((" vault-plugin-aws-vault\n", "/plugins/aws-vault\n"))  # the latter from a checkout


def test_help_lists_importers_without_loading_them(site: OverlayEnv, home: Home) -> None:
    done = home.run(site.awsv, "import", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    own, others = done.stdout.partition("\nCommands:\n")[2].split("\n\nImporters of plugins:\n")
    assert [line.split(maxsplit=1) for line in own.splitlines()] == [
        ["credentials-file", "Copy every long-term key of ~/.aws/credentials."],
        ["undo", "Restore ~/.aws/credentials."],
    ]
    assert [line.split() for line in others.splitlines()] == [
        ["bad", "from", "vault-plugin-bad"],
        ["broken", "from", "vault-plugin-broken"],
        ["other", "from", "vault-plugin-other"],
    ]
    assert "import-" not in home.run(site.awsv, "--help").stdout
    completed = home.run(
        site.awsv, env={"_AWSV_COMPLETE": "bash_complete", "COMP_WORDS": "awsv import ", "COMP_CWORD": "2"}
    )
    assert completed.stdout.split() == [
        f"plain,{name}" for name in ("bad", "broken", "credentials-file", "other", "undo")
    ]


def test_importer_copies_its_scan_and_changes_its_lines(site: OverlayEnv, home: Home) -> None:
    lines = "[profile work]\ncredential_process = other-tool get work\n[profile x]\ncredential_process = other-tool x\n"
    home.configure(lines)
    env = {**UNLOCKED, "OTHER_TOOL_PASSPHRASE": "theirs"}
    dry = home.run(site.awsv, "import", "other", "--dry-run", env=env)
    assert (dry.returncode, stored(home)) == (0, SEED), dry.stderr
    assert f"1 line of {home.config} would be changed like this, to run awsv" in dry.stderr
    done = home.run(site.awsv, "import", "other", "--yes", env=env)
    failure_text = (
        "awsv: 1 of 2 keys from the other tool are in the vault; not stored: 'bad\\x00name': the profile name"
    )
    assert (done.returncode, failure_text in done.stderr) == (7, True), done.stderr
    assert "awsv: passphrase theirs, None\n" in done.stderr  # the store's passphrase is hidden from the importer
    assert stored(home) == {**SEED, "work": (KEY_ID, SECRET)}
    assert f"{home.config}:4 has other words" in done.stderr
    assert home.config.read_text() == lines.replace("other-tool get work", f"{site.awsv} exec -j work")
    again = home.run(site.awsv, "import", "other", "--json", env=env)
    assert again.returncode == 7
    document = json.loads(again.stdout)
    assert [key["state"] for key in document["keys"]] == ["same"]
    assert [entry["name"] for entry in document["bad"]] == ["half", "bad\0name"]


def test_importer_names_of_the_core_win_and_unknown_ones_are_usage_errors(site: OverlayEnv, home: Home) -> None:
    failure(home.run(site.awsv, "import", "undo", env=UNLOCKED), 4, "the store holds no backup of")
    failure(home.run(site.awsv, "import", "nowhere"), 2, "no such command 'nowhere'")
    failure(home.run(site.awsv, "import", "broken"), 3, "vault-plugin-broken")
    failure(home.run(site.awsv, "import-other"), 2, "no command 'import-other'")
    assert home.run(PROGRAM, "import", "aws-vault", "--help").stdout.startswith("Usage: awsv import aws-vault ")


def test_importer_that_fails_is_attributed_to_its_distribution(site: OverlayEnv, home: Home) -> None:
    stderr = failure(home.run(site.awsv, "import", "bad"), 1, "command 'import-bad' failed with ZeroDivisionError")
    assert "this is a bug of vault-plugin-bad" in stderr
