"""One call of AWS with its repetitions, in a thread that is abandoned at the deadline and at Ctrl-C.

The lookup of a host name, for one, cannot be interrupted. No exception of the SDK leaves the thread: its traceback and
its text can hold a secret.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from vault_botocore.failures import CHECK_NETWORK, Attempt, Failure, Outcome, explain
from vault_botocore.session import silenced
from vault_core.api import Context, Credentials, Secret, SessionError

T = TypeVar("T")

REPEATABLE = frozenset({Outcome.THROTTLED, Outcome.UNREACHABLE})
"""The outcomes after which every call may be repeated: AWS did not carry it out, and may do so later."""
NEW_KEY = "store an active access key of the user with 'awsv add'"


class Call(Generic[T]):
    """One call.

    :param attempt: for messages.
    :param work: one attempt: its result, or a failure.
    :param pauses: seconds before each repetition.
    :param repeat: the outcomes after which the call is repeated.
    """

    def __init__(
        self,
        attempt: Attempt,
        work: Callable[[], T | Failure],
        *,
        pauses: Sequence[float],
        repeat: Collection[Outcome] = (*REPEATABLE, Outcome.UNCERTAIN),
    ) -> None:
        self.attempt = attempt
        self._work = work
        self._pauses = pauses
        self._repeat = repeat
        self._over = threading.Event()

    def result(self, context: Context, deadline: float) -> T | Failure:
        """Make the call.

        :param deadline: on :func:`time.monotonic`'s clock.
        :raises Cancelled: after Ctrl-C.
        """
        try:
            return context.wait(self._silently, timeout=deadline - time.monotonic())
        except TimeoutError:
            text = f"{self.attempt.host} did not answer in time"
            return Failure(SessionError(text, hint=CHECK_NETWORK), Outcome.UNCERTAIN)
        finally:
            self._over.set()

    def _silently(self) -> T | Failure:
        with silenced():
            return self._attempts()

    def _attempts(self) -> T | Failure:
        for pause in (*self._pauses, None):
            result = self._once()
            if not isinstance(result, Failure) or pause is None or result.outcome not in self._repeat:
                break
            if self._over.wait(pause):
                break
        return result

    def _once(self) -> T | Failure:
        try:
            return self._work()
        except Exception as error:  # noqa: BLE001 - explained; the SDK's own text can hold a secret
            return explain(error, self.attempt)


class ClientCall(Call[T]):
    """One call by a client of the SDK, which all attempts share.

    :param connect: makes the client, which is closed at the end of the ``with`` block.
    :param work: one attempt with it.
    """

    def __init__(
        self,
        attempt: Attempt,
        connect: Callable[[], AbstractContextManager[Any]],
        work: Callable[[Any], T],
        **repetition: Any,
    ) -> None:
        super().__init__(attempt, lambda: work(self._client), **repetition)
        self._connect = connect
        self._client: Any = None

    def _attempts(self) -> T | Failure:
        with ExitStack() as end:
            try:
                self._client = end.enter_context(self._connect())
            except Exception as error:  # noqa: BLE001 - explained; the SDK's own text can hold a secret
                return explain(error, self.attempt)
            self.attempt = replace(self.attempt, host=urlsplit(self._client.meta.endpoint_url).netloc)
            return super()._attempts()


def secrets_of(credentials: Credentials, *more: Secret | None) -> tuple[Secret, ...]:
    """The secrets that no message about a call may hold."""
    found = (credentials.secret_access_key, credentials.session_token, *more)
    return tuple(secret for secret in found if secret is not None)


def renewal(credentials: Credentials) -> str:
    """The hint where the credentials that sign are wrong or have expired."""
    return "run 'awsv clear', then repeat" if credentials.session_token else NEW_KEY
