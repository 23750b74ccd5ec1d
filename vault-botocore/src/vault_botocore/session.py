"""A botocore session that is built from the given values alone.

The environment of the process, other config files, plugins of botocore and service models of the machine have no
effect. Within :func:`silenced` the SDK's loggers are off, because at DEBUG they print keys, tokens and passphrases.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from vault_botocore.transport import send
from vault_core.api import ConfigError, Credentials

_LOGGERS = ("botocore", "boto3", "urllib3", "s3transfer")
_SILENT_LEVEL = logging.CRITICAL + 1
_MAX_SHOWN = 200
_lock = threading.Lock()
_silent = 0
"""The number of threads within :func:`silenced`."""
_before: dict[str, tuple[int, bool]] = {}
"""Level and propagation of loggers as the host program set them."""


def session(
    environ: Mapping[str, str],
    *,
    timeout: tuple[float, float],
    profile: str | None = None,
    ca_bundle: str | None = None,
) -> Any:
    """A :class:`botocore.session.Session` whose clients send each request once, and only where it is safe.

    Make it and use it within :func:`silenced`.

    A client has the endpoint of the AWS settings unless ``create_client`` gets ``endpoint_url``, be it None.

    :param environ: the proxy variables, the CA bundle, the endpoints, and where the AWS config files are.
    :param timeout: seconds to connect, and seconds between two bytes of a response.
    :param profile: the AWS profile that counts; without one, no config file is read.
    :param ca_bundle: the file of trusted certificates, in place of the one that ``environ`` names.
    :raises ConfigError: the CA bundle does not exist.
    """
    from botocore.config import Config
    from botocore.session import Session

    # Each variable is (config key, environment variable, default, conversion): no environment variable counts.
    variables = {name: (key, None, *rest) for name, (key, _, *rest) in Session.SESSION_VARIABLES.items()}
    for name, path in _files(environ, profile).items():
        variables[name] = (None, None, path, None)
    variables["ca_bundle"] = ("ca_bundle", None, find_ca_bundle(environ, ca_bundle), None)
    made = _session_class()(session_vars=variables, profile=profile or None)
    made.given, made.timeout = environ, timeout
    made.register_component("data_loader", _models())
    made.set_default_client_config(
        Config(
            proxies={},  # the transport chooses the proxy of each request
            retries={"mode": "standard", "total_max_attempts": 1},  # the caller knows what may be repeated
            ignore_configured_endpoint_urls=True,
        )
    )
    return made


def credential_arguments(credentials: Credentials) -> dict[str, str | None]:
    """The arguments of ``create_client`` that make a client sign with these credentials."""
    token = credentials.session_token
    return {
        "aws_access_key_id": credentials.access_key_id,
        "aws_secret_access_key": credentials.secret_access_key.reveal_text(),
        "aws_session_token": token.reveal_text() if token else None,
    }


def find_ca_bundle(environ: Mapping[str, str], ca_bundle: str | None = None) -> str | None:
    """The file of trusted certificates, in botocore's order; None for the certificates of botocore.

    :param ca_bundle: of a profile; it precedes the variables.
    :raises ConfigError: the file does not exist. The hint names the setting.
    """
    settings = {"ca_bundle": ca_bundle} | {name: environ.get(name) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")}
    for name, text in settings.items():
        if text:
            path = str(_expanded(text, environ))
            if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for some names
                raise ConfigError(f"no such CA bundle: {path[:_MAX_SHOWN]}", hint=f"correct {name}")
            return path
    return None


def config_file(environ: Mapping[str, str]) -> Path:
    """``AWS_CONFIG_FILE``, else ``~/.aws/config``."""
    return _expanded(environ.get("AWS_CONFIG_FILE") or "~/.aws/config", environ)


@contextmanager
def silenced() -> Iterator[None]:
    """Turn the SDK's loggers off, whatever the level of the root logger is.

    They belong to the host program, and are restored when the last thread has left. The host program can change them
    meanwhile, as an abandoned thread stays for long: so each thread turns them off.
    """
    global _silent
    with _lock:
        for logger in map(logging.getLogger, _LOGGERS):
            level, propagate = _before.get(logger.name, (logger.level, logger.propagate))
            changed = logger.level if logger.level != _SILENT_LEVEL else level
            _before[logger.name] = changed, propagate or logger.propagate
            logger.setLevel(_SILENT_LEVEL)
            logger.propagate = False
        _silent += 1
    try:
        yield
    finally:
        with _lock:
            _silent -= 1
            if not _silent:
                for name, (level, propagate) in _before.items():
                    logging.getLogger(name).setLevel(level)
                    logging.getLogger(name).propagate = propagate
                _before.clear()


@cache
def _session_class() -> Any:
    from botocore.session import Session

    class Isolated(Session):  # type: ignore[misc]  # botocore has no types
        """Also covers the clients that botocore makes for a profile's own calls of STS and SSO."""

        given: Mapping[str, str]
        timeout: tuple[float, float]

        def create_client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
            from botocore.plugin import PluginContext, set_plugin_context

            # An environment variable names modules that botocore would import. The context belongs to the thread.
            set_plugin_context(PluginContext(plugins="DISABLED"))
            if "endpoint_url" not in kwargs:
                kwargs["endpoint_url"] = _endpoint(service_name, self.given, self.full_config, self.profile)
            client = super().create_client(service_name, *args, **kwargs)
            trusted = kwargs.get("verify") or self.get_config_variable("ca_bundle") or True
            client.meta.events.register(
                "before-send", partial(send, environ=self.given, verify=trusted, timeout=self.timeout)
            )
            return client

    return Isolated


@cache
def _models() -> Any:
    """Botocore's own models of the services, without those in ~/.aws/models, which could redefine a service.

    They are kept for the process: a dozen sessions at a time read the files once.
    """
    from botocore.loaders import Loader

    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def _endpoint(service: str, environ: Mapping[str, str], config: Mapping[str, Any], profile: str | None) -> str | None:
    """The endpoint that is set for a service, in the order of the AWS SDKs; None for AWS's own.

    :param config: botocore's view of the config files.
    """
    keys = config["profiles"].get(profile, {})
    ignore = environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or keys.get("ignore_configured_endpoint_urls", "")
    if ignore.lower() == "true":
        return None
    name = service.replace("-", "_")
    of_service: Mapping[str, Any] = config.get("services", {}).get(keys.get("services"), {}).get(name, {})
    variables = (environ.get(f"AWS_ENDPOINT_URL_{name.upper()}"), environ.get("AWS_ENDPOINT_URL"))
    return next(filter(None, (*variables, of_service.get("endpoint_url"), keys.get("endpoint_url"))), None)


def _files(environ: Mapping[str, str], profile: str | None) -> dict[str, str | None]:
    if not profile:
        return {"config_file": None, "credentials_file": None}
    credentials = _expanded(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials", environ)
    return {"config_file": str(config_file(environ)), "credentials_file": str(credentials)}


def _expanded(path: str, environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "/", path[2:]) if path.startswith("~/") else Path(path)
