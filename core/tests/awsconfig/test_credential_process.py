"""What the wiring proposes: which lines change, what it refuses, and that it can be taken back byte for byte."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vault_core.awsconfig.credential_process import Proposal, propose
from vault_core.awsconfig.redacted_diff import patch
from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import ConfigError

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
HERE = Path("/home/someone/.aws/config")
CREDENTIALS = Path("/home/someone/.aws/credentials")
AWSV = Path("/opt/bin/awsv")


def proposed(raw: bytes | str, *names: str, credentials: bytes = b"", **options: Any) -> Proposal:
    raw = raw.encode() if isinstance(raw, str) else raw
    launcher = options.pop("launcher", AWSV)
    config = AwsConfig.parse(raw, credentials, HERE, CREDENTIALS)
    return propose(config, raw, names or list(config.profiles), launcher, **options)


def refusal(proposal: Proposal, name: str) -> str:
    """The message for a profile that was refused; nothing may be changed."""
    assert (proposal.changed, proposal.after) == ([], proposal.before)
    error = {**proposal.skipped, **proposal.blocked}[name]
    assert isinstance(error, ConfigError)
    assert error.hint
    return error.message


def test_a_plain_profile_gets_one_line() -> None:
    proposal = proposed("[profile a]\nregion = x\nmfa_serial = m\n\n[profile b]\n", "a")
    assert proposal.changed == ["a"]
    assert proposal.after == (
        b"[profile a]\nregion = x\nmfa_serial = m\ncredential_process = /opt/bin/awsv exec -j a\n\n[profile b]\n"
    )


def test_a_role_profile_has_its_keys_renamed_in_place() -> None:
    before = (
        "[profile r]\r\n  Role_ARN=arn:x\r\n  # mine\r\n  source_profile : a\r\n  mfa_serial = m\r\n  external_id = e"
    )
    after = (
        "[profile r]\r\n  vault_Role_ARN=arn:x\r\n  # mine\r\n  vault_source_profile : a\r\n  vault_mfa_serial = m\r\n"
        "  external_id = e\r\n  credential_process = /opt/bin/awsv exec -j r"
    )
    proposal = proposed(before, "r")
    assert proposal.after.decode() == after
    assert proposed(after, "r", undo=True).after.decode() == before


def test_as_adds_a_second_profile_and_leaves_the_first() -> None:
    before = "[profile r]\nrole_arn = arn:x\nsource_profile = a\nregion = eu-west-1"
    proposal = proposed(before, "r", as_name="r sdk")
    assert proposal.changed == ["r sdk"]
    assert proposal.after.decode() == (
        f"{before}\n\n# written by 'awsv config credential-process', whose --undo removes it\n"
        '[profile "r sdk"]\ncredential_process = /opt/bin/awsv exec -j r\nregion = eu-west-1'
    )
    assert proposed(proposal.after, "r", as_name="r sdk", undo=True).after.decode() == before
    assert proposed(proposal.after, "r sdk", undo=True).after.decode() == before
    again = proposed(proposal.after, "r", as_name="r sdk")
    assert (again.changed, list(again.nothing)) == ([], ["r"])


def test_the_second_profile_takes_the_region_of_the_credentials_file() -> None:
    before = "[profile r]\nregion = eu-west-1\n"
    proposal = proposed(before, "r", as_name="s", credentials=b"[r]\nregion = eu-west-3\n")
    assert proposal.after.endswith(b"\nregion = eu-west-3\n")


def test_a_stored_name_without_a_section_gets_one() -> None:
    proposal = proposed("", "new", "newer")
    assert list(AwsConfig.parse(proposal.after, b"", HERE, CREDENTIALS).profiles) == ["new", "newer"]
    undone = proposed(proposal.after, "new", undo=True)
    assert proposed(undone.after, "newer", undo=True).after == b""
    assert proposed("", "default").after.count(b"[default]\n") == 1


def test_wiring_twice_does_nothing() -> None:
    once = proposed("[profile r]\nrole_arn = x\nsource_profile = a\n", "r")
    twice = proposed(once.after, "r")
    assert (twice.changed, twice.after) == ([], once.after)
    assert "already" in twice.nothing["r"]
    assert proposed("[profile r]\n", "r", undo=True).nothing.keys() == {"r"}


def test_another_launcher_replaces_the_line() -> None:
    old = proposed("[profile a]\nregion = x\noutput = y\n", "a", launcher=Path("/old/awsv")).after
    new = proposed(old, "a")
    assert new.after == old.replace(b"/old/awsv", b"/opt/bin/awsv")


def test_a_name_behind_a_dash_is_no_option() -> None:
    wired = proposed("[profile -x]\n", "-x").after
    assert b"= /opt/bin/awsv exec -j -- -x\n" in wired
    assert proposed(wired, "-x").nothing
    assert proposed(wired, "-x", undo=True).after == b"[profile -x]\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sso_session = corp", "sso_session"),
        ("sso_account_id = 1", "sso_account_id"),
        ("web_identity_token_file = t", "web_identity_token_file"),
        ("login_session = l", "login_session"),
        ("credential_process = /bin/other x", "runs '/bin/other'"),
        ("credential_process = aws-vault exec -j a", "runs 'aws-vault'"),
        ("credential_process = awsv exec -d 2h -j a", "runs 'awsv'"),
        ('credential_process = "open', "runs 'a program'"),
        ("vault_role_arn = x\nrole_arn = y", "has both role_arn"),
    ],
)
def test_what_is_not_for_awsv_is_skipped_by_name(line: str, says: str) -> None:
    proposal = proposed(f"[profile ok]\n[profile a]\n{line}\n", "a")
    message = refusal(proposal, "a")
    assert says in message
    assert f"{HERE}:{3 if 'both' not in says else 4}" in message
    both = proposed(f"[profile ok]\n[profile a]\n{line}\n")
    assert (both.changed, list(both.skipped)) == (["ok"], ["a"])


@pytest.mark.parametrize(
    ("config", "credentials", "where"),
    [
        ("[profile a]\n", b"\n[a]\naws_access_key_id = x\naws_secret_access_key = y\n", f"{CREDENTIALS}:3"),
        ("[profile a]\nregion = x\naws_access_key_id = x\n", b"", f"{HERE}:3"),
        ("", b"[a]\naws_access_key_id = x\n", f"{CREDENTIALS}:2"),
    ],
)
def test_a_plain_key_that_would_still_win_is_named(config: str, credentials: bytes, where: str) -> None:
    proposal = proposed(config, "a", credentials=credentials)
    assert where in refusal(proposal, "a")
    assert list(proposal.blocked) == ["a"]
    second = proposed("[profile r]\n", "r", as_name="a", credentials=credentials)
    if config == "":
        assert list(second.blocked) == ["r"]


@pytest.mark.parametrize("line", ["role_arn = x", "credential_process = x"])
def test_what_no_import_copies_stops_no_other_profile(line: str) -> None:
    proposal = proposed("[profile a]\n[profile b]\n", credentials=f"[a]\n{line}\n".encode())
    assert (proposal.changed, list(proposal.skipped), proposal.blocked) == (["b"], ["a"], {})
    error = proposal.skipped["a"]
    assert f"{CREDENTIALS}:2" in error.message
    assert error.hint == f"move these lines into {HERE}, then repeat"


def test_keys_of_the_default_section_are_not_ours_to_change() -> None:
    raw = "[DEFAULT]\nrole_arn = x\n[profile a]\n"
    assert f"{HERE}:2: role_arn of profile 'a' comes from [DEFAULT]" in refusal(proposed(raw, "a"), "a")
    with pytest.raises(ConfigError, match="take role_arn"):
        proposed(raw, "new")


def test_one_profile_in_two_sections_is_refused() -> None:
    message = refusal(proposed("[default]\n\n[profile default]\n", "default"), "default")
    assert "lines 1 and 3" in message


def test_as_a_profile_that_exists_is_refused() -> None:
    assert f"{HERE}:2" in refusal(proposed("[profile a]\n[profile b]\n", "a", as_name="b"), "a")


def test_as_a_profile_that_asks_for_another_one_is_refused() -> None:
    raw = f"[profile a]\n[profile sdk]\ncredential_process = {AWSV} exec -j other\n"
    assert f"'sdk' exists and is another one ({HERE}:2)" in refusal(proposed(raw, "a", as_name="sdk"), "a")


def test_a_second_profile_is_left_as_it_is() -> None:
    raw = f"[profile sdk]\ncredential_process = {AWSV} exec -j a\nvault_role_arn = mine\n"
    proposal = proposed(raw, "sdk")
    assert (proposal.changed, proposal.nothing) == ([], {"sdk": "profile 'sdk' asks awsv for 'a' already"})
    assert proposed(raw, "sdk", undo=True).after == b"[profile sdk]\nvault_role_arn = mine\n"


def test_a_line_of_somebody_else_is_not_undone() -> None:
    assert "did not write" in refusal(proposed("[profile a]\ncredential_process = x\n", "a", undo=True), "a")


def test_undo_keeps_what_was_added_to_our_section_later() -> None:
    wired = proposed("", "a").after
    undone = proposed(wired + b"output = json\n", "a", undo=True).after
    assert undone.endswith(b"[profile a]\noutput = json\n")


def test_what_awsv_cannot_use_is_skipped() -> None:
    def check(name: str) -> None:
        if name == "bad":
            raise ConfigError("profile 'bad' goes round in a circle")

    proposal = proposed("[profile bad]\n[profile good]\n", check=check)
    assert (proposal.changed, list(proposal.skipped)) == (["good"], ["bad"])


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "\n", "x\r\n[default]"])
def test_a_name_that_does_not_survive_is_refused(name: str) -> None:
    for options in ({"names": (name,)}, {"names": ("a",), "as_name": name}):
        names = options.pop("names")
        message = refusal(proposed("[profile a]\n", *names, **options), names[0])
        assert "would not read" in message


def test_the_diff_says_everything() -> None:
    proposal = proposed("[profile r]\nrole_arn = x\nsource_profile = a\n", "r")
    assert patch(proposal.before, proposal.after, HERE).splitlines()[2:] == [
        "@@ -1,3 +1,4 @@",
        " [profile r]",
        "-role_arn = x",
        "-source_profile = a",
        "+vault_role_arn = x",
        "+vault_source_profile = a",
        "+credential_process = /opt/bin/awsv exec -j r",
    ]


KEYS = ["Role_ARN", "source_profile", "mfa_serial", "region", "output", "external_id"]
MARGINS = st.sampled_from(["", "", " ", "\t"])


@st.composite
def configs(draw: st.DrawFn) -> bytes:
    """Config files with profiles of every kind that awsv wires, in the layouts of many hands."""
    names = draw(st.lists(st.sampled_from(["default", "a", '"b c"', "'d'", "é", "x\\ y"]), unique=True, max_size=4))
    lines: list[str] = draw(st.lists(st.sampled_from(["# top", "", "[other]", "  "]), unique=True, max_size=2))
    for name in names:
        lines.append(draw(MARGINS) + ("[default]" if name == "default" else f"[profile {name}]"))
        margin = draw(MARGINS)
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
            lines.append(f"{margin}{key}{draw(st.sampled_from(['=', ' = ', ':']))}v{key}")
            lines += draw(st.lists(st.sampled_from(["", "# c", f"{margin}  ; c"]), max_size=1))
    ends = draw(st.lists(st.sampled_from(["\n", "\n", "\r\n"]), min_size=1))
    text = "".join(line + end for line, end in zip(lines, itertools.cycle(ends)))
    raw = (text.rstrip("\r\n") if draw(st.booleans()) else text).encode()
    try:
        AwsConfig.parse(raw, b"", HERE, CREDENTIALS)
    except ConfigError:
        assume(False)
    return raw


@PATIENT
@given(raw=configs(), extra=st.lists(st.sampled_from(["new", "new er"]), unique=True))
def test_all_and_undo_restore_every_byte(raw: bytes, extra: list[str]) -> None:
    config = AwsConfig.parse(raw, b"", HERE, CREDENTIALS)
    names = [*config.profiles, *extra]
    assume(names)
    wired = proposed(raw, *names)
    assert wired.changed == names
    after = AwsConfig.parse(wired.after, b"", HERE, CREDENTIALS)
    for name, section in after.profiles.items():
        known = config.profiles[name].entries if name in config.profiles else {}
        said = {key.removeprefix("vault_"): entry.value for key, entry in section.entries.items()}
        said.pop("credential_process")
        assert said == {key: entry.value for key, entry in known.items()}
        assert "role_arn" not in section.entries
    assert proposed(wired.after, *names).nothing.keys() == set(names)
    assert proposed(wired.after, *names, undo=True).after == raw
