"""A record behaves as the class that ``dataclass`` makes of the same source."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from vault_core import records

# The one under test, which type checkers take for dataclass.
record: Any = vars(records)["dataclass"]


@record(frozen=True, slots=True)
class Record:
    """Text."""

    name: str
    size: int = 3
    secret: str = dataclasses.field(default="s", repr=False)
    tags: list[str] = dataclasses.field(default_factory=list, compare=False, metadata={"json": None})
    LIMIT: ClassVar[int] = 7

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size")

    @property
    def double(self) -> int:
        return 2 * self.size


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """Text."""

    name: str
    size: int = 3
    secret: str = dataclasses.field(default="s", repr=False)
    tags: list[str] = dataclasses.field(default_factory=list, compare=False, metadata={"json": None})
    LIMIT: ClassVar[int] = 7

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size")

    @property
    def double(self) -> int:
        return 2 * self.size


@record(frozen=True, slots=True, kw_only=True)
class Base:
    first: str
    second: int = 1


@record(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    third: str
    second: int = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TwinBase:
    first: str
    second: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TwinDerived(TwinBase):
    third: str
    second: int = 2


DOINGS: dict[str, Callable[[Any], Any]] = {
    "defaults": lambda made: repr(made("a")),
    "positions": lambda made: repr(made("a", 5, "t", ["x"])),
    "names": lambda made: repr(made(size=5, name="a")),
    "missing": lambda made: made(),
    "too many": lambda made: made(1, 2, 3, 4, 5),
    "unknown": lambda made: made("a", odd=1),
    "twice": lambda made: made("a", name="b"),
    "checked": lambda made: made("a", -1),
    "equal": lambda made: (made("a") == made("a", tags=["x"]), made("a") == made("b"), made("a") == ("a", 3, "s", [])),
    "hash": lambda made: hash(made("a")) == hash(made("a", tags=["x"])),
    "change": lambda made: setattr(made("a"), "name", "b"),
    "delete": lambda made: delattr(made("a"), "name"),
    "own list": lambda made: made("a").tags is made("a").tags,
    "property": lambda made: made("a").double,
    "fields": lambda made: [(one.name, one.type, one.repr, dict(one.metadata)) for one in dataclasses.fields(made)],
    "replace": lambda made: repr(dataclasses.replace(made("a"), size=9)),
    "asdict": lambda made: dataclasses.asdict(made("a")),
    "copy": lambda made: copy.copy(made("a", 4)) == made("a", 4),
    "pickle": lambda made: pickle.loads(pickle.dumps(made("a", 4, tags=["x"]))).tags,
    "signature": lambda made: str(inspect.signature(made)),
    "no dictionary": lambda made: hasattr(made("a"), "__dict__"),
    "slots": lambda made: made.__slots__,
    "match": lambda made: made.__match_args__,
    "constant": lambda made: (made.LIMIT, made.__doc__, dataclasses.is_dataclass(made)),
}


def outcome(doing: Callable[[Any], Any], made: Any) -> Any:
    try:
        return doing(made)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("doing", DOINGS.values(), ids=DOINGS)
def test_a_record_does_what_its_twin_does(doing: Callable[[Any], Any]) -> None:
    mine, expected = outcome(doing, Record), outcome(doing, Twin)
    assert str(mine) == str(expected).replace("Twin", "Record")


def test_a_derived_record_is_as_its_twin() -> None:
    derived, twin = globals()["Derived"], globals()["TwinDerived"]
    made: Any = derived(first="a", third="c")
    assert repr(made) == repr(twin(first="a", third="c")).removeprefix("Twin")
    assert str(inspect.signature(derived)) == str(inspect.signature(twin))
    assert derived.__slots__ == twin.__slots__ == ("third",)
    with pytest.raises(TypeError):
        derived("a", third="c")


def test_a_record_gets_no_other_attribute() -> None:
    """A dataclass raises a TypeError here, by mistake."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(globals()["Record"]("a"), "odd", "b")  # noqa: B010 - the type checker knows that there is none


def test_no_source_is_compiled_for_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a function was generated")

    monkeypatch.setattr(dataclasses, "_create_fn" if hasattr(dataclasses, "_create_fn") else "_FuncBuilder", refuse)

    class Plain:
        name: str

    assert record(frozen=True, slots=True)(Plain)("a").name == "a"


FORMS = [
    {"frozen": frozen, "slots": slots, "kw_only": kw_only}
    for frozen in (True, False)
    for slots in (True, False)
    for kw_only in (True, False)
]

DOINGS_OF_FORMS: dict[str, Callable[[Any], Any]] = {
    "made": lambda made: repr(made(name="a")),
    "position": lambda made: repr(made("a")),
    "own list": lambda made: made(name="a").tags is made(name="a").tags,
    "no default list": lambda made: "tags" in vars(made),
    "default": lambda made: isinstance(vars(made).get("size"), int),
    "equal": lambda made: (made(name="a") == made(name="a"), made(name="a") == made(name="b")),
    "hash": lambda made: hash(made(name="a", tags=())) == hash(made(name="a", tags=())),
    "change": lambda made: setattr(made(name="a"), "name", "b"),
    "delete": lambda made: delattr(made(name="a"), "name"),
    "kept": lambda made: made(name="a").twice + made(name="a").twice,
    "no dictionary": lambda made: hasattr(made(name="a"), "__dict__"),
    "replace": lambda made: repr(dataclasses.replace(made(name="a"), size=9)),
    "copy": lambda made: copy.copy(made(name="a", size=4)) == made(name="a", size=4),
    "signature": lambda made: str(inspect.signature(made)),
    "match": lambda made: made.__match_args__,
    "frozen dataclass of it": lambda made: repr(dataclasses.dataclass(frozen=True)(type("Further", (made,), {}))),
    "dataclass of it": lambda made: repr(dataclasses.dataclass(type("Further", (made,), {}))),
}


def formed(decorator: Any, form: dict[str, bool]) -> Any:
    """The class of one source, made in one of the forms."""

    @decorator(**form)
    class Formed:
        name: str
        size: int = 3
        tags: list[str] = dataclasses.field(default_factory=list)

        @property
        def twice(self) -> str:
            return 2 * self.name

    return Formed


@pytest.mark.parametrize("doing", DOINGS_OF_FORMS.values(), ids=DOINGS_OF_FORMS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(name for name in form if form[name]) or "plain")
def test_a_record_of_each_form_does_what_its_twin_does(form: dict[str, bool], doing: Callable[[Any], Any]) -> None:
    assert str(outcome(doing, formed(record, form))) == str(outcome(doing, formed(dataclasses.dataclass, form)))


def test_a_record_without_arguments_is_a_dataclass() -> None:
    @record
    class Plain:
        name: str

    plain: Any = Plain
    made = plain("a")
    made.name = "b"
    assert repr(made).endswith("Plain(name='b')")
