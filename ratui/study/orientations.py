"""The orientations of films in the file of a case's regions, and the conversion of boxes between stored and displayed films.

The table ``orientations`` has a record for each film whose orientation a person or a model has set. Every member of a study
may write it, because a rater who confirms boxes may turn the film. Boxes in files are those of the stored film, so that no
box changes when a film is turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ratui.errors import StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.imaging import Orientation
from ratui.stored_values import ODD_VALUE_ERRORS, as_list, as_text
from ratui.study.case import Case, FilmRecord, Region

__all__ = ["FilmOrientation", "orient_case", "read_orientations", "to_displayed_regions", "to_stored_regions"]


@dataclass(frozen=True)
class FilmOrientation:
    """The orientation of one film.

    Attributes
    ----------
    film
        ID of the film.
    orientation
        The change from the stored to the displayed film.
    by
        Name of the rater who set it, or of the model; empty for a manager.
    is_model
        True if a model set it.
    """

    film: str
    orientation: Orientation
    by: str = ""
    is_model: bool = False

    def to_record(self) -> dict[str, Any]:
        """Return the values as stored in a file."""
        return {"film": self.film, "orientation": self.orientation.value, "by": self.by, "is_model": self.is_model}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FilmOrientation:
        """Return the values in a stored record. Raises an error of `ODD_VALUE_ERRORS` for anything else."""
        if not isinstance(record["is_model"], bool):
            raise ValueError("a value in place of true or false")
        return cls(
            check_name(as_text(record["film"]), "film"),
            Orientation(as_text(record["orientation"], 10)),
            as_text(record["by"]),
            record["is_model"],
        )


def read_orientations(tables: Mapping[str, Sequence[Mapping[str, Any]]], where: object) -> dict[str, FilmOrientation]:
    """Return the orientations by film in the tables of a regions file. Raises StoreError, naming the file `where`."""
    try:
        found = [FilmOrientation.from_record(record) for record in as_list(tables.get("orientations", []))]
        if len({each.film for each in found}) < len(found):
            raise ValueError("two orientations of one film")
    except (*ODD_VALUE_ERRORS, StudyError) as error:
        problem = f"not an orientation of a film: {clean_text(error)}"
        raise StoreError(problem, where, "Restore the file from its backup copy") from error
    return {each.film: each for each in found}


def orient_case(case: Case, orientations: Mapping[str, FilmOrientation]) -> Case:
    """Return `case` with each film in its orientation; films without one are upright."""
    if not any(film.id in orientations for film in case.films):
        return case
    films = tuple(
        film.with_orientation(orientations[film.id].orientation) if film.id in orientations else film
        for film in case.films
    )
    return replace(case, films=films)


def to_displayed_regions(regions: Iterable[Region], films: Mapping[str, FilmRecord]) -> tuple[Region, ...]:
    """Return regions of stored films with their boxes in the displayed `films`; those of other films stay."""
    return tuple(
        replace(region, box=film.to_displayed(region.box))
        if region.box is not None and (film := films.get(region.film)) is not None
        else region
        for region in regions
    )


def to_stored_regions(
    regions: Iterable[Region], films: Mapping[str, FilmRecord], known: Iterable[Region] = ()
) -> tuple[Region, ...]:
    """Return regions of the displayed `films` with their boxes in the stored ones; those of other films stay.

    `known` are the regions in the file. The box of a region that did not change is returned exactly as it is there:
    arithmetic with floating point numbers would change its last digit.
    """
    stored = {(region.site, region.film): region.box for region in known}
    result = []
    for region in regions:
        film = films.get(region.film)
        if region.box is not None and film is not None:
            before = stored.get((region.site, region.film))
            unchanged = before is not None and film.to_displayed(before) == region.box
            region = replace(region, box=before if unchanged else film.to_stored(region.box))
        result.append(region)
    return tuple(result)
