"""Nothing of the environment decides, and no secret leaves by a log, a message or a traceback."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import certificates, proxies
from support import recording_proxy as fault
from support.endless import endless
from support.moto import MotoServer
from support.recording_proxy import Fault, RecordingProxy, running
from vault_core.api import ConfigError, SessionError, VaultError
from vault_plugin_aws import client

MFA = "arn:aws:iam::123456789012:mfa/phone"
OPTED_IN = {"AWS_VAULT_PLAIN_HTTP": "sts.corp.invalid"}
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


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.CRITICAL])
def test_no_sdk_says_anything_by_itself(
    everything_logged: list[str], capsys: pytest.CaptureFixture[str], level: int
) -> None:
    """Where no handler is found on the way, Python prints warnings to standard error by its last resort."""
    with client.silenced():
        for name in SDKS:
            logging.getLogger(f"{name}.some.module").log(level, "canary")
    assert (everything_logged, capsys.readouterr()) == ([], ("", ""))


def test_a_logger_of_the_sdk_that_somebody_set_to_debug_reaches_no_handler(
    everything_logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.silenced():
        for name in SDKS:
            child = logging.getLogger(f"{name}.some.module")
            monkeypatch.setattr(child, "level", logging.DEBUG)
            child.debug("canary")
    assert everything_logged == []


def test_loggers_of_the_host_program_are_restored_after_the_last_call(everything_logged: list[str]) -> None:
    logging.getLogger("botocore").setLevel(logging.INFO)
    with client.silenced():
        with client.silenced():
            pass
        logging.getLogger("botocore").error("canary")
    assert everything_logged == []
    logging.getLogger("botocore").info("of the program")
    logging.getLogger("botocore").debug("below its level")
    assert everything_logged == ["botocore of the program"]


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


def test_a_hostile_environment_changes_nothing(
    aws: Any, front: RecordingProxy, moto: MotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[[[ not a config\n")
    (tmp_path / "hostile.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "AKIAHOSTILE",
        "AWS_SECRET_ACCESS_KEY": "hostile",
        "AWS_SESSION_TOKEN": "hostile",
        "AWS_PROFILE": "nonexistent",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(config),
        "AWS_DATA_PATH": str(tmp_path),
        "AWS_DEFAULT_REGION": "hostile-1",
        "AWS_REGION": "hostile-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_RETRY_MODE": "hostile",
        "AWS_STS_REGIONAL_ENDPOINTS": "hostile",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "REQUESTS_CA_BUNDLE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_BEARER_TOKEN_STS": "hostile",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "evil=hostile",
    }.items():
        monkeypatch.setenv(name, value)
    aws.assume()
    [call] = front.calls
    assert (call.access_key_id, call.session_token) == (moto.alice.access_key_id, "")
    assert call.region == "us-east-1"
    assert "hostile" not in sys.modules


@pytest.mark.parametrize("variable", ["HOME", "AWS_DATA_PATH"])
def test_a_model_of_the_machine_does_not_redefine_sts(tmp_path: Path, variable: str) -> None:
    """Botocore looks for these folders as it is imported, so this needs a process."""
    folder = tmp_path / (".aws/models" if variable == "HOME" else "") / "sts/2099-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text("not a model")
    program = (
        "from vault_core.api import Credentials, Secret; from vault_plugin_aws.client import connect;"
        "key = Credentials(access_key_id='AKIA', secret_access_key=Secret('s'));"
        "print(connect({}, key, {}).meta.service_model.api_version)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={variable: str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("2011-06-15\n", "")


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
def test_the_endpoint(
    aws: Any, keys: dict[str, object], url: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen in the request as it would be sent: nothing reaches the network."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "hostile-1")
    made = client.connect(keys, aws.source, {})
    sent = []

    class Stop(Exception):
        pass

    def keep(request: Any, **_: object) -> None:
        sent.append((request.url.rstrip("/"), request.headers["Authorization"].decode().split("/")[2]))
        raise Stop

    made.meta.events.register("before-send.sts", keep)
    with pytest.raises(Stop):
        made.get_caller_identity()
    made.close()
    assert sent == [(url, region)]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_of_the_context_is_used(aws: Any, front: RecordingProxy, name: str) -> None:
    aws.environ = {name: front.url} | OPTED_IN
    assert aws.assume(endpoint_url="http://sts.corp.invalid").session_token
    assert front.actions == ["AssumeRole"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("exempt", ["sts.corp.invalid", "CORP.invalid", "x, .invalid", "*", "sts.corp.invalid:80"])
def test_no_proxy_is_honoured(aws: Any, front: RecordingProxy, exempt: str) -> None:
    aws.environ = {"http_proxy": front.url, "NO_PROXY": exempt} | OPTED_IN
    with pytest.raises(SessionError, match="cannot be reached"):
        aws.assume(endpoint_url="http://sts.corp.invalid:80", mfa_serial=MFA)
    assert front.calls == []


@pytest.mark.parametrize("exempt", ["", "orp.invalid", "127.0.0.1", ",", "other.invalid"])
def test_no_proxy_of_others_is_not_ours(aws: Any, front: RecordingProxy, exempt: str) -> None:
    aws.environ = {"http_proxy": front.url, "no_proxy": exempt} | OPTED_IN
    assert aws.assume(endpoint_url="http://sts.corp.invalid:80").session_token


@pytest.mark.usefixtures("quick")
def test_a_proxy_that_is_away(aws: Any) -> None:
    aws.environ = {"https_proxy": "http://me:hunter2@127.0.0.1:9"}
    with pytest.raises(SessionError, match="through the proxy") as caught:
        aws.assume(endpoint_url="https://sts.corp.invalid")
    assert "hunter2" not in whole(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::ffff:127.0.0.1]"])
def test_what_is_for_this_machine_goes_to_no_proxy(
    aws: Any, front: RecordingProxy, moto: MotoServer, host: str
) -> None:
    with running(moto.url) as proxy:
        aws.environ = proxies.everywhere(proxy.url)
        assert aws.assume(endpoint_url=front.url.replace("127.0.0.1", host)).session_token
        assert (front.actions, proxy.calls) == (["AssumeRole"], [])


def test_what_is_for_this_machine_goes_to_no_proxy_with_tls_either(
    aws: Any, moto: MotoServer, certificate: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with running(moto.url) as proxy, running(moto.url, tls=tls) as front:
        aws.environ = proxies.everywhere(proxy.url)
        assert aws.assume(endpoint_url=front.url, ca_bundle=str(certificate)).session_token
        assert (front.actions, proxy.calls) == (["AssumeRole"], [])


@pytest.mark.usefixtures("quick")
def test_a_proxy_that_a_request_of_the_web_names_is_not_used(aws: Any, front: RecordingProxy, moto: MotoServer) -> None:
    """In a CGI program HTTP_PROXY is the header ``Proxy``, so anybody's ("httpoxy")."""
    with running(moto.url) as evil:
        aws.environ = {"REQUEST_METHOD": "GET", "HTTP_PROXY": evil.url, "http_proxy": front.url} | OPTED_IN
        assert aws.assume(endpoint_url="http://sts.corp.invalid").session_token
        assert (front.actions, evil.calls) == (["AssumeRole"], [])
        del aws.environ["http_proxy"]
        with pytest.raises(SessionError, match="cannot be reached"):
            aws.assume(endpoint_url="http://sts.corp.invalid", mfa_serial=MFA)
        assert evil.calls == []


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


