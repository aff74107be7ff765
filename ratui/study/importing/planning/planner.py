"""Make the plan of an import from headers and a manifest. The rules are in ``docs/intake.md``.

No file is opened here. The plan does not depend on the order of the files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ratui.errors import FilmError, RatuiError
from ratui.scheme import Scheme
from ratui.study.importing.headers.dates import DatedFilm, date_film
from ratui.study.importing.headers.identification import identify
from ratui.study.importing.persons.assignment import PersonFound, group_persons
from ratui.study.importing.persons.linked_ids import join_ids
from ratui.study.importing.persons.patient_record import (
    PatientRecord,
    make_patient_record,
    merge_records,
    normalize_issuer,
)
from ratui.study.importing.planning.import_plan import Decision, ImportPlan, PlanRow, number_persons
from ratui.study.importing.planning.known_study import KnownStudy
from ratui.study.importing.planning.manifest import ManifestRow
from ratui.study.importing.planning.manifest_checks import ListedFilm, find_contradictions
from ratui.study.importing.planning.rejections import (
    FilmPlace,
    Mark,
    MarkKind,
    Marks,
    find_marks,
    list_copy_marks,
    list_exposure_marks,
)
from ratui.study.importing.planning.selection import Candidate, choose_films, find_contested, rank_intent
from ratui.study.importing.planning.visits import TimePoint, assign_time_points
from ratui.study.importing.reader.film_header import FilmHeader

__all__ = ["FilmSource", "plan_films"]

_NOBODY = PersonFound("", "it names no patient")
_CORRECT = "Correct its row, or write yes in its column override"


@dataclass(frozen=True)
class FilmSource:
    """A file to import.

    Attributes
    ----------
    path
        The file.
    header
        Its header, or None if it has none (a picture) or can't be read.
    row
        Its row in a manifest, or None.
    problem
        Reason why it can't be read, or empty.
    content
        Digest of samples of the stored picture, or empty.
    """

    path: Path
    header: FilmHeader | None = None
    row: ManifestRow | None = None
    problem: str = ""
    content: str = ""


@dataclass(frozen=True)
class _Facts:
    """The statements of a header about the film. Empty values are not stated, or not certain."""

    side: str = ""
    view: str = ""
    projection: str = ""
    refusal: str = ""
    doubt: str = ""
    note: str = ""
    words: tuple[Mark, ...] = ()


def plan_films(
    files: Sequence[FilmSource],
    scheme: Scheme,
    known: KnownStudy,
    *,
    today: date,
    verify: Callable[[Path, str], str],
) -> ImportPlan:
    """Return the plan for `files`.

    Parameters
    ----------
    files
        The files, with their headers.
    scheme
        Scheme of the study.
    known
        Persons and dates of earlier imports.
    today
        The present day: dates after it are implausible.
    verify
        Function of a file and its side that returns the digest of the decoded picture, or raises RatuiError if the picture
        can't be read. It is called for films that compete with another one.
    """
    return _Planner(files, scheme, known, today).plan(verify)


class _Planner:
    def __init__(self, files: Sequence[FilmSource], scheme: Scheme, known: KnownStudy, today: date) -> None:
        self._scheme, self._known = scheme, known
        self._files = {file.path: file for file in files}
        self._reasons: dict[Path, tuple[Decision, str]] = {}
        self._facts: dict[Path, _Facts] = {}
        self._dated: dict[Path, DatedFilm] = {}
        for path, file in self._files.items():
            if file.problem:
                self._reasons[path] = Decision.LEAVE_OUT, file.problem
            self._facts[path], self._dated[path] = _Facts(), DatedFilm()
            if file.header:
                self._interpret(path, file.header, today)
        listed = {path for path, file in self._files.items() if file.row is not None}
        records = self._collect_records()
        persons = group_persons(records, known.persons, known.digest, listed=listed)
        self._persons = join_ids(persons, records, known.persons, known.digest, listed=listed)
        self._marks = self._find_marks()

    def _interpret(self, path: Path, header: FilmHeader, today: date) -> None:
        """Read what a header states about its film. A header that causes an unforeseen error is left out, not all files."""
        try:
            facts, dated = _read_facts(header, self._scheme), date_film(header, today)
            make_patient_record(header)
        except Exception as error:  # the texts of foreign files have no form that can be relied on
            problem = f"its header can't be interpreted ({type(error).__name__})"
            self._files[path] = replace(self._files[path], header=None, problem=problem)
            self._reasons[path] = Decision.LEAVE_OUT, problem
        else:
            self._facts[path], self._dated[path] = facts, dated

    def _find_marks(self) -> Marks:
        """Return the marks of rejected films, and add what key object notes say to the facts of their films."""
        headers = {path: file.header for path, file in self._files.items() if file.header}
        places = {
            path: FilmPlace(
                self._persons.get(path, _NOBODY).key,
                self._scheme.views[facts.view].part if (facts := self._facts[path]).view else "",
                facts.side,
                facts.words,
            )
            for path in headers
        }
        marks = find_marks(headers, places)
        for path, facts in self._facts.items():
            note = "; ".join(filter(None, (facts.note, marks.notes.get(path, ""))))
            doubt = "; ".join(filter(None, (marks.doubts.get(path, ""), facts.doubt)))
            refusal = marks.documents.get(path, facts.refusal)
            self._facts[path] = replace(facts, note=note, doubt=doubt, refusal=refusal)
        return marks

    def plan(self, verify: Callable[[Path, str], str]) -> ImportPlan:
        self._check_rows()
        self._check_films()
        times, dates = self._assign_time_points()
        candidates = self._find_candidates(times)
        for path in sorted(find_contested(candidates)):
            try:
                content = verify(path, candidates[path].side)
                row = self._files[path].row
                if row is None or not row.is_override:  # a person stated that an equal picture is right
                    if content in self._known.withdrawn.get(self._persons.get(path, _NOBODY).key, ()):
                        raise FilmError("it was withdrawn from the study", path)
                    candidates[path] = replace(candidates[path], content=content)
            except RatuiError as error:
                self._reasons[path] = Decision.LEAVE_OUT, error.problem
                del candidates[path]
        for path, choice in choose_films(candidates).items():
            if choice.decision is not Decision.TAKE:
                self._reasons[path] = choice.decision, choice.reason
        numbers = number_persons(person.key for person in self._persons.values())
        rows = tuple(self._make_row(path, times.get(path, TimePoint()), numbers) for path in self._files)
        return ImportPlan(self._scheme, rows, dates, self._merge_records(rows))

    def _collect_records(self) -> dict[Path, PatientRecord]:
        """Return what each film states about its patient; a row of a manifest replaces the patient ID."""
        records: dict[Path, PatientRecord] = {}
        for path, file in self._files.items():
            row, stated = file.row, make_patient_record(file.header) if file.header else PatientRecord("")
            if row is None:
                if file.header:
                    records[path] = stated
                continue
            record = PatientRecord(row.patient) if row.is_override else replace(stated, id=row.patient)
            if row.issuer or stated.id != row.patient:
                record = replace(record, issuer=normalize_issuer(row.issuer), universal="")
            if row.patient:
                records[path] = record
        return records

    def _check_rows(self) -> None:
        """Decide on rows of the manifest that are not to be taken, or contradict something."""
        listed: dict[Path, ListedFilm] = {}
        for path, file in self._files.items():
            if file.row is None or path in self._reasons:
                continue
            if not file.row.is_taken:
                self._reasons[path] = Decision.LEAVE_OUT, "the manifest leaves it out"
                continue
            facts = self._facts[path]
            record = make_patient_record(file.header) if file.header else PatientRecord("")
            listed[path] = ListedFilm(file.row, facts.refusal, facts.side, facts.view, record, self._dated[path])
            if self._persons[path].doubt:
                self._reasons[path] = Decision.DOUBTFUL, f"{self._persons[path].doubt}. {_CORRECT}"
        for path, reason in find_contradictions(listed).items():
            self._reasons[path] = Decision.DOUBTFUL, f"{reason}. {_CORRECT}"

    def _check_films(self) -> None:
        """Decide on films without a row that are no films to read, or of which person, side or view is not certain."""
        for path, file in self._files.items():
            if file.row is not None or path in self._reasons:
                continue
            facts, person = self._facts[path], self._persons.get(path, _NOBODY)
            if facts.refusal:
                self._reasons[path] = Decision.LEAVE_OUT, facts.refusal
            elif person.doubt:
                self._reasons[path] = Decision.DOUBTFUL, f"{person.doubt}. Name its patient in a manifest"
            elif facts.doubt or facts.view not in self._scheme.views or not facts.side:
                mark = self._marks.films.get(path)
                doubt = facts.doubt or "its part or its side is unknown"
                doubt = f"{mark.reason}; {doubt}" if mark and mark.kind is not MarkKind.VIEW else doubt
                self._reasons[path] = Decision.DOUBTFUL, f"{doubt}. Name it in a manifest"

    def _assign_time_points(self) -> tuple[dict[Path, TimePoint], dict[str, tuple[date, ...]]]:
        """Return the time point of each film of a certain person, and the dates of the time points of each person."""
        groups: dict[str, list[Path]] = defaultdict(list)
        for path, file in self._files.items():
            is_left_out = path in self._reasons and self._reasons[path][0] is Decision.LEAVE_OUT
            person = self._persons.get(path, _NOBODY)
            has_time = file.row is not None and file.row.time is not None
            if not person.doubt and (has_time or (file.row is None and not is_left_out)):
                groups[person.key].append(path)
        times: dict[Path, TimePoint] = {}
        dates: dict[str, tuple[date, ...]] = {}
        for person_key, paths in groups.items():
            found = assign_time_points(
                {path: self._dated[path] for path in paths},
                {
                    path: row.time
                    for path in paths
                    if (row := self._files[path].row) is not None and row.time is not None
                },
                known=self._known.dates.get(person_key, ()),
                is_in_study=person_key in self._known.in_study,
                has_known_only=person_key in self._known.known_only,
                planned=self._known.visits,
            )
            times |= found.films
            dates[person_key] = found.dates
        for path, point in times.items():
            if point.doubt:
                self._reasons.setdefault(path, (Decision.DOUBTFUL, point.doubt))
        return times, dates

    def _find_candidates(self, times: Mapping[Path, TimePoint]) -> dict[Path, Candidate]:
        """Return the films that may be taken, and those that only wait for a choice of dates."""
        candidates = {}
        for path, file in self._files.items():
            point = times.get(path, TimePoint())
            if path in self._reasons and not self._awaits_dates(path, point):
                continue
            row, view = file.row, self._find_view(path)
            exam = (self._persons.get(path, _NOBODY).key, point.exam_date if point.awaits_dates else point.time)
            header = file.header or FilmHeader()
            rank = (
                1,
                list(self._scheme.views).index(view),
                rank_intent(header.elements.get("PresentationIntentType", "")),
                int(header.image_type.upper().startswith("DERIVED")),
            )
            candidates[path] = Candidate(
                exam,
                self._scheme.views[view].part,
                row.side if row else self._facts[path].side,
                view,
                rank if row is None else (0, 0, 0, 0),
                "" if row and row.is_override else file.content,
                list_exposure_marks(header),
                list_copy_marks(header) if row is None or not row.is_override else frozenset(),
                self._marks.films.get(path) if row is None else None,
                header.dates.get("ContentDate", "") + header.dates.get("ContentTime", ""),
                header.instance_uid,
            )
        return candidates

    def _has_other_id(self, path: Path, patient: str) -> bool:
        stated = self._files[path].header
        return bool(stated and patient and make_patient_record(stated).id != patient.partition("^^^")[0])

    def _awaits_dates(self, path: Path, point: TimePoint) -> bool:
        """Return whether only the choice of dates is missing: the film has no other doubt."""
        return point.awaits_dates and self._reasons.get(path) == (Decision.DOUBTFUL, point.doubt)

    def _find_view(self, path: Path) -> str:
        row = self._files[path].row
        if row is None:
            return self._facts[path].view
        return row.view or (self._facts[path].view if not row.is_override else "") or next(iter(self._scheme.views))

    def _make_row(self, path: Path, point: TimePoint, numbers: Mapping[str, int]) -> PlanRow:
        file, row = self._files[path], self._files[path].row
        decision, reason = self._reasons.get(path, (Decision.TAKE, ""))
        patient = self._persons.get(path, PersonFound("")).key
        dated = self._dated[path]
        return PlanRow(
            path=path,
            decision=decision,
            reason=reason,
            patient=patient,
            person=numbers.get(patient),
            time=row.time if row else point.time,
            side=row.side if row else self._facts[path].side,
            view=self._find_view(path) if row is None or row.is_taken else row.view,
            exam_date=point.exam_date or (None if dated.doubt else dated.day),
            day=row.day if row else None,
            spacing=row.spacing if row else None,
            is_override=bool(row and row.is_override),
            is_listed=row is not None,
            projection=self._facts[path].projection,
            has_other_id=row is None and self._has_other_id(path, patient),
            awaits_dates=self._awaits_dates(path, point),
            content=file.content,
            note=self._note(path),
        )

    def _note(self, path: Path) -> str:
        """Return the remark on a film. A person who names it in a manifest decides, but is told that it was rejected."""
        mark = self._marks.films.get(path)
        if self._files[path].row is None:
            return "; ".join(filter(None, (self._facts[path].note, self._persons.get(path, _NOBODY).note)))
        return f"{mark.reason}; the manifest takes it" if mark else ""

    def _merge_records(self, rows: Iterable[PlanRow]) -> dict[str, PatientRecord]:
        """Return the statements of the films of each person together."""
        groups: dict[str, list[PatientRecord]] = defaultdict(list)
        records = self._collect_records()
        for row in rows:
            if row.patient and not self._persons[row.path].doubt:
                groups[row.patient].append(records[row.path])
        return {patient: merge_records(patient, group) for patient, group in groups.items()}


def _read_facts(header: FilmHeader, scheme: Scheme) -> _Facts:
    identity = identify(header, scheme.views)
    words = []
    if identity.marks:
        words.append(Mark(MarkKind.EXPOSURE, f"{identity.marks[0]} says that the exposure was rejected"))
    elif identity.unclear_marks:
        reason = f"{identity.unclear_marks[0]} has words for rejected and for repeated exposures"
        words.append(Mark(MarkKind.UNCLEAR, reason))
    if identity.may_be_oblique:
        words.append(Mark(MarkKind.VIEW, f"{identity.may_be_oblique} says 3/4, which may name an oblique view"))
    return _Facts(
        identity.side,
        identity.view,
        identity.projection,
        identity.rejection,
        "; ".join(identity.doubts),
        "; ".join(identity.contradictions),
        tuple(words),
    )
