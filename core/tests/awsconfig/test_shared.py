"""Reading the shared config file: the same as botocore, file by file, and a line number for everything."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import Any

import botocore.configloader
import botocore.exceptions
import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vault_core.awsconfig.shared import AwsConfig, Section, is_secret, nested
from vault_core.errors import ConfigError

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
HERE = Path("/home/someone/.aws/config")
CREDENTIALS = Path("/home/someone/.aws/credentials")


def read(config: str | bytes, credentials: str | bytes = b"") -> AwsConfig:
    first, second = (text.encode() if isinstance(text, str) else text for text in (config, credentials))
    return AwsConfig.parse(first, second, HERE, CREDENTIALS)


def plain(section: Section) -> dict[str, Any]:
    """A section in botocore's form: a nested block is a dictionary."""
    return {
        key: nested(entry) if entry.value.startswith("\n") else entry.value for key, entry in section.entries.items()
    }


def compare(raw: bytes, folder: Path) -> AwsConfig | None:
    """Read with botocore and with ours; both must say the same. None where both reject the file."""
    file = folder / "compared"
    file.write_bytes(raw)
    try:
        theirs = botocore.configloader.load_config(str(file))
        sections = botocore.configloader.raw_config_parse(str(file))
    except botocore.exceptions.ConfigParseError:
        for config, credentials in ((raw, b""), (b"", raw)):
            with pytest.raises(ConfigError):
                read(config, credentials)
        return None
    ours = read(raw, raw)
    named = {name: values for name, values in theirs["profiles"].items() if name}
    assert {name: plain(section) for name, section in ours.profiles.items()} == named
    assert list(ours.profiles) == list(named)
    assert {name: plain(section) for name, section in ours.credentials.items()} == sections
    assert {name: plain(section) for name, section in ours.sso_sessions.items()} == {
        name: values for name, values in theirs["sso_sessions"].items() if name
    }
    assert ours.services == {
        name: {key: value for key, value in values.items() if isinstance(value, dict)}
        for name, values in theirs["services"].items()
        if name
    }
    return ours


HAND_MADE = {
    "empty": "",
    "comments only": "# nothing\n; here\n\n",
    "usual": """\
        [default]
        region = eu-central-1
        output=json

        [profile dev]
        role_arn: arn:aws:iam::123456789012:role/dev
        source_profile = default
        [sso-session corp]
        sso_start_url = https://corp.awsapps.com/start#/
        [services local]
        s3 =
          endpoint_url = http://localhost:9000
        dynamodb =
            endpoint_url=http://localhost:8000
        [preview]
        cloudsearch = true
        """,
    "both defaults": "[default]\na=1\n[profile default]\nb=2\n",
    "both defaults, other order": "[profile default]\nb=2\n[default]\na=1\n",
    "DEFAULT is in every section": "[DEFAULT]\nr = x\n[profile a]\n[profile b]\nr = y\n[DEFAULT]\no = z\n",
    "DEFAULT twice with one key": "[DEFAULT]\na=1\n[DEFAULT]\na=2\n",
    "DEFAULT with a bad block and no section": "[DEFAULT]\na=\n  b\n",
    "DEFAULT with a bad block": "[DEFAULT]\na=\n  b\n[profile x]\n",
    "quoted names": "[profile \"my name\"]\na=1\n[profile 'it is']\nb=2\n[profile my\\ other]\nc=3\n",
    "one profile spelled twice": '[profile a]\nx=1\n[profile "a"]\ny=2\n',
    "open quotation": "[profile it's]\na=1\n",
    "three words": "[profile a b]\na=1\n",
    "one word": "[profile]\na=1\n",
    "a word that begins like profile": "[profiles x]\na=1\n[profile-y z]\nb=2\n",
    "blanks in the brackets": "[ profile a ]\na=1\n[ default ]\nb=1\n[profile  b ]\nc=1\n[profile\tc]\nd=1\n",
    "text after the header": "[profile a] # mine\nx=1\n[profile b] see [c]\ny=1\n",
    "bracket in the name": "[profile a]b]\nx=1\n",
    "empty header": "[]\nx=1\n",
    "header of a bracket": "[]]\nx=1\n",
    "empty name": '[profile ""]\nx=1\n',
    "case": "[Profile a]\nX=1\n[DEFAULT]\n[Default]\nY=2\n[profile B]\nRegion=Z\n",
    "continuation": "[profile a]\nx = 1\n  2\n\n   3\n# no\n  ; no\n 4\ny=\n",
    "deeper comment": "[profile a]\nx =\n  a = 1\n  # b = 2\n  c = 3\n",
    "nested without =": "[profile a]\nx =\n  novalue\n",
    "nested in credentials": "[a]\nx =\n  y = 1\n",
    "indented header": "[profile a]\nx = 1\n  [profile b]\n  y = 2\n",
    "indented header after an empty section": "[profile a]\n   [profile b]\n   y = 2\n  z = 3\n",
    "indented keys": "[profile a]\n    x = 1\n    y = 2\n  z = 3\n      w = 4\n",
    "no section": "x = 1\n",
    "key without value": "[a]\nx\n",
    "no key": "[a]\n= x\n",
    "duplicate section": "[profile a]\n[profile a]\n",
    "duplicate key": "[a]\nx=1\nX=2\n",
    "CR LF": "[profile a]\r\nx = 1\r\n  2\r\n",
    "CR": "[profile a]\rx = 1\r",
    "mixed ends, none at last": "[profile a]\r\nx = 1\ny = 2\rz = 3",
    "odd white space": "[profile a]\nx\u00a0= 1\u2003\n\u2003y = 2\x0b\nz = a\x0cb\x85c\u2028d\n",
    "unicode": "[profile Ünïcødé]\nSchlüssel = Wert\n[profile 日本]\nÄ = ß\n",
    "percent and dollar": "[profile a%b]\nx = %(y)s $HOME ${z}\n",
    "NUL": "[profile a]\nx = \0\n",
    "byte order mark": "\ufeff[default]\nx=1\n",
    "byte order mark before a blank line": "\ufeff\n[default]\nx=1\n",
    "colon first": "[a]\nx:y=z\n",
}


