"""HTML for one self-contained page: tables, text and embedded pictures, without scripts or external resources."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from ratui.errors import clean_text

__all__ = ["definition_list", "escape_text", "figure", "image", "page", "paragraph", "section", "table"]

_SHORT, _SHORT_WORD = 12, 9  # characters of a cell, and of each word of a heading
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --paper: #fff; --line: #d5d9e0; --quiet: #5a6270; --band: #f4f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6eb; --paper: #15181d; --line: #363c47; --quiet: #9aa3b2; --band: #1d2128; }
  figure { background: #fff; color: #1d2129; } figcaption { color: #5a6270; }
}
body { font: .94rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .2rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; } .quiet, caption { color: var(--quiet); } .quiet, caption, figcaption { font-size: .88rem; }
figure { color: var(--ink); } figcaption { padding-top: .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .2rem 0; } th, td { padding: .22rem .7rem; border-bottom: 1px solid var(--line); }
th { text-align: left; background: var(--band); font-weight: 600; } td.n, th.n { text-align: right; white-space: nowrap; }
td.strong { font-weight: 600; white-space: nowrap; } code { background: var(--band); padding: 0 .25em; border-radius: 3px; }
figure { margin: 1rem 0; padding: .6rem; border: 1px solid var(--line); display: inline-block; max-width: 100%; }
img { max-width: 100%; height: auto; display: block; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1.2rem; margin: .6rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; } td:first-child { white-space: nowrap; }
@page { size: A4; margin: 15mm 14mm 16mm;
  @bottom-right { content: counter(page) " / " counter(pages); font: 8pt system-ui, sans-serif; color: #5a6270; }
  @bottom-left { content: string(title); font: 8pt system-ui, sans-serif; color: #5a6270; }
}
h1 { string-set: title content(); }
@media print {
  :root { color-scheme: light; --ink: #1d2129; --paper: #fff; --line: #d5d9e0; --quiet: #5a6270; --band: #f4f6f9; }
  html { font-size: 9px; } body { margin: 0; padding: 0; max-width: none; } td, th { padding: .12rem .4rem; }
  td, td:first-child, td.n, th, th.n { white-space: normal; overflow-wrap: anywhere; } td.short { white-space: nowrap; }
  th.short { overflow-wrap: break-word; }
  table { max-width: 100%; } img { max-height: 95mm; width: auto; max-width: 100%; }
  .wide { overflow: visible; } h2, h3 { break-after: avoid; } tr, figure { break-inside: avoid; } figure { max-width: 100%; }
  .columns { columns: 2; column-gap: 8mm; }
}
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return a complete HTML page. `body` contains HTML from the functions of this module."""
    head = f"<title>{escape_text(title)}</title>\n<style>{_STYLE}</style>"
    # The policy forbids every request, so that opening a report leaves no trace on any server, even if a later change
    # of this module inserts an external address by mistake.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{head}\n</head>\n<body>\n<h1>{escape_text(title)}</h1>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def escape_text(words: object) -> str:
    """Return `words` as text that is safe inside HTML, without control characters and cut at 1000 characters."""
    return escape(clean_text(words, 1000))


def paragraph(words: object, *, quiet: bool = False) -> str:
    """Return a paragraph; with `quiet` in a smaller, grey font."""
    return f'<p class="quiet">{escape_text(words)}</p>' if quiet else f"<p>{escape_text(words)}</p>"


def section(title: str, parts: Iterable[str], level: int = 2) -> str:
    """Return a heading of `level` (1 to 6) followed by `parts`, which are HTML already."""
    return f"<h{level}>{escape_text(title)}</h{level}>\n" + "\n".join(parts)


def definition_list(pairs: Iterable[tuple[str, object]]) -> str:
    """Return a list of names and values."""
    return (
        "<dl>"
        + "".join(f"<dt>{escape_text(name)}</dt><dd>{escape_text(value)}</dd>" for name, value in pairs)
        + "</dl>"
    )


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    text_columns: int = 1,
    caption: str = "",
    strong: int | None = None,
) -> str:
    """Return a table.

    The first `text_columns` columns contain text and are aligned left; the others contain numbers and are aligned
    right. The column with index `strong` is printed bold.
    """

    def cell(tag: str, place: int, value: object) -> str:
        names = ["strong"] if place == strong else [] if place < text_columns else ["n"]
        # On paper long cells may break, short ones such as an ID or a percentage never, and no short word of a heading.
        words = [str(value)] if tag == "td" else str(value).split()
        names += ["short"] if max(map(len, words), default=0) <= (_SHORT if tag == "td" else _SHORT_WORD) else []
        kind = f' class="{" ".join(names)}"' if names else ""
        return f"<{tag}{kind}>{escape_text(value)}</{tag}>"

    lines = [f"<caption>{escape_text(caption)}</caption>"] if caption else []
    lines.append(
        "<thead><tr>" + "".join(cell("th", i, head) for i, head in enumerate(headers)) + "</tr></thead><tbody>"
    )
    lines += ["<tr>" + "".join(cell("td", i, value) for i, value in enumerate(row)) + "</tr>" for row in rows]
    return '<div class="wide"><table>' + "\n".join(lines) + "</tbody></table></div>"


def image(data: bytes, kind: str, about: str) -> str:
    """Return an ``img`` element with the picture embedded.

    Parameters
    ----------
    data
        Bytes of the picture's file.
    kind
        ``png`` or ``svg``.
    about
        Description of the picture, used as alternative text.
    """
    mime = {"png": "image/png", "svg": "image/svg+xml"}[kind]
    source = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return f'<img alt="{escape_text(about)}" src="{source}">'


def figure(data: bytes, kind: str, about: str) -> str:
    """Return a picture with the legend `about`; parameters as for `image`."""
    return f"<figure>{image(data, kind, about)}<figcaption>{escape_text(about)}</figcaption></figure>"
