"""A COCO file of joint boxes: its images with their patients, and the boxes of finger joints.

Such files come from CVAT, Label Studio, X-AnyLabeling, pycocotools, RAM-H1200 and others, and differ in details. An item
that can't be used is left out and counted with the reason; the other items stay.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError, clean_text
from ratui.imaging import Box
from ratui.scheme import Scheme
from trainer.data.coco_images import UnusableImageError, find_image, place_boxes
from trainer.data.coco_names import UNCLEAR, parse_joint_names

__all__ = ["CocoFile", "CocoImage", "LeftOut", "patient_of_name", "read_coco_file", "read_patients"]

_LARGEST_FILE = 500_000_000  # bytes
_MAX_ITEMS = 20_000_000
_LARGEST_TABLE = 20_000_000  # bytes
_PATIENT_FIELDS = ("patient_id", "patient", "subject", "case")
_SIDE_WORD = re.compile(r"L|R|LH|RH|LEFT|RIGHT|HAND|HANDS|BOTH|AP|PA")
_VISIT_WORD = re.compile(r"(V|T|TP|VISIT|TIME|FOLLOWUP)\d{0,3}|BASELINE|BL|FU\d{0,3}")


@dataclass(frozen=True)
class CocoImage:
    """An image: its file, its size in pixels, its patient, and its boxes by the joint or the kind that the file names.

    `name` is the file's name, or the one before a program changed it, if the COCO file states it. `others` are the boxes of
    joints that are no finger joints, if they were asked for.
    """

    file: Path
    size: tuple[int, int]
    patient: str
    boxes: tuple[tuple[str, Box], ...]
    name: str = ""
    others: tuple[tuple[str, Box], ...] = ()


@dataclass
class LeftOut:
    """Counts of what was left out, by reason."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)

    def add(self, thing: str, reason: str, example: object = "", count: int = 1) -> None:
        """Count a ``box``, an ``image`` or a ``score`` that was left out for `reason`; `example` names it."""
        key = (thing, reason)
        self.counts[key] = self.counts.get(key, 0) + count
        named = self.examples.setdefault(key, {})
        if str(example) and len(named) < 30:
            named[clean_text(example, 40)] = None

    def describe(self) -> tuple[str, ...]:
        """Return one line for each reason."""
        lines = []
        for (thing, reason), count in self.counts.items():
            named = list(self.examples[thing, reason])
            listed = f" ({', '.join(named)})" if named else ""
            plural = thing if count == 1 else {"box": "boxes", "image": "images", "score": "scores"}[thing]
            lines.append(f"{count} {plural} left out: {reason}{listed}")
        return tuple(lines)


@dataclass(frozen=True)
class CocoFile:
    """The usable images of a COCO file, what was left out, and how the patients are known.

    `patient_rule` says how: ``a field of the file``, ``the table of patients`` or ``the names of the image files``.
    """

    images: tuple[CocoImage, ...]
    left_out: LeftOut
    patient_rule: str


def read_coco_file(
    path: Path, scheme: Scheme, patients: Mapping[str, str] | None = None, *, others: Mapping[str, str] | None = None
) -> CocoFile:
    """Return the images and finger joints of the COCO file at `path`.

    A box is (x, y, width, height), measured from the outer edge of the first pixel. A box that is not square becomes the
    square with the mean side and the same centre.

    Parameters
    ----------
    path
        The file.
    scheme
        Scheme that defines the joints.
    patients
        Patient by name of the image file, from `read_patients`.
    others
        Joint by category, for joints that are no finger joints. By default they are left out.

    Raises
    ------
    TrainError
        If it is no COCO file, no category is a finger joint, or `patients` lacks an image.
    """
    raw = _load_json(path)
    others = others or {}
    called = _read_categories(raw, path, scheme, others)
    left_out = LeftOut()
    grouped = _group_boxes(_items(raw, "annotations", path), called, left_out)
    info = raw.get("info")
    from_percent = isinstance(info, dict) and info.get("contributor") == "Label Studio"
    records = _index_images(_items(raw, "images", path), left_out)
    for id in grouped.keys() - records.keys():
        left_out.add("box", "their image is unknown", id, len(grouped[id]))
    stated = sum(_stated_patient(record) is not None for record in records.values())
    by_field = patients is None and stated == len(records) > 0
    images = []
    for id, record in records.items():
        boxes = grouped.get(id)
        if not boxes:
            continue
        name = str(record["file_name"])
        try:
            file = find_image(path, name)
            size, place = place_boxes(file, _stated_size(record), from_percent=from_percent)
        except UnusableImageError as error:
            left_out.add("image", str(error), name)
            continue
        placed = [(joint, place(box)) for joint, box in boxes]
        inside = [(joint, box) for joint, box in placed if _is_inside(box, size)]
        if len(inside) < len(placed):
            left_out.add("box", "their centre is outside of the image", name, len(placed) - len(inside))
        patient = _find_patient(name, record, patients, by_field=by_field, path=path)
        is_other = [joint in others.values() for joint, _ in inside]
        fingers, rest = (tuple(compress(inside, chosen)) for chosen in ([not each for each in is_other], is_other))
        images.append(CocoImage(file, size, patient, fingers, _original_name(record), rest))
    rule = "a field of the file" if by_field else "the names of the image files"
    return CocoFile(tuple(images), left_out, rule if patients is None else "the table of patients")


