"""Content trees of DICOM Structured Reports, encoded in Explicit VR Little Endian (PS3.5 7.1.2, PS3.3 C.17.3).

A report has about 1,000 nested items. To build them as datasets takes half a second, so the few types of content items that
ratui uses are encoded here, from the leaves to the root. Each function returns the bytes of one item. Texts are encoded as
UTF-8; for ASCII these are also the bytes of Latin 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from pydicom.valuerep import format_number_as_ds

__all__ = [
    "CONCEPT_MOD",
    "CONTAINS",
    "CONTENT_SEQUENCE",
    "OBS_CONTEXT",
    "Concept",
    "encode_content",
    "make_code_item",
    "make_container_item",
    "make_number_item",
    "make_person_item",
    "make_polyline_item",
    "make_text_item",
    "make_uid_item",
]

CONTAINS, CONCEPT_MOD, OBS_CONTEXT = "CONTAINS", "HAS CONCEPT MOD", "HAS OBS CONTEXT"
"""Relationships of an item to its parent (PS3.3 C.17.3.2.4)."""
CONTENT_SEQUENCE = 0x0040A730
_LONG_FORMS = {"OB", "SQ", "UC", "UT"}  # their lengths have four bytes (PS3.5 7.1.2)
_LONGEST_CODE = 16  # characters of a Code Value (VR SH); longer ones are Long Code Values


class Concept(NamedTuple):
    """A coded concept: its code, the designator of the coding scheme, and its meaning in at most 64 characters."""

    code: str
    scheme: str
    meaning: str


_SOURCE = Concept("260753009", "SCT", "Source")


def encode_content(items: Iterable[bytes]) -> bytes:
    """Return the element Content Sequence with `items`, which is the last element of a report."""
    return _sequence(CONTENT_SEQUENCE, items)


def make_container_item(name: Concept, children: Iterable[bytes], template: str = "") -> bytes:
    """Return an item that contains `children`; `template` is the number of its template in PS3.16, if it has one."""
    mapping = (_text(0x00080105, "CS", "DCMR") + _text(0x0040DB00, "CS", template),)
    values = _text(0x0040A050, "CS", "CONTINUOUS") + (_sequence(0x0040A504, mapping) if template else b"")
    return _item(CONTAINS, "CONTAINER", name, values + encode_content(children))


def make_code_item(relationship: str, name: Concept, value: Concept, children: Sequence[bytes] = ()) -> bytes:
    """Return an item whose value is a coded concept."""
    return _item(relationship, "CODE", name, _code(0x0040A168, value) + _children(children))


def make_number_item(
    relationship: str, name: Concept, value: float, unit: Concept, children: Sequence[bytes] = ()
) -> bytes:  # fmt: skip
    """Return an item whose value is a number with a unit. A fraction is also stored in binary form, without rounding."""
    parts = [_code(0x004008EA, unit)]
    if value != int(value):
        parts.append(_element(0x0040A161, "FD", struct.pack("<d", value)))
    number = str(int(value)) if value == int(value) else format_number_as_ds(float(value))
    parts.append(_text(0x0040A30A, "DS", number))
    measured = _sequence(0x0040A300, (b"".join(parts),))
    return _item(relationship, "NUM", name, measured + _children(children))


def make_text_item(relationship: str, name: Concept, value: str) -> bytes:
    """Return an item whose value is a text."""
    return _item(relationship, "TEXT", name, _text(0x0040A160, "UT", value))


def make_uid_item(relationship: str, name: Concept, value: str) -> bytes:
    """Return an item whose value is a UID."""
    return _item(relationship, "UIDREF", name, _text(0x0040A124, "UI", value))


def make_person_item(relationship: str, name: Concept, value: str) -> bytes:
    """Return an item whose value is a person name in DICOM's form, such as ``family^given``."""
    return _item(relationship, "PNAME", name, _text(0x0040A123, "PN", value))


def make_polyline_item(name: Concept, points: Sequence[float], image_class: str, image: str) -> bytes:
    """Return an item with a line on an image.

    Parameters
    ----------
    name
        The meaning of the line.
    points
        Column and row of each point in turn, in the units of GraphicData (PS3.3 C.10.5).
    image_class, image
        SOP Class UID and SOP Instance UID of the image.
    """
    reference = _text(0x00081150, "UI", image_class) + _text(0x00081155, "UI", image)
    source = _sequence(0x00081199, (reference,)) + _item("SELECTED FROM", "IMAGE", _SOURCE, b"")
    graphic = _element(0x00700022, "FL", struct.pack(f"<{len(points)}f", *points))
    return _item(
        CONTAINS, "SCOORD", name, encode_content((source,)) + graphic + _text(0x00700023, "CS", "POLYLINE")
    )  # fmt: skip


def _item(relationship: str, kind: str, name: Concept, values: bytes) -> bytes:
    """Return an item. `values` are its elements after Concept Name Code Sequence, by ascending tags."""
    return _head(relationship, kind, name) + values


@lru_cache(maxsize=1024)
def _head(relationship: str, kind: str, name: Concept) -> bytes:
    return _text(0x0040A010, "CS", relationship) + _text(0x0040A040, "CS", kind) + _code(0x0040A043, name)


@lru_cache(maxsize=1024)
def _code(tag: int, concept: Concept) -> bytes:
    """Return a sequence of one coded concept (PS3.3 table 8.8-1)."""
    is_long = len(concept.code) > _LONGEST_CODE
    parts = [_text(0x00080102, "SH", concept.scheme), _text(0x00080104, "LO", concept.meaning)]
    parts.insert(2 if is_long else 0, _text(*((0x00080119, "UC") if is_long else (0x00080100, "SH")), concept.code))
    return _sequence(tag, (b"".join(parts),))


def _children(items: Sequence[bytes]) -> bytes:
    return encode_content(items) if items else b""


def _sequence(tag: int, items: Iterable[bytes]) -> bytes:
    # Each item is a tag without VR, with its length (PS3.5 7.5).
    return _element(tag, "SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items))


def _text(tag: int, vr: str, text: str) -> bytes:
    value = text.encode()
    if len(value) % 2:  # values have even lengths: UIDs are padded with zeros, texts with spaces (PS3.5 6.2)
        value += b"\0" if vr == "UI" else b" "
    return _element(tag, vr, value)


def _element(tag: int, vr: str, value: bytes) -> bytes:
    if vr in _LONG_FORMS:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value
