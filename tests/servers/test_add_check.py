"""``awsv add --check``: AWS says who a key belongs to, and a key that it does not accept is not stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import Fault, RecordingProxy, bad_signature, error, unknown_key
from support.vaults import KEY_ID, PASSPHRASE, SECRET, UNLOCKED, data, ended, fill, offline, stored

SEED = {"work": (KEY_ID, SECRET)}


@pytest.fixture
def person(home: Home) -> Home:
    """A user with a store that holds one key, whose AWS is the front."""
    fill(home, SEED)
    return home


@pytest.fixture
def keys(moto: MotoServer) -> dict[str, str]:
    """The variables of alice's key."""
    return {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}


def identity(arn: str) -> Fault:
    """A response of GetCallerIdentity."""
    body = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{arn}</Arn><UserId>X</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
    return Fault(200, body.encode(), {"Content-Type": "text/xml"})


def test_check_shows_account_and_owner_before_the_key_is_stored(
    person: Home, front: RecordingProxy, moto: MotoServer, keys: dict[str, str]
) -> None:
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (0, 'Added credentials to profile "new" in vault\n')
    owner = f"{moto.alice.access_key_id} belongs to arn:aws:iam::{ACCOUNT}:user/alice in account {ACCOUNT}"
    lines = done.stderr.splitlines()
    assert lines.index(f"awsv: {owner}") < next(n for n, line in enumerate(lines) if "stored" in line)
    assert "root user" not in done.stderr
    assert [call.access_key_id for call in front.named("GetCallerIdentity")] == [moto.alice.access_key_id]
    assert stored(person) == {**SEED, "new": (moto.alice.access_key_id, moto.alice.secret_access_key)}


