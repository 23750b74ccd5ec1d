"""Stored keys: the decorator that seals a backend, and the vault of keys by profile."""
