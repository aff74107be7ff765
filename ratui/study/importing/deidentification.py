"""A film without its patient: a new DICOM file made from the film's numbers, and from nothing else of the old one.

Nothing is removed from the old file, for nothing of it is taken: pixels, table entries and measures are numbers, words
come from closed lists, UIDs are keyed hashes. So text, private elements, overlays, embedded files and comments of a
codestream have no way in. This is the Basic Application Level Confidentiality Profile of PS3.15, annex E, and more.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import warnings
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, generate_uid
from pydicom.valuerep import DSfloat

from ratui.imaging import Film, LookupTable, Window

__all__ = ["RetainedAttributes", "deidentify", "extract_retained_attributes", "new_uid"]

_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# Elements that hold a word: the words that may stay.
_WORDS = {
    "ViewPosition": ("PA", "AP", "LL", "RL", "RLD", "LLD", "RLO", "LLO"),
    "BodyPartExamined": ("HAND", "WRIST", "FOOT", "ANKLE", "FINGER", "TOE", "EXTREMITY"),
    "PresentationLUTShape": ("IDENTITY", "INVERSE"),
    "LossyImageCompression": ("00", "01"),
    "BurnedInAnnotation": ("YES", "NO"),
    "PixelIntensityRelationship": ("LIN", "LOG"),
}
# What devices call their windows and tables; any other name is dropped.
_NAMES = ("NORMAL", "HARDER", "SOFTER", "HARD", "SOFT", "STANDARD", "BONE", "WINDOW1", "WINDOW2", "WINDOW3", "DEFAULT")
_MODALITY_TYPES = ("OD", "HU", "US", "P")


@dataclass(frozen=True)
class RetainedAttributes:
    """What besides its pixels a film keeps: words from closed lists by keyword, and its old UIDs to be hashed."""

    words: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)


def extract_retained_attributes(dataset: Dataset) -> RetainedAttributes:
    """The facts in a header. Never raises: what can't be read is left out."""
    words, uids = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, known in _WORDS.items():
            value = _text(dataset, keyword).strip().upper()
            if value in known:
                words[keyword] = value
        for keyword in _UIDS:
            uids[keyword] = _text(dataset, keyword)
    return RetainedAttributes(words, {keyword: uid for keyword, uid in uids.items() if uid})


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "")
    except Exception:  # a damaged element makes its parser raise almost anything
        return ""


def new_uid(key: bytes, old: str) -> str:
    """The UID that stands for `old` in the study whose key is `key`: always the same, and not to be turned back.

    Raises nothing; an empty `old` gets a random one.
    """
    if not old:
        return str(generate_uid(prefix=None))
    digest = hmac.new(key, old.encode("utf-8", "replace"), hashlib.sha256).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def deidentify(film: Film, attributes: RetainedAttributes, *, case: str, side: str, key: bytes) -> bytes:
    """The bytes of a DICOM file with the picture of `film` under the pseudonym `case`, stored without loss.

    `side` is ``L``, ``R`` or ``B``; `key` is the study's for UIDs.
    """
    uids = {keyword: new_uid(key, attributes.uids.get(keyword, "")) for keyword in _UIDS}
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = UID(uids["SOPInstanceUID"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    new = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    new.SOPClassUID = meta.MediaStorageSOPClassUID
    for keyword, replacement in uids.items():
        if keyword != "FrameOfReferenceUID" or keyword in attributes.uids:
            setattr(new, keyword, replacement)
    new.PatientName = new.PatientID = case
    new.PatientBirthDate = new.PatientSex = new.StudyDate = new.StudyTime = ""
    new.AccessionNumber = new.ReferringPhysicianName = new.StudyID = new.SeriesNumber = new.InstanceNumber = ""
    _add_deidentification_method(new)
    new.Modality = "CR"
    new.Laterality = side
    for keyword, word in attributes.words.items():
        setattr(new, keyword, word)
    _add_grey_transform(new, film)
    _add_pixels(new, film)
    buffer = io.BytesIO()
    new.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _add_deidentification_method(new: Dataset) -> None:
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = "ratui: written anew from pixels and numbers"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    new.DeidentificationMethodCodeSequence = [code]
    new.LongitudinalTemporalInformationModified = "REMOVED"


def _add_grey_transform(new: Dataset, film: Film) -> None:
    """Rescaling, tables, windows, padding and measures, as numbers."""
    if film.modality_table is not None:
        item = _lut_item(film.modality_table)
        item.ModalityLUTType = film.modality_table.name if film.modality_table.name in _MODALITY_TYPES else "US"
        new.ModalityLUTSequence = [item]
    else:
        new.RescaleSlope, new.RescaleIntercept = _decimal_string(film.slope), _decimal_string(film.intercept)
        new.RescaleType = "US"
    tables = [contrast for contrast in film.contrasts if isinstance(contrast, LookupTable)]
    windows = [contrast for contrast in film.contrasts if isinstance(contrast, Window)]
    if tables:
        new.VOILUTSequence = [_lut_item(table, name=True) for table in tables]
    if windows:
        new.WindowCenter = [_decimal_string(window.centre) for window in windows]
        new.WindowWidth = [_decimal_string(window.width) for window in windows]
        new.VOILUTFunction = windows[0].function
        names = [_known_name(window.name) for window in windows]
        if any(names):
            new.WindowCenterWidthExplanation = names
    if film.spacing is not None:
        new.PixelSpacing = new.ImagerPixelSpacing = [_decimal_string(value) for value in film.spacing]
    elif film.aspect != 1.0:
        new.PixelAspectRatio = [round(10_000 * film.aspect), 10_000]
    if film.padding is not None:
        low, high = film.padding
        vr = "SS" if film.pixels.dtype.kind == "i" else "US"
        new.add_new("PixelPaddingValue", vr, low)
        if high != low:
            new.add_new("PixelPaddingRangeLimit", vr, high)


def _lut_item(table: LookupTable, *, name: bool = False) -> Dataset:
    item = Dataset()
    # The first input is stored in 16 bits; a reader takes it as signed where what goes in is signed.
    item.add_new("LUTDescriptor", "US", [len(table.values) % 65_536, table.first % 65_536, table.bits])
    item.add_new("LUTData", "OW", table.values.astype("<u2").tobytes())
    if name and _known_name(table.name):
        item.LUTExplanation = _known_name(table.name)
    return item


def _known_name(text: str) -> str:
    name = text.strip().upper()
    return name if name in _NAMES else ""


def _decimal_string(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)


def _add_pixels(new: Dataset, film: Film) -> None:
    pixels = np.ascontiguousarray(film.pixels)
    signed, wide = pixels.dtype.kind == "i", pixels.dtype.itemsize > 1
    new.SamplesPerPixel = 1
    new.PhotometricInterpretation = "MONOCHROME1" if film.is_inverted else "MONOCHROME2"
    new.Rows, new.Columns = pixels.shape
    new.BitsAllocated = 16 if wide else 8
    new.BitsStored, new.HighBit, new.PixelRepresentation = film.bits_stored, film.bits_stored - 1, int(signed)
    data = pixels.astype(f"<{pixels.dtype.kind}{pixels.dtype.itemsize}").tobytes()
    new.add_new("PixelData", "OW" if wide else "OB", data + b"\0" * (len(data) % 2))
    if not signed:  # JPEG-LS has no signed values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            new.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
