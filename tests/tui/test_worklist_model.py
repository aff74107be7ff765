"""The worklist without a screen: next case, filter, progress, and the estimate of the remaining time."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from ratui.study import CaseState, Stage
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.worklist import model as worklist_model
from ratui.tui.screens.worklist.groups import count_groups, find_group, lay_out, step_group
from ratui.tui.screens.worklist.text import format_case, format_columns, format_progress_panel, has_column_of_visits

EN, JA = Catalog("en"), Catalog("ja")


def state(
    case: str, stage: Stage, done: int = 0, *, seconds: float = 0.0, flags: int = 0, total: int = 76
) -> CaseState:
    return CaseState(case, stage, done, total, seconds, flags=flags)


STATES = [
    state("A1", "signed", 76, seconds=120),
    state("A2", "reading"),
    state("A3", "unreadable"),
    state("A4", "reading", 12),
    state("A5", "regions"),
    state("A6", "review", 76, flags=2),
]


class TestTheNextCase:
    def test_a_session_starts_with_an_unfinished_case(self) -> None:
        assert worklist_model.find_next_case(STATES) == 3

    def test_without_an_unfinished_case_it_is_the_first_open_one(self) -> None:
        assert worklist_model.find_next_case([STATES[0], STATES[2], STATES[1]]) == 2

    def test_after_a_signed_case_it_is_another_one_cyclically(self) -> None:
        find = worklist_model.find_case_after
        assert [find(STATES, case) for case in ("A1", "A2", "A5", "A6")] == ["A2", "A4", "A6", "A2"]
        assert find(STATES[:3], "A2") == "", "its state may not have been read again"

    def test_after_a_case_it_is_the_next_one_cyclically(self) -> None:
        assert worklist_model.find_next_case(STATES, after=3) == 4
        assert worklist_model.find_next_case(STATES, after=5) == 1

    def test_there_is_none_when_all_is_signed_or_unreadable(self) -> None:
        assert worklist_model.find_next_case([STATES[0], STATES[2]]) is None
        assert worklist_model.find_next_case([]) is None


class TestTyping:
    @pytest.mark.parametrize(
        ("typed", "found"),
        [
            ("", ["A1", "A2", "A3", "A4", "A5", "A6"]),
            ("a4", ["A4"]),
            ("SIGNED", ["A1"]),
            ("review", ["A6"]),
            ("reading 2", ["A2"]),
            ("2 reading", ["A2"]),
            ("flag", ["A6"]),
            ("zz", []),
        ],
    )
    def test_every_word_must_be_found(self, typed: str, found: list[str]) -> None:
        texts = [worklist_model.make_search_text(EN, each) for each in STATES]
        assert [STATES[place].case for place in worklist_model.find_matches(typed, texts)] == found

    @pytest.mark.parametrize("typed", ["署名", "signed"])
    def test_japanese_words_are_found_too(self, typed: str) -> None:
        texts = [worklist_model.make_search_text(JA, each) for each in STATES]
        assert worklist_model.find_matches(typed, texts) == [0]


class TestProgress:
    def test_unreadable_cases_are_not_counted(self) -> None:
        progress = worklist_model.WorklistProgress.from_states(STATES)
        assert (progress.signed, progress.remaining, progress.total) == (1, 4, 5)

    def test_the_remaining_time_is_estimated_from_the_open_fields(self) -> None:
        signed = [state(f"A{number}", "signed", 76, seconds=seconds) for number, seconds in enumerate((76, 760, 38))]
        states = [*signed, state("B2", "reading", 70), state("B3", "regions")]
        progress = worklist_model.WorklistProgress.from_states(states)
        assert progress.case_seconds == 76
        assert progress.seconds_left == 6 + 76

    def test_the_cases_that_were_signed_last_count(self) -> None:
        old = [state(f"A{number}", "signed", 76, seconds=760) for number in range(30)]
        new = [
            replace(state(f"B{number}", "signed", 76, seconds=76), history=f"sign 2027-01-{number + 1:02}T09:00:00.000")
            for number in range(20)
        ]
        progress = worklist_model.WorklistProgress.from_states([*new, *old, state("C", "reading")])
        assert (progress.case_seconds, progress.seconds_left, progress.timed) == (76, 76, 20)

    def test_fewer_than_three_signed_cases_are_no_pace(self) -> None:
        states = [state(f"A{number}", "signed", 76, seconds=76) for number in range(2)]
        assert worklist_model.WorklistProgress.from_states([*states, state("B", "reading")]).case_seconds is None

    @pytest.mark.parametrize(
        ("minutes", "span"),
        [
            (0.2, "1 minute"),
            (99, "99 minutes"),
            (129, "2 h 10 min"),
            (121, "2 hours"),
            (599, "10 hours"),
            (1300, "22 hours"),
        ],
    )
    def test_the_remaining_time_in_words(self, minutes: float, span: str) -> None:
        progress = worklist_model.WorklistProgress(3, 14, 60.0, 60 * minutes, 3)
        assert f"14 cases left, about {span} at your pace" in format_progress_panel(EN, progress, 40)


class TestGroups:
    def test_a_case_is_in_progress_due_done_or_unreadable(self) -> None:
        groups = [find_group(each) for each in (*STATES, state("A7", "changed", 76))]
        assert groups == ["done", "due", "unreadable", "progress", "due", "progress", "progress"]
        assert count_groups(STATES) == {"progress": 2, "due": 2, "done": 1, "unreadable": 1}

    def test_they_are_shown_one_after_the_other_and_then_all(self) -> None:
        states = [STATES[0], STATES[1]]
        assert [step_group(states, group, 1) for group in (None, "due", "done", "progress")] == [
            "due",
            "done",
            None,
            "due",
        ]
        assert step_group(states, None, -1) == "done"

    @pytest.mark.parametrize("has_bottoms", [True, False])
    def test_lines_of_the_list(self, has_bottoms: bool) -> None:
        lines = lay_out(STATES, [0, 1, 3, 4], has_bottoms=has_bottoms)
        assert [line.number for line in lines if line.kind == "case"] == [3, 1, 4, 0]
        assert [(line.group, line.total) for line in lines if line.kind == "top"] == [
            ("progress", 1),
            ("due", 2),
            ("done", 1),
        ]
        assert sum(line.kind == "bottom" for line in lines) == 3 * has_bottoms

    def test_without_signed_cases_nothing_is_estimated(self) -> None:
        progress = worklist_model.WorklistProgress.from_states([state("B1", "signed", 76), state("B2", "reading")])
        assert progress.case_seconds is None
        assert progress.seconds_left is None


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_column_says_how_many_visits_a_case_has_unless_all_have_two(language: str) -> None:
    t = Catalog(language)
    usual, more = (replace(state("C-ABCDEF", "reading"), visits=visits) for visits in (2, 5))
    assert not has_column_of_visits([usual, replace(usual, visits=0)])
    assert has_column_of_visits([usual, more])
    heads, line = format_columns(t, 8, visits=True), format_case(t, more, 8, 79, visits=True)
    place = cell_len(heads[: heads.index(t("worklist.column_visits"))])
    assert line[place:].split()[0] == "5"
    assert "5" not in format_case(t, more, 8, 79, visits=False)


@pytest.mark.parametrize("visits", [True, False])
def test_a_line_that_does_not_fit_ends_in_an_ellipsis(visits: bool) -> None:
    long = replace(state("C-RANDOMISED-0001-OF-SITE-22", "unreadable"), note="its films are damaged " * 5, visits=3)
    line = format_case(Catalog("en"), long, 24, 79, visits=visits)
    assert cell_len(line) == 79
    assert line.endswith("…")
    assert "…" in line[:26], "the name"
    short = format_case(Catalog("en"), replace(long, note="", flags=3), 24, 79, visits=visits)
    assert "⚑ 3" in short
    assert not short.endswith("…")
