"""The note on the regions screen about proposals on films of feet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ratui.imaging import Box, write_film
from ratui.regions.case_regions import CaseRegions
from ratui.regions.initial import find_template_box
from ratui.regions.propagation import PropagatedRegions
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.regions.text import format_opening_note


@pytest.mark.parametrize(("language", "words"), [("en", "simulated films only"), ("ja", "模擬フィルムでしか")])
def test_proposals_on_a_film_of_a_foot_are_said_to_be_checked_on_no_real_film(
    tmp_path: Path, language: str, words: str
) -> None:
    study = Study.create(tmp_path / "study", "mtss", ["anna"])
    films = tuple(
        FilmRecord(f"{view}{time}", time, "L", view, 500, 400, 0, (0.4, 0.4))
        for view in ("hand", "foot")
        for time in (0, 1)
    )
    for film in films:
        path = study.film_path("C-1", film.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_film(path, np.zeros((film.rows, film.columns), np.uint16), spacing=(0.4, 0.4))
    study.save_case(Case("C-1", films))

    def notes(regions: list[Region]) -> dict[str, str]:
        study.save_proposals("model", "C-1", regions)
        opened = CaseRegions(study, study.case("C-1"), (0, 1))
        return {
            film.view: format_opening_note(
                Catalog(language), opened.open_editor(index, PropagatedRegions({})), failed=False, mirror_key="m"
            )
            for index, (film, _) in enumerate(opened.films)
            if film.time == 0
        }

    regions, mirrored = list[Region](), list[Region]()
    for site in study.scheme.sites:
        film = next(film for film in films if film.view == site.part)
        box = find_template_box(study.scheme, film, site) if site.side == "L" else None
        if box is not None:
            regions.append(Region(site.key, film.id, box, RegionSource.MODEL, model="model"))
            mirrored.append(
                Region(site.key, film.id, box.mirror(Box(0, 0, 400, 500)), RegionSource.MODEL, model="model")
            )
    assert notes(regions)["hand"] == ""
    assert words in notes(regions)["foot"]
    without_one = [each for each in regions if not each.site.endswith("MTP5")]
    assert words in notes(without_one)["foot"], "also if one box is from the template"
    assert ("foot" if language == "en" else "足") in notes(mirrored)["foot"]
    assert words not in notes(mirrored)["foot"], "that it looks mirrored is more important"
    study.save_regions("C-1", [replace(each, confirmed_by="anna") for each in regions])
    assert notes(regions)["foot"] == ""
