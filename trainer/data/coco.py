"""Training hands for the detector from a COCO file of joint boxes, such as that of RAM-H1200.

A category may name a joint (``MCP2``, ``Right PIP-3``, ``IP``) or only its kind (``MCP``). In the second case the joint's
name follows from the geometry of the hand, as the side always does. Other categories are left out. Names of image files
have no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

import ratui
from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import FilmError, TrainError, clean_text
from ratui.imaging import Box, Film
from ratui.scheme import Scheme
from ratui.study.importing import read_foreign_image
from trainer.data.hands import (
    FINE_SIZE,
    JOINT_KINDS,
    Frame,
    HandSamples,
    Progress,
    crop_hand,
    finger_joints,
    joint_template,
    kinds_by_joint,
    make_frame,
)
from trainer.data.image_cache import ImageCache
from trainer.inference.joint_naming import Candidate, NamedHand, name_hand

__all__ = ["load_coco_hands", "parse_joint_name"]

_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5"}
_LARGEST_FILE = 500_000_000  # bytes
_MAX_ITEMS = 20_000_000
_HAND_MARGIN = 1.5
"""Margin around the joints' boxes of one hand on an image of both, in box widths."""


@dataclass(frozen=True)
class _CocoHand:
    """A hand on an image: the file, the part of the image, the side, and the box of each joint in pixels of the image."""

    file: Path
    frame: Frame
    side: str
    boxes: Mapping[str, Box]


def load_coco_hands(path: Path, scheme: Scheme, folder: Path, progress: Progress) -> HandSamples:
    """Return all hands of the COCO file at `path` that show joints of `scheme`. Findings are unknown (NaN).

    A COCO box is (x, y, width, height), measured from the outer edge of the first pixel. A box that is not square becomes
    the square with the mean side and the same centre. The images are cached in `folder`. Raises TrainError if the file or
    an image cannot be used.
    """
    found = _read_annotations(path, scheme)
    joints = finger_joints(scheme)
    content = [(FINE_SIZE, str(hand.file), hand.file.stat().st_mtime_ns, hand.frame) for hand in found]
    cache = ImageCache(folder, "coco", (len(found), FINE_SIZE, FINE_SIZE), content)
    boxes = np.full((len(found), len(joints), 4), np.nan, np.float32)
    for row, hand in enumerate(found):
        if not cache.is_complete:
            progress("preparing COCO hands", row, len(found))
            cache.images[row] = crop_hand(_load_image(hand.file), hand.frame)
        for column, joint in enumerate(joints):
            if joint.id in hand.boxes:
                boxes[row, column] = hand.frame.to_square(hand.boxes[joint.id])
    cache.finish()
    progress("preparing COCO hands", len(found), len(found))
    return HandSamples(
        cache.images,
        boxes,
        np.full(boxes.shape[:2], np.nan, np.float32),
        np.array([JOINT_KINDS.index(joint.group) for joint in joints]),
        tuple(hand.frame for hand in found),
        tuple(hand.file.stem for hand in found),
        tuple(hand.file.stem for hand in found),
        tuple(hand.side for hand in found),
        tuple(joint.id for joint in joints),
    )


def parse_joint_name(name: str, scheme: Scheme) -> str | None:
    """Return the joint of `scheme` that a category's `name` stands for.

    The result is ``PIP`` or ``MCP`` if the name gives only the kind of joint, and None if it is no finger joint.
    """
    plain = re.sub(r"[^A-Z0-9]", " ", re.sub(r"(?<=[A-Za-z])(?=\d)", " ", name).upper())
    words = [
        _ROMAN.get(word, word) for word in plain.split() if word not in ("L", "R", "LEFT", "RIGHT", "JOINT", "HAND")
    ]
    called = "".join(words)
    known = {alias.upper(): joint.id for joint in finger_joints(scheme) for alias in (joint.id, *joint.aliases)}
    kinds = {**{kind: kind for kind in JOINT_KINDS}, "MP": "MCP"}
    return known.get(called, kinds.get(called))


