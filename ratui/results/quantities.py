"""The quantities that are compared and summarised: the status at each visit, and the changes between visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratui.study import Study

__all__ = ["Quantity", "list_quantities", "main_change", "name_visits"]


@dataclass(frozen=True)
class Quantity:
    """The status at a visit, or the change between two visits.

    Attributes
    ----------
    name
        Name in tables: ``earlier``, ``later`` and ``change`` for two visits, otherwise with the names of the visits.
    last
        Index of the visit, or of the later visit of a change.
    first
        Index of the earlier visit of a change; None for a status.
    """

    name: str
    last: int
    first: int | None = None


def name_visits(study: Study, numbers: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the visits with these numbers by the charter, or else ``baseline``, ``visit 2`` and so on."""
    return tuple(study.config.charter.visit_name(number) for number in numbers)


def list_quantities(names: Sequence[str]) -> tuple[Quantity, ...]:
    """Return all quantities for visits with these names, in order of time.

    First the status at each visit, then the change from the first visit to each later one, then the changes between
    successive visits.
    """
    count = len(names)
    if count == 2:
        return Quantity("earlier", 0), Quantity("later", 1), Quantity("change", 1, 0)
    pairs = [*((0, last) for last in range(1, count)), *((last - 1, last) for last in range(2, count))]
    changes = (Quantity(f"change, {names[first]} to {names[last]}", last, first) for first, last in pairs)
    return *(Quantity(name, place) for place, name in enumerate(names)), *changes


def main_change(names: Sequence[str]) -> Quantity | None:
    """Return the change from the first to the last visit; None for a single visit."""
    found = [each for each in list_quantities(names) if each.first == 0 and each.last == len(names) - 1]
    return found[0] if found else None
