"""Text of others drives nobody's terminal: every command is run with hostile names wherever a name can stand.

The commands, their arguments and their options are those that the program has, so a new one is attacked, too.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import click
import pexpect
import pytest

from support.fork_server import ForkServer, fork_server
from support.home import Home
from support.security import DEEP
from support.vaults import KEY_ID, NOWHERE, PASSPHRASE, SECRET, UNLOCKED, Snapshot, store_path
from vault_core.api import Secret
from vault_core.cli.app import App
from vault_core.cli.commands import Program
from vault_core.storage.vault import CREDENTIALS, encode
from vault_core.vlt import Argon2id
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

LINE = "\x1b]0;PWNED\x07\x1b[31m\x9b7m\x08\x7f\u202e\u2066\u200b\ufeff\u00ad\u2061"
"""A title, colours, an erased character, bidirectional overrides and what is not seen; it can stand in a line."""
NAME = f"n{LINE}\r\u0085\u2028\u2029\n\v\f"
UNDECODABLE = f"r{LINE}\udce9\udc9b"
LOADED = {"AWS_VAULT_LOAD_PLUGINS": f"file,env,prompt,sts,terminal,l{NAME}"}
SETTINGS = (
    {**LOADED, "AWS_VAULT_BACKEND": f"b{NAME}", "AWS_CONFIG_FILE": f"/dev/null/{UNDECODABLE}"},
    {**UNLOCKED, "AWS_VAULT_BACKEND": f"s{LINE}"},
    {**LOADED, "AWS_VAULT_FILE_DIR": f"/dev/null/{NAME}", "AWS_REGION": f"eu-{UNDECODABLE}"},
    {**LOADED, "AWS_VAULT_PROMPT": f"p{NAME}", "AWS_VAULT_PASSPHRASE_SOURCE": f"s{NAME}"},
)
CONFIG = f"""
[default]
region = {LINE}
[profile work]
region = eu-west-1
{LINE}key = x
vault_prompt = {LINE}
[profile w{LINE}]
region = r{LINE}
vault_file_dir = /dev/null/{LINE}
[profile role]
role_arn = arn:aws:iam::123456789012:role/{LINE}
source_profile = w{LINE}
mfa_serial = {LINE}
role_session_name = {LINE}
[profile tool]
credential_process = aws-vault exec -j {LINE}
[profile odd]
vault_session_provider = {LINE}
"""
WORDS = (json.dumps(word).replace("\x7f", "\\u007f") for word in (f"s{LINE}", f"/dev/null/{LINE}\n"))
STORES = '[store.{0}]\nbackend = "file"\ndir = {1}\n[plugin.{0}]\n{0} = {1}\n'.format(*WORDS)
"""A store and a plugin of hostile names: TOML lets any character stand in quotes."""
PLAIN = f"""
[plain{LINE}]
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET}
# aws_secret_access_key = {LINE}
[half{LINE}]
aws_access_key_id = {LINE}
"""


def shows(text: str) -> list[str]:
    """What of it is no character that a person sees, or a line break."""
    return [
        char
        for char in text
        if char not in " \n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
    ]


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that name it."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    with click.Context(command, obj=App()) as ctx:
        for name in command.list_commands(ctx):
            member = command.get_command(ctx, name)
            assert member is not None
            yield from leaves(member, (*words, name))


COMMANDS = dict(leaves(Program("awsv")))


def lines(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
    """Command lines of a command, with what is no option and, under ``AWSV_DEEP``, with each option that it has."""
    needed = sum(isinstance(one, click.Argument) and one.required for one in command.params)
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    ahead = [one.opts[-1] for one in options if one.opts[-1] in ("--yes", "--force", "--overwrite")]
    for name in dict.fromkeys((f"a{NAME}", *(["role", f"w{LINE}"] if needed else []))):
        yield (*words, *ahead, "--", *[name] * needed)
    yield (*words, f"--x{NAME}", "--", *[NAME] * needed)
    yield (*words, "--", UNDECODABLE, *[NAME] * needed)
    for option in options:
        if option.opts[-1] in ("--json", "--dry-run") or DEEP:
            given = [option.opts[-1]] if option.is_flag else [option.opts[-1], f"v{NAME}"]
            yield (*words, *ahead, *given, "--", *[f"a{NAME}"] * needed)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Every name on it is hostile, that of its folder, too."""
    home = Home(tmp_path_factory.mktemp("hostile") / f"h{LINE}\n", NOWHERE)
    home.configure(CONFIG)
    home.credentials.write_text(PLAIN)
    settings = Path(home.env["XDG_CONFIG_HOME"], "awsv")
    settings.mkdir(mode=0o700)
    (settings / "config.toml").write_text(STORES)
    backend = FileBackend(
        FakeContext(home.root, passphrases=[PASSPHRASE]), store_path(home).parent, cost=Argon2id(19_456, 2, 1)
    )
    key = Secret(json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET}))
    for name in ("work", f"a{NAME}", f"w{LINE}"):
        backend.put(CREDENTIALS + encode(name), key)
    backend.close()
    return home


@pytest.fixture(scope="module")
def run(machine: Home) -> Iterator[ForkServer]:
    with fork_server(machine) as commands:
        yield commands


def test_every_command_is_there() -> None:
    assert {("explain",), ("file", "status"), ("config", "credential-process")} <= COMMANDS.keys()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_shows_a_control_character(words: tuple[str, ...], machine: Home, run: ForkServer) -> None:
    snapshot = Snapshot(machine)
    command_lines = list(lines(words, COMMANDS[words]))
    for line, settings in [*((line, UNLOCKED) for line in command_lines), *((command_lines[0], s) for s in SETTINGS)]:
        code, _ = run.run("--debug", *line, env=settings)
        said = run.said().decode()  # nor a byte that is no UTF-8
        assert not shows(said), (line, settings, code, said)
        if code == 0:
            snapshot.restore()


def test_no_question_or_answer_shows_a_control_character_at_a_terminal(machine: Home) -> None:
    child = machine.spawn("remove", "--", f"a{NAME}", env=UNLOCKED)
    child.expect("from the vault")
    shown = child.before
    child.sendline("n")
    child.expect(pexpect.EOF)
    child.close()
    assert not shows((shown + child.before).replace("\r\n", "\n"))


def test_the_search_finds_what_it_looks_for() -> None:
    assert shows(f"plain {NAME}\n") == [char for char in NAME if char not in "n]0;PWNED[31m7\n"]
    assert shows(UNDECODABLE)[-2:] == ["\udce9", "\udc9b"]
