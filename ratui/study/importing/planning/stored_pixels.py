"""The digests of the films in a study, by which the import recognises a film that is there already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from ratui.errors import RatuiError
from ratui.study.case import Case
from ratui.study.study import Study

__all__ = ["find_pixel_digests", "find_withdrawn_digests", "list_withdrawn_digests"]


def find_pixel_digests(study: Study, cases: Iterable[str]) -> dict[str, str]:
    """Return the case of each digest of pixels in the study.

    Films of damaged lists are left out, and those that were withdrawn.
    """
    found: dict[str, str] = {}
    for case in sorted(cases):
        with contextlib.suppress(RatuiError):  # a film of a damaged case is refused when it is saved
            # Up to format 2 of a study, the film list itself contains the digests.
            films = {film.id: film.digest for film in study.case(case).films}
            found.update({digest: case for digest in films.values() if digest})
            found.update({visit.pixels: case for film, visit in study.visits(case).items() if film in films})
    found.pop("", None)
    return found


def find_withdrawn_digests(study: Study, case: Case) -> frozenset[str]:
    """Return the digests of the films that were withdrawn from `case`. Raises StoreError."""
    if not case.withdrawn:
        return frozenset()
    visits = study.visits(case.id)
    return frozenset(visits[film].pixels for film, _ in case.withdrawn if film in visits)


def list_withdrawn_digests(study: Study, cases: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the digests of `find_withdrawn_digests` for each person, whose case `cases` names.

    Damaged cases are left out: their films are refused when they are saved.
    """
    found: dict[str, frozenset[str]] = {}
    for person, case in sorted(cases.items()):
        with contextlib.suppress(RatuiError):
            found[person] = find_withdrawn_digests(study, study.case(case))
    return {person: digests for person, digests in found.items() if digests}
