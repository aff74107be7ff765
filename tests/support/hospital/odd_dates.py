"""Oddities of dates and times."""

from __future__ import annotations

from datetime import timedelta

from pydicom import Dataset

from tests.support.hospital.oddities import Maker, oddity
from tests.support.hospital.record import Record, draw_record, draw_visits

__all__: list[str] = []

_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_DEFAULTS = ("19000101", "19700101", "19800101")
"""Dates to which clocks return: of DICOM converters, of Unix and of PC hardware. None is a date of a digital film here."""


def _note(record: Record, visit: int, name: str, reason: str) -> list[Record]:
    for file in record.wanted_of(visit):
        file.note(name, reason)
    return [record]


def _ask(record: Record, name: str, reason: str) -> list[Record]:
    """Ask about all examinations: without the date of one, the other is as likely the first as the second."""
    for file in record.wanted:
        file.ask(name, reason)
    return [record]


def _headers(record: Record, visit: int) -> list[Dataset]:
    return [file.header for file in record.files if file.examination == visit]


@oddity("examination across midnight", 0.8)
def _cross_midnight(maker: Maker) -> list[Record]:
    person = maker.person()
    visits = draw_visits(person.issuer, maker.random, count=2, feet=True)
    late = maker.random.randrange(2)
    # The first exposure is two minutes before midnight, and the exposures take longer.
    begin = visits[late].begin.replace(hour=23, minute=58, second=5)
    study = visits[late].studies["hand"]
    visits[late] = type(visits[late])(late, begin, {"hand": study, "foot": study}, visits[late].device)
    record = draw_record(person, visits, maker.random, per_side=True)
    return _note(record, late, "examination across midnight", "one study whose exposures pass midnight")


@oddity("study date at its default", 1)
def _default_study_date(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    visit = maker.random.randrange(2)
    default = maker.random.choice(_DEFAULTS)
    for header in _headers(record, visit):
        header.StudyDate, header.StudyTime = default, "000000"
    return _note(record, visit, "study date at its default", "the other dates agree and are plausible")


@oddity("study date missing", 1)
def _no_study_date(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    visit = maker.random.randrange(2)
    for header in _headers(record, visit):
        header.StudyDate = header.StudyTime = ""
    return _note(record, visit, "study date missing", "the other dates agree and are plausible")


@oddity("all dates at their default", 0.8)
def _default_dates(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    visit = maker.random.randrange(2)
    default = maker.random.choice(_DEFAULTS)
    for header in _headers(record, visit):
        for keyword in _DATES:
            setattr(header, keyword, default)
    return _ask(record, "all dates at their default", "the order of the examinations is unknown")


@oddity("dates in the future", 0.5)
def _future_dates(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    visit = maker.random.randrange(2)
    shift = timedelta(days=maker.random.choice((60, 75)) * 365)
    for header in _headers(record, visit):
        wrong = f"{record.visits[visit].begin + shift:%Y%m%d}"
        for keyword in _DATES:
            setattr(header, keyword, wrong)
    return _ask(record, "dates in the future", "the device's clock was wrong: the order is unknown")


@oddity("no dates", 0.3)
def _no_dates(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    visit = maker.random.randrange(2)
    for header in _headers(record, visit):
        for keyword in (*_DATES, "StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
            if keyword == "StudyDate" or keyword == "StudyTime":
                setattr(header, keyword, "")
            else:
                header.pop(keyword, None)
    return _ask(record, "no dates", "the order of the examinations is unknown")


@oddity("content date of a migration", 2)
def _migrated(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    visit = maker.random.randrange(2)
    later = f"{record.visits[visit].begin + timedelta(days=2600):%Y%m%d}"
    for header in _headers(record, visit):
        header.ContentDate = header.InstanceCreationDate = later
        header.InstanceCreationTime = "031500"
    return _note(
        record,
        visit,
        "content date of a migration",
        "study, series and acquisition date agree; later dates are of copies",
    )


@oddity("digitised, dates unknown", 1.2)
def _digitised(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=("digitised film",))
    for header in _headers(record, 0):
        for keyword in ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
            header.pop(keyword, None)
    return _ask(record, "digitised, dates unknown", "the dates may be those of the scan")
