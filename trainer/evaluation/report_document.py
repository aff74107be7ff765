"""Formats of a report's blocks: Markdown, and a self-contained HTML page.

All text is escaped on the page, because case IDs and names may contain markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratui.results import html as page
from ratui.study.model_results.model_reports import Block, Heading, Paragraph, Picture, ReportTable

__all__ = ["to_html", "to_markdown"]


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return the blocks as Markdown; pictures are links to files in the same folder."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading():
                lines += [f"{'#' * block.level} {block.text}", ""]
            case Paragraph():
                lines += [block.text, ""]
            case ReportTable():
                lines += [_row(block.columns), "|" + "---|" * len(block.columns)]
                for row in block.rows:
                    cells = [f"**{cell}**" if n == block.strong and cell else cell for n, cell in enumerate(row)]
                    lines.append(_row(cells))
                lines.append("")
            case Picture():
                lines += [f"![{block.words}]({block.file})", ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_html(blocks: Sequence[Block]) -> str:
    """Return the blocks as an HTML page with embedded pictures; it loads nothing from other files or servers.

    The first heading is the title of the page.
    """
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(level=1):
                pass  # already the title of the page
            case Heading():
                parts.append(page.section(block.text, (), block.level))
            case Paragraph():
                parts.append(f"<p>{_inline(block.text)}</p>")
            case ReportTable():
                parts.append(
                    page.table(block.columns, block.rows, text_columns=len(block.columns), strong=block.strong)
                )
            case Picture():
                parts.append(page.figure(block.png, "png", block.words))
    return page.page(title, parts)


def _inline(text: str) -> str:
    """Return escaped text in which backquotes are replaced by ``code`` elements."""
    # Odd pieces are those between two backquotes.
    pieces = page.escape_text(text).split("`")
    return "".join(f"<code>{piece}</code>" if n % 2 else piece for n, piece in enumerate(pieces))
