"""The plan of an import: persons, days, the choice of films, corrections, and a manifest that repeats it."""

import csv
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ratui.errors import StudyError
from ratui.imaging import write_film
from ratui.study import InProcessConverter, KeyFile, Study, import_films
from ratui.study.importing.importer import open_import
from ratui.study.importing.planning.import_plan import Decision, ImportPlan
from ratui.study.importing.reader.film_header import FilmHeader
from tests.films import film_file, hospital
from tests.study.conftest import FilmWriter


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


def plan_of(study: Study, tmp_path: Path, manifest: str = "") -> ImportPlan:
    paths = [] if manifest else [tmp_path / "h"]
    if manifest:
        (tmp_path / "h" / "films.csv").write_text(manifest)
    file = tmp_path / "h" / "films.csv" if manifest else None
    opened = open_import(study, paths, manifest=file, key=tmp_path / "key.json", converter=InProcessConverter())
    with opened as current:
        return current.plan()


def outcomes(plan: ImportPlan) -> dict[str, tuple[str, object]]:
    """Return the decision and, of a film that is taken, person, time point and side, else the reason."""
    return {
        row.path.name: (row.decision.value, (row.person, row.time, row.side))
        if row.decision is Decision.TAKE
        else (row.decision.value, row.reason)
        for row in plan.rows
    }


def films_of(study: Study) -> list[tuple[int, int, str, int | None]]:
    """Return case number, time point, side and day of each film."""
    return [
        (number, *rest)
        for number, case in enumerate(study.cases())
        for rest in sorted((film.time, film.side, film.day) for film in study.case(case).films)
    ]


