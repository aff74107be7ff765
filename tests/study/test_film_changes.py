"""Films that arrive late or are withdrawn: readings are adapted, and signed ones no longer count until they are reopened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ratui.errors import StoreError, StudyError
from ratui.reading import Field, GradeEntry, enter, find_undoable, reopen, sign, toggle_flag
from ratui.results.released import collect_released_readings
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.withdrawal import list_withdrawals, withdraw_films
from tests.films import confirm_template, film_file, hospital, make_study
from tests.tui.readings import fill_reading, store_reading

AT = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


def late_study(tmp_path: Path, *, blinded: bool = False, signed: bool = True) -> Study:
    """Return a study whose raters have read the left hand, when the films of the right hand arrive."""
    study = make_study(tmp_path, blinded=blinded, sides="L")
    (case,) = study.cases()
    for rater in study.config.raters:
        store_reading(study, case, rater=rater, signed=signed)
    import_more(study, tmp_path, "LR")
    return study


def import_more(study: Study, tmp_path: Path, sides: str) -> None:
    import_films(
        study, [hospital(tmp_path / "more", sides=sides)], key=tmp_path / "key.json", converter=InProcessConverter()
    )
    for case in study.cases():
        confirm_template(study, case, "anna")


def film_of(study: Study, case: str, time: int, side: str = "L") -> str:
    (film,) = (film.id for film in study.case(case).films if (film.time, film.side) == (time, side))
    return film


def replace_film(study: Study, tmp_path: Path, time: int, *, seed: int = 77) -> str:
    """Withdraw the left film of `time` and import another one of the same day; return the ID of the first."""
    (case,) = study.cases()
    old = film_of(study, case, time)
    withdraw_films(study, case, [old], reason="wrong patient", confirmed=True)
    day = ("20200302", "20210504")[time]
    new = film_file(tmp_path / "new" / f"{time}.dcm", patient="P0", day=day, side="L", seed=seed)
    report = import_films(study, [new], key=tmp_path / "key.json", converter=InProcessConverter())
    assert len(report.imported) == 1, report.rejected
    confirm_template(study, case, "anna")
    return old


class TestLateFilms:
    @pytest.mark.parametrize("blinded", [False, True])
    def test_a_signed_reading_does_not_count_until_it_covers_them(self, tmp_path: Path, blinded: bool) -> None:
        study = late_study(tmp_path, blinded=blinded)
        (case,) = study.cases()
        for rater in study.config.raters:
            assert study.as_rater(rater).state(rater, case).stage == "changed"
            assert [state.stage for state in study.states(rater)] == ["changed"]
        assert study.signed_readings(case) == ()
        for interim in (False, True):
            found = collect_released_readings(study, interim=interim)
            assert not found.readings
        assert collect_released_readings(study).kept_back == {case: "films changed after the signature of anna, bert"}
        assert check_study(study.path).is_intact

    @pytest.mark.parametrize("blinded", [False, True])
    def test_a_reopened_reading_keeps_its_entries_and_gets_the_new_joints(self, tmp_path: Path, blinded: bool) -> None:
        study = late_study(tmp_path, blinded=blinded)
        (case,) = study.cases()
        seen = study.as_rater("anna")
        with seen.open_reading("anna", case) as session:
            assert session.reading.signed_at, "nothing changes before the rater reopens it"
            session.save(reopen(session.reading, "the right hand came", timestamp=AT))
        with seen.open_reading("anna", case) as session:
            reading = session.reading
            assert "films were added" in session.notice
            assert {field.site[0] for field in reading.open_fields} == {"R"}
            assert {field.site[0] for field in reading.values} == {"L"}
            assert reading.log[-1].kind == "films"
            session.save(sign(fill_reading(reading), timestamp=AT))
        assert seen.state("anna", case).stage == "signed"
        assert collect_released_readings(study).kept_back == {case: "films changed after the signature of bert"}
        assert check_study(study.path).is_intact

    def test_an_unsigned_reading_gets_the_new_joints_when_it_is_next_opened(self, tmp_path: Path) -> None:
        study = late_study(tmp_path, signed=False)
        (case,) = study.cases()
        state = study.state("anna", case)
        assert (state.stage, state.done * 2) == ("reading", state.total)
        with study.open_reading("anna", case) as session:
            assert len(session.reading.open_fields) == state.done
        stored = study.reading("anna", case)
        assert stored is not None
        assert stored.log[-1].kind == "films"
        with study.open_reading("anna", case) as session:
            assert session.reading == stored, "it is adapted once"
        assert check_study(study.path).is_intact

    def test_films_of_one_time_point_alone_change_nothing(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        store_reading(study, case, signed=True)
        right = film_file(tmp_path / "right.dcm", patient="P0", side="R", seed=5)
        import_films(study, [right], key=tmp_path / "key.json", converter=InProcessConverter())
        assert len(study.case(case).films) == 3
        assert study.state("anna", case).stage == "signed"


class TestWithdrawal:
    def test_it_needs_a_manager_a_reason_and_a_film_of_the_case(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with pytest.raises(StudyError, match="needs a reason"):
            withdraw_films(study, case, reason=" \n ")
        with pytest.raises(StudyError, match="it has no film zzz"):
            withdraw_films(study, case, ["zzz"], reason="wrong patient")
        with pytest.raises(StudyError, match="there is no case"):
            withdraw_films(study, "C-2", reason="wrong patient")
        with pytest.raises(StudyError, match="only managers"):
            withdraw_films(study.as_rater("anna"), case, reason="wrong patient")
        assert list_withdrawals(study) == ()

    @pytest.mark.parametrize("erase", [False, True])
    def test_the_film_leaves_the_study_and_the_record_says_why(self, tmp_path: Path, erase: bool) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        film = film_of(study, case, 1)
        content = study.film_path(case, film).read_bytes()
        (done,) = withdraw_films(study, case, [film], reason="wrong\npatient", erase=erase)
        assert (done.case, done.film, done.reason, done.signed) == (case, film, "wrong patient", ())
        assert list_withdrawals(study) == (done,)
        assert film not in {each.id for each in study.case(case).films}
        assert not study.film_path(case, film).exists()
        assert {region.film for region in study.regions(case)} == {each.id for each in study.case(case).films}
        moved = study.path / "private" / "withdrawn" / case / f"{film}.dcm"
        assert (moved.read_bytes() == content) if not erase else not moved.exists()
        assert {site.side for site in study.case(case).sites(study.scheme)} == {"R"}
        assert check_study(study.path).is_intact

    def test_signed_readings_need_a_confirmation(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        store_reading(study, case, signed=True)
        film = film_of(study, case, 0)
        with pytest.raises(StudyError, match="the signed readings of anna depend on it"):
            withdraw_films(study, case, [film], reason="wrong patient")
        assert study.state("anna", case).stage == "signed"
        (done,) = withdraw_films(study, case, [film], reason="wrong patient", confirmed=True)
        assert (done.readings, done.signed) == (("anna",), ("anna",))
        assert study.state("anna", case).stage == "changed"
        assert check_study(study.path).is_intact

    @pytest.mark.parametrize("blinded", [False, True])
    @pytest.mark.parametrize("time", [0, 1])
    def test_the_right_film_takes_the_place_and_its_entries_are_open(
        self, tmp_path: Path, blinded: bool, time: int
    ) -> None:
        study = make_study(tmp_path, blinded=blinded, sides="L")
        (case,) = study.cases()
        before = store_reading(study, case, {Field("L.MCP2", "ERO", time): GradeEntry(2)}, signed=True)
        places = study.positions(case)
        old = replace_film(study, tmp_path, time)
        new = film_of(study, case, time)
        for rater, positions in study.positions(case).items():
            at = [old in films for films in places[rater]].index(True)
            assert {old, new} == set(positions[at]), "the new film comes to the place of the old one"
        seen = study.as_rater("anna")
        assert seen.state("anna", case).stage == "changed"
        with seen.open_reading("anna", case) as session:
            session.save(reopen(session.reading, "another film", timestamp=AT))
        with seen.open_reading("anna", case) as session:
            assert len(session.reading.values) == len(before.values) / 2
            session.save(sign(fill_reading(session.reading), timestamp=AT))
        after = study.reading("anna", case)
        assert after is not None
        assert after.score(Field("L.MCP2", "ERO", time)) == 0
        assert after.positions == tuple(
            tuple(film for film in films if film != old) for films in study.positions(case)["anna"]
        )
        assert check_study(study.path).is_intact

    def test_a_withdrawn_film_comes_back_only_if_a_manifest_says_so(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        films = tmp_path / "hospital"
        withdraw_films(study, case, [film_of(study, case, 1, "R")], reason="wrong patient")
        again = import_films(study, [films], key=tmp_path / "key.json", converter=InProcessConverter())
        reasons = sorted(each.reason.partition(".")[0] for each in again.rejected)
        assert reasons == ["it was withdrawn from the study", *["the same film is in the study already"] * 3]
        assert again.imported == ()
        manifest = films / "manifest.csv"
        manifest.write_text("file,patient,time,side,override\nP0_1_R.dcm,P0,1,R,yes\n")
        again = import_films(
            study, [films / "P0_1_R.dcm"], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter()
        )
        assert len(again.imported) == 1, again.rejected
        assert len(study.case(case).films) == 4
        assert check_study(study.path).is_intact

    @pytest.mark.parametrize("clock", ["", "101500"])
    def test_a_withdrawn_film_in_the_folder_does_not_exclude_the_right_one(self, tmp_path: Path, clock: str) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        (tmp_path / "hospital" / "P0_1_L.dcm").unlink()
        times = {"AcquisitionDate": "20210504", "AcquisitionTime": clock} if clock else {}
        wrong = film_file(tmp_path / "hospital" / "z.dcm", patient="P0", day="20210504", side="R", seed=71, **times)
        import_films(study, [wrong], key=tmp_path / "key.json", converter=InProcessConverter())
        withdraw_films(study, case, [film_of(study, case, 1, "R")], reason="wrong film")
        film_file(tmp_path / "hospital" / "a.dcm", patient="P0", day="20210504", side="R", seed=72, **times)
        again = import_films(study, [tmp_path / "hospital"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert [each.path.name for each in again.imported] == ["a.dcm"]
        reasons = {each.path.name: each.reason.partition(".")[0] for each in again.rejected}
        assert reasons["z.dcm"] == "it was withdrawn from the study"

    def test_new_films_of_a_case_that_was_withdrawn_wait_for_a_decision(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        withdraw_films(study, case, reason="consent withdrawn")
        new = film_file(tmp_path / "hospital" / "new.dcm", patient="P0", side="R", seed=5)
        again = import_films(study, [new], key=tmp_path / "key.json", converter=InProcessConverter())
        assert [each.reason.partition(".")[0] for each in again.rejected] == [
            "all films of its case were withdrawn from the study"
        ]
        manifest = new.with_name("manifest.csv")
        manifest.write_text("file,patient,time,side,override\nnew.dcm,P0,0,R,yes\n")
        again = import_films(study, [new], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter())
        assert len(again.imported) == 1, again.rejected

    def test_undo_does_not_reach_entries_on_films_that_are_gone(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        store_reading(study, case, joints=2)
        replace_film(study, tmp_path, 1)
        with study.open_reading("anna", case) as session:
            assert find_undoable(session.reading) is None
            session.save(enter(session.reading, session.reading.open_fields[-1], GradeEntry(0), timestamp=AT))
        stored = study.reading("anna", case)
        assert stored is not None
        assert find_undoable(stored) is not None

    def test_flags_and_notes_of_joints_that_are_gone_are_removed(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as session:
            session.save(toggle_flag(session.reading, "R.MCP2", timestamp=AT))
        withdraw_films(study, case, [film_of(study, case, 0, "R")], reason="wrong patient")
        assert study.state("anna", case).stage == "reading"
        with study.open_reading("anna", case) as session:
            assert not session.reading.flags
            assert {site.side for site in session.reading.sites} == {"L"}
        assert study.reading("anna", case) is not None
        assert check_study(study.path).is_intact

    def test_a_case_without_films_is_not_readable_and_not_counted(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        for rater in study.config.raters:
            store_reading(study, case, rater=rater, signed=True)
        withdraw_films(study, case, reason="consent withdrawn", confirmed=True, erase=True)
        assert study.case(case).films == ()
        assert study.state("anna", case).note == "its films were withdrawn"
        found = collect_released_readings(study)
        assert (found.kept_back, found.unreadable) == ({case: "its films were withdrawn"}, {case})
        with pytest.raises(StudyError, match="its films were withdrawn"), study.open_reading("anna", case):
            pass
        assert check_study(study.path).is_intact
        with pytest.raises(StudyError, match="withdrawn already"):
            withdraw_films(study, case, reason="again", confirmed=True)

    def test_an_interrupted_withdrawal_can_be_repeated(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        film = film_of(study, case, 1)

        def refuse(*_: object, **__: object) -> None:
            raise StoreError("not saved: No space left on device")

        for step in ("save_case", "remove_film_regions"):
            with monkeypatch.context() as patch:
                patch.setattr(Study, step, refuse)
                with pytest.raises(StoreError):
                    withdraw_films(study, case, [film], reason="wrong patient")
            assert not [each for each in check_study(study.path).faults if not each.remedy], step
            if step == "save_case":
                assert film in {each.id for each in study.case(case).films}
        assert film not in {each.id for each in study.case(case).films}
