"""The audit trail of a study: who did what, when and why, from the journals, the settings and the logs of the readings.

Every source is a chain of checksums, or is sealed, so that later changes are noticed: ``ratui check`` verifies that. Times
are those of the machine on which something was done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ratui.errors import RatuiError, StoreError, clean_text
from ratui.reading import Entry, FieldChange, FindingEntry, GradeEntry, LogEntry
from ratui.stored_values import ODD_VALUE_ERRORS
from ratui.study.campaign.charter import Charter
from ratui.study.campaign.qualifications import RESULTS, load_records
from ratui.study.config_files import CONSENSUS, SPLIT_FORMAT
from ratui.study.evidence import read_root, root_numbers
from ratui.study.readings.late_changes import list_releases
from ratui.study.readings.restored import find_reading
from ratui.study.store import StoredTables, read_intact
from ratui.study.store.journal import JournalFile, JournalRecord
from ratui.study.store.journaling import JOURNAL, PRIVATE_JOURNAL, load_journals
from ratui.study.study import Study
from ratui.study.withdrawal import list_withdrawals

__all__ = ["AuditEntry", "list_audit_entries"]

_ENTRIES = ("enter", "normal", "same", "clear", "undo", "flag", "note", "regions")
"""Kinds of log entries that are listed one by one only on request."""
_MEASUREMENTS = "measured joint spaces"
_RUN_GAP = 600.0
"""Seconds between two writes of measurements from which they count as two runs of ``ratui measure``."""
_FILES = (
    (re.compile(r"study\.toml()()"), "settings"),
    (re.compile(r"scheme\.toml()()"), "scheme"),
    (re.compile(r"qualifications/results\.json()()"), "results of examinations"),
    (re.compile(r"films/([^/]+)/films\.json()"), "list of films"),
    (re.compile(r"private/visits/([^/]+)\.json()"), "visits of films"),
    (re.compile(r"regions/([^/]+)\.json()"), "regions"),
    (re.compile(r"proposals/([^/]+)/([^/]+)\.json"), "proposed regions"),
    (re.compile(r"models/order\.json()()"), "reading order"),
    (re.compile(r"models/([^/]+)/answers/([^/]+)\.json"), "predictions"),
    (re.compile(r"models/[^/]+/measurements/([^/]+)\.json()"), _MEASUREMENTS),
    (re.compile(r"private/joint_space/([^/]+)\.json()"), _MEASUREMENTS),
    (re.compile(r"models/([^/]+)/evaluation\.json()"), "evaluation of a model"),
    (re.compile(r"private/([^/]+)\.(?:json|toml)()"), "private table"),
)
"""Recorded files: one or two names in the path, and what they are."""


@dataclass(frozen=True)
class AuditEntry:
    """One act.

    Attributes
    ----------
    at
        Time, ISO 8601 in UTC; empty if it is unknown.
    who
        The account, or the rater for acts in a reading. Empty for what follows from the acts of several.
    action
        Act, such as ``signed``.
    subject
        Case, file or rater that the act concerns.
    detail
        Description, such as the values before and after.
    reason
        Reason that was given; may be empty.
    source
        Where it is recorded, a path inside the study.
    """

    at: str
    who: str
    action: str
    subject: str = ""
    detail: str = ""
    reason: str = ""
    source: str = ""

    def to_record(self) -> dict[str, str]:
        """Return the values by name, ready for JSON and CSV."""
        return asdict(self)


def list_audit_entries(study: Study, *, with_entries: bool = False) -> list[AuditEntry]:
    """Return all recorded acts in a study, the oldest first.

    Parameters
    ----------
    study
        The study. It contains unreleased readings and, in a blinded study, time points: only managers may see it.
    with_entries
        Include each entry of each reading, with the values before and after, and each write of a measurement.

    Raises
    ------
    StudyError
        If this account does not manage the study.
    StoreError
        If the study can't be listed.
    """
    study.check_manager("see its audit trail")
    found = [
        *_list_journals(study, with_entries),
        *_list_settings(study),
        *_list_withdrawals(study),
        *_list_examinations(study),
        *_list_roots(study),
        *_list_readings(study, with_entries),
        *(
            AuditEntry(_format_time(at), "", "released", case, "all raters of the case had signed")
            for case, at in list_releases(study).items()
        ),
    ]
    return sorted(found, key=lambda entry: (entry.at, entry.source))  # entries of one source stay in their order


# Journals and settings.


def _list_journals(study: Study, with_entries: bool) -> Iterator[AuditEntry]:
    for above in (JOURNAL, PRIVATE_JOURNAL):
        for journal in load_journals(study.folder, above) or ():
            source = f"{above}/{journal.name}.jsonl"
            if journal.problem:
                yield AuditEntry("", journal.name, "journal damaged", source, clean_text(journal.problem, 200))
            outcomes = journal.outcomes()
            merged = _merge_measurements(journal.records, outcomes)
            for record, count in ((each, 1) for each in journal.records) if with_entries else merged:
                if record.kind == "event":
                    detail = clean_text(record.detail, 1000)
                    yield AuditEntry(
                        _clean_time(record.at), _account(journal), clean_text(record.event), "", detail, "", source
                    )
                elif record.path:
                    yield _describe_record(journal, record, outcomes, source, count)


def _merge_measurements(
    records: Iterable[JournalRecord], outcomes: Mapping[int, str]
) -> Iterator[tuple[JournalRecord, int]]:
    """Yield each record with the number of writes that it stands for.

    A run of ``ratui measure`` writes the file of a case once for each pair of films. These writes become one record, from
    the content before the first to that after the last, if each of them began with what the one before it had written.
    """
    run: dict[str, tuple[JournalRecord, int]] = {}
    for record in records:
        if record.kind in ("done", "undone"):
            continue
        is_done = record.kind == "write" and record.after and outcomes.get(record.number) == "done"
        if not (is_done and (match := _match_path(record.path)) and match[1] == _MEASUREMENTS):
            yield from run.values()
            run.clear()
            yield record, 1
            continue
        before, count = run.pop(record.path, (None, 0))
        if before is not None and (before.after != record.before or _seconds_between(before, record) > _RUN_GAP):
            yield before, count
            before, count = None, 0
        run[record.path] = (replace(record, before=before.before) if before is not None else record, count + 1)
    yield from run.values()


def _seconds_between(first: JournalRecord, second: JournalRecord) -> float:
    """Return the seconds from one record to another; infinity if a time is damaged."""
    try:
        return (datetime.fromisoformat(second.at) - datetime.fromisoformat(first.at)).total_seconds()
    except (ValueError, OverflowError, TypeError):
        return float("inf")


def _match_path(path: str) -> tuple[re.Match[str], str] | None:
    """Return the names in the path of a recorded file, and what it is; None for another file."""
    return next(((found, kind) for pattern, kind in _FILES if (found := pattern.fullmatch(path))), None)


def _describe_record(
    journal: JournalFile, record: JournalRecord, outcomes: Mapping[int, str], source: str, count: int
) -> AuditEntry:
    path = clean_text(record.path, 200)
    match = _match_path(path)
    kind, names = (match[1], [name for name in match[0].groups() if name]) if match else ("file", [path])
    if record.kind == "first":
        act = "known from here on"
    elif record.kind == "accept":
        act = "unrecorded change accepted"
    else:
        act = "removed" if not record.after else "changed" if record.before else "created"
        if outcomes.get(record.number) == "undone":
            act += " (did not take place)"
    digests = f"{record.before[:12] or '–'} -> {record.after[:12] or '–'}" + (f", {count} writes" if count > 1 else "")
    return AuditEntry(
        _clean_time(record.at), _account(journal), f"{kind} {act}", " ".join(reversed(names)), digests, "", source
    )


def _account(journal: JournalFile) -> str:
    return clean_text(journal.name.partition(".")[0])


def _list_settings(study: Study) -> Iterator[AuditEntry]:
    config, source = study.config, "study.toml"
    for version in config.charter.history:
        act = "charter amended" if version.version > 1 else "charter set"
        detail = "; ".join(version.changes)
        yield AuditEntry(
            _clean_time(version.at), version.account, act, f"version {version.version}", detail, version.reason, source
        )
    for event in config.events:
        act = f"rater {event.action}" if event.rater else f"study {event.action}"
        detail = f"in the place of {event.other}" if event.action == "joined" and event.other else ""
        if event.action == "left" and event.other:
            detail = f"replaced by {event.other}" + (", in all cases" if event.cases else "")
        yield AuditEntry(_clean_time(event.at), event.account, act, event.rater, detail, event.reason, source)


def _list_withdrawals(study: Study) -> Iterator[AuditEntry]:
    source = "private/withdrawals.json"
    try:
        found = list_withdrawals(study) if study.config.stored_format >= SPLIT_FORMAT else ()
    except (StoreError, *ODD_VALUE_ERRORS) as error:
        yield AuditEntry("", "", "withdrawals damaged", source, clean_text(error, 200))
        return
    for each in found:
        act = "film erased" if each.erased else "film withdrawn"
        detail = f"readings: {', '.join(each.readings)}" if each.readings else ""
        subject = f"{each.case} film {each.film}"
        yield AuditEntry(_clean_time(each.at), each.by, act, subject, detail, each.reason, source)


def _list_examinations(study: Study) -> Iterator[AuditEntry]:
    try:
        records = load_records(study.folder)
    except StoreError as error:
        yield AuditEntry("", "", "results of examinations damaged", RESULTS, error.problem)
        return
    for each in records:
        figures = {name: value for name, value in vars(each.figures).items() if isinstance(value, float)}
        shown = [f"examination {each.examination}", *(f"{name} {value:z.2f}" for name, value in figures.items())]
        at = _clean_time(each.at)
        yield AuditEntry(at, each.account, "examination recorded", each.rater, "; ".join(shown), "", RESULTS)


def _list_roots(study: Study) -> Iterator[AuditEntry]:
    for number in root_numbers(study.folder):
        source = f"seals/{number:06d}.json"
        try:
            root = read_root(study.folder, number, study.config.id)
        except StoreError as error:
            yield AuditEntry("", "", "sealed state damaged", source, error.problem)
            continue
        signed = "signed, " if root.signature else ""
        yield AuditEntry(_clean_time(root.at), "", "state sealed", f"root {number}", signed + root.digest, "", source)


# Readings.


def _list_readings(study: Study, with_entries: bool) -> Iterator[AuditEntry]:
    for rater in (*study.config.raters, CONSENSUS):
        for case in study.cases():
            file = find_reading(study.folder, rater, case)
            try:
                stored = read_intact(file)
                if stored is not None:
                    yield from _list_turns(stored, rater, case, file.inside)
                    if with_entries:
                        yield from _list_entries(study, rater, case, file.inside)
            except RatuiError as error:
                yield AuditEntry("", rater, "reading not readable", case, error.problem, "", file.inside)


def _list_turns(stored: StoredTables, rater: str, case: str, source: str) -> Iterator[AuditEntry]:
    """Yield the begin of a reading, its signatures and reopenings, and changes of its films."""
    names = {"sign": "reading signed", "reopen": "reading reopened", "films": "films of the reading changed"}
    log = stored.tables.get("log", [])
    for number, entry in enumerate(log):
        at, kind = _clean_time(entry.get("at")), entry.get("kind")
        if number == 0:
            yield AuditEntry(at, rater, "reading begun", case, "", "", source)
        if kind in names:
            entered = sum(each.get("kind") in _ENTRIES for each in log[: number + 1])
            note = clean_text(entry.get("note", ""), 1000)
            reason = note if kind == "reopen" else ""
            detail = f"{entered} entries before" if kind == "sign" else note if kind == "films" else ""
            yield AuditEntry(at, rater, names[str(kind)], case, detail, reason, source)


def _list_entries(study: Study, rater: str, case: str, source: str) -> Iterator[AuditEntry]:
    reading = study.reading(rater, case)
    visits = study.case(case).visit_numbers
    for entry in reading.log if reading is not None else ():
        if entry.kind in _ENTRIES:
            at = "" if entry.timestamp is None else _format_time(entry.timestamp)
            yield AuditEntry(
                at,
                rater,
                f"entry {entry.number}: {entry.kind}",
                case,
                _describe_entry(entry, study.config.charter, visits),
                clean_text(entry.note, 1000),
                source,
            )


def _describe_entry(entry: LogEntry, charter: Charter, visits: tuple[int, ...]) -> str:
    parts = [_describe_change(change, charter, visits) for change in entry.changes]
    if entry.undone_number is not None:
        parts.insert(0, f"takes back entry {entry.undone_number}")
    if entry.site and not entry.changes:
        parts.append(entry.site)
    if entry.is_confirmed:
        parts.append("confirmed as unlikely")
    return "; ".join(parts)


def _describe_change(change: FieldChange, charter: Charter, visits: tuple[int, ...]) -> str:
    field = change.field
    visit = charter.visit_name(visits[field.time]) if field.time < len(visits) else f"time {field.time}"
    return f"{field.site} {field.scale} {visit}: {_format_value(change.old)} -> {_format_value(change.new)}"


def _format_value(value: Entry | None) -> str:
    if value is None:
        return "open"
    match value:
        case GradeEntry():
            return str(value.grade)
        case FindingEntry():
            return value.finding
    return value.reason


# Times.


def _format_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _clean_time(at: Any) -> str:
    """Return a stored time in UTC with seconds; empty for anything else."""
    try:
        return _format_time(datetime.fromisoformat(str(at)))
    except (ValueError, OverflowError):
        return ""
