"""What the host's context does for a plugin: asking, telling, remembering, and giving up in time."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Option, Secret, StorageBackend
from vault_core.asking import Asking
from vault_core.errors import Cancelled, SourceUnavailable, StorageDenied, VaultError
from vault_core.plugins.host import Host, HostContext
from vault_core.plugins.loader import Plugins
from vault_core.plugins.passphrases import Passphrases
from vault_core.settings import Settings
from vault_core.terminal import Terminal


class Person(Terminal):
    """Answers, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.reason: str | None = None

    def why_not(self) -> str | None:
        return self.reason

    def ask(self, question: str, **how: Any) -> Secret:
        self.asked.append({"question": question, **how})
        return Secret("answer")

    def confirm(self, question: str, **how: Any) -> bool:
        self.asked.append({"question": question, **how})
        return True


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def host(tmp_path: Path, person: Person) -> Host:
    return Host(Settings({"HOME": str(tmp_path), "PATH": "/bin:/usr/bin"}), Plugins(), terminal=person)


def context(host: Host, asking: Asking | None = None, **environ: str) -> HostContext:
    host = replace(host, settings=Settings({**host.settings.environ, **environ}), asking=asking or host.asking)
    return host.context("storage", "odd", (), store=host.settings.store("odd"))


@pytest.mark.parametrize("secret", [True, False])
def test_a_question_says_who_asks_and_until_when(secret: bool, host: Host, person: Person) -> None:
    asking = Asking("profile prod", time_limit=60.0)
    before = time.monotonic()
    assert context(host, asking).ask("PIN: ", secret=secret) == Secret("answer")
    (asked,) = person.asked
    assert (asked["question"], asked["secret"], asked["asker"]) == (
        "PIN: ",
        secret,
        replace(host, asking=asking).asker,
    )
    assert "profile prod" in asked["asker"]
    assert before + 60 <= asked["deadline"] <= time.monotonic() + 60
    assert host.state.prompts_shown == 1


def test_a_question_without_a_limit_has_no_deadline(host: Host, person: Person) -> None:
    context(host).ask("PIN: ")
    assert person.asked[0]["deadline"] is None
    assert person.asked[0]["secret"] is True