def test_no_session_in_the_clear_unless_the_user_names_the_host(aws: Any, front: RecordingProxy) -> None:
    aws.environ = {"http_proxy": front.url, "AWS_VAULT_PLAIN_HTTP": "localstack"}
    assert aws.assume(endpoint_url="http://localstack:4566").session_token
    with pytest.raises(ConfigError, match="in the clear"):
        aws.assume(endpoint_url="http://localstack.example:4566")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("chunked", [False, True], ids=["until the end", "in chunks"])
@pytest.mark.parametrize("status", [200, 307, 403, 500])
def test_an_answer_without_an_end_is_cut(aws: Any, status: int, chunked: bool) -> None:
    with endless(
        status, chunked=chunked, headers="Location: http://127.0.0.1:9/\r\n" if status == 307 else ""
    ) as server:
        with pytest.raises(SessionError, match="answers with more than 1 MiB"):
            aws.assume(endpoint_url=server.url, mfa_serial=MFA)
        assert server.sent < 32 * 2**20


@pytest.mark.parametrize(
    "body", [b"<a>" * 200_000, b"<!DOCTYPE a [" + b"<!ENTITY a 'b'>" * 20_000], ids=["deep", "entities"]
)
@pytest.mark.parametrize("status", [200, 403])
def test_an_answer_that_would_blow_up_is_none_of_stss(
    aws: Any, front: RecordingProxy, status: int, body: bytes
) -> None:
    front.on("AssumeRole", fault.garbage(body, status))
    with pytest.raises(SessionError, match="did not answer as STS does"):
        aws.assume(mfa_serial=MFA)


@pytest.mark.parametrize("length", ["-1", "-ffff"])
def test_a_chunk_of_negative_length_has_the_same_limit(aws: Any, length: str) -> None:
    """http.client reads such a one to the end of the connection, all at once."""
    with endless(length=length) as server:
        with pytest.raises(SessionError, match="answers with more than 1 MiB"):
            aws.assume(endpoint_url=server.url, mfa_serial=MFA)
        assert server.sent < 32 * 2**20


def test_the_length_of_a_chunk_without_an_end_is_cut(aws: Any) -> None:
    with endless(line=True) as server:
        with pytest.raises(SessionError, match="broke the connection"):
            aws.assume(endpoint_url=server.url, mfa_serial=MFA)
        assert server.sent < 32 * 2**20


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key, that no machine trusts."""
    return certificates.of_loopback(tmp_path / "certificate.pem")


@pytest.mark.parametrize("named", ["ca_bundle", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", ""])
def test_a_ca_bundle(
    aws: Any, moto: MotoServer, certificate: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(certificate))  # of the process, not of the context: not looked at
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    keys = {"ca_bundle": str(certificate)} if named == "ca_bundle" else {}
    aws.environ = {named: str(certificate)} if named.isupper() else {}
    with running(moto.url, tls=tls) as front:
        if named:
            assert aws.assume(endpoint_url=front.url, **keys).session_token
            return
        with pytest.raises(SessionError, match="does not trust"):
            aws.assume(endpoint_url=front.url)
        assert front.calls == []


def test_the_entry_module_imports_no_sdk() -> None:
    program = (
        "import sys, vault_plugin_aws.plugin as plugin; from vault_core.api import Profile;"
        "[spec] = plugin.vault_session_providers(); spec.parameters({}, Profile(name='x'));"
        "print(*sorted(name.partition('.')[0] for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "vault_plugin_aws" in loaded
    assert loaded & {*SDKS, "requests", "cryptography", "click", "logging", "http"} == set()
