"""The clients of STS and of IAM for a session's parameters.

The AWS config files, the process environment and the metadata service have no effect: the credentials, the region, the
endpoint, the proxies and the CA bundle are arguments.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from vault_botocore.session import credential_arguments, find_ca_bundle, session
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
"""A botocore session makes one client at a time; each thread has a client of its own."""


def connect(parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]) -> Any:
    """A client that makes each call once; to be used within :func:`vault_botocore.session.silenced`.

    :param parameters: of the session; ``region``, ``endpoint_url`` and the like are read.
    :param source: the credentials that sign.
    :param environ: the proxy variables, the CA bundle, and the hosts to which plain HTTP is allowed.
    :raises ConfigError: the CA bundle does not exist.
    :raises botocore.exceptions.BotoCoreError: there is no such endpoint.
    """
    # The global endpoint has neither variant; us-east-1 is the region that signs for it.
    default = "us-east-1" if any(_variants(parameters)) or "endpoint_url" in parameters else GLOBAL
    return _client("sts", parameters.get("region", default), parameters, source, environ)


def connect_iam(parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]) -> Any:
    """A client of IAM as :func:`connect` makes one of STS. Each partition has one IAM, which signs for one region."""
    region = parameters.get("region", GLOBAL)
    if "endpoint_url" in parameters:  # botocore knows the region that signs only for its own endpoints
        region = next((signs for prefix, signs in IAM_REGIONS.items() if region.startswith(prefix)), "us-east-1")
    return _client("iam", region, parameters, source, environ)


def _client(
    service: str, region: str, parameters: Mapping[str, Any], source: Credentials, environ: Mapping[str, str]
) -> Any:
    from botocore.config import Config

    find_ca_bundle(environ, parameters.get("ca_bundle"))  # it may be gone since the session was made
    fips, dualstack = _variants(parameters)
    with _making:
        made = _session(
            tuple(sorted(environ.items())), parameters.get("ca_bundle"), parameters.get("sts_regional_endpoints")
        )
        return made.create_client(
            service,
            region_name=region,
            endpoint_url=parameters.get("endpoint_url"),
            config=Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack),
            **credential_arguments(source),
        )


def _variants(parameters: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the FIPS and the dual-stack endpoint are meant."""
    return parameters.get("use_fips_endpoint", False), parameters.get("use_dualstack_endpoint", False)


@lru_cache(maxsize=4)
def _session(environ: tuple[tuple[str, str], ...], ca_bundle: str | None, legacy: str | None) -> Any:
    """The botocore session for these settings, which holds no credentials: the first client of a session costs four
    times as much as a further one, and ``awsv ready`` makes dozens."""
    made = session(dict(environ), timeout=(CONNECT_SECONDS, READ_SECONDS), ca_bundle=ca_bundle)
    if legacy is not None:
        made.set_config_variable("sts_regional_endpoints", legacy)
    return made


def check(parameters: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Find errors in the settings before the user is asked for an MFA code.

    :raises ConfigError: the CA bundle does not exist, or the session would travel without TLS.
    """
    find_ca_bundle(environ, parameters.get("ca_bundle"))
    if endpoint := parameters.get("endpoint_url"):
        refuse_plain_http(endpoint, environ)