@pytest.mark.parametrize("text", HAND_MADE.values(), ids=HAND_MADE)
def test_the_same_as_botocore(text: str, tmp_path: Path) -> None:
    compare(textwrap.dedent(text).encode(), tmp_path)


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    assert compare(b"[profile a]\nx = \xff\n", tmp_path) is None


NAMES = st.sampled_from(["a", "b", "default", "DEFAULT", "ä", "", '"a b"', "'c'", "a\\ b", '"', "]", "[x", "#", "x y"])
HEADERS = st.builds(
    "{}[{}{}{}]{}".format,
    st.sampled_from(["", "", " ", "\t", "  "]),
    st.sampled_from(["profile ", "profile ", "profile\t ", "sso-session ", "services ", "", "profilex ", " profile "]),
    NAMES,
    st.sampled_from(["", "", "", " ", "]", '"']),
    st.sampled_from(["", "", " ", " # c", "]"]),
)
KEYS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", " ", "  ", "\t", "\u00a0"]),
    st.sampled_from(["region", "Role_ARN", "s3", "ä", "x y", "k1", "k2", "k3", "k4", ""]),
    st.sampled_from(["=", " = ", ":", " : ", "\t=", ""]),
    st.sampled_from(["", "", "v", " v w ", "a=b", "# c", "[x]", "é", "%(x)s", "v\x0b", "v\x85w", "v\u2028w", '"v"']),
)
OTHERS = st.sampled_from(
    ["", "", " ", "# c", "  ; c", "   more", "  a = b", "    deep = 1", "[", "]", "[]", "\x0c", "\0"]
)
LINES = st.tuples(
    st.one_of(HEADERS, KEYS, KEYS, OTHERS), st.sampled_from(["\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n"])
)
FILES = st.lists(LINES, max_size=14).flatmap(
    lambda lines: st.sampled_from(["", "[profile first]\n"]).map(
        lambda start: (start + "".join(line + end for line, end in lines)).encode()
    )
)


