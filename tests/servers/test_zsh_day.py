"""The article's day in a real zsh, with the command lines that the aliases of zsh-aws-vault stand for.

The plugin's file is neither here nor fetched. ``AWSV_ZSH_AWS_VAULT=/path/to/zsh-aws-vault.plugin.zsh`` has it sourced,
too, and its aliases typed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from support import documents, parts
from support.documents import BIN
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.stored import CODE, MFA, UNLOCKED, add

PROMPTS = Path(__file__).parents[2] / "docs/prompts.md"
PLUGIN = "AWSV_ZSH_AWS_VAULT"

CONFIG = f"""
[profile work]
region = eu-west-1

[profile role]
region = eu-west-1
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
mfa_serial = {MFA}
"""

RENEW = 'eval "$(AWS_VAULT= aws-vault export --format=export-env $AWS_VAULT)"'
"""The line of the alias ``avr``."""


class Zsh:
    """An interactive zsh at a terminal."""

    def __init__(self, home: Home, program: str) -> None:
        self._child: Any = home.spawn("-i", program=program, timeout=60)
        self.run(":")

    def run(self, line: str, code: int = 0) -> str:
        """Type a line, wait until it is done, and return what it printed; its exit code must be ``code``."""
        self._child.sendline(f"{line}; print -r -- :done:$?:")
        self._child.expect(r":done:(\d+):")
        assert int(self._child.match[1]) == code, self._child.before
        printed: str = self._child.before
        return printed

    def start(self, line: str, *answers: tuple[str, str]) -> str:
        """Type a line that starts a shell, answer its questions, and wait for the prompt; what appeared."""
        self._child.sendline(line)
        shown = ""
        for question, answer in answers:
            self._child.expect_exact(question)
            shown += self._child.before
            self._child.sendline(answer)
        self._child.expect(r"(\w+)[^\w\n]* (\d+)h(\d+)m.*?> ")
        return shown + str(self._child.after)

    def leave(self, code: int) -> None:
        """Leave the shell that was started; the one below must get its exit code."""
        self._child.sendline(f"exit {code}")
        self._child.expect_exact(f"exit {code}")
        self._child.expect_exact("> ")
        self.run(f"[ $? = {code} ]")

    def close(self) -> None:
        self._child.sendline("exit")
        self._child.close()


@pytest.fixture
def person(home: Home, moto: MotoServer) -> Home:
    """A user of zsh with a key, a role and this project's prompt, whose ``aws-vault`` is the launcher."""
    home.configure(CONFIG)
    add(home, moto.alice)
    program = parts.need("zsh", shutil.which("zsh"), how="apt-get install zsh")
    home.env.update({**UNLOCKED, "PATH": f"{BIN}:{home.env['PATH']}", "SHELL": program})
    [prompt] = [fence for fence in documents.fences(PROMPTS) if fence.argument == ".zshrc"]
    (home.path / ".zshrc").write_text("PROMPT='> '\n", encoding="utf-8")
    prompt.write(home.path)
    return home


@pytest.fixture
def zsh(person: Home) -> Iterator[Zsh]:
    shell = Zsh(person, person.env["SHELL"])
    yield shell
    shell.close()


@pytest.mark.slow
def test_the_day_in_zsh(zsh: Zsh, aws_v1: Path) -> None:
    assert re.search(r"work +work +-", zsh.run("aws-vault list"))
    who = "aws sts get-caller-identity --output text --query"
    assert ACCOUNT in zsh.run(f"aws-vault exec work -- {who} Account")
    shown = zsh.start("aws-vault exec role", (f"MFA code for {MFA}: ", CODE))
    assert re.search(r"role[^\w\n]* \d+h\d+m", shown)
    assert "assumed-role/RoleA/" in zsh.run(f"{who} Arn")
    assert "role" in zsh.run("print -r -- $AWS_VAULT")
    zsh.run("unset AWS_ACCESS_KEY_ID")
    zsh.run(RENEW)
    assert "assumed-role/RoleA/" in zsh.run(f"{who} Arn")
    zsh.run("aws-vault exec role", code=2)
    zsh.leave(3)
    assert "<>" in zsh.run('print -r -- "<$AWS_VAULT>"')


class _Federation(BaseHTTPRequestHandler):
    """The least of a federation endpoint; that of the tests of ``login`` checks what it is asked."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"SigninToken": "TOKEN"}')

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def federation(person: Home) -> Iterator[str]:
    """The federation endpoint of the user."""
    server = HTTPServer(("127.0.0.1", 0), _Federation)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    person.env["AWS_VAULT_STS_SIGNIN_URL"] = f"http://127.0.0.1:{server.server_port}/federation"
    yield person.env["AWS_VAULT_STS_SIGNIN_URL"]
    server.shutdown()
    server.server_close()
    thread.join()


def test_login_s_prints_the_address_of_the_console(federation: str, zsh: Zsh) -> None:
    printed = zsh.run("aws-vault login -s work")
    assert re.search(r"Action=login\S*SigninToken=TOKEN", printed)


BROWSER = """#!{python}
import pathlib, sys, urllib.request
pathlib.Path({record!r}).write_text(" ".join(sys.argv[1:]))
urllib.request.urlopen(sys.argv[-1]).read()
"""


def test_login_opens_a_browser_without_a_credential_in_its_arguments(federation: str, person: Home, zsh: Zsh) -> None:
    browser, record = person.root / "browser", person.root / "arguments"
    browser.write_text(BROWSER.format(python=sys.executable, record=str(record)), encoding="utf-8")
    browser.chmod(0o755)
    zsh.run(f"export BROWSER={browser}")
    zsh.run("aws-vault login work")
    assert "TOKEN" not in record.read_text(encoding="utf-8")


def test_the_plugin_itself_runs_where_its_path_is_given(person: Home) -> None:
    plugin = os.environ.get(PLUGIN)
    if plugin is None:
        parts.miss("zsh-aws-vault", how=f"{PLUGIN}=/path/to/zsh-aws-vault.plugin.zsh; its command lines ran without it")
    with (person.path / ".zshrc").open("a", encoding="utf-8") as zshrc:
        zshrc.write(f"setopt prompt_subst\nsource {plugin}\n")
    shell = Zsh(person, person.env["SHELL"])
    assert "work" in shell.run("ave work -- printenv AWS_VAULT")
    shell.start("ave work")
    assert "work" in shell.run('print -P -- "$(prompt_aws_vault_segment)"')
    shell.run("avr")
    shell.leave(0)
    shell.close()
