"""Contradicting headers and damaged files in every format: the right pixels or a refusal, and no crash in this process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from ratui.study.importing import ReaderProcess
from tests.support.fault_harness.contradictions import (
    KnownFilm,
    contradict,
    damage_pictures,
    find_outcome,
    known_films,
)

pytestmark = pytest.mark.slow


def outcomes(films: Iterable[KnownFilm], folder: Path) -> dict[str, list[str]]:
    """Return the names of the films by outcome. No outcome may be a fault of the reader."""
    found: dict[str, list[str]] = {}
    with ReaderProcess() as reader:
        for film in films:
            found.setdefault(find_outcome(reader, film, folder), []).append(film.name)
    assert not [reason for reason in found if "crash" in reason or "too long" in reason or "Error)" in reason]
    return found


def test_every_coding_and_format_gives_its_pixels(tmp_path: Path) -> None:
    films = known_films()
    assert len(films) > 20
    assert outcomes(films, tmp_path) == {"right": [film.name for film in films]}


def test_a_header_that_contradicts_the_pixels_never_changes_them(tmp_path: Path) -> None:
    found = outcomes(contradict(known_films(), 300, seed=15), tmp_path)
    assert "wrong" not in found, found["wrong"]
    assert len(found["right"]) > 60
    assert len(found) > 8


def test_damage_of_a_picture_file_is_found_or_decoded_as_it_is(tmp_path: Path) -> None:
    found = outcomes(damage_pictures(known_films(), 300, seed=15), tmp_path)
    assert "wrong" not in found, found["wrong"]
    assert len(found) > 5
