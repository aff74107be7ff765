"""The cards of the contact sheet: one rater's entries at each site of each case, small enough for a whole study.

Pure functions. They use the rater's own readings only. In a study blinded to order neither a card nor the order of the cards
tells which time point is the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.reading import Reading, Slot
from ratui.terminal import Display
from ratui.tui.entry import text as texts

__all__ = [
    "ORDERS",
    "CaseCard",
    "SheetOrder",
    "SiteMark",
    "count_cells",
    "find_width",
    "make_card",
    "select_cards",
]


SheetOrder: TypeAlias = Literal["case", "score", "change"]
ORDERS: tuple[SheetOrder, ...] = ("case", "score", "change")
"""The orders of the cards, in the order in which the key goes through them."""


@dataclass(frozen=True)
class SiteMark:
    """The entries at one site of a case."""

    scores: str
    """The scores as text."""
    named_scores: str
    """The scores as text, each with the name of its scale."""
    score: int | None
    """ERO and JSN together at the last visit with a film; in a blinded reading, the highest sum of a visit.

    None if a field that counts has no score, or no visit has a film.
    """
    change: int | None
    """ERO and JSN at the last visit minus the first one, in a blinded reading right minus left; None like `score`."""
    is_open: bool = False
    """True if a field has no answer yet."""
    is_flagged: bool = False


@dataclass(frozen=True)
class CaseCard:
    """The entries of one case."""

    case: str
    order: tuple[int, ...]
    """The time points as they stand on the screen, left first."""
    marks: Mapping[str, SiteMark]
    """The entries by the key of the site, for the sites that have any."""


def make_card(reading: Reading) -> CaseCard:
    """Return the card of `reading`, with the sites at which something was entered."""
    answered = {field.site for field in reading.values}
    marks = {site.key: _make_mark(reading, site.key) for site in reading.sites if site.key in answered}
    return CaseCard(reading.case, reading.order, marks)


def _make_mark(reading: Reading, site: str) -> SiteMark:
    """Return the entries at `site`. Nothing in it depends on which time point of a blinded reading is the earlier."""
    slots = [Slot(site, time) for time in reading.order if Slot(site, time) not in reading.unfilmed]
    sums = [_add_scores(reading, slot) for slot in slots]
    known = [each for each in sums if each is not None]
    score = sums[-1] if sums else None
    if reading.is_blinded:
        score = max(known) if known and len(known) == len(sums) else None
    first, last = (sums[0], sums[-1]) if len(sums) > 1 else (None, None)
    scores = texts.format_joint_scores(reading, site)
    scales = reading.site(site).joint.scales
    return SiteMark(
        scores,
        "  ".join(f"{scale} {part}" for scale, part in zip(scales, scores.split("  "), strict=True)),
        score,
        None if first is None or last is None else last - first,
        is_open=any(field not in reading.values for slot in slots for field in reading.slot_fields(slot)),
        is_flagged=site in reading.flags,
    )


def _add_scores(reading: Reading, slot: Slot) -> int | None:
    """Return the sum of the scores of a slot; None if one of them has none."""
    scores = [reading.score(field) for field in reading.slot_fields(slot)]
    return None if None in scores else sum(score for score in scores if score is not None)


def select_cards(cards: Iterable[CaseCard], site: str, order: SheetOrder) -> list[CaseCard]:
    """Return the cards that have entries at `site`, by case, or with the highest score or the largest change first.

    A fall counts as a change of its size. Cards with open fields come last, before them those without a score. Equal cards
    are ordered by case.
    """
    shown = sorted((card for card in cards if site in card.marks), key=lambda card: card.case)
    return shown if order == "case" else sorted(shown, key=lambda card: _rank(card.marks[site], order))


def _rank(mark: SiteMark, order: SheetOrder) -> tuple[int, int]:
    value = mark.score if order == "score" else mark.change
    return 2 if mark.is_open else 1 if value is None else 0, -abs(value or 0)


def count_cells(width: int, room: tuple[int, int], display: Display, films: int = 2) -> tuple[int, int, int]:
    """Return how many rows of square pictures fit across and down, and the height of a row, all in terminal cells.

    Parameters
    ----------
    width
        Width of a row of pictures in cells.
    room
        Width and height of the free area in cells.
    display
        Gives the size of a cell in pixels.
    films
        Number of pictures in a row.
    """
    height = max(int(width / films * display.cell[0] / display.cell[1]), 3)
    height = min(height, max(room[1] - 1, 3))
    return max(room[0] // (width + 2), 1), max(room[1] // (height + 1), 1), height


def find_width(least: int, count: int, room: tuple[int, int], display: Display, films: int = 2) -> int:
    """Return the largest width of a row of pictures, from `least` cells on, at which `count` rows fit on the screen.

    If they do not even fit at the width `least`, the result is `least`, but no more than there is room for. The other
    parameters are those of `count_cells`.
    """
    # No wider than pictures that are as high as the screen.
    widest = max(min(room[0] - 2, int((room[1] - 1) * films * display.cell[1] / display.cell[0])), 10)
    for width in range(widest, least, -1):
        across, down, _ = count_cells(width, room, display, films)
        if across * down >= max(count, 1):
            return width
    return min(least, widest)
