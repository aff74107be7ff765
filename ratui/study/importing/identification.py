"""Find the side and the view of a film from its header."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ratui.study.importing.film_header import FilmHeader

__all__ = ["find_side", "find_view"]


def find_side(header: FilmHeader) -> str:
    """Return ``L``, ``R``, ``B``, or an empty text if the header does not state the side."""
    for keyword in ("ImageLaterality", "Laterality"):
        value = header.elements.get(keyword, "").upper()
        if value in ("L", "R", "B"):
            return value
    keywords = ("SeriesDescription", "ProtocolName", "StudyDescription")
    words = set(re.findall(r"[A-Z]+", " ".join(header.elements.get(keyword, "") for keyword in keywords).upper()))
    if words & {"BOTH", "BILATERAL", "BIL"} or {"LEFT", "RIGHT"} <= words:
        return "B"
    if words & {"LEFT", "LT"}:
        return "L"
    return "R" if words & {"RIGHT", "RT"} else ""


def find_view(header: FilmHeader, views: Iterable[str]) -> str:
    """Return the first of `views` that the body part or the study description names, else the first of all."""
    views = tuple(views)
    words = f"{header.elements.get('BodyPartExamined', '')} {header.elements.get('StudyDescription', '')}".lower()
    return next((view for view in views if view in words), views[0])
