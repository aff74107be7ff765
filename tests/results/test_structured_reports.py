"""The content of Structured Reports: the same as highdicom builds, with the time point and the totals of each visit."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.sr.codedict import codes

from ratui.errors import FilmError
from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.results.export import content_tree, structured_report
from ratui.results.export.content_tree import CONTAINS, Concept, encode_content, make_code_item, make_number_item
from ratui.results.export.presentation_state import build_presentation_states
from ratui.results.export.reading_totals import ReadingTotals
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.structured_report import build_structured_reports, read_film_headers
from ratui.results.export.wide_table import build_wide_table
from ratui.results.released import collect_released_readings
from ratui.results.totals import RULES, get_rule
from ratui.study import Case, FilmRecord, Study, film_files
from ratui.study.campaign.charter import Charter, PlannedVisit
from ratui.study.readings.late_changes import LateChange, LateChanges
from tests.films import make_study
from tests.tui.readings import AT, store_reading

pytestmark = pytest.mark.slow

highdicom = pytest.importorskip("highdicom", reason="pip install 'ratui[results]'")

ENTRIES: Mapping[Field, Entry] = {
    Field("L.IP1", "ERO", 1): NotAssessableEntry("unreadable"),
    Field("L.MCP5", "ERO", 1): FindingEntry("ankylosis"),
    Field("L.MCP2", "ERO", 0): GradeEntry(2),
    Field("L.PIP3", "JSN", 0): GradeEntry(3),
    Field("L.PIP3", "JSN", 1): GradeEntry(3),
}


@dataclass(frozen=True)
class ChangedSource(ExportSource):
    """An export whose cases have other numbers and days of their visits."""

    numbers: tuple[int, int] = (0, 1)
    days: tuple[int | None, int | None] = (0, 428)

    def by_case(self) -> Iterator[tuple[Case, tuple[SignedReading, ...]]]:
        def changed(film: FilmRecord) -> FilmRecord:
            return replace(film, visit=self.numbers[film.time], day=self.days[film.time])

        for case, signed in super().by_case():
            other = replace(case, films=tuple(map(changed, case.films)))
            yield other, tuple(replace(each, case=other) for each in signed)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study with one patient, one hand, and one rater; one joint is not on its film, one box not confirmed."""
    study = make_study(tmp_path_factory.mktemp("reports"), raters=("anna",), sides="L")
    (case,) = study.cases()
    store_reading(study, case, ENTRIES, signed=True)
    regions = [
        replace(region, box=None)
        if region.site == "L.PIP5"
        else replace(region, confirmed_by="")
        if region.site == "L.PIP4"
        else region
        for region in study.regions(case)
    ]
    study.save_regions(case, regions)
    return study


def source_of(
    study: Study, numbers: tuple[int, int] = (0, 1), days: tuple[int | None, int | None] = (0, 428), **charter: Any
) -> ExportSource:
    released = collect_released_readings(study)
    released = replace(released, visit_numbers=dict.fromkeys(released.readings, numbers))
    source = ChangedSource(study, released, numbers=numbers, days=days)
    study.config = replace(study.config, charter=Charter(**charter))
    return source


