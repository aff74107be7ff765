"""A report's blocks as Markdown and as a page that opens alone. It knows no figures.

Whatever text comes in is escaped on the page: a case's name is never markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratui.results import html as page
from ratui.study.model_reports import Block, Heading, Paragraph, Picture, Table

__all__ = ["to_html", "to_markdown"]


def to_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown; pictures lie beside it."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading():
                lines += [f"{'#' * block.level} {block.text}", ""]
            case Paragraph():
                lines += [block.text, ""]
            case Table():
                lines += [_row(block.columns), "|" + "---|" * len(block.columns)]
                for row in block.rows:
                    cells = [f"**{cell}**" if n == block.strong and cell else cell for n, cell in enumerate(row)]
                    lines.append(_row(cells))
                lines.append("")
            case Picture():
                lines += [f"![{block.words}]({block.file})", ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_html(blocks: Sequence[Block]) -> str:
    """The blocks as one page, pictures and all, under the first heading; it asks for nothing from anywhere."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(level=1):
                pass  # the page's own title
            case Heading():
                parts.append(page.section(block.text, (), block.level))
            case Paragraph():
                parts.append(f"<p>{_inline(block.text)}</p>")
            case Table():
                parts.append(
                    page.table(block.columns, block.rows, text_columns=len(block.columns), strong=block.strong)
                )
            case Picture():
                parts.append(page.figure(block.png, "png", block.words))
    return page.page(title, parts)


def _inline(text: str) -> str:
    """Escaped text with its `code`."""
    pieces = page.escape_text(text).split("`")
    return "".join(f"<code>{piece}</code>" if n % 2 else piece for n, piece in enumerate(pieces))
