"""The stored form of a region: the source of a box, and the name of the model that proposed it."""

from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.imaging import Box
from ratui.study import Region, RegionSource
from ratui.study.check import check_study
from tests.films import make_study

BOX = Box(1.0, 2.0, 30.0, 40.0)


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        (RegionSource.TEMPLATE, "template"),
        (RegionSource.RATER, "rater"),
        (RegionSource.REGISTERED, "registered"),
        (RegionSource.ESTIMATED, "estimated"),
        (RegionSource.OTHER_FILM, "other film"),
    ],
)
def test_a_source_is_stored_under_its_old_name(source: RegionSource, stored: str) -> None:
    region = Region("L.MCP2", "f", BOX, source, "anna", 0.5)
    expected = {"site": "L.MCP2", "film": "f", "box": BOX, "source": stored, "by": "anna", "confidence": 0.5}
    assert region.to_record() == expected
    assert Region.from_record(expected) == region


@pytest.mark.parametrize("name", ["detector", "model", "ssd-2"])
def test_a_proposal_is_stored_under_the_name_of_its_model(name: str) -> None:
    region = Region("L.MCP2", "f", BOX, RegionSource.MODEL, "", 0.9, name)
    record = region.to_record()
    assert record["source"] == name
    assert "model" not in record
    assert Region.from_record(record) == region


@pytest.mark.parametrize(
    ("source", "model"),
    [(RegionSource.MODEL, None), (RegionSource.MODEL, ""), (RegionSource.RATER, "ssd"), (RegionSource.MODEL, "rater")],
)
def test_a_source_and_a_model_that_contradict_each_other_are_rejected(source: RegionSource, model: str | None) -> None:
    with pytest.raises(ValueError, match="model"):
        Region("L.MCP2", "f", BOX, source, model=model)


def test_a_record_without_a_source_is_no_region() -> None:
    record = Region("L.MCP2", "f", BOX, RegionSource.RATER).to_record()
    with pytest.raises(StoreError, match="not a region"):
        Region.from_record({**record, "source": ""})


def test_proposals_for_joints_that_the_scheme_lacks_are_left_out(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    film = study.case(case).films[0].id
    box = Box(1.0, 1.0, 9.0, 9.0)
    proposed = [Region(site, film, box, RegionSource.MODEL, model="m") for site in ("L.MCP2", "L.RADCARP")]
    study.save_proposals("m", case, proposed)
    assert [region.site for region in study.proposals(case)] == ["L.MCP2"]
    assert check_study(study.path).is_intact
    study.save_regions(case, [Region("L.RADCARP", film, box, RegionSource.RATER, "anna")])
    with pytest.raises(StoreError, match="a site that the scheme lacks"):
        study.regions(case)
