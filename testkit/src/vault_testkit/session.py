"""The contract of session providers."""

import copy
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import (
    Cancelled,
    ConfigError,
    Credentials,
    MfaError,
    Profile,
    Secret,
    SessionError,
    SessionProvider,
    SessionRequest,
    SessionSpec,
    SourceNeed,
)
from vault_testkit import canary
from vault_testkit.calls import Outcome, call, nowhere
from vault_testkit.case import check, fail
from vault_testkit.context import FakeContext
from vault_testkit.part import Part
from vault_testkit.purity import Purity
from vault_testkit.setup import Setup
from vault_testkit.store_under_test import host, parsed

MFA_CODE = "135792"
"""What the person's device shows in these tests."""

ParametersOf = Callable[[Profile], Mapping[str, Any]]


class SessionPart(Part):
    """A part of :class:`SessionContract`."""

    kind = "session"

    @pytest.fixture
    def profiles(self) -> Sequence[Profile]:
        """Profiles for which the provider can make parameters; override it with the forms that it knows. The first one
        is issued a session."""
        return [Profile(name="contract")]

    @pytest.fixture
    def wrong_profiles(self) -> Sequence[Profile]:
        """Profiles that make no sense to the provider."""
        return []

    @pytest.fixture
    def source(self) -> Credentials | None:
        """Credentials to issue a session from, at a service that ``setup`` and the first profile lead to. Without them
        no session is issued here, unless the spec says :attr:`SourceNeed.NEVER`."""
        return None

    @pytest.fixture
    def options(self, spec: SessionSpec, setup: Setup) -> dict[str, Any]:
        """The provider's options under ``setup``."""
        return parsed(spec.options, setup.options)

    @pytest.fixture
    def parameters(self, spec: SessionSpec, options: dict[str, Any]) -> ParametersOf:
        """Makes the parameters of a profile."""
        return partial(spec.parameters, options)


class Parameters(SessionPart):
    """``parameters`` is the cache key: pure, JSON, and without a secret."""

    part = "Parameters"

    def test_parameters_are_json(self, parameters: ParametersOf, profiles: Sequence[Profile]) -> None:
        for profile in profiles:
            found = parameters(profile)
            check(isinstance(found, Mapping), f"parameters() returned {type(found).__name__} in place of a mapping")
            outcome = call(partial(json.dumps, dict(found)), "json.dumps")
            check(outcome.error is None, f"the parameters are not JSON: {outcome.error}")
            check(
                json.loads(outcome.result) == found, "the parameters are not what they were after a trip through JSON"
            )

    def test_parameters_are_pure(
        self, parameters: ParametersOf, options: dict[str, Any], profiles: Sequence[Profile]
    ) -> None:
        for profile in profiles:
            before = copy.deepcopy((options, dict(profile.keys)))
            first = json.dumps(dict(parameters(profile)), sort_keys=True)
            backwards = replace(profile, keys=dict(reversed(list(profile.keys.items()))))
            for again in (profile, backwards):
                found = json.dumps(dict(parameters(again)), sort_keys=True)
                check(found == first, "parameters() of the same profile gives another result the second time")
            check((options, dict(profile.keys)) == before, "parameters() changed what it was given")

    def test_parameters_hold_no_secret(
        self, spec: SessionSpec, options: dict[str, Any], profiles: Sequence[Profile]
    ) -> None:
        secret = {option.name: canary.make() for option in spec.options if option.secret}
        if not secret:
            pytest.skip(f"{spec.name} declares no secret option")
        for profile in profiles:
            found = json.dumps(dict(spec.parameters({**options, **secret}, profile)))
            for name, value in secret.items():
                check(not canary.is_in(found, value), f"the parameters hold the secret option {name!r}")

    def test_parameters_of_nonsense(
        self, spec: SessionSpec, parameters: ParametersOf, wrong_profiles: Sequence[Profile]
    ) -> None:
        if not wrong_profiles:
            pytest.skip(f"{spec.name} has no fixture 'wrong_profiles'")
        for profile in wrong_profiles:
            outcome = call(partial(parameters, profile), "parameters()")
            outcome.one_of((), (ConfigError,), f"parameters() of {dict(profile.keys)}")


class Issuing(SessionPart):
    """``issue`` makes a session of the first profile, and keeps its secrets."""

    part = "Issuing"

    @pytest.fixture
    def provider(
        self, spec: SessionSpec, setup: Setup, source: Credentials | None, tmp_path: Path
    ) -> tuple[SessionProvider, FakeContext]:
        """The open provider, and its host."""
        if source is None and spec.source is not SourceNeed.NEVER:
            pytest.skip(f"{spec.name} has no fixture 'source' to issue a session from")
        context = host(spec, setup, tmp_path)
        return spec.open(context), context

    @pytest.fixture
    def issue(
        self,
        parameters: ParametersOf,
        profiles: Sequence[Profile],
        source: Credentials | None,
        provider: tuple[SessionProvider, FakeContext],
    ) -> Callable[..., Outcome]:
        """Issues a session of the first profile."""

        def issue(mfa: Callable[[], Secret], ahead: float = 30.0) -> Outcome:
            deadline = time.monotonic() + ahead
            request = SessionRequest(parameters=parameters(profiles[0]), source=source, mfa=mfa, deadline=deadline)
            return call(lambda: provider[0].issue(request), "issue()")

        return issue

    def test_issuing_a_session(
        self,
        issue: Callable[..., Outcome],
        provider: tuple[SessionProvider, FakeContext],
        source: Credentials | None,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        asked: list[int] = []

        def mfa() -> Secret:
            asked.append(1)
            return Secret(MFA_CODE)

        with caplog.at_level(logging.DEBUG):
            outcome = issue(mfa)
        outcome.one_of((Credentials,), (), "issue() of a profile that makes sense")
        session: Credentials = outcome.result
        if session.session_token is None:
            fail("the session has no session token")
        check(session.access_key_id, "the session has no access key id")
        if session.expires is None:
            fail("the session does not say when it ends")
        check(session.expires.utcoffset() == timedelta(0), "the end of the session is not in UTC")
        check(session.expires > datetime.now(UTC), f"the session ended at {session.expires}, before it was issued")
        check(len(asked) <= 1, f"the code was asked for {len(asked)} times")
        check(not provider[1].questions, "the provider asked the person itself: the code comes from request.mfa()")
        hidden = [session.secret_access_key, session.session_token, *([source.secret_access_key] if source else [])]
        nowhere([one.reveal_text() for one in hidden], provider[1], [tmp_path], outcome.text(), caplog.text)

    def test_issuing_after_the_deadline(self, issue: Callable[..., Outcome]) -> None:
        outcome = issue(lambda: Secret(MFA_CODE), -1.0)
        outcome.one_of((Credentials,), (SessionError, Cancelled), "issue() after its deadline")

    def test_issuing_without_a_code(
        self, issue: Callable[..., Outcome], parameters: ParametersOf, profiles: Sequence[Profile]
    ) -> None:
        if "mfa_serial" not in parameters(profiles[0]):
            pytest.skip(f"the first profile of {self.entry_point}'s tests uses no MFA")

        def refuse() -> Secret:
            raise MfaError("nobody types a code in this test")

        issue(refuse).one_of((), (MfaError,), "issue() where nobody gives a code")


class SessionContract(Parameters, Issuing, Purity):
    """Everything that a session provider promises, as tests; a plugin inherits them.

    Fixtures to override: ``profiles`` (what the provider can work with), ``wrong_profiles``, ``setup``, and ``source``,
    without which no session is issued.
    """
