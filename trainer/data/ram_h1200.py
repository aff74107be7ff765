"""A folder in the layout of RAM-H1200: images of hands with COCO boxes of their joints, ERO and JSN scores, and a split.

The COCO files may lie anywhere in the folder. The scores of a split lie in a folder ``train``, ``val`` or ``test``, in
``_annotation_be_scores.json`` (bone erosion, ERO) and ``_annotation_jsn_scores.json``: for each image an object of scores
by site. There is one time point for each patient.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from types import MappingProxyType

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError, clean_text
from ratui.imaging import Box
from ratui.scheme import Scheme
from trainer.data.coco import CocoHand, find_coco_hands
from trainer.data.coco_file import LeftOut, read_coco_file, read_patients
from trainer.data.splits import Split, pick_validation_cases, split_cases

__all__ = ["RAM_NAMES", "SCORE_FILES", "RamImage", "RamSet", "read_ram_h1200", "read_scores"]

_FINGERS = {
    f"{kind}{number}": f"{kind}-{letter}"
    for kind, first in (("MCP", 1), ("PIP", 2))
    for number, letter in enumerate("TIMRS"[first - 1 :], first)
}
_WRIST = {
    "CMC1": "CMC-T",
    "CMC3": "CMC-M",
    "CMC4": "CMC-R",
    "CMC5": "CMC-S",
    "RAD": "R",
    "ULN": "U",
    "LUN": "L",
    "NAV": "S",
    "MULT": "Tm",
    "MULT-NAV": "STT",
    "CAP-NAV-LUN": "SC",
    "RC": "SR",
}
RAM_NAMES: Mapping[str, str] = MappingProxyType({**_FINGERS, "IP1": "IP", **_WRIST})
"""Name of the set for each joint of the scheme ``mtss-hands``. A key of the scores adds the scale: ``BE_R``, ``JSN_SC``."""
SCORE_FILES: Mapping[str, str] = MappingProxyType(
    {"ERO": "_annotation_be_scores.json", "JSN": "_annotation_jsn_scores.json"}
)
"""Name of the file of scores for each scale."""
_PREFIXES = {"ERO": "BE", "JSN": "JSN"}
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_STRICTEST = ("test", "val", "train")
_LARGEST_FILE = 500_000_000  # bytes
_CHANGED_NAME = re.compile(r"_(?:bmp|png|jpe?g|tiff?)\.rf\.[0-9A-Za-z]+$")  # Roboflow adds a digest to the name


@dataclass(frozen=True)
class RamImage:
    """An image of one hand: its part of the split (``train``, ``val`` or ``test``), and its grades by joint and scale."""

    hand: CocoHand
    part: str
    grades: Mapping[tuple[str, str], int]

    @property
    def patient(self) -> str:
        """The patient."""
        return self.hand.image.patient

    @property
    def boxes(self) -> dict[str, Box]:
        """The boxes that the folder states, in pixels of the image, by joint."""
        return {**self.hand.boxes, **dict(self.hand.image.others)}


@dataclass(frozen=True)
class RamSet:
    """The usable images of a folder.

    `has_official_split` is False if the folder has no part ``test``; the images are then split by patient. `files` are the
    files with boxes and scores, `patient_rule` says how the patients are known, and `notices` what was left out.
    """

    images: tuple[RamImage, ...]
    has_official_split: bool
    patient_rule: str
    files: tuple[Path, ...]
    notices: tuple[str, ...]

    def part(self, *names: str) -> tuple[RamImage, ...]:
        """Return the images in these parts of the split."""
        return tuple(image for image in self.images if image.part in names)

    def patients(self, *names: str) -> tuple[str, ...]:
        """Return the patients with images in these parts of the split, sorted."""
        return tuple(sorted({image.patient for image in self.part(*names)}))

    @property
    def split(self) -> Split:
        """The patients to train on, those to choose the epoch with included, and the patients of the test."""
        return Split(self.patients("train", "val"), self.patients("test"))


@dataclass
class _Found:
    """Everything in the folder by name of the image: hands, grades, and the parts of the split that files state."""

    hands: dict[str, CocoHand] = field(default_factory=dict)
    grades: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    parts: dict[str, set[str]] = field(default_factory=dict)

    def state_part(self, name: str, part: str | None) -> None:
        if part is not None:
            self.parts.setdefault(name, set()).add(part)

    def part_of(self, name: str) -> str | None:
        """Return the part of an image. What a file states as test is never trained on, whatever another file states."""
        return next((part for part in _STRICTEST if part in self.parts.get(name, ())), None)


def read_ram_h1200(
    folder: Path,
    scheme: Scheme,
    *,
    patients: Path | None = None,
    skip_unknown: bool = False,
    seed: int = 0,
    held_out: float = 0.25,
    validation: float = 0.1,
) -> RamSet:
    """Return the images in `folder` with boxes and grades.

    Parameters
    ----------
    folder
        The folder.
    scheme
        The scheme ``mtss-hands``, which names the joints.
    patients
        A CSV file with the patient of each image; see `trainer.data.coco_file.read_patients`. Without it, patients follow
        from a field of the COCO file or from the names of the images.
    skip_unknown
        Leave out scores of images without boxes. Otherwise they are an error.
    seed, held_out, validation
        The split by patient of a folder without an official one; see `trainer.data.splits`. Without a part ``val``, the
        share `validation` of the training patients is kept to choose the epoch.

    Raises
    ------
    TrainError
        If the folder has no boxes or scores, or one of them can't be used.
    """
    if not folder.is_dir():
        raise TrainError("there is no such folder", folder, "Give the folder of the data set")
    left_out, found, notices = LeftOut(), _Found(), list[str]()
    score_files = [(file, scale) for scale, name in SCORE_FILES.items() for file in sorted(folder.rglob(name))]
    if not score_files:
        raise TrainError(
            f"it has no file {' or '.join(SCORE_FILES.values())}", folder, "Give the folder of the whole data set"
        )
    joint_files = _find_joint_files(folder)
    if not joint_files:
        raise TrainError("it has no COCO file with boxes of finger joints", folder, "Add the joints of the data set")
    table = read_patients(patients) if patients is not None else None
    rules = set()
    for file in joint_files:
        content = read_coco_file(file, scheme, table, others={RAM_NAMES[joint]: joint for joint in _WRIST})
        rules.add(content.patient_rule)
        _add_hands(found, find_coco_hands(content, scheme), file, _part_of_path(file, folder), left_out)
        notices += [f"{_relative(file, folder)}: {line}" for line in content.left_out.describe()]
    for file, scale in score_files:
        part = _part_of_path(file, folder)
        for name, grades in read_scores(file, scale, scheme, left_out).items():
            if any((joint, scale) in found.grades.get(name, {}) for joint in grades):
                raise TrainError(
                    f"the image {clean_text(name)} has {scale} scores in two files", file, "Leave one of them out"
                )
            found.grades.setdefault(name, {}).update({(joint, scale): grade for joint, grade in grades.items()})
            found.state_part(name, part)
    _check_unknown(found, notices, left_out, folder, skip_unknown=skip_unknown)
    images, is_official = _split(found, left_out, seed=seed, held_out=held_out, validation=validation)
    result = RamSet(
        images,
        is_official,
        " or ".join(sorted(rules)),
        (*joint_files, *(file for file, _ in score_files)),
        (*notices, *left_out.describe()),
    )
    return _check_split(result, folder)


def read_scores(file: Path, scale: str, scheme: Scheme, left_out: LeftOut) -> dict[str, dict[str, int]]:
    """Return the grades in a file of scores, by image (its name without suffix) and joint.

    Parameters
    ----------
    file
        The file: an object from the image's name to an object from keys such as ``BE_MCP-I`` to whole grades.
    scale
        ``ERO`` or ``JSN``.
    scheme
        The scheme ``mtss-hands``, which has the joints of each scale and their largest grades.
    left_out
        Counts the missing scores (no key, or null) and the keys that are of no joint.

    Raises
    ------
    TrainError
        If the file can't be read, lists an image twice, or has a score that is no grade of its joint.
    """
    try:
        raw = parse_json(read_bounded(file, _LARGEST_FILE), max_items=5_000_000, unique_keys=True)
    except OSError as error:
        raise TrainError(f"the scores can't be read: {error.strerror}", file, "Check the path") from error
    except ValueError as error:
        raise TrainError(f"the scores can't be read: {clean_text(error)}", file, "Correct the file") from error
    if not isinstance(raw, dict) or not all(isinstance(each, dict) for each in raw.values()):
        raise TrainError("these are no scores by image", file, "Give an object of scores for each image")
    largest = {
        f"{_PREFIXES[scale]}_{RAM_NAMES[joint.id]}": (joint.id, joint.max_grade(scale))
        for joint in scheme.joints
        if scale in joint.scales and joint.id in RAM_NAMES
    }
    result: dict[str, dict[str, int]] = {}
    for image, scores in raw.items():
        name = _stem(image)
        if name in result:
            raise TrainError(f"two entries are of the image {clean_text(name)}", file, "Leave one of them out")
        result[name] = {}
        for key in scores.keys() - largest.keys():
            left_out.add("score", f"the key is of no joint with {scale}", key)
        for key, (joint, top) in largest.items():
            if scores.get(key) is None:
                left_out.add("score", f"there is no {scale} score of this joint", key)
                continue
            grade = _parse_grade(scores[key])
            if grade is None or not 0 <= grade <= top:
                raise TrainError(
                    f"{key} of the image {clean_text(image)} is {clean_text(scores[key], 40)}, not a grade from 0 to {top}",
                    file,
                    "Correct the score, or leave it out",
                )
            result[name][joint] = grade
    return result


def _parse_grade(value: object) -> int | None:
    """Return a whole number; some files write it as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*[0-9]{1,3}\s*", value, re.ASCII) else None
    return value if isinstance(value, int) else None


