"""Which items ``awsv import aws-vault`` opens, and with which passphrase."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import ImportScan, PassphraseError, QuestionRefused, Secret, SourceUnavailable, WrongSecret
from vault_plugin_aws_vault import commands
from vault_plugin_aws_vault.plugin import FOLDER, PASSPHRASE


def context(environ: dict[str, str], ask: Any = None) -> Any:
    return SimpleNamespace(environ=environ, ask=ask, note=lambda _: None)


@pytest.mark.parametrize(("wrong", "asked", "opens"), [(0, 1, True), (2, 3, True), (3, 3, False)])
def test_opened_user_has_three_tries(
    wrong: int, asked: int, opens: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    questions: list[str] = []
    result = ImportScan("here")

    def scan(*_: object) -> ImportScan:
        if len(questions) <= wrong:
            raise WrongSecret("it opens none")
        return result

    def ask(text: str, *, secret: bool = True) -> Secret:
        assert secret
        questions.append(text)
        return Secret("x")

    monkeypatch.setattr(commands, "scan", scan)
    if opens:
        assert commands.opened(context({}, ask), tmp_path, {}) is result
    else:
        with pytest.raises(WrongSecret):
            commands.opened(context({}, ask), tmp_path, {})
    assert len(questions) == asked


def test_opened_empty_variable_is_an_error_and_no_prompt(tmp_path: Path) -> None:
    with pytest.raises(PassphraseError, match=r"is set but empty$"):
        commands.opened(context({PASSPHRASE: ""}), tmp_path, {})


@pytest.mark.parametrize(
    ("error", "says"),
    [(SourceUnavailable("no terminal"), "no prompt: no terminal"), (QuestionRefused("^C"), "nothing was")],
)
def test_opened_without_an_answer_is_a_passphrase_error(error: Exception, says: str, tmp_path: Path) -> None:
    def ask(*_: object) -> Secret:
        raise error

    with pytest.raises(PassphraseError, match=says):
        commands.opened(context({}, ask), tmp_path, {})


@pytest.mark.parametrize("where", ["full", "~/full", "empty", "missing", "relative"])
def test_items_folder_is_the_variable_only_if_it_contains_items(where: str, tmp_path: Path) -> None:
    for name in ("full", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/item").write_bytes(b"eyJx")
    named = {"~/full": "~/full", "relative": "full"}.get(where, str(tmp_path / where))
    ctx = context({"HOME": str(tmp_path), FOLDER: named})
    expected = tmp_path / "full" if where in ("full", "~/full") else tmp_path / ".awsvault/keys"
    assert commands.items_folder(ctx, None) == expected
    assert commands.items_folder(ctx, str(tmp_path / "given")) == tmp_path / "given"
