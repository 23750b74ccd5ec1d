"""The chain of passphrase sources: every outcome that a source can have, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.scripted import Person
from vault_core.api import (
    PassphraseRequest,
    PassphraseSource,
    PassphraseSourceSpec,
    Purpose,
    QuestionRefused,
    Secret,
    SourceUnavailable,
)
from vault_core.asking import Asking
from vault_core.errors import PassphraseError, PluginFault, PluginNotFound, VaultError, WrongSecret
from vault_core.plugins.host import Host, HostContext
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings

RIGHT, WRONG = Secret("right"), Secret("wrong")
Answer = Secret | Exception | str | None


class Scripted(PassphraseSource):
    """Gives its answers one after the other."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[PassphraseRequest] = []

    def get(self, request: PassphraseRequest) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Shelf(Plugins):
    """Plugins that are at hand without being installed."""

    def __init__(self, specs: dict[str, PassphraseSourceSpec]) -> None:
        super().__init__()
        self._loaded = {("passphrase", name): spec for name, spec in specs.items()}


class Chain:
    """Sources in order, and a lock that one passphrase opens."""

    def __init__(self, root: Path, order: str, person: bool = True, **answers: Sequence[Answer]) -> None:
        self.sources = {name: Scripted(given) for name, given in answers.items()}
        specs = {name: self._spec(name, source) for name, source in self.sources.items()}
        environ = {"HOME": str(root), "AWS_VAULT_PASSPHRASE_SOURCE": order}
        self.host = Host(Settings(environ), Shelf(specs), terminal=Person(person))
        self.context = _context(self.host)
        self.derived: list[bytes] = []

    @staticmethod
    def _spec(name: str, source: Scripted) -> PassphraseSourceSpec:
        return PassphraseSourceSpec(name=name, summary="s", open=lambda _: source, interactive=name.startswith("ask"))

    def change(self, **changes: Any) -> None:
        """Give the host other settings, or another way of asking."""
        self.host = replace(self.host, **changes)
        self.context = _context(self.host)

    def derive(self, secret: Secret) -> Secret:
        self.derived.append(secret.reveal())
        if secret != RIGHT:
            raise WrongSecret("no")
        return Secret("the key")

    def unlock(self, key_id: str = "id", **how: Any) -> Secret:
        return self.context.unlock(key_id, self.derive, **how)


def _context(host: Host) -> HostContext:
    return host.context("storage", "file", (), store=host.settings.store("file"))


@pytest.fixture
def chain(tmp_path: Path) -> Callable[..., Chain]:
    return lambda order, **given: Chain(tmp_path, order, **given)


MakeChain = Callable[..., Chain]


def failure(made: Chain, kind: type[VaultError] = PassphraseError, **how: Any) -> VaultError:
    with pytest.raises(kind) as caught:
        made.unlock(**how)
    assert caught.value.exit_code == kind.exit_code
    return caught.value


def test_the_first_that_has_it(chain: MakeChain) -> None:
    made = chain("aa,bb", aa=[RIGHT], bb=[])
    assert made.unlock() == Secret("the key")
    assert made.sources["bb"].requests == []


def test_not_configured_means_the_next(chain: MakeChain) -> None:
    made = chain("aa,bb,cc", aa=[None], bb=[None], cc=[RIGHT])
    assert made.unlock() == Secret("the key")


def test_the_user_orders_the_sources(chain: MakeChain) -> None:
    made = chain("bb,aa", aa=[WRONG], bb=[RIGHT])
    assert made.unlock() == Secret("the key")
    assert made.sources["aa"].requests == []


def test_unavailable_is_told_and_the_next_is_tried(chain: MakeChain, capfd: pytest.CaptureFixture[str]) -> None:
    made = chain("aa,bb", aa=[SourceUnavailable("the network is down")], bb=[RIGHT])
    assert made.unlock() == Secret("the key")
    assert capfd.readouterr() == ("", "awsv: passphrase source 'aa': the network is down\n")


def test_a_source_may_find_out_when_it_is_opened(chain: MakeChain, capfd: pytest.CaptureFixture[str]) -> None:
    made = chain("aa,bb", aa=[], bb=[RIGHT])

    def open_(_context: object) -> PassphraseSource:
        raise SourceUnavailable("its program is not installed")

    specs = made.host.plugins._loaded
    specs["passphrase", "aa"] = PassphraseSourceSpec(name="aa", summary="s", open=open_)
    assert made.unlock() == Secret("the key")
    assert capfd.readouterr().err == "awsv: passphrase source 'aa': its program is not installed\n"


