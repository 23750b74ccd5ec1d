"""Import of AWS keys that are kept outside the vault: scan, copy and compare, remove the plain keys, undo.

Nothing here prints or prompts: the functions return dataclasses and take callbacks.
"""
