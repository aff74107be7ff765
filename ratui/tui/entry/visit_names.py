"""Names of the visits of a case, as its rater may know them.

In a study blinded to order a visit has no name but its position on the screen, so that no text tells which one is earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ratui.study import Case, Study
from ratui.tui.i18n.catalog import Catalog

__all__ = ["UNNAMED", "VisitNames", "load_visit_names"]


@dataclass(frozen=True)
class VisitNames:
    """The visits of one case.

    Attributes
    ----------
    numbers
        Number of the visit in the study by time point, 0 for the baseline. A time point that is missing has its own number.
        It is empty in a rater's view of a blinded study.
    own
        Names that the study gives to its visits, by number; empty for the usual ones.
    """

    numbers: Mapping[int, int] = field(default_factory=dict)
    own: Sequence[str] = ()

    def name(self, t: Catalog, order: Sequence[int], time: int, *, blinded: bool) -> str:
        """Return the name of the visit at `time`: ``earlier``, ``visit 3``, or its position: ``left film``, ``film 3``.

        `order` has the time points in their places, the left one first.
        """
        if blinded:
            return self._name_position(t, len(order), order.index(time))
        number = self.numbers.get(time, time)
        if number < len(self.own) and self.own[number]:
            return self.own[number]
        if len(order) == 2:
            return t("text.later" if time else "text.earlier")
        return t("text.visit", number=number + 1) if number else t("text.baseline")

    def name_all(self, t: Catalog, order: Sequence[int], *, blinded: bool) -> tuple[str, ...]:
        """Return the names of all visits by their places, the left one first."""
        return tuple(self.name(t, order, time, blinded=blinded) for time in order)

    def title(self, t: Catalog, order: Sequence[int], place: int, *, blinded: bool) -> str:
        """Return the name of the film at `place` as `name` does, but in a blinded study an arrow for one of two films."""
        if blinded and len(order) == 2:
            return "◀" if place == 0 else "▶"
        return self.name(t, order, order[place], blinded=blinded)

    def _name_position(self, t: Catalog, count: int, place: int) -> str:
        if count == 2:
            return t("text.film_left" if place == 0 else "text.film_right")
        return t("text.film_number", number=place + 1) if count > 1 else t("text.only_film")


UNNAMED = VisitNames()
"""Visits without names of their own, of a case that has all visits of its study."""


def load_visit_names(study: Study, case: Case) -> VisitNames:
    """Return the names of the visits of `case`, a rater's view; without any in a study blinded to order.

    Raises StudyError if there is no such case, StoreError if its list of films is damaged.
    """
    if study.config.blinded:
        return UNNAMED
    # In a rater's view the time is a position. The public list of an unblinded study has the numbers of the visits.
    listed = {record["id"]: record["time"] for record in study.film_list(case.id).records if "time" in record}
    numbers = {film.time: listed.get(film.id, film.number) for film in case.films}
    return VisitNames(numbers, study.config.charter.visit_names)