def test_who_is_asked_knows_why(chain: MakeChain, capfd: pytest.CaptureFixture[str]) -> None:
    made = chain("aa,bb,ask", aa=[SourceUnavailable("the network is down")], bb=[None], ask=[])
    told = []

    def get(_request: PassphraseRequest) -> Secret:
        told.append(capfd.readouterr().err)
        return RIGHT

    made.sources["ask"].get = get  # type: ignore[method-assign, assignment]  # it looks at the screen while it asks
    made.unlock()
    assert told == ["awsv: passphrase source 'aa': the network is down\n"]
    assert capfd.readouterr().err == ""


def test_what_the_error_says_is_said_nowhere_else(chain: MakeChain, capfd: pytest.CaptureFixture[str]) -> None:
    made = chain("aa,bb,ask", person=False, aa=[SourceUnavailable("offline")], bb=[None], ask=[None])
    assert "tried aa (offline), bb (not set)" in failure(made).message
    assert capfd.readouterr().err == ""
    made = chain("aa,bb", aa=[SourceUnavailable("offline")], bb=[PassphraseError("BB is set but empty")])
    assert failure(made).message == "BB is set but empty"
    assert capfd.readouterr().err == "awsv: passphrase source 'aa': offline\n"
    made = chain("aa", aa=[SourceUnavailable("offline", hint="go online")])
    error = failure(made, SourceUnavailable, source="aa")
    assert error.message == "no secret for store 'file' from its source aa (offline)"
    assert error.hint == "go online"
    assert capfd.readouterr().err == ""


def test_refused_by_the_person_stops(chain: MakeChain) -> None:
    made = chain("ask,bb", ask=[QuestionRefused("declined")], bb=[RIGHT])
    assert failure(made).message == "no passphrase was given for store 'file'"
    assert made.sources["bb"].requests == []


def test_set_but_unusable_stops(chain: MakeChain) -> None:
    made = chain("aa,bb", aa=[PassphraseError("AA is set but empty", hint="unset AA")], bb=[RIGHT])
    assert failure(made).message == "AA is set but empty"
    assert made.sources["bb"].requests == []


def test_a_wrong_one_that_nobody_typed_is_named(chain: MakeChain) -> None:
    made = chain("aa,bb", aa=[WRONG], bb=[RIGHT])
    error = failure(made, WrongSecret)
    assert error.message == "the passphrase from source 'aa' does not open store 'file'"
    assert made.sources["bb"].requests == []  # bb asks nobody: who set aa wrong must learn it


def test_a_wrong_one_before_somebody_is_asked(chain: MakeChain, capfd: pytest.CaptureFixture[str]) -> None:
    made = chain("aa,ask", aa=[WRONG], ask=[RIGHT])
    assert made.unlock() == Secret("the key")
    assert capfd.readouterr().err == "awsv: the passphrase from source 'aa' does not open store 'file'\n"


def test_a_wrong_one_where_nobody_can_be_asked(chain: MakeChain) -> None:
    made = chain("aa,ask", person=False, aa=[WRONG], ask=[None])
    assert "'aa'" in failure(made, WrongSecret).message
    assert made.sources["ask"].requests == []


def test_a_wrong_one_comes_before_a_source_that_does_not_load(chain: MakeChain) -> None:
    error = failure(chain("aa,not-there", aa=[WRONG]), WrongSecret)
    assert error.message == "the passphrase from source 'aa' does not open store 'file'"
    assert "no passphrase source named 'not-there' is installed" in str(error.hint)


def test_a_person_has_three_tries(chain: MakeChain) -> None:
    made = chain("ask,ask2", ask=[WRONG, WRONG, WRONG, RIGHT], ask2=[RIGHT])
    assert failure(made, WrongSecret).message == "wrong passphrase for store 'file', three times"
    assert [request.attempt for request in made.sources["ask"].requests] == [1, 2, 3]
    assert made.sources["ask2"].requests == []


def test_the_third_try_may_be_right(chain: MakeChain) -> None:
    assert chain("ask", ask=[WRONG, WRONG, RIGHT]).unlock() == Secret("the key")


def test_nobody_has_it(chain: MakeChain) -> None:
    made = chain("aa,ask,bb", person=False, aa=[None], ask=[None], bb=[SourceUnavailable("offline")])
    error = failure(made)
    assert error.message == (
        "no passphrase for store 'file': tried aa (not set), ask (there is no terminal), bb (offline)"
    )
    assert error.hint == "run it in a terminal"


