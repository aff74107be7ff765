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
from tests.support.intake_rejections_reference import (
    ENTRY,
    EXPOSURE,
    UNCLEAR,
    VIEW,
    expired_films,
    find_marks,
    is_made_from,
    is_one_exposure,
    numbered_films,
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
        is_start = is_start or day == date(1969, 12, 31)
        lived = (day - birth).days / 365.25 if birth else 0
        is_unfit = birth is not None and film.age and not int(film.age[:3]) - 2 <= lived <= int(film.age[:3]) + 3
        is_outside = day > today + timedelta(days=1) or day.year < 1950
        return not (is_outside or is_start or (birth and day <= birth) or is_unfit)

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
        if runs[place + 1][0] - runs[place][-1] <= timedelta(days=7):
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
    if known is not None and in_study and known.one_visit and len(dates) == 1:  # the next visit
        others = [(run, doubt) for run, doubt in exams if dates[0] not in run]
        if len(others) == 1 and not others[0][1] and others[0][0][0] >= dates[0] + timedelta(days=8):
            dates = (*dates, others[0][0][0])
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
    marks = find_marks(films, persons)
    expired = expired_films(films, persons) | numbered_films(films, persons)
    decisions: dict[int, str] = {}
    slots: dict[int, tuple[object, ...]] = {}
    for film in films:
        if film.lateral or film.title:
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
            if is_doubtful or not film.side or not film.view or film.number in expired:
                decisions[film.number] = DOUBTFUL
            if film.side and film.view and film.number not in expired and (not is_doubtful or isinstance(time, date)):
                slots[film.number] = (key, time, VIEWS[film.view])
    by_number = {film.number: film for film in films}
    competing = [by_number[number] for number in slots]
    choices = choose(competing, slots, marks)
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


def sides(film: ReferenceFilm) -> set[str]:
    return {"L", "R"} if film.side == "B" else {film.side}


def choose(
    films: Iterable[ReferenceFilm], slots: dict[int, tuple[object, ...]], found: dict[int, str]
) -> dict[int, str]:
    films, marks = list(films), dict(found)
    choices = dict.fromkeys((film.number for film in films), "")
    for film in films:  # rule 2
        if found.get(film.number) == ENTRY:
            continue
        equal = [e for e in films if film.picture and e.picture == film.picture and found.get(e.number) != ENTRY]
        if any((slots[e.number], e.side, e.view) != (slots[film.number], film.side, film.view) for e in equal):
            choices[film.number] = DOUBTFUL
        elif len(equal) > 1 and min(equal, key=lambda each: (rank(each), each.number)) != film:
            choices[film.number] = LEAVE_OUT
        elif len(equal) > 1:
            said = [found.get(each.number) for each in equal]
            marks[film.number] = next((mark for mark in (EXPOSURE, UNCLEAR, VIEW) if mark in said), "")
    for slot in {slots[film.number] for film in films}:
        group = [film for film in films if slots[film.number] == slot and not choices[film.number]]
        rejected = [film for film in group if marks.get(film.number) in (EXPOSURE, ENTRY, VIEW)]
        choices |= choose_of_part([film for film in group if film not in rejected], marks)
        taken = [film for film in group if choices[film.number] == TAKE]
        for film in rejected:  # rule 8
            lesser = [e for e in taken if sides(e) & sides(film) and rank(e)[0] > rank(film)[0]]
            choices |= dict.fromkeys((each.number for each in lesser), DOUBTFUL)
            shown = set().union(*(sides(each) for each in taken if each not in lesser))
            choices[film.number] = LEAVE_OUT if sides(film) <= shown else DOUBTFUL
    return choices


def choose_of_part(films: list[ReferenceFilm], marks: dict[int, str]) -> dict[int, str]:
    """Return the decisions on the films of one slot that are not rejected."""
    choices: dict[int, str] = {}
    for film in films:  # rule 4
        better = [each for each in films if rank(each)[0] < rank(film)[0]]
        whole = [
            each
            for each in films
            if each.side == "B" and film.side != "B" and rank(each) <= rank(film) and is_one_by_uid(each, film)
        ]
        if sides(film) <= set().union(*map(sides, better)) or (whole and not marks.get(film.number)):
            choices[film.number] = LEAVE_OUT
    rest = [film for film in films if film.number not in choices]
    for film in rest:
        if len({each.side for each in rest}) > 1 and any(each.side == "B" for each in rest):  # rule 5
            choices[film.number] = DOUBTFUL
            continue
        rivals = [each for each in rest if each.side == film.side]  # rule 6
        best = [each for each in rivals if rank(each) == min(map(rank, rivals))]
        if film in best and len(best) > 1:  # rule 7
            connected = {str(each.number): {str(o.number) for o in best if is_one_exposure(each, o)} for each in best}
            if len(reach(str(film.number), connected)) == len(best):
                best = [each for each in best if not any(is_made_from(each, other) for other in best)] or best
                best = [max(best, key=lambda each: (each.content, each.uid, -each.number))]
        choices[film.number] = LEAVE_OUT if film not in best else TAKE if len(best) == 1 else DOUBTFUL
        if film in best and any(marks.get(each.number) == UNCLEAR for each in rivals):
            choices[film.number] = DOUBTFUL
    return choices


def is_one_by_uid(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    is_one_event = bool(one.event) and one.event == other.event
    is_one_source = bool(one.source) and one.source == other.source
    return is_one_event or is_one_source or is_made_from(one, other) or is_made_from(other, one)
