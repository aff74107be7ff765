"""Objects that an archive returns together with the films of hands and feet: other films, reports and states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    XRayRadiationDoseSRStorage,
)

from tests.support.hospital.headers import Visit, coded, make_frame, new_uid
from tests.support.hospital.people import Person
from tests.support.hospital.truth import Outcome

if TYPE_CHECKING:
    from tests.support.hospital.record import FileDraft, Record

__all__ = ["add_other_objects", "make_key_object"]

OTHER_FILMS = {"chest": 8, "wrist": 5, "knee": 4, "ankle": 3, "finger": 2, "hindfoot": 2}
"""Share of the examinations with a film of another part, in per cent."""
OTHER_OBJECTS = {
    "presentation state": 12,
    "dose report": 12,
    "captured report": 5,
    "report": 4,
    "key object": 3,
    "encapsulated PDF": 3,
    "CT scout": 1,
}
"""Share of the examinations with another object, in per cent."""
_BODY_PARTS = {
    "chest": "CHEST",
    "wrist": "WRIST",
    "knee": "KNEE",
    "ankle": "ANKLE",
    "finger": "FINGER",
    "hindfoot": "CALCANEUS",
}


def add_other_objects(record: Record, person: Person, visit: Visit, minute: float, random: Random) -> None:
    """Add other films and objects of one examination to `record`; all are to be left out."""
    for part, share in OTHER_FILMS.items():
        if random.random() < share / 100:
            minute += 2
            record.files.append(_make_other_film(person, visit, part, minute, random))
    for kind, share in OTHER_OBJECTS.items():
        if random.random() < share / 100:
            minute += 1
            header = make_frame(person, visit, "hand", minute, random)
            _MAKE[kind](header, record, visit, random)
            picture = random.getrandbits(48) if kind in ("captured report", "CT scout") else None
            record.files.append(
                _draft(header, person, visit, kind, f"a {kind}, no radiograph of a hand or foot", picture)
            )


def make_key_object(header: Dataset, images: list[Dataset], title: Dataset) -> None:
    """Make `header` a Key Object Selection of `images` with the document title `title` (PS3.3 section A.35.4)."""
    _make_document(header, KeyObjectSelectionDocumentStorage, "KO")
    header.ConceptNameCodeSequence = [title]
    evidence, content = [], []
    for image in images:
        reference = _reference(image)
        series = Dataset()
        series.ReferencedSOPSequence, series.SeriesInstanceUID = [reference], image.SeriesInstanceUID
        study = Dataset()
        study.ReferencedSeriesSequence, study.StudyInstanceUID = [series], image.StudyInstanceUID
        evidence.append(study)
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
        item.ReferencedSOPSequence = [_reference(image)]
        content.append(item)
    header.CurrentRequestedProcedureEvidenceSequence = evidence
    header.ContentSequence = content


def _make_other_film(person: Person, visit: Visit, part: str, minute: float, random: Random) -> FileDraft:
    study = visit
    if part in ("chest", "knee"):  # ordered as an examination of its own
        study = replace(visit, studies=dict.fromkeys(visit.studies, new_uid(random)))
    header = make_frame(person, study, "hand", minute, random)
    language = visit.device.language
    side = "" if part == "chest" else random.choice("LR")
    words = language.other[part].format(side=language.side(side) if side else "")
    if visit.device.style != "DX, codes" or part == "finger":
        header.SeriesDescription = words
    header.StudyDescription = words if study is not visit else language.study(set(visit.studies))
    if visit.device.style not in ("CR, words only", "digitised film"):
        header.BodyPartExamined = _BODY_PARTS[part]
        if side and visit.device.style == "CR, elements":
            header.Laterality = side
        elif side:
            header.ImageLaterality = side
        header.ViewPosition = "PA" if part in ("chest", "wrist", "finger") else "AP"
    film = _draft(header, person, visit, part, f"a film of the {part}", random.getrandbits(48))
    film.side, film.view = side, "FRONTAL"
    return film


def _draft(header: Dataset, person: Person, visit: Visit, part: str, reason: str, picture: int | None) -> FileDraft:
    from tests.support.hospital.record import FileDraft

    return FileDraft(
        header,
        Outcome.LEAVE,
        person.key,
        visit.number,
        part=part,
        reason=reason,
        style=visit.device.style,
        language=visit.device.language.name,
        picture=picture,
    )


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def _make_document(header: Dataset, sop_class: str, modality: str) -> None:
    """Remove what describes an image from `header`, and add what describes a structured document."""
    for keyword in ("ImageType", "PixelSpacing", "ImagerPixelSpacing", "PresentationIntentType", "ConversionType"):
        if keyword in header:
            delattr(header, keyword)
    header.SOPClassUID, header.Modality = sop_class, modality
    header.ContentDate, header.ContentTime = header.StudyDate, header.StudyTime
    header.ValueType, header.ContinuityOfContent = "CONTAINER", "SEPARATE"
    header.CompletionFlag, header.VerificationFlag = "COMPLETE", "UNVERIFIED"


def _first_image(record: Record, visit: Visit) -> Dataset:
    return record.images_of(visit.number)[0].header


def _make_presentation(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    image = _first_image(record, visit)
    _make_document(header, GrayscaleSoftcopyPresentationStateStorage, "PR")
    del header.ValueType, header.ContinuityOfContent, header.CompletionFlag, header.VerificationFlag
    header.ContentLabel, header.ContentDescription = "WINDOW", "hand"
    header.PresentationCreationDate, header.PresentationCreationTime = header.StudyDate, header.StudyTime
    header.BodyPartExamined = "HAND"  # many stations copy the description of the image
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = image.SeriesInstanceUID, [_reference(image)]
    header.ReferencedSeriesSequence = [series]
    header.PresentationLUTShape = "IDENTITY"


def _make_dose_report(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    _make_document(header, XRayRadiationDoseSRStorage, "SR")
    header.SeriesDescription = "Radiation Dose Information"
    header.ConceptNameCodeSequence = [coded("113701", "DCM", "X-Ray Radiation Dose Report")]


def _make_report(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    _make_document(header, BasicTextSRStorage, "SR")
    header.SeriesDescription = f"{visit.device.language.study_hands} report"
    header.ConceptNameCodeSequence = [coded("18748-4", "LN", "Diagnostic imaging report")]


def _make_capture(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    """Make a picture of a report or a dose table, stored as Secondary Capture in the study of the hands."""
    header.SOPClassUID, header.Modality = SecondaryCaptureImageStorage, random.choice(("OT", "SC", "DOC"))
    if header.Modality == "SC":  # a value that older stations write, retired or never defined
        header.Modality = "OT"
    header.ConversionType = random.choice(("WSD", "SI", "SD"))
    header.ImageType = ["DERIVED", "SECONDARY"]
    header.SeriesDescription = random.choice(("Report", "Dose report", "Screen capture", "Scanned request"))
    header.StudyDescription = visit.device.language.study_hands
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PresentationIntentType"):
        if keyword in header:
            delattr(header, keyword)


def _make_of_interest(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    make_key_object(header, [_first_image(record, visit)], coded("113000", "DCM", "Of Interest"))


def _make_pdf(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    _make_document(header, EncapsulatedPDFStorage, "DOC")
    del header.ValueType, header.ContinuityOfContent, header.CompletionFlag, header.VerificationFlag
    header.SeriesDescription = "Hand report"
    header.MIMETypeOfEncapsulatedDocument = "application/pdf"
    header.EncapsulatedDocument = b"%PDF-1.4\n%%EOF\n"
    header.BurnedInAnnotation = "YES"


def _make_scout(header: Dataset, record: Record, visit: Visit, random: Random) -> None:
    header.SOPClassUID, header.Modality = CTImageStorage, "CT"
    header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    header.SeriesDescription, header.StudyDescription = "Topogram", "CT Hand"
    header.BodyPartExamined = "HAND"
    header.StudyInstanceUID = new_uid(random)
    if "PresentationIntentType" in header:
        del header.PresentationIntentType


_MAKE: dict[str, Callable[[Dataset, Record, Visit, Random], None]] = {
    "presentation state": _make_presentation,
    "dose report": _make_dose_report,
    "captured report": _make_capture,
    "report": _make_report,
    "key object": _make_of_interest,
    "encapsulated PDF": _make_pdf,
    "CT scout": _make_scout,
}
