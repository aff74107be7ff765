"""Dataclasses that compile no method while their module is imported, so that programs start faster.

Python's decorator writes and compiles the source of up to six methods of each class: about 0.6 ms. The app loads more than a
hundred dataclasses before it shows a film, and by then it has made instances of half of them. Here ``__init__`` is compiled
at its first use, and the other methods are closures.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_MISSING = dataclasses.MISSING


class _Factory:
    """The default of a parameter whose field has a factory. Its text is that in the signatures of Python's dataclasses."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


class _LazyInit:
    """The ``__init__`` of a class, which compiles the real one when it is looked up for the first time."""

    def __init__(self, cls: type, *, frozen: bool) -> None:
        self._class, self._frozen = cls, frozen

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        method: Any = _compile_init(self._class, frozen=self._frozen)
        type.__setattr__(self._class, "__init__", method)
        return method.__get__(instance, owner)


def _compile_init(cls: type[Any], *, frozen: bool) -> Callable[..., None]:
    """Return the method that sets the fields of `cls`, with the parameters that `dataclasses.dataclass` would give it."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_factory": _FACTORY}
    positional: list[str] = []
    keyword_only: list[str] = []
    body: list[str] = []
    annotations: dict[str, Any] = {}
    for each in dataclasses.fields(cls):
        parameter = value = each.name
        if each.default_factory is not _MISSING:
            names[f"_make_{each.name}"] = each.default_factory
            parameter += "=_factory"
            value = f"_make_{each.name}()"
            if each.init:
                value += f" if {each.name} is _factory else {each.name}"
        elif each.default is not _MISSING:
            names[f"_default_{each.name}"] = each.default
            parameter += f"=_default_{each.name}"
        if each.init:
            (keyword_only if each.kw_only else positional).append(parameter)
            annotations[each.name] = each.type
        elif each.default_factory is _MISSING:
            continue
        body.append(f"_set(self,{each.name!r},{value})" if frozen else f"self.{each.name}={value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ["self", *positional, *(["*", *keyword_only] if keyword_only else [])]
    source = (
        f"def make({','.join(names)}):\n"
        f" def __init__({','.join(parameters)}):\n  " + "\n  ".join(body or ["pass"]) + "\n return __init__"
    )
    made: dict[str, Any] = {}
    # With the names of the class's module, as `typing.get_type_hints` expects of a method.
    exec(source, vars(sys.modules[cls.__module__]), made)
    method: Callable[..., None] = made["make"](**names)
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {**annotations, "return": None}
    return method


def _tuple_of(names: list[str]) -> Callable[[object], tuple[Any, ...]]:
    """Return a function that returns the values of the attributes `names`."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _make_repr(cls: type[Any]) -> Callable[[Any], str]:
    names = [each.name for each in dataclasses.fields(cls) if each.repr]

    def __repr__(self: Any) -> str:  # noqa: N807
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return recursive_repr()(__repr__)


def _make_eq(cls: type[Any]) -> Callable[[Any, object], bool]:
    values = _tuple_of([each.name for each in dataclasses.fields(cls) if each.compare])

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        return values(self) == values(other) if type(self) is type(other) else NotImplemented

    return __eq__


def _make_hash(cls: type[Any]) -> Callable[[Any], int]:
    values = _tuple_of([e.name for e in dataclasses.fields(cls) if (e.compare if e.hash is None else e.hash)])

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _forbid_changes(cls: type[Any]) -> None:
    """Raise `dataclasses.FrozenInstanceError` where a field of an instance is set or deleted."""
    names = {each.name for each in dataclasses.fields(cls)}

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    for method in (__setattr__, __delattr__):
        if method.__name__ in vars(cls):
            raise TypeError(f"cannot overwrite {method.__name__} of the class {cls.__name__}")
        _set_method(cls, method.__name__, method)


def _set_method(cls: type[Any], name: str, method: Any) -> None:
    method.__qualname__ = f"{cls.__qualname__}.{name}"
    setattr(cls, name, method)


def _add_methods(cls: type[Any], *, frozen: bool, eq: bool, repr: bool) -> type[Any]:
    """Make a dataclass of `cls`. A method that the class defines itself is kept, as `dataclasses.dataclass` does."""
    own = dict(vars(cls))
    # Python sets __hash__ to None in each class that defines __eq__.
    has_hash = "__hash__" in own and not (own["__hash__"] is None and "__eq__" in own)
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)  # the fields
    cls.__init__ = _LazyInit(cls, frozen=frozen)
    if repr and "__repr__" not in own:
        _set_method(cls, "__repr__", _make_repr(cls))
    if eq and "__eq__" not in own:
        _set_method(cls, "__eq__", _make_eq(cls))
    if eq and not has_hash:
        if frozen:
            _set_method(cls, "__hash__", _make_hash(cls))
        else:
            cls.__hash__ = None  # type: ignore[assignment]
    if frozen:
        _forbid_changes(cls)
    return cls


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, eq: bool = True, repr: bool = True
    ) -> type | Callable[[type], type]:
        """Make a dataclass, as `dataclasses.dataclass` does with the same options.

        The functions of `dataclasses`, such as `replace` and `fields`, work as well. Python's own decorator refuses to
        derive a frozen dataclass from one of these.
        """

        def decorate(cls: type) -> type:
            return _add_methods(cls, frozen=frozen, eq=eq, repr=repr)

        return decorate if cls is None else decorate(cls)
