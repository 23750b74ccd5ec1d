"""The sources ``prompt`` and ``terminal`` keep the contracts of passphrase and MFA sources."""

from __future__ import annotations

from vault_testkit import MfaContract, PassphraseContract


class TestPrompt(PassphraseContract):
    entry_point = "prompt"


class TestTerminal(MfaContract):
    entry_point = "terminal"
