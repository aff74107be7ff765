"""De-identification: write a new DICOM file from the numbers of a film and from nothing else of the old file.

Nothing is removed from the old file, because nothing of it is copied: pixels, table entries and measures are numbers, words
are taken from closed lists, and UIDs are hashed with a secret. Text, private elements, overlays, embedded files and comments
in compressed data therefore can't remain. This implements the Basic Application Level Confidentiality Profile of DICOM
PS3.15 Annex E, and removes more than it requires.

The pixels are kept, and text may be burned into them; see `burned_in_text`. The tables of the film must come from
`rewrite_tables`.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import re
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
)
from pydicom.valuerep import DSfloat

from ratui.imaging import Film, LookupTable, Pixels, SpacingSource, Window
from ratui.imaging.dicom_header import parse_number

__all__ = [
    "CURRENT_VERSION",
    "KNOWN_VERSIONS",
    "RetainedAttributes",
    "deidentify",
    "draw_uid",
    "encode_film",
    "extract_retained_attributes",
    "hash_uids",
    "make_uid",
]

_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# Words that are kept, by the element that may contain them.
_WORDS = {
    "ViewPosition": ("PA", "AP", "LL", "RL", "RLD", "LLD", "RLO", "LLO"),
    "BodyPartExamined": ("HAND", "WRIST", "FOOT", "ANKLE", "FINGER", "TOE", "EXTREMITY"),
    "PresentationLUTShape": ("IDENTITY", "INVERSE"),
    "LossyImageCompression": ("00", "01"),
    "BurnedInAnnotation": ("YES", "NO"),
    "PixelIntensityRelationship": ("LIN", "LOG"),
    "PixelSpacingCalibrationType": ("GEOMETRY", "FIDUCIAL"),
    "LossyImageCompressionMethod": ("ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15"),
}
_AXES = ("AP", "RL", "HF")  # of Patient Orientation (PS3.3 C.7.6.1.1.1)
# Names of windows and tables that are kept.
_NAMES = ("NORMAL", "HARDER", "SOFTER", "HARD", "SOFT", "STANDARD", "BONE", "WINDOW1", "WINDOW2", "WINDOW3", "DEFAULT")
_MODALITY_TYPES = ("OD", "HU", "US", "P")
# The number changes only if other elements are written: films of two versions of ratui can be compared byte by byte.
CURRENT_VERSION = "RATUI 2"
"""Implementation version name of films that this version of ratui writes."""
KNOWN_VERSIONS = re.compile(r"RATUI( 2)?|PYDICOM \d{1,2}\.\d{1,2}\.\d{1,2}")
"""Implementation version names of films that ratui has written. Before ``RATUI 2``, fewer elements were written."""


@dataclass(frozen=True)
class RetainedAttributes:
    """Values of a header that are kept besides the image.

    Attributes
    ----------
    words
        Words from closed lists, by DICOM keyword.
    uids
        Old UIDs by DICOM keyword; only their hashes are written.
    orientation
        Directions of the rows and of the columns in the patient (Patient Orientation), or empty.
    ratio
        Ratio of the compression with loss, or None.
    """

    words: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    orientation: tuple[str, ...] = ()
    ratio: float | None = None


def extract_retained_attributes(dataset: Dataset) -> RetainedAttributes:
    """Return the values of a header that are kept. Unreadable ones are left out; raises nothing."""
    words, uids = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, known in _WORDS.items():
            value = _get_text(dataset, keyword).strip().upper()
            if value in known:
                words[keyword] = value
        for keyword in _UIDS:
            uids[keyword] = _get_text(dataset, keyword)
        directions, ratios = (
            _list_values(dataset, "PatientOrientation"),
            _list_values(dataset, "LossyImageCompressionRatio"),
        )
    if len(directions) != 2 or not all(map(_is_direction, directions)):
        directions = ()
    ratio = parse_number(ratios[-1]) if ratios else None
    return RetainedAttributes(
        words,
        {keyword: uid for keyword, uid in uids.items() if uid},
        directions,
        # Two decimals: more digits could hold a text.
        round(ratio, 2) if ratio is not None and 1.0 <= ratio <= 1000.0 else None,
    )


def _is_direction(text: str) -> bool:
    """Return whether `text` is a direction of Patient Orientation: one letter of each axis at most."""
    letters = [sum(letter in axis for letter in text) for axis in _AXES]
    return bool(text) and sum(letters) == len(text) and max(letters) == 1


def _list_values(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of an element as texts; none if it is damaged."""
    try:
        value = dataset.get(keyword)
        return () if value in (None, "") else tuple(map(str, [value] if isinstance(value, (str, float)) else value))
    except Exception:  # a damaged element makes its parser raise almost anything
        return ()