def parse(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def reports(source: ExportSource, rule: str = "observed") -> list[pydicom.Dataset]:
    return [parse(data) for _, data in build_structured_reports(source, get_rule(rule), "ratui")]


def groups(report: pydicom.Dataset) -> list[list[pydicom.Dataset]]:
    """Return the items of each measurement group."""
    measurements = report.ContentSequence[-1]
    return [list(group.ContentSequence) for group in measurements.ContentSequence]


def values(items: list[pydicom.Dataset]) -> dict[str, Any]:
    """Return texts, numbers and codes by the codes of their names."""
    found: dict[str, Any] = {}
    for item in items:
        name = item.ConceptNameCodeSequence[0].CodeValue
        match item.ValueType:
            case "TEXT":
                found[name] = item.TextValue
            case "NUM":
                measured = item.MeasuredValueSequence[0]
                found[name] = float(measured.get("FloatingPointValue", measured.NumericValue))
            case "CODE":
                found[name] = item.ConceptCodeSequence[0].CodeValue
    return found


def as_text(item: pydicom.Dataset) -> str:
    """Return the elements of an item as text. highdicom writes whole numbers as 4.0, ratui as 4."""
    return re.sub(r"(DS: '-?\d+)\.0'", r"\1'", str(item))


class TestAgreementWithHighdicom:
    @pytest.mark.parametrize(("rule", "days"), [("prorated", (0, 428)), ("complete", (None, None))])
    def test_the_content_is_the_same(self, study: Study, rule: str, days: tuple[int | None, int | None]) -> None:
        from tests.support.highdicom_reports import build_report

        source = source_of(study, (0, 3), days, visits=(PlannedVisit("Aufnahme"),))
        ((case, (signed,)),) = source.by_case()
        all_totals, headers = ReadingTotals(source, get_rule(rule)), read_film_headers(study, case)
        own = reports(source, rule)[1]
        wanted = build_report(
            signed.reading,
            case,
            1,
            study=study.config.id,
            regions={(each.site, each.film): each for each in study.regions(case.id) if each.confirmed_by},
            headers={film.id: headers[film.id] for film in case.films if film.time == 1},
            visit="visit 4",
            days=days[1],
            totals={scale: all_totals.total(signed, 3, scale) for scale in ("ERO", "JSN", None)},
            rule=rule,
            statement=all_totals.statement,
        )
        buffer = io.BytesIO()
        wanted.save_as(buffer, enforce_file_format=True)
        expected = parse(buffer.getvalue())
        assert len(groups(own)) == 11
        for ours, theirs in zip(groups(own), groups(expected), strict=True):
            for one, other in zip(ours, theirs, strict=True):
                assert as_text(one) == as_text(other)
        equal = "ConceptNameCodeSequence ContentTemplateSequence CurrentRequestedProcedureEvidenceSequence"
        for keyword in (
            *equal.split(),
            "ContinuityOfContent",
            "PatientID",
            "SOPClassUID",
            "StudyInstanceUID",
            "ValueType",
        ):
            assert own[keyword] == expected[keyword]
        assert [*map(as_text, own.ContentSequence[:-1])] == [*map(as_text, expected.ContentSequence[:-1])]
        assert {*own.keys()} ^ {*expected.keys()} == {0x00080005}  # the character set, which the judge does not write

    def test_highdicom_parses_the_template(self, study: Study) -> None:
        data = next(data for _, data in build_structured_reports(source_of(study), get_rule("observed"), "ratui"))
        report = highdicom.sr.srread(io.BytesIO(data))
        assert isinstance(report.content, highdicom.sr.MeasurementReport)
        assert len(report.content.get_planar_roi_measurement_groups()) == 8
        others = report.content.get_image_measurement_groups()
        assert [group.tracking_identifier for group in others] == ["L.PIP4", "L.PIP5", "totals"]

    def test_each_public_code_is_in_the_dictionary_of_pydicom(self) -> None:
        known = {
            (each.scheme_designator, each.value, each.meaning.partition(" (")[0].casefold())  # without "(finding)"
            for scheme in (codes.DCM, codes.SCT, codes.UCUM)
            for each in scheme.concepts.values()
        }
        used = [each for module in (structured_report, content_tree) for each in vars(module).values()]
        public = [each for each in used if isinstance(each, Concept) and each.scheme in ("DCM", "SCT", "UCUM")]
        assert len(public) == 25
        for concept in public:
            assert (concept.scheme, concept.code, concept.meaning.casefold()) in known


class TestTimePoint:
    def test_it_has_name_order_and_days_of_each_visit(self, study: Study) -> None:
        source = source_of(study, (0, 2), (0, 428), visits=(PlannedVisit("screening"),))
        found = [[values(group) for group in groups(report)] for report in reports(source)]
        for of_report, (name, order, days) in zip(found, (("screening", 1, 0), ("visit 3", 3, 428)), strict=True):
            for group in of_report:
                assert (group["C2348792"], group["126073"], group["128740"]) == (name, order, days)

    @pytest.mark.parametrize(
        ("numbers", "days", "known"),
        [
            ((0, 1), (None, None), (False, False)),
            ((0, 1), (0, None), (True, False)),
            ((0, 1), (None, 428), (False, False)),
            ((1, 2), (0, 300), (False, False)),  # days count from the first film, which is not the baseline
        ],
    )
    def test_no_days_are_invented(
        self, study: Study, numbers: tuple[int, int], days: tuple[int | None, int | None], known: tuple[bool, bool]
    ) -> None:
        found = reports(source_of(study, numbers, days))
        assert tuple("128740" in values(groups(report)[0]) for report in found) == known

    def test_a_name_in_japanese_is_read_back(self, study: Study) -> None:
        report = reports(source_of(study, visits=(PlannedVisit("初回"),)))[0]
        assert values(groups(report)[0])["C2348792"] == "初回"
        assert report.SpecificCharacterSet == "ISO_IR 192"
        assert reports(source_of(study))[0].SpecificCharacterSet == "ISO_IR 100"


class TestTotals:
    @pytest.mark.parametrize("rule", list(RULES))
    def test_they_are_those_of_the_table_and_state_the_rule(self, study: Study, rule: str) -> None:
        source = source_of(study)
        table = build_wide_table(source, get_rule(rule))
        (row,) = (dict(zip([column.name for column in table.columns], cells, strict=True)) for cells in table.rows)
        for visit, report in enumerate(reports(source, rule)):
            (total,) = (group for group in groups(report) if values(group)["112039"] == "totals")
            found = values(total)
            for scale, key in (("ERO", "ERO"), ("JSN", "JSN"), ("total", "ALL")):
                if row[f"{scale}_{visit}"] is None:
                    assert found[f"NA-TOTAL-{key}"] == f"MISSING-{rule}"
                    assert f"TOTAL-{key}" not in found
                else:
                    assert found[f"TOTAL-{key}"] == pytest.approx(row[f"{scale}_{visit}"])
                assert found[f"SCORED-{key}"] == row[f"{scale}_{visit}_assessed"]
                assert found[f"FIELDS-{key}"] == row[f"{scale}_{visit}_fields"]
            assert found["121106"].startswith(f"Fields without a score: {rule}, {get_rule(rule).meaning}")
            methods = [values(list(item.ContentSequence)) for item in total if "ContentSequence" in item]
            modified = [each for each in methods if "370129005" in each]
            assert modified == [{"370129005": f"MISSING-{rule}", "121401": "255619001"}] * len(modified)
            assert len(modified) == sum(row[f"{scale}_{visit}"] is not None for scale in ("ERO", "JSN", "total"))

    def test_the_rule_after_surgery_is_stated(self, study: Study) -> None:
        source = source_of(study, surgery="maximum")
        assert "with the maximum of each scale" in values(groups(reports(source)[0])[-1])["121106"]

    def test_a_late_change_is_stated_here_and_in_presentation_states(self, study: Study) -> None:
        source = source_of(study)
        states = [parse(data) for _, data in build_presentation_states(source, "ratui")]
        (case,) = study.cases()
        late = source_of(study)
        change = LateChange(case, "anna", AT, AT + timedelta(days=1), AT + timedelta(days=2))
        late.__dict__["late"] = LateChanges({case: (change,)})
        for report, before in zip(reports(late), reports(source), strict=True):
            assert values(groups(report)[-1])["121106"].endswith(
                "opened again after all raters of the case had signed."
            )
            assert "opened again" not in values(groups(before)[-1])["121106"]
        for (_, data), before in zip(build_presentation_states(late, "ratui"), states, strict=True):
            state = parse(data)
            assert (state.ContentDescription, before.ContentDescription) == (
                "late change, scores of anna",
                "scores of anna",
            )
            assert state.SOPInstanceUID != before.SOPInstanceUID

    def test_another_rule_is_another_report(self, study: Study) -> None:
        source = source_of(study)
        first, again, other = (reports(source, rule)[0] for rule in ("observed", "observed", "carried"))
        assert first.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
        assert first.SeriesInstanceUID != other.SeriesInstanceUID


class TestEncoding:
    def test_long_codes_and_fractions_are_read_back(self) -> None:
        long = Concept("a-code-of-more-than-16", "99RATUI", "odd")
        items = [
            make_code_item(CONTAINS, long, long),
            make_number_item(CONTAINS, long, 1 / 3, Concept("1", "UCUM", "no units")),
            make_number_item(CONTAINS, long, -7, Concept("1", "UCUM", "no units")),
        ]
        encoded = encode_content(items)
        dataset = pydicom.filereader.read_dataset(io.BytesIO(encoded), False, True)
        code, fraction, whole = dataset.ContentSequence
        assert code.ConceptCodeSequence[0].LongCodeValue == long.code
        assert "CodeValue" not in code.ConceptCodeSequence[0]
        measured = fraction.MeasuredValueSequence[0]
        assert (measured.FloatingPointValue, len(str(measured.NumericValue)) <= 16) == (1 / 3, True)
        assert float(measured.NumericValue) == pytest.approx(1 / 3, abs=1e-10)
        assert whole.MeasuredValueSequence[0].NumericValue == -7
        assert "FloatingPointValue" not in whole.MeasuredValueSequence[0]
        assert str(dataset)  # pydicom decodes all elements
        again = DicomBytesIO()
        again.is_little_endian, again.is_implicit_VR = True, False
        pydicom.filewriter.write_dataset(again, dataset)
        assert again.getvalue() == encoded

    def test_pydicom_writes_the_same_bytes(self, study: Study) -> None:
        data = next(data for _, data in build_structured_reports(source_of(study), get_rule("observed"), "ratui"))
        report = parse(data)
        assert str(report)  # pydicom decodes all elements
        buffer = io.BytesIO()
        report.save_as(buffer, enforce_file_format=True)
        assert buffer.getvalue() == data


class TestFilmHeaders:
    def test_the_pixels_are_not_read(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        (case,) = study.cases()
        film = study.case(case).films[0].id
        amounts = []

        class Counted(io.FileIO):
            def readinto(self, buffer: Any, /) -> int | None:
                count = super().readinto(buffer)
                amounts.append(count or 0)
                return count

        monkeypatch.setattr(film_files, "FileIO", Counted)
        header = film_files.read_film_header(study.folder, case, film)
        assert header.Rows == 240
        assert "PixelData" not in header
        assert 0 < sum(amounts) < study.film_path(case, film).stat().st_size / 2

    def test_a_damaged_or_missing_film_is_an_error(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, raters=("anna",), sides="L")
        (case,) = study.cases()
        first, second = (film.id for film in study.case(case).films)
        study.film_path(case, first).write_bytes(b"no film" * 100)
        study.film_path(case, second).unlink()
        for film, problem in ((first, "not a DICOM file"), (second, "no such file")):
            with pytest.raises(FilmError, match=problem):
                film_files.read_film_header(study.folder, case, film)
