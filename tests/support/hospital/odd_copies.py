"""Oddities of repeated, reprocessed and copied films."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta

from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from tests.support.hospital.headers import coded, make_frame, new_uid
from tests.support.hospital.oddities import Maker, oddity
from tests.support.hospital.other_objects import make_key_object
from tests.support.hospital.record import FileDraft, Record
from tests.support.hospital.truth import Outcome

__all__: list[str] = []

_DX = ("DX, all elements", "DX, codes", "image laterality, view in words", "requested procedure")


def _repeat(record: Record, film: FileDraft, maker: Maker, *, before: bool = False) -> FileDraft:
    """Add another exposure of `film`, some minutes later or earlier, and return it."""
    header = deepcopy(film.header)
    header.SOPInstanceUID = new_uid(maker.random)
    if maker.random.random() < 0.5:
        header.SeriesInstanceUID = new_uid(maker.random)
    at = datetime.strptime(header.AcquisitionDate + header.AcquisitionTime, "%Y%m%d%H%M%S")
    at += timedelta(minutes=-2 if before else 2)
    header.AcquisitionTime = header.ContentTime = f"{at:%H%M%S}"
    header.InstanceNumber = 2
    repeat = replace(film, header=header, picture=maker.random.getrandbits(48))
    record.files.append(repeat)
    return repeat


def _reprocess(record: Record, film: FileDraft, maker: Maker) -> FileDraft:
    """Add another processing of the exposure of `film`, and return it."""
    header = deepcopy(film.header)
    header.SOPInstanceUID = new_uid(maker.random)
    header.InstanceNumber = 2
    copy = replace(film, header=header, gamma=0.7)
    record.files.append(copy)
    return copy


@oddity("rejected, by a key object", 1.5)
def _reject_by_object(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    film = maker.random.choice(record.wanted)
    rejected = _repeat(record, film, maker, before=True)
    rejected.leave("rejected, by a key object", "a Key Object Selection rejects it for quality reasons")
    film.note("rejected, by a key object", "the repeat of a rejected exposure")
    visit = record.visits[film.examination]
    header = make_frame(record.person, visit, film.part, 30, maker.random)
    make_key_object(header, [rejected.header], coded("113001", "DCM", "Rejected for Quality Reasons"))
    document = replace(film, header=header, picture=None, part="key object", side="", view="")
    document.outcome, document.oddity, document.reason = Outcome.LEAVE, "none", "no radiograph"
    record.files.append(document)
    return [record]


@oddity("rejected, in words", 1)
def _reject_in_words(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    film = maker.random.choice(record.wanted)
    rejected = _repeat(record, film, maker, before=True)
    if maker.random.random() < 0.5:
        rejected.header.ImageComments = maker.random.choice(("REJECTED: motion", "Rejected - positioning"))
    else:
        words = rejected.header.get("SeriesDescription", "")
        rejected.header.SeriesDescription = f"{words} REJECTED".strip()
        rejected.header.SeriesInstanceUID = new_uid(maker.random)
    rejected.leave("rejected, in words", "its comment or description says that it was rejected")
    film.note("rejected, in words", "the repeat of a rejected exposure")
    return [record]


@oddity("repeated without a mark", 1.5)
def _repeat_unmarked(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    film = maker.random.choice(record.wanted)
    reason = "two exposures of one view; only the pictures show which is better"
    _repeat(record, film, maker).ask("repeated without a mark", reason)
    film.ask("repeated without a mark", reason)
    return [record]


@oddity("reprocessed copy, derived", 3)
def _derive(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    film = maker.random.choice(record.wanted)
    copy = _reprocess(record, film, maker)
    copy.header.ImageType = ["DERIVED", "PRIMARY"]
    copy.header.DerivationDescription = "edge enhancement"
    source = Dataset()
    source.ReferencedSOPClassUID = film.header.SOPClassUID
    source.ReferencedSOPInstanceUID = film.header.SOPInstanceUID
    copy.header.SourceImageSequence = [source]
    copy.leave("reprocessed copy, derived", "derived from another film that is here")
    film.note("reprocessed copy, derived", "the original of a derived copy")
    return [record]


@oddity("reprocessed copy, equal rank", 1.5)
def _process_twice(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    film = maker.random.choice(record.wanted)
    film.header.IrradiationEventUID = new_uid(maker.random)
    film.header.AcquisitionDeviceProcessingDescription = "STANDARD"
    film.one_of = film.header.SOPInstanceUID
    copy = _reprocess(record, film, maker)
    copy.header.AcquisitionDeviceProcessingDescription = "BONE DETAIL"
    for file in (film, copy):
        file.note("reprocessed copy, equal rank", "one exposure, processed twice: either shows it")
    return [record]


@oddity("for processing", 3)
def _keep_raw(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=_DX)
    for film in record.wanted_of(0):
        raw = _reprocess(record, film, maker)
        raw.header.PresentationIntentType = "FOR PROCESSING"
        raw.header.SOPClassUID = DigitalXRayImageStorageForProcessing
        raw.leave("for processing", "raw data of a film that is here for presentation")
        film.note("for processing", "raw data are beside it")
    return [record]


@oddity("exported twice", 3)
def _export_twice(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    for film in record.wanted_of(maker.random.randrange(2)):
        film.one_of = film.header.SOPInstanceUID
        film.note("exported twice", "the same file is here twice")
        record.files.append(replace(film, header=deepcopy(film.header)))
    return [record]


@oddity("corrected header", 1)
def _correct(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    film = maker.random.choice(record.wanted)
    film.one_of = film.header.SOPInstanceUID
    film.note("corrected header", "one UID and picture; the archive corrected the header")
    copy = replace(film, header=deepcopy(film.header))
    copy.header.ReferringPhysicianName, copy.header.AccessionNumber = "Other^Physician", "A00000001"
    copy.header.StudyDescription += " (corr.)"
    record.files.append(copy)
    return [record]


@oddity("SOP Instance UID of two films", 0.5)
def _reuse_uid(maker: Maker) -> list[Record]:
    record = maker.record(count=2, per_side=True)
    first, second = record.wanted_of(0)[:2]
    second.header.SOPInstanceUID = first.header.SOPInstanceUID
    for film in (first, second):
        film.note("SOP Instance UID of two films", "two pictures of different sides")
    return [record]
