"""An STS client of botocore that is made of its arguments alone.

Neither the AWS config files nor the process environment nor a metadata service decides anything: credentials, region,
endpoint, proxies and CA bundle are given. Botocore's loggers are off meanwhile: at DEBUG they print session tokens and
keys.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from vault_core.api import ConfigError, Credentials, refuse_plain_http
from vault_plugin_aws.parameters import MAX_SHOWN
from vault_plugin_aws.transport import send

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.session import Session

CONNECT_SECONDS = 5
READ_SECONDS = 8
GLOBAL = "aws-global"
"""Botocore's name of https://sts.amazonaws.com, signed for us-east-1."""
LOGGERS = ("botocore", "boto3", "urllib3", "s3transfer")
_lock = threading.Lock()
_silent = 0
"""Threads within :func:`silenced`."""
_before: list[tuple[logging.Logger, int, bool]] = []
"""The loggers as the host program had set them up."""


def connect(parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]) -> Any:
    """A client that makes each call once, without repeating it; to be used within :func:`silenced`.

    :param parameters: of the session; ``region``, ``endpoint_url`` and their like are read.
    :param source: whose credentials sign.
    :param environ: proxies, CA bundle, and the hosts that may be talked to without TLS.
    :raises botocore.exceptions.BotoCoreError: there is no such endpoint.
    """
    trusted = ca_bundle(parameters, environ) or True
    client = _client(_session(parameters), parameters, source)
    limits = (CONNECT_SECONDS, READ_SECONDS)
    client.meta.events.register("before-send", partial(send, environ=environ, verify=trusted, timeout=limits))
    return client


def check(parameters: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """What can be said to be wrong before anybody is asked for a code.

    :raises ConfigError: no such CA bundle, or an endpoint to which a session would travel in the clear.
    """
    ca_bundle(parameters, environ)
    if endpoint := parameters.get("endpoint_url"):
        refuse_plain_http(endpoint, environ)


@contextmanager
def silenced() -> Iterator[None]:
    """Meanwhile turn the loggers of the SDK off, whatever level the root logger has, then restore them: they are the
    host program's. Several threads may be within."""
    global _silent
    with _lock:
        if not _silent:
            for logger in map(logging.getLogger, LOGGERS):
                _before.append((logger, logger.level, logger.propagate))
                logger.setLevel(logging.CRITICAL + 1)
                logger.propagate = False
        _silent += 1
    try:
        yield
    finally:
        with _lock:
            _silent -= 1
            if not _silent:
                for logger, level, propagate in _before:
                    logger.setLevel(level)
                    logger.propagate = propagate
                _before.clear()


def ca_bundle(parameters: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """The file of trusted certificates, in botocore's order; None: the ones that come with it.

    :raises ConfigError: it cannot be read. It names where the path is from.
    """
    named = {
        "ca_bundle": parameters.get("ca_bundle"),
        "AWS_CA_BUNDLE": environ.get("AWS_CA_BUNDLE"),
        "REQUESTS_CA_BUNDLE": environ.get("REQUESTS_CA_BUNDLE"),
    }
    for key, text in named.items():
        if not text:
            continue
        path = os.path.expanduser(text)  # noqa: PTH111 - Path's own raises for a user that there is not
        if not os.path.exists(path):  # noqa: PTH110 - Path's own raises for what cannot be looked at
            raise ConfigError(f"no such CA bundle: {path[:MAX_SHOWN]}", hint=f"correct {key}")
        return path
    return None


def _session(parameters: Mapping[str, Any]) -> Session:
    from botocore.plugin import PluginContext, set_plugin_context
    from botocore.session import Session

    # Each variable is (config key, environment variable, default, conversion): keep the default alone.
    variables = {name: (None, None, *rest) for name, (_, _, *rest) in Session.SESSION_VARIABLES.items()}
    for name in ("config_file", "credentials_file"):
        variables[name] = (None, None, None, None)
    if "sts_regional_endpoints" in parameters:
        variables["sts_regional_endpoints"] = (None, None, parameters["sts_regional_endpoints"], None)
    # An environment variable names modules that botocore would import; this is the thread's own context.
    set_plugin_context(PluginContext(plugins="DISABLED"))
    session = Session(session_vars=variables)
    session.register_component("data_loader", _models())
    return session


@cache
def _models() -> Loader:
    """What botocore knows of the services, without ~/.aws/models, where a file could redefine STS.

    Kept for the process: a dozen sessions that are made at a time read the files once.
    """
    from botocore.loaders import Loader

    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def _client(session: Session, parameters: Mapping[str, Any], source: Credentials) -> Any:
    from botocore.config import Config

    fips, dualstack = (parameters.get(f"use_{kind}_endpoint", False) for kind in ("fips", "dualstack"))
    endpoint = parameters.get("endpoint_url")
    # The global endpoint has neither variant; us-east-1 is the region that signs for it.
    nowhere = "us-east-1" if fips or dualstack or endpoint else GLOBAL
    return session.create_client(
        "sts",
        region_name=parameters.get("region", nowhere),
        endpoint_url=endpoint,
        aws_access_key_id=source.access_key_id,
        aws_secret_access_key=source.secret_access_key.reveal_text(),
        aws_session_token=source.session_token.reveal_text() if source.session_token else None,
        config=Config(
            # Repeating is sts.py's business: botocore would also repeat a call that has used up an MFA code.
            retries={"mode": "standard", "total_max_attempts": 1},
            proxies={},
            use_fips_endpoint=fips,
            use_dualstack_endpoint=dualstack,
            ignore_configured_endpoint_urls=True,
        ),
    )
