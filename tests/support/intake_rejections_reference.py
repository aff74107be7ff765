"""A slow reference of the rules in ``docs/intake.md`` for rejected exposures.

It is written from the document: every note is compared with every film, and no code of the import is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.intake_persons_reference import ReferenceFilm, issuer_text, reach

__all__ = [
    "ENTRY",
    "EXPOSURE",
    "UNCLEAR",
    "VIEW",
    "expired_films",
    "find_marks",
    "is_made_from",
    "is_one_exposure",
    "numbered_films",
]

EXPOSURE, ENTRY, UNCLEAR, VIEW = "exposure", "entry", "unclear", "view"
TITLES = {"113001": EXPOSURE, "113037": ENTRY, "113038": ENTRY}
PARTS = {"hand": "hand", "wrist": "hand", "foot": "foot", "": ""}

Persons = dict[int, tuple[str, bool]]


def is_made_from(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    return bool(other.uid) and one.source == other.uid != one.uid


def is_one_exposure(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    if (one.source and one.source == other.source) or is_made_from(one, other) or is_made_from(other, one):
        return True
    if one.event or other.event:
        return one.event == other.event
    clocks = {one.acquired + one.clock, other.acquired + other.clock}
    return len(clocks) == 1 and len(one.clock) == 6 and len(one.acquired) == 8 and one.clock[4:] != "00"


def images_of(note: ReferenceFilm) -> dict[str, tuple[set[str], bool]]:
    """Return studies and certainty of each image that a note names."""
    listed = {uid for _, uid in note.evidence}
    images = {}
    for uid in listed | set(note.named):
        studies = {study for study, each in note.evidence if each == uid} or {note.study}
        is_certain = (uid in listed or not listed) and (uid in note.named or not note.named)
        images[uid] = (studies, is_certain)
    return images


def speaks_of(note: ReferenceFilm, film: ReferenceFilm, persons: Persons) -> bool:
    studies, _ = images_of(note).get(film.uid, (set(), False))
    return bool(film.uid and film.study) and film.study in studies and is_of_person(note, film, persons)


def is_of_person(note: ReferenceFilm, film: ReferenceFilm, persons: Persons) -> bool:
    if persons[note.number][0] and persons[note.number][0] == persons[film.number][0]:
        return True
    pairs = (
        (note.patient.strip(), film.patient.strip()),
        (issuer_text(note.issuer), issuer_text(film.issuer)),
        (issuer_text(note.universal), issuer_text(film.universal)),
    )
    return all(not one or not other or one == other for one, other in pairs)


def find_marks(files: Sequence[ReferenceFilm], persons: Persons) -> dict[int, str]:
    """Return the mark of each film that has one."""
    films = [file for file in files if not file.title]
    said: dict[int, set[str]] = {film.number: set() for film in films}
    for film in films:  # rule 1
        if film.comment:
            said[film.number].add(UNCLEAR if "repeat" in film.comment else EXPOSURE)
        if film.series == "3/4" and film.number not in numbered_films(files, persons):
            said[film.number].add(VIEW)
    notes = [file for file in files if file.title in TITLES]
    for note in notes:  # rules 3 and 4
        revoked = any(note.uid and note.uid in images_of(other) for other in notes)
        for film in films:
            if speaks_of(note, film, persons):
                same = [each for each in films if each.uid == film.uid and speaks_of(note, each, persons)]
                pictures = {each.picture or each.number for each in same}
                is_certain = images_of(note)[film.uid][1] and len(pictures) == 1 and not revoked
                said[film.number].add(TITLES[note.title] if is_certain else UNCLEAR)
            elif note.overflows and is_of_person(note, film, persons):
                said[film.number].add(UNCLEAR)
    for mark in (EXPOSURE, ENTRY):  # rule 5
        links = {
            str(film.number): {str(each.number) for each in films if spreads(film, each, mark, persons)}
            for film in films
        }
        for film in films:
            if mark in said[film.number]:
                for number in reach(str(film.number), links):
                    said[int(number)].add(mark)
    return {
        number: next(mark for mark in (EXPOSURE, ENTRY, UNCLEAR, VIEW) if mark in marks)
        for number, marks in said.items()
        if marks
    }


def spreads(one: ReferenceFilm, other: ReferenceFilm, mark: str, persons: Persons) -> bool:
    is_same_part = not one.view or not other.view or PARTS[one.view] == PARTS[other.view]
    is_same_side = one.side == other.side or bool({"B", ""} & {one.side, other.side})
    is_same_study = mark == EXPOSURE or one.study == other.study
    is_same_person = persons[one.number][0] == persons[other.number][0]
    return is_same_part and is_same_side and is_same_study and is_same_person and is_one_exposure(one, other)


def numbered_films(files: Sequence[ReferenceFilm], persons: Persons) -> set[int]:
    """Return the films with 3/4 in a study of which another film has another number."""

    def is_one_study(one: ReferenceFilm, other: ReferenceFilm) -> bool:
        is_nowhere = not one.study and not other.study and persons[one.number][0] == persons[other.number][0]
        return bool(one.study and one.study == other.study) or is_nowhere

    others = [file for file in files if file.series not in ("", "3/4")]
    return {file.number for file in files if file.series == "3/4" and any(is_one_study(file, o) for o in others)}


def expired_films(files: Sequence[ReferenceFilm], persons: Persons) -> set[int]:
    """Return the films of which a note says that they are past their retention period."""
    notes = [file for file in files if file.title == "113039"]
    return {
        film.number
        for film in files
        for note in notes
        if not film.title and (speaks_of(note, film, persons) or (note.overflows and is_of_person(note, film, persons)))
    }