class TestPersonsAndDays:
    def test_one_id_of_two_issuers_is_two_cases(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        for number, issuer in enumerate(("North", "South")):
            day, birth = ("20200302", "20210302")[number], ("19600101", "19700101")[number]
            film(f"{issuer}.dcm", day=day, IssuerOfPatientID=issuer, PatientBirthDate=birth, PatientName=issuer)
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert not report.rejected
        assert films_of(study) == [(0, 0, "L", 0), (1, 0, "L", 0)]

    def test_one_id_of_two_persons_is_not_imported(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", day="20200302", PatientBirthDate="19600101")
        film("b.dcm", day="20210302", PatientBirthDate="19700101")
        assert {reason for _, reason in outcomes(plan_of(study, tmp_path)).values()} == {
            "films with its patient ID differ in the birth date. Name its patient in a manifest"
        }

    def test_a_later_import_notices_another_person(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", PatientBirthDate="19600101")
        import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        stored = (tmp_path / "key.json").read_text()
        assert "19600101" not in stored
        film("a.dcm", side="R", PatientBirthDate="19700101")
        ((decision, reason),) = outcomes(plan_of(study, tmp_path)).values()
        assert decision == "doubtful"
        assert "the patient with its ID in the study has another birth date" in str(reason)

    def test_a_visit_past_midnight_is_one_time_point(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", side="L", StudyInstanceUID="1.2", AcquisitionDate="20200302", AcquisitionTime="235900")
        film("b.dcm", side="R", StudyInstanceUID="1.2", AcquisitionDate="20200303", AcquisitionTime="000100")
        film("c.dcm", side="R", day="20210302")
        import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert films_of(study) == [(0, 0, "L", 0), (0, 0, "R", 0), (0, 1, "R", 365)]

    def test_an_implausible_date_is_not_imported(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", day="19000101")
        film("b.dcm", day="20210302")
        found = outcomes(plan_of(study, tmp_path))
        assert "before 1950" in str(found["a.dcm"])
        assert "the order of the days is uncertain" in str(found["b.dcm"])

    def test_old_keys_are_read_and_new_ones_keep_their_checksum(
        self, study: Study, film: FilmWriter, tmp_path: Path
    ) -> None:
        film("a.dcm", IssuerOfPatientID="North", PatientSex="F")
        import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        raw = json.loads((tmp_path / "key.json").read_text())
        assert set(raw["persons"]) == {"P1^^^north"}
        old = {name: raw[name] for name in ("study", "salt", "days")} | {"cases": {"P1": study.cases()[0]}, "days": {}}
        (tmp_path / "key.json").write_text(json.dumps(old))
        assert KeyFile.open(study, tmp_path / "key.json").persons[0].key == "P1"
        ((decision, reason),) = outcomes(plan_of(study, tmp_path)).values()
        assert (decision, reason) == ("doubtful", "its case is in the study already. Name it in a manifest to add it")


class TestChoice:
    @pytest.mark.parametrize(
        "same",
        [
            {"IrradiationEventUID": "1.2.3"},
            {"AcquisitionDate": "20200302", "AcquisitionTime": "101010"},
            {"AcquisitionDateTime": "20200302101000.020"},
        ],
    )
    def test_of_two_processings_of_one_exposure_the_later_is_taken(
        self, study: Study, film: FilmWriter, tmp_path: Path, same: dict[str, str]
    ) -> None:
        film("a.dcm", ContentDate="20200302", ContentTime="101500", **same)
        film("b.dcm", ContentDate="20200302", ContentTime="101400", **same)
        assert outcomes(plan_of(study, tmp_path)) == {
            "a.dcm": ("take", (1, 0, "L")),
            "b.dcm": ("leave out", "another processing of the same exposure is taken"),
        }

    @pytest.mark.parametrize(
        "same",
        [
            {"SOPInstanceUID": "1.2.3"},
            {"AcquisitionDate": "20200302", "AcquisitionTime": "000000"},
            {"AcquisitionDate": "20200302", "AcquisitionTime": "101500"},
            {"AcquisitionDateTime": "20200302101500.000"},
            {"AcquisitionDate": "20200302", "AcquisitionTime": "1010"},
        ],
    )
    def test_other_common_values_prove_no_common_exposure(
        self, study: Study, film: FilmWriter, tmp_path: Path, same: dict[str, str]
    ) -> None:
        film("a.dcm", **same)
        film("b.dcm", **same)
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    def test_the_film_for_presentation_is_taken(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", PresentationIntentType="FOR PROCESSING")
        film("b.dcm", PresentationIntentType="FOR PRESENTATION")
        assert outcomes(plan_of(study, tmp_path)) == {
            "a.dcm": ("leave out", "another film of that side and day is the one for presentation"),
            "b.dcm": ("take", (1, 0, "L")),
        }

    def test_equal_films_are_doubtful(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", AcquisitionTime="101000")
        film("b.dcm", AcquisitionTime="101500")
        film("c.dcm", side="R")
        found = outcomes(plan_of(study, tmp_path))
        assert (
            found["a.dcm"]
            == found["b.dcm"]
            == (
                "doubtful",
                "2 films of that side and day are equally suitable. Choose one in a manifest",
            )
        )
        assert found["c.dcm"] == ("take", (1, 0, "R"))

    def test_a_copy_in_another_encoding_is_no_second_film(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        import pydicom

        path = film("a.dcm")
        dataset = pydicom.dcmread(path)
        dataset.decompress()
        dataset.save_as(tmp_path / "h" / "b.dcm")
        assert outcomes(plan_of(study, tmp_path)) == {
            "a.dcm": ("take", (1, 0, "L")),
            "b.dcm": ("leave out", "the same film is in another file"),
        }

    def test_a_broken_film_does_not_replace_a_good_one(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        path = film("a.dcm", PresentationIntentType="FOR PRESENTATION")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        film("b.dcm")
        found = outcomes(plan_of(study, tmp_path))
        assert found["b.dcm"] == ("take", (1, 0, "L"))
        assert found["a.dcm"][0] == "leave out"

    def test_films_of_one_and_of_both_sides_are_doubtful(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        for number, side in enumerate("BLR"):
            film(f"{number}.dcm", side=side)
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    def test_one_picture_of_two_days_is_doubtful(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", seed=3, day="20200302")
        film("b.dcm", seed=3, day="20210302")
        assert all("the same picture" in str(found) for found in outcomes(plan_of(study, tmp_path)).values())

    def test_pictures_with_equal_samples_are_compared_pixel_by_pixel(self, study: Study, tmp_path: Path) -> None:
        pixels = np.random.default_rng(3).integers(0, 900, (900, 800)).astype(np.uint16)
        for number in range(2):
            path = tmp_path / "h" / f"{number}.dcm"
            path.parent.mkdir(exist_ok=True)
            pixels.flat[3000] = number  # between the first two samples
            attributes = {"PatientID": f"P{number}", "StudyDate": "20200302"}
            write_film(path, pixels, laterality="L", compress=False, attributes=attributes)
        plan = plan_of(study, tmp_path)
        assert plan.rows[0].content == plan.rows[1].content, "the test is about equal samples"
        assert len(plan.taken) == 2

    def test_the_order_of_the_files_makes_no_difference(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        """Rename the files so that their order is reversed."""
        values = [
            {"PresentationIntentType": "FOR PROCESSING"},
            {"PresentationIntentType": "FOR PRESENTATION"},
            {"day": "20210302"},
            {"side": "R", "seed": 7},
            {"side": "R", "seed": 7, "patient": "P2"},
        ]
        for number, each in enumerate(values):
            film(f"{number}.dcm", **each)
        before = outcomes(plan_of(study, tmp_path))
        for number in range(len(values)):
            (tmp_path / "h" / f"{number}.dcm").rename(tmp_path / "h" / f"z{9 - number}.dcm")
        after = outcomes(plan_of(study, tmp_path))
        assert {name: after[f"z{9 - int(name[0])}.dcm"] for name in before} == before


class TestCorrections:
    def test_a_doubtful_film_is_taken_by_hand(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        one, other = film("a.dcm"), film("b.dcm")
        plan = plan_of(study, tmp_path)
        changed = plan.with_decision(other, take=True)
        assert outcomes(plan) != outcomes(changed)
        assert changed.row(other).decision is Decision.TAKE
        again = changed.with_decision(one, take=True)
        assert again.row(one).decision is Decision.TAKE
        assert "a person chose another film" in again.row(other).reason
        assert [row.path for row in again.taken] == [one]
        assert again.with_decision(one, take=False).taken == ()

    def test_doubtful_films_are_listed_first(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", patient="P1")
        film("b.dcm", patient="P2", side="")
        (tmp_path / "h" / "c.dcm").write_text("no film")
        plan = plan_of(study, tmp_path)
        assert [row.path.name for row in plan.rows_to_review] == ["b.dcm", "a.dcm", "c.dcm"]
        assert list(plan.count().values()) == [1, 1, 1]

    def test_missing_values_must_be_given(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        path = film("a.dcm", patient="", side="", day="")
        plan = plan_of(study, tmp_path)
        with pytest.raises(StudyError, match="unknown patient, side, time"):
            plan.with_decision(path, take=True, view="hand")
        with pytest.raises(StudyError, match="not valid"):
            plan.with_decision(path, take=True, patient="P1", side="X", time=0, view="hand")
        with pytest.raises(KeyError):
            plan.with_decision(tmp_path / "other", take=True)
        taken = plan.with_decision(path, take=True, patient="P1", side="R", time=1, view="hand").row(path)
        assert (taken.patient, taken.person, taken.side, taken.time, taken.is_override) == ("P1", 1, "R", 1, True)

    def test_two_of_three_dates_are_chosen(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        paths = [film(f"{year}.dcm", day=f"{year}0302") for year in (2020, 2021, 2022)]
        plan = plan_of(study, tmp_path)
        assert plan.find_exam_dates("P1") == (date(2020, 3, 2), date(2021, 3, 2), date(2022, 3, 2))
        with pytest.raises(StudyError):
            plan.with_dates("P1", date(2020, 3, 2), date(2020, 3, 2))
        chosen = plan.with_dates("P1", date(2022, 3, 2), date(2020, 3, 2))
        assert [(row.decision.value, row.time) for row in chosen.rows] == [
            ("take", 0),
            ("leave out", None),
            ("take", 1),
        ]
        opened = open_import(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        with opened as current:
            report = current.execute(chosen)
        assert [item.path for item in report.imported] == [paths[0], paths[2]]
        assert films_of(study) == [(0, 0, "L", 0), (0, 1, "L", 730)]

    @pytest.mark.parametrize("part", ["", "LOWER LIMB"])
    def test_an_unknown_part_beside_three_dates_ends_nothing(self, film: FilmWriter, tmp_path: Path, part: str) -> None:
        study = Study.create(tmp_path / "study", "mtss", ["anna"])
        for year in (2020, 2021, 2022):
            film(f"{year}.dcm", day=f"{year}0302", BodyPartExamined="HAND")
        film("unknown.dcm", day="20210302", BodyPartExamined=part, SeriesDescription="x")
        plan = plan_of(study, tmp_path)
        assert "manifest" in plan.row(tmp_path / "h" / "unknown.dcm").reason
        chosen = plan.with_dates("P1", date(2020, 3, 2), date(2021, 3, 2))
        assert [row.path.name for row in chosen.taken] == ["2020.dcm", "2021.dcm"]
        assert chosen.row(tmp_path / "h" / "unknown.dcm").decision is Decision.DOUBTFUL

    @pytest.mark.parametrize("step", ["identify", "date_film"])
    def test_an_error_in_one_header_does_not_end_the_import(
        self, study: Study, film: FilmWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        from ratui.study.importing.planning import planner

        usual = getattr(planner, step)

        def fail_for_one(header: FilmHeader, argument: object) -> object:
            if header.patient_id == "P2":
                raise IndexError("text of the film")
            return usual(header, argument)

        monkeypatch.setattr(planner, step, fail_for_one)
        film("a.dcm")
        film("b.dcm", patient="P2")
        assert outcomes(plan_of(study, tmp_path)) == {
            "a.dcm": ("take", (1, 0, "L")),
            "b.dcm": ("leave out", "its header can't be interpreted (IndexError)"),
        }


class TestRepeatedImport:
    def test_a_saved_manifest_repeats_the_import(self, film: FilmWriter, tmp_path: Path) -> None:
        film("past midnight 1.dcm", StudyInstanceUID="1.2", AcquisitionDate="20200302", AcquisitionTime="2359")
        film("past midnight 2.dcm", side="R", StudyInstanceUID="1.2", AcquisitionDate="20200303")
        film("later.dcm", day="20210504")
        film("later repeat.dcm", day="20210504")
        film("north.dcm", patient="P2", IssuerOfPatientID="North")
        film("south.dcm", patient="P2", IssuerOfPatientID="South")
        film("unknown side.dcm", patient="P3", side="")
        film("unknown day.dcm", patient="P3", side="R", day="")
        for number in range(3):
            film(f"three {number}.dcm", patient="P4", day=f"202{number}0302")
        (tmp_path / "h" / "letter.txt").write_text("Dear colleague")
        results = []
        manifest = tmp_path / "h" / "plan.csv"
        for number, paths in enumerate(([tmp_path / "h"], [tmp_path / "h"], [])):
            study = Study.create(tmp_path / f"study{number}", "fingers", ["anna"])
            opened = open_import(
                study,
                paths,
                manifest=manifest if number else None,
                key=tmp_path / f"key{number}.json",
                converter=InProcessConverter(),
            )
            with opened as current:
                plan = current.plan()
                if not number:
                    plan = plan.with_decision(tmp_path / "h" / "later repeat.dcm", take=True)
                    plan = plan.with_decision(tmp_path / "h" / "unknown side.dcm", take=True, side="R", time=0)
                    plan = plan.with_decision(tmp_path / "h" / "unknown day.dcm", take=True, side="R", time=1)
                    plan = plan.with_dates("P4", date(2022, 3, 2), date(2021, 3, 2))
                    plan.save_manifest(manifest)
                    assert manifest.stat().st_mode & 0o077 == 0
                report = current.execute(plan)
            keys = KeyFile.open(study, tmp_path / f"key{number}.json")
            cases = {keys.find_case(person.key): person.key for person in keys.persons}
            films = {
                (item.path.name, cases[item.case], item.time, item.side): film.day
                for item in report.imported
                for film in study.case(item.case).films
                if (film.time, film.side) == (item.time, item.side)
            }
            results.append((films, keys.dates, [item.path.name for item in report.rejected]))
        assert results[0][0] == {
            ("past midnight 1.dcm", "P1", 0, "L"): 0,
            ("past midnight 2.dcm", "P1", 0, "R"): 0,
            ("later repeat.dcm", "P1", 1, "L"): 428,
            ("north.dcm", "P2^^^north", 0, "L"): 0,
            ("south.dcm", "P2^^^south", 0, "L"): 0,
            ("unknown side.dcm", "P3", 0, "R"): 0,
            ("unknown day.dcm", "P3", 1, "R"): None,
            ("three 1.dcm", "P4", 0, "L"): 0,
            ("three 2.dcm", "P4", 1, "L"): 365,
        }
        assert results[0][0] == results[1][0] == results[2][0]
        assert results[0][1] == results[1][1] == results[2][1]

    def test_a_manifest_must_be_above_its_films(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm")
        with pytest.raises(StudyError, match="in its own folder only"):
            plan_of(study, tmp_path).save_manifest(tmp_path / "elsewhere" / "plan.csv")

    def test_reasons_are_written(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", side="")
        plan_of(study, tmp_path).save_manifest(tmp_path / "h" / "plan.csv")
        with (tmp_path / "h" / "plan.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert (row["file"], row["take"]) == ("a.dcm", "no")
        assert row["reason"]


def test_a_plan_changes_nothing(study: Study, film: FilmWriter, tmp_path: Path) -> None:
    film("a.dcm")
    plan_of(study, tmp_path)
    assert not (tmp_path / "key.json").exists()
    assert not study.cases()


def test_a_day_against_the_order_of_the_case_is_refused(study: Study, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    import_films(study, [hospital(tmp_path / "h", sides="L")], key=key, converter=InProcessConverter())
    path = film_file(tmp_path / "h" / "x.dcm", patient="P0", side="R", day="20220101", seed=9)
    (tmp_path / "h" / "m.csv").write_text("file,patient,time,side\nx.dcm,P0,0,R\n")
    report = import_films(study, [], manifest=tmp_path / "h" / "m.csv", key=key, converter=InProcessConverter())
    assert [(item.path, item.reason.partition(".")[0]) for item in report.rejected] == [
        (path, "its day contradicts the visits of its case")
    ]
    assert len(study.case(study.cases()[0]).films) == 2
