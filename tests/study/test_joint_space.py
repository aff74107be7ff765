"""Measured joint spaces: stored without the order of the films, marked when outdated, and hidden from raters in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from ratui.errors import DamagedError, StoreError, StudyError
from ratui.study import Region, RegionSource, Study
from ratui.study.campaign.audit import list_audit_entries
from ratui.study.check import check_study
from ratui.study.copies.backup import back_up
from ratui.study.copies.merge import merge
from ratui.study.copies.package import package
from ratui.study.copies.restore import restore
from ratui.study.joint_spaces.joint_space import (
    JOINT_SPACE,
    OUTDATED,
    PRIVATE_JOINT_SPACE,
    MeasuredChange,
    digest_inputs,
    load_joint_space,
    publish_joint_space,
    read_joint_space,
    save_joint_space,
    shown_boxes,
)
from ratui.study.store import read_intact, write_tables
from tests.films import make_study

NARROWER = MeasuredChange("L.MCP2", ("", ""), -2.5, -0.4, 0.05, 0.9, True, "", "")

pytestmark = pytest.mark.usefixtures("read_films_here")


def measured(study: Study, site: str = "L.MCP2", *, times: tuple[int, int] = (0, 1)) -> MeasuredChange:
    """Return a measurement of `site` in the only case with its present films and boxes, narrower at the later time point."""
    case = study.case(study.cases()[0])
    films = [next(film for film in case.films if film.time == time and film.side == site[0]) for time in times]
    boxes = shown_boxes(study.regions(case), study.proposals(case))
    inputs = digest_inputs(films, [boxes[site, film.id] for film in films])
    return replace(NARROWER, site=site, films=(films[0].id, films[1].id), inputs=inputs, times=times)


def files_outside_private(study: Study) -> dict[str, bytes]:
    found = {path.relative_to(study.path).as_posix(): path for path in study.path.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith("private/")}


def change_file(study: Study, table: str, record: Mapping[str, Any]) -> None:
    file = study.path / JOINT_SPACE / f"{study.cases()[0]}.json"
    stored = read_intact(file)
    assert stored is not None
    tables = {name: [dict(each) for each in records] for name, records in stored.tables.items()}
    tables[table][0].update(record)
    write_tables(file, tables)


def test_measurements_return_as_they_were_saved(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    assert load_joint_space(study, case) == ()
    unknown = replace(measured(study, "R.PIP3"), mm=None, pixels=None, sd=None, is_reliable=False, reason="overlap")
    found = (measured(study), unknown)
    assert save_joint_space(study, case, found[::-1])
    assert load_joint_space(study, case) == found
    assert not save_joint_space(study, case, found), "an unchanged file is not written again"
    assert save_joint_space(study, case, found[:1])
    assert check_study(study.path).faults == ()
    assert [
        each.subject for each in list_audit_entries(study, with_entries=True) if "measured joint spaces" in each.action
    ] == [case] * 2


def test_the_file_does_not_contain_the_order_of_the_films(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    earlier_first = measured(study)
    assert earlier_first.to_record() == earlier_first.exchanged().to_record()
    assert earlier_first.exchanged().mm == 0.4
    record = earlier_first.to_record()
    assert list(record["films"]) == sorted(earlier_first.films)
    assert record["mm"] == (-0.4 if earlier_first.films == record["films"] else 0.4)
    assert "times" not in record
    save_joint_space(study, case, [earlier_first.exchanged()])
    assert load_joint_space(study, case) == (earlier_first,)


def test_a_changed_box_makes_a_measurement_outdated(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    found = (measured(study), measured(study, "L.MCP3"))
    save_joint_space(study, case, found)
    regions = {(region.site, region.film): region for region in study.regions(case)}
    old = regions["L.MCP2", found[0].films[0]]
    assert old.box is not None
    moved = replace(old, box=old.box._replace(x1=old.box.x1 + 1))
    study.save_regions(case, [*({**regions, (old.site, old.film): moved}).values()])
    assert load_joint_space(study, case) == (replace(found[0], is_reliable=False, reason=OUTDATED), found[1])
    assert read_joint_space(study, case) == found, "the stored measurement itself is unchanged"
    study.save_regions(case, [each for each in regions.values() if each.site != "L.MCP3"])
    assert load_joint_space(study, case) == (found[0], replace(found[1], is_reliable=False, reason=OUTDATED))


def test_boxes_of_raters_go_before_proposals(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    case = study.case(study.cases()[0])
    film = case.films[0].id
    sites = ("L.MCP2", "L.MCP3", "L.MCP4")
    proposals = [Region(s, film, (1, 1, 9, 9), RegionSource.MODEL, model="m") for s in sites]  # type: ignore[arg-type]
    regions = [
        Region("L.MCP2", film, (2, 2, 9, 9), RegionSource.RATER, "anna"),  # type: ignore[arg-type]
        Region("L.MCP3", film, None, RegionSource.RATER, "anna"),
    ]
    assert shown_boxes(regions, proposals) == {("L.MCP2", film): (2, 2, 9, 9), ("L.MCP4", film): (1, 1, 9, 9)}


def test_a_blinded_study_keeps_them_in_its_private_folder(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    before = files_outside_private(study)
    save_joint_space(study, case, [measured(study)])
    assert load_joint_space(study, case) == (measured(study),)
    assert files_outside_private(study) == before
    assert load_joint_space(study.as_rater("anna"), case) == ()
    assert publish_joint_space(study, case, [measured(study)])
    assert not publish_joint_space(study, case, [measured(study)])
    assert check_study(study.path).faults == ()


def test_measurements_of_withdrawn_films_are_left_out(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (name,) = study.cases()
    found = measured(study)
    save_joint_space(study, name, [found, measured(study, "R.MCP2")])
    case = study.case(name)
    left = tuple(film for film in case.films if film.id != found.films[1])
    study.save_case(replace(case, films=left, withdrawn=((found.films[1], 1),)))
    assert [each.site for each in load_joint_space(study, name)] == ["R.MCP2"]


@pytest.mark.parametrize(
    ("table", "record"),
    [
        ("meta", {"format": 9}),
        ("meta", {"scheme": "0" * 64}),
        ("changes", {"site": "L.NONE"}),
        ("changes", {"films": ["a", "b"]}),
        ("changes", {"films": "ab"}),
        ("changes", {"mm": "wide"}),
        ("changes", {"mm": 1e9}),
        ("changes", {"sd": -1}),
        ("changes", {"sd": None}),
        ("changes", {"confidence": 2}),
        ("changes", {"ok": 1}),
        ("changes", {"ok": False}),
        ("changes", {"reason": "overlap"}),
        ("changes", {"ok": False, "reason": "another"}),
    ],
)
def test_impossible_measurements_are_rejected_and_reported(
    tmp_path: Path, table: str, record: Mapping[str, Any]
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    save_joint_space(study, case, [measured(study)])
    change_file(study, table, record)
    with pytest.raises(StoreError) as raised:
        load_joint_space(study, case)
    found = [each.problem for each in check_study(study.path).faults if JOINT_SPACE in each.file]
    assert raised.value.problem in found


def test_films_in_the_wrong_order_and_doubles_are_rejected(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    save_joint_space(study, case, [measured(study), measured(study)])
    with pytest.raises(StoreError, match="two measurements"):
        load_joint_space(study, case)
    save_joint_space(study, case, [measured(study)])
    change_file(study, "changes", {"films": sorted(measured(study).films, reverse=True)})
    with pytest.raises(StoreError, match="not sorted"):
        load_joint_space(study, case)


def test_damage_is_reported_and_the_second_copy_is_repaired(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    save_joint_space(study, case, [measured(study)])
    file = study.path / PRIVATE_JOINT_SPACE / f"{case}.json"
    file.write_bytes(file.read_bytes().replace(b"0.05", b"0.06"))
    assert any(PRIVATE_JOINT_SPACE in fault.file for fault in check_study(study.path).faults)
    check_study(study.path, repair=True)
    assert check_study(study.path).faults == ()
    for copy in (file, file.with_suffix(".json.bak")):
        copy.write_bytes(copy.read_bytes().replace(b"0.05", b"0.06"))
    with pytest.raises(DamagedError):
        load_joint_space(study, case)


def test_backups_have_them_and_copies_for_raters_have_not(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    save_joint_space(study, case, [measured(study)])
    publish_joint_space(study, case, [measured(study)])
    back_up(study, tmp_path / "backup.zip")
    restored = restore(tmp_path / "backup.zip", tmp_path / "restored").study
    assert load_joint_space(restored, case) == (measured(study),)
    assert check_study(restored.path).faults == ()
    package(study, "anna", tmp_path / "package.zip")
    with ZipFile(tmp_path / "package.zip") as archive:
        assert not [name for name in archive.namelist() if "joint" in name]
    save_joint_space(restored, case, [])
    publish_joint_space(restored, case, [])
    merge(study, restored.path, ["anna"])
    assert load_joint_space(study, case) == (measured(study),)


def test_names_can_not_leave_the_study(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    with pytest.raises(StudyError):
        save_joint_space(study, "../away", [])
