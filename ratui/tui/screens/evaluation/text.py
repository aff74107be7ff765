"""The pages of an evaluation: the text under one heading of the report, and the picture below it.

Pure functions. They depend on no widget.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from PIL import Image
from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text as Line

from ratui.errors import StoreError, clean_text
from ratui.study.model_results.model_reports import Block, Heading, Paragraph, Picture, ReportTable
from ratui.tui.theme import ACCENT, BRIGHT, HEADING, PLAIN, QUIET

__all__ = ["EvaluationPage", "fit_picture", "make_pages", "render_blocks"]

_LARGEST = 40_000_000
"""Largest number of pixels of a picture. The pictures of a report have about a million."""
_PAPER = 255
"""Grey value behind a picture that is transparent."""
_LONGEST = 2000
"""Largest number of characters of a paragraph or of a table cell."""


@dataclass(frozen=True)
class EvaluationPage:
    """The blocks under one heading, and at most one picture, because more do not fit on the screen."""

    title: str
    blocks: tuple[Block, ...] = ()
    picture: Picture | None = None


def make_pages(blocks: Iterable[Block]) -> tuple[EvaluationPage, ...]:
    """Return a page for each heading of `blocks`; a second picture under a heading gets a page of its own."""
    pages = [EvaluationPage("")]
    for block in blocks:
        match block:
            case Heading():
                pages.append(EvaluationPage(block.text))
            case Picture() if pages[-1].picture is not None:
                pages.append(EvaluationPage(pages[-1].title, picture=block))
            case Picture():
                pages[-1] = replace(pages[-1], picture=block)
            case _:
                pages[-1] = replace(pages[-1], blocks=(*pages[-1].blocks, block))
    return tuple(page for page in pages if page.blocks or page.picture)


def render_blocks(blocks: Sequence[Block]) -> Group:
    """Return the texts and tables of `blocks` for a screen of any width. Long lines are wrapped, never cut."""
    shown: list[Line | Grid] = []
    for block in blocks:
        match block:
            case Paragraph():
                shown += [_format_paragraph(block.text), Line()]
            case ReportTable():
                shown += [_format_table(block), Line()]
    return Group(*shown)


def _format_paragraph(text: str) -> Line:
    """Return the text of a paragraph, in which backquotes mark names."""
    line = Line(style=PLAIN)
    for number, piece in enumerate(clean_text(text, _LONGEST).split("`")):
        line.append(piece, ACCENT if number % 2 else "")
    return line


def _format_table(table: ReportTable) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), expand=False, header_style=HEADING, pad_edge=False)
    for place, column in enumerate(table.columns):
        is_quiet = table.strong is not None and place > 0
        style = BRIGHT if place == table.strong else QUIET if is_quiet else PLAIN
        grid.add_column(Line(clean_text(column, _LONGEST)), style=style, overflow="fold", vertical="top")
    for row in table.rows:
        grid.add_row(*(Line(clean_text(cell, _LONGEST)) for cell in row))
    return grid


def fit_picture(picture: Picture, size: tuple[int, int], background: str = "#000000") -> Image.Image:
    """Return `picture` as a grey image (mode ``L``) of `size` (width, height) in pixels, scaled to fit, on `background`.

    The picture itself is on white paper, and a whole white screen would be brighter than any film.

    Raise StoreError if it is no PNG image or is too large.
    """
    try:
        with Image.open(io.BytesIO(picture.png), formats=["PNG"]) as opened:
            if opened.width * opened.height > _LARGEST:
                raise StoreError(
                    f"the picture is too large: {opened.width} × {opened.height}", clean_text(picture.file)
                )
            image = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise StoreError("the picture can't be read", clean_text(picture.file), "Make the report again") from error
    paper = Image.new("RGBA", image.size, (_PAPER,) * 3 + (255,))
    paper.alpha_composite(image)
    grey = paper.convert("L")
    scale = min(size[0] / grey.width, size[1] / grey.height)
    small = (max(round(grey.width * scale), 1), max(round(grey.height * scale), 1))
    page = Image.new("L", size, background)
    fitted = grey.resize(small, Image.Resampling.LANCZOS)
    page.paste(fitted, ((size[0] - small[0]) // 2, (size[1] - small[1]) // 2))
    return page
