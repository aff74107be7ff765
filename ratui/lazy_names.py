"""Public names of a package that are imported when somebody asks for them (PEP 562), so that programs start faster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["import_on_demand"]


def import_on_demand(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a function that serves as ``__getattr__`` of a package.

    A type checker needs the same names in an ``if TYPE_CHECKING`` block. ``tests/test_lazy_names.py`` compares the two. No
    public name may be that of a module of the package: Python puts each imported module in its package by its name.

    Parameters
    ----------
    package
        The package's name.
    modules
        The public names, separated by spaces, by the module of the package that defines them.

    Returns
    -------
    Callable
        Function that returns the object with a public name. It raises AttributeError for any other name.
    """
    places = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{places[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next time, Python finds it without this function
        return value

    return get