@pytest.mark.parametrize(
    ("order", "hint"),
    [
        ("env", "set AWS_VAULT_FILE_PASSPHRASE_FILE"),
        ("env,ask", "run it in a terminal, or set AWS_VAULT_FILE_PASSPHRASE_FILE"),
        ("aa", "to be asked for it, give --passphrase-source aa,prompt"),
    ],
)
def test_the_hint_is_of_use_with_these_sources(order: str, hint: str, chain: MakeChain) -> None:
    answers: dict[str, Sequence[Answer]] = {name: [None] for name in order.split(",")}
    assert failure(chain(order, person=False, **answers)).hint == hint


def test_a_source_learns_what_it_needs(chain: MakeChain) -> None:
    made = chain("aa", aa=[RIGHT])
    made.change(asking=Asking(time_limit=45.0))
    made.unlock("the-slot", create=True)
    (request,) = made.sources["aa"].requests
    assert (request.store, request.key_id, request.purpose) == ("file", "the-slot", Purpose.CREATE)
    assert request.may_ask
    assert request.deadline is not None


def test_while_listing_nobody_may_be_asked(chain: MakeChain) -> None:
    made = chain("ask", ask=[None])
    made.change(asking=Asking(allowed=False))
    assert "ask (asking is not allowed here)" in failure(made).message
    assert not made.sources["ask"].requests[0].may_ask


def test_a_key_is_derived_once(chain: MakeChain) -> None:
    made = chain("aa", aa=[RIGHT, RIGHT])
    assert made.unlock("one") == made.unlock("one")
    assert made.derived == [b"right"]
    made.unlock("two")
    assert made.derived == [b"right", b"right"]


def test_a_wrong_answer_is_not_remembered(chain: MakeChain) -> None:
    made = chain("aa", aa=[WRONG, RIGHT])
    failure(made, WrongSecret)
    assert made.unlock() == Secret("the key")


def test_a_factor_asks_one_source_alone(chain: MakeChain) -> None:
    made = chain("aa,bb", aa=[WRONG], bb=[RIGHT])
    assert made.unlock(source="bb") == Secret("the key")
    assert made.sources["aa"].requests == []


@pytest.mark.parametrize("raised", [ValueError("canary"), "canary and no Secret"], ids=["raises", "wrong-type"])
def test_a_source_with_a_bug_is_blamed(raised: Answer, chain: MakeChain) -> None:
    error = failure(chain("aa,bb", aa=[raised], bb=[RIGHT]), PluginFault if isinstance(raised, str) else VaultError)
    assert "passphrase source 'aa'" in error.message
    assert "canary" not in error.message


def test_a_missing_source_concerns_who_needs_it(chain: MakeChain) -> None:
    assert chain("aa,not-there", aa=[RIGHT]).unlock() == Secret("the key")
    with pytest.raises(PluginNotFound):
        chain("aa,not-there", aa=[None]).unlock()


def test_a_nested_call_learns_what_awsv_took_away(tmp_path: Path) -> None:
    made = Chain(tmp_path, "aa", aa=[None])
    removed = {"AWS_VAULT_REMOVED": "AWS_VAULT_FILE_PASSPHRASE,X_TOKEN"}
    made.change(settings=Settings({**made.host.settings.environ, **removed}))
    error = failure(made)
    assert "awsv removed AWS_VAULT_FILE_PASSPHRASE from the environment of the program that it started" in error.message
    assert error.hint is not None
    assert "--keep-env AWS_VAULT_FILE_PASSPHRASE" in error.hint


def test_a_state_folder_that_cannot_be_made_locks_nobody_out(tmp_path: Path) -> None:
    made = Chain(tmp_path, "aa", aa=[RIGHT])
    (tmp_path / "blocked").write_text("")
    made.change(settings=Settings({**made.host.settings.environ, "XDG_STATE_HOME": str(tmp_path / "blocked")}))
    assert made.unlock() == Secret("the key")


def test_the_derivation_holds_a_lock_of_the_users(tmp_path: Path) -> None:
    from filelock import FileLock

    made = Chain(tmp_path, "aa", aa=[RIGHT])
    lock = made.host.settings.state_dir / "derive.lock"
    held: list[bool] = []

    def derive(secret: Secret) -> Secret:
        other = FileLock(lock, is_singleton=False)
        try:
            other.acquire(timeout=0)
        except TimeoutError:
            held.append(True)
        else:
            other.release()
            held.append(False)
        return secret

    made.context.unlock("id", derive)
    assert held == [True]
