"""A pause of Python's search for reference cycles, for code that builds many values at once, and for the start."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collect_rarely", "collect_young", "exempt_from_collection", "pause_collection"]

_RARELY = (50_000, 10, 10)
"""Thresholds of `gc.set_threshold` for a program that calls `collect_young` in its pauses."""


@contextmanager
def pause_collection() -> Iterator[None]:
    """Do not search for reference cycles during the block, or the decorated function.

    The interpreter looks through all objects again and again while their number grows. For the readings of a large study
    this takes a quarter of the time, and finds nothing: readings and tables have no cycles. Objects without cycles are
    freed as always.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def exempt_from_collection() -> Iterator[None]:
    """Do not search during the block, and never search through what exists at its end.

    For the start of a program: its modules, classes and functions live until the program ends. Searching through them takes
    tens of milliseconds, in which a screen stands still.
    """
    with pause_collection():
        yield
        gc.freeze()


@contextmanager
def collect_rarely() -> Iterator[None]:
    """Search seldom during the block, for a program that calls `collect_young` in its pauses.

    Otherwise a search begins after 700 new objects, which a key makes several times. Each takes up to some milliseconds, in
    which the films of the next joint wait.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def collect_young() -> None:
    """Search for cycles among the objects that were made since the last search, and free them."""
    gc.collect(1)
