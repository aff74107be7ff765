"""The rule for who sees measured joint spaces, and when; `may_see_joint_space` alone decides it.

A rater sees them after signing the case, so that they never propose a grade. If they would reveal the order of the films or
a hidden repeat, they wait until all raters have signed. An adjudicator sees them as the answers of the raters: after
answering the joint. Practice shows none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.reading import Reading
from ratui.study.joint_spaces.joint_space import (
    MeasuredChange,
    hides_joint_space,
    is_joint_space_published,
    load_joint_space,
    load_published_joint_space,
)
from ratui.study.readings.film_changes import is_current
from ratui.study.study import Study

__all__ = [
    "PlacedChanges",
    "ReaderState",
    "is_released",
    "load_unblinded_joint_space",
    "may_see_joint_space",
]

PlacedChanges: TypeAlias = Mapping[str, Mapping[tuple[int, int], MeasuredChange]]
"""Measurements by the key of the site and the places of the two films on the screen, the left one first. A positive change
means that the space is wider on the right one."""


@dataclass(frozen=True)
class ReaderState:
    """All that decides whether measurements of a case are shown beside a reading of it.

    Attributes
    ----------
    reader
        Who sees the reading.
    is_signed
        True if the reading is signed, on the screen and on the disk: not if it was reopened.
    is_current
        True if it was made on the films that the case has now.
    is_answered
        True if the reader has answered the joint, and is shown the answers of others at it.
    is_hidden
        True if measurements would reveal the order of the films or a hidden repeat.
    is_released
        True if all raters of the case have signed it; for a rater, if the measurements were published since.
    """

    reader: Literal["rater", "adjudicator", "trainee"]
    is_signed: bool
    is_current: bool
    is_answered: bool
    is_hidden: bool
    is_released: bool


def may_see_joint_space(state: ReaderState) -> bool:
    """Return whether measured joint spaces may be shown beside a reading."""
    match state.reader:
        case "rater":
            return state.is_signed and state.is_current and (state.is_released or not state.is_hidden)
        case "adjudicator":
            return state.is_released and state.is_current and (state.is_signed or state.is_answered)
    return False


def is_released(study: Study, case: str) -> bool:
    """Return whether all raters of `case` have signed it with its present films. Raises StudyError unless for a manager."""
    raters = study.raters_of(case)
    return bool(raters) and {reading.rater for reading in study.signed_readings(case)}.issuperset(raters)


def load_unblinded_joint_space(study: Study, reading: Reading, *, is_answered: bool = False) -> PlacedChanges:
    """Return the measurements that may be shown beside `reading`; empty if none may.

    Parameters
    ----------
    study
        The study as the reader sees it.
    reading
        The reading on the screen.
    is_answered
        True for the measurements that an adjudicator sees only at joints that they have answered.

    Raises
    ------
    StoreError, StudyError
        If the measurements, or files that decide about them, can't be read.
    """
    if not may_see_joint_space(_find_state(study, reading, is_answered)):
        return {}
    is_rater = not study.reveals
    found = (load_published_joint_space if is_rater else load_joint_space)(study, reading.case)
    return _place(found, reading)


def _find_state(study: Study, reading: Reading, is_answered: bool) -> ReaderState:
    case = reading.case
    if study.reveals not in ("", "raters"):
        return ReaderState("trainee", False, False, is_answered, is_hidden=True, is_released=False)
    stored = study.reading(reading.rater, case)
    is_signed = reading.signed_at is not None and stored is not None and stored.signed_at is not None
    return ReaderState(
        "adjudicator" if study.reveals else "rater",
        is_signed,
        is_current(reading, study.case(case)),
        is_answered,
        hides_joint_space(study),
        is_released(study, case) if study.reveals else is_joint_space_published(study, case),
    )


def _place(found: Sequence[MeasuredChange], reading: Reading) -> PlacedChanges:
    """Return the measurements by site and places of the films of `reading`."""
    placed: dict[str, dict[tuple[int, int], MeasuredChange]] = {}
    for each in found:
        if each.site in reading.site_keys and {*each.times} <= {*reading.order}:
            first, second = (reading.order.index(time) for time in each.times)
            at = placed.setdefault(each.site, {})
            at[min(first, second), max(first, second)] = each if first < second else each.exchanged()
    return placed
