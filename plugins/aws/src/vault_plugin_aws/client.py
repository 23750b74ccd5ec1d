"""The STS client of a session's parameters.

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
    from botocore.config import Config

    fips, dualstack = (parameters.get(f"use_{kind}_endpoint", False) for kind in ("fips", "dualstack"))
    endpoint = parameters.get("endpoint_url")
    # The global endpoint has neither variant; us-east-1 is the region that signs for it.
    default = "us-east-1" if fips or dualstack or endpoint else GLOBAL
    find_ca_bundle(environ, parameters.get("ca_bundle"))  # it may be gone since the session was made
    with _making:
        made = _session(
            tuple(sorted(environ.items())), parameters.get("ca_bundle"), parameters.get("sts_regional_endpoints")
        )
        return made.create_client(
            "sts",
            region_name=parameters.get("region", default),
            endpoint_url=endpoint,
            config=Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack),
            **credential_arguments(source),
        )


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
