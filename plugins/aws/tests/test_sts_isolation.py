"""Nothing of the environment decides, and no secret leaves by a log, a message or a traceback."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import certificates, proxies
from support import recording_proxy as fault
from support.busy import seconds
from support.moto import MotoServer
from support.recording_proxy import Fault, RecordingProxy, running
from vault_botocore import session as botocore_session
from vault_core.api import ConfigError, Credentials, Secret, SessionError, VaultError
from vault_plugin_aws import client

MFA = "arn:aws:iam::123456789012:mfa/phone"
SDKS = ("boto3", "botocore", "urllib3", "s3transfer")


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """What all loggers say at DEBUG, formatted with tracebacks, however they were set up before."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter("%(name)s %(message)s").format(record))

    root = logging.getLogger()
    handler, level = Keep(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in SDKS:
        logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger(name).propagate = True
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def whole(error: BaseException | None) -> str:
    """All text of an exception and of whatever hangs on it, suppressed or not."""
    seen: list[str] = []
    while error is not None:
        seen += [*traceback.format_exception(error), repr(error), str(vars(error))]
        assert error.__cause__ is None or error.__context__ is error.__cause__
        error = error.__context__
    return "".join(seen)


SECRET_ANSWER = (
    b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    b"<AccessKeyId>ASIACANARY</AccessKeyId><SecretAccessKey>secret-canary</SecretAccessKey>"
    b"<SessionToken>token-canary</SessionToken><Expiration>%s</Expiration>%s"
)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "answer",
    [
        Fault(),
        fault.deny(),
        fault.deny_mfa(),
        fault.throttle(),
        fault.clock_skew(3600),
        fault.drop(),
        fault.hang(),
        fault.garbage(SECRET_ANSWER % (b"2040-01-01T00:00:00Z", b"")),
        fault.garbage(SECRET_ANSWER % (b"never", b"</Credentials></AssumeRoleResult></AssumeRoleResponse>")),
        fault.garbage(
            SECRET_ANSWER % (b"2020-01-01T00:00:00Z", b"</Credentials></AssumeRoleResult></AssumeRoleResponse>")
        ),
    ],
)
def test_no_secret_in_logs_or_exceptions(aws: Any, expect: Any, everything_logged: list[str], answer: Fault) -> None:
    session = aws.assume()
    aws.source = session
    secrets = [session.secret_access_key.reveal_text(), session.session_token.reveal_text(), aws.code]
    secrets += ["secret-canary", "token-canary"]
    expect(answer)
    text = ""
    try:
        found = aws.assume(mfa_serial=MFA)
        secrets += [found.secret_access_key.reveal_text(), found.session_token.reveal_text()]
    except VaultError as error:
        text = whole(error)
    text += "\n".join(everything_logged)
    assert [secret for secret in secrets if secret in text] == []


def test_aws_repeats_what_was_signed_and_we_do_not(aws: Any, front: RecordingProxy) -> None:
    aws.source = aws.assume()
    token = aws.source.session_token.reveal_text()
    for answer in (fault.bad_signature(token), fault.deny(f"token {token}, code {aws.code}, account 1{aws.code}")):
        front.forget()
        front.on("AssumeRole", answer)
        with pytest.raises(VaultError) as caught:
            aws.assume(mfa_serial=MFA)
        assert token not in whole(caught.value)
    assert f"token ***, code ***, account 1{aws.code}" in caught.value.message


