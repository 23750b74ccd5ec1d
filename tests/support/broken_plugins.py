"""Plugins that nobody would want: what a distribution's module can do wrong, as sources.

Each is a storage backend, of the distribution ``vault-plugin-NAME`` 1.0.
"""

from __future__ import annotations

from support.overlay_env import HEADER

SAID = '"-".join(("canary", "in", "a", "message"))'
"""The canary, as source that does not hold it: ``--debug`` shows lines of source."""

AT_IMPORT = {
    "import-error": "import not_installed_anywhere",
    "syntax-error": "def (",
    "raises": "raise RuntimeError('no luck')",
    "raises-ours": "from vault_core.api import ConfigError\nraise ConfigError('bad weather')",
    "exits": "import sys\nsys.exit(0)",
    "base-exception": "class Odd(BaseException): ...\nraise Odd",
    "no-hook": "",
    "unknown-hook": """
        from vault_core.api import hookimpl
        @hookimpl
        def vault_nonsense(): return ()
        @hookimpl
        def vault_storage_backends(): return ()
    """,
    "wrong-argument": """
        from vault_core.api import hookimpl
        @hookimpl
        def vault_storage_backends(config): return ()
    """,
    "wrong-type": """
        from vault_core.api import hookimpl
        class StorageSpec:
            name = "wrong-type"
        @hookimpl
        def vault_storage_backends(): return (StorageSpec(),)
    """,
    "no-sequence": """
        from vault_core.api import hookimpl
        @hookimpl
        def vault_storage_backends(): return 7
    """,
    "other-name": """
        from vault_core.api import StorageSpec, hookimpl
        @hookimpl
        def vault_storage_backends(): return (StorageSpec(name="file", summary="s", open=print),)
    """,
    "hook-raises": """
        from vault_core.api import hookimpl
        @hookimpl
        def vault_storage_backends(): return 1 / 0
    """,
}
"""Name to the source of a module that does not load."""

WHEN_USED = {
    "open-raises": f"def open_(ctx): raise RuntimeError({SAID})",
    "open-exits": "def open_(ctx): sys.exit(0)",
    "open-returns-none": "def open_(ctx): return None",
    "get-raises": f"""
class B(StorageBackend):
    def get(self, key): raise KeyError({SAID})
    put = delete = keys = get
def open_(ctx): return B()
""",
    "get-returns-text": f"""
class B(StorageBackend):
    def get(self, key): return {SAID}
    put = delete = keys = get
def open_(ctx): return B()
""",
    "keys-of-numbers": """
class B(StorageBackend):
    def get(self, key): raise KeyError
    put = delete = get
    def keys(self): return iter([1])
def open_(ctx): return B()
""",
}
"""Name to the source of a module that loads, and fails when its store is used."""

NOISE = """
print("noise: print")
os.write(1, b"noise: write\\n")
subprocess.run(["/bin/echo", "noise: child"])
sys.stdout.write("noise: no newline")
"""


def spec(name: str, at_rest: str = "SERVICE", more: str = "") -> str:
    """The hook of a storage backend that ``open_`` opens.

    :param more: further arguments of its spec.
    """
    return f"""
@hookimpl
def vault_storage_backends():
    return (StorageSpec(name={name!r}, summary="s", open=open_, at_rest=AtRest.{at_rest}, {more}),)
"""


def offer(name: str, more: str = "", before: str = "") -> str:
    """The source of a storage backend that is never opened."""
    return f"{HEADER}{before}\ndef open_(ctx): raise AssertionError\n{spec(name, more=more)}"


EXAMINED = {
    "hangs": (offer("hangs", before="import time\ntime.sleep(600)"), "did not load and answer within 10 seconds"),
    "hangs-later": (
        offer("hangs-later", "locate=lambda ctx: time.sleep(600)", "import time"),
        "did not load and answer within 10 seconds",
    ),
    "ends": (offer("ends", before="os._exit(0)"), "ended its process with exit code 0"),
    "kills": (offer("kills", before="os.kill(os.getpid(), 9)"), "ended its process by signal 9"),
    "no-summary": (offer("no-summary").replace('summary="s"', "summary=7"), "its summary is not one line of text"),
    "odd-options": (
        offer("odd-options", 'options=(Option(name="Dir_x", help="h"),)'),
        "'Dir_x' is not an option name",
    ),
    "same-options": (
        offer("same-options", 'options=(Option(name="a", help="h"), Option(name="a", help="h"))'),
        "two of its options have the same name",
    ),
    "open-secret": (
        offer("open-secret", 'options=(Option(name="a", help="h", secret=True, from_profile=True),)'),
        "its option 'a' is secret",
    ),
    "no-options": (offer("no-options", "options=['a']"), "its options are not a tuple of Option"),
    "no-variables": (offer("no-variables", "secret_variables='*'"), "its secret_variables are not a tuple of str"),
    "no-number": (offer("no-number", "max_value=8"), "its max_value is not a number of bytes of at least 64"),
    "no-flags": (offer("no-flags", "capabilities=3"), "its capabilities are not a Capability"),
    "no-opener": (offer("no-opener", "locate=5"), "its locate cannot be called"),
    "locate-raises": (
        offer("locate-raises", f"locate=lambda ctx: 1 / len({SAID}[:0])"),
        "failed with ZeroDivisionError",
    ),
    "locate-number": (offer("locate-number", "locate=lambda ctx: b'x'"), "returned bytes; it must return a str"),
    "locate-none": (offer("locate-none", "locate=lambda ctx: None"), "returned None; it must return a str"),
}
"""Name to a module that ``plugins check`` alone shows to be broken, and to what it says about it."""