@PATIENT
@given(raw=FILES)
def test_generated_files_are_the_same(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    compare(raw, tmp_path_factory.getbasetemp())


@PATIENT
@given(raw=st.binary(max_size=40).map(lambda noise: b"[profile a]\nx = 1\n" + noise))
def test_noise_is_the_same(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    compare(raw, tmp_path_factory.getbasetemp())


def test_everything_has_its_line() -> None:
    config = read("# c\r\n[DEFAULT]\rregion = r\n[profile a]\n\n  X = 1\n   2\n\n[default]\ny=2")
    section = config.profiles["a"]
    assert (section.line, section.path) == (4, HERE)
    assert {key: entry.line for key, entry in section.entries.items()} == {"region": 3, "x": 6}
    assert section.entries["x"].value == "1\n2"
    assert config.profiles["default"].entries["y"].line == 10


def test_config_does_not_show_values_in_its_repr() -> None:
    config = AwsConfig.parse(b"[profile a]\nx = canary", b"[a]\naws_secret_access_key = canary", HERE, HERE)
    assert "canary" not in repr(config)
    assert "aws_secret_access_key" in repr(config)


def test_get() -> None:
    section = read("[profile a]\nx = 1\nempty =\n").profiles["a"]
    assert (section.get("x"), section.get("empty"), section.get("absent")) == ("1", None, None)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[a]\n\n[b]\n[a]\n", 4, "a second section [a]; the first is in line 1"),
        ("[a]\nx=1\ny=2\nX=3\n", 4, "a second x in [a]; the first is in line 2"),
        ("# c\nx=1\n", 2, "a line before the first section"),
        ("[a]\nx=1\nwhat\n", 3, "neither a section"),
        ("[a]\r\nx=1\ry=2\n\nz = \xe9".encode("latin-1"), 5, "not UTF-8"),
        ("\ufeff[a]\n", 1, "byte order mark"),
        ("[a]\nb=1\ns3 =\n  x = 1\n  y\n", 3, "no '='"),
    ],
)
def test_errors_name_file_line_and_remedy(text: str | bytes, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as config:
        read(text)
    assert config.value.message.startswith(f"{HERE}:{line}: ")
    assert says in config.value.message
    assert config.value.hint
    with pytest.raises(ConfigError) as credentials:
        read(b"", text)
    assert credentials.value.message == config.value.message.replace(str(HERE), str(CREDENTIALS))


# -- both files --------------------------------------------------------------------------------------------------------

SHARED_KEYS = ["region", "output", "role_arn", "s3", "credential_process", "aws_access_key_id", "aws_session_token"]
PAIRS = st.dictionaries(st.sampled_from(SHARED_KEYS), st.sampled_from(["", "v", "w", "\n  a = 1", "\n  b = 2"]))


def written(sections: dict[str, dict[str, str]], header: str) -> bytes:
    lines = []
    for name, pairs in sections.items():
        lines.append(f"[{name if name in ('default', 'DEFAULT') else header.format(name)}]")
        lines += [f"{key} = {value}" for key, value in pairs.items()]
    return "\n".join(lines).encode()


@PATIENT
@given(
    config=st.dictionaries(st.sampled_from(["default", "a", "b c", "DEFAULT"]), PAIRS),
    credentials=st.dictionaries(st.sampled_from(["default", "a", "b c", "d", "profile a", "DEFAULT"]), PAIRS),
)
def test_both_files_together_say_what_botocore_finds(
    config: dict[str, dict[str, str]],
    credentials: dict[str, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    raw = written(config, 'profile "{}"'), written(credentials, "{}")
    session = botocore.session.Session()
    for variable, text in zip(("config_file", "credentials_file"), raw, strict=True):
        file = tmp_path_factory.getbasetemp() / variable
        file.write_bytes(text)
        session.set_config_variable(variable, str(file))
    theirs = session.full_config["profiles"]
    ours = read(*raw)
    for name, values in theirs.items():
        section = ours.merged(name)
        found = plain(section) if section else {}
        assert without_secrets(found) == without_secrets(values)
        assert section is not None or name not in ours.profiles
    assert set(ours.names()) <= set(theirs)
    assert ours.merged("nobody") is None


def without_secrets(pairs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in pairs.items() if not is_secret(key)}


def test_settings_of_the_credentials_file_keep_their_place_and_its_secrets_stay_there() -> None:
    config = read(
        "[profile a]\nregion = x\noutput = json\naws_access_key_id = IN-CONFIG\n",
        "[a]\naws_access_key_id = K\naws_secret_access_key = S\naws_session_token = T\nregion = y\n"
        "Old_AWS_Secret_Access_Key = O\nsmtp_password = P\nx_security_token_expires = E\n",
    )
    section = config.merged("a")
    assert section is not None
    assert {key: (entry.value, entry.path, entry.line) for key, entry in section.entries.items()} == {
        "region": ("y", CREDENTIALS, 5),
        "output": ("json", HERE, 3),
        "aws_access_key_id": ("IN-CONFIG", HERE, 4),
    }


def test_an_empty_value_of_the_credentials_file_wins_too() -> None:
    section = read("[profile a]\nregion = x\n", "[a]\nregion =\n").merged("a")
    assert section is not None
    assert section.get("region") is None


@pytest.mark.parametrize(
    ("section", "counts"),
    [
        ("region = x", True),
        ("role_arn = r\nsource_profile = a", True),
        ("credential_process = awsv exec -j a", True),
        ("role_arn = r\nsource_profile = s\naws_access_key_id = K\naws_secret_access_key = S", True),
        ("vault_role_arn = r\naws_access_key_id = K\naws_secret_access_key = S", True),
        ("", False),
        ("region =", False),
        ("aws_access_key_id = K\naws_secret_access_key = S", False),
        ("aws_access_key_id = K\naws_secret_access_key = S\nregion = x", False),
        ("aws_session_token = T\nregion = x", False),
        ("old_aws_secret_access_key = S", False),
    ],
)
def test_which_sections_of_the_credentials_file_are_profiles(section: str, counts: bool) -> None:
    config = read("[profile z]\n", f"[z]\naws_access_key_id = K\n[s]\n{section}\n")
    assert config.names() == (["z", "s"] if counts else ["z"])


def test_what_all_profiles_have_in_common_is_kept_once() -> None:
    """A file of some hundred kilobytes took gigabytes, and minutes."""
    common = "".join(f"k{number} = v\n" for number in range(2_000))
    headers = "".join(f"[profile p{number}]\n" for number in range(3_000))
    began = time.process_time()
    config = AwsConfig.parse(f"[DEFAULT]\n{common}{headers}k1 = own\n".encode(), b"", HERE, HERE)
    assert time.process_time() - began < 2
    merged = config.merged("p2999")
    assert merged is not None
    assert (len(merged.entries), merged.get("k1"), merged.get("k2")) == (2_000, "own", "v")
    assert [key for key, _ in zip(merged.entries, range(3), strict=False)] == ["k0", "k1", "k2"]
