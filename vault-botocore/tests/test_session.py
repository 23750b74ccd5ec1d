"""What has an effect on an isolated session, and what has none."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from support.moto import ACCOUNT, REGION, MotoServer
from support.recording_proxy import RecordingProxy
from vault_botocore import session
from vault_core.api import ConfigError

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
SDKS = ("boto3", "botocore", "urllib3", "s3transfer")


def test_environment_of_process_has_no_effect(
    identify: Any, front: RecordingProxy, moto: MotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
    assert identify() == identify({"AWS_ENDPOINT_URL": front.url}, endpoint=None) == ALICE
    for call in front.calls:
        assert (call.access_key_id, call.session_token, call.region) == (moto.alice.access_key_id, "", REGION)
    assert len(front.calls) == 2
    assert "hostile" not in sys.modules


@pytest.mark.parametrize("variable", ["HOME", "AWS_DATA_PATH"])
def test_service_model_of_machine_has_no_effect(tmp_path: Path, variable: str) -> None:
    """Botocore looks for these folders when it is imported, so this needs a process."""
    folder = tmp_path / (".aws/models" if variable == "HOME" else "") / "sts/2099-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text("not a model")
    program = (
        "from vault_botocore.session import session;"
        "client = session({}, timeout=(1, 1)).create_client('sts', region_name='eu-west-1');"
        "print(client.meta.service_model.api_version)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={variable: str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("2011-06-15\n", "")


def test_importing_the_library_imports_no_sdk() -> None:
    program = (
        "import sys, vault_botocore.failures, vault_botocore.session;"
        f"print(sorted(set(sys.modules) & {{*{SDKS}, 'requests', 'cryptography', 'click'}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that reach a handler of the root logger, which takes every level."""
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore[method-assign]  # of this one handler
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    return texts


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.CRITICAL])
def test_loggers_of_sdk_print_nothing(logged: list[str], capsys: pytest.CaptureFixture[str], level: int) -> None:
    """Python prints a warning to standard error where it finds no handler."""
    with session.silenced():
        for name in SDKS:
            logging.getLogger(f"{name}.some.module").log(level, "canary")
    assert (logged, capsys.readouterr()) == ([], ("", ""))


def test_logger_of_sdk_at_debug_reaches_no_handler(logged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with session.silenced():
        for name in SDKS:
            child = logging.getLogger(f"{name}.some.module")
            monkeypatch.setattr(child, "level", logging.DEBUG)
            child.debug("canary")
    assert logged == []


def test_loggers_of_host_program_are_restored_after_the_last_call(
    logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("botocore")
    monkeypatch.setattr(logger, "level", logging.INFO)
    with session.silenced():
        logger.setLevel(logging.DEBUG)  # as the host program can while an abandoned thread is within
        with session.silenced():
            logger.error("canary")
        logger.error("canary")
    logger.debug("of the program")
    assert logged == ["of the program"]
    assert (logger.level, logger.propagate) == (logging.DEBUG, True)


# -- settings ----------------------------------------------------------------------------------------------------------


def test_ca_bundle_of_profile_precedes_variables(tmp_path: Path) -> None:
    one, two, three = (str(tmp_path / name) for name in "abc")
    for path in (one, two, three):
        Path(path).touch()
    both = {"AWS_CA_BUNDLE": two, "REQUESTS_CA_BUNDLE": three}
    assert session.find_ca_bundle(both, one) == one
    assert session.find_ca_bundle(both) == two
    assert session.find_ca_bundle({"AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": three}, "") == three
    assert session.find_ca_bundle({"HOME": str(tmp_path)}, "~/a") == one
    assert session.find_ca_bundle({}) is None
    with pytest.raises(ConfigError, match="no such CA bundle") as caught:
        session.find_ca_bundle({**both, "AWS_CA_BUNDLE": str(tmp_path / "none")})
    assert caught.value.hint == "correct AWS_CA_BUNDLE"


@pytest.mark.parametrize("path", ["~nosuchuser/ca.pem", f"/{'x' * 5000}", "/etc/passwd/ca.pem"])
def test_ca_bundle_that_cannot_exist_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="no such CA bundle") as caught:
        session.session({}, timeout=(1, 1), ca_bundle=path)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("environ", "keys", "found"),
    [
        ({}, {}, None),
        ({"AWS_ENDPOINT_URL": "all"}, {"endpoint_url": "key"}, "all"),
        ({"AWS_ENDPOINT_URL_SSM": "own", "AWS_ENDPOINT_URL": "all"}, {}, "own"),
        ({}, {"endpoint_url": "key", "services": "s"}, "near"),
        ({}, {"endpoint_url": "key"}, "key"),
        ({"AWS_ENDPOINT_URL": "all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"}, {}, None),
        ({"AWS_ENDPOINT_URL": "all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, {}, "all"),
        ({}, {"endpoint_url": "key", "ignore_configured_endpoint_urls": "true"}, None),
        ({"AWS_ENDPOINT_URL_STS": "other"}, {}, None),
    ],
)
def test_endpoint_is_found_in_order_of_sdks(environ: dict[str, str], keys: dict[str, str], found: str | None) -> None:
    config = {"profiles": {"p": keys}, "services": {"s": {"ssm": {"endpoint_url": "near"}}}}
    assert session._endpoint("ssm", environ, config, "p") == found


def test_given_endpoint_precedes_settings(identify: Any, front: RecordingProxy) -> None:
    settings = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert identify(settings, endpoint=front.url) == ALICE
    with pytest.raises(EndpointConnectionError):
        identify(settings, endpoint=None)
    made = session.session(settings, timeout=(1, 1))
    client = made.create_client("sts", region_name=REGION, endpoint_url=None)
    assert client.meta.endpoint_url == f"https://sts.{REGION}.amazonaws.com"


def test_config_files_count_for_a_profile_only(identify: Any, front: RecordingProxy, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"[profile reader]\nendpoint_url = {front.url}\n")
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "https_proxy": "http://127.0.0.1:9"}
    assert identify(environ, endpoint=None, profile="reader") == ALICE
    (tmp_path / "config").write_text("[[[ not a config\n")
    assert identify(environ) == ALICE


def test_config_files_are_those_of_the_given_environment() -> None:
    environ = {"HOME": "/h", "AWS_CONFIG_FILE": "~/c", "AWS_SHARED_CREDENTIALS_FILE": "/s"}
    assert session._files(environ, None) == {"config_file": None, "credentials_file": None}
    assert session._files(environ, "p") == {"config_file": "/h/c", "credentials_file": "/s"}
    assert os.fspath(session.config_file({"HOME": "/h"})) == "/h/.aws/config"
