"""A conversation with AWS: as one identity, in one region, about one parameter, within a few seconds.

It runs in a thread of its own, which is left behind at the deadline or after Ctrl-C: a name lookup, for one, cannot be
interrupted otherwise. No exception of the SDK leaves it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vault_botocore.session import credential_arguments, session
from vault_core.api import ConfigError, Context, Credentials, Secret
from vault_plugin_ssm.choices import Identity, region_of_arn
from vault_plugin_ssm.failures import Attempt, Failure, explain
from vault_plugin_ssm.identities import keys_of, refuse_loop, runs_program

T = TypeVar("T")
Clients = Callable[[str], Any]
"""Service to client."""

LIMIT_SECONDS = 5.0
"""For a passphrase in all: whoever waits for it is waiting for something else."""
PAUSE = 0.5
"""Seconds before what AWS throttled is tried once more."""
PROGRAM_SECONDS = 30.0
"""More, for another program that gives the keys: the limit of a command that gives a passphrase (source ``env``)."""


@dataclass
class Talk:
    """What is said is said by :meth:`hold`.

    :param region: the setting; None: what the ARN, the environment or the profile says.
    :param secrets: none of them may be in a message.
    """

    context: Context
    identity: Identity
    parameter: str
    region: str | None
    secrets: tuple[Secret, ...] = ()
    attempt: Attempt = field(init=False)
    _session: Any = field(init=False)

    def __post_init__(self) -> None:
        """:raises ConfigError: the profile would come back to awsv, or nothing names a region."""
        refuse_loop(self.context, self.identity, self.parameter)
        self._session = session(
            self.context.environ, timeout=(LIMIT_SECONDS, LIMIT_SECONDS), profile=self.identity.profile
        )
        region = self.region or region_of_arn(self.parameter) or self._usual_region()
        if not region:
            raise ConfigError(
                f"no region is set for parameter {self.parameter}",
                hint="set AWS_VAULT_SSM_REGION, AWS_REGION, or region in the profile",
            )
        self.attempt = Attempt(identity=self.identity, parameter=self.parameter, region=region, secrets=self.secrets)
        # What the SDK reads from disk is no part of the time that AWS has to answer.
        self._session.get_service_model("ssm")

    def _usual_region(self) -> str | None:
        for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            if self.context.environ.get(variable):
                return self.context.environ[variable]
        profiles = self._session.full_config["profiles"] if self.identity.profile else {}
        region: str | None = profiles.get(self.identity.profile, {}).get("region")
        return region

    def hold(self, work: Callable[[Clients], T], seconds: float, deadline: float | None = None) -> T | Failure:
        """What ``work`` returns, or why there is nothing.

        :param work: gets clients that sign as the identity; runs again, once, where AWS throttles it.
        :param seconds: from now to the end; a profile that runs a program has :data:`PROGRAM_SECONDS` more.
        :param deadline: on :func:`time.monotonic`'s clock; the earlier end counts.
        :raises Cancelled: after Ctrl-C.
        """
        if runs_program(self._session, self.identity):
            seconds += PROGRAM_SECONDS
        started = time.monotonic()
        ends = started + seconds if deadline is None else min(started + seconds, deadline)
        over = threading.Event()
        try:
            return self.context.wait(lambda: self._talk(work, over), timeout=ends - started)
        except TimeoutError:
            text = f"AWS in {self.attempt.region} did not answer within {max(ends - started, 0):.2g} s"
            return Failure(message=text, hint="check the network connection and the proxy variables")
        finally:
            over.set()

    def _talk(self, work: Callable[[Clients], T], over: threading.Event) -> T | Failure:
        try:
            keys = keys_of(self._session, self.identity, self.context, self.attempt.region)
        except Exception as error:  # noqa: BLE001 - explained; the SDK's own text may hold a secret
            return explain(error, self.attempt, has_keys=False)
        for pause in (PAUSE, None):
            result = self._once(work, keys)
            if not (isinstance(result, Failure) and result.again) or pause is None or over.wait(pause):
                break
        return result

    def _once(self, work: Callable[[Clients], T], keys: Credentials) -> T | Failure:
        with ExitStack() as clients:

            def client(service: str) -> Any:
                made = self._session.create_client(
                    service, region_name=self.attempt.region, **credential_arguments(keys)
                )
                return clients.enter_context(closing(made))

            try:
                return work(client)
            except Exception as error:  # noqa: BLE001 - explained; the SDK's own text may hold a secret
                return explain(error, self.attempt)
