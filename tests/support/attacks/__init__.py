"""Attacks on a study, each a row of the table that ``python -m benchmarks.faults attacks`` prints.

Each module of this package contains functions with the decorator `attack`. `load_attacks` finds them all, so that a new
module needs no entry elsewhere. `tests/study/test_attacks.py` runs every row.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.support.attacks.table import ATTACKS, Attack, Outcome, attack

__all__ = ["Attack", "Outcome", "attack", "load_attacks"]


def load_attacks() -> tuple[Attack, ...]:
    """Return the attacks of all modules of this package, sorted by topic (module) and place in their module."""
    for module in sorted(each.name for each in iter_modules(__path__)):
        import_module(f"{__name__}.{module}")
    return tuple(sorted(ATTACKS, key=lambda each: each.topic))
