"""Joints that deserve a second look before signing, with the reasons, the most urgent first.

The list depends on the reading alone, never on a model or another rater. In a study that is blinded to order, neither
a reason nor a position in the list depends on which time point is earlier.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias, get_args

from ratui.reading.log import find_origins
from ratui.reading.model import Field, FindingEntry, LogEntry, NotAssessableEntry, Reading, Slot
from ratui.reading.plausibility import find_unlikely_change
from ratui.scheme import Site

__all__ = [
    "MIN_HIGH_GRADE",
    "MIN_SECONDS",
    "ReviewItem",
    "ReviewKind",
    "ReviewReason",
    "find_field_to_change",
    "joint_state",
    "review_items",
]

# A choice of this project, not a rule of the score.
MIN_HIGH_GRADE = 3
"""Smallest grade that deserves a second look by itself."""
MIN_SECONDS = 0.7
"""Seconds of display before an answer, below which the joint deserves a second look.

Nobody judges two films in less, and the first repeat of a key that is held down follows after 0.66 s at most.
"""

ReviewKind: TypeAlias = Literal[
    "flag", "fall", "jump", "one_sided", "brief", "greys", "note", "change", "finding", "high"
]
"""Kind of a reason for a second look, the most urgent first.

``one_sided``: one time point is scored, the other is not assessable. ``brief``: the films were displayed for less than
`MIN_SECONDS` before an answer. ``greys``: an answer was entered while the grey levels were changed, for example inverted.
``high``: a grade of at least `MIN_HIGH_GRADE`.
"""
_RANK = {kind: rank for rank, kind in enumerate(get_args(ReviewKind))}


@dataclass(frozen=True)
class ReviewReason:
    """One reason for a second look.

    Attributes
    ----------
    kind
        Kind of the reason.
    scale
        The scale (``ERO`` or ``JSN``), or an empty text if the reason concerns the whole joint.
    size
        Number of grades of a ``fall``, ``jump`` or ``change``, and the score of a ``high``.
    is_confirmed
        True if the rater confirmed the fall or jump when it was entered.
    finding_id
        Id of a ``finding``.
    places
        Of a ``fall``, ``jump`` or ``change`` in a reading of more than two visits: the places in `Reading.order` of the two
        visits between which it is, by time, or from the left if the reading is blinded. Empty otherwise.
    """

    kind: ReviewKind
    scale: str = ""
    size: int = 0
    is_confirmed: bool = False
    finding_id: str = ""
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class ReviewItem:
    """A site, by its key (``L.MCP2``), with its reasons for a second look, the most urgent first."""

    site: str
    reasons: tuple[ReviewReason, ...]


def review_items(reading: Reading, reviewed: Mapping[str, Hashable] | None = None) -> tuple[ReviewItem, ...]:
    """Return the sites that deserve a second look, the most urgent first, equally urgent ones in reading order.

    Parameters
    ----------
    reading
        The reading.
    reviewed
        The sites that the rater has reviewed, with the `joint_state` of each at that time. They are left out unless they
        were changed afterwards.
    """
    known = reviewed or {}
    origins = find_origins(reading)
    items = []
    for site in reading.sites:
        if site.key in known and known[site.key] == joint_state(reading, site.key):
            continue
        reasons = sorted(_find_reasons(reading, site, origins), key=_sort_key)
        if reasons:
            items.append(ReviewItem(site.key, tuple(reasons)))
    return tuple(sorted(items, key=lambda item: _sort_key(item.reasons[0])))


def joint_state(reading: Reading, site: str) -> Hashable:
    """Return all of the rater's input at the joint `site`, for comparison with a later state."""
    values = tuple(reading.values.get(field) for field in reading.joint_fields(site))
    return values, site in reading.flags, reading.notes.get(site, "")


