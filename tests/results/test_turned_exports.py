"""Exports of films that were turned: coordinates are those of the stored pixels, and viewers turn the image alike."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pydicom
import pytest

from ratui.imaging import Orientation
from ratui.results.export import export
from ratui.results.released import released_readings
from ratui.results.totals import get_rule
from ratui.study import Study
from tests.results.studies import noisy_study

FORMATS = ["coco", "json", "sr", "gsps"]


def exported(study: Study, folder: Path) -> Path:
    export(study, released_readings(study), folder, FORMATS, get_rule("carried"))
    return folder


def polylines(file: Path) -> list[list[float]]:
    state = pydicom.dcmread(file)
    return [list(each.GraphicData) for each in state.GraphicAnnotationSequence[0].GraphicObjectSequence]


@pytest.mark.parametrize(
    ("orientation", "rotation", "flip", "first", "last"),
    [
        # The film has 200 columns and 240 rows. The corners are the stored pixels, from (1, 1), that come top left and
        # bottom right: a clockwise quarter brings the bottom left pixel to the top left.
        (Orientation.TURNED_90, 90, "N", [1, 240], [200, 1]),
        (Orientation.TURNED_180, 180, "N", [200, 240], [1, 1]),
        (Orientation.MIRRORED, 0, "Y", [200, 1], [1, 240]),
        (Orientation.MIRRORED_90, 90, "Y", [1, 1], [200, 240]),
    ],
)
def test_boxes_are_in_stored_pixels_and_the_orientation_is_stated(
    tmp_path: Path, orientation: Orientation, rotation: int, flip: str, first: list[int], last: list[int]
) -> None:
    study = noisy_study(tmp_path / "s", patients=1)
    case = study.cases()[0]
    upright = exported(study, tmp_path / "upright")
    film = study.case(case).films[0]
    study.set_orientation(case, film.id, orientation, even_if_signed=True)
    turned = exported(study, tmp_path / "turned")
    assert (turned / "regions.json").read_bytes() == (upright / "regions.json").read_bytes()
    before, now = (json.loads((each / "readings.json").read_text()) for each in (upright, turned))
    jsonschema.validate(now, json.loads((turned / "readings.schema.json").read_text()))
    (record,) = (each for each in now["cases"][0]["films"] if each["film"] == film.id)
    assert record.pop("orientation") == orientation.value
    assert now == before
    for name in (f"gsps/{case}/anna-{film.id}.dcm", f"gsps/{case}/bert-{film.id}.dcm"):
        assert polylines(turned / name) == polylines(upright / name)
        state, plain = pydicom.dcmread(turned / name), pydicom.dcmread(upright / name)
        assert (state.ImageRotation, state.ImageHorizontalFlip) == (rotation, flip)
        assert "ImageRotation" not in plain
        assert state.SOPInstanceUID != plain.SOPInstanceUID
        (area,) = state.DisplayedAreaSelectionSequence
        assert [list(area.DisplayedAreaTopLeftHandCorner), list(area.DisplayedAreaBottomRightHandCorner)] == [
            first,
            last,
        ]
    for name in (f"sr/{case}/anna-0.dcm", f"sr/{case}/anna-1.dcm"):
        reports = [pydicom.dcmread(each / name) for each in (upright, turned)]
        assert [str(each.ContentSequence) for each in reports[:1]] == [
            str(each.ContentSequence) for each in reports[1:]
        ]
