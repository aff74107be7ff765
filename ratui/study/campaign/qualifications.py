"""The results of raters in examinations, and the rule of the charter that only qualified raters may read.

They are in the table file ``qualifications/results.json``, which the study's owner writes and every rater can
read. It contains figures, never the truth of an examination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ratui.errors import StoreError, StudyError, clean_text
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_number, as_text, as_time
from ratui.study.campaign.charter import Qualification
from ratui.study.store import StudyFolder, StudyLock, read_intact, write_tables
from ratui.study.store.locking import FileLock

if TYPE_CHECKING:
    from ratui.study.config_files import StudyConfig

__all__ = [
    "RESULTS",
    "Figures",
    "QualificationRecord",
    "check_qualified",
    "find_shortfalls",
    "load_records",
    "save_records",
]

_FOLDER = "qualifications"
RESULTS = f"{_FOLDER}/results.json"
"""Path in the study of the file with the results."""


@dataclass(frozen=True)
class Figures:
    """The agreement of a rater with the truth; None for a figure that is not defined.

    Attributes
    ----------
    cases
        Number of cases.
    fields, scored
        Number of fields with a true score, and of those among them that have a score of the rater.
    icc_status, icc_change
        ICC(2,1) of the total at the last time point, and of its change.
    kappa
        Quadratic-weighted kappa of the grades, the mean over the scales.
    sdc
        Smallest detectable change of one rater against the truth, in points.
    difference
        Mean of the rater's minus the true score, in grades.
    """

    cases: int
    fields: int
    scored: int
    icc_status: float | None
    icc_change: float | None
    kappa: float | None
    sdc: float | None
    difference: float | None


@dataclass(frozen=True)
class QualificationRecord:
    """The verified result of one rater in one examination.

    Attributes
    ----------
    rater
        ID of the rater.
    examination
        Random ID of the examination's study.
    figures
        Agreement with the truth.
    has_enough_scores
        True if enough fields have a score.
    digest
        SHA-256 of the record that the marking has written, with the digests of the readings and of the truth.
    at, account
        Time in UTC, ISO 8601, and the account that marked it.
    """

    rater: str
    examination: str
    figures: Figures
    has_enough_scores: bool
    digest: str
    at: str
    account: str

    def to_record(self) -> dict[str, Any]:
        """Return the values as they are stored."""
        record = asdict(self)
        return {"scored_enough" if name == "has_enough_scores" else name: value for name, value in record.items()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> QualificationRecord:
        """Return the values in a stored record. Raises an error of `ODD_VALUE_ERRORS` for anything else."""
        raw = record["figures"]
        counts = {name: as_integer(raw[name], 0, 100_000_000) for name in ("cases", "fields", "scored")}
        others = [each.name for each in fields(Figures) if each.name not in counts]
        values = {name: None if raw[name] is None else as_number(raw[name], -1e6, 1e6) for name in others}
        as_time(record["at"])
        return cls(
            as_text(record["rater"]),
            as_text(record["examination"]),
            Figures(counts["cases"], counts["fields"], counts["scored"], **values),
            record["scored_enough"] is True,
            as_text(record["digest"]),
            record["at"],
            as_text(record["account"]),
        )


def find_shortfalls(figures: Figures, marks: Qualification) -> tuple[str, ...]:
    """Return a text for each mark that `figures` do not reach, such as ``kappa 0.52, 0.60 is needed``."""
    found = []
    for name, value, mark in (
        ("ICC of status", figures.icc_status, marks.icc_status),
        ("ICC of change", figures.icc_change, marks.icc_change),
        ("kappa", figures.kappa, marks.kappa),
        ("SDC", figures.sdc, marks.sdc),
    ):
        if mark is None:
            continue
        if value is None:
            found.append(f"{name} is not defined, {mark:.2f} is needed")
        elif name == "SDC" and value > mark:
            found.append("{} {} points, at most {} is needed".format(name, *_format_apart(value, mark)))
        elif name != "SDC" and value < mark:
            found.append("{} {}, {} is needed".format(name, *_format_apart(value, mark)))
    return tuple(found)


def _format_apart(value: float, mark: float) -> tuple[str, str]:
    """Return two different numbers with two decimals, or with as many more as show the difference, at most six."""
    for digits in range(2, 7):
        shown = f"{value:z.{digits}f}", f"{mark:.{digits}f}"
        if shown[0] != shown[1]:
            break
    return shown


def load_records(folder: StudyFolder) -> tuple[QualificationRecord, ...]:
    """Return the recorded results, the oldest first; empty if there are none. Raises StoreError for a damaged file."""
    file = folder.file(RESULTS)
    stored = read_intact(file)
    try:
        return tuple(map(QualificationRecord.from_record, stored.tables.get("records", ()))) if stored else ()
    except ODD_VALUE_ERRORS as error:
        raise StoreError(f"not a list of results: {clean_text(error)}", file.path, "See: ratui check STUDY") from error


def save_records(folder: StudyFolder, new: Sequence[QualificationRecord]) -> None:
    """Add results to those recorded. Raises StoreError if this account may not change the study's files, or it is locked."""
    StudyLock(folder).check_unlocked()
    folder.make_folder(_FOLDER, group=0o050)
    with FileLock(folder.file("qualifications/results.lock")):
        records = [each.to_record() for each in (*load_records(folder), *new)]
        write_tables(folder.file(RESULTS), {"records": records})


def check_qualified(folder: StudyFolder, config: StudyConfig, rater: str) -> None:
    """Raise StudyError if the charter requires a passed examination and the last result of `rater` is below a mark."""
    marks = config.charter.qualification
    if not marks.required:
        return
    own = [each for each in load_records(folder) if each.rater == rater]
    if not own:
        raise StudyError(
            f"{clean_text(rater)} has no result of an examination, which the charter of this study requires",
            folder.path,
            "Read the examination that a manager gives you, and ask the manager to mark it for this study",
        )
    last = own[-1]
    shortfalls = [
        *find_shortfalls(last.figures, marks),
        *([] if last.has_enough_scores else ["too few fields have a score"]),
    ]
    if shortfalls:
        raise StudyError(
            f"{clean_text(rater)} has not passed the examination of this study: {shortfalls[0]}",
            folder.path,
            "Practise with: ratui practise, and ask a manager for another examination",
        )
