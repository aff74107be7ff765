"""The search for reference cycles: seldom while the app runs, and in the pauses between keys."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from ratui.garbage_collection import collect_rarely, collect_young

_USUAL = (700, 10, 10)
"""Python's own thresholds."""


class _Cycle:
    def __init__(self) -> None:
        self.own = self


@pytest.fixture
def usual_thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*_USUAL)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("usual_thresholds")
def test_a_cycle_waits_for_the_pause() -> None:
    with collect_rarely():
        cycle = weakref.ref(_Cycle())
        kept = [[number] for number in range(5_000)]  # after so many new objects Python usually searches
        assert cycle() is not None
        collect_young()
        assert cycle() is None
        assert len(kept) == 5_000
    assert gc.get_threshold() == _USUAL
