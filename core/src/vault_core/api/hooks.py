"""The mark of a plugin's hooks."""

from __future__ import annotations

import pluggy

hookimpl = pluggy.HookimplMarker("vault")
