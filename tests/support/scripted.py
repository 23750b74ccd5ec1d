"""A machine whose edges are scripted: the vault, STS, MFA sources and the person. Between them is the product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vault_core import output
from vault_core.api import (
    Credentials,
    MfaRequest,
    MfaSource,
    MfaSourceSpec,
    Secret,
    SessionProvider,
    SessionRequest,
    SessionSpec,
)
from vault_core.api import SourceNeed as Need
from vault_core.awsconfig.shared import AwsConfig
from vault_core.cli.app import App
from vault_core.client import Client
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.sessions.cache import Cache
from vault_core.sessions.engine import Engine
from vault_core.sessions.generations import Generations
from vault_core.sessions.plan import Plan, Planner
from vault_core.sessions.profiles import Profiles, SessionOptions
from vault_core.sessions.singleflight import SingleFlight
from vault_core.settings import Settings
from vault_core.storage.vault import StoredKey
from vault_core.terminal import Terminal

SERIAL = "arn:aws:iam::123456789012:mfa/alice"
CONFIG = f"""
[profile user]
[profile coded]
mfa_serial = {SERIAL}
[profile role]
role_arn = arn:aws:iam::123456789012:role/R
source_profile = coded
mfa_serial = {SERIAL}
[profile other-role]
role_arn = arn:aws:iam::123456789012:role/S
source_profile = coded
mfa_serial = {SERIAL}
"""
KEY = Credentials(access_key_id="AKIASTORED", secret_access_key=Secret("s"))
Outcome = Credentials | Exception


def session(name: str = "ASIA", minutes: float = 60) -> Credentials:
    return Credentials(
        access_key_id=name,
        secret_access_key=Secret("s"),
        session_token=Secret("t"),
        expires=datetime.now(UTC) + timedelta(minutes=minutes),
    )


class Provider(SessionProvider):
    """STS: gives its outcomes one after the other, then sessions without end; takes a code wherever one is named."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.requests: list[SessionRequest] = []
        self.codes: list[str] = []
        self.always_asks = False

    def issue(self, request: SessionRequest) -> Credentials:
        self.requests.append(request)
        if "mfa_serial" in request.parameters or self.always_asks:
            self.codes.append(request.mfa().reveal_text())
        outcome = self.outcomes.pop(0) if self.outcomes else session(f"ASIA{len(self.requests)}")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Codes(MfaSource):
    """Gives its answers one after the other."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)
        self.requests: list[MfaRequest] = []

    def code(self, request: MfaRequest) -> Secret | None:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else Secret(answer)


class Shelf(Plugins):
    """Plugins that are at hand without being installed."""

    def __init__(self, provider: Provider, sources: Mapping[str, MfaSource]) -> None:
        super().__init__()
        sts = SessionSpec(
            name="sts",
            summary="s",
            open=lambda _: provider,
            parameters=lambda _, profile: dict(profile.keys),
            source=Need.REQUIRED,
        )
        loaded: dict[Any, Any] = {("session", "sts"): sts, ("storage", "file"): super().load("storage", "file")}
        for name, source in sources.items():
            opened = MfaSourceSpec(name=name, summary="s", open=_opening(source), interactive=name.startswith("ask"))
            loaded["mfa", name] = opened
        self._loaded = loaded


def _opening(source: MfaSource) -> Callable[[Any], MfaSource]:
    return lambda _: source


class Person(Terminal):
    """A terminal that is there, or is not; nobody is really asked."""

    def __init__(self, there: bool) -> None:
        self.there = there

    def why_not(self) -> str | None:
        return None if self.there else "there is no terminal"


class Machine:
    """Somebody's machine. A fake is what is at its edges: the vault, STS, MFA sources and the person.

    :param sources: of MFA codes, in order; a name that begins with ``ask`` asks the person.
    """

    def __init__(
        self, root: Path, *, person: bool = True, environ: Mapping[str, str] | None = None, **sources: MfaSource
    ) -> None:
        self.provider = Provider()
        self.stored: dict[str, StoredKey | None] = {name: StoredKey(KEY, "1") for name in ("user", "coded")}
        self.read: list[str] = []
        run = root / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        environ = {
            **(environ or {}),
            "HOME": str(root),
            "XDG_RUNTIME_DIR": str(run),
            "AWS_VAULT_PROMPT": ",".join(sources) or "none",
        }
        self.host = Host(Settings(environ), Shelf(self.provider, sources), terminal=Person(person))
        self.profiles = Profiles(AwsConfig.parse(CONFIG.encode(), b"", Path("c"), Path("d")), environ)
        self.cache = Cache(self.host.settings)
        self.generations = Generations(root / "generations")
        self.flights = root / "flights"

    def engine(self, token: str | None = None) -> Engine:
        flights = SingleFlight(self.flights, 5, foreground=False, sign=self.cache.name)
        return Engine(self.host, self.profiles, self.cache, flights, Secret(token) if token else None)

    def client(self, **environ: str) -> Client:
        """The library on this machine.

        :param environ: further variables.
        """
        client = Client(Settings({**self.host.settings.environ, **environ}), ask=self.host.terminal)
        client.plugins, client.state = self.host.plugins, self.host.state
        vars(client).update(resolver=self.profiles, cache=self.cache, generations=self.generations)
        return client

    def app(self, **environ: str) -> App:
        """The command line on this machine."""
        app = App(Settings({**self.host.settings.environ, **environ}))
        app._client = self.client(**environ)
        app.plugins = app._client.plugins
        app._client._notice = output.notice
        return app

    def plan(self, name: str, **flags: Any) -> Plan:
        return Planner(self.host, self.profiles, self.generations, SessionOptions(**flags)).plan(name)

    def get(self, name: str, token: str | None = None, **flags: Any) -> str:
        """The access key that a new process hands out."""
        return self.engine(token).credentials(self.plan(name, **flags)).credentials.access_key_id


Make = Callable[..., Machine]
"""What the fixture ``make`` is: keyword arguments of :class:`Machine` to one."""
