"""The rules that let a rater open a reading hold at each save of it, and at each opening of a case in an open app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, enter
from ratui.study import AutoSaver, ReadingClosed, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import add_rater, remove_rater, replace_rater
from tests.study.test_rater_changes import drawn_study

FIELD = Field("L.IP1", "ERO", 0)
OTHER = Field("L.PIP2", "ERO", 0)
Change = Callable[[Study], object]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study of two cases without pixels, which anna and bert read."""
    return drawn_study(tmp_path, ("anna", "bert"), cases=2, each=2)


def require_examination(study: Study) -> None:
    set_charter(study, {"qualification": {"required": True, "kappa": 0.6}}, "as agreed")


def close_days(study: Study) -> None:
    set_charter(study, {"windows": [{"closes": "2020-01-01"}]}, "as agreed")


def take_from_anna(study: Study) -> None:
    case = study.case("C-0")
    study.save_case(case, positions={"bert": (), "consensus": ()})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda study: remove_rater(study, "anna", "moved away"), "anna has left the study"),
        (lambda study: replace_rater(study, "anna", "cleo", "moved away"), "anna has left the study"),
        (require_examination, "anna has no result of an examination"),
        (close_days, "it could be read until 2020-01-01"),
        (take_from_anna, "it is not assigned to anna"),
    ],
)
def test_a_change_of_the_rules_ends_an_open_session(study: Study, change: Change, why: str) -> None:
    app = Study.open(study.path).as_rater("anna")  # an app that was started before
    with app.open_reading("anna", "C-0") as session:
        saver = AutoSaver(session)
        assert saver.save(enter(session.reading, FIELD, GradeEntry(1)))
        session.check_lock()
        if change is take_from_anna:
            add_rater(study, "cleo")  # from now on a case may have some of the raters only
        change(study)
        for check in (session.check_lock, lambda: session.writing().__enter__()):
            with pytest.raises(ReadingClosed, match=why):
                check()
        assert not saver.save(enter(saver.reading, OTHER, GradeEntry(2)))
        assert why in saver.save_error
        assert not saver.can_retry
        assert [entry.changes[0].field for entry in saver.unsaved] == [OTHER]
    with (
        pytest.raises(StudyError, match=why),
        app.open_reading("anna", "C-1" if change is not take_from_anna else "C-0"),
    ):
        pass
    stored = Study.open(study.path).reading("anna", "C-0")
    assert stored is not None
    assert [*stored.values.values()] == [GradeEntry(1)]


def test_other_changes_of_the_settings_end_no_session(study: Study) -> None:
    app = Study.open(study.path).as_rater("bert")
    with app.open_reading("bert", "C-0") as session:
        remove_rater(study, "anna", "moved away")
        set_charter(study, {"windows": [{"closes": "2999-01-01"}], "missing": "observed"}, "as agreed")
        session.check_lock()
        session.save(enter(session.reading, FIELD, GradeEntry(1)))
    assert app.config.departed == ("anna",)
    assert app.config.charter.missing == "observed"


def test_a_last_day_ends_at_midnight(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import date

    set_charter(study, {"windows": [{"closes": date.today().isoformat()}]}, "protocol")

    class Tomorrow(date):
        @classmethod
        def today(cls) -> date:
            return date.fromordinal(date.today().toordinal() + 1)

    with study.open_reading("anna", "C-0") as session:
        session.save(enter(session.reading, FIELD, GradeEntry(1)))
        monkeypatch.setattr("ratui.study.readings.reading_permission.date", Tomorrow)
        with pytest.raises(ReadingClosed, match="it could be read until"):
            session.save(enter(session.reading, OTHER, GradeEntry(2)))


def test_a_save_reads_no_settings_that_have_not_changed(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Study.open(study.path).as_rater("anna")
    read = []
    with app.open_reading("anna", "C-0") as session:
        monkeypatch.setattr(type(app.folder), "read_intact", lambda *arguments, **_: read.append(arguments[1]))
        session.save(enter(session.reading, FIELD, GradeEntry(1)))
        session.check_lock()
    assert read == []


def test_the_settings_of_another_study_are_not_taken(study: Study, tmp_path: Path) -> None:
    app = Study.open(study.path).as_rater("anna")
    other = Study.create(tmp_path / "other", "fingers", ("anna",))
    for name in ("study.toml", "study.toml.bak"):
        (study.path / name).write_bytes((other.path / name).read_bytes())
    with pytest.raises(StudyError, match="another study is in this folder"), app.open_reading("anna", "C-0"):
        pass
