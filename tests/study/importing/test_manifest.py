"""Manifests: what spreadsheets and file systems make of them, and rows that contradict their films."""

import unicodedata
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.scheme import load_scheme
from ratui.study import ImportReport, InProcessConverter, Study, import_films
from ratui.study.importing.planning.manifest import ManifestRow, read_manifest, write_manifest
from tests.films import film_file

HEAD = "file,patient,time,side"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "mtss", ["anna"])


class TestForms:
    def read(self, tmp_path: Path, data: str | bytes, *names: str) -> list[ManifestRow]:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        path = tmp_path / "films.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_manifest(path, load_scheme("mtss"))

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", "\n,,,\n", "\n , , ,\n\n"])
    def test_empty_rows_are_skipped(self, tmp_path: Path, end: str) -> None:
        rows = self.read(tmp_path, f"{HEAD}{end}a.dcm,P1,0,L{end}b.dcm,P1,1,L{end}")
        assert [row.path.name for row in rows] == ["a.dcm", "b.dcm"]

    def test_a_column_that_occurs_twice_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="a column twice"):
            self.read(tmp_path, f"{HEAD},Side\na.dcm,P1,0,L,R\n")

    @pytest.mark.parametrize("row", ["a, left.dcm,P1,0,L", "a.dcm,P1,0,L,x"])
    def test_a_row_with_more_cells_than_the_first_line_is_an_error(self, tmp_path: Path, row: str) -> None:
        with pytest.raises(StudyError, match="more cells than the first line") as caught:
            self.read(tmp_path, f"{HEAD}\n{row}\n")
        assert "line 2" in str(caught.value)

    def test_empty_cells_after_the_last_column_are_ignored(self, tmp_path: Path) -> None:
        (row,) = self.read(tmp_path, f"{HEAD}\na.dcm,P1,0,L,,\n")
        assert row.patient == "P1"

    def test_a_table_without_rows_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="the manifest has no rows"):
            self.read(tmp_path, f"{HEAD}\n")

    def test_an_error_names_the_line_also_after_empty_rows(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="the side must be") as caught:
            self.read(tmp_path, f"{HEAD}\n\n,,,\na.dcm,P1,0,up\n")
        assert "line 4" in str(caught.value)

    @pytest.mark.parametrize("delimiter", [";", "\t", ","])
    @pytest.mark.parametrize("stated", [False, True])
    def test_other_delimiters(self, tmp_path: Path, delimiter: str, stated: bool) -> None:
        text = f"{HEAD},spacing\na.dcm,P1,0,L,0.2\n".replace(",", delimiter)
        first = f"sep={delimiter}\n" if stated else ""
        (row,) = self.read(tmp_path, first + text)
        assert (row.patient, row.spacing) == ("P1", (0.2, 0.2))

    def test_a_decimal_comma(self, tmp_path: Path) -> None:
        (row,) = self.read(tmp_path, "file;patient;time;side;spacing\na.dcm;P1;0;L;0,15\n")
        assert row.spacing == (0.15, 0.15)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    def test_encodings_of_spreadsheets(self, tmp_path: Path, encoding: str) -> None:
        (row,) = self.read(tmp_path, f"{HEAD}\na.dcm,Ä1,0,L\n".encode(encoding))
        assert row.patient == "Ä1"

    @pytest.mark.parametrize("written", ["NFC", "NFD"])
    @pytest.mark.parametrize("stored", ["NFC", "NFD"])
    def test_accents_in_either_form(self, tmp_path: Path, written: str, stored: str) -> None:
        name = "Müller/Hände.dcm"
        text = f"{HEAD}\n{unicodedata.normalize(written, name)},P1,0,L\n"
        (row,) = self.read(tmp_path, text, unicodedata.normalize(stored, name))
        assert row.path.exists()

    def test_backslashes(self, tmp_path: Path) -> None:
        (row,) = self.read(tmp_path, f"{HEAD}\nP1\\2020\\a.dcm,P1,0,L\n", "P1/2020/a.dcm")
        assert row.path == tmp_path / "P1/2020/a.dcm"

    def test_a_backslash_that_is_part_of_a_name(self, tmp_path: Path) -> None:
        (row,) = self.read(tmp_path, f"{HEAD}\na\\b.dcm,P1,0,L\n", "a\\b.dcm")
        assert row.path.exists()

    @pytest.mark.parametrize(
        "name", ["..\\x.dcm", "C:\\x.dcm", "\\\\server\\x.dcm", "sub\\..\\..\\x.dcm", "a" * 300 + "/../.."]
    )
    def test_no_spelling_leads_out_of_the_folder(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        (tmp_path / "x.dcm").touch()
        with pytest.raises(StudyError, match="must be in the manifest's folder"):
            self.read(folder, f"{HEAD}\n{name},P1,0,L\n")

    def test_one_file_in_two_spellings_is_named_twice(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="names a file twice"):
            self.read(tmp_path, f"{HEAD}\nb\\a.dcm,P1,0,L\nb/a.dcm,P1,1,L\n", "b/a.dcm")

    @pytest.mark.parametrize("column", ["take", "override"])
    def test_an_unclear_answer_is_an_error(self, tmp_path: Path, column: str) -> None:
        with pytest.raises(StudyError, match=f"the column {column} must be yes, no or empty"):
            self.read(tmp_path, f"{HEAD},{column}\na.dcm,P1,0,L,perhaps\n")

    def test_a_row_that_is_not_taken_needs_the_file_only(self, tmp_path: Path) -> None:
        (row,) = self.read(tmp_path, f"{HEAD},take\na.dcm,,,,no\n")
        assert (row.is_taken, row.time, row.side) == (False, None, "")

    def test_written_rows_are_read_again(self, tmp_path: Path) -> None:
        rows = [
            ManifestRow(tmp_path / "a.dcm", "P1", 0, "L", "hand", 12, (0.1, 0.1), "north"),
            ManifestRow(tmp_path / "sub" / "ü;,\n.dcm", "P1", 1, "B", "foot", None, None, "", True, True),
            ManifestRow(tmp_path / "c.dcm", "", None, "", "", None, None, "", False),
        ]
        write_manifest(tmp_path / "films.csv", [(row, "a reason") for row in rows])
        assert read_manifest(tmp_path / "films.csv", load_scheme("mtss")) == rows


class TestContradictions:
    """Each contradiction is refused, unless the row says `override`."""

    def run(self, study: Study, tmp_path: Path, rows: list[str], *, override: bool) -> ImportReport:
        lines = [f"{HEAD},view,day,override", *(f"{row},{'yes' if override else ''}" for row in rows)]
        (tmp_path / "h" / "films.csv").write_text("\n".join(lines))
        file = tmp_path / "h" / "films.csv"
        return import_films(study, [], manifest=file, key=tmp_path / "key.json", converter=InProcessConverter())

    def check(self, study: Study, tmp_path: Path, rows: list[str], reason: str) -> None:
        refused = self.run(study, tmp_path, rows, override=False)
        assert [reason in item.reason for item in refused.rejected] == [True] * len(rows), refused.rejected
        assert "column override" in refused.rejected[0].reason
        assert not refused.imported
        assert not study.cases()
        assert len(self.run(study, tmp_path, rows, override=True).imported) == len(rows)

    def test_side(self, study: Study, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", side="R")
        self.check(study, tmp_path, ["a.dcm,P1,0,L,,"], "its header states the side R, its row L")

    def test_view(self, study: Study, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", BodyPartExamined="FOOT")
        self.check(study, tmp_path, ["a.dcm,P1,0,L,hand,"], "its header states the view foot, its row hand")

    def test_reversed_dates(self, study: Study, tmp_path: Path) -> None:
        for time, day in enumerate(("20210302", "20200302")):
            film_file(tmp_path / "h" / f"{time}.dcm", day=day, seed=time)
        rows = [f"{time}.dcm,P1,{time},L,," for time in (0, 1)]
        self.check(study, tmp_path, rows, "the dates of its patient's films are not in the order")
        assert {film.day for film in study.case(study.cases()[0]).films} == {None}

    def test_reversed_days(self, study: Study, tmp_path: Path) -> None:
        for time in (0, 1):
            film_file(tmp_path / "h" / f"{time}.dcm", day="", seed=time)
        rows = [f"{time}.dcm,P1,{time},L,,{400 - 400 * time}" for time in (0, 1)]
        self.check(study, tmp_path, rows, "the days of its patient's rows are not in the order")

    @pytest.mark.parametrize(
        ("dates", "days"),
        [
            (("", ""), ("5", "5")),
            (("20200302", "20200302"), ("", "")),
            (("20200302", "20200302"), ("0", "")),
            (("20200302", "20200302"), ("", "0")),
        ],
    )
    def test_one_day_at_two_time_points(
        self, study: Study, tmp_path: Path, dates: tuple[str, str], days: tuple[str, str]
    ) -> None:
        for time in (0, 1):
            film_file(tmp_path / "h" / f"{time}.dcm", day=dates[time], seed=time)
        rows = [f"{time}.dcm,P1,{time},L,,{days[time]}" for time in (0, 1)]
        self.check(study, tmp_path, rows, "one day or examination of its patient are named as two visits")

    def test_one_visit_past_midnight_at_two_time_points(self, study: Study, tmp_path: Path) -> None:
        for time, day in enumerate(("20200302", "20200303")):
            film_file(tmp_path / "h" / f"{time}.dcm", day=day, seed=time, StudyInstanceUID="1.2")
        rows = [f"{time}.dcm,P1,{time},L,," for time in (0, 1)]
        self.check(study, tmp_path, rows, "one day or examination of its patient are named as two visits")

    def test_a_day_is_compared_with_a_date_if_other_rows_have_both(self, study: Study, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", day="20200302", seed=0)
        film_file(tmp_path / "h" / "b.dcm", day="", seed=1)
        film_file(tmp_path / "h" / "c.dcm", day="20200303", seed=2, side="R")
        rows = ["a.dcm,P1,0,L,,40", "b.dcm,P1,1,L,,41", "c.dcm,P1,0,R,,"]
        reasons = [item.reason for item in self.run(study, tmp_path, rows, override=False).rejected]
        assert ["named as two visits" in reason for reason in reasons] == [True, True]

    @pytest.mark.parametrize(
        ("dates", "days"),
        [(("", ""), ("0", "90")), (("20200302", "20200602"), ("", "")), (("20200302", "20200602"), ("", "92"))],
    )
    def test_one_time_point_of_two_examinations(
        self, study: Study, tmp_path: Path, dates: tuple[str, str], days: tuple[str, str]
    ) -> None:
        for number, side in enumerate("LR"):
            film_file(tmp_path / "h" / f"{number}.dcm", day=dates[number], side=side, seed=number)
        rows = [f"{number}.dcm,P1,0,{side},,{days[number]}" for number, side in enumerate("LR")]
        self.check(study, tmp_path, rows, "too far apart for one examination")

    def test_successive_days_may_be_one_time_point(self, study: Study, tmp_path: Path) -> None:
        for number, side in enumerate("LR"):
            film_file(tmp_path / "h" / f"{number}.dcm", day=f"2020030{2 + number}", side=side, seed=number)
        rows = [f"{number}.dcm,P1,0,{side},," for number, side in enumerate("LR")]
        assert len(self.run(study, tmp_path, rows, override=False).imported) == 2

    @pytest.mark.parametrize(
        ("row", "is_refused"),
        [("x.dcm,P1,1,R,,0", True), ("x.dcm,P1,0,R,,200", True), ("x.dcm,P1,0,R,,1", False)],
    )
    def test_a_day_against_the_films_in_the_study(
        self, study: Study, tmp_path: Path, row: str, is_refused: bool
    ) -> None:
        for time in (0, 1):
            film_file(tmp_path / "h" / f"{time}.dcm", day="", seed=time)
        self.run(study, tmp_path, [f"{time}.dcm,P1,{time},L,,{365 * time}" for time in (0, 1)], override=False)
        film_file(tmp_path / "h" / "x.dcm", day="", seed=7, side="R")
        report = self.run(study, tmp_path, [row], override=False)
        assert ["contradicts the visits" in item.reason for item in report.rejected] == [True] * is_refused
        assert len(self.run(study, tmp_path, [row], override=True).imported) == is_refused

    def test_a_day_of_the_first_visit_for_the_later_one_in_the_study(self, study: Study, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", day="", seed=1)
        film_file(tmp_path / "h" / "b.dcm", day="", seed=2, side="R")
        self.run(study, tmp_path, ["a.dcm,P1,1,L,,7"], override=False)
        report = self.run(study, tmp_path, ["b.dcm,P1,0,R,,7"], override=False)
        assert [item.path.name for item in report.rejected] == ["b.dcm"]

    @pytest.mark.parametrize("override", [False, True])
    def test_a_day_that_no_film_list_can_contain(self, study: Study, tmp_path: Path, override: bool) -> None:
        for time in (0, 1):
            film_file(tmp_path / "h" / f"{time}.dcm", day="", seed=time)
        rows = [f"{time}.dcm,P1,{time},L,,{900000 * time}" for time in (0, 1)]
        report = self.run(study, tmp_path, rows, override=override)
        assert ["more than 100000 days" in item.reason for item in report.rejected] == [True]
        assert len(study.case(study.cases()[0]).films) == 1

    @pytest.mark.parametrize("other", ["p1", "0P1"])
    def test_two_spellings_of_one_patient(self, study: Study, tmp_path: Path, other: str) -> None:
        for time in (0, 1):
            film_file(tmp_path / "h" / f"{time}.dcm", day=f"202{time}0302", patient="", seed=time)
        rows = [f"{time}.dcm,{patient},{time},L,," for time, patient in enumerate(("P1", other))]
        self.check(study, tmp_path, rows, "differ in capital letters or leading zeros only")

    def test_days_against_the_dates(self, study: Study, tmp_path: Path) -> None:
        for time, day in enumerate(("20200302", "20210302")):
            film_file(tmp_path / "h" / f"{time}.dcm", day=day, seed=time)
        rows = [f"{time}.dcm,P1,{time},L,,{30 * time}" for time in (0, 1)]
        self.check(study, tmp_path, rows, "do not agree with the dates of the films")

    def test_two_patient_ids_for_one_patient(self, study: Study, tmp_path: Path) -> None:
        for time, patient in enumerate(("A1", "A2")):
            film_file(tmp_path / "h" / f"{time}.dcm", patient=patient, day=f"202{time}0302", seed=time, PatientName="")
        rows = [f"{time}.dcm,P1,{time},L,," for time in (0, 1)]
        self.check(study, tmp_path, rows, "the headers of its patient's films have different patient IDs")

    def test_two_patients_for_one_patient_id(self, study: Study, tmp_path: Path) -> None:
        for number in (0, 1):
            film_file(tmp_path / "h" / f"{number}.dcm", patient="A1", seed=number)
        rows = [f"{number}.dcm,P{number},0,L,," for number in (0, 1)]
        self.check(study, tmp_path, rows, "its patient ID belongs to films of two patients")

    def test_two_names_for_one_patient(self, study: Study, tmp_path: Path) -> None:
        for time, name in enumerate(("Doe^Jane", "Smith^John")):
            film_file(tmp_path / "h" / f"{time}.dcm", day=f"202{time}0302", PatientName=name, seed=time)
        rows = [f"{time}.dcm,P1,{time},L,," for time in (0, 1)]
        self.check(study, tmp_path, rows, "films with its patient ID differ in the name")

    def test_one_picture_under_two_patients(self, study: Study, tmp_path: Path) -> None:
        for number in (0, 1):
            film_file(tmp_path / "h" / f"{number}.dcm", patient=f"A{number}", seed=5)
        rows = [f"{number}.dcm,P{number},0,L,," for number in (0, 1)]
        refused = self.run(study, tmp_path, rows, override=False)
        assert all("the same picture, but another patient" in item.reason for item in refused.rejected)
        assert len(refused.rejected) == 2
        assert len(self.run(study, tmp_path, rows, override=True).imported) == 2

    def test_two_films_of_one_side(self, study: Study, tmp_path: Path) -> None:
        for number in (0, 1):
            film_file(tmp_path / "h" / f"{number}.dcm", seed=number)
        refused = self.run(study, tmp_path, [f"{number}.dcm,P1,0,L,," for number in (0, 1)], override=False)
        assert ["equally suitable" in item.reason for item in refused.rejected] == [True, True]

    def test_a_stand_in_date_contradicts_nothing(self, study: Study, tmp_path: Path) -> None:
        for time in (0, 1):
            film_file(tmp_path / "h" / f"{time}.dcm", day="20200302", seed=time)
        report = self.run(study, tmp_path, [f"{time}.dcm,P1,{time},L,,{365 * time}" for time in (0, 1)], override=False)
        assert len(report.imported) == 2
        assert {film.day for film in study.case(study.cases()[0]).films} == {0, 365}


class TestValuesOfTheFilm:
    def test_days_and_views_are_those_of_the_film(self, study: Study, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", day="20200302", seed=1, BodyPartExamined="FOOT")
        film_file(tmp_path / "h" / "b.dcm", day="20210302", seed=2, BodyPartExamined="FOOT")
        (tmp_path / "h" / "films.csv").write_text(f"{HEAD}\na.dcm,P1,0,L\nb.dcm,P1,1,L\n")
        file = tmp_path / "h" / "films.csv"
        import_films(study, [], manifest=file, key=tmp_path / "key.json", converter=InProcessConverter())
        films = study.case(study.cases()[0]).films
        assert sorted((film.time, film.view, film.day) for film in films) == [(0, "foot", 0), (1, "foot", 365)]

    def test_a_film_in_the_manifest_replaces_one_of_the_folder(self, study: Study, tmp_path: Path) -> None:
        for number in (0, 1):
            film_file(tmp_path / "h" / f"{number}.dcm", seed=number)
        (tmp_path / "h" / "films.csv").write_text(f"{HEAD}\n1.dcm,P1,0,L\n")
        file = tmp_path / "h" / "films.csv"
        report = import_films(
            study, [tmp_path / "h"], manifest=file, key=tmp_path / "key.json", converter=InProcessConverter()
        )
        assert [item.path.name for item in report.imported] == ["1.dcm"]
        assert [item.reason for item in report.rejected] == ["the manifest names another film of that side and day"]

    def test_a_picture_of_two_patients_that_a_person_states_is_taken_beside_other_films(
        self, study: Study, tmp_path: Path
    ) -> None:
        for number, (patient, seed) in enumerate((("P0", 5), ("P1", 5), ("P0", 6), ("P1", 7))):
            film_file(tmp_path / "h" / f"{number}.dcm", patient=patient, seed=seed)
        file = tmp_path / "h" / "films.csv"
        file.write_text(f"{HEAD},override\n0.dcm,P0,0,L,yes\n1.dcm,P1,0,L,yes\n")
        report = import_films(
            study, [tmp_path / "h"], manifest=file, key=tmp_path / "key.json", converter=InProcessConverter()
        )
        assert [item.path.name for item in report.imported] == ["0.dcm", "1.dcm"]
        assert [item.path.name for item in report.rejected] == ["2.dcm", "3.dcm"]

    def test_a_patient_of_two_issuers_needs_the_issuer(self, study: Study, tmp_path: Path) -> None:
        key = tmp_path / "key.json"
        for number, issuer in enumerate(("North", "South")):
            film_file(tmp_path / "h" / f"{number}.dcm", seed=number, IssuerOfPatientID=issuer, PatientName="")
        import_films(study, [tmp_path / "h"], key=key, converter=InProcessConverter())
        film_file(tmp_path / "h" / "new.dcm", seed=7, side="R", PatientName="")
        file = tmp_path / "h" / "films.csv"
        file.write_text(f"{HEAD}\nnew.dcm,P1,0,R\n")
        report = import_films(study, [], manifest=file, key=key, converter=InProcessConverter())
        assert "several persons have its patient ID" in report.rejected[0].reason
        file.write_text(f"{HEAD},issuer\nnew.dcm,P1,0,R,South\n")
        report = import_films(study, [], manifest=file, key=key, converter=InProcessConverter())
        assert len(report.imported) == 1
        assert len(study.cases()) == 2
