"""A boto3 session over a client of the library: its region, its settings, and credentials that refresh themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from vault_core.api import Credentials, Secret, SessionError
from vault_plugin_aws import boto3_session

MINUTES = 60


class Client:
    """Hands out its credentials one after the other, the last one again and again."""

    def __init__(self, *answers: Credentials | Exception, region: str | None = "eu-west-1") -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self._region = region

    def credentials(self, profile: str) -> Credentials:
        self.asked.append(profile)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def region(self, profile: str) -> str | None:
        return self._region


def ending(minutes: float, name: str = "ASIAFIRST") -> Credentials:
    return Credentials(
        access_key_id=name,
        secret_access_key=Secret(f"secret of {name}"),
        session_token=Secret(f"token of {name}"),
        expires=datetime.now(UTC) + timedelta(minutes=minutes),
    )


@pytest.fixture
def aws_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The AWS config that boto3 reads."""
    path = tmp_path / "config"
    path.write_text("[profile work]\nregion = us-west-2\nretry_mode = adaptive\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return path


def test_session_signs_with_the_credentials_of_the_client(front: RecordingProxy, moto: MotoServer) -> None:
    key = Credentials(access_key_id=moto.alice.access_key_id, secret_access_key=Secret(moto.alice.secret_access_key))
    sts = boto3_session(Client(key), "work").client("sts", endpoint_url=front.url)
    assert sts.get_caller_identity()["Arn"].endswith(":user/alice")
    assert len(front.calls) == 1


@pytest.mark.parametrize("region", ["ap-south-1", None])
def test_session_has_the_region_of_the_client_else_that_of_the_profile(region: str | None, aws_files: Path) -> None:
    session = boto3_session(Client(ending(60), region=region), "work")
    assert session.region_name == (region or "us-west-2")


def test_session_has_the_other_settings_of_the_profile(aws_files: Path) -> None:
    session = boto3_session(Client(ending(60)), "work")
    assert session.client("sts").meta.config.retries["mode"] == "adaptive"


def test_session_of_a_profile_without_a_section_works(aws_files: Path) -> None:
    assert boto3_session(Client(ending(60)), "stored-only").get_credentials().access_key == "ASIAFIRST"


def test_credentials_refresh_before_they_end() -> None:
    client = Client(ending(20), ending(60, "ASIASECOND"))
    credentials = boto3_session(client, "work").get_credentials()
    assert credentials.get_frozen_credentials()[:3] == ("ASIAFIRST", "secret of ASIAFIRST", "token of ASIAFIRST")
    assert client.asked == ["work"]
    credentials._expiry_time = datetime.now(UTC) + timedelta(minutes=14)
    frozen = credentials.get_frozen_credentials()
    assert frozen[:3] == ("ASIASECOND", "secret of ASIASECOND", "token of ASIASECOND")
    assert client.asked == ["work", "work"]


def test_error_of_the_client_is_raised_at_once_and_at_a_refresh_that_is_due() -> None:
    with pytest.raises(SessionError, match="no MFA code"):
        boto3_session(Client(SessionError("no MFA code")), "work")
    credentials = boto3_session(Client(ending(5), SessionError("no MFA code")), "work").get_credentials()
    with pytest.raises(SessionError, match="no MFA code"):
        credentials.get_frozen_credentials()
