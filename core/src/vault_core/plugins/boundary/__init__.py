"""The boundary to plugins: calls them, checks what they return, and attributes errors to their distribution.

Each kind has a function that opens a plugin and returns a checking wrapper of the same class. The core does not call
plugins otherwise (``docs/adr/0021-what-plugins-return-is-checked.md``). Messages name the type of a wrong value, never
the value, which may be a secret.
"""
