"""What each passphrase source is told, and which of them is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from support.odd import Shelf
from vault_core import files
from vault_core.api import (
    NoSecret,
    Option,
    PassphraseError,
    PassphraseRequest,
    PassphraseSource,
    PassphraseSourceSpec,
    Purpose,
    Secret,
    SourceUnavailable,
    WrongSecret,
)
from vault_core.asking import Asking
from vault_core.errors import ConfigError
from vault_core.plugins.host import Host
from vault_core.settings import Settings
from vault_core.terminal import Terminal


class There(Terminal):
    def why_not(self) -> str | None:
        return None


class Ring(PassphraseSource):
    """Keeps one secret, and remembers what it was asked for."""

    def __init__(self, kept: str | None = None) -> None:
        self.kept = None if kept is None else Secret(kept)
        self.asked: list[tuple[str, Purpose, int]] = []

    def _note(self, what: str, request: PassphraseRequest) -> None:
        self.asked.append((what, request.purpose, request.attempt))

    def get(self, request: PassphraseRequest) -> Secret | None:
        self._note("get", request)
        return self.kept

    def put(self, request: PassphraseRequest, secret: Secret) -> None:
        self._note("put", request)
        self.kept = secret

    def forget(self, request: PassphraseRequest) -> bool:
        self._note("forget", request)
        return True


def host(
    root: Path, ring: Ring, more: tuple[Option, ...] = (), environ: dict[str, str] | None = None, **how: bool
) -> Host:
    spec = PassphraseSourceSpec(name="ring", summary="s", open=lambda _: ring, options=more, **how)  # type: ignore[arg-type]  # it has what a source has, and flags that are all bool
    settings = Settings({"HOME": str(root), "AWS_VAULT_PASSPHRASE_SOURCE": "ring"} | (environ or {}))
    return Host(settings, Shelf(passphrase=spec), terminal=There())


def wrong(_: Secret) -> Secret:
    raise WrongSecret("no")


def test_a_source_learns_what_a_key_is_kept_and_forgotten_for(tmp_path: Path) -> None:
    ring = Ring()
    made = host(tmp_path, ring, writable=True)
    context = made.context("storage", "file", (), store=made.settings.store("file"))
    context.keep("ring", "id", Secret("k"))
    assert context.forget("ring", "id") is True
    assert ring.asked == [("put", Purpose.CREATE, 1), ("get", Purpose.UNLOCK, 1), ("forget", Purpose.CHANGE, 1)]


def test_a_source_that_keeps_nothing_is_neither_given_nor_asked(tmp_path: Path) -> None:
    ring = Ring()
    context = host(tmp_path, ring).context("storage", "file", ())
    for call in (lambda: context.keep("ring", "id", Secret("k")), lambda: context.forget("ring", "id")):
        with pytest.raises(PassphraseError, match="'ring' cannot keep a key"):
            call()
    assert ring.asked == []


@pytest.mark.parametrize(("interactive", "times"), [(True, 3), (False, 1)])
def test_how_often_a_source_is_asked(interactive: bool, times: int, tmp_path: Path) -> None:
    ring = Ring("no")
    context = host(tmp_path, ring, interactive=interactive).context("storage", "file", ())
    with pytest.raises(WrongSecret):
        context.unlock("id", wrong)
    assert [attempt for _, _, attempt in ring.asked] == list(range(1, times + 1))


@pytest.mark.parametrize("remote", [True, False])
def test_a_source_on_the_network_is_not_asked_while_looking(remote: bool, tmp_path: Path) -> None:
    ring = Ring("yes")
    made = replace(host(tmp_path, ring, remote=remote), asking=Asking(offline=True))
    context = made.context("storage", "file", ())
    if remote:
        with pytest.raises(NoSecret, match=r"ring \(not asked: it needs the network\)"):
            context.unlock("id", lambda secret: secret)
    else:
        assert context.unlock("id", lambda secret: secret) == Secret("yes")
    assert len(ring.asked) == (not remote)


def test_what_is_set_wrongly_is_told_while_looking(tmp_path: Path) -> None:
    option = Option(name="port", help="a port", parse=int)
    made = host(tmp_path, Ring(), (option,), {"AWS_VAULT_RING_PORT": "x"}, remote=True)
    with pytest.raises(ConfigError, match="option 'port' of ring"):
        replace(made, asking=Asking(offline=True)).context("storage", "file", ()).unlock("id", lambda secret: secret)


def test_the_profile_sets_the_options_of_a_source(tmp_path: Path) -> None:
    ring, seen = Ring("yes"), []
    option = Option(name="field", help="h", from_profile=True)
    made = host(tmp_path, ring, (option,))
    spec = made.plugins.load("passphrase", "ring")
    object.__setattr__(spec, "open", lambda ctx: seen.append(ctx.options["field"]) or ring)
    profile = {"vault_ring_field": "of the profile"}
    made.context("storage", "file", (), profile=profile).unlock("id", lambda secret: secret)
    assert seen == ["of the profile"]


def test_derivation_waits_thirty_seconds_and_then_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def busy(path: Path, *, timeout: float) -> NoReturn:
        calls.extend((path.name, timeout))
        raise TimeoutError

    monkeypatch.setattr("vault_core.files.held", busy)
    context = host(tmp_path, Ring("yes")).context("storage", "file", ())
    assert context.unlock("id", lambda secret: secret) == Secret("yes")
    assert calls == ["derive.lock", 30]


@pytest.mark.parametrize("fails", [True, False])
def test_derivation_holds_lock_and_releases_it(fails: bool, tmp_path: Path) -> None:
    some = host(tmp_path, Ring("yes"))
    lock = some.settings.state_dir / "derive.lock"

    def derive(secret: Secret) -> Secret:
        with pytest.raises(TimeoutError), files.held(lock, timeout=0):
            pytest.fail("not held")
        return wrong(secret) if fails else secret

    context = some.context("storage", "file", ())
    if fails:
        with pytest.raises(WrongSecret):
            context.unlock("id", derive)
    else:
        context.unlock("id", derive)
    with files.held(lock, timeout=0):
        pass


def test_a_factor_that_cannot_be_had_ends_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Away(Ring):
        def get(self, request: PassphraseRequest) -> Secret | None:
            raise SourceUnavailable("no answer", hint="try later")

    context = host(tmp_path, Away()).context("storage", "file", ())
    with pytest.raises(SourceUnavailable, match=r"from its source ring \(no answer\)") as refused:
        context.unlock("id", lambda secret: secret, source="ring")
    assert refused.value.hint == "try later"
    assert capfd.readouterr().err == ""
    with pytest.raises(NoSecret, match=r"tried ring \(no answer\)"):
        context.unlock("id", lambda secret: secret)


def test_a_person_who_cannot_answer_is_no_news_where_another_source_can(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Away(Ring):
        def get(self, request: PassphraseRequest) -> Secret | None:
            raise SourceUnavailable("no answer")

    for interactive, told in ((True, ""), (False, "awsv: passphrase source 'away': no answer\n")):
        away = PassphraseSourceSpec(name="away", summary="s", open=lambda _: Away(), interactive=interactive)
        made = host(tmp_path, Ring("yes"), environ={"AWS_VAULT_PASSPHRASE_SOURCE": "away,ring"})
        made.plugins._loaded["passphrase", "away"] = away
        assert made.context("storage", "file", ()).unlock("id", lambda secret: secret) == Secret("yes")
        assert capfd.readouterr().err == told
