"""Read the header of a DICOM film, in the process that reads foreign files.

A file may be hostile: the number of its items, their depth and the length of its texts are bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ratui.errors import FilmError
from ratui.imaging.dicom_reader import read_header_with_offset
from ratui.study.importing.reader.film_header import (
    LONGEST_TEXT,
    LONGEST_UID,
    MAX_REFERENCES,
    CodedTerm,
    FilmHeader,
    KeyReferences,
    is_key_object,
    parse_size,
)
from ratui.study.importing.reader.picture_reader import check_no_picture

__all__ = ["digest_file", "read_film_header"]

_MAX_ITEMS = 16  # of one sequence
_SAMPLES, _SAMPLE = 64, 4096  # number and bytes
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
_MODIFIERS = ("ViewModifierCodeSequence", "AnatomicRegionModifierSequence", "PrimaryAnatomicStructureModifierSequence")
_REQUEST_TEXTS = ("RequestedProcedureDescription", "ScheduledProcedureStepDescription")
_REQUEST_CODES = ("RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")


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
        reader = _ElementReader(path, repairs=not _find_charset(dataset))
        meta = getattr(dataset, "file_meta", pydicom.Dataset())
        codes, elements = reader.codes(dataset, _CODES), reader.texts(dataset, _ELEMENTS)
        for anatomy in _find_frame_anatomy(reader, dataset):
            elements |= reader.texts(anatomy, ("FrameLaterality",))
            codes |= reader.codes(anatomy, ("AnatomicRegionSequence",))
        for item in reader.items(dataset, "RequestAttributesSequence"):
            for key, text in reader.texts(item, _REQUEST_TEXTS).items():
                place = f"RequestAttributesSequence.{key}"
                elements[place] = " / ".join(filter(None, [elements.get(place, ""), text]))[:LONGEST_TEXT]
            for key, terms in reader.codes(item, _REQUEST_CODES).items():
                place = f"RequestAttributesSequence.{key}"
                codes[place] = (*codes.get(place, ()), *terms)[:_MAX_ITEMS]
        sop_class = reader.text(dataset, "SOPClassUID") or reader.text(meta, "MediaStorageSOPClassUID")
        modality = reader.text(dataset, "Modality")
        named = KeyReferences()
        if is_key_object(sop_class, modality):
            named = _read_references(reader, dataset)
        return FilmHeader(
            patient_id=reader.text(dataset, "PatientID"),
            issuer=reader.text(dataset, "IssuerOfPatientID"),
            issuer_qualifiers=_join_qualifiers(reader, dataset),
            other_ids=tuple(_list_other_ids(reader, dataset)),
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
            rows=parse_size(reader.text(dataset, "Rows")),
            columns=parse_size(reader.text(dataset, "Columns")),
            content=_digest_picture(path, dataset, offset),
            key_references=named,
        )


def digest_file(path: Path, offset: int = 0) -> str:
    """Return a quick digest of samples of a file from the byte `offset` on. Raises FilmError if it can't be read.

    Files with equal digests may have the same picture: they are decoded and compared.
    """
    try:
        with path.open("rb") as file:
            return _digest_samples(file, offset)
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror}", path, "Check the path") from error


@dataclass(frozen=True)
class _ElementReader:
    """Reads texts of a dataset and raises a FilmError that names the damaged element.

    `repairs` allows to read text as UTF-8 if the file names no character set.
    """

    path: Path
    repairs: bool

    def text(self, dataset: pydicom.Dataset, keyword: str) -> str:
        """Return the text of an element without spaces around it; several values have backslashes between them."""
        value = self._get_value(dataset, keyword)
        if value is None or isinstance(value, (bytes, pydicom.Sequence)):
            return ""
        values = value if isinstance(value, (MultiValue, list, tuple)) else [value]
        text = "\\".join(str(each).strip(" \0\t\r\n") for each in values[:_MAX_ITEMS])
        if self.repairs and not text.isascii():
            with contextlib.suppress(ValueError):  # else it is no UTF-8, and is kept as it is
                text = text.encode("latin-1").decode("utf-8")
        return text[:LONGEST_TEXT]

    def texts(self, dataset: pydicom.Dataset, keywords: tuple[str, ...]) -> dict[str, str]:
        """Return the texts of the elements that are not empty, by keyword."""
        found = {keyword: self.text(dataset, keyword) for keyword in keywords}
        return {keyword: text for keyword, text in found.items() if text}

    def items(self, dataset: pydicom.Dataset, keyword: str) -> list[pydicom.Dataset]:
        """Return the first items of a sequence."""
        return self.all_items(dataset, keyword)[:_MAX_ITEMS]

    def all_items(self, dataset: pydicom.Dataset, keyword: str) -> list[pydicom.Dataset]:
        """Return the items of a sequence."""
        value = self._get_value(dataset, keyword)
        return list(value) if isinstance(value, pydicom.Sequence) else []

    def codes(self, dataset: pydicom.Dataset, keywords: tuple[str, ...]) -> dict[str, tuple[CodedTerm, ...]]:
        """Return the coded terms of the sequences that are not empty, with those of their modifiers."""
        found: dict[str, tuple[CodedTerm, ...]] = {}
        for keyword in keywords:
            for item in self.items(dataset, keyword):
                found[keyword] = (*found.get(keyword, ()), self._make_term(item))
                for modifier in _MODIFIERS:
                    terms = tuple(map(self._make_term, self.items(item, modifier)))
                    if terms:
                        place = f"{keyword}.{modifier}"
                        found[place] = (*found.get(place, ()), *terms)[:_MAX_ITEMS]
        return found

    def _make_term(self, item: pydicom.Dataset) -> CodedTerm:
        value = next(filter(None, (self.text(item, k) for k in ("CodeValue", "LongCodeValue", "URNCodeValue"))), "")
        return CodedTerm(self.text(item, "CodingSchemeDesignator"), value, self.text(item, "CodeMeaning"))

    def _get_value(self, dataset: pydicom.Dataset, keyword: str) -> Any:
        try:
            return dataset.get(keyword)
        except Exception as error:  # a damaged element makes its parser raise almost anything
            problem = f"its element {keyword} is damaged ({type(error).__name__})"
            raise FilmError(problem, self.path, "Export it again") from error


def _find_charset(dataset: pydicom.Dataset) -> str:
    try:
        return str(dataset.get("SpecificCharacterSet") or "")
    except Exception:  # the element is read again as text, which reports its damage
        return ""


def _find_frame_anatomy(reader: _ElementReader, dataset: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Yield the frame anatomy that all frames share (PS3.3 C.7.6.16.2.8)."""
    for groups in reader.items(dataset, "SharedFunctionalGroupsSequence"):
        yield from reader.items(groups, "FrameAnatomySequence")


