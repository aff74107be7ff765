"""A slow reference of the rules in ``docs/intake.md`` for examinations, time points and the choice of films.

It is written from the document: every film is compared with every other one, and no code of the import is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from tests.support.intake_persons_reference import (
    Known,
    ReferenceFilm,
    birth_digits,
    complete_birth,
    find_persons,
    reach,
)

__all__ = ["Known", "ReferenceFilm", "decide"]

TAKE, LEAVE_OUT, DOUBTFUL = "take", "leave out", "doubtful"
VIEWS = {"hand": "hand", "wrist": "hand", "foot": "foot"}


def read_date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date() if len(text) == 8 else None
    except ValueError:
        return None


def certain_date(film: ReferenceFilm, today: date) -> date | None:
    """Return the date of a film, or None if it is doubtful."""
    birth = read_date(birth_digits(film.birth)) if complete_birth(film) else None
    birth = birth or read_date(film.birth)

    def is_plausible(day: date) -> bool:
        is_start = (day.month, day.day) == (1, 1) and day.year in (1970, 1980, 2000)
        return not (day > today + timedelta(days=1) or day.year < 1950 or is_start or (birth and day <= birth))

    stated = [
        (name, read_date(text)) for name, text in (("a", film.acquired), ("s", film.studied), ("c", film.content))
    ]
    dates = [(name, day) for name, day in stated if day]
    plausible = [(name, day) for name, day in dates if is_plausible(day)]
    fixed = [(name, day) for name, day in plausible if name != "c"]
    if len(plausible) >= 2 and agree(plausible):
        dates = plausible
    elif (
        len(fixed) >= 2
        and agree(fixed)
        and all(day > max(each for _, each in fixed) for name, day in plausible if name == "c")
    ):
        dates = fixed
    if not dates or not agree(dates) or not all(is_plausible(day) for _, day in dates):
        return None
    return dates[0][1]


def agree(dates: Sequence[tuple[str, date]]) -> bool:
    days = [day for _, day in dates]
    return max(days) - min(days) <= timedelta(days=2)


def moment(film: ReferenceFilm) -> datetime | None:
    if not read_date(film.acquired) or len(film.clock) < 4:
        return None
    return datetime.strptime(film.acquired + film.clock[:4], "%Y%m%d%H%M")


def find_examinations(films: Sequence[ReferenceFilm], today: date) -> list[tuple[list[date], bool]]:
    """Return the days of each examination and whether it is doubtful, in order."""
    days = sorted({day for film in films if (day := certain_date(film, today))})
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1) and is_one_visit(films, runs[-1][-1], day, today):
            runs[-1].append(day)
        else:
            runs.append([day])
    doubtful = [len(run) > 2 for run in runs]
    for place in range(len(runs) - 1):
        if runs[place + 1][0] - runs[place][-1] == timedelta(days=1):
            doubtful[place] = doubtful[place + 1] = True
    return list(zip(runs, doubtful, strict=True))


def is_one_visit(films: Sequence[ReferenceFilm], one: date, other: date, today: date) -> bool:
    first = [film for film in films if certain_date(film, today) == one]
    second = [film for film in films if certain_date(film, today) == other]
    if any(film.study and film.study == each.study for film in first for each in second):
        return True
    ends = [at for film in first if (at := moment(film))]
    starts = [at for film in second if (at := moment(film))]
    return bool(ends and starts) and min(starts) - max(ends) <= timedelta(hours=6)


def find_time_points(
    films: Sequence[ReferenceFilm], today: date, known: Known | None
) -> dict[int, tuple[object, bool]]:
    """Return the time point and whether the film is doubtful; a date in its place if two dates must be chosen."""
    exams = find_examinations(films, today)
    in_study = known is not None and known.in_study
    dates = known.dates if known else ()
    days = {day for run, _ in exams for day in run}
    studies = {film.study for film in films if film.study and certain_date(film, today)}
    lost = [film for film in films if certain_date(film, today) is None and film.study not in studies]
    uncertain = not in_study and (any(doubt for _, doubt in exams) or (bool(lost) and len(exams) < 2))
    result: dict[int, tuple[object, bool]] = {}
    for film in films:
        day = certain_date(film, today)
        if day is None:
            result[film.number] = (None, True)
            continue
        place = next(place for place, (run, _) in enumerate(exams) if day in run)
        run, doubt = exams[place]
        there = [time for time, each in enumerate(dates) if each in run]
        all_known = all(any(each in run for each in dates) for run, _ in exams)
        if in_study:
            result[film.number] = (there[0], False) if there else (None, True)
        elif doubt or uncertain:
            result[film.number] = (None, True)
        elif all_known:
            result[film.number] = (there[0], False)
        elif len(exams) > 2:
            result[film.number] = (run[0], True)
        else:
            result[film.number] = (place, False)
    assert days or all(doubt for _, doubt in result.values())
    return result


def decide(films: Sequence[ReferenceFilm], known: Sequence[Known], today: date) -> dict[int, tuple[str, str, object]]:
    """Return decision, person and time point of each film; the time point is None for a film that is not taken."""
    persons = find_persons(films, known)
    decisions: dict[int, str] = {}
    slots: dict[int, tuple[object, ...]] = {}
    for film in films:
        if film.lateral:
            decisions[film.number] = LEAVE_OUT
        elif persons[film.number][1]:
            decisions[film.number] = DOUBTFUL
    for key in {key for key, _ in persons.values()}:
        group = [
            film for film in films if persons[film.number] == (key, False) and decisions.get(film.number) != LEAVE_OUT
        ]
        points = find_time_points(group, today, next((each for each in known if each.key == key), None))
        for film in group:
            time, is_doubtful = points[film.number]
            if is_doubtful or not film.side or not film.view:
                decisions[film.number] = DOUBTFUL
            if film.side and film.view and (not is_doubtful or isinstance(time, date)):
                slots[film.number] = (key, time, VIEWS[film.view])
    by_number = {film.number: film for film in films}
    competing = [by_number[number] for number in slots]
    choices = choose(competing, slots)
    for film in competing:
        if choices[film.number] != TAKE:
            decisions[film.number] = choices[film.number]
        decisions.setdefault(film.number, TAKE)
    return {
        film.number: (
            decisions[film.number],
            persons[film.number][0],
            slots[film.number][1] if decisions[film.number] == TAKE else None,
        )
        for film in films
    }


def rank(film: ReferenceFilm) -> tuple[int, int, bool]:
    intents = ["FOR PRESENTATION", "", "FOR PROCESSING"]
    return list(VIEWS).index(film.view), intents.index(film.intent), film.derived


def choose(films: Iterable[ReferenceFilm], slots: dict[int, tuple[object, ...]]) -> dict[int, str]:
    films = list(films)
    choices = dict.fromkeys((film.number for film in films), "")
    for film in films:  # rule 2
        equal = [each for each in films if film.picture and each.picture == film.picture]
        if any((slots[e.number], e.side, e.view) != (slots[film.number], film.side, film.view) for e in equal):
            choices[film.number] = DOUBTFUL
        elif len(equal) > 1 and min(equal, key=lambda each: (rank(each), each.number)) != film:
            choices[film.number] = LEAVE_OUT
    rest = [film for film in films if not choices[film.number]]
    for film in rest:
        rivals = [each for each in rest if slots[each.number] == slots[film.number]]
        if len({each.side for each in rivals}) > 1 and any(each.side == "B" for each in rivals):  # rule 4
            choices[film.number] = DOUBTFUL
            continue
        rivals = [each for each in rivals if each.side == film.side]  # rule 5
        best = [each for each in rivals if rank(each) == min(map(rank, rivals))]
        if film in best and len(best) > 1:  # rule 6
            connected = {str(each.number): {str(o.number) for o in best if is_one_exposure(each, o)} for each in best}
            if len(reach(str(film.number), connected)) == len(best):
                latest = max(each.content for each in best)
                best = [min((each for each in best if each.content == latest), key=lambda each: each.number)]
        choices[film.number] = LEAVE_OUT if film not in best else TAKE if len(best) == 1 else DOUBTFUL
    return choices


def is_one_exposure(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    if one.event or other.event:
        return one.event == other.event
    clocks = {one.acquired + one.clock, other.acquired + other.clock}
    return len(clocks) == 1 and len(one.clock) == 6 and len(one.acquired) == 8 and one.clock != "000000"
