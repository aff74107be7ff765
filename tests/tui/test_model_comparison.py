"""What a model says comes onto a screen once the reading is signed, where it differs, and never before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ratui.reading import Entry, Field, GradeEntry
from ratui.study import Study
from ratui.study.predictions import save_predictions
from ratui.tui.entry.model_comparison import find_differences
from tests.films import make_study
from tests.model_answers import answer
from tests.tui.conftest import reading_as, settle, shown
from tests.tui.readings import store

pytestmark = pytest.mark.slow

MCP2 = [Field("L.MCP2", "ERO", time) for time in (0, 1)]
READ: Mapping[Field, Entry] = {MCP2[0]: GradeEntry(1), MCP2[1]: GradeEntry(2)}


def read(tmp_path: Path, *, signed: bool, earlier: float = 1, later: float = 4, blinded: bool = False) -> Study:
    study = make_study(tmp_path, sides="L", blinded=blinded)
    (case,) = study.cases()
    store(study, case, READ, signed=signed)
    save_predictions(study, "scorer", case, [answer("L.MCP2", "ERO", earlier, later, 5)])
    return study


@pytest.mark.parametrize(
    ("earlier", "later", "differs"), [(1, 2, False), (2, 3, False), (1, 3, True), (3, 4, True), (1, 1, True)]
)
def test_another_change_or_two_grades_off_differ(tmp_path: Path, earlier: int, later: int, differs: bool) -> None:
    study = read(tmp_path, signed=True, earlier=earlier, later=later)
    reading = study.reading("anna", study.cases()[0])
    assert reading is not None
    assert bool(find_differences(study, reading)) is differs


async def test_after_the_signature_the_overview_and_the_joint_say_it(tmp_path: Path) -> None:
    study = read(tmp_path, signed=True)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert "MCP2≠" in shown(pilot)
        assert "model:" not in shown(pilot)
        await pilot.press("down", "left")  # from the thumb's IP to MCP2
        await settle(pilot)
        assert "≠ model: ERO 1→4" in shown(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert "model: ERO 1→4" in shown(pilot)


async def test_before_it_nothing_does(tmp_path: Path) -> None:
    study = read(tmp_path, signed=False)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("enter", "enter", "enter"):
            await pilot.press(key)
            await settle(pilot)
            assert "model" not in shown(pilot)
            assert "≠" not in shown(pilot)


async def test_blinded_to_order_it_stands_as_the_films_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "order", lambda self, rater, case: (1, 0))
    study = read(tmp_path, signed=True, blinded=True)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("down", "left")
        await settle(pilot)
        assert "model: ERO 4 1" in shown(pilot)
