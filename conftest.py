"""Loads the fixtures of ``tests/support`` for every distribution's tests (pytest takes plugins only from here)."""

pytest_plugins = [
    "support.fixtures",
    "support.iam_front",
    "support.kinds",
    "support.measured",
    "support.openbao",
    "support.root",
    "support.security",
    "support.sts_identity",
    "vault_testkit.pytest_plugin",
]
