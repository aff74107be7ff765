"""Measured changes of the joint space between two films of a joint, stored and read.

`joint_space_access` decides who may see the measurements of a case when. A measurement is never a grade, and no total of a
rater includes it.

Measurements are in a sealed table file per case. Table ``meta`` has one record: ``format`` (1) and ``scheme`` (digest of
the study's scheme). Table ``changes`` has one record for each joint and pair of its films. Its ``films`` are the IDs of the
two films, sorted, and a positive change means that the space is wider on the second of these. ``inputs`` is a digest of the
films and boxes that were measured: a measurement whose films or boxes have changed since does not count.

A joint space narrows with time, so the sign shows which film is probably the later one, and with more than three visits
the measured pairs show it, too. Equal measurements of two cases show that one of them is a hidden repeat of the other. So in
a study that is blinded to the order or hides repeats, the file of a case is in ``private``, which raters cannot open.
`joint_space_release` writes a copy where raters can read it, when all have signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ratui.errors import SchemeError, StoreError, clean_text
from ratui.files import check_name
from ratui.imaging import Box
from ratui.stored_values import ODD_VALUE_ERRORS, as_flag, as_list, as_number, as_text
from ratui.study.case import Case, FilmRecord, Region
from ratui.study.intact import read_or_note
from ratui.study.store import StudyFile, StudyLock, read_intact, write_tables
from ratui.study.store.tables import Tables
from ratui.study.study import Study

__all__ = [
    "JOINT_SPACE",
    "OUTDATED",
    "PRIVATE_JOINT_SPACE",
    "REASONS",
    "ImpossibleMeasurementsError",
    "MeasuredChange",
    "check_joint_space",
    "digest_inputs",
    "hides_joint_space",
    "intact_joint_space",
    "is_joint_space_published",
    "load_joint_space",
    "load_published_joint_space",
    "publish_joint_space",
    "read_joint_space",
    "save_joint_space",
    "shown_boxes",
    "withdraw_joint_space",
]

JOINT_SPACE = "models/joint-space/measurements"
"""Folder of the measurements that raters may read."""
PRIVATE_JOINT_SPACE = "private/joint_space"
"""Folder of the measurements in a study that hides them from raters, see `hides_joint_space`."""
OUTDATED = "outdated"
"""Reason why an older measurement does not count."""
REASONS: Mapping[str, str] = {
    "unsupported": "no joint of this name can be measured",
    "small": "the box has too few pixels",
    "bones": "two bones were not found",
    "unlike": "a bone does not look the same on both films",
    "scale": "the bones have other sizes",
    "turned": "the bones turned too much against each other",
    "displaced": "the bones moved sideways",
    "overlap": "one bone hides the other",
    "uncertain": "parts of the bones moved differently",
    OUTDATED: "the film or its box has changed since it was measured",
}
"""The reasons of `ratui.imaging.JointSpaceChange`, and `OUTDATED`, in words."""
_FORMAT = 1
_METHOD = 2  # to be raised when `ratui.imaging.joint_space_change` gives other values for the same films and boxes
_MOST = 1e6
_LONGEST_REASON = 40
_REMEDY = "Run ratui measure again"


class ImpossibleMeasurementsError(StoreError):
    """Stored measurements are intact but not those of this study; ``ratui measure`` replaces them."""


@dataclass(frozen=True)
class MeasuredChange:
    """The measured change of one joint space between two films.

    Attributes
    ----------
    site
        Key of the site, such as ``L.MCP2``.
    films
        IDs of the two films, in the order of `times`.
    pixels
        Change of the joint space in pixels (if the films differ in spacing, in the geometric mean of both), positive if it
        is wider on the second film; None if it could not be measured.
    mm
        The same in millimetres; None if the size of a pixel is unknown.
    sd
        Standard error of `mm`, or of `pixels` if the size of a pixel is unknown; None if it could not be measured.
    confidence
        Smaller correlation of the two bones after their registration, from 0 to 1.
    is_reliable
        True if the measurement is reliable.
    reason
        Why it is not reliable, one of `REASONS`; empty if it is.
    inputs
        Digest of the films and boxes that were measured, see `digest_inputs`.
    times
        The two time points, the earlier first; in a rater's view of a blinded study the two positions.
    """

    site: str
    films: tuple[str, str]
    pixels: float | None
    mm: float | None
    sd: float | None
    confidence: float
    is_reliable: bool
    reason: str
    inputs: str
    times: tuple[int, int] = (0, 1)

    def exchanged(self) -> MeasuredChange:
        """Return the measurement of the films in the other order."""
        return replace(
            self,
            films=self.films[::-1],
            times=self.times[::-1],
            pixels=None if self.pixels is None else -self.pixels,
            mm=None if self.mm is None else -self.mm,
        )

    def to_record(self) -> dict[str, Any]:
        """Return the measurement as it is stored, with its films sorted by ID."""
        found = self if self.films == tuple(sorted(self.films)) else self.exchanged()
        return {
            "site": found.site,
            "films": found.films,
            "pixels": found.pixels,
            "mm": found.mm,
            "sd": found.sd,
            "confidence": found.confidence,
            "ok": found.is_reliable,
            "reason": found.reason,
            "inputs": found.inputs,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> MeasuredChange:
        """Return the measurement in a stored record. Raises StoreError, naming the file `where`."""
        try:
            first, second = (as_text(film, 40) for film in as_list(record["films"]))
            found = cls(
                as_text(record["site"], 40),
                (first, second),
                _as_optional(record["pixels"]),
                _as_optional(record["mm"]),
                _as_optional(record["sd"], 0.0),
                as_number(record["confidence"], 0.0, 1.0),
                as_flag(record["ok"]),
                as_text(record["reason"], _LONGEST_REASON),
                as_text(record["inputs"], 64),
            )
            if first >= second:
                raise ValueError("films that are not sorted")
            if found.is_reliable and (found.pixels is None or found.sd is None):
                raise ValueError("a reliable measurement without a value")
            if found.reason not in ({""} if found.is_reliable else REASONS):
                raise ValueError(f"the reason {clean_text(found.reason)}")
        except ODD_VALUE_ERRORS as error:
            raise ImpossibleMeasurementsError(f"not a measurement: {clean_text(error)}", where, _REMEDY) from error
        return found


def _as_optional(value: object, least: float = -_MOST) -> float | None:
    return None if value is None else as_number(value, least, _MOST)


def digest_inputs(films: Sequence[FilmRecord], boxes: Sequence[Box]) -> str:
    """Return a digest of what a measurement depends on: both films as they are displayed, the boxes, and the method.

    The order of the films does not matter. `boxes` are those of the joint on each film, in pixels of the displayed film.
    """
    parts = sorted(
        [film.id, film.file, film.orientation.value, list(film.spacing or ()), list(box)]
        for film, box in zip(films, boxes, strict=True)
    )
    return hashlib.sha256(json.dumps([_METHOD, parts]).encode()).hexdigest()


def shown_boxes(regions: Iterable[Region], proposals: Iterable[Region]) -> dict[tuple[str, str], Box]:
    """Return the boxes of joints by (site, film): those that raters have set, and the proposed ones of other joints.

    A joint that a rater has stated to be absent has no box.
    """
    found: dict[tuple[str, str], Box | None] = {}
    for region in (*proposals, *regions):
        found[region.site, region.film] = region.box
    return {key: box for key, box in found.items() if box is not None}


def hides_joint_space(study: Study) -> bool:
    """Return whether measurements would tell raters the order of films, or which cases are hidden repeats.

    A rater's view does not know the repeats, only that the charter of the study plans some. Raises StoreError if the list
    of repeats is damaged.
    """
    if study.config.blinded or study.config.charter.repeats_share:
        return True
    if not study.is_manager:
        return False
    from ratui.study.campaign.repeats import load_repeats  # it loads the import, which the app of a rater does not need

    return bool(load_repeats(study))


def save_joint_space(study: Study, case: str, found: Iterable[MeasuredChange]) -> bool:
    """Replace the measurements of `case`, and return whether its file has changed.

    Raises StudyError for an account that may not know the time points, StoreError if the file can't be written.
    """
    study.case(case)  # raises an error for such an account, and for an unknown case
    return _replace(study, _file(study, case), found)


def publish_joint_space(study: Study, case: str, found: Iterable[MeasuredChange]) -> bool:
    """Write the measurements of `case` where raters can read them, and return whether the file has changed.

    For a case that all its raters have signed, in a study that hides measurements until then. Raises StudyError, StoreError
    as `save_joint_space` does.
    """
    study.case(case)
    return _replace(study, _public_file(study, case), found)


def _replace(study: Study, file: StudyFile, found: Iterable[MeasuredChange]) -> bool:
    """Write the measurements unless the file has this content already; return whether it was written."""
    records = sorted((each.to_record() for each in found), key=lambda record: (record["site"], record["films"]))
    tables: Tables = {"meta": [{"format": _FORMAT, "scheme": study.config.scheme}], "changes": records}
    stored = read_intact(file)  # raises an error for a file of a newer format, which must not be replaced
    if stored is not None and not stored.notice and json.dumps(stored.tables) == json.dumps(tables):
        return False
    with StudyLock(study.folder).shared():
        write_tables(file, tables)
    return True


def read_joint_space(study: Study, case: str) -> tuple[MeasuredChange, ...]:
    """Return the stored measurements of `case`, also outdated ones; empty without any.

    Those of films that were withdrawn from the case are left out. Raises StoreError for a damaged file, and for one that
    is not of this case.
    """
    return _read(study, case, _stored_file(study, case))


def load_joint_space(study: Study, case: str) -> tuple[MeasuredChange, ...]:
    """Return the measurements of `case`, ordered by site and time points; empty if it was not measured.

    For managers, and for results of a study that hides nothing; screens call
    `ratui.study.joint_spaces.joint_space_access.load_unblinded_joint_space`. A measurement
    whose film or box has changed since is not reliable, with the reason `OUTDATED`. Raises StoreError for a damaged file.
    """
    return _mark_outdated(study, case, _read(study, case, _stored_file(study, case)))


def load_published_joint_space(study: Study, case: str) -> tuple[MeasuredChange, ...]:
    """Return the measurements of `case` that raters can read, as `load_joint_space` does; empty if there are none.

    Screens call `load_unblinded_joint_space` of `joint_space_access`, which decides who may see them when.
    """
    return _mark_outdated(study, case, _read(study, case, _public_file(study, case)))


def is_joint_space_published(study: Study, case: str) -> bool:
    """Return whether raters can read measurements of `case`."""
    return study.folder.exists(_public_file(study, case).inside)


def withdraw_joint_space(study: Study, case: str) -> None:
    """Remove the measurements of `case` that raters can read; nothing happens without any. Raises StoreError."""
    with StudyLock(study.folder).shared():
        for copy in ("", ".bak"):
            study.folder.remove(f"{_public_file(study, case).inside}{copy}")


def check_joint_space(study: Study, file: StudyFile) -> None:
    """Raise StoreError unless the measurements in `file` are possible, StudyError if its case is not in the study."""
    _read(study, file.stem, file, study.unordered_case(file.stem))


def _file(study: Study, case: str) -> StudyFile:
    """Return the file with all measurements of a case, as far as this view of the study may open it."""
    if not study.view and hides_joint_space(study):
        return study.folder.file(f"{PRIVATE_JOINT_SPACE}/{check_name(case, 'case')}.json")
    return _public_file(study, case)


def _stored_file(study: Study, case: str) -> StudyFile:
    """Return the file to read: `_file`, or the public one of a case that was measured before the study hid anything."""
    file = _file(study, case)
    return file if not study.is_manager or study.folder.exists(file.inside) else _public_file(study, case)


def _public_file(study: Study, case: str) -> StudyFile:
    return study.folder.file(f"{JOINT_SPACE}/{check_name(case, 'case')}.json")


def _read(study: Study, case: str, file: StudyFile, films: Case | None = None) -> tuple[MeasuredChange, ...]:
    """Return the measurements in `file`, in the order of the time points of `films`, by default those of `case`."""
    films = films or study.case(case)  # raises an error for an account that may not know the time points
    stored = read_intact(file)
    if stored is None:
        return ()
    meta = stored.tables.get("meta", [])
    about = meta[0] if len(meta) == 1 else {}
    if about.get("format") != _FORMAT:
        raise StoreError(f"the measurements have format {clean_text(about.get('format'))}", file.path, "Update ratui")
    if about.get("scheme") != study.config.scheme:
        raise ImpossibleMeasurementsError("they are of another scheme", file.path, _REMEDY)
    found = [
        placed
        for record in stored.tables.get("changes", [])
        if (placed := _place(MeasuredChange.from_record(record, file.path), films, study, file.path)) is not None
    ]
    if len({(each.site, each.times) for each in found}) < len(found):
        raise ImpossibleMeasurementsError("it has two measurements of one joint and pair of visits", file.path, _REMEDY)
    order = {site.key: place for place, site in enumerate(study.scheme.sites)}
    return tuple(sorted(found, key=lambda each: (order[each.site], each.times)))


def _place(found: MeasuredChange, case: Case, study: Study, file: object) -> MeasuredChange | None:
    """Return a stored measurement in the order of the time points of `case`; None if one of its films was withdrawn."""
    times = {film.id: film.time for film in case.films}
    if {*found.films} & dict(case.withdrawn).keys():
        return None
    first, second = (times.get(film, -1) for film in found.films)
    if -1 in (first, second) or first == second:
        raise ImpossibleMeasurementsError("the films of a measurement are not those of the case", file, _REMEDY)
    try:
        study.scheme.site(found.site)
    except SchemeError as error:
        raise ImpossibleMeasurementsError(f"no site {clean_text(found.site)}", file, _REMEDY) from error
    placed = replace(found, times=(first, second))
    return placed if first < second else placed.exchanged()


def _mark_outdated(study: Study, case: str, found: Sequence[MeasuredChange]) -> tuple[MeasuredChange, ...]:
    if not found:
        return ()
    films = study.case(case)
    boxes = shown_boxes(study.regions(films), study.proposals(films))
    records = {film.id: film for film in films.films}

    def is_current(each: MeasuredChange) -> bool:
        pair = [boxes.get((each.site, film)) for film in each.films]
        known = [box for box in pair if box is not None]
        return len(known) == 2 and digest_inputs([records[film] for film in each.films], known) == each.inputs

    return tuple(each if is_current(each) else replace(each, is_reliable=False, reason=OUTDATED) for each in found)


def intact_joint_space(study: Study, case: str) -> tuple[MeasuredChange, ...]:
    """Return `load_joint_space`; without any, and with a notice of the study, if the file can't be read."""
    file = _stored_file(study, case)
    return read_or_note(study, file.path, lambda: load_joint_space(study, case), ())
