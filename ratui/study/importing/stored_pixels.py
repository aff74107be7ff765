"""The digests of the films in a study, by which the import recognises a film that is there already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from ratui.errors import RatuiError
from ratui.study.study import Study

__all__ = ["find_pixel_digests"]


def find_pixel_digests(study: Study, cases: Iterable[str]) -> dict[str, str]:
    """Return the case of each digest of pixels in the study; those of damaged film lists are left out."""
    found: dict[str, str] = {}
    for case in sorted(cases):
        with contextlib.suppress(RatuiError):  # a film of a damaged case is refused when it is saved
            # Up to format 2 of a study, the film list itself contains the digests.
            found.update({film.digest: case for film in study.case(case).films if film.digest})
            found.update({visit.pixels: case for visit in study.visits(case).values() if visit.pixels})
    return found
