"""What a scorer says of a signed reading, where it differs: for the rater to look at, once it can't sway them any more.

It asks `load_unblinded_predictions`, which gives nothing before the signature; nothing here changes a reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.errors import StoreError
from ratui.reading import Field, Reading
from ratui.study import Study
from ratui.study.predictions import Prediction, load_unblinded_predictions
from ratui.tui.entry.text import join_time_points
from ratui.tui.i18n.catalog import Catalog

__all__ = ["MIN_DIFFERENCE", "find_differences", "format_model_scores"]

MIN_DIFFERENCE = 2
"""Grades that one time point may lie off before a joint counts as differing; a change may lie off by less than one."""


def find_differences(study: Study, reading: Reading) -> Mapping[str, tuple[Prediction, ...]]:
    """The answers that differ from `reading`, by site; none before it is signed, nor where they can't be read."""
    if reading.signed_at is None:
        return {}
    try:
        found = load_unblinded_predictions(study, reading.rater, reading.case)
    except StoreError:
        return {}  # `ratui check` tells; it is no reason to keep a reading from being looked at
    sites: dict[str, tuple[Prediction, ...]] = {}
    for answer in found:
        if answer.site in reading.site_keys and _differs(reading, answer):
            sites[answer.site] = (*sites.get(answer.site, ()), answer)
    return sites


def _differs(reading: Reading, answer: Prediction) -> bool:
    read = [reading.score(Field(answer.site, answer.scale, time)) for time in (0, 1)]
    if read[0] is None or read[1] is None:
        return False
    off = [abs(said - score) for said, score in zip(answer.grades, read, strict=True) if score is not None]
    return max(off) >= MIN_DIFFERENCE or answer.change != read[1] - read[0]


def format_model_scores(t: Catalog, reading: Reading, answers: Sequence[Prediction]) -> str:
    """What the model says, with the time points in the order in which the films stand."""
    scores = [
        f"{answer.scale} {join_time_points(reading, (str(answer.grades[time]) for time in reading.order))}"
        for answer in answers
    ]
    return t("text.model_says", scores=", ".join(scores))