def test_aws_variables_have_no_effect(
    aws: Any, front: RecordingProxy, moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those of the process nor those of the context: the parameters decide, and are the key of the cache."""
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIAHOSTILE",
        "AWS_SECRET_ACCESS_KEY": "hostile",
        "AWS_SESSION_TOKEN": "hostile",
        "AWS_PROFILE": "nonexistent",
        "AWS_CONFIG_FILE": __file__,
        "AWS_REGION": "hostile-1",
        "AWS_DEFAULT_REGION": "hostile-1",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
        "AWS_USE_FIPS_ENDPOINT": "true",
    }
    aws.environ = variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    aws.assume()
    [call] = front.calls
    assert (call.access_key_id, call.session_token, call.region) == (moto.alice.access_key_id, "", "us-east-1")


def test_an_sdk_that_lacks_a_module_is_no_trouble_of_the_network(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.plugin", None)
    with pytest.raises(SessionError, match=r"the AWS SDK lacks botocore\.plugin"):
        aws.issue()


@pytest.mark.parametrize(
    ("keys", "url", "region"),
    [
        ({}, "https://sts.amazonaws.com", "us-east-1"),
        ({"region": "eu-west-1"}, "https://sts.eu-west-1.amazonaws.com", "eu-west-1"),
        ({"region": "eu-west-1", "sts_regional_endpoints": "legacy"}, "https://sts.amazonaws.com", "us-east-1"),
        (
            {"region": "ap-east-1", "sts_regional_endpoints": "legacy"},
            "https://sts.ap-east-1.amazonaws.com",
            "ap-east-1",
        ),
        ({"region": "cn-north-1"}, "https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ({"region": "us-gov-west-1"}, "https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ({"region": "eu-west-1", "use_fips_endpoint": True}, "https://sts-fips.eu-west-1.amazonaws.com", "eu-west-1"),
        ({"use_fips_endpoint": True}, "https://sts-fips.us-east-1.amazonaws.com", "us-east-1"),
        ({"region": "eu-west-1", "use_dualstack_endpoint": True}, "https://sts.eu-west-1.api.aws", "eu-west-1"),
        ({"region": "mars-1", "endpoint_url": "https://sts.test:1/x"}, "https://sts.test:1/x", "mars-1"),
    ],
)
def test_the_endpoint(aws: Any, keys: dict[str, object], url: str, region: str) -> None:
    """Seen in the request as it would be sent: nothing reaches the network."""
    environ = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_REGION": "hostile-1"}
    sent = []

    class Stop(Exception):
        pass

    def keep(request: Any, **_: object) -> None:
        sent.append((request.url.rstrip("/"), request.headers["Authorization"].decode().split("/")[2]))
        raise Stop

    with client.connect(keys, aws.source, environ) as made:
        made.meta.events.register("before-send.sts", keep)
        with pytest.raises(Stop):
            made.get_caller_identity()
        made.meta.events.unregister("before-send.sts", keep)
    assert sent == [(url, region)]


def test_proxy_is_that_of_context_and_not_for_this_machine(aws: Any, front: RecordingProxy, moto: MotoServer) -> None:
    with running(moto.url) as proxy:
        aws.environ = proxies.everywhere(proxy.url) | {"AWS_VAULT_PLAIN_HTTP": "sts.corp.invalid"}
        assert aws.assume(endpoint_url="http://sts.corp.invalid").session_token
        assert proxy.actions == ["AssumeRole"]
        proxy.forget()
        assert aws.assume(endpoint_url=front.url).session_token
        assert (front.actions, proxy.calls) == (["AssumeRole"], [])


@pytest.mark.parametrize(
    "endpoint", ["http://sts.example", "http://10.1.2.3:4566", "http://127.0.0.1.example", "http://127.1"]
)
def test_no_session_in_the_clear_and_no_code_used_for_it(aws: Any, front: RecordingProxy, endpoint: str) -> None:
    aws.environ = {"http_proxy": front.url}
    for call in (
        lambda: aws.assume(endpoint_url=endpoint, mfa_serial=MFA),
        lambda: aws.identify(endpoint_url=endpoint),
    ):
        with pytest.raises(ConfigError, match="would carry secrets in the clear") as refused:
            call()
        assert refused.value.exit_code == 2
        assert "AWS_VAULT_PLAIN_HTTP" in (refused.value.hint or "")
    assert (front.calls, aws.asked) == ([], 0)


@pytest.mark.parametrize(
    "body", [b"<a>" * 200_000, b"<!DOCTYPE a [" + b"<!ENTITY a 'b'>" * 20_000], ids=["deep", "entities"]
)
@pytest.mark.parametrize("status", [200, 403])
def test_an_answer_that_would_blow_up_is_none_of_stss(
    aws: Any, front: RecordingProxy, status: int, body: bytes
) -> None:
    front.on("AssumeRole", fault.garbage(body, status))
    with pytest.raises(SessionError, match="unexpected response from"):
        aws.assume(mfa_serial=MFA)


@pytest.mark.parametrize("named", ["ca_bundle", "AWS_CA_BUNDLE"])
def test_ca_bundle_is_that_of_parameters_or_context(aws: Any, moto: MotoServer, tmp_path: Path, named: str) -> None:
    certificate = certificates.of_loopback(tmp_path / "certificate.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with running(moto.url, tls=tls) as front:
        with pytest.raises(SessionError, match="does not trust"):
            aws.assume(endpoint_url=front.url)
        assert front.calls == []
        keys = {named: str(certificate)} if named.islower() else {}
        aws.environ = {} if keys else {named: str(certificate)}
        assert aws.assume(endpoint_url=front.url, **keys).session_token


def test_the_entry_module_imports_no_sdk() -> None:
    program = (
        "import sys, vault_plugin_aws.plugin as plugin; from vault_core.api import Profile;"
        "spec, _ = plugin.vault_session_providers(); spec.parameters({}, Profile(name='x'));"
        "print(*sorted(name.partition('.')[0] for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "vault_plugin_aws" in loaded
    assert loaded & {*SDKS, "requests", "cryptography", "click", "logging", "http"} == set()


def test_equal_settings_share_session_and_client_of_the_sdk_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """``awsv ready`` connects in many threads at once."""
    made: list[object] = []
    clients: list[str] = []
    real = botocore_session.session

    def session(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        session = real(*args, **kwargs)
        create = session.create_client

        def create_client(service: str, **kwargs: Any) -> Any:
            clients.append(kwargs["region_name"])
            return create(service, **kwargs)

        session.create_client = create_client
        return session

    monkeypatch.setattr(client, "session", session)
    client._session.cache_clear()
    client._client.cache_clear()
    all_are_here = threading.Barrier(12)
    sources = [Credentials(access_key_id=f"AKIA{number:016}", secret_access_key=Secret("s")) for number in range(12)]
    regions = ["eu-west-1", "us-east-1", "ap-east-1"] * 4

    def connect(source: Credentials, region: str) -> tuple[str, str]:
        with client.connect({"region": region}, source, {"HOME": "/nowhere"}) as connected:
            all_are_here.wait(seconds(20))
            signs = connected._request_signer._credentials.get_frozen_credentials()
            return signs.access_key, connected.meta.region_name

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(connect, sources, regions))
    assert found == [(one.access_key_id, region) for one, region in zip(sources, regions, strict=True)]
    assert (len(made), sorted(clients)) == (1, sorted(set(regions)))
    for parameters, environ in (
        ({"region": "eu-west-1"}, {"HOME": "/nowhere", "HTTPS_PROXY": "http://proxy"}),
        ({"region": "eu-west-1", "sts_regional_endpoints": "legacy"}, {"HOME": "/nowhere"}),
    ):
        with client.connect(parameters, sources[0], environ):
            pass
    assert len(made) == 3
