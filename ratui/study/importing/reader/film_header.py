"""Read the identification in the header of a DICOM film: patient, dates, and all elements that say what the film shows.

The values are texts, as the file has them, each of a bounded length. Nothing is interpreted here. They name a patient, so
that they must not appear in a message, a log or a study.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.multival import MultiValue

from ratui.bounded_parsing import parse_json
from ratui.errors import FilmError
from ratui.imaging.dicom_reader import read_header_with_offset
from ratui.study.importing.reader.key_objects import KeyReferences, is_key_object, read_references
from ratui.study.importing.reader.picture_digest import picture_digest
from ratui.study.importing.reader.picture_reader import check_no_picture

__all__ = ["MAX_HEADER_BYTES", "CodedTerm", "FilmHeader", "decode_header", "encode_header", "read_film_header"]

MAX_HEADER_BYTES = 1_000_000
"""Maximum length of a header in the form of `encode_header`."""
_MAX_TEXT = 400  # characters; a person's name has at most 3 × 64 with its delimiters, a description 64
_MAX_ITEMS = 16  # of one sequence

_DATES = (
    *(
        "StudyDate",
        "StudyTime",
        "SeriesDate",
        "SeriesTime",
        "AcquisitionDate",
        "AcquisitionTime",
        "AcquisitionDateTime",
    ),
    *("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime", "TimezoneOffsetFromUTC"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    *("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
)
_ELEMENTS = (
    *("ImageLaterality", "Laterality", "ViewPosition", "BodyPartExamined", "PatientOrientation", "ImageComments"),
    *("AcquisitionDeviceProcessingDescription", "AcquisitionDeviceProcessingCode", "AcquisitionProtocolName"),
    *("SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription", "RequestedProcedureDescription"),
    *("StudyDescription", "PresentationIntentType", "PhotometricInterpretation", "SamplesPerPixel", "NumberOfFrames"),
    *("ConversionType", "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "AccessionNumber", "StudyID"),
    *("LongitudinalTemporalInformationModified", "SpecificCharacterSet", "PatientAge", "BurnedInAnnotation"),
    *(
        "NominalScannedPixelSpacing",
        "QualityControlImage",
        "RejectionInformation",
        "ManufacturerModelName",
        "IrradiationEventUID",
    ),
)
_CODES = (
    *("ViewCodeSequence", "AnatomicRegionSequence", "PrimaryAnatomicStructureSequence", "ProcedureCodeSequence"),
    *("PerformedProtocolCodeSequence", "RequestedProcedureCodeSequence", "ConceptNameCodeSequence"),
)
_SINGLE_TEXTS = (
    *("patient_id", "issuer", "issuer_qualifiers", "name", "birth_date", "sex"),
    *("study_uid", "series_uid", "instance_uid", "sop_class", "modality", "image_type"),
)
_MODIFIERS = ("ViewModifierCodeSequence", "AnatomicRegionModifierSequence", "PrimaryAnatomicStructureModifierSequence")
_REQUEST_TEXTS = ("RequestedProcedureDescription", "ScheduledProcedureStepDescription")
_REQUEST_CODES = ("RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")


@dataclass(frozen=True)
class CodedTerm:
    """One item of a code sequence: coding scheme designator, code value and code meaning."""

    scheme: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class FilmHeader:
    """The identification in a header. Elements that are absent or empty are empty texts.

    Attributes
    ----------
    patient_id, issuer, name, birth_date, sex
        Patient ID, Issuer of Patient ID, Patient's Name, Patient's Birth Date (DICOM form) and Patient's Sex.
    issuer_qualifiers
        Universal entity that issued the ID, ``type:id`` (Issuer of Patient ID Qualifiers Sequence).
    other_ids
        Other patient IDs, as pairs of ID and issuer.
    study_uid, series_uid, instance_uid, sop_class, source_uids
        UIDs; `source_uids` are the images that this image was made from.
    modality, image_type
        Modality, and Image Type with backslashes between its values.
    dates
        Dates, times and the offset from UTC in DICOM form, by keyword.
    elements
        Texts of other elements by keyword. Elements of the Request Attributes Sequence have the keyword
        ``RequestAttributesSequence.<keyword>``; those of the Frame Anatomy Sequence have ``FrameLaterality``.
    codes
        Coded terms by the keyword of their sequence. Modifiers have the keyword of both sequences,
        ``ViewCodeSequence.ViewModifierCodeSequence``.
    rows, columns
        Size of the image, 0 if the header states none.
    content
        Digest of the stored picture, see `picture_digest`, or empty.
    key_references
        The images that a key object note names; empty for other objects.
    """

    patient_id: str = ""
    issuer: str = ""
    issuer_qualifiers: str = ""
    other_ids: tuple[tuple[str, str], ...] = ()
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_uid: str = ""
    series_uid: str = ""
    instance_uid: str = ""
    sop_class: str = ""
    source_uids: tuple[str, ...] = ()
    modality: str = ""
    image_type: str = ""
    dates: Mapping[str, str] = field(default_factory=dict, hash=False)
    elements: Mapping[str, str] = field(default_factory=dict, hash=False)
    codes: Mapping[str, tuple[CodedTerm, ...]] = field(default_factory=dict, hash=False)
    rows: int = 0
    columns: int = 0
    content: str = ""
    key_references: KeyReferences = field(default_factory=KeyReferences)


def read_film_header(path: Path) -> FilmHeader:
    """Return the identification in the header of the DICOM file at `path`.

    Raises
    ------
    FilmError
        If the file is not a readable DICOM file, or an element that identifies a film is damaged. The error names the
        element and repeats no text of the file.
    """
    check_no_picture(path)
    dataset, offset = read_header_with_offset(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = _ElementReader(path, repairs=not _charset(dataset))
        meta = getattr(dataset, "file_meta", pydicom.Dataset())
        codes, elements = reader.codes(dataset, _CODES), reader.texts(dataset, _ELEMENTS)
        for anatomy in _frame_anatomy(reader, dataset):
            elements |= reader.texts(anatomy, ("FrameLaterality",))
            codes |= reader.codes(anatomy, ("AnatomicRegionSequence",))
        for item in reader.items(dataset, "RequestAttributesSequence"):
            for key, text in reader.texts(item, _REQUEST_TEXTS).items():
                place = f"RequestAttributesSequence.{key}"
                elements[place] = " / ".join(filter(None, [elements.get(place, ""), text]))[:_MAX_TEXT]
            for key, terms in reader.codes(item, _REQUEST_CODES).items():
                place = f"RequestAttributesSequence.{key}"
                codes[place] = (*codes.get(place, ()), *terms)[:_MAX_ITEMS]
        sop_class = reader.text(dataset, "SOPClassUID") or reader.text(meta, "MediaStorageSOPClassUID")
        modality = reader.text(dataset, "Modality")
        named = KeyReferences()
        if is_key_object(sop_class, modality):
            named = read_references(dataset, reader.all_items, reader.text)
        return FilmHeader(
            patient_id=reader.text(dataset, "PatientID"),
            issuer=reader.text(dataset, "IssuerOfPatientID"),
            issuer_qualifiers=_qualifiers(reader, dataset),
            other_ids=tuple(_other_ids(reader, dataset)),
            name=reader.text(dataset, "PatientName"),
            birth_date=reader.text(dataset, "PatientBirthDate"),
            sex=reader.text(dataset, "PatientSex"),
            study_uid=reader.text(dataset, "StudyInstanceUID"),
            series_uid=reader.text(dataset, "SeriesInstanceUID"),
            instance_uid=reader.text(dataset, "SOPInstanceUID"),
            sop_class=sop_class,
            source_uids=tuple(
                filter(
                    None,
                    (
                        reader.text(item, "ReferencedSOPInstanceUID")
                        for item in reader.items(dataset, "SourceImageSequence")
                    ),
                )
            ),
            modality=modality,
            image_type=reader.text(dataset, "ImageType"),
            dates=reader.texts(dataset, _DATES),
            elements=elements,
            codes=codes,
            rows=_size(reader.text(dataset, "Rows")),
            columns=_size(reader.text(dataset, "Columns")),
            content=picture_digest(path, dataset, offset),
            key_references=named,
        )


def encode_header(header: FilmHeader) -> bytes:
    """Return `header` as JSON."""
    return json.dumps(asdict(header)).encode()


def decode_header(data: bytes) -> FilmHeader:
    """Return the header that `encode_header` wrote.

    Raises ValueError, KeyError, TypeError or AttributeError if `data` is anything else: a file may control its sender.
    """
    if len(data) > MAX_HEADER_BYTES:
        raise ValueError("longer than any header")
    raw = parse_json(data)
    return FilmHeader(
        **{name: _checked(raw[name]) for name in _SINGLE_TEXTS},
        other_ids=tuple((_checked(one), _checked(other)) for one, other in raw["other_ids"]),
        source_uids=tuple(map(_checked, raw["source_uids"])),
        dates={_checked(key): _checked(text) for key, text in raw["dates"].items()},
        elements={_checked(key): _checked(text) for key, text in raw["elements"].items()},
        codes={
            _checked(key): tuple(
                CodedTerm(_checked(term["scheme"]), _checked(term["value"]), _checked(term["meaning"]))
                for term in terms
            )
            for key, terms in raw["codes"].items()
        },
        rows=_size(str(raw["rows"])),
        columns=_size(str(raw["columns"])),
        content=_checked(raw["content"]),
        key_references=KeyReferences(
            tuple((_checked(study), _checked(uid)) for study, uid in raw["key_references"]["evidence"]),
            tuple(map(_checked, raw["key_references"]["content"])),
            raw["key_references"]["is_complete"] is True,
        ),
    )


def _checked(text: Any) -> str:
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise ValueError("not a text of a header")
    return text


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


@dataclass(frozen=True)
class _ElementReader:
    """Reads texts of a dataset and raises a FilmError that names the damaged element.

    `repairs` allows to read text as UTF-8 if the file names no character set.
    """

    path: Path
    repairs: bool

    def text(self, dataset: pydicom.Dataset, keyword: str) -> str:
        """Return the text of an element without spaces around it; several values have backslashes between them."""
        value = self._value(dataset, keyword)
        if value is None or isinstance(value, (bytes, pydicom.Sequence)):
            return ""
        values = value if isinstance(value, (MultiValue, list, tuple)) else [value]
        text = "\\".join(str(each).strip(" \0\t\r\n") for each in values[:_MAX_ITEMS])
        if self.repairs and not text.isascii():
            with contextlib.suppress(ValueError):  # else it is no UTF-8, and is kept as it is
                text = text.encode("latin-1").decode("utf-8")
        return text[:_MAX_TEXT]

    def texts(self, dataset: pydicom.Dataset, keywords: tuple[str, ...]) -> dict[str, str]:
        """Return the texts of the elements that are not empty, by keyword."""
        found = {keyword: self.text(dataset, keyword) for keyword in keywords}
        return {keyword: text for keyword, text in found.items() if text}

    def items(self, dataset: pydicom.Dataset, keyword: str) -> list[pydicom.Dataset]:
        """Return the first items of a sequence."""
        return self.all_items(dataset, keyword)[:_MAX_ITEMS]

    def all_items(self, dataset: pydicom.Dataset, keyword: str) -> list[pydicom.Dataset]:
        """Return the items of a sequence."""
        value = self._value(dataset, keyword)
        return list(value) if isinstance(value, pydicom.Sequence) else []

    def codes(self, dataset: pydicom.Dataset, keywords: tuple[str, ...]) -> dict[str, tuple[CodedTerm, ...]]:
        """Return the coded terms of the sequences that are not empty, with those of their modifiers."""
        found: dict[str, tuple[CodedTerm, ...]] = {}
        for keyword in keywords:
            for item in self.items(dataset, keyword):
                found[keyword] = (*found.get(keyword, ()), self._term(item))
                for modifier in _MODIFIERS:
                    terms = tuple(map(self._term, self.items(item, modifier)))
                    if terms:
                        place = f"{keyword}.{modifier}"
                        found[place] = (*found.get(place, ()), *terms)[:_MAX_ITEMS]
        return found

    def _term(self, item: pydicom.Dataset) -> CodedTerm:
        value = next(filter(None, (self.text(item, k) for k in ("CodeValue", "LongCodeValue", "URNCodeValue"))), "")
        return CodedTerm(self.text(item, "CodingSchemeDesignator"), value, self.text(item, "CodeMeaning"))

    def _value(self, dataset: pydicom.Dataset, keyword: str) -> Any:
        try:
            return dataset.get(keyword)
        except Exception as error:  # a damaged element makes its parser raise almost anything
            problem = f"its element {keyword} is damaged ({type(error).__name__})"
            raise FilmError(problem, self.path, "Export it again") from error


def _charset(dataset: pydicom.Dataset) -> str:
    try:
        return str(dataset.get("SpecificCharacterSet") or "")
    except Exception:  # the element is read again as text, which reports its damage
        return ""


def _frame_anatomy(reader: _ElementReader, dataset: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Yield the frame anatomy that all frames share (PS3.3 C.7.6.16.2.8)."""
    for groups in reader.items(dataset, "SharedFunctionalGroupsSequence"):
        yield from reader.items(groups, "FrameAnatomySequence")


def _qualifiers(reader: _ElementReader, dataset: pydicom.Dataset) -> str:
    for item in reader.items(dataset, "IssuerOfPatientIDQualifiersSequence"):
        entity = reader.text(item, "UniversalEntityID")
        if entity:
            return f"{reader.text(item, 'UniversalEntityIDType')}:{entity}"[:_MAX_TEXT]
    return ""


def _other_ids(reader: _ElementReader, dataset: pydicom.Dataset) -> Iterator[tuple[str, str]]:
    for text in reader.text(dataset, "OtherPatientIDs").split("\\"):
        if text:
            yield text, ""
    for item in reader.items(dataset, "OtherPatientIDsSequence"):
        text = reader.text(item, "PatientID")
        if text:
            yield text, reader.text(item, "IssuerOfPatientID")
