"""The joints of a reading that differ most between two visits.

Pure functions. The order of the joints is the same for either order of the time points, so that it does not tell it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from ratui.reading import Field, Reading

__all__ = ["JointChange", "find_changes"]


@dataclass(frozen=True)
class JointChange:
    """A joint whose scores differ between two visits."""

    site: str
    """Key of the site."""
    places: tuple[int, int]
    """Places of the two visits on the screen, 0 for the leftmost, between which it differs most."""
    size: int
    """Sum of the differences over all scales, without sign."""


def find_changes(reading: Reading) -> list[JointChange]:
    """Return the joints that differ between two visits, those that differ most first, then in the order of the scheme.

    A joint counts only if all of its fields at both visits are filled: its films were displayed then.
    """
    changes = []
    for site in reading.sites:
        pairs = [(_measure(reading, site.key, *pair), pair) for pair in combinations(range(len(reading.order)), 2)]
        size, places = max(pairs, key=lambda pair: (pair[0], pair[1][1] - pair[1][0]), default=(0, (0, 0)))
        if size:
            changes.append(JointChange(site.key, places, size))
    return sorted(changes, key=lambda change: -change.size)


def _measure(reading: Reading, site: str, first: int, second: int) -> int:
    """Return the sum of the differences of `site` between two places; 0 if a field is open or its film is missing."""
    size = 0
    for scale in reading.site(site).joint.scales:
        pair = [Field(site, scale, reading.order[place]) for place in (first, second)]
        if any(field not in reading.values for field in pair):
            return 0
        before, after = (reading.score(field) for field in pair)
        if before is not None and after is not None:
            size += abs(after - before)
    return size
