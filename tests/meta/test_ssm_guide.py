"""What the guide to SSM tells is so: its consoles are run from the first to the last, in one home."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import documents, parts
from support.documents import Answers
from support.home import Home
from support.moto import REGION, MotoServer
from support.recording_proxy import running

GUIDE = Path(__file__).parents[2] / "docs/ssm.md"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[MotoServer]:
    """An account of its own: the guide makes users, keys and parameters by fixed names."""
    parts.need("moto_server", MotoServer.program(), how="pip install 'moto[server]'")
    server = MotoServer(tmp_path)
    server.warm_parameters()
    yield server
    server.stop()


def answers(aws: MotoServer) -> Answers:
    return {
        r"Enter Access Key ID: ": aws.alice.access_key_id,
        r"Enter Secret Access Key: ": aws.alice.secret_access_key,
        r"New passphrase for store '\w+': ": "correct horse",
        r"Repeat passphrase: ": "correct horse",
        r"Passphrase to unlock store 'reader': ": "correct horse",
        r"paper\? \[Y/n\] ": lambda shown: "n" if "'reader'" in shown else "",
        r"Type the last group to confirm you wrote it down: ": lambda shown: re.findall(r"-([A-Z2-7]{4})\s", shown)[-1],
    }


@pytest.mark.slow
def test_the_guide_does_what_it_shows(aws: MotoServer, tmp_path: Path, aws_v1: Path) -> None:
    with running(aws.url) as front:
        home = Home(tmp_path / "machine", front.url)
        home.configure(f"[profile admin]\nregion = {REGION}\n")
        home.credentials.write_text(
            f"[admin]\naws_access_key_id = {aws.alice.access_key_id}\n"
            f"aws_secret_access_key = {aws.alice.secret_access_key}\n"
        )
        done = 0
        for fence in documents.fences(GUIDE):
            if fence.mark == "file":
                fence.write(home.path)
            elif fence.mark == "run":
                documents.act(home, fence, answers(aws), state=tmp_path / "state")
                done += 1
        assert done == 10
        reads = front.named("GetParameter")
        [reader] = aws.client("iam").list_access_keys(UserName="vault-reader")["AccessKeyMetadata"]
        plain = [call for call in reads if not call.session_token]
        assert {call.access_key_id for call in plain} == {reader["AccessKeyId"]}
        assert len(reads) - len(plain) == 1  # of the third way: by a session from the other store


def test_nothing_in_the_guide_is_left_out() -> None:
    assert {fence.mark for fence in documents.fences(GUIDE)} == {"run", "file"}
    assert documents.dead_links(GUIDE) == []
