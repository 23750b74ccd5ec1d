"""What ``docs/stolen.md`` tells is so: its consoles are run on two machines, while a thief uses each key in a loop."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support import documents, quarantine
from support.home import Home
from support.iam_front import IamFront
from support.moto import ACCOUNT, REGION
from support.stored import UNLOCKED, add, until

DRILL = Path(__file__).parents[2] / "docs/stolen.md"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/RoleA"
ANSWERS = {r"\[y/N\] ": "y", r"\[Y/n\] ": "n"}


class Thief:
    """Uses a key, and a session that was made with it, again and again."""

    def __init__(self, iam: IamFront, key_id: str) -> None:
        self.iam, self.key_id = iam, key_id
        secret = iam.keys[key_id].secret
        self._key = self._client(key_id, secret)
        session = self._key.get_session_token()["Credentials"]
        self.session_id = session["AccessKeyId"]
        self._session = self._client(self.session_id, session["SecretAccessKey"], session["SessionToken"])
        self.over = threading.Event()
        self.tries: dict[str, int] = {key_id: 0, self.session_id: 0}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _client(self, key_id: str, secret: str, token: str | None = None) -> Any:
        return boto3.client(
            "sts",
            endpoint_url=self.iam.url,
            region_name=REGION,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def _run(self) -> None:
        while not self.over.is_set():
            for key_id, client in ((self.key_id, self._key), (self.session_id, self._session)):
                with suppress(ClientError, BotoCoreError):
                    client.get_caller_identity()
                self.tries[key_id] += 1
            self.over.wait(0.01)

    def goes_on(self) -> None:
        """Wait until both were tried again."""
        seen = dict(self.tries)
        until(lambda: all(self.tries[key] > count + 1 for key, count in seen.items()), "the thief tries again")

    def is_still_served(self) -> None:
        """The quarantine takes neither the key nor the session, nor the roles that trust the user."""
        count = len(self.iam.calls)
        self.goes_on()
        assert {call.key for call in self.iam.calls[count:] if call.accepted} >= {self.key_id, self.session_id}
        assert self._key.assume_role(RoleArn=ROLE, RoleSessionName="thief")["Credentials"]
        with pytest.raises(ClientError, match=quarantine.ARN):
            self._key.get_session_token()

    def stop(self) -> None:
        self.over.set()
        self._thread.join()


@contextmanager
def stealing(iam: IamFront, key_id: str) -> Iterator[Thief]:
    thief = Thief(iam, key_id)
    try:
        thief.goes_on()
        assert {"GetSessionToken", "GetCallerIdentity"} <= set(iam.signed_by(key_id))
        yield thief
    finally:
        thief.stop()


def active_key(iam: IamFront, user: str) -> str:
    [found] = [key for key, active in iam.at_iam(user).items() if active]
    return found


def nothing_signed(iam: IamFront, thief: Thief) -> None:
    """After its deactivation the key signed no call that was accepted; the session none from now on."""
    thief.goes_on()
    after = [call for call in iam.calls[iam.ended[thief.key_id] :] if call.key == thief.key_id]
    assert after, "the thief went on"
    assert not any(call.accepted for call in after)
    count = len(iam.calls)
    thief.goes_on()
    assert not any(call.accepted for call in iam.calls[count:] if call.key in (thief.key_id, thief.session_id))


@pytest.fixture
def machines(rotating: Home, tmp_path: Path, iam: IamFront) -> dict[str, Home]:
    """The laptop, with bob's key as ``work`` and, for the first drill, an administrator; and the desk."""
    admin = f"[profile admin]\nregion = {REGION}\n"
    rotating.configure(f"{admin}[profile work]\n[profile app]\nrole_arn = {ROLE}\nsource_profile = work\n")
    desk = Home(tmp_path / "desk", iam.url)
    desk.env |= UNLOCKED
    desk.configure(admin)
    add(desk, iam.user("admin"), "admin")
    return {"laptop": rotating, "desk": desk}


def the_admin_is_on_the_laptop(machines: dict[str, Home], iam: IamFront) -> Callable[[], None]:
    add(machines["laptop"], iam.key("admin"), "admin")
    return lambda: machines["laptop"].awsv("remove", "--force", "admin").check_returncode()


def test_the_drills_do_what_they_show(
    machines: dict[str, Home], iam: IamFront, aws_v1: Path, record_property: Callable[[str, object], None]
) -> None:
    laptop, desk = machines["laptop"], machines["desk"]
    first, leaked, refused, way_out, detach, stolen, make, store, rehearsal = [
        fence for fence in documents.fences(DRILL) if fence.mark == "run"
    ]

    def act(what: str, fence: documents.Fence) -> None:
        assert fence.argument is not None
        began = time.monotonic()
        documents.act(machines[fence.argument], fence, ANSWERS)
        taken = f"{time.monotonic() - began:.1f} s"
        record_property(what, taken)
        sys.stdout.write(f"{what}: {taken}\n")  # shown by pytest -rP

    remove_admin = the_admin_is_on_the_laptop(machines, iam)
    with stealing(iam, iam.bob.access_key_id) as thief:
        act("a leaked key", leaked)
        nothing_signed(iam, thief)

    iam.revoked.clear()
    with stealing(iam, active_key(iam, "bob")) as thief:
        iam.quarantine("bob")
        act("a key that AWS found, refused", refused)
        thief.is_still_served()
        act("a key that AWS found, with an administrator", way_out)
        nothing_signed(iam, thief)
    assert iam.quarantined == {"bob"}
    act("the end of the quarantine", detach)
    assert iam.quarantined == set()
    remove_admin()

    act("the inventory", first)
    current = active_key(iam, "bob")
    (desk.cwd / "inventory.json").write_bytes((laptop.cwd / "inventory.json").read_bytes())
    iam.revoked.clear()
    with stealing(iam, current) as thief:
        act("a stolen laptop", stolen)
        nothing_signed(iam, thief)
    assert iam.revoked.keys() == {("user", "bob"), ("role", "RoleA")}
    assert [key for key, state in iam.keys.items() if state.active and state.user == "bob"] == []

    act("the user of the rehearsal", make)
    (laptop.cwd / "canary.json").write_bytes((desk.cwd / "canary.json").read_bytes())
    act("its store", store)
    (desk.cwd / "canary-inventory.json").write_bytes((laptop.cwd / "canary-inventory.json").read_bytes())
    [canary] = [key for key, state in iam.keys.items() if state.user == "canary"]
    with stealing(iam, canary) as thief:
        act("the rehearsal", rehearsal)
        nothing_signed(iam, thief)
    assert [state.user for state in iam.keys.values() if state.active] == ["admin", "admin"]


def test_thief_is_seen_if_the_key_is_not_deactivated(machines: dict[str, Home], iam: IamFront) -> None:
    with stealing(iam, iam.bob.access_key_id) as thief:
        iam.ended[thief.key_id] = len(iam.calls)
        with pytest.raises(AssertionError):
            nothing_signed(iam, thief)


def test_nothing_in_the_page_is_left_out() -> None:
    assert {fence.mark for fence in documents.fences(DRILL)} == {"run", "file"}
    assert documents.dead_links(DRILL) == []
