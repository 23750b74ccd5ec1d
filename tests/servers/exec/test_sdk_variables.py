"""Every variable that an AWS SDK reads is cleared for the child of ``exec``, or is in a list that says why it stays.

An SDK that learns to read another variable fails these tests until somebody has decided which of both it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore
import pytest

from support import clients, parts
from vault_core.child_env import is_identity

WHERE = "where a request goes, and by which way"
HOW = "how a request is made: retries, checksums, compression, defaults"
FILES = "where files lie; no profile is named"
METADATA = "the instance's metadata service, which is asked for keys only where there are none"
TOLD = "what a request says of the program that makes it"
LAMBDA = "set for functions in Lambda, about themselves"
KEPT = {
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "whether endpoints hold the account, not which one",
    "AWS_AUTH_SCHEME_PREFERENCE": "how a request is signed; the keys of another scheme are cleared",
    "AWS_CA_BUNDLE": WHERE,
    "AWS_CONFIG_FILE": FILES,
    "AWS_CSM_CLIENT_ID": TOLD,
    "AWS_CSM_ENABLED": TOLD,
    "AWS_CSM_HOST": TOLD,
    "AWS_CSM_PORT": TOLD,
    "AWS_DATA_PATH": FILES,
    "AWS_DEFAULTS_MODE": HOW,
    "AWS_DEFAULT_REGION": "exec sets it where the profile has a region",
    "AWS_DISABLE_CLOCK_SKEW_CORRECTION": HOW,
    "AWS_DISABLE_HOST_PREFIX_INJECTION": WHERE,
    "AWS_DISABLE_REQUEST_COMPRESSION": HOW,
    "AWS_EC2_METADATA_DISABLED": METADATA,
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": METADATA,
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": METADATA,
    "AWS_EC2_METADATA_V1_DISABLED": METADATA,
    "AWS_ENABLE_DEFAULT_SOCKET_TIMEOUT_2026": HOW,
    "AWS_ENDPOINT_DISCOVERY_ENABLED": WHERE,
    "AWS_ENDPOINT_URL": WHERE,
    "AWS_ENDPOINT_URL_": WHERE,
    "AWS_EXECUTION_ENV": TOLD,
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": WHERE,
    "AWS_IMDS_USE_IPV6": METADATA,
    "AWS_LAMBDA_BENCHMARK_MODE": LAMBDA,
    "AWS_LAMBDA_FUNCTION_NAME": LAMBDA,
    "AWS_LAMBDA_MAX_CONCURRENCY": LAMBDA,
    "AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA": LAMBDA,
    "AWS_LOGIN_CACHE_DIRECTORY": FILES,
    "AWS_MAX_ATTEMPTS": HOW,
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS": METADATA,
    "AWS_METADATA_SERVICE_TIMEOUT": METADATA,
    "AWS_NEW_RETRIES_2026": HOW,
    "AWS_REGION": "exec sets it where the profile has a region",
    "AWS_REQUEST_CHECKSUM_CALCULATION": HOW,
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": HOW,
    "AWS_RESPONSE_CHECKSUM_VALIDATION": HOW,
    "AWS_RETRY_MODE": HOW,
    "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH": HOW,
    "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS": WHERE,
    "AWS_S3_USE_ARN_REGION": WHERE,
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": WHERE,
    "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": TOLD,
    "AWS_SDK_UA_APP_ID": TOLD,
    "AWS_SHARED_CREDENTIALS_FILE": FILES,
    "AWS_SIGV4A_SIGNING_REGION_SET": "for which regions a request is signed, not as whom",
    "AWS_STS_REGIONAL_ENDPOINTS": WHERE,
    "AWS_USE_DUALSTACK_ENDPOINT": WHERE,
    "AWS_USE_FIPS_ENDPOINT": WHERE,
}
"""Variables that the child keeps, and why; a last ``_`` stands for what a service's name follows."""

NO_VARIABLES = {"AWS_IDENTITY", "AWS_REGION_ENV"}
"""Words of the SDKs' own in capital letters."""
NAME = re.compile(r"AWS_[A-Z0-9_]+")


def named_by_botocore() -> Iterator[str]:
    """Strings, parts of f-strings too, in all modules; not the names of constants, and not prose."""
    for path in Path(botocore.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                yield node.value


def named_by_javascript(modules: Path) -> Iterator[str]:
    """Strings, parts of templates and properties of ``process.env``."""
    literal = re.compile(r"""["'`](AWS_[A-Z0-9_]+)|env\.(AWS_[A-Z0-9_]+)""")
    for package in ("@aws-sdk", "@smithy", "@aws"):
        for path in (modules / package).rglob("*.js"):
            for match in literal.finditer(path.read_text(errors="replace")):
                yield match[1] or match[2]


def undecided(names: set[str]) -> set[str]:
    return {name for name in names if not is_identity(name) and name not in KEPT} - NO_VARIABLES


def test_every_variable_of_botocore_is_cleared_or_kept_for_a_reason() -> None:
    found = set(named_by_botocore())
    assert {"AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_", "AWS_ENDPOINT_URL_", "AWS_ROLE_SESSION_NAME"} <= found
    assert undecided(found) == set()


def test_every_variable_of_the_javascript_sdk_is_cleared_or_kept_for_a_reason() -> None:
    node = clients.node()
    sdk = parts.need("node", None if isinstance(node, str) else node, how=node if isinstance(node, str) else "")
    found = set(named_by_javascript(sdk.modules))
    assert {"AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_SCOPE", "AWS_BEARER_TOKEN_", "AWS_ACCOUNT_ID"} <= found
    assert undecided(found) == set()


@pytest.mark.parametrize(
    "name",
    ["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AMAZON_SESSION_TOKEN", "AWS_CREDENTIAL_SCOPE"],
)
def test_what_other_sdks_read_is_cleared(name: str) -> None:
    assert is_identity(name)


def test_nothing_is_both_cleared_and_kept() -> None:
    assert [name for name in KEPT if is_identity(name)] == []
