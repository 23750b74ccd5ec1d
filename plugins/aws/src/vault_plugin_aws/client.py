"""The clients of STS and of IAM for a session's parameters.

The AWS config files, the process environment and the metadata service have no effect: the credentials, the region, the
endpoint, the proxies and the CA bundle are arguments. Calls with equal settings share a client, which holds no
credentials: it signs with those of the thread that calls.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

from vault_botocore.session import find_ca_bundle, session
from vault_core.api import Credentials, refuse_plain_http

CONNECT_SECONDS = 5
READ_SECONDS = 8
GLOBAL = "aws-global"
"""Botocore's name of https://sts.amazonaws.com, signed for us-east-1."""

IAM_REGIONS = {
    "cn-": "cn-north-1",
    "us-gov-": "us-gov-west-1",
    "us-iso-": "us-iso-east-1",
    "us-isob-": "us-isob-east-1",
    "us-isof-": "us-isof-south-1",
    "eu-isoe-": "eu-isoe-west-1",
    "eusc-": "eusc-de-east-1",
}
"""The region that signs for IAM in each partition but ``aws``, by the prefix of its regions: the ``credentialScope`` of
``iam`` in botocore's endpoints.json."""

_making = threading.Lock()
"""A botocore session makes one client at a time; threads call by one at once."""
_CLIENTS = 32
"""The clients that are kept, which are more than the regions of one command."""
_Settings = tuple[tuple[tuple[str, str], ...], str | None, str | None]
"""The arguments of :func:`_session`."""
_signing = threading.local()
"""``source``: the credentials that sign what this thread sends."""


def connect(
    parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]
) -> AbstractContextManager[Any]:
    """A client that makes each call once, for the calls of this thread in the ``with`` block; to be used within
    :func:`vault_botocore.session.silenced`.

    :param parameters: of the session; ``region``, ``endpoint_url`` and the like are read.
    :param source: the credentials that sign.
    :param environ: the proxy variables, the CA bundle, and the hosts to which plain HTTP is allowed.
    :raises ConfigError: the CA bundle does not exist.
    :raises botocore.exceptions.BotoCoreError: there is no such endpoint.
    """
    # The global endpoint has neither variant; us-east-1 is the region that signs for it.
    default = "us-east-1" if any(_variants(parameters)) or "endpoint_url" in parameters else GLOBAL
    return _connected("sts", parameters.get("region", default), parameters, source, environ)


def connect_iam(
    parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]
) -> AbstractContextManager[Any]:
    """A client of IAM as :func:`connect` makes one of STS. Each partition has one IAM, which signs for one region."""
    region = parameters.get("region", GLOBAL)
    if "endpoint_url" in parameters:  # botocore knows the region that signs only for its own endpoints
        region = next((signs for prefix, signs in IAM_REGIONS.items() if region.startswith(prefix)), "us-east-1")
    return _connected("iam", region, parameters, source, environ)


@contextmanager
def _connected(
    service: str, region: str, parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]
) -> Iterator[Any]:
    find_ca_bundle(environ, parameters.get("ca_bundle"))  # it may be gone since the client was made
    settings = (tuple(sorted(environ.items())), parameters.get("ca_bundle"), parameters.get("sts_regional_endpoints"))
    with _making:
        client = _client(settings, service, region, parameters.get("endpoint_url"), *_variants(parameters))
    _signing.source = source
    try:
        yield client
    finally:
        del _signing.source


@lru_cache(_CLIENTS)
def _client(
    settings: _Settings, service: str, region: str, endpoint_url: str | None, fips: bool, dualstack: bool
) -> Any:
    """The client for these settings: ``awsv ready`` makes dozens of calls, and each client costs milliseconds."""
    from botocore.config import Config

    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack)
    return _session(*settings).create_client(service, region_name=region, endpoint_url=endpoint_url, config=config)


def _variants(parameters: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the FIPS and the dual-stack endpoint are meant."""
    return parameters.get("use_fips_endpoint", False), parameters.get("use_dualstack_endpoint", False)


@lru_cache(maxsize=4)
def _session(environ: tuple[tuple[str, str], ...], ca_bundle: str | None, legacy: str | None) -> Any:
    """The botocore session for these settings, which holds no credentials: the first client of a session costs four
    times as much as a further one."""
    made = session(dict(environ), timeout=(CONNECT_SECONDS, READ_SECONDS), ca_bundle=ca_bundle)
    made.register_component("credential_provider", _CallersCredentials())
    if legacy is not None:
        made.set_config_variable("sts_regional_endpoints", legacy)
    return made


class _CallersCredentials:
    """What botocore takes for its chain of credential providers, and for the credentials that come out of it: both only
    say who signs, at each request."""

    method = "awsv"

    def load_credentials(self) -> _CallersCredentials:
        return self

    def get_frozen_credentials(self) -> Any:
        from botocore.credentials import ReadOnlyCredentials

        source: Credentials = _signing.source
        token = source.session_token
        return ReadOnlyCredentials(
            source.access_key_id, source.secret_access_key.reveal_text(), token.reveal_text() if token else None
        )

    def get_deferred_property(self, _: str) -> Any:
        """Botocore asks for the account here, for services whose address can hold it."""
        return lambda: None


def check(parameters: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Find errors in the settings before the user is asked for an MFA code.

    :raises ConfigError: the CA bundle does not exist, or the session would travel without TLS.
    """
    find_ca_bundle(environ, parameters.get("ca_bundle"))
    if endpoint := parameters.get("endpoint_url"):
        refuse_plain_http(endpoint, environ)
