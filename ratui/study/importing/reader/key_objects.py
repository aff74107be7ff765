"""Read the images that a key object note names (Key Object Selection, PS3.3 A.35.4): their UIDs only.

A note may be hostile: the number of its references, their depth and the length of their texts are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import pydicom

__all__ = ["MAX_REFERENCES", "KeyReferences", "is_key_object", "read_references"]

MAX_REFERENCES = 1000
"""Maximum number of references that are read in each of the two lists of a note."""
_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"
_MAX_UID = 64  # characters (PS3.5 section 9.1)

ReadText = Callable[[pydicom.Dataset, str], str]
ReadItems = Callable[[pydicom.Dataset, str], list[pydicom.Dataset]]


@dataclass(frozen=True)
class KeyReferences:
    """The images that a key object note names.

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
        if any(len(uid) > _MAX_UID for uid in uids):
            raise ValueError("longer than any UID")


def is_key_object(sop_class: str, modality: str) -> bool:
    """Return whether an object is a key object note."""
    return sop_class == _CLASS or modality.upper() == "KO"


def read_references(dataset: pydicom.Dataset, items: ReadItems, text: ReadText) -> KeyReferences:
    """Return the images that the key object note `dataset` names.

    Parameters
    ----------
    dataset
        The note.
    items
        Function that returns all items of a sequence.
    text
        Function that returns the text of an element.
    """
    evidence = list(islice(_read_evidence(dataset, items, text), MAX_REFERENCES + 1))
    content = list(islice(_read_content(dataset, items, text), MAX_REFERENCES + 1))
    kept = [pair for pair in evidence[:MAX_REFERENCES] if max(map(len, pair)) <= _MAX_UID]
    named = [uid for uid in content[:MAX_REFERENCES] if len(uid) <= _MAX_UID]
    return KeyReferences(tuple(kept), tuple(named), len(kept) == len(evidence) and len(named) == len(content))


def _read_evidence(dataset: pydicom.Dataset, items: ReadItems, text: ReadText) -> Iterator[tuple[str, str]]:
    for study in items(dataset, "CurrentRequestedProcedureEvidenceSequence"):
        study_uid = text(study, "StudyInstanceUID")
        for series in items(study, "ReferencedSeriesSequence"):
            for image in items(series, "ReferencedSOPSequence"):
                if uid := text(image, "ReferencedSOPInstanceUID"):
                    yield study_uid, uid


def _read_content(dataset: pydicom.Dataset, items: ReadItems, text: ReadText) -> Iterator[str]:
    for item in items(dataset, "ContentSequence"):  # images are items of the first level (PS3.16 TID 2010)
        if text(item, "ValueType").upper() in ("IMAGE", "COMPOSITE"):
            for image in items(item, "ReferencedSOPSequence"):
                if uid := text(image, "ReferencedSOPInstanceUID"):
                    yield uid