def test_a_question_waits_for_that_of_another_process(host: Host, person: Person) -> None:
    ctx = context(host, Asking(time_limit=0.1))
    with (ctx.state_dir / f"terminal-{os.getsid(0)}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(SourceUnavailable, match="another question"):
            ctx.ask("PIN: ")
    assert person.asked == []
    assert ctx.ask("PIN: ") == Secret("answer")


def test_where_nobody_can_answer_nobody_is_asked(host: Host, person: Person) -> None:
    for person.reason, allowed, reason in (("in the background", True, "background"), (None, False, "not allowed")):
        refusing = context(host, Asking(allowed=allowed))
        with pytest.raises(SourceUnavailable, match=reason):
            refusing.ask("PIN: ")
        assert refusing.confirm("sure?") is False
    assert (person.asked, host.state.prompts_shown) == ([], 0)


def test_a_confirmation_says_who_asks(host: Host, person: Person) -> None:
    assert context(host).confirm("sure?") is True
    assert person.asked == [{"question": "sure?", "asker": host.asker}]


@pytest.mark.parametrize(
    ("environ", "may_ask", "may_show"),
    [({}, True, True), ({}, False, False), ({"CI": "1"}, True, False), ({"SSH_CONNECTION": "x"}, True, False)],
)
def test_a_dialog_appears_only_where_somebody_sits(
    environ: dict[str, str], may_ask: bool, may_show: bool, host: Host
) -> None:
    assert context(host, Asking(allowed=may_ask), **environ).can_show_dialog is may_show


def test_what_is_suspect_is_told_or_refused(host: Host, capfd: pytest.CaptureFixture[str]) -> None:
    context(host).suspect("an old copy", hint="look")
    assert host.state.suspected
    assert capfd.readouterr().err == "awsv: an old copy: you can read it, and programs cannot (look)\n"
    host.state.suspected = False
    with pytest.raises(StorageDenied, match="an old copy; no user would see this notice"):
        context(host, Asking(attended=False)).suspect("an old copy", hint="look")
    assert not host.state.suspected
    assert capfd.readouterr().err == ""


def test_asking_of_one_operation_does_not_change_another(host: Host) -> None:
    other = replace(host, asking=Asking("a look", allowed=False, offline=True))
    assert (host.asking, other.asking.purpose) == (Asking(), "a look")
    assert other.state is host.state
    with pytest.raises(FrozenInstanceError):
        host.asking = other.asking  # type: ignore[misc]  # what is to fail


def test_check_raises_once_the_run_is_cancelled(host: Host) -> None:
    made = context(host)
    made.check()
    host.state.cancel()
    with pytest.raises(Cancelled):
        made.check()


@pytest.mark.process
def test_a_program_gets_no_variable_that_its_plugin_does_not_see(host: Host) -> None:
    made = context(host, AWS_VAULT_FILE_PASSPHRASE="canary", SEEN="yes")
    names = ("AWS_VAULT_FILE_PASSPHRASE", "SEEN")
    shown = made.run(["env"], env=names).stdout.reveal_text().splitlines()
    assert "SEEN=yes" in shown
    assert "canary" not in str(shown)
    assert "SEEN=yes" not in made.run(["env"]).stdout.reveal_text()


def test_closing_goes_on_after_whatever_goes_wrong(host: Host) -> None:
    closed: list[int] = []

    class Closing:
        def __init__(self, number: int, error: BaseException | None) -> None:
            self.number, self.error = number, error

        def close(self) -> None:
            closed.append(self.number)
            if self.error:
                raise self.error

    errors = [None, SystemExit(3), GeneratorExit(), ValueError()]
    stores: list[Any] = [Closing(number, error) for number, error in enumerate(errors)]
    host.state.stores = list[StorageBackend](stores)
    host.state.close_stores(keep=1)
    assert (closed, host.state.stores) == ([3, 2, 1], stores[:1])
    host.state.close_stores()
    assert (closed, host.state.stores) == ([3, 2, 1, 0], [])


def test_what_is_forgotten_is_all_below_a_key_and_no_other(host: Host) -> None:
    host.state.keys = dict.fromkeys(("a/1", "a/1/x", "a/2", "b"), Secret("k"))
    host.state.forget_keys("a/1")
    assert set(host.state.keys) == {"a/2", "b"}


def test_a_failure_forgets_the_factors_of_a_key_and_not_another_key(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Secret:
        raise VaultError("wrong")

    monkeypatch.setattr(Passphrases, "unlock", fail)
    host.state.keys = dict.fromkeys(("a/1/x", "a/12", "a/2"), Secret("k"))
    with pytest.raises(VaultError):
        context(host).unlock("a/1", lambda secret: secret)
    assert set(host.state.keys) == {"a/12", "a/2"}


def test_the_value_of_a_secret_option_is_not_told(host: Host) -> None:
    def parse(text: str) -> int:
        return int(text)

    host = replace(host, settings=Settings({**host.settings.environ, "AWS_VAULT_ODD_PIN": "canary"}))
    for secret in (True, False):
        with pytest.raises(VaultError) as refused:
            host.context("storage", "odd", (Option(name="pin", help="h", secret=secret, parse=parse),))
        assert ("canary" in str(refused.value.message)) is not secret


def test_a_folder_that_is_gone_keeps_nobody_from_asking(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", gone)
    assert host.asker.endswith(" in a deleted folder")


def test_a_program_of_no_known_name_is_told_by_its_number(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc."""

    def unreadable(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getppid", lambda: 7)
    monkeypatch.setattr(Path, "read_text", unreadable)
    assert ", started by a program (pid 7) in " in host.asker


def test_a_key_of_a_profile_that_is_secret_for_one_plugin_is_shown_of_none(host: Host) -> None:
    secret, plain = (Option(name="b-c", help="h", secret=True),), (Option(name="c", help="h"),)
    for first, second in ((("a", secret), ("a-b", plain)), (("a-b", plain), ("a", secret))):
        fresh = Host(host.settings, Plugins())
        for name, declared in (first, second, ("other", (Option(name="d", help="h"),))):
            fresh.context("session", name, declared)
        assert fresh.state.shown_keys == {"vault_other_d"}


def test_named_plugins_are_of_all_settings_and_used_ones_are_remembered(tmp_path: Path, host: Host) -> None:
    config = tmp_path / ".config/awsv/config.toml"
    config.parent.mkdir(mode=0o700, parents=True)
    config.write_text('backend = "office"\n[store.office]\nbackend = "safe"\n')
    environ = {"PASSPHRASE_SOURCE": "ring,asks", "PROMPT": "dialog", "SESSION_PROVIDER": "sso"}
    variables = {f"AWS_VAULT_{name}": text for name, text in environ.items()}
    settings = Settings({"HOME": str(tmp_path)} | variables)
    sources = {("passphrase", "ring"), ("passphrase", "asks"), ("mfa", "dialog")}
    assert settings.named_plugins() == {("storage", "safe"), *sources, ("session", "sso")}
    assert ("session", "") not in Settings({"HOME": str(tmp_path)}).named_plugins()
    host.context("mfa", "token", ())
    assert host.state.used_plugins == {"token"}


def test_what_for_takes_40_columns_at_most(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 7)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "sh\n")
    host = replace(host, asking=Asking("p" * 60))
    assert host.asker.startswith(f"awsv for {'p' * 39}…, started by sh (pid 7) in ")
