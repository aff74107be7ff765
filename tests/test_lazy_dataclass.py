"""Dataclasses that compile no method at import: the same behaviour as Python's."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest

from ratui import lazy_dataclass


def _make_classes(decorator: Callable[..., Any]) -> dict[str, Any]:
    """Return classes of each kind, made with `decorator`."""

    @decorator(frozen=True)
    class Point:
        x: int
        y: int = 2
        note: str = dataclasses.field(default="", compare=False)
        tags: list[str] = dataclasses.field(default_factory=list, hash=False, repr=False)
        made: list[int] = dataclasses.field(default_factory=lambda: [7], init=False, hash=False)
        kind: typing.ClassVar[str] = "point"

        @property
        def total(self) -> int:
            return self.x + self.y

    @decorator(frozen=True)
    class Named(Point):
        name: str = dataclasses.field(kw_only=True)

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("no name")

    @decorator
    class Counter:
        count: int = 0

    @decorator(frozen=True)
    class Custom:
        a: int

        def __repr__(self) -> str:
            return "mine"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

    @decorator(frozen=True, eq=False)
    class Identity:
        a: int

    @decorator(frozen=True)
    class One:
        a: int

    @decorator(frozen=True)
    class Empty:
        pass

    class Plain(Point):
        pass

    return {each.__name__: each for each in (Point, Named, Counter, Custom, Identity, One, Empty, Plain)}


OURS, PYTHONS = _make_classes(lazy_dataclass.dataclass), _make_classes(dataclasses.dataclass)


def _outcome(function: Callable[[], object]) -> str:
    """Return the value of `function`, or its error, as text."""
    try:
        return re.sub(r" at 0x\w+", "", repr(function()))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


QUESTIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "repr": lambda c: (
        c["Point"](1),
        c["Named"](1, name="n"),
        c["Custom"](1),
        c["One"]((1, 2)),
        c["Empty"](),
        c["Plain"](3),
    ),
    "repr of the object's own": lambda c: c["Identity"](1),
    "defaults": lambda c: (c["Point"](1).y, c["Point"](1).made, c["Point"](x=1, tags=["a"]).tags),
    "default values are not shared": lambda c: c["Point"](1).tags is c["Point"](1).tags,
    "equal": lambda c: (
        c["Point"](1) == c["Point"](1),
        c["Point"](1) == c["Point"](1, note="a"),
        c["One"](1) == c["One"](2),
    ),
    "other classes": lambda c: (c["Point"](1) == c["Plain"](1), c["One"](1) == 1, c["Empty"]() == c["Empty"]()),
    "equal by identity": lambda c: c["Identity"](1) == c["Identity"](1),
    "own equality": lambda c: (c["Custom"](1) == 3, hash(c["Custom"](1))),
    "hash": lambda c: (hash(c["Point"](1)), hash(c["One"](4)), hash(c["Empty"]())),
    "no hash": lambda c: hash(c["Counter"](1)),
    "replace": lambda c: dataclasses.replace(c["One"](1), a=3),
    "asdict": lambda c: dataclasses.asdict(c["Named"](1, name="n")),
    "fields": lambda c: [each.name for each in dataclasses.fields(c["Named"])],
    "signature": lambda c: (inspect.signature(c["Named"]), c["Point"].__init__.__qualname__),
    "hints": lambda c: typing.get_type_hints(c["Point"].__init__),
    "match arguments": lambda c: c["Named"].__match_args__,
    "post init": lambda c: c["Named"](1, name=""),
    "keyword only": lambda c: c["Named"](1, 2, "", [], "n"),
    "argument missing": lambda c: c["Point"](),
    "argument unknown": lambda c: c["One"](1, b=2),
    "set": lambda c: setattr(c["Point"](1), "x", 2),
    "set what is no field": lambda c: setattr(c["Point"](1), "z", 2),
    "set in a subclass": lambda c: setattr(c["Plain"](1), "x", 2),
    "set what is no field in a subclass": lambda c: setattr(c["Plain"](1), "z", 2),
    "set a property": lambda c: setattr(c["Plain"](1), "total", 2),
    "delete": lambda c: delattr(c["Point"](1), "x"),
    "change": lambda c: (each := c["Counter"](), setattr(each, "count", 4)) and each,
    "docstring of __init__ and its class": lambda c: (c["One"].__init__.__doc__, c["One"].__init__.__name__),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_behaves_as_a_dataclass_of_python(question: str) -> None:
    assert _outcome(lambda: QUESTIONS[question](OURS)) == _outcome(lambda: QUESTIONS[question](PYTHONS))


@lazy_dataclass.dataclass(frozen=True)
class Stored:
    """A class that pickle finds by its name."""

    value: int


def test_instances_are_pickled() -> None:
    assert pickle.loads(pickle.dumps(Stored(3))) == Stored(3)


def test_a_recursive_instance_has_a_text() -> None:
    held: list[object] = []
    held.append(OURS["One"](held))
    assert repr(held[0]) == "_make_classes.<locals>.One(a=[...])"


def test_the_methods_of_python_are_not_overwritten() -> None:
    with pytest.raises(TypeError, match="cannot overwrite __setattr__"):

        @lazy_dataclass.dataclass(frozen=True)
        class Mine:
            a: int

            def __setattr__(self, name: str, value: object) -> None: ...


def test_nothing_is_compiled_before_the_first_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[type] = []
    compile_init = lazy_dataclass._compile_init
    monkeypatch.setattr(
        lazy_dataclass, "_compile_init", lambda cls, **k: (compiled.append(cls), compile_init(cls, **k))[1]
    )

    @lazy_dataclass.dataclass(frozen=True)
    class Late:
        a: int

    assert compiled == []
    assert Late(1) == Late(1)
    assert compiled == [Late]
