"""Group the films of one person into examinations, and assign these to visits. Values only.

The rules are in ``docs/intake.md``, "Examinations and visits".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from ratui.study.campaign.charter import PlannedVisit
from ratui.study.importing.headers.dates import DatedFilm

__all__ = [
    "HospitalExamination",
    "PersonTimes",
    "TimePoint",
    "assign_time_points",
    "group_examinations",
    "split_visits",
]

Film = TypeVar("Film", bound=Hashable)
_ONE_VISIT = timedelta(hours=6)
_DAYS_OF_ONE_VISIT = 1  # between two of its days
_FEWEST_DAYS = timedelta(days=8)  # between two time points
_SPAN = "films with its study UID are from more than two days in a row"
_NEXT_DAY = "its patient has films of two dates within a week, which may be one visit"
_UNCERTAIN = "another film of its patient has an uncertain date, so that the order of the days is uncertain"
_NAME_TIME = "Name its visit in a manifest"
_LIST_IT = "the manifest names visits of its patient, but not that of its day. Name it in the manifest, too"
_IN_STUDY = "its case is in the study already. Name it in a manifest to add it"
_THIRD = "its case is in the study already, with two visits of other days. Name one of the two in a manifest to add it"
_NO_FURTHER = "its case is in the study already, with all visits on other days. Name its visit in a manifest to add it"
_EARLIER = (
    "it is earlier than the films of its case in the study, so that their visit would change. "
    "To compare with it, withdraw these films and name all films in a manifest"
)
_NEARBY = f"it is of the week after the films of its case in the study, and may be of the same visit. {_NAME_TIME}"


@dataclass(frozen=True)
class HospitalExamination:
    """The days on which the films of one visit were made, in order, and a reason why the visit is doubtful, or empty."""

    days: tuple[date, ...]
    doubt: str = ""


@dataclass(frozen=True)
class TimePoint:
    """The time point of one film.

    Attributes
    ----------
    time
        Number of the visit from 0, or None if it is not decided.
    exam_date
        First day of the examination, or None if it is not certain.
    doubt
        Reason why a person must decide, with a remedy, or empty.
    awaits_dates
        True if the person has more examinations than visits, and some must be chosen.
    """

    time: int | None = None
    exam_date: date | None = None
    doubt: str = ""
    awaits_dates: bool = False


@dataclass(frozen=True)
class PersonTimes:
    """The time points of the films of one person, and the dates of the person's time points in order."""

    films: dict[Path, TimePoint]
    dates: tuple[date, ...]


def group_examinations(films: Mapping[Film, DatedFilm]) -> dict[Film, HospitalExamination]:
    """Return the examination of each film of one person. Films with a doubt, or without a day, are left out.

    Films belong to one examination if they have the same day; if they have the same Study Instance UID and successive days;
    or if they were exposed on successive days within six hours. The result does not depend on the order of the films.
    """
    by_day: dict[date, list[DatedFilm]] = defaultdict(list)
    for film in films.values():
        if film.day and not film.doubt:
            by_day[film.day].append(film)
    runs: list[list[date]] = []
    for day in sorted(by_day):
        if runs and _are_one_visit(by_day[runs[-1][-1]], by_day[day]):
            runs[-1].append(day)
        else:
            runs.append([day])
    doubts = [_SPAN if len(run) > 2 else "" for run in runs]
    for place, (run, after) in enumerate(pairwise(runs)):
        if after[0] - run[-1] < _FEWEST_DAYS:
            doubts[place] = doubts[place] or _NEXT_DAY
            doubts[place + 1] = _NEXT_DAY
    found = {
        day: HospitalExamination(tuple(run), doubt) for run, doubt in zip(runs, doubts, strict=True) for day in run
    }
    return {key: found[film.day] for key, film in films.items() if film.day and not film.doubt}