def read_patients(path: Path) -> dict[str, str]:
    """Return the patient by name of the image file, from a CSV file with the columns ``file`` and ``patient``.

    Raises TrainError.
    """
    try:
        text = read_bounded(path, _LARGEST_TABLE).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        table = {_plain_name(row["file"]): row["patient"].strip() for row in rows}
    except OSError as error:
        raise TrainError(f"the table of patients can't be read: {error.strerror}", path, "Check the path") from error
    except (ValueError, KeyError, AttributeError, TypeError, csv.Error) as error:
        raise TrainError(
            "this is no table of patients", path, "Give a CSV file with the columns file and patient"
        ) from error
    if not table or not all(table.values()):
        raise TrainError("a file has no patient", path, "Fill the columns file and patient")
    if len(table) < len(rows):
        raise TrainError("a file is listed twice", path, "List each file once")
    return table


def patient_of_name(name: str) -> str:
    """Return the patient of an image by the name of its file: the name without folder, suffix, words of side and of visit.

    ``p017_L_v1.png`` and ``p017_R_v2.png`` are of one patient, ``p017``. Numbers stay, as they tell patients apart.
    """
    stem = re.sub(r"\.[A-Za-z]{2,5}$", "", _plain_name(name))
    words = [word for word in re.split(r"[\s_.-]+", stem) if word]
    kept = [
        word for word in words if not _SIDE_WORD.fullmatch(word.upper()) and not _VISIT_WORD.fullmatch(word.upper())
    ]
    return "_".join(kept or words)


def _load_json(path: Path) -> dict[str, Any]:
    try:
        raw = parse_json(read_bounded(path, _LARGEST_FILE), max_items=_MAX_ITEMS)
    except OSError as error:
        raise TrainError(f"the COCO file can't be read: {error.strerror}", path, "Check the path") from error
    except ValueError as error:
        raise TrainError("this is not JSON", path, "Give the annotations' JSON") from error
    if not isinstance(raw, dict):
        raise TrainError("this is not a COCO file of boxes", path, "Give its annotations' JSON")
    return raw


def _items(raw: Mapping[str, Any], name: str, path: Path) -> Sequence[Any]:
    items = raw.get(name)
    if not isinstance(items, list):
        raise TrainError(
            f"this is not a COCO file of boxes: it has no list of {name}", path, "Give its annotations' JSON"
        )
    return items


def _read_categories(
    raw: Mapping[str, Any], path: Path, scheme: Scheme, others: Mapping[str, str]
) -> dict[str, tuple[str, str | None]]:
    """Return name and joint of each category by its ID. Raises TrainError if none is a finger joint."""
    names: dict[str, str] = {}
    for item in _items(raw, "categories", path):
        id = _id_of(item, "id")
        if id is None or not isinstance(item.get("name"), str):
            continue
        if names.setdefault(id, item["name"]) != item["name"]:
            raise TrainError(f"two categories have the ID {clean_text(id)}", path, "Give each an ID of its own")
    try:
        joints = parse_joint_names(list(dict.fromkeys(names.values())), scheme)
    except TrainError as error:
        raise TrainError(error.problem, path, error.remedy) from error
    if not any(joint not in (None, UNCLEAR) for joint in joints.values()):
        listed = ", ".join(clean_text(name) for name in list(joints)[:8]) or "the file has none"
        raise TrainError(
            f"no category is a finger joint: {listed}", path, "Name categories MCP1 … PIP5, or MCP and PIP"
        )
    return {id: (name, joints[name] or others.get(name)) for id, name in names.items()}


