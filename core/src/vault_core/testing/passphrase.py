"""The contract of passphrase plugins."""

from __future__ import annotations


class PassphraseContract:
    """To come."""
