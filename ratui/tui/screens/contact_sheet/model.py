"""The cards of a contact sheet: what one rater entered at each site of each case, small enough to hold for a whole study.

Pure. Only the rater's own readings ever come in here; in a blinded study nothing, nor the order of the cards, tells which
time point came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from PIL import Image

from ratui.reading import Reading
from ratui.tui.entry import text as texts

__all__ = ["CaseCard", "SiteMark", "make_card", "paste_side_by_side", "select_cards"]


@dataclass(frozen=True)
class SiteMark:
    """What stands at one site of a case: its scores as text, their sum over both time points, and whether it is flagged."""

    scores: str
    sum: int
    flagged: bool = False


@dataclass(frozen=True)
class CaseCard:
    """One case: its time points as they stand on the screen, left first, and what was entered at each site."""

    case: str
    order: tuple[int, ...]
    marks: Mapping[str, SiteMark]


def make_card(reading: Reading) -> CaseCard:
    """The card of `reading`, with the sites at which something was entered."""
    answered = {field.site for field in reading.values}
    marks = {}
    for site in reading.sites:
        if site.key in answered:
            scores = [reading.score(field) or 0 for field in reading.joint_fields(site.key)]
            marks[site.key] = SiteMark(
                texts.format_joint_scores(reading, site.key), sum(scores), flagged=site.key in reading.flags
            )
    return CaseCard(reading.case, reading.order, marks)


def select_cards(cards: Iterable[CaseCard], site: str, *, by_score: bool) -> list[CaseCard]:
    """The cards that show `site`: by case, or by the sum of its scores, which is blind to their order."""
    shown = sorted((each for each in cards if site in each.marks), key=lambda each: each.case)
    return sorted(shown, key=lambda each: each.marks[site].sum) if by_score else shown


def paste_side_by_side(images: tuple[Image.Image | None, ...], size: tuple[int, int], gap: int) -> Image.Image:
    """`images` side by side on one of `size`, `gap` pixels apart; black where one is missing."""
    whole = Image.new("L", size)
    width = (size[0] - gap * (len(images) - 1)) // len(images)
    for place, image in enumerate(images):
        if image is not None:
            whole.paste(image, (place * (width + gap), 0))
    return whole
