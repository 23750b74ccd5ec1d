"""Plugins: found by metadata, loaded one at a time by name, and served by the host context."""