def _read_annotations(path: Path, scheme: Scheme) -> list[_CocoHand]:
    raw = _load_json(path)
    try:
        called = {item["id"]: parse_joint_name(str(item["name"]), scheme) for item in raw["categories"]}
        names = {item["id"]: str(item["name"]) for item in raw["categories"]}
        files = {item["id"]: _find_image(path, str(item["file_name"])) for item in raw["images"]}
        by_image: dict[Any, list[tuple[str, Box]]] = {}
        for item in raw["annotations"]:
            joint = called[item["category_id"]]
            x, y, width, height = (float(value) for value in item["bbox"])
            if joint is not None and min(width, height) > 1:
                box = Box.from_centre(x + width / 2, y + height / 2, (width + height) / 2)
                by_image.setdefault(item["image_id"], []).append((joint, box))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(
            f"this is not a COCO file of boxes: {clean_text(error)}", path, "Give its annotations' JSON"
        ) from error
    if not any(called.values()):
        listed = ", ".join(clean_text(name) for name in list(names.values())[:8])
        raise TrainError(
            f"no category is a finger joint: {listed}", path, "Name categories MCP1 … PIP5, or MCP and PIP"
        )
    hands = [hand for image, boxes in by_image.items() for hand in _group_hands(files[image], boxes, scheme)]
    if not hands:
        raise TrainError("no image shows the joints of a hand", path, "Give a file with at least four joints per hand")
    return hands


def _load_json(path: Path) -> Any:
    try:
        return parse_json(read_bounded(path, _LARGEST_FILE), max_items=_MAX_ITEMS)
    except OSError as error:
        raise TrainError(f"the COCO file can't be read: {error.strerror}", path, "Check the path") from error
    except ValueError as error:
        raise TrainError("this is not JSON", path, "Give the annotations' JSON") from error


def _find_image(path: Path, name: str) -> Path:
    """Return the path of the image `name`.

    It may lie beside the COCO file, in a folder ``images`` or ``films`` or one named like the file, or one level higher.
    """
    inside = Path(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise TrainError("an image is outside of the file's folder", path, "Keep the images beside the file")
    near, above = path.parent, path.parent.parent
    for root in (near, *(at / name for at in (near, above) for name in ("images", "films", path.stem)), above):
        if (root / inside).is_file():
            return root / inside
    raise TrainError(f"the image {clean_text(name)} is missing", path, "Put the images beside the file")


def _group_hands(file: Path, boxes: list[tuple[str, Box]], scheme: Scheme) -> list[_CocoHand]:
    """Return the hands on one image, as the geometry of its boxes shows them. Joint names from the file are kept."""
    template, kinds = joint_template(scheme), kinds_by_joint(scheme)
    left = [(Candidate(*b.centre, b.width, kinds.get(name, name), 1.0), name, b) for name, b in boxes]
    found: list[tuple[NamedHand, dict[str, Box]]] = []
    while hand := name_hand([candidate for candidate, _, _ in left], template, kinds):
        used = {
            left[index][1] if left[index][1] in kinds else joint: left[index][2] for joint, index in hand.joints.items()
        }
        found.append((hand, used))
        left = [item for index, item in enumerate(left) if index not in hand.joints.values()]
    width, height = _image_size(file)
    whole = Box.from_size(width, height)
    return [
        _CocoHand(file, make_frame(whole if len(found) == 1 else _hand_area(used, whole), hand.side), hand.side, used)
        for hand, used in found
    ]


def _hand_area(boxes: Mapping[str, Box], whole: Box) -> Box:
    """Return the part of the image that shows the hand; the wrist lies below the boxes, so more is added there."""
    corners = np.array(list(boxes.values()))
    room = _HAND_MARGIN * float(np.mean(corners[:, 2] - corners[:, 0]))
    low, high = corners[:, :2].min(axis=0) - room, corners[:, 2:].max(axis=0) + np.array([room, 3 * room])
    x0, y0 = np.maximum(low, whole[:2]).tolist()
    x1, y1 = np.minimum(high, whole[2:]).tolist()
    return Box(x0, y0, x1, y1)


def _image_size(file: Path) -> tuple[int, int]:
    if file.suffix.lower() in (".dcm", ".dicom"):
        film = _load_image(file)
        return film.columns, film.rows
    try:
        with Image.open(file, formats=["PNG", "JPEG", "TIFF"]) as image:  # reads the header only
            return image.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise TrainError("an image can't be read", file, "Give PNG, JPEG, TIFF or DICOM") from error


def _load_image(file: Path) -> Film:
    """Return the image in `file` as a film with bone bright: DICOM, or an image of grey levels."""
    try:
        return ratui.read_film(file) if file.suffix.lower() in (".dcm", ".dicom") else read_foreign_image(file)
    except FilmError as error:
        raise TrainError(clean_text(error), file, "Leave this image out") from error
