"""A botocore session in which nothing of the process decides: files, variables and proxies are given.

Credential variables, ``AWS_PROFILE`` and plugins of botocore have no effect, its loggers are off (at DEBUG they print
the passphrase), and no request leaves for an ``http://`` endpoint but this machine's own and what the user exempted.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from vault_botocore.transport import send
from vault_core.api import ConfigError
from vault_plugin_ssm.choices import Identity

LIMIT_SECONDS = 5.0
"""For a passphrase in all: whoever waits for it is waiting for something else."""
_LOGGERS = ("botocore", "boto3", "urllib3", "s3transfer")


def silence() -> None:
    """Turn the loggers of the SDK off, whatever level the root logger has."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


def isolated(identity: Identity, environ: Mapping[str, str]) -> Any:
    """A botocore session; the AWS config files count only for a profile.

    :param environ: proxies, CA bundle, endpoints, and where the config files lie.
    :raises ConfigError: there is no such CA bundle.
    """
    silence()
    from botocore.config import Config
    from botocore.session import Session

    # Each variable is (config key, environment variable, default, conversion): no environment variable counts.
    variables = {name: (key, None, *rest) for name, (key, _, *rest) in Session.SESSION_VARIABLES.items()}
    for name, path in _files(identity, environ).items():
        variables[name] = (None, None, path, None)
    variables["ca_bundle"] = ("ca_bundle", None, _ca_bundle(environ), None)
    session = _session_class()(session_vars=variables, profile=identity.profile or None)
    session.given = environ
    session.register_component("data_loader", _models())
    session.set_default_client_config(
        Config(
            proxies={},  # the transport knows them, for each request
            retries={"mode": "standard", "total_max_attempts": 1},
            ignore_configured_endpoint_urls=True,
        )
    )
    return session


@cache
def _session_class() -> Any:
    from botocore.plugin import PluginContext, set_plugin_context
    from botocore.session import Session

    class Isolated(Session):  # type: ignore[misc]  # botocore has no types
        """A session whose clients take endpoint, proxies and what may go in the clear from ``given``."""

        given: Mapping[str, str]

        def create_client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
            # An environment variable names modules that botocore would import; this context is the thread's own.
            set_plugin_context(PluginContext(plugins="DISABLED"))
            kwargs["endpoint_url"] = _endpoint(service_name, self.given, self.full_config, self.profile)
            client = super().create_client(service_name, *args, **kwargs)
            trusted = kwargs.get("verify") or self.get_config_variable("ca_bundle") or True
            limits = (LIMIT_SECONDS, LIMIT_SECONDS)
            client.meta.events.register(
                "before-send", partial(send, environ=self.given, verify=trusted, timeout=limits)
            )
            return client

    return Isolated


@cache
def _models() -> Any:
    """What botocore knows of the services, without ~/.aws/models, where a file could redefine them."""
    from botocore.loaders import Loader

    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def _endpoint(service: str, environ: Mapping[str, str], config: Mapping[str, Any], profile: str | None) -> str | None:
    """The endpoint that is set for a service, in the order of the AWS SDKs; None: AWS's own.

    :param config: botocore's view of the config files.
    """
    keys = config["profiles"].get(profile, {})
    ignore = environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or keys.get("ignore_configured_endpoint_urls", "")
    if ignore.lower() == "true":
        return None
    name = service.replace("-", "_")
    near: Mapping[str, Any] = config.get("services", {}).get(keys.get("services"), {}).get(name, {})
    given = (environ.get(f"AWS_ENDPOINT_URL_{name.upper()}"), environ.get("AWS_ENDPOINT_URL"))
    return next(filter(None, (*given, near.get("endpoint_url"), keys.get("endpoint_url"))), None)


def config_file(environ: Mapping[str, str]) -> Path:
    """``AWS_CONFIG_FILE``, else ``~/.aws/config``."""
    return _aws_file(environ, "AWS_CONFIG_FILE", "config")


def _files(identity: Identity, environ: Mapping[str, str]) -> dict[str, str | None]:
    if not identity.profile:
        return {"config_file": None, "credentials_file": None}
    credentials = _aws_file(environ, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
    return {"config_file": str(config_file(environ)), "credentials_file": str(credentials)}


def _aws_file(environ: Mapping[str, str], variable: str, name: str) -> Path:
    home = Path(environ.get("HOME") or "/")
    given = environ.get(variable) or f"~/.aws/{name}"
    return home / given[2:] if given.startswith("~/") else Path(given)


def _ca_bundle(environ: Mapping[str, str]) -> str | None:
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if environ.get(variable):
            path = environ[variable]
            if not os.path.exists(path):  # noqa: PTH110 - Path's own raises for what cannot be looked at
                raise ConfigError(f"no such CA bundle: {path}", hint=f"correct {variable}")
            return path
    return None
