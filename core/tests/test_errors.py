"""Every failure has an exit code of the documented list, and a message in the documented shape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from vault_core import errors
from vault_core.errors import VaultError

CODES = {
    1: {"VaultError", "OutputError"},
    2: {"UsageError", "ConfigError"},
    3: {"PluginError", "PluginFault", "PluginNotFound", "PluginConflict", "PluginDisabled", "PluginLoadError"},
    4: {"StorageError", "StorageLocked", "StorageUnavailable", "StorageCorrupt", "StorageDenied", "StorageConflict"},
    5: {"NoSecret", "PassphraseError", "SourceUnavailable", "WrongSecret"},
    6: {"SessionError", "MfaError", "MfaRejected", "AccessDenied", "CredentialsRefused"}
    | {"NoSuchKey", "TooManyKeys", "OutcomeUnknown"},
    7: {"PartlyDone"},
    130: {"Cancelled", "QuestionRefused"},
}
"""Exit code to the failures that end with it."""

CLASSES: list[type[VaultError]] = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def test_every_failure_has_its_exit_code() -> None:
    found: dict[int, set[str]] = {}
    for kind in CLASSES:
        found.setdefault(kind.exit_code, set()).add(kind.__name__)
        assert issubclass(kind, VaultError)
    assert found == CODES


def test_what_an_error_carries() -> None:
    error = VaultError("the file is gone", hint="make one")
    assert (str(error), error.message, error.hint, error.exit_code) == ("the file is gone",) * 2 + ("make one", 1)
    assert VaultError("x").hint is None


def raised() -> Iterator[tuple[str, str, str]]:
    """Where, what kind and the beginning and end of the text of every error raised with a literal text."""
    names = {kind.__name__ for kind in CLASSES}
    root = Path(__file__).parents[2]
    for path in sorted([*root.glob("*/src/**/*.py"), *root.glob("plugins/*/src/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "hint":
                yield from ((f"{path.name}:{node.lineno}", "", part) for part in shape(node.value))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                texts = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "hint")]
                for text in texts:
                    yield from ((f"{path.name}:{node.lineno}", node.func.id, part) for part in shape(text))


def shape(node: ast.expr) -> Iterator[str]:
    """The literal text, with an ellipsis for each value put into it."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from shape(body)
            yield from shape(orelse)


def test_messages_and_hints_have_one_shape() -> None:
    """They start in lower case, or with a name that is spelt so, and have no full stop."""
    found = list(raised())
    assert len(found) > 100
    spelt = ("AWS", "MFA", "STS", "Ctrl", "IAM", "GetFederationToken", "KMS", "KWallet", "VAULT_", "Setup ", "…")
    wrong = [
        (where, text)
        for where, _, text in found
        if text.endswith(".") or "\n" in text or (text[:1].isupper() and not text.startswith(spelt))
    ]
    assert wrong == []
