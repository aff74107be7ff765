"""Merge of a copy of a study from another site, which speaks only for the raters it is named for."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ratui import files as disk
from ratui.errors import StudyError
from ratui.imaging import Box
from ratui.reading import GradeEntry, enter, find_next_open_field, reopen, sign
from ratui.study import Region, RegionSource, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import remove_rater
from ratui.study.check import check_study
from ratui.study.config_files import reseal_settings
from ratui.study.copies.merge import MergeResult, merge
from tests.films import confirm_template, make_study
from tests.study.test_moving import read_on
from tests.support.attacks.merging import EVIL, FORGED, KINDS, replace_file, rewrite, stored_files

ROOT = os.geteuid() == 0


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path, patients=2)


def elsewhere(study: Study, tmp_path: Path, name: str = "site") -> Study:
    shutil.copytree(study.path, tmp_path / name)
    return Study.open(tmp_path / name)


def outcomes(done: list[MergeResult]) -> list[tuple[str, str]]:
    return [(item.outcome, item.item.split()[0]) for item in done]


def sign_all(study: Study, rater: str) -> None:
    with study.open_reading(rater, study.cases()[0]) as session:
        reading = session.reading
        while field := find_next_open_field(reading):
            reading = enter(reading, field, GradeEntry(0))
        session.save(sign(reading, timestamp=datetime.now(UTC)))


class TestReadings:
    def test_readings_of_all_sites_are_merged(self, study: Study, tmp_path: Path) -> None:
        one, two = elsewhere(study, tmp_path, "one"), elsewhere(study, tmp_path, "two")
        read_on(one, "anna")
        read_on(two, "bert", 5)
        assert outcomes(merge(study, one.path, ["anna"])) == [("added", "reading")]
        assert outcomes(merge(study, two.path, ["bert"])) == [("added", "reading")]
        case = study.cases()[0]
        assert study.reading("anna", case) == one.reading("anna", case)
        assert study.reading("bert", case) == two.reading("bert", case)
        assert check_study(study.path).is_intact
        assert merge(study, one.path, ["anna"]) == []

    @pytest.mark.parametrize("blinded", [False, True])
    def test_a_reading_that_went_on_elsewhere_is_continued(self, tmp_path: Path, blinded: bool) -> None:
        study = make_study(tmp_path, blinded=blinded)
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)
        read_on(site, "anna", 2)
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, item.reason) == ("continued", "2 entries more")
        case = study.cases()[0]
        assert study.reading("anna", case) == site.reading("anna", case)
        with study.open_reading("anna", case) as session:
            assert len(session.reading.log) == 5

    def test_a_reading_that_continued_here_stays(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)
        read_on(study, "anna", 2)
        assert merge(study, site.path, ["anna"]) == []

    def test_a_reading_that_continued_in_both_places_is_a_conflict(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna", 3)
        site = elsewhere(study, tmp_path)
        read_on(study, "anna", 1, grade=1)
        read_on(site, "anna", 4, grade=2)
        before = stored_files(study)
        (item,) = merge(study, site.path, ["anna"])
        assert item.outcome == "conflict"
        assert "after entry 3" in item.reason
        assert stored_files(study) == before

    def test_a_reading_signed_here_is_neither_reopened_nor_changed(self, study: Study, tmp_path: Path) -> None:
        sign_all(study, "anna")
        site = elsewhere(study, tmp_path)
        with site.open_reading("anna", site.cases()[0]) as session:
            session.save(reopen(session.reading, "wrong hand", timestamp=datetime.now(UTC)))
        before = stored_files(study)
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, "signed here" in item.reason) == ("conflict", True)
        assert stored_files(study) == before

    def test_the_time_of_earlier_entries_can_not_be_changed(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)

        def spend_more(tables: dict[str, Any]) -> None:
            for entry in tables["log"].values():
                entry["seconds"] = 100.0
            tables["meta"]["1"]["seconds"] = 100.0

        rewrite(site.reading_path("anna", site.cases()[0]), spend_more)
        assert merge(study, site.path, ["anna"]) == []
        with site.open_reading("anna", site.cases()[0]) as session:
            field = find_next_open_field(session.reading)
            assert field
            session.save(enter(session.reading, field, GradeEntry(0)))
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, "time of its entries" in item.reason) == ("conflict", True)

    def test_a_reading_signed_elsewhere_is_taken_over_once(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)
        sign_all(site, "anna")
        assert outcomes(merge(study, site.path, ["anna"])) == [("continued", "reading")]
        reading = study.reading("anna", study.cases()[0])
        assert reading is not None
        assert reading.signed_at
        assert merge(study, site.path, ["anna"]) == []

    def test_an_open_reading_is_not_changed(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        with study.open_reading("anna", study.cases()[0]):
            (planned,) = merge(study, site.path, ["anna"], dry_run=True)
            (item,) = merge(study, site.path, ["anna"])
        assert planned == item, "a dry run finds the same"
        assert (item.outcome, "open" in item.reason) == ("conflict", True)
        assert study.reading("anna", study.cases()[0]) is None

    def test_a_dry_run_writes_nothing(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        before = stored_files(study)
        assert outcomes(merge(study, site.path, ["anna"], dry_run=True)) == [("added", "reading")]
        assert stored_files(study) == before

    def test_damage_in_the_other_study_is_a_conflict(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        read_on(site, "bert")
        path = site.reading_path("anna", site.cases()[0])
        for each in (path, disk.second_copy_path(path)):
            each.write_bytes(each.read_bytes()[:-5])
        done = merge(study, site.path, ["anna", "bert"])
        assert outcomes(done) == [("conflict", "reading"), ("added", "reading")]

    def test_an_intact_second_copy_is_read(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        site.reading_path("anna", site.cases()[0]).unlink()
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "reading")]


class TestNamedRaters:
    def test_readings_of_others_are_not_taken_over(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "bert")
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        read_on(site, "bert", 2)
        before = study.reading("bert", study.cases()[0])
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "reading"), ("skipped", "readings")]
        assert study.reading("bert", study.cases()[0]) == before

    def test_no_raters_and_settings_are_taken_over(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        text = (site.path / "study.toml").read_text().replace('["anna", "bert"]', '["anna", "bert", "cleo"]')
        (site.path / "study.toml").write_text(text)
        reseal_settings(site.path)
        site = Study.open(site.path)
        read_on(site, "cleo")
        before = stored_files(study)
        assert outcomes(merge(study, site.path, ["anna"])) == [("skipped", "readings")]
        with pytest.raises(StudyError, match="cleo is not a rater"):
            merge(study, site.path, ["cleo"])
        assert stored_files(study) == before

    def test_another_study_is_refused(self, study: Study, tmp_path: Path) -> None:
        other = Study.create(tmp_path / "other", "fingers", ["anna"])
        with pytest.raises(StudyError, match="another study"):
            merge(study, other.path, ["anna"])
        with pytest.raises(StudyError, match="the study itself"):
            merge(study, study.path, ["anna"])
        site = elsewhere(study, tmp_path)
        text = (site.path / "study.toml").read_text().replace("blinded = false", "blinded = true")
        (site.path / "study.toml").write_text(text)
        reseal_settings(site.path)
        with pytest.raises(StudyError, match="blinded"):
            merge(study, site.path, ["anna"])

    def test_models_and_their_proposals_are_not_taken_over(self, study: Study, tmp_path: Path) -> None:
        first, second = study.cases()
        film = study.case(first).films[0].id
        study.save_proposals("detector", first, [])
        site = elsewhere(study, tmp_path)
        box = Box(1.0, 1.0, 5.0, 5.0)
        for case in (first, second):
            region = Region("L.MCP2", film, box, RegionSource.MODEL, model="detector")
            site.save_proposals("detector", case, [region])
        before = stored_files(study)
        assert merge(study, site.path, ["anna"]) == []
        assert stored_files(study) == before


class TestRegions:
    def test_regions_of_named_raters_are_added(self, study: Study, tmp_path: Path) -> None:
        first, second = study.cases()
        for file in (study.path / "regions").glob("*"):
            file.unlink()
        site = elsewhere(study, tmp_path)
        confirm_template(site, first, "anna")
        confirm_template(site, second, "bert")
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "regions")] * 4
        assert sorted(study.regions(first), key=str) == sorted(site.regions(first), key=str)
        assert study.regions(second) == ()

    def test_boxes_confirmed_here_stay(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        case = study.cases()[0]
        first, second, *rest = site.regions(case)
        assert first.film == second.film
        site.save_regions(case, [replace(first, box=Box(1.0, 1.0, 5.0, 5.0)), replace(second, box=None), *rest])
        before = stored_files(study)
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, item.reason) == ("conflict", "2 boxes differ; those here stay")
        assert stored_files(study) == before

    def test_boxes_that_two_raters_confirmed_alike_are_no_conflict(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        case = study.cases()[0]
        site.save_regions(
            case,
            [replace(region, confirmed_by="bert", source=RegionSource.REGISTERED) for region in site.regions(case)],
        )
        assert merge(study, site.path, ["anna", "bert"]) == []

    def test_a_box_that_is_not_confirmed_here_is_confirmed_but_not_moved(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        case = study.cases()[0]
        first, second, *rest = study.regions(case)
        study.save_regions(case, [replace(first, confirmed_by=""), replace(second, confirmed_by=""), *rest])
        site.save_regions(case, [first, replace(second, box=Box(1.0, 1.0, 5.0, 5.0)), *rest])
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "regions"), ("conflict", "regions")]
        now = {(region.site, region.film): region for region in study.regions(case)}
        assert now[first.site, first.film] == first
        assert now[second.site, second.film] == replace(second, confirmed_by="")

    @pytest.mark.parametrize(
        "values",
        [
            {"box": [0.0, 0.0, 1e300, 5.0]},
            {"box": [5000.0, 0.0, 5001.0, 5.0]},
            {"box": [1.0, 2.0, 3.0]},
            {"box": "box"},
            {"confidence": "high"},
            {"confidence": 7},
            {"source": EVIL},
            {"source": "a model of another kind"},
            {"site": {}},
            {"by": ["anna"]},
        ],
        ids=str,
    )
    def test_an_impossible_region_is_a_conflict(self, study: Study, tmp_path: Path, values: dict[str, Any]) -> None:
        case = study.cases()[0]
        site = elsewhere(study, tmp_path)
        (study.path / "regions" / f"{case}.json").unlink()
        (study.path / "regions" / f"{case}.json.bak").unlink()
        rewrite(site.path / "regions" / f"{case}.json", lambda tables: tables["regions"]["1"].update(values))
        before = stored_files(study)
        done = merge(study, site.path, ["anna"])
        assert outcomes(done) == [("conflict", "regions")]
        assert stored_files(study) == before


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_forged_reading_with_a_valid_seal_is_a_conflict(
    study: Study, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    site = elsewhere(study, tmp_path)
    read_on(site, "anna")
    rewrite(site.reading_path("anna", site.cases()[0]), change)
    before = stored_files(study)
    assert outcomes(merge(study, site.path, ["anna"])) == [("conflict", "reading")]
    assert stored_files(study) == before


class TestForeignFiles:
    """Let the other copy contain what no study contains. Nothing hangs, and nothing outside of it is read."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("which", ["reading", "regions"])
    def test_a_file_of_another_kind_is_a_conflict(self, study: Study, tmp_path: Path, kind: str, which: str) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        case = site.cases()[0]
        path = site.reading_path("anna", case) if which == "reading" else site.path / "regions" / f"{case}.json"
        replace_file(path, kind, tmp_path / "outside.json")
        before = stored_files(study)
        begun = time.monotonic()
        done = merge(study, site.path, ["anna"])
        assert time.monotonic() - begun < 10
        if which == "reading":
            assert outcomes(done) == [("conflict", "reading")]
            assert stored_files(study) == before
        else:
            assert outcomes(done) == [("conflict", "regions"), ("added", "reading")]
            assert study.regions(case) == Study.open(study.path).regions(case) != ()

    @pytest.mark.parametrize("folder", ["readings", "readings/anna", "regions"])
    def test_a_folder_that_is_a_link_is_not_entered(self, study: Study, tmp_path: Path, folder: str) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        (site.path / folder).rename(tmp_path / "outside")
        (site.path / folder).symlink_to(tmp_path / "outside")
        before = stored_files(study)
        done = merge(study, site.path, ["anna"])
        assert "added" not in {item.outcome for item in done if item.item.split()[0] == folder.split("/")[0]}
        if folder != "regions":
            assert stored_files(study) == before

    def test_odd_names_are_counted_and_printed_safely(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        (site.path / "readings" / f"x{EVIL}").mkdir()
        for number in range(300):
            (site.path / "readings" / "anna" / f"{EVIL}{number}.json").write_bytes(b"{}")
        (site.path / "readings" / "anna" / "-.json").write_bytes(b"{}")
        done = merge(study, site.path, ["anna"])
        assert outcomes(done) == [("added", "reading"), ("conflict", "readings"), ("skipped", "readings")]
        assert "and 296 more" in done[1].reason
        assert all((item.item + item.reason).isprintable() for item in done)

    def test_too_many_files_are_not_listed(self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from ratui.study.copies import foreign_copy

        monkeypatch.setattr(foreign_copy, "_MOST_FILES", 50)
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        for number in range(60):
            (site.path / "readings" / "anna" / f"{number}.json").write_bytes(b"{}")
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, "too many files" in item.reason) == ("conflict", True)

    def test_a_copy_that_changes_meanwhile_adds_nothing_that_was_not_checked(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Replace the file by a forged one after each read."""
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        path = site.reading_path("anna", site.cases()[0])
        intact = path.read_bytes()
        from ratui.study.store.folder import StudyFolder

        original = StudyFolder.read

        def read(folder: StudyFolder, inside: str, *args: Any, **more: Any) -> bytes:
            data = original(folder, inside, *args, **more)
            if folder.path == site.path and inside.startswith("readings"):
                path.write_bytes(json.dumps({"meta": {}}).encode())
            return data

        monkeypatch.setattr(StudyFolder, "read", read)
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "reading")]
        assert study.reading_path("anna", study.cases()[0]).read_bytes() == intact


def test_a_rater_who_may_not_open_the_study_brings_no_readings_into_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = elsewhere(study, tmp_path)
    sign_all(other, "anna")
    set_charter(study, {"qualification": {"required": True, "kappa": 0.6}}, "protocol 2")
    with pytest.raises(StudyError, match="anna has no result of an examination"):
        merge(study, other.path, ["anna"])
    set_charter(study, {"qualification": {"required": False}}, "protocol 3")
    remove_rater(study, "anna", "moved away")
    with monkeypatch.context() as patch:
        patch.setattr(Study, "is_manager", property(lambda _: False))
        with pytest.raises(StudyError, match="anna has left the study"):
            merge(study, other.path, ["anna"])
    assert not list((study.path / "readings").rglob("*.json"))
    merge(study, other.path, ["anna"])  # what the rater signed before leaving
