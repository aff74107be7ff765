"""Several patient IDs of one person: leading zeros, former IDs, persons who were registered twice."""

from pathlib import Path
from typing import ClassVar

import pytest

from ratui.study import InProcessConverter, Study, import_films
from tests.study.conftest import FilmWriter
from tests.study.importing.test_import_plan import films_of, outcomes, plan_of


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


class TestSeveralIDs:
    """Two IDs of one patient on two days; A states all about the patient."""

    A: ClassVar = {"PatientBirthDate": "19600102", "PatientSex": "F", "PatientName": "Doe^Jane"}

    @pytest.mark.parametrize(
        ("one", "other", "key"),
        [
            ({"patient": "0001360"}, {"patient": "1360"}, "1360"),
            ({"patient": "0001360", "IssuerOfPatientID": "N"}, {"patient": "1360"}, "0001360^^^n"),
            ({"patient": "P1"}, {"patient": "P2", "OtherPatientIDs": "P1"}, "P1"),
        ],
    )
    def test_ids_of_one_person_are_one_case(
        self,
        study: Study,
        film: FilmWriter,
        tmp_path: Path,
        one: dict[str, str],
        other: dict[str, str],
        key: str,
    ) -> None:
        film("a.dcm", **self.A | one)
        film("b.dcm", day="20210302", **self.A | other)
        plan = plan_of(study, tmp_path)
        assert [(row.patient, row.time) for row in plan.taken] == [(key, 0), (key, 1)]
        plan.save_manifest(tmp_path / "h" / "films.csv")
        again = plan_of(study, tmp_path, (tmp_path / "h" / "films.csv").read_text())
        assert [(row.patient, row.time) for row in again.taken] == [(key, 0), (key, 1)]
        import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert films_of(study) == [(0, 0, "L", 0), (0, 1, "L", 365)]

    @pytest.mark.parametrize(
        ("one", "other", "reason"),
        [
            ({"patient": "007"}, {"patient": "7", "PatientSex": ""}, "leading zeros"),
            ({"patient": "007"}, {"patient": "7", "PatientName": "Smith^John"}, "leading zeros"),
            ({"patient": "P2", "OtherPatientIDs": "P1"}, {"patient": "P1", "PatientSex": "M"}, "differ in the sex"),
            (
                {"patient": "P2", "OtherPatientIDs": "P1"},
                {"patient": "P1", "PatientBirthDate": "1970"},
                "differ in the birth date",
            ),
            ({"patient": "P1"}, {"patient": "P2"}, "the same name and birth date"),
            ({"patient": "P1"}, {"patient": "P2", "IssuerOfPatientID": "N"}, "the same name and birth date"),
        ],
    )
    def test_ids_that_may_be_of_one_person_are_doubtful(
        self,
        study: Study,
        film: FilmWriter,
        tmp_path: Path,
        one: dict[str, str],
        other: dict[str, str],
        reason: str,
    ) -> None:
        film("a.dcm", **self.A | one)
        film("b.dcm", day="20210302", **self.A | other)
        found = outcomes(plan_of(study, tmp_path))
        assert all(decision == "doubtful" and reason in str(text) for decision, text in found.values())

    @pytest.mark.parametrize(
        "other", [{"PatientName": "Doe^Mary"}, {"PatientBirthDate": "19600103"}, {"PatientSex": "M"}, {"patient": "07"}]
    )
    def test_other_persons_are_two_cases(
        self, study: Study, film: FilmWriter, tmp_path: Path, other: dict[str, str]
    ) -> None:
        issuers = ("North", "South") if "patient" in other else ("", "")
        names = {"PatientName": "Doe^Ann"} if "patient" in other else {}
        film("a.dcm", **self.A | {"patient": "7", "IssuerOfPatientID": issuers[0]})
        film("b.dcm", **self.A | {"patient": "8", "IssuerOfPatientID": issuers[1]} | names | other)
        assert len({row.patient for row in plan_of(study, tmp_path).taken}) == 2

    def test_an_id_without_any_other_statement_proves_nothing(
        self, study: Study, film: FilmWriter, tmp_path: Path
    ) -> None:
        bare = {"PatientName": "", "PatientBirthDate": "", "PatientSex": "F"}
        film("a.dcm", patient="P1", **bare)
        film("b.dcm", patient="P2", day="20210302", OtherPatientIDs="P1", **bare)
        found = outcomes(plan_of(study, tmp_path)).values()
        assert all(decision == "doubtful" and "no name or birth date" in str(reason) for decision, reason in found)

    @pytest.mark.parametrize(("number", "is_taken"), [(3, False), (4, True)])
    def test_a_name_and_birth_date_of_four_persons_are_those_of_a_program(
        self, study: Study, film: FilmWriter, tmp_path: Path, number: int, is_taken: bool
    ) -> None:
        for patient in range(number):
            film(f"{patient}.dcm", patient=f"A{patient}", **self.A)
        assert len({row.patient for row in plan_of(study, tmp_path).taken}) == (number if is_taken else 0)

    def test_a_later_import_asks_about_a_second_id(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", patient="P1", **self.A)
        import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        film("a.dcm", patient="P2", side="R", **self.A)
        ((decision, reason),) = outcomes(plan_of(study, tmp_path)).values()
        assert (decision, "the same name and birth date" in str(reason)) == ("doubtful", True)
