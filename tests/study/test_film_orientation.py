"""A film's orientation: the displayed film is turned, its stored pixels and boxes are not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratui.errors import StoreError, StudyError
from ratui.imaging import Box, Film, Orientation
from ratui.study import FilmRecord, Region, RegionSource, Study
from ratui.study.check import check_study
from ratui.study.copies.merge import merge
from ratui.study.region_store import read_orientations
from ratui.study.withdrawal import withdraw_films
from tests.films import make_study
from tests.tui.readings import store_reading

TURNED = [each for each in Orientation if each is not Orientation.UPRIGHT]


def first_film(study: Study) -> tuple[str, FilmRecord]:
    (case,) = study.cases()
    return case, study.case(case).films[0]


def film_files(study: Study) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in study.path.glob("films/*/*")}


def pixels_in(film: Film, box: Box) -> list[int]:
    x0, y0, x1, y1 = (max(round(value), 0) for value in box)
    return sorted(film.pixels[y0:y1, x0:x1].ravel().tolist())


@pytest.mark.parametrize("orientation", TURNED)
def test_the_film_is_turned_and_nothing_stored_changes(tmp_path: Path, orientation: Orientation) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    whole = [replace(each, box=each.box and Box(*map(round, each.box))) for each in study.regions(case)]
    study.save_regions(case, whole)
    before, stored, files = study.film(case, film.id), study.regions(case), film_files(study)
    study.set_orientation(case, film.id, orientation, by="anna")
    assert film_files(study) == files
    turned, record = study.film(case, film.id), study.case(case).films[0]
    assert record.orientation is orientation
    assert (record.rows, record.columns) == turned.pixels.shape
    assert record.spacing == turned.spacing
    assert study.stored_regions(case) == stored
    for region, was in zip(study.regions(case), stored, strict=True):
        assert region.box is not None
        assert was.box is not None
        if region.film != film.id:
            assert region == was
            continue
        assert pixels_in(turned, region.box) == pixels_in(before, was.box)
        assert record.to_stored(region.box) == pytest.approx(was.box)
    assert check_study(study.path).is_intact


def test_a_rater_in_a_blinded_study_sees_the_turned_film(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    case, film = first_film(study)
    view = study.as_rater("anna")
    view.set_orientation(case, film.id, Orientation.TURNED_90, by="anna")
    for each in (study, view, Study.open(study.path), study.as_rater("bert")):
        shown = next(record for record in each.case(case).films if record.id == film.id)
        assert shown.orientation is Orientation.TURNED_90
        assert (shown.rows, shown.columns) == (film.columns, film.rows)
        assert each.film(case, film.id).pixels.shape == (film.columns, film.rows)


def test_boxes_saved_in_a_turned_film_stay_exactly_where_they_are(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    odd = Box(0.1, 0.3, 33.3, 47.7)
    others = [region for region in study.regions(case) if region.film != film.id]
    study.save_regions(case, [*others, Region("L.MCP2", film.id, odd, RegionSource.RATER, "anna")])
    study.set_orientation(case, film.id, Orientation.MIRRORED_90)
    for _ in range(3):
        study.save_regions(case, study.regions(case))
        (kept,) = (region.box for region in study.stored_regions(case) if region.film == film.id)
        assert kept == odd
    study.set_orientation(case, film.id, Orientation.UPRIGHT)
    assert next(region.box for region in study.regions(case) if region.film == film.id) == odd


def test_a_session_that_saw_the_earlier_orientation_saves_boxes_where_it_saw_them(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    opened = study.case(case)
    study.set_orientation(case, film.id, Orientation.TURNED_180, by="bert")
    box = Box(10.0, 20.0, 40.0, 50.0)
    study.save_regions(opened, [Region("L.MCP2", film.id, box, RegionSource.RATER, "anna")], films={film.id})
    assert next(region.box for region in study.stored_regions(case) if region.film == film.id) == box
    assert next(region.box for region in study.regions(opened) if region.film == film.id) == box
    expected = Box(film.columns - 40.0, film.rows - 50.0, film.columns - 10.0, film.rows - 20.0)
    assert next(region.box for region in study.regions(case) if region.film == film.id) == expected


def test_proposals_follow_the_film(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    box = Box(10.0, 20.0, 40.0, 50.0)
    study.save_proposals("ssd", case, [Region("L.MCP2", film.id, box, RegionSource.MODEL, "", 0.9, "ssd")])
    study.set_orientation(case, film.id, Orientation.MIRRORED)
    (proposed,) = study.proposals(case)
    assert proposed.box == Box(film.columns - 40.0, 20.0, film.columns - 10.0, 50.0)
    study.save_proposals("ssd", case, [proposed])
    study.set_orientation(case, film.id, Orientation.UPRIGHT)
    assert study.proposals(case)[0].box == box


def test_a_film_with_a_signed_reading_is_turned_only_if_that_is_confirmed(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    store_reading(study, case, {}, rater="bert", signed=True)
    with pytest.raises(StudyError, match="signed"):
        study.set_orientation(case, film.id, Orientation.TURNED_90)
    with pytest.raises(StudyError, match="signed"):
        study.as_rater("anna").set_orientation(case, film.id, Orientation.TURNED_90, by="anna")
    assert study.case(case).films[0].orientation is Orientation.UPRIGHT
    study.set_orientation(case, film.id, Orientation.TURNED_90, even_if_signed=True)
    assert study.case(case).films[0].orientation is Orientation.TURNED_90
    assert check_study(study.path).is_intact


def test_the_orientation_of_a_withdrawn_film_is_removed(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    study.set_orientation(case, film.id, Orientation.TURNED_90)
    study.set_orientation(case, study.case(case).films[-1].id, Orientation.TURNED_270)
    withdraw_films(study, case, [film.id], reason="wrong patient")
    assert film.id not in study.orientations(case)
    assert study.case(case).films[-1].orientation is Orientation.TURNED_270
    assert not [each for each in study.regions(case) if each.film == film.id]
    assert study.case(case).withdrawn
    assert check_study(study.path).is_intact


def test_a_film_that_the_case_does_not_have_is_not_turned(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, _ = first_film(study)
    with pytest.raises(StudyError, match="no film"):
        study.set_orientation(case, "other", Orientation.TURNED_90)


def test_saving_a_turned_case_does_not_change_its_list_of_films(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    stored = study.case(case)
    odd = replace(stored, films=tuple(replace(each, aspect=1.46, spacing=(0.146, 0.1)) for each in stored.films))
    study.save_case(odd)
    before = study.film_list(case).records
    study.set_orientation(case, film.id, Orientation.TURNED_270)
    turned = study.case(case)
    assert turned.films[0].aspect == pytest.approx(1 / 1.46)
    study.save_case(turned)
    assert study.film_list(case).records == before


def test_an_orientation_that_does_not_exist_is_an_error_of_the_check(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case, film = first_film(study)
    study.set_orientation(case, film.id, Orientation.TURNED_90)
    file = study.path / "regions" / f"{case}.json"
    record = json.loads(file.read_text())["orientations"]["1"]
    for odd in ({"orientation": "45"}, {"film": "../x"}, {"is_model": 1}, {"by": None}):
        with pytest.raises(StoreError, match="orientation"):
            read_orientations({"orientations": [{**record, **odd}]}, file)
    with pytest.raises(StoreError, match="two orientations"):
        read_orientations({"orientations": [record, record]}, file)


class TestMerge:
    def test_an_orientation_set_elsewhere_is_taken_over(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        case, film = first_film(study)
        shutil.copytree(study.path, tmp_path / "site")
        site = Study.open(tmp_path / "site")
        site.set_orientation(case, film.id, Orientation.TURNED_180, by="anna")
        results = merge(study, site.path, ["bert"])
        assert study.case(case).films[0].orientation is Orientation.UPRIGHT, "bert did not turn it"
        results = merge(study, site.path, ["anna"])
        assert [each.outcome for each in results if "orientation" in each.item] == ["added"]
        assert study.case(case).films[0].orientation is Orientation.TURNED_180
        assert not [each for each in merge(study, site.path, ["anna"]) if "orientation" in each.item and each.outcome]
        study.set_orientation(case, film.id, Orientation.TURNED_90, by="anna")
        (conflict,) = (each for each in merge(study, site.path, ["anna"]) if "orientation" in each.item)
        assert conflict.outcome == "conflict"
        assert study.case(case).films[0].orientation is Orientation.TURNED_90


@given(st.sampled_from(list(Orientation)), st.sampled_from(list(Orientation)), st.integers(1, 500), st.integers(1, 500))
def test_a_record_keeps_its_stored_size(first: Orientation, second: Orientation, rows: int, columns: int) -> None:
    record = FilmRecord("f", 0, "L", "hand", rows, columns, spacing=(0.1, 0.2))
    turned = record.with_orientation(first).with_orientation(second)
    assert turned == record.with_orientation(second)
    assert turned.as_stored() == record
    assert turned.to_record() == record.to_record()
    assert "orientation" not in record.to_record()
