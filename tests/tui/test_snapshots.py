"""Snapshots of each screen, cell by cell, at three sizes and in both languages. Other tests check the behaviour."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from textual.pilot import Pilot

from ratui.reading import (
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    enter,
    enter_normal,
    set_note,
    sign,
    toggle_flag,
)
from ratui.study import Study
from ratui.study.model_results.model_reports import Evaluation, Heading, Paragraph, ReportTable, save_evaluation
from ratui.tui.tour.tour import Tour
from tests.films import make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.snapshots import check

pytestmark = pytest.mark.slow

Templates: TypeAlias = Callable[[Callable[[Path], Study]], Path]
AT = datetime(2021, 5, 4, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Scene:
    """The steps to a screen: the study and the keys pressed on each screen."""

    name: str
    keys: tuple[str, ...] = ()
    study: Callable[[Path], Study] = make_study
    tour: bool = False


def part_read(tmp_path: Path) -> Study:
    """Prepare four cases: one signed, one full but unsigned, one begun with a flag and a note, one untouched."""
    study = make_study(tmp_path, patients=4)
    first, second, third, _ = study.cases()
    for case, change in ((first, full), (second, full), (third, begun)):
        with study.open_reading("anna", case) as session:
            reading = change(session.reading)
            session.save(sign(reading, timestamp=AT) if case == first else reading, seconds=240.0)
    return study


def evaluated(tmp_path: Path) -> Study:
    """Prepare a signed case, and the evaluation of a model on it."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:
        session.save(sign(full(session.reading), timestamp=AT), seconds=240.0)
    blocks = (
        Heading("Errors of the change"),
        Paragraph("The mean error of `scorer` on simulated patients. " * 8),
        ReportTable(("measure", "scorer", "raters"), (("ERO", "0.21", "0.18"), ("JSN", "0.31", "0.26"))),
    )
    save_evaluation(study, Evaluation("scorer", AT, (case,), blocks))
    return study


def full(reading: Reading) -> Reading:
    """Fill every joint as normal, except one with a finding, one that gets worse and one not assessable."""
    for place, time in enumerate(reading.order):
        reading = enter(reading, Field("L.MCP2", "ERO", time), FindingEntry("ankylosis"), timestamp=AT)
        reading = enter(reading, Field("L.MCP3", "ERO", time), GradeEntry(1 + place), timestamp=AT)
        reading = enter(reading, Field("R.PIP4", "JSN", time), NotAssessableEntry("unreadable"), timestamp=AT)
    for site in reading.sites:
        if any(field not in reading.values for field in reading.joint_fields(site.key)):
            reading = enter_normal(reading, site.key, timestamp=AT)
    return reading


def begun(reading: Reading) -> Reading:
    reading = enter_normal(reading, "L.IP1", timestamp=AT)
    reading = enter(reading, Field("L.PIP2", "ERO", 0), GradeEntry(2), timestamp=AT)
    reading = toggle_flag(reading, "L.IP1", timestamp=AT)
    return set_note(reading, "L.IP1", "cyst or erosion?", timestamp=AT)


def blinded(tmp_path: Path) -> Study:
    return make_study(tmp_path, blinded=True)


def no_regions(tmp_path: Path) -> Study:
    return make_study(tmp_path, regions=False)


def feet_and_hands(tmp_path: Path) -> Study:
    return make_study(tmp_path, scheme="mtss-hands")


SCENES = (
    Scene("worklist", study=part_read),
    Scene("worklist-filtered", tuple("sign"), part_read),
    Scene("worklist-colours", ("ctrl+p", *"colo")),
    Scene("worklist-help", ("question_mark",)),
    Scene("regions", ("enter",), no_regions),
    Scene("regions-help", ("enter", "question_mark"), no_regions),
    Scene("scoring", ("enter",)),
    Scene("scoring-entered", ("enter", "1")),
    Scene("scoring-unlikely", ("enter", "0", "4")),
    Scene("scoring-refused", ("enter", "0", "0", "a", "3")),
    Scene("scoring-reasons", ("enter", "x")),
    Scene("scoring-go-to", ("enter", "slash", "r", "m", "c")),
    Scene("scoring-whole-film", ("enter", "v")),
    Scene("scoring-help", ("enter", "question_mark")),
    Scene("scoring-commands", ("enter", "ctrl+p")),
    Scene("scoring-tour", ("enter",), tour=True),
    Scene("scoring-blinded", ("enter", "2"), blinded),
    Scene("scoring-wrist", ("enter", *"/lmcp5", "enter"), feet_and_hands),
    Scene("second-look", ("enter",), part_read),
    Scene("second-look-help", ("enter", "question_mark"), part_read),
    Scene("second-look-changed", ("enter", "3"), part_read),
    Scene("second-look-refused", ("enter", "enter", "1"), part_read),
    Scene("second-look-note", ("enter", "m", "o"), part_read),
    Scene("scoring-note", ("enter", "m", "o")),
    Scene("overview-unfinished", ("down", "enter", "o"), part_read),
    Scene("overview-to-sign", ("enter", "enter", "enter"), part_read),
    Scene("overview-signed", ("end", "enter"), part_read),
    Scene("overview-reopening", ("end", "enter", "R", "w"), part_read),
    Scene("overview-wrist", ("enter", "o"), feet_and_hands),
    Scene("overview-help", ("end", "enter", "question_mark"), part_read),
    Scene("look-only", ("end", "enter", "down", "enter"), part_read),
    Scene("evaluation", ("ctrl+e",), evaluated),
    Scene("contact-sheet", ("tab",), part_read),
    Scene("contact-sheet-change", ("tab", "o", "o"), part_read),
    Scene("contact-sheet-help", ("tab", "question_mark"), part_read),
)

SIZES = ((80, 24), (120, 40), (200, 60))


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return a function that creates each kind of study once; every scene runs in a copy."""
    made: dict[Callable[[Path], Study], Path] = {}

    def template(kind: Callable[[Path], Study]) -> Path:
        if kind not in made:
            made[kind] = kind(tmp_path_factory.mktemp(kind.__name__)).path
        return made[kind]

    return template


async def drawn(pilot: Pilot[None]) -> None:
    """Wait until films, messages and the command palette no longer change."""
    for _ in range(3):
        await settle(pilot)


async def play(
    scene: Scene, template: Path, folder: Path, language: str, sizes: Sequence[tuple[int, int]], ending: str = ""
) -> None:
    """Go to `scene` on a screen of the first size, and take it there and after each change to another size."""
    shutil.copytree(template, folder / "study")
    study = Study.open(folder / "study")
    tour = Tour() if scene.tour else None
    async with reading_as(study, "anna", size=sizes[0], language=language, tour=tour) as pilot:
        await drawn(pilot)
        for key in scene.keys:
            await pilot.press("slash" if key == "/" else key)
            await drawn(pilot)
        for width, height in sizes:
            if pilot.app.size != (width, height):
                await pilot.resize_terminal(width, height)
                await drawn(pilot)
            check(pilot, f"{scene.name}-{width}x{height}{ending}")


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_in_english(tmp_path: Path, templates: Templates, scene: Scene) -> None:
    await play(scene, templates(scene.study), tmp_path, "en", SIZES)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_in_japanese(tmp_path: Path, templates: Templates, scene: Scene) -> None:
    await play(scene, templates(scene.study), tmp_path, "ja", SIZES[:1], ".ja")
