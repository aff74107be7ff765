"""Exports: each is read by an independent program, equals the entries, and names nobody."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import StudyError
from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.results.export import FORMATS, export
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.study import Study
from tests.results.studies import NOTE, noisy_study, read_study

pytestmark = pytest.mark.slow

pytest.importorskip("pyarrow", reason="pip install 'ratui[results]'")
highdicom = pytest.importorskip("highdicom", reason="pip install 'ratui[results]'")

_DICOM_TOOLS = "dcmtk is not installed"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return noisy_study(tmp_path_factory.mktemp("export"), patients=2)


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("out")
    export(study, collect_released_readings(study), target, tuple(FORMATS), get_rule("carried"))
    return target


def entered(study: Study) -> dict[tuple[str, str, Field], Entry]:
    """Return every entry, by case, rater and field."""
    found = {}
    for case in study.cases():
        for reading in study.signed_readings(case):
            for field, entry in reading.values.items():
                found[case, reading.rater, field] = entry
    return found


def entry_of(row: Mapping[str, Any]) -> Entry:
    """Return the entry that a row or a JSON record describes."""
    if row.get("grade") not in (None, ""):
        return GradeEntry(int(row["grade"]))
    return FindingEntry(str(row["finding"])) if row.get("finding") else NotAssessableEntry(str(row["reason"]))


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


class TestTables:
    def test_every_entry_comes_back_from_the_long_table(self, study: Study, folder: Path) -> None:
        read = {
            (row["case"], row["reader"], Field(row["site"], row["scale"], int(row["time"]))): entry_of(row)
            for row in rows(folder / "scores.csv")
        }
        assert read == entered(study)

    def test_the_score_is_what_the_scheme_makes_of_the_entry(self, study: Study, folder: Path) -> None:
        readings = {(r.case, r.rater): r for case in study.cases() for r in study.signed_readings(case)}
        for row in rows(folder / "scores.csv"):
            field = Field(row["site"], row["scale"], int(row["time"]))
            score = readings[row["case"], row["reader"]].score(field)
            assert row["score"] == ("" if score is None else str(score))

    @pytest.mark.parametrize("name", ["scores", "totals"])
    def test_parquet_says_the_same_with_types(self, folder: Path, name: str) -> None:
        pandas = pytest.importorskip("pandas")
        typed = pandas.read_parquet(folder / f"{name}.parquet")
        plain = pandas.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str)
        assert list(typed.columns) == list(plain.columns)
        for column in typed.columns:
            values = plain[column].tolist()
            for value, text in zip(typed[column].tolist(), values, strict=True):
                if text == "":
                    assert pandas.isna(value)
                else:
                    assert (float(text) if isinstance(value, int | float) else text) == value

    def test_parquet_carries_what_each_column_means(self, folder: Path) -> None:
        import pyarrow.parquet

        schema = pyarrow.parquet.read_schema(folder / "scores.parquet")
        assert schema.field("score").metadata[b"meaning"]
        assert str(schema.field("score").type) == "int32"

    def test_the_dictionary_explains_every_column_of_every_table(self, folder: Path) -> None:
        explained = {(row["table"], row["column"]) for row in rows(folder / "dictionary.csv") if row["meaning"]}
        for name in ("scores", "totals", "mk"):
            heads = (folder / f"{name}.csv").read_text().splitlines()[0].split(",")
            assert {(name, head) for head in heads} == {each for each in explained if each[0] == name}

    def test_totals_show_their_rule_and_how_much_was_assessed(self, folder: Path) -> None:
        for row in rows(folder / "totals.csv"):
            assert row["missing_rule"] == "carried"
            assert (row["ERO_1_assessed"], row["ERO_1_fields"]) == ("19", "20")
            assert float(row["total_1"]) - float(row["total_0"]) == float(row["total_change"])


class TestDocument:
    def test_it_is_valid_by_its_published_schema(self, folder: Path) -> None:
        validate = pytest.importorskip("jsonschema").Draft202012Validator
        schema = json.loads((folder / "readings.schema.json").read_text())
        validate.check_schema(schema)
        document = json.loads((folder / "readings.json").read_text())
        assert not list(validate(schema).iter_errors(document))
        document["cases"][0]["readings"][0]["entries"][0]["reason"] = "unreadable"
        assert list(validate(schema).iter_errors(document))
        document["cases"][0]["name"] = "Doe"
        assert any("name" in error.message for error in validate(schema).iter_errors(document))

    def test_every_entry_and_box_comes_back(self, study: Study, folder: Path) -> None:
        document = json.loads((folder / "readings.json").read_text())
        read = {
            (case["case"], reading["reader"], Field(e["site"], e["scale"], e["time"])): entry_of(e)
            for case in document["cases"]
            for reading in case["readings"]
            for e in reading["entries"]
        }
        assert read == entered(study)
        for case in document["cases"]:
            boxes = {(r["site"], r["film"]): r["box"] and tuple(r["box"]) for r in case["regions"]}
            assert boxes == {(r.site, r.film): r.box for r in study.regions(case["case"])}


def test_coco_is_read_by_its_own_tools(study: Study, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco").COCO(str(folder / "regions.json"))
    assert len(coco.getImgIds()) == 8
    for case in study.cases():
        for region in study.regions(case):
            image = next(i for i in coco.loadImgs(coco.getImgIds()) if i["file_name"] == f"{case}/{region.film}.dcm")
            joint = region.site.partition(".")[2]
            found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"], catIds=coco.getCatIds(catNms=[joint])))
            x, y, width, height = next(each["bbox"] for each in found if each["site"] == region.site)
            assert (x, y, x + width, y + height) == pytest.approx(region.box)


def test_a_region_that_nobody_has_confirmed_is_not_exported(tmp_path: Path) -> None:
    from dataclasses import replace

    study = noisy_study(tmp_path, patients=1)
    case = study.cases()[0]
    guessed = [
        replace(region, confirmed_by="") if region.site == "L.PIP5" else region for region in study.regions(case)
    ]
    study.save_regions(case, guessed)
    export(study, collect_released_readings(study), tmp_path / "out", ["coco", "json"], get_rule("carried"))
    boxes = json.loads((tmp_path / "out" / "regions.json").read_text())["annotations"]
    assert {each["site"] for each in boxes} == {region.site for region in guessed if region.confirmed_by}
    (told,) = json.loads((tmp_path / "out" / "readings.json").read_text())["cases"]
    assert len(told["regions"]) == len(boxes)


class TestMK:
    def test_a_field_without_a_score_is_not_done_with_the_reason(self, folder: Path) -> None:
        table = rows(folder / "mk.csv")
        missing = [row for row in table if row["MKSTAT"]]
        assert {(row["MKREASND"], row["MKORRES"], row["MKSTRESN"]) for row in missing} == {("UNREADABLE", "", "")}
        assert {row["MKLOC"] for row in missing} == {"INTERPHALANGEAL JOINT 1"}

    def test_rows_are_numbered_within_the_patient_and_name_the_reader_by_number(self, folder: Path) -> None:
        table = rows(folder / "mk.csv")
        for subject in {row["USUBJID"] for row in table}:
            numbers = [int(row["MKSEQ"]) for row in table if row["USUBJID"] == subject]
            assert numbers == list(range(1, 2 * 76 + 1))
        assert {row["MKEVALID"] for row in table} == {"READER 1", "READER 2"}
        assert all(len(row["MKTESTCD"]) <= 8 for row in table)

    def test_rows_follow_the_visits_and_not_the_order_on_a_raters_screen(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": {}, "bert": {}, "cleo": {}}, patients=3, blinded=True)
        export(study, collect_released_readings(study), tmp_path / "out", ("mk",), get_rule("complete"))
        visits: dict[tuple[str, str], list[int]] = {}
        for row in rows(tmp_path / "out" / "mk.csv"):
            visits.setdefault((row["USUBJID"], row["MKEVALID"]), []).append(int(row["VISITNUM"]))
        assert len(visits) == 9
        assert all(found == sorted(found) for found in visits.values())

    def test_a_finding_is_exported_with_its_score(self, folder: Path) -> None:
        found = [row for row in rows(folder / "mk.csv") if row["MKORRES"] == "ANKYLOSIS"]
        assert {(row["MKTESTCD"], row["MKSTRESN"]) for row in found} == {("ERO", "5"), ("JSN", "4")}


class TestStructuredReports:
    def test_highdicom_reads_scores_findings_and_boxes_back(self, study: Study, folder: Path) -> None:
        for case in study.cases():
            regions = {(r.site, r.film): r.box for r in study.regions(case)}
            for reading in study.signed_readings(case):
                for time in (0, 1):
                    report = highdicom.sr.srread(folder / "sr" / case / f"{reading.rater}-{time}.dcm")
                    groups = report.content.get_planar_roi_measurement_groups()
                    assert {group.tracking_identifier for group in groups} == reading.site_keys
                    for group in groups:
                        site = reading.site(group.tracking_identifier)
                        numbers = {m.name.value: int(m.value) for m in group.get_measurements()}
                        scores = {scale: numbers[scale] for scale in site.joint.scales if scale in numbers}
                        wanted = {s: reading.score(Field(site.key, s, time)) for s in site.joint.scales}
                        assert scores == {scale: score for scale, score in wanted.items() if score is not None}
                        (place,) = group.finding_sites
                        assert place.laterality.meaning == {"L": "Left", "R": "Right"}[site.side]
                        film = study.case(case).film(time, site.side, site.part, study.scheme)
                        assert film is not None
                        corners = group.roi.value
                        box = regions[site.key, film.id]
                        assert box is not None
                        low, high = corners.min(axis=0), corners.max(axis=0)
                        expected = (max(box[0], 0), max(box[1], 0), min(box[2], 200), min(box[3], 240))
                        assert (*low, *high) == pytest.approx(expected, abs=1e-3)

    def test_findings_and_missing_reasons_are_reported(self, study: Study, folder: Path) -> None:
        report = highdicom.sr.srread(folder / "sr" / study.cases()[0] / "anna-1.dcm")
        groups = report.content.get_planar_roi_measurement_groups()
        said = {
            group.tracking_identifier: [
                (each.name.value, each.value.value) for each in group.get_qualitative_evaluations()
            ]
            for group in groups
        }
        findings = {group.tracking_identifier: group.finding_type for group in groups}
        assert {site: found.value for site, found in findings.items() if found} == {"R.MCP5": "ankylosis"}
        assert said["L.IP1"] == [("NA-ERO", "unreadable")]
        assert said["L.MCP2"] == []

    @pytest.mark.skipif(shutil.which("dsrdump") is None, reason=_DICOM_TOOLS)
    def test_dsrdump_accepts_each(self, folder: Path) -> None:
        files = sorted((folder / "sr").rglob("*.dcm"))
        assert len(files) == 8
        done = subprocess.run(["dsrdump", "-v", *map(str, files)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "E:" not in done.stderr
        assert "W:" not in done.stderr
        assert done.stdout.count("Imaging Measurement Report") == 8

    def test_a_joint_that_is_not_on_its_film_has_no_region(self, tmp_path: Path) -> None:
        from dataclasses import replace

        study = noisy_study(tmp_path, patients=1)
        case = study.cases()[0]
        regions = [replace(r, box=None) if r.site == "L.PIP5" else r for r in study.regions(case)]
        study.save_regions(case, regions)
        export(study, collect_released_readings(study), tmp_path / "out", ["sr"], get_rule("carried"))
        report = highdicom.sr.srread(tmp_path / "out" / "sr" / case / "anna-0.dcm")
        assert len(report.content.get_planar_roi_measurement_groups()) == 19
        assert [g.tracking_identifier for g in report.content.get_image_measurement_groups()] == ["L.PIP5", "totals"]


class TestPresentationStates:
    def test_they_draw_each_box_with_its_scores_over_the_right_film(self, study: Study, folder: Path) -> None:
        import pydicom

        case = study.cases()[0]
        reading = study.signed_readings(case)[0]
        for film in study.case(case).films:
            state = pydicom.dcmread(folder / "gsps" / case / f"anna-{film.id}.dcm")
            header = pydicom.dcmread(study.film_path(case, film.id), stop_before_pixels=True)
            image = state.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
            assert image.ReferencedSOPInstanceUID == header.SOPInstanceUID
            texts = {
                t.TrackingID: t.UnformattedTextValue for t in state.GraphicAnnotationSequence[0].TextObjectSequence
            }
            assert set(texts) == {site for site in reading.site_keys if site[0] == film.side}
            boxes = {region.site: region.box for region in study.regions(case) if region.film == film.id}
            for drawn in state.GraphicAnnotationSequence[0].GraphicObjectSequence:
                x0, y0, x1, y1 = boxes[drawn.TrackingID] or (0, 0, 0, 0)
                assert list(drawn.GraphicData[:6]) == pytest.approx([x0, y0, x1, y0, x1, y1], abs=1e-3)
            for site, text in texts.items():
                score = reading.score(Field(site, "ERO", film.time))
                if score is not None and "ankylosis" not in text:
                    assert f"ERO {score}" in text

    @pytest.mark.skipif(shutil.which("dcmpschk") is None, reason=_DICOM_TOOLS)
    def test_dcmtk_checks_each(self, folder: Path) -> None:
        for file in sorted((folder / "gsps").rglob("*.dcm")):
            done = subprocess.run(["dcmpschk", str(file)], capture_output=True, text=True)
            assert "Test passed" in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed here")
@pytest.mark.parametrize("kind", ["sr", "gsps"])
def test_an_independent_validator_finds_no_error(folder: Path, kind: str) -> None:
    files = sorted((folder / kind).rglob("*.dcm"))
    assert len(files) >= 8
    for file in files:
        done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
        assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


class TestNobodyIsNamed:
    def test_no_export_holds_a_name_an_id_a_date_a_path_or_a_note(self, study: Study, folder: Path) -> None:
        import pandas

        told = [pandas.read_parquet(file).to_csv().encode() for file in folder.rglob("*.parquet")]
        told += [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
        assert len(told) > 20
        for words in (
            b"Doe",
            b"20200302",
            b"2020-03-02",
            b"20210504",
            b"hospital",
            NOTE.encode(),
            b"Smith",
            b"2024-05-06",
        ):
            assert not any(words in data for data in told), words

    def test_raters_can_be_written_as_numbers(self, study: Study, tmp_path: Path) -> None:
        formats = [name for name in FORMATS if name != "parquet"]
        export(study, collect_released_readings(study), tmp_path / "out", formats, get_rule("carried"), numbered=True)
        files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
        assert not any("anna" in file.name or b"anna" in file.read_bytes() for file in files)
        assert {row["reader"] for row in rows(tmp_path / "out" / "scores.csv")} == {"READER 1", "READER 2"}


class TestMistakes:
    def test_into_the_study(self, study: Study) -> None:
        with pytest.raises(StudyError, match="inside the study"):
            export(study, collect_released_readings(study), study.path / "out", ["csv"], get_rule("carried"))

    def test_an_unknown_format(self, study: Study, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="no format xls"):
            export(study, collect_released_readings(study), tmp_path / "out", ["xls"], get_rule("carried"))

    @pytest.mark.parametrize(("name", "library"), [("parquet", "pyarrow"), ("sr", "highdicom"), ("gsps", "highdicom")])
    def test_a_missing_library_is_named_with_the_extra_before_anything_is_written(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
    ) -> None:
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(StudyError, match=f"{library} is not installed") as caught:
            export(study, collect_released_readings(study), tmp_path / "out", ["csv", name], get_rule("carried"))
        assert "ratui[results]" in caught.value.remedy
        assert not (tmp_path / "out").exists()

    def test_a_study_without_released_readings_is_an_error(self, tmp_path: Path) -> None:
        from tests.results.studies import read_study

        study = read_study(tmp_path, {"anna": {}, "bert": None})
        with pytest.raises(StudyError, match="no reading is released yet"):
            export(study, collect_released_readings(study), tmp_path / "out", ["csv"], get_rule("complete"))
        assert not (tmp_path / "out").exists()
