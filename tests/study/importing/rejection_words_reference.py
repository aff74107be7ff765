"""A slow implementation of docs/intake.md, "Rejected exposures", rule 1, with the words of docs/intake-words.md."""

from __future__ import annotations

from ratui.study.importing import FilmHeader
from tests.study.importing.identification_reference import PROTOCOLS, TABLES, all_said, common_form, groups_of, listed

REJECTION, UNCLEAR = (set(listed(text)) for _, text in TABLES["rejection"])


def find_mark(header: FilmHeader) -> str:
    """Return ``rejected``, ``unclear`` or an empty text."""
    marks = set()
    for element in ("ImageComments", "SeriesDescription", *PROTOCOLS):
        text = header.elements.get(element, "")
        form = common_form(text)
        words = {form[start:stop] for start, stop, _ in groups_of(form)}
        if words & REJECTION:
            marks.add("unclear" if words & UNCLEAR or "?" in text else "rejected")
    return "rejected" if "rejected" in marks else "unclear" if marks else ""


def find_fraction(header: FilmHeader) -> str:
    """Return the first element of rank 1 to 3 whose 3/4 may name an oblique view, or an empty text."""
    return next((said.element for said in all_said(header) if said.fraction and said.rank <= 3), "")
