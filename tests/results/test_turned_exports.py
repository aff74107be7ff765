"""Exports of films that were turned: coordinates are those of the stored pixels, and viewers turn the image alike."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pydicom

from ratui.imaging import Orientation
from ratui.results.export import export
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.study import Study
from tests.results.studies import noisy_study

# The films have 200 columns and 240 rows. The corners are the stored pixels, from (1, 1), that come top left and bottom
# right: a clockwise quarter brings the bottom left pixel to the top left.
EXPECTED = {
    Orientation.TURNED_90: (90, "N", [1, 240], [200, 1]),
    Orientation.TURNED_180: (180, "N", [200, 240], [1, 1]),
    Orientation.MIRRORED: (0, "Y", [200, 1], [1, 240]),
    Orientation.MIRRORED_90: (90, "Y", [1, 1], [200, 240]),
}


def exported(study: Study, folder: Path) -> Path:
    export(study, collect_released_readings(study), folder, ["coco", "json", "sr", "gsps"], get_rule("carried"))
    return folder


def polylines(state: pydicom.Dataset) -> list[list[float]]:
    return [list(each.GraphicData) for each in state.GraphicAnnotationSequence[0].GraphicObjectSequence]


def test_boxes_are_in_stored_pixels_and_the_orientation_is_stated(tmp_path: Path) -> None:
    study = noisy_study(tmp_path / "s", patients=1, raters=("anna",))
    case = study.cases()[0]
    upright = exported(study, tmp_path / "upright")
    films = {film.id: orientation for film, orientation in zip(study.case(case).films, EXPECTED, strict=True)}
    for film, orientation in films.items():
        study.set_orientation(case, film, orientation, even_if_signed=True)
    turned = exported(study, tmp_path / "turned")
    assert (turned / "regions.json").read_bytes() == (upright / "regions.json").read_bytes()
    before, now = (json.loads((each / "readings.json").read_text()) for each in (upright, turned))
    jsonschema.validate(now, json.loads((turned / "readings.schema.json").read_text()))
    assert {each["film"]: each.pop("orientation") for each in now["cases"][0]["films"]} == films
    assert now == before
    for film, orientation in films.items():
        state, plain = (pydicom.dcmread(each / "gsps" / case / f"anna-{film}.dcm") for each in (turned, upright))
        assert polylines(state) == polylines(plain)
        assert "ImageRotation" not in plain
        assert state.SOPInstanceUID != plain.SOPInstanceUID
        (area,) = state.DisplayedAreaSelectionSequence
        corners = list(area.DisplayedAreaTopLeftHandCorner), list(area.DisplayedAreaBottomRightHandCorner)
        assert (state.ImageRotation, state.ImageHorizontalFlip, *corners) == EXPECTED[orientation]
    for time in (0, 1):
        reports = [pydicom.dcmread(each / "sr" / case / f"anna-{time}.dcm") for each in (upright, turned)]
        assert str(reports[0].ContentSequence) == str(reports[1].ContentSequence)
