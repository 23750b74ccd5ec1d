"""Calls of one plugin, and checks of what they return."""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from vault_core.errors import PluginFault
from vault_core.plugins.discovery import KINDS
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import Context

T = TypeVar("T")


class Calls:
    """The calls into one plugin."""

    def __init__(self, plugins: Plugins, kind: str, name: str) -> None:
        self.name = name
        self._plugins = plugins
        self._kind = kind

    def __call__(self, method: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function of the plugin and return its result; an unexpected exception is attributed to the plugin.

        :raises PluginFault: it returned a coroutine; the core is synchronous.
        """
        with self._plugins.attributed_to(self._kind, self.name):
            returned = function(*arguments)
        if isinstance(returned, CoroutineType):
            returned.close()  # otherwise Python warns that it was never awaited
            self.refuse(method, "a coroutine", "its result: all calls are synchronous")
        return returned

    def expect(self, method: str, returned: T, allowed: Any, wanted: str) -> T:
        """Return the value if its type is allowed.

        :param wanted: the expected type, for the message.
        :raises PluginFault: it is of another type.
        """
        if not isinstance(returned, allowed):
            self.refuse(method, type_of(returned), wanted)
        return returned

    def fields(self, method: str, returned: Any, **allowed: Any) -> None:
        """Check the fields of a dataclass of the API, because dataclasses do not check them.

        :raises PluginFault: a field has another type.
        """
        for name, wanted in allowed.items():
            value = self(method, getattr, returned, name)  # a subclass in the plugin can run code here
            if not isinstance(value, wanted):
                named = getattr(wanted, "__name__", wanted)
                self.refuse(method, f"{type_of(returned)} whose {name} is {type_of(value)}", f"a {named} there")

    def refuse(self, method: str, what: str, wanted: str) -> NoReturn:
        """:raises PluginFault: always."""
        owner, version = self._plugins.owner(self._kind, self.name)
        raise PluginFault(
            f"{method}() of {KINDS[self._kind]} {self.name!r} (from {owner} {version}) returned {what};"
            f" it must return {wanted}",
            hint=f"this is a bug of {owner}",
        )


def type_of(value: Any) -> str:
    """The type of a value, for messages."""
    return "None" if value is None else type(value).__name__


class Opened:
    """An open plugin, whose results are checked.

    :ivar _opened: the plugin's own object.
    """

    _opened: Any

    def __init__(self, opened: Any, calls: Calls) -> None:
        self._opened = opened
        self._calls = calls

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """The result of a method, unchecked."""
        return self._calls(method, lambda: getattr(self._opened, method)(*arguments, **named))

    def _checked(self, allowed: type[T], wanted: str, method: str, *arguments: Any, **named: Any) -> T:
        """The result of a method.

        :param wanted: its type, for the message.
        :raises PluginFault: it is of another type.
        """
        result: T = self._calls.expect(method, self._call(method, *arguments, **named), allowed, wanted)
        return result

    def _optional(self, allowed: type[T], wanted: str, method: str, *arguments: Any, **named: Any) -> T | None:
        """As :meth:`_checked`, for a method that may return None."""
        returned = self._call(method, *arguments, **named)
        result: T | None = self._calls.expect(method, returned, allowed | None, f"{wanted} or None")
        return result

    def _secret(self, method: str, request: Any) -> Secret | None:
        """The secret of a source. An empty one would create a store that anybody can open."""
        secret = self._optional(Secret, "a Secret", method, request)
        if secret is not None and not secret:
            self._calls.refuse(method, "an empty Secret", "None where it has none")
        return secret


def answer(plugins: Plugins, kind: str, spec: Any, question: str, context: Context) -> str | None:
    """The result of an optional callable of a spec; None if the spec has none, or if ``unavailable`` returns None."""
    ask = getattr(spec, question, None)
    if ask is None:
        return None
    calls = Calls(plugins, kind, spec.name)
    allowed, wanted = (str | None, "a str or None") if question == "unavailable" else (str, "a str")
    text: str | None = calls.expect(question, calls(question, ask, context), allowed, wanted)
    return text
