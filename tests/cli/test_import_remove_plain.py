"""Copy, wire, remove, undo: all steps with sixty profiles, and every condition under which a step is refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, fill, offline, store_path, stored

COPY = ("import", "credentials-file")
WIRE = ("config", "credential-process", "--all", "--yes")
REMOVE = ("import", "--remove-plain", "--yes")
UNDO = ("import", "undo")
SEED = {"seed": (OTHER_ID, OTHER_SECRET)}
COUNT = 60


def key(number: int) -> tuple[str, str]:
    return f"AKIAIOSFODNN7EXAM{number:03}", f"wJalrXUtnFEMI/K7MDENG+bPxRfiCANARY0{number:05}"


def files() -> tuple[bytes, bytes]:
    """A config and a credentials file that grew for years: comments, odd margins, mixed line ends, sessions."""
    config, credentials = ["# mine\r\n[default]\r\nregion = eu-west-1\r\n"], ["; do not commit\r\n\r\n"]
    for number in range(COUNT):
        name = "default" if number == 0 else f"p{number} x" if number % 10 == 3 else f"profile-{number}"
        end = "\r\n" if number % 3 == 0 else "\n"
        margin = "\t" if number % 7 == 1 else "  " if number % 5 == 2 else ""
        key_id, secret = key(number)
        lines = [
            f"[{name}]",
            f"{margin}aws_access_key_id{' = ' if number % 2 else '='}{key_id}",
            *([f"{margin}# rotated in {2000 + number}"] if number % 4 == 0 else []),
            f"{margin}AWS_SECRET_ACCESS_KEY : {secret}"
            if number % 6 == 5
            else f"{margin}aws_secret_access_key={secret}",
            *([f"{margin}region = us-east-{number}"] if number % 8 == 6 else []),
            *([""] * (number % 3)),
        ]
        credentials.append(end.join(lines) + end)
        if number % 2 and number % 10 != 3:
            config.append(f"{end}[profile {name}]{end}{margin}output = json{end}# {number}{end}")
        if number % 20 == 9:
            credentials.append(
                f"[sso-{number}]\naws_access_key_id=ASIA\naws_secret_access_key=x\naws_session_token=y\n\n"
            )
    config.append("[profile role]\nrole_arn = arn:aws:iam::123456789012:role/Admin\nsource_profile = profile-1\n")
    credentials.append("# the end, without a line end")
    return "".join(config).encode(), "".join(credentials).encode()


@pytest.fixture
def person(tmp_path: Path) -> Home:
    """A user with sixty plain keys and a store."""
    home = offline(tmp_path)
    fill(home, SEED)
    config, credentials = files()
    home.config.write_bytes(config)
    home.credentials.write_bytes(credentials)
    home.credentials.chmod(0o640)
    return home


@pytest.fixture
def small(tmp_path: Path) -> Home:
    """A user with two plain keys, copied and wired."""
    home = offline(tmp_path)
    fill(home, SEED)
    home.credentials.write_text(
        f"[one]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
        f"# two\n[two]\naws_access_key_id = {OTHER_ID}\naws_secret_access_key = {OTHER_SECRET}\nregion = eu-west-1\n"
    )
    home.credentials.chmod(0o600)
    assert home.awsv(*COPY, env=UNLOCKED).returncode == 0
    assert home.awsv(*WIRE, env=UNLOCKED).returncode == 0
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_sixty_profiles_import_and_undo(person: Home) -> None:
    config, credentials = person.config.read_bytes(), person.credentials.read_bytes()
    said = []
    for words in (COPY, WIRE, REMOVE):
        done = person.awsv(*words, env=UNLOCKED)
        said.append(done.stdout + done.stderr)
        assert done.returncode == 0, done.stderr
    assert sorted(stored(person).values()) == sorted([(OTHER_ID, OTHER_SECRET), *map(key, range(COUNT))])
    left = person.credentials.read_bytes()
    assert b"AKIA" not in left
    assert b"CANARY" not in left
    assert left.count(b"ASIA") == 3
    assert left.count(b"# rotated in") == 15
    assert left.startswith(b"; do not commit\r\n")
    assert left.endswith(b"# the end, without a line end")
    assert mode(person.credentials) == 0o640
    assert "replaced by a new one" in said[2]
    assert "erased" not in said[2].lower()
    for number in range(COUNT):
        assert key(number)[1] not in "".join(said)
    got = person.awsv("exec", "-j", "-n", "p13 x", env=UNLOCKED)
    assert json.loads(got.stdout)["AccessKeyId"] == key(13)[0]
    for undoing in (UNDO, ("config", "credential-process", "--all", "--undo", "--yes")):
        done = person.awsv(*undoing, env=UNLOCKED)
        assert done.returncode == 0, done.stderr
    assert person.credentials.read_bytes() == credentials
    assert person.config.read_bytes() == config
    assert mode(person.credentials) == 0o640
    assert sorted(path.name for path in person.credentials.parent.iterdir()) == ["config", "credentials"]


def test_sdk_runs_awsv_after_the_removal(small: Home, aws_v1: Path) -> None:
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert small.credentials.read_text() == "[one]\n# two\n[two]\nregion = eu-west-1\n"
    small.config.write_text(small.config.read_text().replace("exec -j", "exec -j -n"))
    got = small.run(aws_v1, "configure", "get", "aws_access_key_id", "--profile", "one", env=UNLOCKED)
    assert KEY_ID not in got.stdout
    shown = small.run(aws_v1, "configure", "list", "--profile", "one", env=UNLOCKED)
    assert "custom-process" in shown.stdout, shown.stderr


def test_remove_unlocks_the_store_again(small: Home) -> None:
    before = small.credentials.read_bytes()
    done = small.awsv(*REMOVE, env={"AWS_VAULT_FILE_PASSPHRASE": "wrong"})
    assert (done.returncode, done.stdout) == (5, "")
    assert small.credentials.read_bytes() == before


def test_remove_before_the_copy_is_refused(tmp_path: Path) -> None:
    home = offline(tmp_path)
    fill(home, SEED)
    home.credentials.write_text(f"[one]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    done = home.awsv(*REMOVE, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint: awsv import credentials-file" in done.stderr


def test_messages_use_the_singular_for_one_key(tmp_path: Path) -> None:
    home = offline(tmp_path)
    fill(home, SEED)
    home.credentials.write_text(f"[one]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    said = [home.awsv(*words, env=UNLOCKED).stderr for words in ((*COPY, "--dry-run"), COPY, WIRE, WIRE, REMOVE)]
    assert "awsv: nothing was written: 1 of 1 key would be stored in" in said[0]
    assert f"awsv: 1 key from {home.credentials} is in" in said[1]
    assert "awsv: removed the keys of 1 profile from" in said[4]
    assert [word for word in said if "1 keys" in word or "1 profiles" in word] == []


def test_remove_changed_file_is_refused(small: Home) -> None:
    with small.credentials.open("a") as file:
        file.write("# later\n")
    before = small.credentials.read_bytes()
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (4, "")
    assert "has changed since it was copied" in done.stderr
    assert small.credentials.read_bytes() == before
    assert small.awsv(*COPY, env=UNLOCKED).returncode == 0
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 0


@pytest.mark.parametrize("instead", [None, (OTHER_ID, SECRET)], ids=["nothing", "another key"])
def test_remove_key_that_is_not_stored_is_kept(small: Home, instead: tuple[str, str] | None) -> None:
    assert small.awsv("remove", "--force", "one", env=UNLOCKED).returncode == 0
    if instead:
        fill(small, {"one": instead})
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 7
    assert "the plain keys of 1 profile are still in" in done.stderr
    assert "'one': the vault does not hold this key\nhint: awsv import credentials-file, then repeat" in done.stderr
    assert SECRET in small.credentials.read_text()
    assert OTHER_SECRET not in small.credentials.read_text()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("", "no SDK would find credentials\nhint: awsv config credential-process --all, then repeat\n"),
        ("[profile one]\ncredential_process = /bin/other\n", "the SDKs would take credential_process"),
        ("[profile one]\ncredential_process = /bin/aws-vault exec --json one\n", "would take credential_process"),
        ("[profile one]\nrole_arn = arn:aws:iam::123456789012:role/A\nsource_profile=x\n", "would take role_arn"),
        (
            f"[profile one]\naws_access_key_id = a\ncredential_process = {PROGRAM} exec -j one\n",
            "would take aws_access",
        ),
        (f"[profile one]\ncredential_process = {PROGRAM} exec -j two\n", "the SDKs would take credential_process"),
    ],
)
def test_remove_key_of_an_unwired_profile_is_kept(small: Home, config: str, reason: str) -> None:
    small.configure(config)
    before = small.credentials.read_bytes()
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 7
    assert reason in done.stderr
    assert small.credentials.read_bytes() == before


def test_remove_groups_kept_keys_by_reason_with_new_line_numbers(small: Home) -> None:
    with small.credentials.open("a") as file:
        file.write("[half]\naws_access_key_id = AKIA\n[other half]\naws_access_key_id = AKIA\n")
    small.awsv(*COPY, env=UNLOCKED)
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 7
    half = small.credentials.read_text().splitlines().index("[half]") + 1
    assert half < 9  # where it was
    assert f"'half': it has no aws_secret_access_key (line {half}); 'other half'" in done.stderr
    assert "hint: fix or remove those lines by hand, then repeat" in done.stderr
    small.configure("")
    assert small.awsv(*UNDO, env=UNLOCKED).returncode == 0
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert "'one', 'two': without it no SDK would find credentials" in done.stderr
    assert "hint: awsv config credential-process --all, then repeat" in done.stderr


def test_remove_key_in_the_default_section_is_kept(small: Home) -> None:
    small.credentials.write_text(f"[DEFAULT]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n[one]\n")
    assert small.awsv(*COPY, env=UNLOCKED).returncode == 0
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 7
    assert "its key is in [DEFAULT]" in done.stderr


def test_wire_skips_sessions_and_names_keys_that_were_not_copied(small: Home) -> None:
    text = "[temporary]\naws_access_key_id=ASIA\naws_secret_access_key=x\naws_session_token=y\n"
    small.credentials.write_text(text)
    small.configure("[profile temporary]\nregion = eu-west-1\n")
    fill(small, {"temporary": (KEY_ID, SECRET)})
    done = small.awsv(*WIRE, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert f"they take the session in {small.credentials}:1 first" in done.stderr
    assert "exec -j temporary" not in small.config.read_text()
    small.credentials.write_text(text.replace("aws_session_token=y\n", ""))
    done = small.awsv(*WIRE, env=UNLOCKED)
    assert done.returncode == 2
    assert "'awsv import credentials-file'" in done.stderr


def test_remove_warns_of_a_commented_secret(small: Home) -> None:
    with small.credentials.open("a") as file:
        file.write("# aws_secret_access_key = CANARY\n")
    assert small.awsv(*COPY, env=UNLOCKED).returncode == 0
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 0
    assert "seem to contain a secret, in line 5; they were not removed" in done.stderr
    assert "CANARY" not in done.stderr


@pytest.mark.parametrize("kind", ["symlink", "read-only"])
def test_remove_prints_a_patch_for_a_link_or_a_read_only_file(small: Home, kind: str) -> None:
    target = small.credentials
    if kind == "symlink":
        target = small.root / "dotfiles"
        small.credentials.rename(target)
        small.credentials.symlink_to(target)
    else:
        target.chmod(0o400)
    before = target.read_bytes()
    done = small.awsv(*REMOVE, env=UNLOCKED)
    assert done.returncode == 2
    assert "The patch on standard output only deletes lines" in done.stderr
    assert target.read_bytes() == before
    assert SECRET not in done.stdout + done.stderr
    target.chmod(0o600)
    lines = before.decode().splitlines(keepends=True)
    for command in done.stdout.split():  # as ed(1) does, which need not be installed
        first, _, last = command.rstrip("d").partition(",")
        del lines[int(first) - 1 : int(last or first)]
    target.write_text("".join(lines))
    assert target.read_text() == "[one]\n# two\n[two]\nregion = eu-west-1\n"
    undone = small.awsv(*UNDO, env=UNLOCKED)
    assert undone.returncode == 0, undone.stderr
    assert small.credentials.read_bytes() == before
    assert small.credentials.is_symlink() is (kind == "symlink")


def test_undo_reverts_two_removals(small: Home) -> None:
    before, config = small.credentials.read_bytes(), small.config.read_text()
    small.config.write_text(config.split("# written")[0] + "# written" + config.split("# written")[1])
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 7
    small.config.write_text(config)
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    assert b"aws_secret" not in small.credentials.read_bytes()
    assert small.awsv(*UNDO, env=UNLOCKED).returncode == 0
    assert small.credentials.read_bytes() == before
    assert small.awsv(*UNDO, env=UNLOCKED).returncode == 4


def test_undo_changed_file_needs_overwrite(small: Home) -> None:
    before = small.credentials.read_bytes()
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    with small.credentials.open("a") as file:
        file.write("[later]\nregion = x\n")
    later = small.credentials.read_bytes()
    refused = small.awsv(*UNDO, env=UNLOCKED)
    assert (refused.returncode, refused.stdout) == (4, "")
    assert small.credentials.read_bytes() == later
    assert small.awsv(*UNDO, "--overwrite", env=UNLOCKED).returncode == 0
    assert small.credentials.read_bytes() == before
    assert small.awsv(*UNDO, env=UNLOCKED).returncode == 0
    assert small.credentials.read_bytes() == later


def test_undo_restores_a_deleted_file_with_its_mode(small: Home) -> None:
    before = small.credentials.read_bytes()
    small.credentials.chmod(0o644)
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    small.credentials.unlink()
    assert small.awsv(*UNDO, "--overwrite", env=UNLOCKED).returncode == 0
    assert (small.credentials.read_bytes(), mode(small.credentials)) == (before, 0o644)


def test_backup_is_sealed(small: Home) -> None:
    before = small.credentials.read_bytes()
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    for path in small.root.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    assert "original" not in small.awsv("list", "--credentials", env=UNLOCKED).stdout
    assert before


def test_remove_asks_in_a_terminal(small: Home) -> None:
    before = small.credentials.read_bytes()
    for answer, says, code in (("n", "nothing was changed", 130), ("y", "removed the keys", 0)):
        assert small.credentials.read_bytes() == before
        child = small.spawn("import", "--remove-plain", env=UNLOCKED)
        child.expect_exact("like this?")
        child.sendline(answer)
        child.expect_exact(says)
        child.wait()
        child.close()
        assert child.exitstatus == code
    assert small.credentials.read_bytes() != before


def test_remove_ctrl_c_at_the_question_changes_nothing(small: Home) -> None:
    before = small.credentials.read_bytes()
    child = small.spawn("import", "--remove-plain", env=UNLOCKED)
    child.expect_exact("like this?")
    child.sendintr()
    child.wait()
    child.close()
    assert child.exitstatus == 130
    assert small.credentials.read_bytes() == before


def test_remove_full_disk_changes_nothing(small: Home) -> None:
    """A limit on the size of files stands in for a full disk."""
    small.credentials.write_bytes(small.credentials.read_bytes() + b"# " + b"x" * 100_000 + b"\n")
    assert small.awsv(*COPY, env=UNLOCKED).returncode == 0
    before, size = small.credentials.read_bytes(), store_path(small).stat().st_size
    for blocks in ((size + 1024) // 512, 150):
        done = small.limited(blocks, *REMOVE, env=UNLOCKED)
        assert done.returncode in (2, 4), (done.returncode, done.stderr)
        assert small.credentials.read_bytes() == before
        assert [path.name for path in small.credentials.parent.iterdir() if "awsv" in path.name] == []
    assert small.awsv(*REMOVE, env=UNLOCKED).returncode == 0
    assert small.awsv(*UNDO, env=UNLOCKED).returncode == 0
    assert small.credentials.read_bytes() == before


@pytest.mark.parametrize("words", [("-n",), ("-y",), ("--remove-plain", "undo"), ("-y", "undo"), ()])
def test_import_invalid_options_are_usage_errors(small: Home, words: tuple[str, ...]) -> None:
    done = small.awsv("import", *words, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")


def test_remove_dry_run_prints_the_change(small: Home) -> None:
    before = small.credentials.read_bytes()
    done = small.awsv("import", "--remove-plain", "--dry-run", env=UNLOCKED)
    assert done.returncode == 0
    assert f"-aws_access_key_id = {KEY_ID}" in done.stdout
    assert "-aws_secret_access_key = ***" in done.stdout
    assert small.credentials.read_bytes() == before
