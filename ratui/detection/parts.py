"""The parts of the body that landmark networks know: their sites, and the scale at which the network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.detection.foot_sites import FOOT_HELPERS, FOOT_SITES
from ratui.detection.heat_maps import INPUT_STEP
from ratui.detection.wrist_sites import FINGER_JOINTS, WRIST_SITES

__all__ = ["PARTS", "PartLayout", "PartName"]

PartName: TypeAlias = Literal["wrist", "foot"]
"""Parts of the body with a landmark network of their own."""


@dataclass(frozen=True)
class PartLayout:
    """Layout of a part: its landmarks, and the scale at which the network sees them.

    Attributes
    ----------
    sites
        Sites with boxes, in the order of the network's maps.
    helpers
        Further landmarks, whose maps follow; they help to place and to size the boxes of the sites.
    joints
        Finger joints from which the part can be searched.
    step
        Width of a pixel of the network's crop, in mm of a usual person.
    shape_share
        Share of the distances between the landmarks in the size of a part that nothing else tells; the network estimates
        the rest.
    peak_blur
        Standard deviation of the network's peaks that is no error of the place, in pixels of the crop: that of the
        distribution it was trained to give.
    """

    sites: tuple[str, ...]
    helpers: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    step: float = INPUT_STEP
    shape_share: float = 0.15
    peak_blur: float = 0.0

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Sites and helpers, in the order of the network's maps."""
        return (*self.sites, *self.helpers)


PARTS: dict[PartName, PartLayout] = {
    # The standard errors of the size by the distances and by the network are 8 % and 4 % on simulated films of wrists.
    "wrist": PartLayout(WRIST_SITES, joints=FINGER_JOINTS),
    "foot": PartLayout(FOOT_SITES, FOOT_HELPERS, step=0.75, shape_share=0.8, peak_blur=3.2),
}
"""The parts by name."""
