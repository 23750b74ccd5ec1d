"""The console's address: the endpoint of each partition, what is sent there, and what it may answer."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest

from support.federation import Federation, standing_in
from support.recording_proxy import Call, Issued
from vault_core.api import ConfigError, ConsoleRequest, Credentials, OpensConsole, Secret, SessionError
from vault_plugin_aws import console
from vault_plugin_aws.console import PARTITIONS, SERVICE
from vault_plugin_aws.plugin import vault_session_providers
from vault_testkit.context import FakeContext

SPEC, _ = vault_session_providers()
KEY_ID, KEY, TOKEN = "ASIACANARYCANARYCANA", "CANARY-KEY/+=", "CANARY-TOKEN//+=" * 90


class Front:
    """Knows one session, of AssumeRole with a user's own key."""

    def issued(self, access_key_id: str) -> Issued | None:
        call = Call("AssumeRole", {"DurationSeconds": "3600"}, "sts", "", "AKIA", "", 0.0)
        return Issued(call, TOKEN) if access_key_id == KEY_ID else None


@pytest.fixture
def aws() -> Iterator[Federation]:
    with standing_in(Front()) as federation:
        yield federation


class Console:
    """Asks for addresses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url: str | None = None
        self.environ: dict[str, str] = {}
        self.token: str | None = TOKEN

    def __call__(self, *, parameters: Mapping[str, Any] | None = None, seconds_left: float = 30, **more: Any) -> str:
        provider = SPEC.open(FakeContext(self.root, options={"signin-url": self.url}, environ=self.environ))
        assert isinstance(provider, OpensConsole)
        session = Credentials(
            access_key_id=KEY_ID,
            secret_access_key=Secret(KEY),
            session_token=Secret(self.token) if self.token else None,
            expires=datetime.now(UTC) + timedelta(hours=1),
        )
        asked = {"region": "eu-west-1", **more}
        request = ConsoleRequest(
            credentials=session, parameters=parameters or {}, deadline=time.monotonic() + seconds_left, **asked
        )
        return provider.console_url(request).reveal_text()


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setattr(console, "PAUSES", (0.01, 0.02))
    return Console(tmp_path)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that would have been sent; each is answered with a token."""
    found: list[Any] = []

    class Response:
        status_code = 200
        content = b'{"SigninToken": "tok&en"}'

    def send(request: Any, **_: object) -> Response:
        found.append(request)
        return Response()

    monkeypatch.setattr(console, "send", send)
    return found


def destination(url: str) -> str:
    return parse_qs(urlsplit(url).query)["Destination"][0]


@pytest.mark.process
def test_exchange_is_what_aws_documents(login: Console, aws: Federation) -> None:
    login.url = aws.url
    url = login(seconds=7200)
    assert aws.refusals == []
    [form] = aws.exchanges
    assert json.loads(form["Session"]) == {"sessionId": KEY_ID, "sessionKey": KEY, "sessionToken": TOKEN}
    assert form["SessionDuration"] == "7200"
    [token] = aws.tokens
    assert url.startswith(f"{aws.url}?")
    assert {name: values for name, values in parse_qs(urlsplit(url).query).items() if name != "Destination"} == {
        "Action": ["login"],
        "Issuer": ["awsv"],
        "SigninToken": [token],
    }


@pytest.mark.parametrize("name", PARTITIONS)
def test_each_partition_has_its_own_hosts(login: Console, sent: list[Any], name: str) -> None:
    """The sign-in host is that of botocore's rules for the service ``signin``, with or without a region."""
    region = PARTITIONS[name].region
    rules = botocore.session.Session().get_component("data_loader").load_service_model("signin", "endpoint-rule-set-1")
    known = {word.split("}.")[-1] for word in json.dumps(rules).replace('"', " ").split() if "{Region}.signin" in word}
    for given, arn in ((region, None), (None, f"arn:{name}:iam::1:role/R")):
        url = login(region=given, parameters={"role_arn": arn} if arn else {})
        host = urlsplit(sent[-1].url).hostname
        assert host.removeprefix(f"{region}.") in known
        assert "CANARY" not in sent[-1].url
        assert url.startswith(f"https://{host}/federation?")
        assert destination(url).startswith(f"https://{region}.{PARTITIONS[name].console}/console/home?region={region}")


def test_every_partition_of_botocore_is_known() -> None:
    assert set(PARTITIONS) == set(botocore.session.Session().get_available_partitions())


