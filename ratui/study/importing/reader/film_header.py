"""The header of a film as values: patient, dates, and all elements that say what the film shows.

The values are texts, as the file has them, each of a bounded length. Nothing is interpreted here. They name a patient, so
that they must not appear in a message, a log or a study. `header_reader` reads them in another process, which a file may
control: `decode_header` checks each of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ratui.bounded_parsing import parse_json

__all__ = [
    "LONGEST_TEXT",
    "LONGEST_UID",
    "MAX_HEADER_BYTES",
    "MAX_REFERENCES",
    "CodedTerm",
    "FilmHeader",
    "KeyReferences",
    "decode_header",
    "encode_header",
    "is_key_object",
    "parse_size",
]

MAX_HEADER_BYTES = 1_000_000
"""Maximum length of a header in the form of `encode_header`."""
LONGEST_TEXT = 400
"""Maximum number of characters of a text; a person's name has at most 3 × 64 with its delimiters, a description 64."""
LONGEST_UID = 64
"""Maximum number of characters of a UID (PS3.5 section 9.1)."""
MAX_REFERENCES = 1000
"""Maximum number of references that are read in each of the two lists of a key object note."""
_KEY_OBJECT_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"
_SINGLE_TEXTS = (
    *("patient_id", "issuer", "issuer_qualifiers", "name", "birth_date", "sex"),
    *("study_uid", "series_uid", "instance_uid", "sop_class", "modality", "image_type"),
)


@dataclass(frozen=True)
class CodedTerm:
    """One item of a code sequence: coding scheme designator, code value and code meaning."""

    scheme: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class KeyReferences:
    """The images that a key object note names (Key Object Selection, PS3.3 A.35.4).

    Attributes
    ----------
    evidence
        Study Instance UID and SOP Instance UID of each image in Current Requested Procedure Evidence Sequence.
    content
        SOP Instance UID of each image in the content of the note.
    is_complete
        False if the note names more images than `MAX_REFERENCES`, or a UID is too long; these are not read.
    """

    evidence: tuple[tuple[str, str], ...] = ()
    content: tuple[str, ...] = ()
    is_complete: bool = True

    def __post_init__(self) -> None:
        uids = [*self.content, *(uid for pair in self.evidence for uid in pair)]
        if len(self.evidence) > MAX_REFERENCES or len(self.content) > MAX_REFERENCES:
            raise ValueError("more references than are read")
        if any(len(uid) > LONGEST_UID for uid in uids):
            raise ValueError("longer than any UID")


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
        Digest of samples of the stored picture, or empty. Files with equal digests may have the same picture.
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


def is_key_object(sop_class: str, modality: str) -> bool:
    """Return whether an object is a key object note."""
    return sop_class == _KEY_OBJECT_CLASS or modality.upper() == "KO"


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
        **{name: _check_text(raw[name]) for name in _SINGLE_TEXTS},
        other_ids=tuple((_check_text(one), _check_text(other)) for one, other in raw["other_ids"]),
        source_uids=tuple(map(_check_text, raw["source_uids"])),
        dates={_check_text(key): _check_text(text) for key, text in raw["dates"].items()},
        elements={_check_text(key): _check_text(text) for key, text in raw["elements"].items()},
        codes={
            _check_text(key): tuple(
                CodedTerm(_check_text(term["scheme"]), _check_text(term["value"]), _check_text(term["meaning"]))
                for term in terms
            )
            for key, terms in raw["codes"].items()
        },
        rows=parse_size(str(raw["rows"])),
        columns=parse_size(str(raw["columns"])),
        content=_check_text(raw["content"]),
        key_references=KeyReferences(
            tuple((_check_text(study), _check_text(uid)) for study, uid in raw["key_references"]["evidence"]),
            tuple(map(_check_text, raw["key_references"]["content"])),
            raw["key_references"]["is_complete"] is True,
        ),
    )


def _check_text(text: Any) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError("not a text of a header")
    return text


def parse_size(text: str) -> int:
    """Return the number of rows or columns that a text states, 0 for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
