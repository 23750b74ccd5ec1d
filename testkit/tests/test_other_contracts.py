"""The kit against passphrase sources, MFA sources and session providers, good ones and bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.contract_run import Run, failed

GOOD = {"passphrase": ("drawer", "asks"), "mfa": ("codes",), "session": ("sessions",)}
MEANT = {
    ("passphrase", "keeps-for-ever"): {"Keeping"},
    ("passphrase", "keeps-by-name"): {"Keeping"},
    ("passphrase", "nags"): {"Asking"},
    ("passphrase", "asks-in-secret"): {"Asking"},
    ("passphrase", "persists"): {"Asking"},
    ("passphrase", "repeats"): {"Secrecy"},
    ("passphrase", "stumbles"): {"Answers"},
    ("mfa", "five-digits"): {"Codes"},
    ("session", "no-zone"): {"Issuing"},
    ("session", "with-the-time"): {"Parameters"},
}
"""Every faulty backend, and the part that is there to catch it; all parts run."""


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in GOOD.items() for name in names])
def test_a_good_plugin_passes(kind: str, name: str, tmp_path: Path) -> None:
    done, parts = Run(tmp_path, kind, name, "sources")()
    assert done.returncode == 0, done.stdout
    assert failed(parts) == set()
    assert sum(part["outcome"] == "pass" for part in parts.values()) >= len(parts) - 1


@pytest.mark.parametrize(("kind", "name"), MEANT, ids=lambda text: text)
def test_a_faulty_backend_is_caught_by_its_part(kind: str, name: str, tmp_path: Path) -> None:
    done, parts = Run(tmp_path, kind, name, "sources")()
    assert failed(parts) == MEANT[kind, name], done.stdout
