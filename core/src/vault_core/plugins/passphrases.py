"""The chain of passphrase sources: their order, retries, confirmation, and one key derivation at a time."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from vault_core import files
from vault_core.api import Context, PassphraseRequest, PassphraseSource, PassphraseSourceSpec, Purpose
from vault_core.asking import Prompts
from vault_core.errors import NoSecret, PassphraseError, PluginError, QuestionRefused, SourceUnavailable, WrongSecret
from vault_core.plugins.boundary.sources import open_source
from vault_core.plugins.loader import Plugins
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.settings import REMOVED, Settings

Derive = Callable[[Secret], Secret]
"""A secret to the key that it opens; raises :class:`WrongSecret`."""

TRIES = 3
"""How often an interactive source is asked."""
_DERIVE_WAIT = 30.0
"""Seconds to wait for the derivation of another process."""


@dataclass(frozen=True)
class Passphrases:
    """The chain of passphrase sources of one store.

    :param store: its name.
    :param context: makes the context of a source; raises :class:`ConfigError` if an option of it makes no sense.
    """

    store: str
    plugins: Plugins
    context: Callable[[PassphraseSourceSpec], Context]
    settings: Settings
    prompts: Prompts

    def unlock(self, key_id: str, derive: Derive, names: Sequence[str], *, create: bool, source: str | None) -> Secret:
        """Return the key of a lock: see :meth:`vault_core.api.Context.unlock`.

        :param names: the sources to ask, in order.
        :param source: the only source that can answer, if there is just one.
        """
        return self._first(names, self._request(key_id, Purpose.CREATE if create else Purpose.UNLOCK), derive, source)

    def choose(self, key_id: str, derive: Derive, configured: Sequence[str], *, source: str | None) -> Secret:
        """Return the key of a new passphrase of an existing store.

        Only the user chooses a passphrase: the other configured sources would deliver the current one.

        :param configured: the sources that the settings name.
        :param source: the source that delivers the passphrase instead: a factor of a composite slot.
        :raises PassphraseError: no passphrase was chosen.
        """
        names = [name for name in configured if source or self._load(name).interactive]
        if not names:
            raise NoSecret(
                f"no source asks for a new passphrase: sources are {', '.join(configured)}",
                hint=f"give --passphrase-source {','.join((*configured, 'prompt'))}, or --new-passphrase-fd",
            )
        return self._first(names, self._request(key_id, Purpose.CHANGE), derive, source)

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        """Store a secret in a source, and check that it delivers it: see :meth:`vault_core.api.Context.keep`."""
        opened = self._writable(source)
        opened.put(self._request(key_id, Purpose.CREATE), secret)
        if opened.get(self._request(key_id, Purpose.UNLOCK)) != secret:
            raise PassphraseError(f"passphrase source {source!r} does not deliver the secret that it was given")

    def forget(self, source: str, key_id: str) -> bool:
        """Delete a secret from a source: see :meth:`vault_core.api.Context.forget`."""
        return self._writable(source).forget(self._request(key_id, Purpose.CHANGE))

    def _first(self, names: Sequence[str], request: PassphraseRequest, derive: Derive, only: str | None) -> Secret:
        """The key from the first of these sources that has a secret."""
        tried: list[str] = []
        failures: list[str] = []  # of sources that could not answer: shown once, before a question or at the end
        try:
            for position, name in enumerate(names):
                spec = self._load(name)
                if spec.remote and self.prompts.asking.offline:
                    self.context(spec)  # reports wrong options all the same
                    tried.append(f"{name} (not asked: it needs the network)")
                    continue
                if spec.interactive and request.may_ask:
                    self._show(failures)
                try:
                    key = self._try(spec, self._open(spec), request, derive, tried)
                except SourceUnavailable as error:
                    tried.append(f"{name} ({error.message})")
                    if only:
                        raise SourceUnavailable(self._missing(tried), hint=error.hint) from None
                    if not spec.interactive:
                        failures.append(f"passphrase source {name!r}: {error.message}")
                    continue
                except WrongSecret as error:
                    if spec.interactive or not self._will_ask(names[position + 1 :], error):
                        raise
                    failures.append(error.message)
                    continue
                if key is not None:
                    return key
            failures.clear()
        finally:
            self._show(failures)
        raise NoSecret(self._missing(tried)) if only else self._no_passphrase(names, tried)

    def _try(
        self,
        spec: PassphraseSourceSpec,
        source: PassphraseSource,
        request: PassphraseRequest,
        derive: Derive,
        tried: list[str],
    ) -> Secret | None:
        """The key, or None if the source has no secret; ``tried`` gets the reason.

        :raises WrongSecret: the source has a wrong secret.
        :raises SourceUnavailable: the source cannot answer.
        """
        for attempt in range(1, TRIES + 1 if spec.interactive else 2):
            try:
                secret = source.get(replace(request, attempt=attempt))
            except QuestionRefused:
                raise PassphraseError(f"no passphrase was given for store {self.store!r}") from None
            if secret is None:
                reason = self.prompts.cannot_ask() if spec.interactive else None
                tried.append(f"{spec.name} ({reason or 'not set'})")
                return None
            try:
                with self._one_at_a_time():
                    return derive(secret)
            except WrongSecret:
                if spec.interactive:
                    continue
                tried.append(f"{spec.name} (wrong)")
                raise WrongSecret(
                    f"the passphrase from source {spec.name!r} does not open store {self.store!r}",
                    hint="check where it is set; 'awsv explain PROFILE' names the sources",
                ) from None
        raise WrongSecret(f"wrong passphrase for store {self.store!r}, three times")

    def _request(self, key_id: str, purpose: Purpose) -> PassphraseRequest:
        return PassphraseRequest(
            store=self.store,
            key_id=key_id,
            purpose=purpose,
            may_ask=self.prompts.cannot_ask() is None,
            deadline=self.prompts.deadline(),
        )

    def _load(self, name: str) -> PassphraseSourceSpec:
        spec: PassphraseSourceSpec = self.plugins.load("passphrase", name)
        return spec

    def _open(self, spec: PassphraseSourceSpec) -> PassphraseSource:
        return open_source(self.plugins, spec, self.context(spec))

    def _writable(self, name: str) -> PassphraseSource:
        spec = self._load(name)
        if not spec.writable:
            raise PassphraseError(
                f"passphrase source {name!r} cannot keep a key",
                hint="name a source that keeps keys, as a keychain does",
            )
        return self._open(spec)

    def _will_ask(self, names: Sequence[str], wrong: WrongSecret) -> bool:
        """Whether one of these sources will ask the user. They are loaded only now.

        :raises WrongSecret: one of them does not load: the wrong secret is the first error to report.
        """
        try:
            return self.prompts.cannot_ask() is None and any(self._load(name).interactive for name in names)
        except PluginError as error:
            raise WrongSecret(wrong.message, hint=f"correct it; no other source was asked: {error.message}") from None

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            self.prompts.notice(line)
        lines.clear()

    def _no_passphrase(self, names: Sequence[str], tried: list[str]) -> NoSecret:
        removed = [name for name in self.settings.environ.get(REMOVED, "").split(",") if "PASSPHRASE" in name]
        message = f"no passphrase for store {self.store!r}: tried {', '.join(tried)}"
        if removed:
            return NoSecret(
                f"{message}; awsv removed {' and '.join(removed)} from the environment of the program that it started",
                hint=f"run this outside of 'awsv exec', or start that program with --keep-env {removed[0]}",
            )
        return NoSecret(message, hint=self._remedy(names))

    def _remedy(self, names: Sequence[str]) -> str:
        """What would give one of these sources a secret."""
        remedies = []
        if any(self._load(name).interactive for name in names):
            remedies.append("run it in a terminal")
        if "env" in names:
            remedies.append(f"set AWS_VAULT_{re.sub('[^A-Z0-9]', '_', self.store.upper())}_PASSPHRASE_FILE")
        ask = f"to be asked for it, give --passphrase-source {','.join((*names, 'prompt'))}"
        return ", or ".join(remedies) or ask

    def _missing(self, tried: list[str]) -> str:
        return f"no secret for store {self.store!r} from its source {', '.join(tried)}"

    def _one_at_a_time(self) -> AbstractContextManager[object]:
        """One derivation at a time per user: sixteen of them would take a gigabyte and starve each other."""
        try:
            return files.held(self.settings.state_dir / "derive.lock", timeout=_DERIVE_WAIT)
        except OSError:  # also TimeoutError: without the lock it is slower, but correct
            return nullcontext()