def _find_joint_files(folder: Path) -> tuple[Path, ...]:
    """Return the JSON files that are COCO files and name a joint. Others, such as outlines of bones, do not."""
    found = []
    for file in sorted(folder.rglob("*.json")):
        if file.name in SCORE_FILES.values():
            continue
        try:
            text = read_bounded(file, _LARGEST_FILE)
        except (OSError, ValueError):
            continue  # a file that large, or that is no file, is not asked for
        if b'"annotations"' in text and b'"MCP' in text:
            found.append(file)
    return tuple(found)


def _add_hands(found: _Found, hands: Sequence[CocoHand], file: Path, part: str | None, left_out: LeftOut) -> None:
    by_name: dict[str, list[CocoHand]] = {}
    for hand in hands:
        by_name.setdefault(_stem(hand.image.name), []).append(hand)
    for name, here in by_name.items():
        if name in found.hands:
            raise TrainError(f"another COCO file has the image {clean_text(name)} too", file, "Leave one of them out")
        if len(here) > 1:  # the scores do not say of which hand they are
            left_out.add("image", "it shows more than one hand", name)
            continue
        found.hands[name] = here[0]
        found.state_part(name, part)


def _check_unknown(
    found: _Found, notices: Collection[str], left_out: LeftOut, folder: Path, *, skip_unknown: bool
) -> None:
    """Raise TrainError for scores of images without a hand, or leave them out."""
    unknown = [name for name in found.grades if name not in found.hands]
    if not unknown:
        return
    if not skip_unknown or len(unknown) == len(found.grades):
        listed = ", ".join(clean_text(name, 40) for name in unknown[:5])
        reasons = f". Also: {'; '.join([*notices, *left_out.describe()][:5])}" if notices or left_out.counts else ""
        raise TrainError(
            f"{len(unknown)} of {len(found.grades)} images with scores have no usable boxes: {listed}{reasons}",
            folder,
            "Add their boxes, or give --skip-unknown",
        )
    for name in unknown:
        left_out.add("score", "their image has no usable boxes", name, len(found.grades.pop(name)))


