"""The review of a reading that can only be looked at: all its joints, with what is shown after signing."""

from __future__ import annotations

from ratui import reading as rd
from ratui.reading import Reading, ReviewItem
from ratui.study import Study
from ratui.study.joint_spaces.joint_space_access import PlacedChanges
from ratui.tui.entry.model_comparison import find_differences
from ratui.tui.graphics.viewport import load_case_films
from ratui.tui.screens.review.screen import ReviewScreen

__all__ = ["make_read_only_review"]


def make_read_only_review(
    study: Study, reading: Reading, site: str, joint_space: PlacedChanges | None = None
) -> ReviewScreen:
    """Return a screen to look at all joints of `reading`, `site` first.

    `joint_space` has its measurements, if they are loaded already. Raises StudyError if the case is unknown.
    """
    films = load_case_films(study, study.case(reading.case), reading.order)
    special = {item.site: item for item in rd.list_review_items(reading)}
    items = [special.get(each.key, ReviewItem(each.key, ())) for each in reading.sites]
    place = [item.site for item in items].index(site)
    predictions = find_differences(study, reading)
    return ReviewScreen(films, reading, items, place=place, predictions=predictions, joint_space=joint_space)