def _get_text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "")
    except Exception:  # a damaged element makes its parser raise almost anything
        return ""


def make_uid(key: bytes, *old: str) -> str:
    """Return the UID that replaces the UID `old`, made distinct by the other parts.

    It is the same for every call with the same `key` and parts, and not reversible without the key. UIDs of the form
    ``2.25.<128-bit integer>`` need no registration (DICOM PS3.5 Annex B.2). An empty last part gives a random UID.
    """
    if not old[-1]:
        return draw_uid()
    digest = hmac.new(key, json.dumps(old).encode("utf-8", "replace"), hashlib.sha256).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def draw_uid() -> str:
    """Return a random UID of the form that `make_uid` writes.

    All 128 bits are random: a random UUID has six fixed ones, so that a film with such a UID could be told from any other.
    """
    return f"2.25.{secrets.randbits(128)}"


def deidentify(film: Film, attributes: RetainedAttributes, *, case: str, side: str, key: bytes) -> bytes:
    """Return the bytes of a new DICOM file with the image of `film`, stored without loss.

    A source may repeat a UID: an archive gives one to several films, or one study to two patients, and a manifest can give
    one film to two patients. So all new UIDs depend on the case, and that of the film also on its pixels.

    Parameters
    ----------
    film
        The image and its grey transform.
    attributes
        Other values to keep.
    case
        Pseudonym for the patient's name and ID.
    side
        ``L``, ``R`` or ``B``.
    key
        Secret for the hashed UIDs.
    """
    uids = hash_uids(attributes.uids, film.pixels, case=case, key=key)
    return encode_film(film, replace(attributes, uids=uids), case=case, side=side)


def hash_uids(old: Mapping[str, str], pixels: Pixels, *, case: str, key: bytes) -> dict[str, str]:
    """Return the new UIDs of a film by keyword. A missing old one gives a random UID, or none for a frame of reference.

    Parameters
    ----------
    old
        UIDs of the source by keyword.
    pixels
        The stored values.
    case, key
        As for `deidentify`.
    """
    kept = [keyword for keyword in _UIDS if keyword != "FrameOfReferenceUID" or keyword in old]
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    study = old.get("StudyInstanceUID", "")
    parts = {
        "SOPInstanceUID": (case, old.get("SOPInstanceUID", ""), digest),
        "StudyInstanceUID": (case, study),
        "SeriesInstanceUID": (case, study, old.get("SeriesInstanceUID", "")),
        "FrameOfReferenceUID": (case, old.get("FrameOfReferenceUID", "")),
    }
    return {keyword: make_uid(key, keyword, *parts[keyword]) for keyword in kept}


