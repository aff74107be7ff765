"""Tell radiographs from other DICOM objects by their header, and name the kind of the others.

The reasons repeat no text of the file. docs/intake.md lists the same classes, modalities and words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ratui.study.importing.reader.film_header import FilmHeader

__all__ = ["find_capture_doubt", "find_object_kind"]

_CLASSES: Mapping[str, str] = {
    "1.2.840.10008.1.3.10": "a directory of files (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.2": "a CT image",
    "1.2.840.10008.5.1.4.1.1.3": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.4": "an MR image",
    "1.2.840.10008.5.1.4.1.1.5": "a nuclear medicine image",
    "1.2.840.10008.5.1.4.1.1.6": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.7.1": "a screen copy or scan of several frames",
    "1.2.840.10008.5.1.4.1.1.7.2": "a screen copy or scan of several frames",
    "1.2.840.10008.5.1.4.1.1.7.3": "a screen copy or scan of several frames",
    "1.2.840.10008.5.1.4.1.1.7.4": "a screen copy or scan of several frames",
    "1.2.840.10008.5.1.4.1.1.8": "an overlay without an image",
    "1.2.840.10008.5.1.4.1.1.9": "a curve or a waveform",
    "1.2.840.10008.5.1.4.1.1.10": "a lookup table without an image",
    "1.2.840.10008.5.1.4.1.1.11": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.12": "a fluoroscopic or angiographic image",
    "1.2.840.10008.5.1.4.1.1.13": "a tomographic image",
    "1.2.840.10008.5.1.4.1.1.20": "a nuclear medicine image",
    "1.2.840.10008.5.1.4.1.1.66": "raw data, a registration or a segmentation",
    "1.2.840.10008.5.1.4.1.1.67": "a value map",
    "1.2.840.10008.5.1.4.1.1.68": "a surface scan",
    "1.2.840.10008.5.1.4.1.1.77": "a photograph",
    "1.2.840.10008.5.1.4.1.1.88": "a report or a key object note",
    "1.2.840.10008.5.1.4.1.1.104": "a document",
    "1.2.840.10008.5.1.4.1.1.128": "a PET image",
    "1.2.840.10008.5.1.4.1.1.130": "a PET image",
    "1.2.840.10008.5.1.4.1.1.481": "an object of radiotherapy",
    "1.2.840.10008.5.1.4.38": "a hanging protocol",
    "1.2.840.10008.5.1.4.39": "a colour palette",
    "1.2.840.10008.5.1.4.45": "an implant template",
}
"""Kinds by SOP class. A class that begins with one of these UIDs and a point is of the same kind."""
_RADIOGRAPHS = (
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography, and Digital X-Ray and others below it
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture: films that were scanned
)
_MODALITIES: Mapping[str, str] = {
    "CT": "a CT image",
    "MR": "an MR image",
    "US": "an ultrasound image",
    "NM": "a nuclear medicine image",
    "PT": "a PET image",
    "RF": "a fluoroscopic or angiographic image",
    "XA": "a fluoroscopic or angiographic image",
    "BMD": "a measurement of bone density",
    "DEXA": "a measurement of bone density",
    "DXA": "a measurement of bone density",
    "SR": "a report or a key object note",
    "KO": "a report or a key object note",
    "PR": "a presentation state",
    "DOC": "a document",
    "XC": "a photograph",
    "GM": "a photograph",
    "SM": "a photograph",
    "ES": "a photograph",
    "OP": "a photograph",
    "SEG": "raw data, a registration or a segmentation",
    "REG": "raw data, a registration or a segmentation",
    "ECG": "a curve or a waveform",
    "IO": "a dental image",
    "PX": "a dental image",
    "RTIMAGE": "an object of radiotherapy",
    "RTPLAN": "an object of radiotherapy",
    "RTDOSE": "an object of radiotherapy",
    "RTSTRUCT": "an object of radiotherapy",
}
_IMAGE_TYPES: Mapping[str, str] = {
    "LOCALIZER": "a localizer",
    "SCOUT": "a localizer",
    "TOPOGRAM": "a localizer",
    "SCANOGRAM": "a localizer",
    "SCREEN SAVE": "a screen copy",
    "SCREENSAVE": "a screen copy",
    "SCREENSHOT": "a screen copy",
    "SCREEN_CAPTURE": "a screen copy",
    "REPORT": "a report or a key object note",
    "STITCHED": "an image composed of several",
    "COMPOSED": "an image composed of several",
    "MPR": "an image computed from other images",
    "REFORMATTED": "an image computed from other images",
    "MAX_IP": "an image computed from other images",
    "MIP": "an image computed from other images",
    "SUBTRACTION": "an image computed from other images",
    "SUBTRACTED": "an image computed from other images",
    "CALIBRATION": "a calibration image",
    "TEST": "a calibration image",
    "QC": "a calibration image",
}
_CONVERSIONS: Mapping[str, str] = {
    "SD": "a document",
    "DV": "a frame of a video",
    "DRW": "a drawing",
    "SYN": "a computed image",
}
_SERIES_WORDS: Mapping[str, str] = {
    "a localizer": "scout, localizer, topogram, scanogram, surview",
    "a tomographic image": "tomo, tomosynthesis",
    "a calibration image": "phantom",
}
"""Words in the series description of any object, by its kind."""
_CAPTURE_WORDS: Mapping[str, str] = {
    "a report or a key object note": (
        "report, dose, summary, bonexpert, befund, bericht, rapport, informe, referto, verslag, laudo"
    ),
    "a document": (
        "request, requisition, order, form, letter, consent, questionnaire, anforderung, formular, demande, ordonnance, "
        "aanvraag, richiesta, solicitud, remiss"
    ),
    "a screen copy": "screenshot, screenshots, screensave, screen, snapshot, capture",
}
"""Words in the series description of a Secondary Capture image, by its kind."""


def find_object_kind(header: FilmHeader) -> str:
    """Return the kind of an object that is not a radiograph, such as "a CT image", or an empty text for a radiograph.

    A mammogram is a radiograph here: a mammography system can also image hands, and the part of the body decides.
    """
    parts = header.sop_class.split(".")
    for length in range(len(parts), 0, -1):
        kind = _CLASSES.get(".".join(parts[:length]))
        if kind:
            return kind
    modality = header.modality.upper()
    if modality in _MODALITIES:
        return _MODALITIES[modality]
    for value in header.image_type.upper().split("\\"):
        if value in _IMAGE_TYPES:
            return _IMAGE_TYPES[value]
    conversion = header.elements.get("ConversionType", "").upper()
    is_capture = _is_below(header.sop_class, _RADIOGRAPHS[1])
    if conversion in _CONVERSIONS and is_capture:
        return _CONVERSIONS[conversion]
    words = set(re.findall(r"[a-z]+", header.elements.get("SeriesDescription", "").casefold()))
    for described, listed in {**_SERIES_WORDS, **(_CAPTURE_WORDS if is_capture else {})}.items():
        if not words.isdisjoint(listed.split(", ")):
            return described
    if header.elements.get("QualityControlImage", "").upper() == "YES":
        return "a calibration image"
    if header.sop_class and not any(_is_below(header.sop_class, each) for each in _RADIOGRAPHS):
        return "an object of another kind"
    return ""


def find_capture_doubt(header: FilmHeader) -> str:
    """Return why a Secondary Capture image may be no radiograph, or an empty text.

    Workstations write WSD (PS3.3 C.8.6.1) into screen copies, and so do programs that convert pictures of films.
    """
    is_capture = _is_below(header.sop_class, _RADIOGRAPHS[1])
    if is_capture and header.elements.get("ConversionType", "").upper() == "WSD":
        return "it may be a screen copy: ConversionType says WSD"
    return ""


def _is_below(uid: str, other: str) -> bool:
    return f"{uid}.".startswith(f"{other}.")
