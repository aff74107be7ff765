"""The cards of the contact sheet: one rater's entries at each site of each case, small enough for a whole study.

Pure functions. They use the rater's own readings only. In a study blinded to order neither a card nor the order of the cards
tells which time point is the earlier.
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
    """The entries at one site of a case."""

    scores: str
    """The scores as text."""
    sum: int
    """Sum of the scores over all scales and visits."""
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
    marks = {}
    for site in reading.sites:
        if site.key in answered:
            scores = [reading.score(field) or 0 for field in reading.joint_fields(site.key)]
            marks[site.key] = SiteMark(
                texts.format_joint_scores(reading, site.key), sum(scores), is_flagged=site.key in reading.flags
            )
    return CaseCard(reading.case, reading.order, marks)


def select_cards(cards: Iterable[CaseCard], site: str, *, by_score: bool) -> list[CaseCard]:
    """Return the cards that have entries at `site`, ordered by case, or by the sum of the scores.

    The sum is the same for either order of the time points, so that it does not tell it.
    """
    shown = sorted((card for card in cards if site in card.marks), key=lambda card: card.case)
    return sorted(shown, key=lambda card: card.marks[site].sum) if by_score else shown


def paste_side_by_side(images: tuple[Image.Image | None, ...], size: tuple[int, int], gap: int) -> Image.Image:
    """Return a grey image of `size` (width, height) with `images` side by side, `gap` pixels apart; None stays black."""
    sheet = Image.new("L", size)
    width = (size[0] - gap * (len(images) - 1)) // len(images)
    for place, image in enumerate(images):
        if image is not None:
            sheet.paste(image, (place * (width + gap), 0))
    return sheet
