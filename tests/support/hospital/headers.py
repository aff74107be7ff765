"""Headers of films as devices of several vendors fill them. None of them contradicts itself; `oddities` does that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from tests.support.hospital.people import Person
from tests.support.hospital.words import LANGUAGES, Language

__all__ = ["STYLES", "Device", "Visit", "coded", "describe", "draw_device", "make_header", "new_uid"]

STYLES = {
    "DX, all elements": 20,
    "CR, elements": 20,
    "CR, words only": 15,
    "DX, codes": 10,
    "CR, protocol name": 10,
    "image laterality, view in words": 14,
    "requested procedure": 4,
    "no view": 4,
    "digitised film": 3,
}
"""Header styles and their shares of the devices in per cent.

``DX, all elements``
    Image Laterality, Body Part Examined, View Position, the coded region and the coded view.
``CR, elements``
    Laterality of the series, Body Part Examined and View Position; descriptions name no side.
``CR, words only``
    Part, side and view only in Series Description; Body Part Examined is missing or general.
``DX, codes``
    Image Laterality, Anatomic Region Sequence and View Code Sequence, and no other statement about the image.
``CR, protocol name``
    Side and view only in Protocol Name; Body Part Examined.
``image laterality, view in words``
    Image Laterality and Body Part Examined; the view in Series Description.
``requested procedure``
    The side only in the description of the requested procedure.
``no view``
    Body Part Examined and Image Laterality without a view. Such devices make frontal films only.
``digitised film``
    A secondary capture from a film scanner (Conversion Type DF) with part, side and view in Series Description. Date of
    Secondary Capture is that of the scan, and the other dates are those of the exposure.