def find_field_to_change(reading: Reading, item: ReviewItem) -> Field:
    """Return the field that the rater most likely wants to change.

    This is the first open field, otherwise the one that is not assessable, otherwise the one with the unusual score.
    Of an unusual change between two of several visits it is the field on the right of the two.
    """
    fields = reading.joint_fields(item.site)
    opened = next((field for field in fields if field not in reading.values), None)
    if opened:
        return opened
    scale, places = next(((reason.scale, reason.places) for reason in item.reasons if reason.scale), ("", ()))
    if item.reasons and item.reasons[0].kind == "one_sided":
        return next(field for field in fields if isinstance(reading.values[field], NotAssessableEntry))
    if item.reasons and item.reasons[0].kind == "high":
        return max((f for f in fields if f.scale == scale), key=lambda field: reading.score(field) or 0)
    if places:  # where only two films fit, that of the active field and the one before it are shown
        return next(f for f in fields if f.scale == scale and f.time == reading.order[max(places)])
    # For an unusual change take the film on the right. Its time point is the later one only if the study is not blinded.
    return [field for field in fields if field.scale == (scale or fields[0].scale)][-1]


def _sort_key(reason: ReviewReason) -> tuple[int, int]:
    """Return a key that sorts by urgency of the kind, then by size, the largest first."""
    return _RANK[reason.kind], -reason.size


def _find_reasons(reading: Reading, site: Site, origins: Mapping[Field, LogEntry]) -> Iterable[ReviewReason]:
    """Yield the reasons for a second look at `site`. `origins` are the log entries that the values come from."""
    own = [origins[field] for field in reading.joint_fields(site.key) if field in origins]
    displays = [entry.display for entry in own if entry.display is not None]
    if any(display.seconds < MIN_SECONDS for display in displays):
        yield ReviewReason("brief")
    if any(display.greys for display in displays):
        yield ReviewReason("greys")
    if site.key in reading.flags:
        yield ReviewReason("flag")
    if site.key in reading.notes:
        yield ReviewReason("note")
    findings = {finding.id for time in reading.order if (finding := reading.finding(Slot(site.key, time)))}
    # In the order of the scheme, so that the order of the time points does not show.
    for finding in reading.scheme.findings:
        if finding.id in findings:
            yield ReviewReason("finding", finding_id=finding.id)
    one_sided = False
    for scale in site.joint.scales:
        fields = [field for field in reading.joint_fields(site.key) if field.scale == scale]
        values = [reading.values.get(field) for field in fields]
        not_assessable = [isinstance(value, NotAssessableEntry) for value in values]
        one_sided = one_sided or (any(not_assessable) and not all(not_assessable) and None not in values)
        scores = [score for field in fields if (score := reading.score(field)) is not None]
        unlikely = [change for field in fields if (change := find_unlikely_change(reading, field)) is not None]
        if unlikely:
            largest = max(unlikely, key=lambda change: (change.size, change.kind == "fall"))
            # Blinded, any two visits are compared, and of equal changes the one between films side by side is named.
            pair = fields if reading.is_blinded else [largest.field, largest.other]
            yield ReviewReason(
                largest.kind,
                scale,
                largest.size,
                any(origins[field].is_confirmed for field in fields if field in origins),
                places=_find_places(reading, pair, largest.size),
            )
        elif len(set(scores)) > 1:
            places = _find_places(reading, fields, max(scores) - min(scores))
            yield ReviewReason("change", scale, max(scores) - min(scores), places=places)
        # A score that a finding sets is not a reason of its own: the finding is.
        graded = [
            score
            for field, value in zip(fields, values, strict=True)
            if not isinstance(value, FindingEntry) and (score := reading.score(field)) is not None
        ]
        if max(graded, default=0) >= MIN_HIGH_GRADE:
            yield ReviewReason("high", scale, max(graded))
    if one_sided:
        yield ReviewReason("one_sided")


def _find_places(reading: Reading, fields: Iterable[Field], size: int) -> tuple[int, ...]:
    """Return the places of two visits at which the scores of `fields` differ by `size`; empty for a reading of two visits.

    Of several pairs it is the one with the fewest visits between them, then the leftmost.
    """
    if len(reading.order) <= 2:
        return ()
    scores = {reading.order.index(field.time): reading.score(field) for field in fields}
    known = sorted((place, score) for place, score in scores.items() if score is not None)
    pairs = [(a, b) for (a, of_a), (b, of_b) in combinations(known, 2) if abs(of_a - of_b) == size]
    pair = min(pairs, key=lambda places: (places[1] - places[0], places))
    return pair if reading.is_blinded else tuple(sorted(pair, key=lambda place: reading.order[place]))
