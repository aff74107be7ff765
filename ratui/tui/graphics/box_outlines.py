"""Outlines of boxes in a picture: their states and names. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.imaging import Box
from ratui.regions.corrections import FOLLOWING_SOURCES
from ratui.scheme import Site
from ratui.study import Region, RegionSource
from ratui.tui.graphics.viewport import Viewport

__all__ = [
    "RANK",
    "SIGNS",
    "BoxState",
    "Outline",
    "abbreviate",
    "find_state",
    "format_short_name",
    "is_small",
    "make_outlines",
]

BoxState: TypeAlias = Literal["accepted", "proposed", "moved", "estimated", "refused", "current"]
"""State of a box: confirmed; found in the image; placed by the rater; only estimated; not valid; selected."""
RANK: dict[BoxState, int] = {"accepted": 0, "proposed": 1, "moved": 2, "estimated": 3, "refused": 4, "current": 5}
"""Importance: a box of higher rank is drawn over those of lower rank, and its name is placed first."""
SIGNS: dict[BoxState, str] = {
    "accepted": "✓",
    "proposed": "○",
    "moved": "●",
    "estimated": "?",
    "refused": "✗",
    "current": "□",
}
"""Signs that stand for boxes that are too small for lines. The selected box has lines in any size."""

_SMALL = 6  # half-cells; a narrower box is drawn as a sign, because lines would hide the joint


@dataclass(frozen=True)
class Outline:
    """A box in a picture, with its name and its state."""

    box: Box
    """Corners in pixels of the picture."""
    name: str
    """Name, as `format_short_name` returns it."""
    state: BoxState
    """State, which determines the style of the line."""
    short: str = ""
    """Abbreviation of the name, for pictures without room for names."""


def format_short_name(site: Site, both_sides: bool) -> str:
    """Return the name of a joint for a film: its label, or its id if the label is long; with the side if `both_sides`."""
    label = site.joint.label if len(site.joint.label) < 6 else site.joint.id
    return f"{site.side} {label}" if both_sides else label


def abbreviate(joint: str) -> str:
    """Return the id `joint` in two or three letters: ``P2`` of ``PIP2``, ``CNL`` of ``CAP-NAV-LUN``, ``RAD``."""
    numbered = re.fullmatch(r"F?([A-Z])[A-Z]*(\d)", joint)
    if numbered:
        return numbered[1] + numbered[2]
    return "".join(part[0] for part in joint.split("-")) if "-" in joint else joint[:3]


def find_state(region: Region, *, is_current: bool = False, is_refused: bool = False) -> BoxState:
    """Return the state of the box of `region`."""
    if is_current:
        return "current"
    if is_refused:
        return "refused"
    if region.confirmed_by:
        return "accepted"
    if region.source is RegionSource.RATER:
        return "moved"
    return "estimated" if region.source in FOLLOWING_SOURCES else "proposed"


def make_outlines(
    view: Viewport,
    sites: Iterable[Site],
    regions: Mapping[str, Region],
    current: str,
    refused: Iterable[str] = (),
    *,
    both_sides: bool = False,
) -> tuple[Outline, ...]:
    """Return the outlines of the boxes that are visible in a view.

    Parameters
    ----------
    view
        The part of the film that is shown.
    sites
        The sites whose boxes are wanted.
    regions
        The region of each of these sites, by site key.
    current
        Key of the selected site.
    refused
        Keys of the sites whose boxes are not valid.
    both_sides
        True if the film shows both sides, so that names need the side.

    Returns
    -------
    tuple of Outline
        Outlines in pixels of the view, the most important ones last, so that they are drawn on top.
    """
    wrong, sites = set(refused), tuple(sites)
    shorts = {site.joint.id: abbreviate(site.joint.id) for site in sites}
    is_clear = len(set(shorts.values())) == len(shorts)  # not in every scheme that a user may write
    found = []
    for site in sites:
        region = regions[site.key]
        if region.box is None:
            continue
        shown = region.box.to_image(view.box, view.size)
        if not shown.overlaps(Box.from_size(*view.size)):
            continue
        state = find_state(region, is_current=site.key == current, is_refused=site.key in wrong)
        name = format_short_name(site, both_sides)
        found.append(Outline(Box(*map(round, shown)), name, state, shorts[site.joint.id] if is_clear else name))
    return tuple(sorted(found, key=lambda outline: RANK[outline.state]))


def is_small(outline: Outline) -> bool:
    """Return True if a sign stands for the box on a picture whose pixels are half a character."""
    return outline.box.width < _SMALL and outline.state != "current"
