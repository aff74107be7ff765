"""The tables of docs/intake-words.md."""

from __future__ import annotations

HEADINGS = {
    "words": "",
    "meaning and words": "",
    "codes": "codes",
    "values of View Position": "positions",
    "harmless words": "harmless",
}


def read_tables(page: str) -> dict[str, list[tuple[str, str]]]:
    """Return the rows of each table by the heading of its first column; the table of codes is called ``codes``."""
    tables: dict[str, list[tuple[str, str]]] = {}
    rows: list[tuple[str, str]] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) != 2 or cells[0] == "---":
            continue
        if cells[1] in HEADINGS:
            rows = tables.setdefault(HEADINGS[cells[1]] or cells[0], [])
        else:
            rows.append((cells[0], cells[1]))
    return tables