def split_visits(days: Iterable[int]) -> list[list[int]]:
    """Return ascending days in groups: successive days may be one visit, other days can't."""
    groups: list[list[int]] = []
    for day in sorted(set(days)):
        if groups and day - groups[-1][-1] <= _DAYS_OF_ONE_VISIT:
            groups[-1].append(day)
        else:
            groups.append([day])
    return groups


def assign_time_points(
    films: Mapping[Path, DatedFilm],
    listed: Mapping[Path, int],
    *,
    known: tuple[date, ...] = (),
    is_in_study: bool = False,
    has_known_only: bool = False,
    most: int = 2,
    planned: Sequence[PlannedVisit] = (),
) -> PersonTimes:
    """Return the time points of the films of one person.

    Parameters
    ----------
    films
        Date of each film.
    listed
        Time points that a manifest states.
    known
        Dates of the time points of an earlier import.
    is_in_study
        True if the person's case is in the study. Without a manifest, only the next date is accepted then.
    has_known_only
        True if the study has films of exactly the visits of these dates, the first ones.
    most
        Number of visits that a person has at most; with more examinations, some must be chosen.
    planned
        The visits, in place of `most`. If all of them have a day, they number the examinations of a person who has fewer.
    """
    exams, most = group_examinations(films), len(planned) or most
    order = sorted(set(exams.values()), key=lambda exam: exam.days)
    usual, dates = _count_times(order, known, is_in_study=is_in_study, has_known_only=has_known_only, most=most)
    plan = () if known or is_in_study else planned
    if 1 < len(order) < len(plan) and all(visit.day is not None for visit in plan):
        usual = _number_by_plan(order, plan)
        dates = dates if [*usual.values()] == [*range(len(order))] else ()
    stated: dict[HospitalExamination, set[int]] = defaultdict(set)
    for path, number in listed.items():
        if path in exams:
            stated[exams[path]].add(number)
    agree = all(path in exams for path in listed) and all(times == {usual[exam]} for exam, times in stated.items())
    is_uncertain = not is_in_study and not listed and _is_uncertain(films, exams, order, most)
    found: dict[Path, TimePoint] = {}
    for path, film in films.items():
        exam = exams.get(path)
        if path in listed:
            found[path] = TimePoint(listed[path], exam.days[0] if exam else None)
        elif exam is None:
            same = {
                usual[exams[other]] for other in exams if film.study_uid and films[other].study_uid == film.study_uid
            }
            time = next(iter(same)) if len(same) == 1 and not is_uncertain else None
            found[path] = TimePoint(time, None, f"{film.doubt}. {_NAME_TIME}")
        elif is_in_study and _find_known(exam, known) is not None:
            found[path] = TimePoint(usual[exam], exam.days[0])
        elif len(stated[exam]) == 1:
            found[path] = TimePoint(next(iter(stated[exam])), exam.days[0])
        elif listed and not agree:
            found[path] = TimePoint(None, exam.days[0], _LIST_IT)
        elif exam.doubt or is_uncertain:
            found[path] = TimePoint(None, exam.days[0], f"{exam.doubt or _UNCERTAIN}. {_NAME_TIME}")
        elif usual[exam] is not None:
            found[path] = TimePoint(usual[exam], exam.days[0])
        elif is_in_study:
            found[path] = TimePoint(None, exam.days[0], _explain_other_date(order, exam, known, has_known_only, most))
        elif len(order) <= most:
            reason = f"its patient has {len(order)} dates, which do not fit the planned visits"
            found[path] = TimePoint(None, exam.days[0], f"{reason}. Name its visits in a manifest")
        else:
            choice = "the two to compare" if most == 2 else "its visits"
            reason = f"its patient has {len(order)} dates. Name {choice} in a manifest"
            found[path] = TimePoint(None, exam.days[0], reason, awaits_dates=not listed)
    return PersonTimes(found, () if is_uncertain or (listed and not agree) else dates)


def _find_known(exam: HospitalExamination, known: tuple[date, ...]) -> int | None:
    """Return the time point of which an examination contains the known date, or None."""
    return next((time for time, day in enumerate(known) if day in exam.days), None)