def test_add_without_check_does_not_ask_aws(person: Home, front: RecordingProxy, keys: dict[str, str]) -> None:
    done = person.awsv("add", "new", "--env", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    assert front.calls == []


def test_check_warns_of_a_key_of_the_root_user(person: Home, front: RecordingProxy, keys: dict[str, str]) -> None:
    front.on("GetCallerIdentity", identity(f"arn:aws:iam::{ACCOUNT}:root"))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    assert "warning: this is a key of the account's root user" in done.stderr


@pytest.mark.parametrize("fault", [unknown_key(), bad_signature()], ids=["unknown-id", "wrong-secret"])
@pytest.mark.parametrize("profile", ["work", "new"])
def test_check_of_a_dead_key_changes_nothing(
    profile: str, fault: Fault, person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    before = data(person)
    front.on("GetCallerIdentity", fault)
    done = person.awsv("add", profile, "--env", "--check", "--overwrite", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (6, "")
    message, hint = done.stderr.splitlines()
    assert keys["AWS_ACCESS_KEY_ID"] in message
    assert message.endswith("; nothing was changed")
    assert hint.startswith("hint: check both values")
    assert keys["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    assert data(person) == before


def test_check_of_a_dead_key_creates_no_store(home: Home, front: RecordingProxy, keys: dict[str, str]) -> None:
    front.on("GetCallerIdentity", unknown_key())
    done = home.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (6, "")
    assert data(home) == {}


def test_check_waits_until_aws_knows_a_key_that_was_just_created(
    person: Home, front: RecordingProxy, moto: MotoServer
) -> None:
    front.on("GetCallerIdentity", unknown_key(), times=2)
    key = {"AccessKeyId": moto.alice.access_key_id, "SecretAccessKey": moto.alice.secret_access_key}
    done = person.awsv("add", "new", "--check", input=json.dumps({"AccessKey": key}), env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert len(front.named("GetCallerIdentity")) == 3
    assert done.stderr.count(f"AWS does not accept {moto.alice.access_key_id} yet") == 1
    assert "new" in stored(person)


def test_check_without_aws_and_without_a_terminal_stores_nothing(tmp_path: Path, keys: dict[str, str]) -> None:
    home = offline(tmp_path)
    fill(home, SEED)
    before = data(home)
    done = home.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (6, "")
    assert "was neither checked nor stored: 127.0.0.1:9 cannot be reached" in done.stderr
    assert done.stderr.splitlines()[-1] == "hint: repeat when AWS can be reached, or without --check"
    assert data(home) == before


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130), ("\x03", 130)])
def test_check_without_aws_asks_whether_to_store_the_key_unchecked(
    answer: str, code: int, tmp_path: Path, keys: dict[str, str]
) -> None:
    home = offline(tmp_path)
    fill(home, SEED)
    child = home.spawn("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    child.expect_exact("was not checked: 127.0.0.1:9 cannot be reached")
    child.expect_exact("Store it unchecked? [y/N] ")
    child.send(answer if answer == "\x03" else f"{answer}\r")
    assert ended(child) == code
    assert ("new" in stored(home)) == (answer == "y")


def test_check_of_a_throttled_answer_is_not_taken_for_a_dead_key(
    person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    front.on("GetCallerIdentity", error(400, "Throttling", "Rate exceeded"))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 6
    assert "neither checked nor stored" in done.stderr
    assert stored(person) == SEED


def test_check_at_a_terminal_before_a_new_store_is_made(home: Home, moto: MotoServer) -> None:
    child = home.spawn("add", "new", "--check")
    for question, answer in (
        ("Enter Access Key ID: ", moto.alice.access_key_id),
        ("Enter Secret Access Key: ", moto.alice.secret_access_key),
        (f"belongs to arn:aws:iam::{ACCOUNT}:user/alice", None),
        ("New passphrase for store 'file': ", PASSPHRASE),
        ("Repeat passphrase: ", PASSPHRASE),
        ("[Y/n] ", "n"),
    ):
        child.expect_exact(question)
        if answer is not None:
            child.sendline(answer)
    assert ended(child) == 0


# -- the MFA device ----------------------------------------------------------------------------------------------------

CODES = f"arn:aws:iam::{ACCOUNT}:mfa/ana"
SECURITY_KEY = f"arn:aws:iam::{ACCOUNT}:u2f/user/ana/key-ABCDEFG"
CONFIG = "# mine\n[profile other]\nregion = eu-west-1\n\n[profile new]\nregion = eu-west-1 \n\n[profile last]\n"


def devices(*serials: str) -> Fault:
    """A response of ListMFADevices."""
    members = "".join(
        f"<member><UserName>alice</UserName><SerialNumber>{serial}</SerialNumber>"
        "<EnableDate>2026-01-01T00:00:00Z</EnableDate></member>"
        for serial in serials
    )
    body = (
        '<ListMFADevicesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListMFADevicesResult>'
        f"<MFADevices>{members}</MFADevices><IsTruncated>false</IsTruncated></ListMFADevicesResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ListMFADevicesResponse>"
    )
    return Fault(200, body.encode(), {"Content-Type": "text/xml"})


@pytest.mark.parametrize("answer", ["y", "n"])
def test_mfa_device_of_the_user_is_offered_as_a_change_of_the_config(
    answer: str, person: Home, front: RecordingProxy, moto: MotoServer
) -> None:
    key = moto.create_user(f"mfa-{answer}")
    iam = moto.client("iam")
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"mfa-{answer}")["VirtualMFADevice"]
    serial = made["SerialNumber"]
    iam.enable_mfa_device(
        UserName=f"mfa-{answer}", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )
    person.configure(CONFIG)
    keys = {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}
    child = person.spawn("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    child.expect_exact(f"+mfa_serial = {serial}")
    child.expect_exact(f"Change {person.config} like this, to make sessions of new with an MFA code? [y/N] ")
    child.sendline(answer)
    assert ended(child) == 0
    changed = CONFIG.replace("eu-west-1 \n", f"eu-west-1 \nmfa_serial = {serial}\n")
    assert person.config.read_text(encoding="utf-8") == (changed if answer == "y" else CONFIG)
    assert (f"add to [profile new] in {person.config}: mfa_serial = {serial}" in child.before) == (answer == "n")
    assert "new" in stored(person)
    assert [call.access_key_id for call in front.named("ListMFADevices")] == [key.access_key_id]


def test_profile_without_a_section_gets_one_with_the_mfa_device(
    person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    person.config.unlink()
    front.on("ListMFADevices", devices(CODES))
    child = person.spawn("add", "a b", "--env", "--check", env={**UNLOCKED, **keys})
    child.expect_exact("[y/N] ")
    child.sendline("y")
    assert ended(child) == 0
    wanted = f"# written by 'awsv add --check'\n[profile \"a b\"]\nmfa_serial = {CODES}\n"
    assert person.config.read_text(encoding="utf-8") == wanted
    shown = person.awsv("explain", "a b", "--json")
    assert CODES in shown.stdout, shown


def test_mfa_device_without_a_terminal_is_shown_as_the_line_to_add(
    person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    before = person.config.read_bytes()
    front.on("ListMFADevices", devices(CODES))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    assert f"add to [profile new] in {person.config}: mfa_serial = {CODES}\n" in done.stderr
    assert person.config.read_bytes() == before


@pytest.mark.parametrize(
    ("serials", "note"),
    [
        ((), None),
        ((SECURITY_KEY,), "the user's MFA devices are security keys (FIDO), and API calls need a device that shows"),
        ((SECURITY_KEY, CODES), f"add to [profile new] in … mfa_serial = {CODES}"),
        (("GAHT12345678",), "add to [profile new] in … mfa_serial = GAHT12345678"),
        ((CODES, "GAHT12345678"), f"the user has 2 MFA devices: {CODES}, GAHT12345678"),
    ],
    ids=["none", "fido", "fido-and-app", "hardware", "two"],
)
def test_only_devices_with_codes_are_offered(
    serials: tuple[str, ...], note: str | None, person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    front.on("ListMFADevices", devices(*serials))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    if note is None:
        assert "MFA" not in done.stderr
    else:
        assert all(part in done.stderr for part in note.split(" … "))
    assert f"mfa_serial = {SECURITY_KEY}" not in done.stderr


@pytest.mark.parametrize("key", ["mfa_serial", "vault_mfa_serial"])
def test_configured_mfa_device_is_compared_with_those_of_the_user(
    key: str, person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    person.configure(f"[profile new]\n{key} = {CODES}\n")
    front.on("ListMFADevices", devices(CODES, "GAHT12345678"), times=1)
    same = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (same.returncode, "MFA" in same.stderr, "mfa_serial" in same.stderr) == (0, False, False)
    front.on("ListMFADevices", devices("GAHT12345678"))
    other = person.awsv("add", "new", "--env", "--check", "--overwrite", env={**UNLOCKED, **keys})
    assert other.returncode == 0
    assert (
        f"warning: mfa_serial ({person.config}:2) is not a device of the user, which has GAHT12345678" in other.stderr
    )


def test_a_user_who_may_not_list_mfa_devices_adds_the_key(
    person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    front.on("ListMFADevices", error(403, "AccessDenied", "not authorized to perform: iam:ListMFADevices"))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    assert "awsv: MFA devices were not looked for: " in done.stderr
    assert "iam:ListMFADevices" in done.stderr
    assert "new" in stored(person)


def test_a_config_that_cannot_be_changed_is_a_note_as_the_key_is_stored(
    person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    person.configure("[profile new]\nregion = eu-west-1\n[profile  new]\nregion = eu-west-1\n")
    front.on("ListMFADevices", devices(CODES))
    child = person.spawn("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert ended(child) == 0
    assert "has two sections, in lines 1 and 3" in child.before
    assert f"mfa_serial = {CODES}" in child.before
    assert "new" in stored(person)


def test_iam_is_asked_at_the_endpoint_that_is_configured_for_it(
    person: Home, front: RecordingProxy, moto: MotoServer, keys: dict[str, str]
) -> None:
    nowhere = {"AWS_ENDPOINT_URL": None, "AWS_ENDPOINT_URL_STS": moto.url, "AWS_ENDPOINT_URL_IAM": front.url}
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys, **nowhere})
    assert done.returncode == 0, done.stderr
    assert front.actions == ["ListMFADevices"]


def test_an_endpoint_of_iam_that_is_refused_does_not_keep_the_key_out(person: Home, keys: dict[str, str]) -> None:
    env = {**UNLOCKED, **keys, "AWS_ENDPOINT_URL_IAM": "http://iam.example"}
    done = person.awsv("add", "new", "--env", "--check", env=env)
    assert done.returncode == 0, done.stderr
    assert "awsv: MFA devices were not looked for: " in done.stderr
    assert "http://iam.example" in done.stderr
    assert "new" in stored(person)
