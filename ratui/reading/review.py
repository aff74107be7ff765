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
    "find_compared_place",
    "find_field_to_change",
    "joint_state",
    "list_review_items",
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
        Places in `Reading.order` of the visits concerned, by time, or from the left if the reading is blinded. Of a
        ``fall``, ``jump`` or ``change`` they are the two between which it is, of ``one_sided`` those that are not
        assessable. Empty if the reason concerns the joint at every visit.
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


def list_review_items(reading: Reading, reviewed: Mapping[str, Hashable] | None = None) -> tuple[ReviewItem, ...]:
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
    Of an unusual change between two of several visits it is the field on the right of the two; `find_compared_place` is
    that of the other one.
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
    if places:
        return next(f for f in fields if f.scale == scale and f.time == reading.order[max(places)])
    # For an unusual change take the film on the right. Its time point is the later one only if the study is not blinded.
    return [field for field in fields if field.scale == (scale or fields[0].scale)][-1]


def find_compared_place(reading: Reading, item: ReviewItem, place: int, scale: str = "") -> int | None:
    """Return the place of a visit that a reason of `item` names together with the one at `place`.

    The screen shows both films. Reasons of `scale` count first, then the most urgent. None without such a reason.
    """
    shared = [reason for reason in item.reasons if place in reason.places and len(reason.places) > 1]
    reason = min(shared, key=lambda each: each.scale != scale, default=None)
    return next(each for each in reason.places if each != place) if reason else None


def _sort_key(reason: ReviewReason) -> tuple[int, int]:
    """Return a key that sorts by urgency of the kind, then by size, the largest first."""
    return _RANK[reason.kind], -reason.size


def _find_reasons(reading: Reading, site: Site, origins: Mapping[Field, LogEntry]) -> Iterable[ReviewReason]:
    """Yield the reasons for a second look at `site`. `origins` are the log entries that the values come from."""
    of_joint = reading.joint_fields(site.key)
    displays = {
        field: display for field in of_joint if field in origins and (display := origins[field].display) is not None
    }
    if brief := [field for field, display in displays.items() if display.seconds < MIN_SECONDS]:
        yield ReviewReason("brief", places=_find_places(reading, site, brief))
    if changed := [field for field, display in displays.items() if display.greys]:
        yield ReviewReason("greys", places=_find_places(reading, site, changed))
    if site.key in reading.flags:
        yield ReviewReason("flag")
    if site.key in reading.notes:
        yield ReviewReason("note")
    found = {field: reading.finding(Slot(site.key, field.time)) for field in of_joint}
    # In the order of the scheme, so that the order of the time points does not show.
    for finding in reading.scheme.findings:
        if those := [field for field in of_joint if (entry := found[field]) is not None and entry.id == finding.id]:
            yield ReviewReason("finding", finding_id=finding.id, places=_find_places(reading, site, those))
    one_sided: list[Field] = []
    for scale in site.joint.scales:
        fields = [field for field in of_joint if field.scale == scale]
        values = [reading.values.get(field) for field in fields]
        not_assessable = [isinstance(value, NotAssessableEntry) for value in values]
        if any(not_assessable) and not all(not_assessable) and None not in values:
            one_sided += [field for field, is_missing in zip(fields, not_assessable, strict=True) if is_missing]
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
                places=_find_pair(reading, pair, largest.size),
            )
        elif len(set(scores)) > 1:
            places = _find_pair(reading, fields, max(scores) - min(scores))
            yield ReviewReason("change", scale, max(scores) - min(scores), places=places)
        # A score that a finding sets is not a reason of its own: the finding is.
        graded = {
            field: score
            for field, value in zip(fields, values, strict=True)
            if not isinstance(value, FindingEntry) and (score := reading.score(field)) is not None
        }
        highest = max(graded.values(), default=0)
        if highest >= MIN_HIGH_GRADE:
            those = [field for field, score in graded.items() if score == highest]
            yield ReviewReason("high", scale, highest, places=_find_places(reading, site, those))
    if one_sided:
        yield ReviewReason("one_sided", places=_find_places(reading, site, one_sided))


def _find_places(reading: Reading, site: Site, fields: Iterable[Field]) -> tuple[int, ...]:
    """Return the places of the visits of `fields`; empty if these are all visits with a film of `site`."""
    times = {field.time for field in fields}
    if times == {field.time for field in reading.joint_fields(site.key)}:
        return ()
    return _sort_places(reading, (reading.order.index(time) for time in times))


def _sort_places(reading: Reading, places: Iterable[int]) -> tuple[int, ...]:
    """Return `places` by time, or from the left if the reading is blinded."""
    return tuple(sorted(places) if reading.is_blinded else sorted(places, key=lambda place: reading.order[place]))


def _find_pair(reading: Reading, fields: Iterable[Field], size: int) -> tuple[int, ...]:
    """Return the places of two visits at which the scores of `fields` differ by `size`; empty for a reading of two visits.

    Of several pairs it is the one with the fewest visits between them, then the leftmost.
    """
    if len(reading.order) <= 2:
        return ()
    scores = {reading.order.index(field.time): reading.score(field) for field in fields}
    known = sorted((place, score) for place, score in scores.items() if score is not None)
    pairs = [(a, b) for (a, of_a), (b, of_b) in combinations(known, 2) if abs(of_a - of_b) == size]
    first, second = min(pairs, key=lambda pair: (pair[1] - pair[0], pair))
    return _sort_places(reading, (first, second))
