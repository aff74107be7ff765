"""The finger joints that detectors find: their kinds, their usual places, and the square in which networks see a hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.imaging import Box, Film, normalize_intensity
from ratui.scheme import Joint, Scheme

__all__ = [
    "COARSE_SIZE",
    "FINE_SIZE",
    "JOINT_KINDS",
    "has_fingers",
    "list_finger_joints",
    "make_joint_template",
    "map_joint_kinds",
    "normalise_levels",
]

COARSE_SIZE = 320
"""Side of a hand's square in units. All boxes of samples and of the detector are in these units."""
FINE_SIZE = 960
"""Side of a hand's square in pixels: three per unit, so that a joint space is several pixels wide."""
JOINT_KINDS = ("PIP", "MCP")
"""Kinds of finger joints that the detector tells apart. A joint's kind is its group in the scheme."""


def list_finger_joints(scheme: Scheme) -> tuple[Joint, ...]:
    """Return the joints of `scheme` that the detector finds. Raises TrainError if there is none."""
    joints = tuple(joint for joint in scheme.joints if joint.group in JOINT_KINDS)
    if not joints:
        raise TrainError("the scheme has no finger joints", scheme.name, "The detector is for hands")
    return joints


def make_joint_template(scheme: Scheme) -> dict[str, tuple[float, float, float]]:
    """Return the usual place of each finger joint of a left hand: centre (x, y) and size in units of the square.

    The places are those of the scheme's first view with finger joints. Raises TrainError if no view has any.
    """
    ids = {joint.id for joint in list_finger_joints(scheme)}
    template = next((view.template for view in scheme.views.values() if ids & set(view.template)), None)
    if template is None:
        raise TrainError("no view of the scheme has a template of finger joints", scheme.name, "Add one to its file")
    # A film of one hand is about 1.22 times as high as wide. Its absolute size does not matter: the template is fitted with
    # a scale.
    width = COARSE_SIZE / 1.22
    return {
        joint.id: (template[joint.id][0] * width, template[joint.id][1] * COARSE_SIZE, template[joint.id][2] * width)
        for joint in scheme.joints
        if joint.group in JOINT_KINDS and joint.id in template
    }


def has_fingers(scheme: Scheme, view: str) -> bool:
    """Return True if the view of this name shows finger joints."""
    template = scheme.views[view].template
    return any(joint.group in JOINT_KINDS and joint.id in template for joint in scheme.joints)


def map_joint_kinds(scheme: Scheme) -> dict[str, str]:
    """Return the kind of each finger joint of `scheme`."""
    return {joint.id: joint.group for joint in scheme.joints if joint.group in JOINT_KINDS}


def normalise_levels(film: Film, area: Box | None = None) -> npt.NDArray[np.float32]:
    """Return the grey levels of `area`, by default the whole film, from 0 to 1, bone bright, shape (rows, columns)."""
    area = area or Box.from_size(film.columns, film.rows)
    x0, y0, x1, y1 = (round(value) for value in area)
    part = normalize_intensity(film.pixels[y0:y1, x0:x1])
    return np.float32(1.0) - part if film.is_inverted else part
