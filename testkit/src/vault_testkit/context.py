"""A :class:`~vault_core.api.StoreContext` whose answers a test chooses beforehand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from vault_core import child_env
from vault_core.api import NoSecret, Option, RunResult, Secret, StorageDenied, WrongSecret
from vault_core.child_env import is_secret_variable
from vault_core.keyslots.service import StoreKeySlots
from vault_core.plugins.running import run
from vault_core.plugins.waiting import lock, wait
from vault_core.settings import OWN_VARIABLES, PREFIX
from vault_core.vlt import Argon2id, KeySlots
from vault_testkit.terminal import FakeTerminal

T = TypeVar("T")


class FakeContext:
    """A context for tests. ``questions``, ``notes``, ``unlocked`` and ``kept`` hold what the plugin did with it.

    :param root: a folder of the test's own; ``data_dir`` and ``state_dir`` are in it.
    :param declared: the spec's options; ``options`` overrides their defaults.
    :param passphrases: what the sources would say, in order; :meth:`unlock` tries each once.
    :param factors: what a single source says where it is asked by its name (``source``), by source, in order.
    :param attended: False: no user sees the notice of :meth:`suspect`, so it refuses.
    :param sources: what the settings name; None: whatever ``factors`` and ``kept`` hold.
    :param answers: what a person would type at :meth:`ask`; None declines, and so does an empty line.
    :param recursions: the results of :meth:`find_recursion` by profile; None for any other profile.
    """

    def __init__(
        self,
        root: Path,
        *,
        store: str = "test",
        declared: Iterable[Option] = (),
        options: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        passphrases: Iterable[str] = (),
        factors: Mapping[str, Iterable[str]] | None = None,
        sources: Sequence[str] | None = None,
        attended: bool = True,
        answers: Iterable[str | None] = (),
        can_show_dialog: bool = False,
        recursions: Mapping[str, str] | None = None,
    ) -> None:
        self.store = store
        declared = tuple(declared)
        self._plain = tuple(f"_{option.name.upper().replace('-', '_')}" for option in declared if not option.secret)
        self.options: Mapping[str, Any] = {option.name: option.default for option in declared} | dict(options or {})
        self.environ: Mapping[str, str] = MappingProxyType(dict(environ or {}))
        self.data_dir = root / "data"
        self.state_dir = root / "state"
        self.passphrases = [Secret(text) for text in passphrases]
        self.factors = {source: [Secret(text) for text in texts] for source, texts in (factors or {}).items()}
        self.kept: dict[tuple[str, str], Secret] = {}
        """What :meth:`keep` was given, by source and ``key_id``."""
        self.attended = attended
        self._sources = sources
        self.terminal = FakeTerminal(answers)
        self.can_show_dialog = can_show_dialog
        self._recursions = dict(recursions or {})
        self.questions = self.terminal.questions
        self.notes: list[str] = []
        self.unlocked: list[str] = []
        """The ``key_id`` of every call of :meth:`unlock`."""

    @property
    def sources(self) -> Sequence[str]:
        if self._sources is not None:
            return self._sources
        return tuple(dict.fromkeys(("env", *self.factors, *(source for source, _ in self.kept))))

    @property
    def child_environ(self) -> Mapping[str, str]:
        secret = {
            name
            for name in self.environ
            if is_secret_variable(name)
            or (name.startswith(PREFIX) and name not in OWN_VARIABLES and not name.endswith(self._plain))
        }
        return MappingProxyType(child_env.environment(self.environ, secret))

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        self.unlocked.append(key_id)
        wrong: WrongSecret | None = None
        for secret in self.passphrases if source is None else self._said_by(source, key_id):
            try:
                return derive(secret)
            except WrongSecret as error:
                wrong = error
        raise wrong or NoSecret("no passphrase for this test")

    def _said_by(self, source: str, key_id: str) -> Sequence[Secret]:
        kept = self.kept.get((source, key_id))
        return [kept] if kept is not None else self.factors.get(source, [])

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        self.kept[source, key_id] = secret

    def forget(self, source: str, key_id: str) -> bool:
        return self.kept.pop((source, key_id), None) is not None

    def key_slots(self, where: str, *, cost: Argon2id | None = None) -> KeySlots:
        return StoreKeySlots(self, where, cost=cost)

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        return self.terminal.ask(question, secret=secret)

    def confirm(self, question: str) -> bool:
        return self.terminal.confirm(question)

    def notify(self, message: str) -> None:
        self.notes.append(message)

    def suspect(self, message: str, *, hint: str) -> None:
        if not self.attended:
            raise StorageDenied(message, hint=hint)
        self.notify(f"{message} ({hint})")

    def run(
        self, argv: Sequence[str], *, input: Secret | None = None, timeout: float = 30.0, env: Sequence[str] = ()
    ) -> RunResult:
        return run(argv, environ=self.environ, names=env, input=input, timeout=timeout, check=self.check)

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[None]:
        return lock(self.state_dir, name, timeout=timeout, check=self.check)

    def wait(self, function: Callable[[], T], *, timeout: float) -> T:
        return wait(function, timeout=timeout, check=self.check)

    def find_recursion(self, profile: str) -> str | None:
        return self._recursions.get(profile)

    def check(self) -> None:
        return None
