"""A stand-in for :func:`dataclasses.dataclass`, for the classes that a start defines.

The original writes the source of six methods for each class and compiles it: for the classes that a short command
imports, that was a quarter of its time. Here the methods are closures. An object takes a few microseconds longer to
make, so a class with an object for each line of a file is better off as a :class:`~typing.NamedTuple`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # known to type checkers; typing costs more than --version does

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    import inspect
    from dataclasses import MISSING, Field, FrozenInstanceError
    from reprlib import recursive_repr

    def dataclass(cls=None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False):
        """As the original with these arguments.

        ``fields``, ``replace``, ``asdict``, ``copy`` and ``pickle`` work.
        """
        if cls is None:
            return lambda decorated: _made(decorated, frozen, slots, kw_only)
        return _made(cls, frozen, slots, kw_only)

    def _made(cls, frozen, slots, kw_only):
        own = _own_fields(cls, kw_only)
        inherited = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= getattr(base, "__dataclass_fields__", {})
        fields = {**inherited, **own}
        positional = tuple(name for name, field in fields.items() if field.init and not field.kw_only)
        given = dict(vars(cls))
        if given.get("__hash__", MISSING) is None:  # Python's doing, where the class has its own __eq__
            del given["__hash__"]
        methods = {
            "__dataclass_fields__": fields,
            "__dataclass_params__": _Parameters(frozen),
            "__match_args__": positional,
            "__signature__": _Signature(fields),
            **{name: function for name, function in _methods(cls, fields, positional).items() if name not in given},
        }
        if frozen:
            methods |= {"__setattr__": _refuse_change, "__delattr__": _refuse_change}
        elif "__hash__" not in given:
            methods["__hash__"] = None
        if not slots:
            for name, field in own.items():
                if field.default is MISSING and name in given:  # what made the field does not count as its default
                    delattr(cls, name)
                elif field.default is not MISSING:
                    setattr(cls, name, field.default)
            for name, method in methods.items():
                setattr(cls, name, method)
            return cls
        if frozen:
            methods |= {"__getstate__": _state, "__setstate__": _set_state}
        left_out = {*own, "__dict__", "__weakref__"}
        namespace = {name: value for name, value in given.items() if name not in left_out} | methods
        namespace["__slots__"] = tuple(name for name in own if name not in inherited)
        made = type(cls)(cls.__name__, cls.__bases__, namespace)
        made.__qualname__ = cls.__qualname__
        return made

    def _own_fields(cls, kw_only):
        fields = {}
        for name, annotation in inspect.get_annotations(cls).items():
            if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
                continue
            default = vars(cls).get(name, MISSING)
            field = default if isinstance(default, Field) else dataclasses.field(default=default)
            field.name, field.type, field._field_type = name, annotation, dataclasses._FIELD
            field.kw_only = kw_only if field.kw_only is MISSING else field.kw_only
            fields[name] = field
        return fields

    def _methods(cls, fields, positional):
        names = tuple(fields)
        compared = tuple(name for name, field in fields.items() if field.compare)
        shown = tuple(name for name, field in fields.items() if field.repr)
        set_field, has_check = object.__setattr__, hasattr(cls, "__post_init__")

        def __init__(self, *args, **given):  # noqa: N807 - methods of the class that is made
            if len(args) > len(positional):
                raise TypeError(f"{type(self).__name__}() takes {len(positional)} positional arguments")
            for name, value in zip(positional, args, strict=False):
                if name in given:
                    raise TypeError(f"{type(self).__name__}() got multiple values for argument {name!r}")
                given[name] = value
            for name in names:
                if name in given:
                    set_field(self, name, given.pop(name))
                elif (field := fields[name]).default is not MISSING:
                    set_field(self, name, field.default)
                elif field.default_factory is not MISSING:
                    set_field(self, name, field.default_factory())
                else:
                    raise TypeError(f"{type(self).__name__}() missing a required argument: {name!r}")
            if given:
                raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {next(iter(given))!r}")
            if has_check:
                self.__post_init__()

        @recursive_repr()
        def __repr__(self):  # noqa: N807 - methods of the class that is made
            values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
            return f"{type(self).__qualname__}({values})"

        def __eq__(self, other):  # noqa: N807 - methods of the class that is made
            if other.__class__ is not self.__class__:
                return NotImplemented
            return all(getattr(self, name) == getattr(other, name) for name in compared)

        def __hash__(self):  # noqa: N807 - methods of the class that is made
            return hash(tuple(getattr(self, name) for name in compared))

        return {"__init__": __init__, "__repr__": __repr__, "__eq__": __eq__, "__hash__": __hash__}

    def _refuse_change(_, name, *__):
        raise FrozenInstanceError(f"cannot change field {name!r}")

    def _state(self):
        return [getattr(self, name) for name in self.__dataclass_fields__]

    def _set_state(self, state):
        for name, value in zip(self.__dataclass_fields__, state, strict=True):
            object.__setattr__(self, name, value)

    class _Signature:
        """The signature of a record's constructor, made at its first use."""

        def __init__(self, fields):
            self._fields = fields

        def __get__(self, _, owner):
            parameters = [
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY if field.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=self._default(field),
                    annotation=field.type,
                )
                for name, field in self._fields.items()
            ]
            parameters.sort(key=lambda parameter: parameter.kind)
            return inspect.Signature(parameters, return_annotation=None)

        def _default(self, field):
            if field.default_factory is not MISSING:
                return dataclasses._HAS_DEFAULT_FACTORY
            return inspect.Parameter.empty if field.default is MISSING else field.default

    class _Parameters:
        """What a dataclass that is derived from a record reads of it: the original's own, made at its first use."""

        def __init__(self, frozen):
            self._frozen = frozen

        def __get__(self, *_):
            pattern = dataclasses.dataclass(frozen=self._frozen)(type("_Pattern", (), {}))
            return pattern.__dataclass_params__
