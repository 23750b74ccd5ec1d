"""Whose credentials a profile means: the same as for botocore, or a refusal that names the key.

Each config is given to botocore itself, with the profile named. An answer is where the credentials start (a plain key
of botocore's is a stored key of ours) and the role that is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import pytest

from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import ConfigError
from vault_core.sessions.profiles import Profiles

ROLE = "arn:aws:iam::123456789012:role/R"
ENVIRONMENT_ROLE = "arn:aws:iam::123456789012:role/Environment"
SOURCE = "[profile b]\naws_access_key_id = key-of-b\naws_secret_access_key = s\n"
KEY = "aws_access_key_id = key-of-a\naws_secret_access_key = s\n"
PROCESS = """credential_process = echo '{"Version": 1, "AccessKeyId": "process", "SecretAccessKey": "s"}'\n"""
WEB = {"AWS_ROLE_ARN": ENVIRONMENT_ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/null", "AWS_ROLE_SESSION_NAME": "me"}

Answer = tuple[str, str | None] | None
"""Whose key it starts from and the role assumed last; None: an error, or nothing."""


class Machine:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = root / "config"
        self._patch = monkeypatch
        self._empty = root / "credentials"
        self._empty.touch()

    def botocore(self, config: str, environ: Mapping[str, str]) -> Answer:
        """What botocore makes of profile ``a``; no request leaves."""
        self.file.write_text(config)
        for name, value in {
            **environ,
            "AWS_CONFIG_FILE": str(self.file),
            "AWS_SHARED_CREDENTIALS_FILE": str(self._empty),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }.items():
            self._patch.setenv(name, value)
        roles: list[tuple[str, str]] = []

        def stop(request: Any, **_: Any) -> None:
            roles.append((str(request.headers.get("Authorization")), str(request.body)))
            raise EOFError

        session = botocore.session.Session(profile="a")
        session.register("before-send.sts", stop)
        try:
            found = session.get_credentials()
            if found is None:
                return None
            return found.get_frozen_credentials().access_key, None
        except (EOFError, OSError, IndexError, AttributeError, botocore.exceptions.BotoCoreError):
            if not roles:
                return None
            signed, body = roles[-1]
            return signed.partition("Credential=")[2].partition("/")[0], body.partition("role%2F")[2].partition("&")[0]

    def awsv(self, config: str, environ: Mapping[str, str]) -> Answer:
        """The same of the chain that awsv would follow.

        :raises ConfigError: it refuses.
        """
        profiles = Profiles(AwsConfig.parse(config.encode(), b"", self.file, self._empty), environ)
        chain = profiles.chain("a")
        roles = [profile.keys["role_arn"].rpartition("/")[2] for profile in chain if profile.role]
        return f"key-of-{chain[-1].name}", roles[0] if roles else None


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


SAME: dict[str, tuple[str, Mapping[str, str]]] = {
    "a plain key": (KEY, {}),
    "a role": (f"role_arn = {ROLE}\nsource_profile = b\n", {}),
    "a role beside a plain key": (f"role_arn = {ROLE}\nsource_profile = b\n{KEY}", {}),
    "a role on its own key": (f"role_arn = {ROLE}\nsource_profile = a\n{KEY}", {}),
    "a role whose process nobody runs": (f"role_arn = {ROLE}\nsource_profile = b\n{PROCESS}", {}),
    "an identity of the environment's own": (KEY, WEB),
    "a role, and an identity of the environment's own": (f"role_arn = {ROLE}\nsource_profile = b\n", WEB),
    "a services section": (f"services = s\n{KEY}[services s]\nsts =\n  endpoint_url = http://127.0.0.1:1\n", {}),
}
"""What awsv follows."""


@pytest.mark.parametrize("case", SAME)
def test_the_answer_is_botocores(case: str, machine: Machine) -> None:
    config, environ = f"[profile a]\n{SAME[case][0]}{SOURCE}", SAME[case][1]
    assert machine.awsv(config, environ) == machine.botocore(config, environ) is not None


REFUSED: dict[str, tuple[str, str, Answer]] = {
    "a process beside a source without a role": (
        f"source_profile = b\n{PROCESS}",
        "needs credential_process",
        ("process", None),
    ),
    "a process alone": (PROCESS, "needs credential_process", ("process", None)),
    "a process with a role": (f"role_arn = {ROLE}\n{PROCESS}", "needs credential_process", None),
    "a process with a role on itself": (
        f"role_arn = {ROLE}\nsource_profile = a\n{PROCESS}",
        "credential_process",
        None,
    ),
    "a process with keys of ours": (
        f"vault_role_arn = {ROLE}\nvault_source_profile = b\n{PROCESS}",
        "needs credential_process",
        ("process", None),
    ),
    "a line of ours for another profile, and a role": (
        f"vault_role_arn = {ROLE}\ncredential_process = awsv exec -j b\n",
        "which requests 'b', and role_arn",
        None,
    ),
    "a line of ours for another profile than the source": (
        "source_profile = c\ncredential_process = awsv exec -j b\n",
        "which requests 'b', and source_profile",
        None,
    ),
    "services without a section": (f"role_arn = {ROLE}\nsource_profile = b\nservices = no\n", "services = no", None),
    "services with an empty section": (
        f"role_arn = {ROLE}\nsource_profile = b\nservices = e\n[services e]\n",
        "services = e",
        None,
    ),
    "services without a name": (f"role_arn = {ROLE}\nsource_profile = b\nservices =\n", "services", None),
    "an empty role": (f"role_arn =\n{KEY}", "role_arn", None),
    "an empty role with a source": ("role_arn =\nsource_profile = b\n", "role_arn", None),
    "an empty source": (f"role_arn = {ROLE}\nsource_profile =\n{KEY}", "source_profile", None),
    "an empty device": (f"role_arn = {ROLE}\nsource_profile = b\nmfa_serial =\n", "mfa_serial", None),
    "an empty process": (f"credential_process =\n{KEY}", "credential_process", None),
    "an empty token file hides the role": (
        f"role_arn = {ROLE}\nsource_profile = b\nweb_identity_token_file =\n{KEY}",
        "web_identity_token_file",
        ("key-of-a", None),
    ),
    "an empty account": (f"sso_account_id =\n{KEY}", "sso_account_id", None),
    "an empty credential source": (
        f"role_arn = {ROLE}\nsource_profile = b\ncredential_source =\n",
        "credential_source",
        None,
    ),
    "two sources": (
        f"role_arn = {ROLE}\nsource_profile = b\ncredential_source = Environment\n",
        "credential_source",
        None,
    ),
    "a token file": (f"role_arn = {ROLE}\nweb_identity_token_file = /no/such/token\n", "web_identity_token_file", None),
    "a token file beside a source": (
        f"role_arn = {ROLE}\nsource_profile = b\nweb_identity_token_file = /no/such/token\n",
        "web_identity_token_file",
        None,
    ),
    "half of SSO": (f"sso_role_name = x\n{KEY}", "sso_role_name", None),
    "a login": (f"login_session = x\n{KEY}", "login_session", None),
}
"""What awsv refuses by the name of a key; what botocore says. Nothing of it is answered with other credentials."""


@pytest.mark.process
@pytest.mark.parametrize("case", REFUSED)
def test_what_awsv_cannot_follow_is_refused_by_the_name_of_the_key(case: str, machine: Machine) -> None:
    text, told, answer = REFUSED[case]
    config = f"[profile a]\n{text}{SOURCE}"
    with pytest.raises(ConfigError) as caught:
        machine.awsv(config, {})
    assert told in caught.value.message
    assert f"{machine.file}:" in caught.value.message
    assert caught.value.hint
    if "awsv exec" not in text and "mfa_serial" not in text:  # which would run awsv, or ask at the terminal
        assert machine.botocore(config, {}) == answer
    with pytest.raises(ConfigError):  # behind a role it is no better
        machine.awsv(
            config.replace("[profile a]", f"[profile a]\nsource_profile = z\nrole_arn = {ROLE}\n[profile z]"), {}
        )


@pytest.mark.parametrize("spelled", ["vault_role_arn", "VAULT_ROLE_ARN"])
def test_an_empty_key_of_ours_is_no_better(spelled: str, machine: Machine) -> None:
    with pytest.raises(ConfigError, match="vault_role_arn"):
        machine.awsv(f"[profile a]\n{spelled} =\n", {})
    assert machine.awsv(f"[profile a]\n{spelled} =\n", {"AWS_ROLE_ARN": ROLE}) == ("key-of-a", "R")


def test_a_role_of_the_environment_without_a_token_is_the_targets_as_for_aws_vault(machine: Machine) -> None:
    """Botocore knows no such variable; a token file, and an empty one is none, makes it the environment's own."""
    config = f"[profile a]\nsource_profile = b\n{SOURCE}"
    assert machine.awsv(config, {"AWS_ROLE_ARN": ROLE}) == ("key-of-b", "R")
    assert machine.awsv(config, {**WEB, "AWS_WEB_IDENTITY_TOKEN_FILE": ""}) == ("key-of-b", "Environment")
    assert machine.awsv(config, WEB) == ("key-of-b", None)
    asked = "[profile a]\ncredential_process = awsv exec -j b\n"
    assert machine.awsv(asked, {"AWS_ROLE_ARN": ROLE}) == ("key-of-b", "R")
    with pytest.raises(ConfigError, match="needs credential_process"):
        machine.awsv(f"[profile a]\n{PROCESS}", {"AWS_ROLE_ARN": ROLE})


def test_a_line_of_ours_for_its_own_profile_hides_nothing(machine: Machine) -> None:
    for keys in ("role_arn = {}\nsource_profile = b\n", "vault_role_arn = {}\nvault_source_profile = b\n"):
        config = f"[profile a]\n{keys.format(ROLE)}credential_process = awsv exec -j a\n"
        assert machine.awsv(config, {}) == ("key-of-b", "R")