def _join_qualifiers(reader: _ElementReader, dataset: pydicom.Dataset) -> str:
    for item in reader.items(dataset, "IssuerOfPatientIDQualifiersSequence"):
        entity = reader.text(item, "UniversalEntityID")
        if entity:
            return f"{reader.text(item, 'UniversalEntityIDType')}:{entity}"[:LONGEST_TEXT]
    return ""


def _list_other_ids(reader: _ElementReader, dataset: pydicom.Dataset) -> Iterator[tuple[str, str]]:
    for text in reader.text(dataset, "OtherPatientIDs").split("\\"):
        if text:
            yield text, ""
    for item in reader.items(dataset, "OtherPatientIDsSequence"):
        text = reader.text(item, "PatientID")
        if text:
            yield text, reader.text(item, "IssuerOfPatientID")


def _read_references(reader: _ElementReader, dataset: pydicom.Dataset) -> KeyReferences:
    """Return the images that the key object note `dataset` names."""
    evidence = list(islice(_read_evidence(reader, dataset), MAX_REFERENCES + 1))
    content = list(islice(_read_content(reader, dataset), MAX_REFERENCES + 1))
    kept = [pair for pair in evidence[:MAX_REFERENCES] if max(map(len, pair)) <= LONGEST_UID]
    named = [uid for uid in content[:MAX_REFERENCES] if len(uid) <= LONGEST_UID]
    return KeyReferences(tuple(kept), tuple(named), len(kept) == len(evidence) and len(named) == len(content))


def _read_evidence(reader: _ElementReader, dataset: pydicom.Dataset) -> Iterator[tuple[str, str]]:
    for study in reader.all_items(dataset, "CurrentRequestedProcedureEvidenceSequence"):
        study_uid = reader.text(study, "StudyInstanceUID")
        for series in reader.all_items(study, "ReferencedSeriesSequence"):
            for image in reader.all_items(series, "ReferencedSOPSequence"):
                if uid := reader.text(image, "ReferencedSOPInstanceUID"):
                    yield study_uid, uid


def _read_content(reader: _ElementReader, dataset: pydicom.Dataset) -> Iterator[str]:
    for item in reader.all_items(dataset, "ContentSequence"):  # images are items of the first level (PS3.16 TID 2010)
        if reader.text(item, "ValueType").upper() in ("IMAGE", "COMPOSITE"):
            for image in reader.all_items(item, "ReferencedSOPSequence"):
                if uid := reader.text(image, "ReferencedSOPInstanceUID"):
                    yield uid


def _digest_picture(path: Path, header: pydicom.Dataset, offset: int) -> str:
    """Return a digest of samples of a DICOM file from its pixels on, or an empty text if there are none.

    `offset` is that of the pixels. A deflated file has no digest, because its header is in the same stream. Raises FilmError
    if the file can't be read.
    """
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return ""
    return digest_file(path, offset)


def _digest_samples(file: BinaryIO, start: int) -> str:
    end = file.seek(0, os.SEEK_END)
    if end <= start:
        return ""
    digest = hashlib.sha256(f"{end - start}".encode())
    for number in range(_SAMPLES):
        file.seek(start + (end - start) * number // _SAMPLES)
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
