"""The contract of session plugins."""

from __future__ import annotations


class SessionContract:
    """To come."""
