"""Marks that nobody writes by hand: what kind of test a test is.

``process``: it starts processes or speaks to a network, of this machine too. ``server``: it needs a service or the
packages of another language: moto, OpenBao, a D-Bus keychain, npm. ``deep``: ``AWSV_DEEP`` makes it larger. ``unit``:
all the others, except for those that are ``slow``; these are the tests of ``make check``.

The marks follow from the code: from what a test, its fixtures and the test code that they call refer to, found by
reading their byte code, without running it. Code of the product is not followed; a test whose process is started there
carries ``pytest.mark.process`` in its file. A ``unit`` test that starts a process or connects a socket fails.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {
    "unit": "starts no process, needs no server, is not slow; set by support.kinds",
    "process": "starts processes or speaks to a network; set by support.kinds",
    "server": "needs a service or the packages of another language; set by support.kinds",
    "deep": "larger under AWSV_DEEP; set by support.kinds",
}
STARTERS = {"subprocess", "pexpect", "multiprocessing", "pty", "http.server", "socketserver"}
"""Modules whose use starts a process or a server."""
STARTING_CALLS = {
    "os": {"fork", "forkpty", "posix_spawn", "posix_spawnp", "execv", "execve", "system", "popen"},
    "http": {"server"},
    "socket": {"create_connection", "create_server"},
}
"""The same of modules that have other uses, too."""
SERVERS = {"support.moto", "support.openbao", "support.secret_service", "support.clients"}
"""Modules of test code whose functions and classes start a server or install packages."""
FORBIDDEN = {
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "pty.spawn",
    "socket.connect",
    "subprocess.Popen",
}
"""Audit events (``docs.python.org/3/library/audit_events.html``) that no unit test may cause."""
DEEP = re.compile(r"AWSV_DEEP|\bDEEP\b|import .*\bsample\b")


@dataclass
class Uses:
    """What some code refers to."""

    names: set[str] = field(default_factory=set)
    """Every global, attribute and imported module that it names."""
    code: list[Any] = field(default_factory=list)
    """The functions and classes of test code among them."""
    starts: bool = False
    serves: bool = False


def kinds_of(functions: frozenset[FunctionType], classes: frozenset[type]) -> set[str]:
    """Which of ``process`` and ``server`` the functions are, with all test code that they reach.

    A method is reached if its class is, and if any reached code names it.
    """
    kinds: set[str] = set()
    names: set[str] = set()
    seen: set[Any] = set()
    reached: set[type] = set()
    todo: list[Any] = [*functions, *classes]
    while todo:
        one = todo.pop()
        seen.add(one)
        if isinstance(one, type):
            reached.update(base for base in one.__mro__ if _is_test_code(base))
        else:
            uses = uses_of(one)
            names |= uses.names
            todo += [found for found in uses.code if found not in seen]
            kinds |= {"process"} if uses.starts or uses.serves else set()
            kinds |= {"server"} if uses.serves else set()
        if not todo:
            called = (method for cls in reached for method in _methods(cls) if _is_called(method, names))
            todo = [method for method in called if method not in seen]
    return kinds


@functools.cache
def uses_of(function: FunctionType) -> Uses:
    """What a function refers to: its own code and that of the functions inside of it."""
    uses = Uses(names={name for code in _codes(function.__code__) for name in code.co_names})
    calls = set().union(*(STARTING_CALLS[name] for name in uses.names & STARTING_CALLS.keys()))
    uses.starts = bool(uses.names & (STARTERS | calls))
    uses.serves = function.__module__ in SERVERS
    for name in uses.names:
        value = function.__globals__.get(name) or (sys.modules.get(name) if "." in name else None)
        uses.starts |= _module_of(value) in STARTERS
        if isinstance(value, ModuleType):
            values = [vars(value)[other] for other in uses.names & vars(value).keys()] if _is_test_module(value) else []
        else:
            values = [value]
        uses.code += [found for found in map(_unwrapped, values) if _is_test_code(found)]
    return uses


def pytest_configure(config: pytest.Config) -> None:
    for kind, meaning in KINDS.items():
        config.addinivalue_line("markers", f"{kind}: {meaning}")
    config.pluginmanager.register(Guard(), "unit-guard")


@pytest.hookimpl(tryfirst=True)  # before ``-m`` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        fixtures = item._fixtureinfo.name2fixturedefs.values()  # pytest has no public way to them
        functions = {_unwrapped(one.func) for found in fixtures for one in found} | {_unwrapped(item.function)}
        classes = {base for base in item.cls.__mro__ if _is_test_code(base)} if item.cls else set()
        kinds = _cached_kinds(
            frozenset(one for one in functions if isinstance(one, FunctionType) and _is_test_code(one)),
            frozenset(classes),
        )
        for kind in kinds:
            item.add_marker(kind)
        if _is_deep(item.path):
            item.add_marker("deep")
        if not any(item.get_closest_marker(kind) for kind in ("process", "server", "slow")):
            item.add_marker("unit")


class Guard:
    """Fails a unit test that does what none may do."""

    def __init__(self) -> None:
        self._watched = False
        self._hooked = False
        self._caught: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        if not item.get_closest_marker("unit"):
            return (yield)
        if not self._hooked:  # a hook stays for as long as the process lives
            self._hooked = True
            sys.addaudithook(self._hook)
        self._caught.clear()
        self._watched = True
        try:
            yield
        finally:
            self._watched = False
            if self._caught:
                pytest.fail(
                    f"a unit test did: {', '.join(self._caught)}; if it must, it needs pytest.mark.process",
                    pytrace=False,
                )
        return None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watched and event in FORBIDDEN:
            self._caught.append(event)
            raise PermissionError(f"{event} {arguments!r:.200} in a unit test")


_cached_kinds = functools.cache(kinds_of)


@functools.cache
def _is_deep(path: Path) -> bool:
    return DEEP.search(path.read_text(encoding="utf-8")) is not None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _unwrapped(value: Any) -> Any:
    """The function behind decorators, fixtures and methods; anything else as it is."""
    value = inspect.unwrap(value) if callable(value) else value
    return getattr(value, "__func__", value)


def _module_of(value: Any) -> str | None:
    return value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)


@functools.cache
def _methods(cls: type) -> list[FunctionType]:
    values = (value.fget if isinstance(value, property) else value for value in vars(cls).values())
    return [found for found in map(_unwrapped, values) if isinstance(found, FunctionType)]


def _is_called(method: FunctionType, names: set[str]) -> bool:
    return method.__name__ in names or (method.__name__.startswith("__") and method.__name__.endswith("__"))


@functools.cache
def _is_test_file(name: str) -> bool:
    """Whether a file holds test code: any file of this workspace except for the product's sources."""
    path = Path(name)
    if not path.is_relative_to(ROOT):
        return False
    parts = path.relative_to(ROOT).parts
    return not parts[0].startswith(".") and ("src" not in parts or parts[0] == "testkit")


def _is_test_module(module: ModuleType | None) -> bool:
    return _is_test_file(getattr(module, "__file__", None) or "/")


def _is_test_code(value: Any) -> bool:
    if isinstance(value, FunctionType):
        return _is_test_file(value.__code__.co_filename)
    return isinstance(value, type) and _is_test_module(sys.modules.get(value.__module__))