def _split(
    found: _Found, left_out: LeftOut, *, seed: int, held_out: float, validation: float
) -> tuple[tuple[RamImage, ...], bool]:
    """Return the images with their parts, and True if the folder has a part ``test``."""
    parts = {name: found.part_of(name) for name in found.hands}
    is_official = "test" in parts.values()
    people = {name: hand.image.patient for name, hand in found.hands.items()}
    if is_official:
        for name in [name for name, part in parts.items() if part is None]:
            left_out.add("image", "it is in no part of the split", name)
            del parts[name]
    else:
        test = set(split_cases(tuple(people.values()), seed=seed, held_out=held_out).test)
        parts = {name: "test" if people[name] in test else "train" for name in parts}
    if "val" not in parts.values():
        training = [people[name] for name, part in parts.items() if part == "train"]
        kept = set(pick_validation_cases(training, seed=seed, share=validation))
        parts = {name: "val" if part == "train" and people[name] in kept else part for name, part in parts.items()}
    images = [
        RamImage(found.hands[name], part, found.grades.get(name, {}))
        for name, part in parts.items()
        if part is not None
    ]
    for image in images:
        for joint, _ in image.grades:
            if joint not in image.boxes:
                left_out.add("score", "their joint has no box", RAM_NAMES[joint])
    return tuple(images), is_official


def _check_split(result: RamSet, folder: Path) -> RamSet:
    """Return `result` with a notice about patients on both sides. Raises TrainError if a side has no scores."""
    for side, parts in (("train", ("train", "val")), ("test", ("test",))):
        if not any(image.grades for image in result.part(*parts)):
            raise TrainError(f"the part {side} of the split has no scores", folder, "Give the whole data set")
    both = set(result.split.train) & set(result.split.test)
    if not both:
        return result
    listed = ", ".join(clean_text(name, 30) for name in sorted(both)[:5])
    notice = f"the set's split has {len(both)} patients in training and in test, by {result.patient_rule}: {listed}"
    return RamSet(
        result.images, result.has_official_split, result.patient_rule, result.files, (*result.notices, notice)
    )


def _stem(name: str) -> str:
    """Return the name of an image without folder and suffix, as it was before Roboflow changed it."""
    return _CHANGED_NAME.sub("", PureWindowsPath(name).stem)


def _part_of_path(file: Path, folder: Path) -> str | None:
    """Return the part of the split that the file's name or its nearest folder states."""
    inside = file.relative_to(folder)
    words = [*reversed(re.split(r"[_.\- ]+", inside.stem)), *reversed(inside.parts[:-1])]
    return next((_SPLITS[word.lower()] for word in words if word.lower() in _SPLITS), None)


def _relative(file: Path, folder: Path) -> str:
    return clean_text(file.relative_to(folder).as_posix(), 100)
