"""Parts of a study that can be read, while damaged ones only add a notice.

Results and the trainer use many files. One of them that is damaged, or that its writer filled with odd values, must not keep
the others from being used. The study's `notices` name the damaged file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ratui.errors import RatuiError
from ratui.study.case import FilmsWithdrawn

if TYPE_CHECKING:
    from pathlib import Path

    from ratui.reading import Reading
    from ratui.study.case import Case, Region
    from ratui.study.readings.reading_session import DisplayUse
    from ratui.study.study import Study

__all__ = ["intact_case", "intact_displays", "intact_proposals", "intact_reading", "intact_regions", "read_or_note"]

_Value = TypeVar("_Value")


def intact_case(study: Study, id: str) -> Case | None:
    """Return the case `id`, or None if its list of films can't be read."""
    return read_or_note(study, study.path / "films" / id / "films.json", lambda: study.case(id), None)


def intact_reading(study: Study, rater: str, case: str) -> Reading | None:
    """Return the reading of `case` by `rater`, or None if there is none that can be read."""
    return read_or_note(study, study.reading_path(rater, case), lambda: study.reading(rater, case), None)


def intact_displays(study: Study, rater: str, case: str) -> tuple[DisplayUse, ...]:
    """Return the displays of a reading, none if they can't be read."""
    return read_or_note(study, study.reading_path(rater, case), lambda: study.displays(rater, case), ())


def intact_regions(study: Study, case: str | Case) -> tuple[Region, ...]:
    """Return the regions of `case`, none if they can't be read, with the boxes of the displayed films, see `Study`."""
    name = case if isinstance(case, str) else case.id
    return read_or_note(study, study.path / "regions" / f"{name}.json", lambda: study.regions(case), ())


def intact_proposals(study: Study, case: str | Case) -> tuple[Region, ...]:
    """Return the proposed regions of `case`, none if they can't be read; boxes as in `intact_regions`."""
    return read_or_note(study, study.path / "proposals", lambda: study.proposals(case), ())


def read_or_note(study: Study, file: Path, read: Callable[[], _Value], otherwise: _Value) -> _Value:
    """Return the result of `read`; where it raises a RatuiError, add a notice about `file` and return `otherwise`.

    A reading whose films were withdrawn is not damaged and gets no notice.
    """
    try:
        return read()
    except FilmsWithdrawn:
        return otherwise
    except RatuiError as error:
        study.add_notice(file, f"{error.problem}; it is left out")
        return otherwise