"""
_VENDORS = {
    "DX, all elements": ("SIEMENS", "Ysio Max"),
    "CR, elements": ("FUJIFILM Corporation", "FCR"),
    "CR, words only": ("Agfa", "CR 85"),
    "DX, codes": ("GE Healthcare", "Discovery XR656"),
    "CR, protocol name": ("Philips Medical Systems", "PCR Eleva"),
    "image laterality, view in words": ("Carestream Health", "DRX-Evolution"),
    "requested procedure": ("Canon Inc.", "CXDI Control Software NE"),
    "no view": ("KONICA MINOLTA", "CS-7"),
    "digitised film": ("VIDAR", "DiagnosticPRO"),
}
_COUNTRIES = {
    "KLINIKUM-NORD": {"German": 45, "English": 30, "Dutch": 12, "Swedish": 8, "Japanese": 5},
    "CHU-SUD": {"French": 45, "Spanish": 20, "Italian": 15, "English": 15, "Japanese": 5},
}
_NO_ISSUER_SHARE = 0.25  # devices that leave the issuer of the patient ID out
# Values of SNOMED CT and, in older devices, of SNOMED RT (PS3.16 CID 4010 and annex L).
_VIEW_CODES = {
    "PA": ("272479007", "R-10214", "postero-anterior"),
    "AP": ("399348003", "R-10206", "antero-posterior"),
    "DP": ("399335002", "", "dorsoplantar"),
    "OBL": ("399182000", "", "oblique"),
    "LAT": ("399067008", "", "lateral"),
}
_REGION_CODES = {
    "hand": ("85562004", "T-D8700", "Hand"),
    "foot": ("56459004", "T-D9700", "Foot"),
    "wrist": ("74670003", "", "Wrist joint"),
}
_POSITIONS = {
    ("hand", "FRONTAL"): ("PA", "PA", "PA", "AP"),  # some consoles are set to AP for all limbs
    ("foot", "FRONTAL"): ("AP", "AP", "DP"),
    ("hand", "OBL"): ("LLO", "OBL", "PA OBL"),
    ("foot", "OBL"): ("OBL", "MO", "AP OBL"),
    ("hand", "LAT"): ("LL", "LAT", "LM"),
    ("foot", "LAT"): ("ML", "LAT", "LL"),
}


@dataclass(frozen=True)
class Device:
    """A device with its habits.

    Attributes
    ----------
    style
        Key of `STYLES`.
    language
        Language of its descriptions.
    sends_issuer
        True if it sends the issuer of the patient ID.
    """

    style: str
    language: Language
    sends_issuer: bool


@dataclass(frozen=True)
class Visit:
    """One examination of a person.

    Attributes
    ----------
    number
        Number of the examination in order of time, from 0.
    begin
        Time of the first exposure.
    studies
        Study Instance UIDs of its hands and its feet; often one and the same.
    device
        The device.
    """

    number: int
    begin: datetime
    studies: dict[str, str]
    device: Device

    @property
    def has_one_study(self) -> bool:
        """Return whether hands and feet are in one DICOM study."""
        return len(set(self.studies.values())) == 1

    def with_begin(self, begin: datetime) -> Visit:
        """Return the visit at another time."""
        return replace(self, begin=begin)


def new_uid(random: Random) -> str:
    """Return a UID drawn by `random`."""
    return str(generate_uid(prefix="1.2.826.0.1.3680043.10.999.", entropy_srcs=[str(random.getrandbits(128))]))


def draw_device(issuer: str, random: Random, *, styles: Sequence[str] = (), sends_issuer: bool = False) -> Device:
    """Draw a device of the hospital `issuer`.

    Parameters
    ----------
    issuer
        The hospital.
    random
        Source of the choice.
    styles
        Header styles to choose from; none for all.
    sends_issuer
        Draw only devices that send the issuer.
    """
    shares = {name: share for name, share in STYLES.items() if name in styles or not styles}
    countries = _COUNTRIES[issuer]
    style = random.choices(list(shares), list(shares.values()))[0]
    language = random.choices(list(countries), list(countries.values()))[0]
    return Device(style, LANGUAGES[language], random.random() >= _NO_ISSUER_SHARE or sends_issuer)


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def describe(language: Language, part: str, side: str, view: str, random: Random) -> str:
    """Return the words of a radiographer for one film, with the word order and capitals of one console."""
    word = language.part(part, plural=side == "B")
    if part == "foot" and language.name == "German" and random.random() < 0.5:
        word = {"Fuß": "Vorfuß", "Füße": "Vorfüße"}[word]
    if language.name == "Japanese":
        text = f"{'' if side == 'B' else language.side(side)}{word} {language.view(part, view)}"
    elif side == "B" and random.random() < 0.3:
        text = f"{word} {language.view(part, view)}"  # the plural alone
    elif random.random() < 0.5:
        text = f"{word} {language.side(side)} {language.view(part, view)}"
    else:
        text = f"{word} {language.view(part, view)} {language.side(side)}"
    return text.upper() if random.random() < 0.3 else text


def make_header(
    person: Person, visit: Visit, part: str, side: str, view: str, minute: float, random: Random
) -> Dataset:
    """Return the header of a film without its picture.

    Parameters
    ----------
    person, visit
        The person and the examination.
    part, side, view
        The true content: ``hand`` or ``foot``; ``L``, ``R`` or ``B``; ``FRONTAL``, ``OBL`` or ``LAT``.
    minute
        Minutes from the begin of the examination to the exposure.
    random
        Source of the choices that a device leaves open.
    """
    dataset = make_frame(person, visit, part, minute, random)
    device = visit.device
    words = describe(device.language, part, side, view, random)
    parts = set(visit.studies) if visit.has_one_study else {part}
    dataset.StudyDescription = device.language.study(parts)
    _STATE[device.style](dataset, words, part, side, view, device, random)
    return dataset


def make_frame(person: Person, visit: Visit, part: str, minute: float, random: Random) -> Dataset:
    """Return a header with person, study and times, and no statement about the content of the film."""
    at = visit.begin + timedelta(minutes=minute)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    charsets = [name for name in dict.fromkeys((visit.device.language.charset, person.charset)) if name]
    if len(charsets) > 1:
        charsets = ["ISO_IR 192"]
    dataset.SpecificCharacterSet = charsets[0] if charsets else "ISO_IR 100"
    style = visit.device.style
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.Modality = "CR"
    if style.startswith("DX") or style in ("image laterality, view in words", "requested procedure"):
        dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
        dataset.PresentationIntentType = "FOR PRESENTATION"
    elif style == "digitised film":
        dataset.SOPClassUID, dataset.Modality = SecondaryCaptureImageStorage, "CR"
        dataset.ConversionType = "DF"
    dataset.SOPInstanceUID = new_uid(random)
    dataset.ImageType = ["ORIGINAL" if style != "digitised film" else "DERIVED", "PRIMARY"]
    dataset.StudyDate, dataset.StudyTime = f"{visit.begin:%Y%m%d}", f"{visit.begin:%H%M%S}"
    dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = f"{at:%Y%m%d}"
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = f"{at:%H%M%S}"
    dataset.AccessionNumber = f"A{random.randrange(10**8):08d}"
    dataset.Manufacturer, dataset.ManufacturerModelName = _VENDORS[style]
    dataset.InstitutionName = person.issuer
    dataset.ReferringPhysicianName = "Ref^Physician"
    dataset.PatientName, dataset.PatientID = person.name, person.number
    if visit.device.sends_issuer:
        dataset.IssuerOfPatientID = person.issuer
    dataset.PatientBirthDate, dataset.PatientSex = person.birth, person.sex
    dataset.StudyInstanceUID = visit.studies[part]
    dataset.SeriesInstanceUID = new_uid(random)
    dataset.StudyID = ""
    dataset.SeriesNumber, dataset.InstanceNumber = int(minute) + 1, 1
    dataset.PixelSpacing = dataset.ImagerPixelSpacing = ["0.8", "0.8"]
    if random.random() < 0.3:
        dataset.add_new(0x00090010, "LO", "VENDOR PRIVATE 01")
        dataset.add_new(0x00091001, "LO", "CONSOLE-7")
    return dataset


def _state_all_elements(
    dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random
) -> None:
    dataset.ImageLaterality, dataset.BodyPartExamined = side, part.upper()
    dataset.SeriesDescription = words
    position = random.choice(_POSITIONS[part, view])
    dataset.ViewPosition = position
    _add_codes(dataset, part, view, position, random)


def _state_elements(
    dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random
) -> None:
    dataset.BodyPartExamined = part.upper()
    dataset.ViewPosition = random.choice(_POSITIONS[part, view])
    dataset.SeriesDescription = device.language.part(part, plural=side == "B")
    # The values of Laterality are L and R; a series of both sides has none (PS3.3 section C.7.3.1).
    dataset.Laterality = "" if side == "B" else side
    if side == "B":
        dataset.SeriesDescription = words


def _state_words(dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random) -> None:
    dataset.SeriesDescription = words
    general = ("", "EXTREMITY", "UPPER LIMB" if part == "hand" else "LOWER LIMB", None)
    if (chosen := random.choice(general)) is not None:
        dataset.BodyPartExamined = chosen


def _state_codes(dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random) -> None:
    dataset.ImageLaterality = side
    position = random.choice(_POSITIONS[part, view])
    _add_codes(dataset, part, view, position, random)


def _state_protocol(
    dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random
) -> None:
    dataset.BodyPartExamined, dataset.ProtocolName = part.upper(), words
    if random.random() < 0.5:
        dataset.SeriesDescription = ""


def _state_mixed(dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random) -> None:
    dataset.ImageLaterality, dataset.BodyPartExamined = side, part.upper()
    language = device.language
    dataset.SeriesDescription = f"{language.part(part, plural=False)} {language.view(part, view)}"


def _state_requested(
    dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random
) -> None:
    dataset.BodyPartExamined = part.upper()
    dataset.ViewPosition = random.choice(_POSITIONS[part, view])
    item = Dataset()
    item.RequestedProcedureDescription = item.ScheduledProcedureStepDescription = words
    item.ScheduledProcedureStepID = item.RequestedProcedureID = "1"
    dataset.RequestAttributesSequence = [item]
    dataset.PerformedProcedureStepDescription = words


def _state_no_view(
    dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random
) -> None:
    dataset.ImageLaterality, dataset.BodyPartExamined = side, part.upper()


def _state_digitised(
    dataset: Dataset, words: str, part: str, side: str, view: str, device: Device, random: Random
) -> None:
    dataset.SeriesDescription = words
    dataset.BodyPartExamined = part.upper()
    del dataset.ImagerPixelSpacing
    scanned = datetime.strptime(dataset.StudyDate, "%Y%m%d") + timedelta(days=random.randrange(200, 3000))
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = f"{scanned:%Y%m%d}", "100000"
    dataset.NominalScannedPixelSpacing = ["0.8", "0.8"]


_STATE = {
    "DX, all elements": _state_all_elements,
    "CR, elements": _state_elements,
    "CR, words only": _state_words,
    "DX, codes": _state_codes,
    "CR, protocol name": _state_protocol,
    "image laterality, view in words": _state_mixed,
    "requested procedure": _state_requested,
    "no view": _state_no_view,
    "digitised film": _state_digitised,
}


def _add_codes(dataset: Dataset, part: str, view: str, position: str, random: Random) -> None:
    older = random.random() < 0.4
    name = view if view != "FRONTAL" else position
    current, retired, meaning = _VIEW_CODES[name]
    dataset.ViewCodeSequence = [coded(retired, "SRT", meaning) if older and retired else coded(current, "SCT", meaning)]
    current, retired, meaning = _REGION_CODES[part]
    dataset.AnatomicRegionSequence = [
        coded(retired, "SRT", meaning) if older and retired else coded(current, "SCT", meaning)
    ]
