"""The search for reference cycles: seldom while the app runs, and in the pauses between keys."""

from __future__ import annotations

import gc
import weakref

from ratui.garbage_collection import collect_rarely, collect_young


class _Cycle:
    def __init__(self) -> None:
        self.own = self


def test_a_cycle_waits_for_the_pause() -> None:
    before = gc.get_threshold()
    with collect_rarely():
        cycle = weakref.ref(_Cycle())
        kept = [[] for _ in range(5_000)]  # new objects, after which Python usually searches
        assert cycle() is not None
        collect_young()
        assert cycle() is None
        assert len(kept) == 5_000
    assert gc.get_threshold() == before