def _group_boxes(
    items: Sequence[Any], called: Mapping[str, tuple[str, str | None]], left_out: LeftOut
) -> dict[str, list[tuple[str, Box]]]:
    """Return the usable boxes with their joints by the ID of the image."""
    grouped: dict[str, list[tuple[str, Box]]] = {}
    for item in items:
        image, category = _id_of(item, "image_id"), _id_of(item, "category_id")
        if image is None or category is None or category not in called:
            left_out.add("box", "their image or category is not stated or unknown", category or "")
            continue
        name, joint = called[category]
        if joint is None or joint == UNCLEAR:
            left_out.add("box", "their category is " + ("not clear" if joint else "no finger joint"), name)
            continue
        if item.get("iscrowd") in (1, "1", True):
            left_out.add("box", "they are marked as a crowd")
            continue
        box = _read_box(item.get("bbox"))
        if isinstance(box, str):
            left_out.add("box", box)
        else:
            grouped.setdefault(image, []).append((joint, box))
    return grouped


def _read_box(value: object) -> Box | str:
    """Return the square box of an annotation, or the reason why it can't be used."""
    if not value:
        return "they have no bbox"
    if not isinstance(value, list) or len(value) != 4 or not all(_is_number(number) for number in value):
        return "their bbox is not four finite numbers"
    x, y, width, height = (float(number) for number in value)
    if min(width, height) <= 1:
        return "they are not larger than one pixel"
    return Box.from_centre(x + width / 2, y + height / 2, (width + height) / 2)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 10**9


def _is_inside(box: Box, size: tuple[int, int]) -> bool:
    x, y = box.centre
    return 0 <= x <= size[0] and 0 <= y <= size[1]


def _index_images(items: Sequence[Any], left_out: LeftOut) -> dict[str, dict[str, Any]]:
    """Return the records of the images by ID, without those that have no name, or share their ID with another image."""
    records: dict[str, dict[str, Any]] = {}
    twice: set[str] = set()
    for item in items:
        id = _id_of(item, "id")
        if id is None or not isinstance(item.get("file_name"), str) or not item["file_name"]:
            left_out.add("image", "it has no ID or no file name")
        elif records.setdefault(id, item)["file_name"] != item["file_name"]:
            twice.add(id)
    for id in twice:
        left_out.add("image", "two images have this ID", id)
    # Their boxes could be of either image.
    return {id: record for id, record in records.items() if id not in twice}


def _id_of(item: object, name: str) -> str | None:
    """Return an ID as text, since some writers store numbers as text; None if there is none."""
    value = item.get(name) if isinstance(item, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else None
    return str(value).strip() or None


def _stated_size(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return width and height, or None if the file states none; some writers store 0 then."""
    width, height = record.get("width"), record.get("height")
    if not _is_number(width) or not _is_number(height):
        return None
    size = (round(float(width)), round(float(height)))  # type: ignore[arg-type]
    return size if min(size) > 0 else None


def _stated_patient(record: Mapping[str, Any]) -> str | None:
    extra = record.get("extra")
    for source in (record, extra if isinstance(extra, dict) else {}):
        for name in _PATIENT_FIELDS:
            if (id := _id_of(source, name)) is not None:
                return id
    return None


def _find_patient(
    name: str, record: Mapping[str, Any], patients: Mapping[str, str] | None, *, by_field: bool, path: Path
) -> str:
    if patients is not None:
        plain = _plain_name(name)
        patient = patients.get(plain) or patients.get(plain.rpartition(".")[0])
        if patient is None:
            raise TrainError(
                f"the table of patients lacks the image {clean_text(name)}", path, "Add its file and patient"
            )
        return patient
    return (_stated_patient(record) or "") if by_field else patient_of_name(_original_name(record))


def _original_name(record: Mapping[str, Any]) -> str:
    """Return the name of an image before a program changed it, or its file name."""
    extra = record.get("extra")
    original = extra.get("name") if isinstance(extra, dict) else None
    return original if isinstance(original, str) and original else str(record["file_name"])


def _plain_name(name: str) -> str:
    return name.strip().replace("\\", "/").rpartition("/")[2]
