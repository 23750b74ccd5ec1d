"""Calls of AWS as one identity, in one region, for one parameter, with a time limit.

They run in a thread that is abandoned at the deadline and at Ctrl-C, because a name lookup, for one, cannot be
interrupted. No exception of the SDK leaves the thread.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vault_botocore.failures import CHECK_NETWORK, Failure, Outcome, explain
from vault_botocore.session import credential_arguments, session, silenced
from vault_core.api import ConfigError, Context, Credentials, SessionError
from vault_plugin_ssm.choices import Identity, region_of_arn
from vault_plugin_ssm.failures import SsmAttempt, attempt_of, explain_keys
from vault_plugin_ssm.identities import keys_of, refuse_loop, runs_program

T = TypeVar("T")
Clients = Callable[[str], Any]
"""From a service's name to its client."""

LIMIT_SECONDS = 5.0
"""For a passphrase in all: a command waits for it."""
PAUSE = 0.5
"""Seconds before the second, and last, attempt of a throttled call."""
PROGRAM_SECONDS = 30.0
"""Additional time for a program that gives the keys: the limit of the source ``env`` for a passphrase command."""


@dataclass
class AwsCalls:
    """Makes calls by :meth:`run`.

    :param region: the setting; None for the region of the ARN, the environment or the profile.
    """

    context: Context
    identity: Identity
    parameter: str
    region: str | None
    attempt: SsmAttempt = field(init=False)
    _session: Any = field(init=False)

    def __post_init__(self) -> None:
        """:raises ConfigError: the profile would run awsv again, or no region is set."""
        refuse_loop(self.context, self.identity, self.parameter)
        limits = (LIMIT_SECONDS, LIMIT_SECONDS)
        with silenced():
            self._session = session(self.context.environ, timeout=limits, profile=self.identity.profile)
            region = self.region or region_of_arn(self.parameter) or self._usual_region()
            if not region:
                raise ConfigError(
                    f"no region is set for parameter {self.parameter}",
                    hint="set AWS_VAULT_SSM_REGION, AWS_REGION, or region in the profile",
                )
            # The SDK's reading from disk does not count as time that AWS has to respond.
            self._session.get_service_model("ssm")
        self.attempt = attempt_of(self.identity, self.parameter, region)

    def _usual_region(self) -> str | None:
        environ = self.context.environ
        profiles = self._session.full_config["profiles"] if self.identity.profile else {}
        region: str | None = profiles.get(self.identity.profile, {}).get("region")
        return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or region

    def run(self, work: Callable[[Clients], T], seconds: float, deadline: float | None = None) -> T | Failure:
        """The result of ``work``, or the failure.

        :param work: gets clients that sign as the identity. It runs a second time if AWS throttles it.
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
            return self.context.wait(lambda: self._silently(work, over), timeout=ends - started)
        except TimeoutError:
            text = f"{self.attempt.host} did not answer within {max(ends - started, 0):.2g} s"
            return Failure(SessionError(text, hint=CHECK_NETWORK), Outcome.UNCERTAIN)
        finally:
            over.set()

    def _silently(self, work: Callable[[Clients], T], over: threading.Event) -> T | Failure:
        with silenced():
            try:
                keys = keys_of(self._session, self.identity, self.context, self.attempt.region)
            except Exception as error:  # noqa: BLE001 - explained; the SDK's own text can hold a secret
                return explain_keys(error, self.attempt)
            result = self._once(work, keys)
            throttled = isinstance(result, Failure) and result.outcome is Outcome.THROTTLED
            return self._once(work, keys) if throttled and not over.wait(PAUSE) else result

    def _once(self, work: Callable[[Clients], T], keys: Credentials) -> T | Failure:
        with ExitStack() as clients:

            def client(service: str) -> Any:
                arguments = credential_arguments(keys)
                made = self._session.create_client(service, region_name=self.attempt.region, **arguments)
                return clients.enter_context(closing(made))

            try:
                return work(client)
            except Exception as error:  # noqa: BLE001 - explained; the SDK's own text can hold a secret
                return explain(error, self.attempt)