@pytest.mark.parametrize(
    ("region", "role", "message"),
    [
        ("mars-north-1", None, "mars-north-1 is in no AWS partition"),
        ("eu-west-1", "arn:aws-cn:iam::1:role/R", "eu-west-1 is in partition aws, and the role in aws-cn"),
        ("cn-north-1", "arn:aws:iam::1:role/R", "cn-north-1 is in partition aws-cn, and the role in aws"),
        (None, "arn:aws-moon:iam::1:role/R", "the role is in partition aws-moon, whose console awsv does not know"),
        ("evil.example/", None, "not the name of an AWS region"),
        ("a@evil", None, "not the name of an AWS region"),
        ("eu-west-1\n", None, "not the name of an AWS region"),
    ],
)
def test_session_goes_to_no_partition_but_its_own(
    login: Console, sent: list[Any], region: str | None, role: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        login(region=region, parameters={"role_arn": role} if role else {})
    assert sent == []


PAGES = {
    "": "/console/home?region=eu-west-1",
    "s3/buckets": "/s3/buckets?region=eu-west-1",
    "/ec2/home": "/ec2/home?region=eu-west-1",
    "s3/home?region=us-east-1&x=": "/s3/home?region=us-east-1&x=",
    "cloudwatch/home#logsV2:log-groups/x": "/cloudwatch/home?region=eu-west-1#logsV2:log-groups/x",
    "@evil.example/": "/@evil.example/?region=eu-west-1",
    "//evil.example/x": "/evil.example/x?region=eu-west-1",
    "/https://evil.example": "/https://evil.example?region=eu-west-1",
    "\\\\evil": "/%5C%5Cevil?region=eu-west-1",
    "a b/é?q=ü&z": "/a%20b/%C3%A9?q=%C3%BC&z=&region=eu-west-1",
}


@pytest.mark.parametrize(("path", "expected"), PAGES.items())
def test_page_is_on_the_consoles_host(login: Console, sent: list[Any], path: str, expected: str) -> None:
    assert destination(login(path=path)) == f"https://eu-west-1.console.aws.amazon.com{expected}"


def test_service_is_its_home_page(login: Console, sent: list[Any]) -> None:
    assert destination(login(service="ec2")) == "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1"


@pytest.mark.parametrize(
    "more",
    [
        {"service": "../x"},
        {"service": "EC2"},
        {"service": ""},
        {"path": "a\r\nb"},
        {"path": "x", "service": "y"},
        {"path": "https://evil.example"},
        {"path": "HTTPS://eu-west-1.console.aws.amazon.com/s3/buckets"},
    ],
)
def test_page_that_makes_no_sense_is_refused(login: Console, sent: list[Any], more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        login(**more)
    assert sent == []


TROUBLE: dict[str, tuple[tuple[int, dict[str, str], bytes], str, int]] = {
    "refused": ((400, {}, TOKEN.encode()), r"refused the session \(HTTP 400\): it has expired", 1),
    "denied": ((403, {}, b""), r"refused the session \(HTTP 403\)", 1),
    "moved": ((302, {"Location": "http://127.0.0.1:9/"}, b""), r"redirects the session elsewhere \(HTTP 302\)", 1),
    "moved with the body": ((307, {"Location": "http://127.0.0.1:9/"}, b""), r"redirects the session", 1),
    "failed": ((503, {}, b""), r"failed \(HTTP 503\)", 3),
    "throttled": ((429, {}, b""), r"failed \(HTTP 429\)", 3),
    "huge": ((200, {}, b" " * 2**21), "longer than 1 MiB", 1),
    "page": ((200, {}, b"<html>"), "answered without a sign-in token", 1),
    "list": ((200, {}, b"[]"), "answered without a sign-in token", 1),
    "deep": ((200, {}, b"[" * 100_000), "answered without a sign-in token", 1),
    "number": ((200, {}, b'{"SigninToken": 1}'), "answered without a sign-in token", 1),
    "empty": ((200, {}, b'{"SigninToken": ""}'), "answered without a sign-in token", 1),
    "lines": ((200, {}, b'{"SigninToken": "a\\r\\nLocation: x"}'), "answered without a sign-in token", 1),
    "long": ((200, {}, json.dumps({"SigninToken": "x" * 10_000}).encode()), "answered without a sign-in token", 1),
}


@pytest.mark.process
@pytest.mark.parametrize(("answer", "message", "times"), TROUBLE.values(), ids=TROUBLE.keys())
def test_trouble_is_one_sentence_without_the_session(
    login: Console,
    aws: Federation,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, dict[str, str], bytes],
    message: str,
    times: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    login.url, aws.answer = aws.url, answer
    with pytest.raises(SessionError, match=message) as failed:
        login()
    assert len(aws.exchanges) == times
    shown = f"{failed.value} {failed.value.hint} {caplog.text}"
    assert not any(secret in shown for secret in (KEY, TOKEN[:40], *aws.issued_tokens))


@pytest.mark.process
def test_endpoint_that_is_down_is_a_network_error(login: Console) -> None:
    login.url = "http://127.0.0.1:9/federation"
    with pytest.raises(SessionError, match=r"127\.0\.0\.1:9 cannot be reached"):
        login()


def test_deadline_ends_the_exchange(login: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(console, "send", lambda *_, **__: over.wait(60))
    try:
        with pytest.raises(SessionError, match=r"signin\.aws\.amazon\.com did not answer in time"):
            login(seconds_left=0.1)
    finally:
        over.set()


def test_long_term_key_is_not_sent(login: Console, aws: Federation) -> None:
    login.url, login.token = aws.url, None
    with pytest.raises(SessionError, match="this is a long-term key"):
        login()
    assert aws.exchanges == []


def test_session_is_not_sent_in_the_clear(login: Console, aws: Federation) -> None:
    login.url, login.environ = "http://signin.example/federation", {"http_proxy": aws.root}
    with pytest.raises(ConfigError, match="would carry secrets in the clear"):
        login()
    assert aws.exchanges == []


@pytest.mark.parametrize(
    "text", ["ftp://x", "https://user@x/", "https://x/?q", "https://x/#f", "x", "", "https://x/\n", "https://é/"]
)
def test_option_is_an_address_without_user_and_query(text: str) -> None:
    [option] = SPEC.options
    with pytest.raises(ValueError, match="not a URL"):
        option.parse(text)
    assert option.from_profile is False


def test_names_of_services_are_lower_case() -> None:
    assert SERVICE.fullmatch("systems-manager")
