"""Hidden repeats: cases that return under another name, to measure how well each rater agrees with themselves.

A repeat is a case of its own, with copies of the films under new IDs and UIDs and with positions that are drawn anew. Only
the table ``private/repeats.json`` links it to its original. Results count a repeat nowhere but in the agreement of a rater
with themselves.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ratui.errors import RatuiError, StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.stored_values import ODD_VALUE_ERRORS, as_list, as_text
from ratui.study.accounts import act_as_owner
from ratui.study.campaign.charter_changes import add_amendment, has_reading_begun
from ratui.study.campaign.repeat_distance import is_apart
from ratui.study.case import Case
from ratui.study.config_files import CONSENSUS, SPLIT_FORMAT
from ratui.study.film_files import read_intact_film_data, write_films
from ratui.study.importing.reader.deidentification import draw_uid
from ratui.study.importing.reader.own_films import copy_stored_film
from ratui.study.store import FileLock, StudyLock, write_tables
from ratui.study.store.tables import read_tables
from ratui.study.study import Study
from ratui.study.study_config import format_present_time

__all__ = ["Repeat", "copy_case", "draw_repeats", "load_repeats", "save_repeats"]

_FILE = "private/repeats.json"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
"""Letters of the names of cases, those of base 32, so that a repeat is named as any other case."""
_NAME_LENGTH = 6
_MOST_NAMES = 300
"""Names to draw before one is taken that is near to its original in some rater's list."""


@dataclass(frozen=True)
class Repeat:
    """A case that shows the films of another one.

    Attributes
    ----------
    case
        Name of the repeat.
    original
        Name of the case whose films it shows.
    drawn_at
        Time in UTC, ISO 8601.
    films
        IDs of the films of the original by those of the repeat.
    """

    case: str
    original: str
    drawn_at: str
    films: Mapping[str, str]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Repeat:
        """Return the values in a stored record. Raises an error of `ODD_VALUE_ERRORS` or StudyError for anything else."""
        case, original = (check_name(as_text(record[name]), "case") for name in ("case", "original"))
        films = {as_text(new): as_text(old) for new, old in record["films"].items()}
        return cls(case, original, as_text(record["drawn_at"]), films)


def load_repeats(study: Study) -> Mapping[str, Repeat]:
    """Return the hidden repeats of `study` by their names; empty if none were drawn.

    Raises
    ------
    StudyError
        If this account may not know them.
    StoreError
        If the table is damaged.
    """
    if study.config.stored_format < SPLIT_FORMAT:
        return {}
    file = study.folder.file(_FILE)
    try:
        tables = read_tables(file) or {}
        found = [Repeat.from_record(record) for record in as_list(tables.get("repeats", []))]
    except StoreError as error:
        if isinstance(error.__cause__, PermissionError):
            problem = "only managers of the study may know which cases are repeats"
            raise StudyError(problem, study.path, "Ask a manager of the study") from error
        raise
    except (*ODD_VALUE_ERRORS, StudyError) as error:
        problem = f"not a list of repeats: {clean_text(error)}"
        raise StoreError(problem, file.path, "See: ratui check STUDY") from error
    return {each.case: each for each in found}


def save_repeats(study: Study, repeats: Iterable[Repeat]) -> None:
    """Replace the table of repeats. The caller holds the lock of imports. Raises StoreError."""
    with StudyLock(study.folder).shared():
        write_tables(study.folder.file(_FILE), {"repeats": [asdict(each) for each in repeats]})


