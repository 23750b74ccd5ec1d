"""The contract of mfa plugins."""

from __future__ import annotations


class MfaContract:
    """To come."""
