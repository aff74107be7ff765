"""A report as a list of blocks, and how each looks as Markdown and as a page that opens alone. It knows no figures.

Whatever text comes in is escaped on the page: a case's name is never markup.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

__all__ = ["Block", "Heading", "Picture", "Table", "Text", "html", "markdown"]


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; ```code``` in single backquotes."""

    text: str


@dataclass(frozen=True)
class Table:
    """`strong` is the column that is meant to be read first, or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: int | None = None


@dataclass(frozen=True)
class Picture:
    """A PNG: its file's name beside the Markdown, its bytes, and what it shows in words."""

    file: str
    png: bytes
    words: str


Block: TypeAlias = Heading | Text | Table | Picture


def markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown; pictures lie beside it."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading():
                lines += [f"{'#' * block.level} {block.text}", ""]
            case Text():
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


_STYLE = """
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #1d2429; }
h1, h2 { line-height: 1.2; font-weight: 600; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d8dee2; }
td.strong { font-weight: 600; white-space: nowrap; } th { border-bottom: 2px solid #8a979f; }
img { max-width: 100%; } code { background: #eef1f3; padding: 0 .25em; border-radius: 3px; }
figure { margin: 1rem 0; } figcaption { color: #57646c; font-size: .9rem; }
@media (prefers-color-scheme: dark) {
  body { background: #14181b; color: #dbe2e6; } th, td { border-color: #323b41; }
  code { background: #232a2f; } figcaption { color: #94a1a9; }
}
"""


def html(blocks: Sequence[Block], title: str) -> str:
    """The blocks as one page, pictures and all; it asks for nothing from anywhere."""
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style>\n</head>\n<body>",
    ]
    for block in blocks:
        match block:
            case Heading():
                parts.append(f"<h{block.level}>{escape(block.text)}</h{block.level}>")
            case Text():
                parts.append(f"<p>{_inline(block.text)}</p>")
            case Table():
                head = "".join(f"<th>{escape(name)}</th>" for name in block.columns)
                rows = "".join(f"<tr>{_cells(row, block.strong)}</tr>\n" for row in block.rows)
                parts.append(f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>")
            case Picture():
                data = base64.b64encode(block.png).decode()
                words = escape(block.words)
                parts.append(
                    f'<figure><img src="data:image/png;base64,{data}" alt="{words}">'
                    f"<figcaption>{words}</figcaption></figure>"
                )
    return "\n".join((*parts, "</body>\n</html>\n"))


def _cells(row: Sequence[str], strong: int | None) -> str:
    return "".join(
        f'<td class="strong">{_inline(cell)}</td>' if n == strong else f"<td>{_inline(cell)}</td>"
        for n, cell in enumerate(row)
    )


def _inline(text: str) -> str:
    """Escaped text with its `code`."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if n % 2 else piece for n, piece in enumerate(pieces))
