"""A study folder: creation, opening and rejection; readings that are stored; and an order that is not revealed."""

from pathlib import Path

import pytest

from ratui.errors import StoreError, StudyError
from ratui.imaging import Box
from ratui.reading import Field, GradeEntry, enter, find_next_open_field
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from tests.films import confirm_template, make_study, without_pairs


class TestCreating:
    def test_a_study_is_opened_as_it_was_made(self, tmp_path: Path) -> None:
        made = Study.create(tmp_path / "s", "fingers", ["anna", "bert"], blinded=True, title='Say "hands"\n')
        opened = Study.open(tmp_path / "s")
        assert opened.config == made.config
        assert opened.scheme == load_scheme("fingers")
        assert opened.config.blinded

    @pytest.mark.parametrize("rater", ["", "../x", "a/b", "x" * 41, "a b", ".hidden"])
    def test_a_rater_whose_name_can_be_no_file_is_refused(self, tmp_path: Path, rater: str) -> None:
        with pytest.raises(StudyError):
            Study.create(tmp_path / "s", "fingers", [rater])

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("years")
        with pytest.raises(StudyError, match="exists already"):
            Study.create(tmp_path, "fingers", ["anna"])

    @pytest.mark.parametrize("text", ["", "format = 9", "format = 1", "\x00"])
    def test_another_folder_is_rejected(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "study.toml").write_text(text)
        with pytest.raises(StudyError):
            Study.open(tmp_path)

    def test_an_unknown_rater_gets_the_list_of_raters(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna", "bert"])
        with pytest.raises(StudyError, match="anna, bert"):
            study.check_rater("zoe")


class TestReadings:
    def test_an_entry_that_was_saved_is_there_for_the_next_session(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as session:
            field = find_next_open_field(session.reading)
            assert field == Field("L.IP1", "ERO", 0)
            session.save(enter(session.reading, field, GradeEntry(2), key="2"), seconds=4.2)
        again = Study.open(study.path).reading("anna", case)
        assert again is not None
        assert again.score(Field("L.IP1", "ERO", 0)) == 2
        assert study.state("anna", case).seconds == 4.2
        assert study.reading("bert", case) is None

    def test_a_second_session_can_read_but_not_write(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with (
            study.open_reading("anna", case) as session,
            pytest.raises(StoreError, match="open already"),
            study.open_reading("anna", case),
        ):
            pass
        with study.open_reading("anna", case) as session, study.open_reading("bert", case):
            session.save(session.reading)
            assert study.reading("anna", case) is not None

    def test_stages(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        (case,) = study.cases()
        assert study.state("anna", case).stage == "regions"
        confirm_template(study, case, "anna")
        assert study.state("anna", case).stage == "reading"

    def test_a_case_without_a_pair_of_films_says_so(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        study.save_case(without_pairs(study.case(case)))
        assert study.state("anna", case).stage == "unreadable"
        with pytest.raises(StudyError, match="no side with films"), study.open_reading("anna", case):
            pass


class TestRegions:
    def test_joints_absent_on_a_film_are_absent_in_the_reading(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case_id,) = study.cases()
        case = study.case(case_id)
        film = case.film(1, "R", "hand", study.scheme)
        assert film
        kept = [r for r in study.regions(case_id) if (r.site, r.film) != ("R.PIP3", film.id)]
        study.save_regions(case_id, [*kept, Region("R.PIP3", film.id, None, RegionSource.RATER, "anna")])
        assert study.absent_slots(case) == {("R.PIP3", 1)}
        assert study.are_regions_complete(case)

    def test_the_newest_model_proposes(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        film = study.case(case).films[0].id
        study.save_proposals(
            "one", case, [Region("L.MCP2", film, Box(1, 1, 9, 9), RegionSource.MODEL, confidence=0.5, model="one")]
        )
        study.save_proposals(
            "two", case, [Region("L.MCP2", film, Box(2, 2, 9, 9), RegionSource.MODEL, confidence=0.5, model="two")]
        )
        assert {region.model for region in study.proposals(case)} == {"two"}

    @pytest.mark.parametrize("name", ["../../etc", "", "a/b"])
    def test_a_model_can_not_write_outside(self, tmp_path: Path, name: str) -> None:
        study = make_study(tmp_path)
        with pytest.raises(StudyError):
            study.save_proposals(name, study.cases()[0], [])


class TestBlinded:
    def test_the_order_is_drawn_for_each_rater_and_case_and_stays(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna", "bert"], blinded=True)
        for n in range(200):
            study.save_case(
                Case(f"C-{n}", (FilmRecord("a", 0, "L", "hand", 9, 9), FilmRecord("b", 1, "L", "hand", 9, 9)))
            )
        orders = {(rater, n): study.order(rater, f"C-{n}") for rater in ("anna", "bert") for n in range(200)}
        turned = sum(order == (1, 0) for order in orders.values())
        assert 140 < turned < 260
        assert orders["anna", 3] == Study.open(study.path).order("anna", "C-3")
        assert any(orders["anna", n] != orders["bert", n] for n in range(200))
