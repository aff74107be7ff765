"""Attacks of a rater who wants to know which film is the earlier one, or what the other raters answered."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ratui.errors import StudyError
from ratui.results.adjudication import Adjudication
from ratui.results.frame import build_frame
from ratui.results.released import collect_released_readings
from ratui.study import Case, FilmRecord, Study
from ratui.study.film_files import write_films
from tests.support.accounts import as_account, open_folder
from tests.support.attacks.table import Outcome, attack
from tests.support.fault_harness.count import Unavailable
from tests.support.shared_study import ANNA, make_shared

_CASES = 100
_AT_CHANCE = 25  # half of the cases, and at most this number more or less: five standard deviations


@attack("guess the earlier film from times, numbers and places of its files", by="rater")
def guess_from_files(folder: Path) -> Outcome:
    """Count how often each clue points to the earlier film; half of the films were added in a later import."""
    study = Study.create(folder / "study", "fingers", ["anna", "bert"], blinded=True)
    hits: Counter[str] = Counter()
    for number in range(_CASES):
        names = [os.urandom(6).hex(), os.urandom(6).hex()]
        films = tuple(FilmRecord(name, time, "L", "hand", 9, 9) for time, name in enumerate(names))
        for count in (1, 2) if number % 2 else (2,):
            case = Case(f"C-{number}", films[:count])
            new = {film.id: b"film" for film in films[: count if count == 1 or number % 2 == 0 else 2]}
            write_films(study.folder, case, new, rewrite=True)
            study.save_case(case)
        for clue, name in _find_clues(study, case.id).items():
            hits[clue] += name == names[0]
    at_chance = sum(abs(count - _CASES // 2) <= _AT_CHANCE for count in hits.values())
    return Outcome(len(hits), refused=at_chance)


def _find_clues(study: Study, case: str) -> dict[str, str]:
    """Return the film that each clue points to."""
    folder = study.path / "films" / case
    found = {name.removesuffix(".dcm"): name for name in os.listdir(folder) if name.endswith(".dcm")}  # noqa: PTH208
    about = {film: (folder / name).stat() for film, name in found.items()}
    return {
        "first name in the folder": next(iter(found)),
        "smallest name": min(found),
        "smallest number": min(found, key=lambda film: about[film].st_ino),
        "first change": min(found, key=lambda film: (about[film].st_ctime_ns, os.urandom(4))),
        "first modification": min(found, key=lambda film: (about[film].st_mtime_ns, os.urandom(4))),
        "first in the list": str(study.film_list(case).records[0]["id"]),
        "left film": study.positions(case)["anna"][0][0],
        "left film of another rater": study.positions(case)["bert"][0][0],
    }


@attack("open visits, days and time points, by ratui and by other programs", by="rater")
def open_visits(folder: Path) -> Outcome:
    """Try every way to the time points from the account of a rater."""

    def visits(study: Study) -> Path:
        return study.path / "private" / "visits" / f"{study.cases()[0]}.json"

    ways: list[Callable[[Study], object]] = [
        lambda study: study.case(study.cases()[0]),
        lambda study: study.visits(study.cases()[0]),
        lambda study: study.order("anna", study.cases()[0]),
        lambda study: study.reading("bert", study.cases()[0]),
        lambda study: collect_released_readings(study),
        lambda study: os.listdir(study.path / "private"),  # noqa: PTH208
        lambda study: visits(study).read_bytes(),
        lambda study: visits(study).with_suffix(".json.bak").read_bytes(),
        lambda study: (study.path / "private").rename(study.path / "mine"),
    ]
    return _try_as_anna(folder, ways)


@attack("see readings before they are released, without a reading of one's own", by="rater")
def see_unreleased(folder: Path) -> Outcome:
    """Use everything that shows readings from the account of a rater who has not begun."""
    return _try_as_anna(folder, _UNRELEASED)


@attack("the same while the folder of one's own readings has another name", by="rater")
def see_unreleased_without_folder(folder: Path) -> Outcome:
    """Begin to read, and rename the folder of the readings for the moment of the command."""

    def renamed(way: Callable[[Study], object]) -> Callable[[Study], object]:
        def act(study: Study) -> object:
            seen, case = study.as_rater("anna"), study.cases()[0]
            with seen.open_reading("anna", case) as session:
                session.save(session.reading)
            own = study.path / "readings" / "anna"
            own.rename(own.with_name("aside"))
            try:
                return way(study)
            finally:
                own.with_name("aside").rename(own)

        return act

    return _try_as_anna(folder, [renamed(way) for way in _UNRELEASED])


def _snapshot_readings(study: Study) -> object:
    with study.snapshot() as copy:
        return copy.signed_readings(copy.cases()[0])


_UNRELEASED: list[Callable[[Study], object]] = [
    lambda study: collect_released_readings(study, interim=True).readings,
    lambda study: build_frame(study, interim=True),
    lambda study: Adjudication(study, ()).signed_readings(study.cases()[0]),
    lambda study: study.signed_readings(study.cases()[0]),
    _snapshot_readings,
]


def _try_as_anna(folder: Path, ways: list[Callable[[Study], object]]) -> Outcome:
    if os.geteuid() != 0:
        raise Unavailable("it needs root, to act as other accounts")
    with open_folder() as place:
        path = make_shared(place / "study", folder / "h", blinded=True).path

        build_frame(Study.open(path), interim=True)  # imports what the other account may not be able to read

        def refused() -> int:
            count = 0
            for way in ways:
                try:
                    way(Study.open(path))
                except (StudyError, PermissionError):
                    count += 1
            return count

        return Outcome(len(ways), refused=as_account(ANNA, refused))
