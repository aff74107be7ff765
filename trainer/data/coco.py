"""Training hands for the detector from a COCO file of joint boxes, such as that of RAM-H1200.

A category may name a joint (``MCP2``, ``Right PIP-3``, ``IP``) or only its kind (``MCP``). In the second case the joint's
name follows from the geometry of the hand, as the side always does. Other categories are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ratui.detection.finger_joints import (
    FINE_SIZE,
    JOINT_KINDS,
    list_finger_joints,
    make_joint_template,
    map_joint_kinds,
)
from ratui.detection.joint_naming import Candidate, NamedHand, name_hand
from ratui.errors import TrainError
from ratui.imaging import Box, Film
from ratui.results.text_table import format_count
from ratui.scheme import Scheme
from trainer.data.coco_file import CocoFile, CocoImage, read_coco_file, read_patients
from trainer.data.coco_images import load_image
from trainer.data.hands import Frame, HandSamples, Progress, crop_hand, make_frame
from trainer.data.image_cache import ImageCache

__all__ = ["CocoHand", "find_coco_hands", "load_coco_hands", "load_film", "make_hand_samples", "print_notice"]

_HAND_MARGIN = 1.5
"""Margin around the joints' boxes of one hand on an image of both, in box widths."""


@dataclass(frozen=True)
class CocoHand:
    """A hand on an image: the part of the image, the side, and the box of each joint in pixels of the image."""

    image: CocoImage
    frame: Frame
    side: str
    boxes: Mapping[str, Box]


def print_notice(text: str) -> None:
    """Print a notice about the samples on standard error."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def load_coco_hands(
    path: Path,
    scheme: Scheme,
    folder: Path,
    progress: Progress,
    *,
    patients: Path | None = None,
    notify: Callable[[str], None] = print_notice,
) -> HandSamples:
    """Return all hands of the COCO file at `path` that show joints of `scheme`. Findings are unknown (NaN).

    Parameters
    ----------
    path
        The file; see `read_coco_file`. Its images lie beside it.
    scheme
        Scheme that defines the joints.
    folder
        Cache of the images.
    progress
        Called with a text, the number done and the total.
    patients
        A CSV file with the patient of each image; see `read_patients`. Without it, the patients follow from the COCO file.
    notify
        Called with each notice: what was left out, and how the patients are known.

    Returns
    -------
    HandSamples
        The hands. Their `cases` are the patients.

    Raises
    ------
    TrainError
        If the file can't be used, shows no hand, or one of its images can't be decoded.
    """
    content = read_coco_file(path, scheme, read_patients(patients) if patients else None)
    found = find_coco_hands(content, scheme)
    notices = content.left_out.describe()
    if not found:
        reasons = f": {'; '.join(notices)}" if notices else ""
        raise TrainError(
            f"no image shows the joints of a hand{reasons}", path, "Give a file with at least four joints per hand"
        )
    for notice in notices:
        notify(f"{path.name}: {notice}")
    people = {hand.image.patient for hand in found}
    counts = f"{format_count(len(found), 'hand')} of {format_count(len(people), 'patient')}"
    notify(f"{path.name}: {counts}, known from {content.patient_rule}")
    return make_hand_samples(found, scheme, folder, progress)


def make_hand_samples(
    found: Sequence[CocoHand], scheme: Scheme, folder: Path, progress: Progress, *, name: str = "coco"
) -> HandSamples:
    """Return samples of hands for the detector. Findings are unknown (NaN).

    Parameters
    ----------
    found
        The hands.
    scheme
        Scheme that defines the joints.
    folder
        Cache of the images, in files that begin with `name`.
    progress
        Called with a text, the number done and the total.
    name
        First part of the names of the cached files.

    Raises
    ------
    TrainError
        If an image can't be decoded.
    """
    joints = list_finger_joints(scheme)
    sources = [(FINE_SIZE, str(h.image.file), h.image.file.stat().st_mtime_ns, h.frame) for h in found]
    cache = ImageCache(folder, name, (len(found), FINE_SIZE, FINE_SIZE), sources)
    boxes = np.full((len(found), len(joints), 4), np.nan, np.float32)
    for row, hand in enumerate(found):
        if not cache.is_complete:
            progress("preparing COCO hands", row, len(found))
            cache.images[row] = crop_hand(load_film(hand.image), hand.frame)
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
        tuple(hand.image.patient for hand in found),
        tuple(hand.image.file.stem for hand in found),
        tuple(hand.side for hand in found),
        tuple(joint.id for joint in joints),
        source="COCO file",
    )


def load_film(image: CocoImage) -> Film:
    """Return the decoded image. Raises TrainError if it can't be decoded, or has another size than its header states."""
    film = load_image(image.file)
    if (film.columns, film.rows) != image.size:
        raise TrainError("its header states another size than its pixels", image.file, "Leave it out")
    return film


def find_coco_hands(content: CocoFile, scheme: Scheme) -> list[CocoHand]:
    """Return the hands on all images. Boxes that fit no hand are counted as left out."""
    hands: list[CocoHand] = []
    for image in content.images:
        here = _group_hands(image, scheme)
        hands += here
        rest = len(image.boxes) - sum(len(hand.boxes) for hand in here)
        if rest:
            content.left_out.add("box", "they fit no hand with at least four joints", image.file.name, rest)
    return hands


def _group_hands(image: CocoImage, scheme: Scheme) -> list[CocoHand]:
    """Return the hands on one image, as the geometry of its boxes shows them. Joint names from the file are kept."""
    template, kinds = make_joint_template(scheme), map_joint_kinds(scheme)
    left = [(Candidate(*b.centre, b.width, kinds.get(name, name), 1.0), name, b) for name, b in image.boxes]
    found: list[tuple[NamedHand, dict[str, Box]]] = []
    whole = Box.from_size(*image.size)
    outline = np.array([(whole.x0, whole.y0), (whole.x1, whole.y0), (whole.x1, whole.y1), (whole.x0, whole.y1)])
    while hand := name_hand([candidate for candidate, _, _ in left], template, kinds, outline=outline):
        used = {
            left[index][1] if left[index][1] in kinds else joint: left[index][2] for joint, index in hand.joints.items()
        }
        found.append((hand, used))
        left = [item for index, item in enumerate(left) if index not in hand.joints.values()]
    return [
        CocoHand(image, make_frame(whole if len(found) == 1 else _hand_area(used, whole), hand.side), hand.side, used)
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
