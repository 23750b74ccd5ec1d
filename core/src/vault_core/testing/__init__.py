"""The kit for plugin authors: a host context that a test fills, without a terminal, a clock or a user."""

from __future__ import annotations

from vault_core.testing.context import FakeContext

__all__ = ["FakeContext"]