def draw_repeats(study: Study, share: float, reason: str = "") -> tuple[Repeat, ...]:
    """Repeat cases, drawn at random, until the repeats are at least `share` of the cases.

    A case is repeated at most once, and the raters who read it also read the repeat. Draw repeats after the import and
    before the first reading, so that neither regions nor dates of files differ between a case and its repeat. Afterwards it
    is an amendment of the charter. By their names, a repeat and its original are apart in the list of each rater, see
    `repeat_distance`.

    Parameters
    ----------
    study
        The study. This account must manage it and be able to write its films.
    share
        Number of repeats divided by the number of cases that can be read and are no repeats themselves; above 0, up to 1.
    reason
        Reason for new repeats after reading has begun.

    Returns
    -------
    tuple of Repeat
        The new repeats; empty if there are as many already.

    Raises
    ------
    StudyError
        If this account may not do it, the share is not possible, no case can be read, or the study has an earlier format;
        if reading has begun and there is no reason, or this account is not the study's owner, who amends the charter; or if
        raters may see its results, because a group shares it, it is not blinded, and its charter states no share.
    StoreError, FilmError
        If the disk refuses. Repeat the call then: it continues where it stopped.
    """
    study.check_manager("draw repeats")
    study.check_unlocked()
    if not 0 < share <= 1:
        raise StudyError(f"{share} is no share of the cases", study.path, "Give a number above 0, up to 1")
    if study.config.stored_format < SPLIT_FORMAT:
        problem = "a study of an earlier format can't hide repeats"
        raise StudyError(problem, study.path, "Convert it with: ratui check STUDY --repair")
    if study.config.group and not study.config.blinded and not study.config.charter.repeats_share:
        problem = "raters may see its results, which would count repeats as patients"  # they can't know the repeats
        remedy = (
            "State the share first, so that only managers see results: ratui charter STUDY --set FILE, repeats_share"
        )
        raise StudyError(problem, study.path, remedy)
    with act_as_owner(study.folder, "films"), FileLock(study.folder.file("import.lock")):
        known = dict(load_repeats(study))
        present = {*study.cases()}
        for begun in (repeat for repeat in known.values() if repeat.case not in present):
            copy_case(study, study.case(begun.original), begun)
        originals = [case for case in sorted(present) if case not in known and _can_be_read(study, case)]
        if not originals:
            raise StudyError("there is no case that can be read", study.path, "Import films first")
        repeated = {repeat.original for repeat in known.values()}
        left = [case for case in originals if case not in repeated]
        missing = math.ceil(share * len(originals)) - len(known)
        count = max(min(missing, len(left)), 0)
        if count and has_reading_begun(study.folder):
            if not reason:
                problem = "reading has begun: new repeats are an amendment of the charter"
                raise StudyError(problem, study.path, "Give the reason with --reason")
            change = f"hidden repeats: {len(known)} -> {len(known) + count}"
            if not any(each.changes == (change,) for each in study.config.charter.history[-1:]):
                add_amendment(study, reason, change)  # otherwise an interrupted call has recorded it
        drawn = secrets.SystemRandom().sample(left, count)
        readers = {case: _list_readers(study, case) for case in study.cases()} if drawn else {}
        new = []
        for original in drawn:  # at random, so that the times of the new files do not follow the names of the originals
            case = study.case(original)
            at = format_present_time()
            films = {secrets.token_hex(6): film.id for film in case.films}
            repeat = Repeat(_draw_name(study, original, readers), original, at, films)
            known[repeat.case], readers[repeat.case] = repeat, readers[original]
            # First: without this record, the repeat would count as a patient.
            save_repeats(study, known.values())
            copy_case(study, case, repeat)
            new.append(repeat)
    return tuple(new)


def _can_be_read(study: Study, case: str) -> bool:
    try:
        return not study.case(case).unreadable_reason(study.scheme)
    except RatuiError:  # damaged: the check reports it
        return False


def _list_readers(study: Study, case: str) -> frozenset[str]:
    try:
        return frozenset(study.positions(case))
    except RatuiError:  # damaged: the check reports it
        return frozenset()


def _draw_name(study: Study, original: str, readers: Mapping[str, frozenset[str]]) -> str:
    """Return a name that no case has, and that is apart from `original` in the list of each of its raters, if possible."""
    used = {*study.folder.folders("films")}
    lists = [sorted(case for case, found in readers.items() if rater in found) for rater in readers[original]]
    draw = secrets.SystemRandom()
    name = ""
    for _ in range(_MOST_NAMES):
        while (name := "C-" + "".join(draw.choices(_LETTERS, k=_NAME_LENGTH))) in used:
            pass
        if is_apart(name, original, lists):
            break
    return name


def copy_case(study: Study, original: Case, repeat: Repeat) -> None:
    """Store the films of `original` that the case of `repeat` lacks. An interrupted call can be repeated.

    The caller holds the lock of imports. Raises StoreError, FilmError.
    """
    here = study.case(repeat.case) if repeat.case in study.cases() else None
    known = {film.id for film in here.films} | {film for film, _ in here.withdrawn} if here else set()
    ids = {old: new for new, old in repeat.films.items() if new not in known}
    uids: dict[str, str] = {}
    files, films = {}, []
    for film in (film.as_stored() for film in original.films if film.id in ids):
        path = study.folder.path / f"films/{original.id}/{film.id}.dcm"
        data = read_intact_film_data(study.folder, original, film.id)
        copied = copy_stored_film(
            data,
            path,
            film.side,
            case=original.id,
            new_case=repeat.case,
            make_uid=lambda old: uids.setdefault(old, draw_uid()),
        )
        files[ids[film.id]] = copied
        # Without the digest of the pixels: an import recognizes a film by it, and must find the original.
        films.append(replace(film, id=ids[film.id], digest="", file=hashlib.sha256(copied).hexdigest()))
    case = replace(here, films=(*here.films, *films)) if here else Case(repeat.case, tuple(films))
    write_films(study.folder, case, files, rewrite=here is not None and study.config.blinded)
    turned = [each for each in study.orientations(original.id).values() if each.film in ids]
    if turned:
        with study.regions_lock(repeat.case):
            before = (study.stored_regions(case.id), study.orientations(case.id).values()) if here else ((), ())
            new = [replace(each, film=ids[each.film]) for each in turned]
            study.write_regions(repeat.case, before[0], [*before[1], *new])
    raters = [rater for rater in study.positions(original.id) if rater != CONSENSUS]
    study.save_case(case, positions=None if here else dict.fromkeys(raters, ()))
