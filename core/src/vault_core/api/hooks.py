"""The mark of a plugin's hooks."""

import pluggy

hookimpl = pluggy.HookimplMarker("vault")
