"""Find the films that their department has rejected, and films of one exposure. Values only.

A department rejects a film by a key object note, or by words in the film's header. The rules are in ``docs/intake.md``,
"Rejected exposures". A mark alone leaves no film out: see `choose_films`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from ratui.study.importing.persons.patient_record import make_patient_record
from ratui.study.importing.reader.film_header import FilmHeader, is_key_object

__all__ = [
    "FilmPlace",
    "Mark",
    "MarkKind",
    "Marks",
    "find_marks",
    "list_copy_marks",
    "list_exposure_marks",
    "list_rejected_images",
]

_OTHER_OBJECT = "a key object note of another patient or study names its SOP Instance UID; it does not count"

_SAME_EXPOSURE = "another film of its exposure is rejected: "


class MarkKind(IntEnum):
    """Kinds of marks; the smallest number has precedence."""

    EXPOSURE = 1
    """The exposure was rejected. All films that were made from it are."""
    ENTRY = 2
    """The object was rejected: its entry in the archive is wrong. A corrected copy of the picture may be right."""
    UNCLEAR = 3
    """The object may have been rejected, or be the repeat of a rejected one."""
    VIEW = 4
    """The projection may be an oblique one."""


@dataclass(frozen=True)
class Mark:
    """A statement that a film was rejected, with its reason."""

    kind: MarkKind
    reason: str


@dataclass(frozen=True)
class FilmPlace:
    """The statements of a film by which it is compared with a note and with other films.

    Attributes
    ----------
    person
        Name of the person in the key file, or empty.
    part, side
        Part of the body and side, or empty.
    words
        Marks by words in its header.
    """

    person: str = ""
    part: str = ""
    side: str = ""
    words: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Marks:
    """The marks of all files.

    Attributes
    ----------
    films
        Mark of each film that was rejected, or may have been.
    doubts, notes
        Other statements of key object notes about films: reasons why a person must decide, and remarks.
    documents
        Reason for each key object note that says something about images.
    """

    films: dict[Path, Mark] = field(default_factory=dict)
    doubts: dict[Path, str] = field(default_factory=dict)
    notes: dict[Path, str] = field(default_factory=dict)
    documents: dict[Path, str] = field(default_factory=dict)


_TITLES: Mapping[str, tuple[MarkKind, str]] = {
    "113001": (MarkKind.EXPOSURE, "rejects it for quality reasons"),
    "113037": (MarkKind.ENTRY, "rejects it for reasons of patient safety"),
    "113038": (MarkKind.ENTRY, "rejects it because of a wrong entry in the worklist"),
}
"""Document titles that reject images (PS3.16 CID 7010, coding scheme DCM)."""
_EXPIRED = "113039"
_NUMBER = re.compile(r"(?<![0-9/])[1-9]/[2-9](?![0-9/])")
_DESCRIPTIONS = (
    *("AcquisitionDeviceProcessingDescription", "SeriesDescription", "ProtocolName", "AcquisitionProtocolName"),
    *("PerformedProcedureStepDescription", "ImageComments"),
)
_QUALITY_ISSUE = "113010"


def find_marks(headers: Mapping[Path, FilmHeader], places: Mapping[Path, FilmPlace]) -> Marks:
    """Return the marks of all files. The result does not depend on their order.

    Parameters
    ----------
    headers
        The headers of all readable files, also those of key object notes.
    places
        The statements of each of these files.
    """
    marks = Marks()
    for path in headers:
        for mark in places[path].words:
            _add_mark(marks, path, mark)
    _doubt_numbered(marks, headers, places)
    notes = {path: _find_title(header) for path, header in headers.items()}
    notes = {path: title for path, title in notes.items() if title in (*_TITLES, _EXPIRED, _QUALITY_ISSUE)}
    films = {path: header for path, header in headers.items() if not is_key_object(header.sop_class, header.modality)}
    by_uid: dict[str, list[Path]] = defaultdict(list)
    for path, header in films.items():
        if header.instance_uid:
            by_uid[header.instance_uid].append(path)
    revoked = {uid for path, title in notes.items() if title in _TITLES for uid, _ in _list_named_images(headers[path])}
    for path in sorted(notes):
        is_revoked = headers[path].instance_uid in revoked
        _read_note(marks, path, notes[path], headers, places, films, by_uid, is_revoked=is_revoked)
    _spread_marks(marks, films, places)
    return marks


def _doubt_numbered(marks: Marks, headers: Mapping[Path, FilmHeader], places: Mapping[Path, FilmPlace]) -> None:
    """Add a doubt in place of the mark of a view if other films of the study are numbered: 3/4 may be the third of four."""

    def find_study(path: Path) -> str:
        return headers[path].study_uid or f"person {places[path].person}"

    numbered = {find_study(path) for path, header in headers.items() if _is_numbered(header)}
    for path in headers:
        for mark in places[path].words:
            if mark.kind is MarkKind.VIEW and find_study(path) in numbered:
                marks.doubts[path] = f"{mark.reason}, or number the films"


def _is_numbered(header: FilmHeader) -> bool:
    texts = (header.elements.get(keyword, "") for keyword in _DESCRIPTIONS)
    return any(number != "3/4" for text in texts for number in _NUMBER.findall(text))


def list_rejected_images(header: FilmHeader) -> frozenset[tuple[str, str]]:
    """Return the Study and SOP Instance UIDs of the images that a key object note rejects; empty for other objects."""
    if _find_title(header) not in _TITLES:
        return frozenset()
    return frozenset(
        (study, uid)
        for uid, is_certain in _list_named_images(header)
        if is_certain
        for study in _find_studies(header, uid)
    )


def _find_title(header: FilmHeader) -> str:
    """Return the code of the document title of a key object note, or an empty text."""
    terms = header.codes.get("ConceptNameCodeSequence", ())
    is_note = is_key_object(header.sop_class, header.modality) and bool(terms) and terms[0].scheme.upper() == "DCM"
    return terms[0].value if is_note else ""


def _list_named_images(header: FilmHeader) -> Iterator[tuple[str, bool]]:
    """Yield the images that a note names, and whether both of its lists name it. A list may be missing."""
    evidence = {uid for _, uid in header.key_references.evidence}
    content = set(header.key_references.content)
    both = evidence & content if evidence and content else evidence | content
    for uid in sorted(evidence | content):
        yield uid, uid in both


def _find_studies(header: FilmHeader, uid: str) -> set[str]:
    """Return the Study Instance UIDs of an image that a note names. Without a list of them, it is that of the note."""
    studies = {study for study, image in header.key_references.evidence if image == uid}
    return (studies or {header.study_uid}) - {""}


def _read_note(
    marks: Marks,
    note: Path,
    title: str,
    headers: Mapping[Path, FilmHeader],
    places: Mapping[Path, FilmPlace],
    films: Mapping[Path, FilmHeader],
    by_uid: Mapping[str, list[Path]],
    *,
    is_revoked: bool,
) -> None:
    """Add the statements of one key object note."""
    header, found = headers[note], set()
    for uid, is_certain in _list_named_images(header):
        fitting = []
        for path in by_uid.get(uid, ()):
            is_same = films[path].study_uid in _find_studies(header, uid) and _is_of_one_person(
                note, path, headers, places
            )
            if is_same:
                fitting.append(path)
            elif title in _TITLES:
                marks.notes.setdefault(path, _OTHER_OBJECT)
        is_unique = len({films[path].content or str(path) for path in fitting}) < 2
        for path in fitting:
            found.add(path)
            _apply(marks, path, title, is_certain=is_certain and is_unique and not is_revoked)
    if not header.key_references.is_complete and title != _QUALITY_ISSUE:
        for path in films:
            if path not in found and _is_of_one_person(note, path, headers, places):
                _apply(marks, path, title, is_certain=False)
    marks.documents[note] = (
        f"it is a key object note that {_describe(title).replace(' it ', ' images ')}: {len(found)} of these files"
    )


def _describe(title: str) -> str:
    if title in _TITLES:
        return _TITLES[title][1]
    return "says that it is past its retention period" if title == _EXPIRED else "says that it has a quality issue"


def _apply(marks: Marks, path: Path, title: str, *, is_certain: bool) -> None:
    if title in _TITLES and is_certain:
        _add_mark(marks, path, Mark(_TITLES[title][0], f"a key object note {_describe(title)}"))
    elif title in _TITLES:
        _add_mark(marks, path, Mark(MarkKind.UNCLEAR, "a key object note may reject it"))
    elif title == _EXPIRED:
        marks.doubts[path] = f"a key object note {_describe(title)}"
    else:
        marks.notes[path] = f"a key object note {_describe(title)}"


def _add_mark(marks: Marks, path: Path, mark: Mark) -> None:
    known = marks.films.get(path)
    if known is None or (mark.kind, mark.reason) < (known.kind, known.reason):
        marks.films[path] = mark


def _is_of_one_person(
    note: Path, film: Path, headers: Mapping[Path, FilmHeader], places: Mapping[Path, FilmPlace]
) -> bool:
    """Return whether a note and a film are of one person: the same found person, or no contrary patient ID or issuer."""
    one, other = make_patient_record(headers[note]), make_patient_record(headers[film])
    is_found = bool(places[note].person) and places[note].person == places[film].person
    pairs = ((one.id, other.id), (one.issuer, other.issuer), (one.universal, other.universal))
    return is_found or not any(left and right and left != right for left, right in pairs)


def _spread_marks(marks: Marks, films: Mapping[Path, FilmHeader], places: Mapping[Path, FilmPlace]) -> None:
    """Mark the films of the same person, part and side that were made from the exposure of a marked film."""
    exposures = {path: list_exposure_marks(header) for path, header in films.items()}
    by_exposure: dict[tuple[str, str], list[Path]] = defaultdict(list)
    by_own: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path, header in films.items():
        for each in exposures[path]:
            by_exposure[places[path].person, each].append(path)
        if header.instance_uid:
            by_own[places[path].person, f"source {header.instance_uid}"].append(path)
    waiting = sorted(path for path, mark in marks.films.items() if mark.kind in (MarkKind.EXPOSURE, MarkKind.ENTRY))
    for path in waiting:
        mark, place = marks.films[path], places[path]
        uid = films[path].instance_uid if path in films else ""
        linked = {other for each in exposures.get(path, ()) for other in by_exposure[place.person, each]}
        made = {*by_exposure[place.person, f"source {uid}"]} if uid else set()
        made |= {other for each in exposures.get(path, ()) for other in by_own[place.person, each]}
        linked |= {other for other in made if films[other].instance_uid != uid}
        for other in sorted(linked):
            is_same = mark.kind is MarkKind.EXPOSURE or films[other].study_uid == films[path].study_uid
            known = marks.films.get(other)
            if is_same and _overlap(place, places[other]) and (known is None or known.kind > mark.kind):
                reason = mark.reason.removeprefix(_SAME_EXPOSURE)
                marks.films[other] = Mark(mark.kind, _SAME_EXPOSURE + reason)
                waiting.append(other)


def _overlap(one: FilmPlace, other: FilmPlace) -> bool:
    """Return whether two films may show the same: an empty part or side is unknown."""
    is_same_part = not one.part or not other.part or one.part == other.part
    sides: Iterable[str] = (one.side, other.side)
    return is_same_part and (one.side == other.side or "B" in sides or "" in sides)


def list_exposure_marks(header: FilmHeader) -> frozenset[str]:
    """Return texts that two processings of one exposure have in common.

    They are the UIDs of the images that it was made from, and the UID of the irradiation event, or without one the time of
    the exposure to the second. A full minute is no such time: programs and persons enter it for several exposures.
    """
    sources = {f"source {uid}" for uid in header.source_uids}
    events = {f"event {uid}" for uid in header.elements.get("IrradiationEventUID", "").split("\\") if uid}
    moment = _find_moment(header)
    is_exact = bool(re.match(r"[0-9]{12}(0[1-9]|[1-9][0-9]|00\.[0-9]*[1-9])", moment))
    return frozenset(sources | (events or ({f"moment {moment}"} if is_exact else set())))


def list_copy_marks(header: FilmHeader) -> frozenset[str]:
    """Return texts that files with one picture have in common, even if it is compressed in another way.

    They are the SOP Instance UID, and the size with the time of the exposure to the second. Other films may have them, too.
    """
    moment = _find_moment(header)
    times = {f"moment {moment} {header.rows} {header.columns}"} if moment else set()
    return frozenset(times | ({f"uid {header.instance_uid}"} if header.instance_uid else set()))


def _find_moment(header: FilmHeader) -> str:
    dates = header.dates
    moment = dates.get("AcquisitionDateTime", "") or dates.get("AcquisitionDate", "") + dates.get("AcquisitionTime", "")
    return moment if re.match(r"[0-9]{14}", moment) and moment[8:14] != "000000" else ""