def _count_times(
    order: list[HospitalExamination], known: tuple[date, ...], *, is_in_study: bool, has_known_only: bool, most: int
) -> tuple[dict[HospitalExamination, int | None], tuple[date, ...]]:
    """Return the usual time point of each examination, and the dates of the time points.

    Dates of an earlier import are used if there was one, so that a second run accepts what the first could not. A case
    whose first visits are in the study gets the next one.
    """
    times = {exam: _find_known(exam, known) for exam in order}
    new = [exam for exam, time in times.items() if time is None]
    is_next = is_in_study and has_known_only and 0 < len(known) < most and len(new) == 1 and not new[0].doubt
    if is_next and new[0].days[0] - known[-1] >= _FEWEST_DAYS:
        return times | {new[0]: len(known)}, (*known, new[0].days[0])
    if is_in_study or not new:
        return times, known
    if len(order) > most:
        return dict.fromkeys(order), ()
    return {exam: time for time, exam in enumerate(order)}, tuple(exam.days[0] for exam in order)


def _number_by_plan(
    order: Sequence[HospitalExamination], planned: Sequence[PlannedVisit]
) -> dict[HospitalExamination, int | None]:
    """Return the number of the planned visit of each examination; None for all if they do not fit the plan.

    The first examination is the first visit. Each other one is the visit whose day is nearest, and must be within its days
    before and after if the plan has some. No two are the same visit.
    """
    days = [visit.day or 0 for visit in planned]
    numbers: list[int] = []
    for exam in order:
        since = days[0] + (exam.days[0] - order[0].days[0]).days
        distances = [abs(since - day) for day in days]
        number = distances.index(min(distances))
        visit, late = planned[number], since - days[number]
        has_window = visit.before or visit.after
        if distances.count(min(distances)) > 1 or (has_window and not -visit.before <= late <= visit.after):
            return dict.fromkeys(order)
        numbers.append(number)
    is_possible = numbers[0] == 0 and all(one < other for one, other in pairwise(numbers))
    return dict(zip(order, numbers, strict=True)) if is_possible else dict.fromkeys(order)


def _explain_other_date(
    order: list[HospitalExamination],
    exam: HospitalExamination,
    known: tuple[date, ...],
    has_known_only: bool,
    most: int,
) -> str:
    """Return the reason why an examination of a case in the study is doubtful."""
    if len(known) >= most:
        return _THIRD if most == 2 else _NO_FURTHER
    if not has_known_only or not known:
        return _IN_STUDY
    if exam.days[0] < known[-1]:
        return _EARLIER
    if exam.days[0] - known[-1] < _FEWEST_DAYS:
        return _NEARBY
    others = sum(_find_known(each, known) is None for each in order)
    return f"its patient has {others} dates that are not in the study. Name the later visit in a manifest"


def _is_uncertain(
    films: Mapping[Path, DatedFilm],
    exams: Mapping[Path, HospitalExamination],
    order: list[HospitalExamination],
    most: int,
) -> bool:
    """Return whether the order of the examinations may be another one.

    That is the case if films of one visit may be counted as two, or if a film without a certain date may be of a visit that
    is not among them while there are fewer than two.
    """
    certain = {film.study_uid for path, film in films.items() if path in exams and film.study_uid}
    is_lost = any(path not in exams and film.study_uid not in certain for path, film in films.items())
    return any(exam.doubt for exam in order) or (is_lost and len(order) < most)


def _are_one_visit(before: list[DatedFilm], after: list[DatedFilm]) -> bool:
    """Return whether films of two days belong to one examination."""
    one, other = before[0].day, after[0].day
    assert one is not None
    assert other is not None
    if other - one != timedelta(days=1):
        return False
    if {film.study_uid for film in before if film.study_uid} & {film.study_uid for film in after}:
        return True
    ends = [film.moment for film in before if film.moment]
    starts = [film.moment for film in after if film.moment]
    return bool(ends and starts) and min(starts) - max(ends) <= _ONE_VISIT