def encode_film(
    film: Film, attributes: RetainedAttributes, *, case: str, side: str, version: str = CURRENT_VERSION
) -> bytes:
    """Return the bytes of a DICOM file with the image of `film` and the UIDs in `attributes`, which are written as they are.

    The same arguments always give the same bytes. `version` is the implementation version name (PS3.10 section 7.1); with
    that of an earlier version of ratui, the file is as that version wrote it.
    The other parameters are those of `deidentify`.
    """
    uids = attributes.uids
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = UID(uids["SOPInstanceUID"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = version
    new = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    new.SOPClassUID = meta.MediaStorageSOPClassUID
    for keyword, uid in uids.items():
        setattr(new, keyword, uid)
    new.PatientName = new.PatientID = case
    new.PatientBirthDate = new.PatientSex = new.StudyDate = new.StudyTime = ""
    new.AccessionNumber = new.ReferringPhysicianName = new.StudyID = new.SeriesNumber = new.InstanceNumber = ""
    # Text in the pixels may name the patient; then the identity is not proven to be removed (PS3.3 C.7.1.1).
    _add_deidentification_method(new, is_removed=attributes.words.get("BurnedInAnnotation") != "YES")
    new.Modality = "CR"
    words = dict(attributes.words)
    if version == CURRENT_VERSION:
        _add_standard_elements(new, film, attributes, side)
        if film.spacing_source != SpacingSource.CALIBRATED:
            words.pop("PixelSpacingCalibrationType", None)
    else:
        new.Laterality = side
        _add_earlier_spacing(new, film)
    for keyword, word in words.items():
        setattr(new, keyword, word)
    _add_grey_transform(new, film)
    _add_pixels(new, film)
    buffer = io.BytesIO()
    new.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _add_deidentification_method(new: Dataset, *, is_removed: bool) -> None:
    new.PatientIdentityRemoved = "YES" if is_removed else "NO"
    new.DeidentificationMethod = "ratui: written anew from pixels and numbers"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    new.DeidentificationMethodCodeSequence = [code]
    new.LongitudinalTemporalInformationModified = "REMOVED"


def _add_standard_elements(new: Dataset, film: Film, attributes: RetainedAttributes, side: str) -> None:
    """Add the elements that films have since version 2: the side, the orientation, the spacing and the ratio of loss."""
    new.Manufacturer = ""  # type 2: present, but it may be empty (PS3.3 C.7.5.1)
    new.PatientOrientation = list(attributes.orientation) or ""
    # Laterality of a series is L or R (PS3.3 C.7.3.1); only that of an image may be both.
    setattr(new, "ImageLaterality" if side == "B" else "Laterality", side)
    if attributes.ratio is not None and attributes.words.get("LossyImageCompression") == "01":
        new.LossyImageCompressionRatio = _make_decimal_string(attributes.ratio)
    if film.spacing is None:
        _add_aspect(new, film)
        return
    spacing = [_make_decimal_string(value) for value in film.spacing]
    detector = [_make_decimal_string(value) for value in film.detector_spacing or film.spacing]
    match film.spacing_source:
        case SpacingSource.CALIBRATED:
            new.PixelSpacing = spacing
            if film.detector_spacing:
                new.ImagerPixelSpacing = detector
            if "PixelSpacingCalibrationType" in attributes.words:
                new.PixelSpacingCalibrationDescription = "as in the source"
        case SpacingSource.MAGNIFICATION:
            new.ImagerPixelSpacing = detector
            new.EstimatedRadiographicMagnificationFactor = _make_decimal_string(film.magnification or 1.0)
        case SpacingSource.SCAN:
            new.NominalScannedPixelSpacing = spacing
        case SpacingSource.STATED | SpacingSource.MANIFEST:
            new.PixelSpacing = spacing
        case _:
            new.PixelSpacing = new.ImagerPixelSpacing = spacing


def _add_earlier_spacing(new: Dataset, film: Film) -> None:
    """Add the spacing as films of version 1 have it."""
    if film.spacing is not None:
        new.PixelSpacing = new.ImagerPixelSpacing = [_make_decimal_string(value) for value in film.spacing]
    else:
        _add_aspect(new, film)


def _add_aspect(new: Dataset, film: Film) -> None:
    if film.aspect != 1.0:
        new.PixelAspectRatio = [round(10_000 * film.aspect), 10_000]


def _add_grey_transform(new: Dataset, film: Film) -> None:
    """Add rescaling, look-up tables, windows and padding, as numbers."""
    if film.modality_table is not None:
        item = _make_lut_item(film.modality_table)
        item.ModalityLUTType = film.modality_table.name if film.modality_table.name in _MODALITY_TYPES else "US"
        new.ModalityLUTSequence = [item]
    else:
        new.RescaleSlope, new.RescaleIntercept = _make_decimal_string(film.slope), _make_decimal_string(film.intercept)
        new.RescaleType = "US"
    tables = [contrast for contrast in film.contrasts if isinstance(contrast, LookupTable)]
    windows = [contrast for contrast in film.contrasts if isinstance(contrast, Window)]
    if tables:
        new.VOILUTSequence = [_make_lut_item(table, name=True) for table in tables]
    if windows:
        new.WindowCenter = [_make_decimal_string(window.centre) for window in windows]
        new.WindowWidth = [_make_decimal_string(window.width) for window in windows]
        new.VOILUTFunction = windows[0].function
        names = [_keep_known_name(window.name) for window in windows]
        if any(names):
            new.WindowCenterWidthExplanation = names
    if film.padding is not None:
        low, high = film.padding
        vr = "SS" if film.pixels.dtype.kind == "i" else "US"
        new.add_new("PixelPaddingValue", vr, low)
        if high != low:
            new.add_new("PixelPaddingRangeLimit", vr, high)


def _make_lut_item(table: LookupTable, *, name: bool = False) -> Dataset:
    item = Dataset()
    # PS3.3 C.11.1.1: the first mapped value has 16 bits, signed if the pixels are; a length of 65 536 is stored as 0.
    item.add_new("LUTDescriptor", "US", [len(table.values) % 65_536, table.first % 65_536, table.bits])
    item.add_new("LUTData", "OW", table.values.astype("<u2").tobytes())
    if name and _keep_known_name(table.name):
        item.LUTExplanation = _keep_known_name(table.name)
    return item


def _keep_known_name(text: str) -> str:
    name = text.strip().upper()
    return name if name in _NAMES else ""


def _make_decimal_string(value: float) -> DSfloat:
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
    if not signed:  # JPEG-LS (ISO 14495-1) codes unsigned samples only
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            new.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
