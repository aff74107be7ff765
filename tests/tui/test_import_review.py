"""The screen with the plan of an import: what it shows, what each key decides, and what survives the end of the app."""

import json
import re
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.errors import StudyError
from ratui.scheme import load_scheme
from ratui.study import InProcessConverter, Study, import_films, open_import
from ratui.study.importing.planning.import_plan import Decision, ImportPlan
from ratui.study.importing.planning.plan_review import PlanReview, find_draft_path, read_draft
from ratui.study.importing.reader import reader_process
from ratui.study.importing.reader.reader_process import ReaderProcess
from ratui.terminal import Display
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.import_app import ImportApp
from ratui.tui.input.actions import Keymap
from ratui.tui.input.key_rows import KeyItem
from ratui.tui.screens.import_review import pictures
from ratui.tui.screens.import_review.films import CompetingFilms
from ratui.tui.screens.import_review.text import format_keys, format_reason
from ratui.tui.user_settings import UserSettings
from tests.films import film_file
from tests.tui.conftest import CalmTypist, cells, label_text, press_each, rows, settle
from tests.tui.snapshots import check

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]

DOUBTFUL, TAKE, OUT = Decision.DOUBTFUL, Decision.TAKE, Decision.LEAVE_OUT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write films of four patients: two competing films, three dates, an unknown side, and a patient without doubt."""
    films = (
        ("a1.dcm", "PAT-A", "20200302", "L"),
        ("a2.dcm", "PAT-A", "20210302", "L"),
        ("b1.dcm", "PAT-B", "20200302", "L"),
        ("b1-again.dcm", "PAT-B", "20200302", "L"),
        ("b2.dcm", "PAT-B", "20210302", "L"),
        ("c1.dcm", "PAT-C", "20180302", "R"),
        ("c2.dcm", "PAT-C", "20190302", "R"),
        ("c3.dcm", "PAT-C", "20210302", "R"),
        ("d1.dcm", "PAT-D", "20200302", ""),
    )
    for seed, (name, patient, day, side) in enumerate(films):
        film_file(tmp_path / "h" / name, patient=patient, day=day, side=side, seed=seed)
    return tmp_path / "h"


def plan_of(tmp_path: Path, name: str = "study") -> ImportPlan:
    study = Study.create(tmp_path / name, "mtss-hands", ["anna"])
    opened = open_import(study, [tmp_path / "h"], key=tmp_path / f"{name}.json", converter=InProcessConverter())
    with opened as current:
        return current.plan()


@asynccontextmanager
async def reviewing(
    plan: ImportPlan, tmp_path: Path, *, size: tuple[int, int] = (80, 24), language: str = "en"
) -> AsyncIterator[Pilot[None]]:
    draft = tmp_path / "draft.json"
    app = ImportApp(
        plan,
        {},
        Display("halfcell"),
        UserSettings(language),
        draft=draft,
        earlier=read_draft(draft),
        folder=tmp_path / "h",
    )
    app.key_queue.reaction_seconds = 0.0
    app.key_queue.time_of = CalmTypist()
    async with app.run_test(size=size) as pilot:
        pilot.press = partial(press_each, app, pilot.press)  # type: ignore[method-assign]
        await settle(pilot)
        yield pilot


def review_of(pilot: Pilot[None]) -> PlanReview:
    assert isinstance(pilot.app, ImportApp)
    return pilot.app.review


def decisions(pilot: Pilot[None]) -> dict[str, Decision]:
    return {row.path.name: row.decision for row in review_of(pilot).plan.rows}


def message(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#message", Static).render()).strip()


async def select(pilot: Pilot[None], text: str) -> None:
    """Select the first listed film whose line contains `text`."""
    await pilot.press("home")
    for _ in range(20):
        if any(line.startswith("▸") and text in line for line in rows(pilot)):
            return
        await pilot.press("down")
    pytest.fail(f"no line contains {text!r}: {rows(pilot)}")


async def test_doubtful_films_come_first_with_reason_and_pictures(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        shown = rows(pilot)
        assert len(shown) == 6, "two competing films, three dates, one without side"
        assert all(line[1] == "?" for line in shown)
        assert shown[0].startswith("▸? #2      2020-03-02  earlier  whole hand    PA   L   2 films of that s")
        assert "2 films of that side and day are equally suitable" in label_text(pilot)
        assert "3 taken" in label_text(pilot)
        await settle(pilot)
        pictured = [line for line in cells(pilot).split("\n") if line.count("▀" * 30) == 2]
        assert pictured, "both competing films are side by side"
        await pilot.press("a")
        assert len(rows(pilot)) <= 9
        assert "all files" in label_text(pilot)


async def test_choosing_one_of_two_films_leaves_the_other_out(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        await pilot.press("right", "c")
        chosen = review_of(pilot).steps[-1].path.name
        other = {"b1.dcm": "b1-again.dcm", "b1-again.dcm": "b1.dcm"}[chosen]
        assert (decisions(pilot)[chosen], decisions(pilot)[other]) == (TAKE, OUT)
        await pilot.press("left", "t")
        assert (decisions(pilot)[other], decisions(pilot)[chosen]) == (TAKE, OUT), "one film of a side and day"
        await pilot.press("u", "u")
        assert (decisions(pilot)[other], decisions(pilot)[chosen]) == (DOUBTFUL, DOUBTFUL)
        await pilot.press("u")
        assert message(pilot) == "There is no decision to take back"


async def test_two_of_three_dates_are_chosen_by_number(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        await select(pilot, "3 dates")
        await pilot.press("d")
        assert "1: 2018-03-02  2: 2019-03-02  3: 2021-03-02" in label_text(pilot)
        await pilot.press("backspace", "4", "enter")
        assert message(pilot) == "Type two numbers from 1 to 3"
        await pilot.press("d", "ctrl+u", "3", "space", "2", "enter")
        assert [decisions(pilot)[name] for name in ("c1.dcm", "c2.dcm", "c3.dcm")] == [OUT, TAKE, TAKE]
        times = {row.path.name: row.time for row in review_of(pilot).plan.taken}
        assert (times["c2.dcm"], times["c3.dcm"]) == (0, 1)
        await pilot.press("d")
        assert message(pilot) == "There are no dates to choose for this patient"


async def test_values_are_entered_before_a_film_is_taken(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        await select(pilot, "doesn't say which")
        await pilot.press("t")
        assert message(pilot).startswith("the film can't be taken: unknown side")
        assert decisions(pilot)["d1.dcm"] is DOUBTFUL
        await pilot.press("r", "2")
        assert decisions(pilot)["d1.dcm"] is DOUBTFUL
        assert any("later" in line and "R*" in line for line in rows(pilot))
        await pilot.press("v", "v", "t")
        row = next(row for row in review_of(pilot).plan.taken if row.path.name == "d1.dcm")
        assert (row.side, row.time, row.view, row.is_override) == ("R", 1, "hand", True)
        await pilot.press("b", "1", "v")
        row = next(row for row in review_of(pilot).plan.taken if row.path.name == "d1.dcm")
        assert (row.side, row.time, row.view) == ("B", 0, "wrist"), "a film that is taken changes at once"
        await pilot.press("l", "x")
        assert decisions(pilot)["d1.dcm"] is OUT


async def test_n_goes_to_the_next_doubtful_film(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        await pilot.press("x", "n", "x", "n", "x", "n", "x", "n", "x", "n", "x")
        assert DOUBTFUL not in decisions(pilot).values()
        assert "n" not in str(pilot.app.screen.query_one("#keys", Static).render()).split()
        await pilot.press("n")
        assert message(pilot) == "No film is doubtful any more"


async def test_no_name_no_id_and_no_text_of_a_film_is_displayed(tmp_path: Path) -> None:
    hostile = "EVIL\x1b]0;owned\x07\x1b[2J"
    path = tmp_path / "h" / "MEYER\x1b[31m\u202eANNA.dcm"
    film_file(path, patient="SECRET-7", side="", PatientName=hostile, SeriesDescription=hostile, seed=3)
    film_file(tmp_path / "h" / "b.dcm", patient=hostile, SeriesDescription=hostile, BodyPartExamined="EVIL", seed=4)
    async with reviewing(plan_of(tmp_path), tmp_path, size=(120, 40)) as pilot:
        await pilot.press("a", "home")
        for _ in range(2):
            await settle(pilot)
            shown = cells(pilot) + label_text(pilot)
            assert not re.search("EVIL|SECRET|MEYER|ANNA|Doe|owned", shown)
            assert all(character.isprintable() or character == "\n" for character in shown)
            await pilot.press("p")
            await settle(pilot)
            shown = cells(pilot) + label_text(pilot)
            assert "/h/" in shown
            assert all(character.isprintable() or character == "\n" for character in shown)
            await pilot.press("p", "down")


async def test_a_film_whose_decoder_crashes_has_a_message_in_its_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path)
    monkeypatch.setattr(pictures, "ReaderProcess", ReaderProcess)
    monkeypatch.setattr(reader_process, "_WORKER_CODE", "import os; os._exit(139)")
    async with reviewing(plan, tmp_path) as pilot:
        await settle(pilot)
        assert cells(pilot).count("the decoder crashed on it") == 2
        assert not [view for view in pilot.app.screen.query_one(CompetingFilms).query("FilmView") if view.key]  # type: ignore[attr-defined]
        await pilot.press("c")
        assert TAKE in (decisions(pilot)["b1.dcm"], decisions(pilot)["b1-again.dcm"]), "the keys go on working"


async def test_the_import_equals_that_of_the_saved_manifest(folder: Path, tmp_path: Path) -> None:
    one, other = (Study.create(tmp_path / name, "mtss-hands", ["anna"]) for name in ("one", "other"))
    opened = open_import(one, [folder], key=tmp_path / "one.json", converter=InProcessConverter())
    with opened as current:
        async with reviewing(current.plan(), tmp_path) as pilot:
            await pilot.press("c")
            await select(pilot, "3 dates")
            await pilot.press("d", "enter")
            await select(pilot, "doesn't say which")
            await pilot.press("r", "1", "t", "S", "enter")
            assert message(pilot) == "The manifest is saved. It identifies patients"
            assert not review_of(pilot).has_unsaved
            await pilot.press("I")
            assert message(pilot).startswith("Import 7 films now?")
            await pilot.press("escape", "I", "enter")
            await settle(pilot)
            assert isinstance(pilot.app, ImportApp)
            assert pilot.app.is_confirmed
            plan = pilot.app.review.plan
        current.execute(plan)
    manifest = folder / "ratui-manifest.csv"
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o600
    import_films(other, [folder], manifest=manifest, key=tmp_path / "other.json", converter=InProcessConverter())
    assert films_of(one) == films_of(other)
    assert len(films_of(one)) == 7


def films_of(study: Study) -> list[tuple[str, int, str, str, int | None]]:
    films = (film for case in study.cases() for film in study.case(case).films)
    return sorted((film.digest, film.time, film.side, film.view, film.day) for film in films)


async def test_a_manifest_does_not_replace_another_file(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        await pilot.press("c", "S", "ctrl+u", *"a1.dcm", "enter")
        assert message(pilot) == "There is a file of that name already: type another name"
        assert (folder / "a1.dcm").stat().st_size > 1000
        await pilot.press("S", "ctrl+u", *"../m.csv", "enter")
        assert (tmp_path / "m.csv").exists()
        (tmp_path / "empty").mkdir()
        await pilot.press("u", "S", "ctrl+u", *"../empty/m.csv", "enter")
        assert message(pilot).startswith("a manifest can name films in its own folder only")
        assert not list((tmp_path / "empty").iterdir())


async def test_decisions_survive_the_end_of_the_app(folder: Path, tmp_path: Path) -> None:
    plan, draft = plan_of(tmp_path), tmp_path / "draft.json"
    async with reviewing(plan, tmp_path) as pilot:
        await pilot.press("c")
        await select(pilot, "doesn't say which")
        await pilot.press("r")
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        kept, steps = review_of(pilot).plan, review_of(pilot).steps
        await pilot.press("ctrl+q")
    assert len(json.loads(draft.read_text())["steps"]) == 2
    async with reviewing(plan, tmp_path) as pilot:
        assert message(pilot).startswith("An earlier review ended with 2 decisions.")
        await pilot.press("t")
        assert review_of(pilot).plan == plan, "no key decides before the answer"
        await pilot.press("enter")
        assert (review_of(pilot).plan, review_of(pilot).steps) == (kept, steps)
        await pilot.press("escape")
        assert "2 decisions are not saved as a manifest" in message(pilot)
        await pilot.press("enter")
        await settle(pilot)
    assert draft.exists()
    async with reviewing(plan, tmp_path) as pilot:
        await pilot.press("x")
        assert not draft.exists()
        assert review_of(pilot).plan == plan
        await pilot.press("x", "u")
        assert not draft.exists(), "no decision is left"


async def test_discarding_the_decisions_is_a_decision(folder: Path, tmp_path: Path) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        await pilot.press("x", "escape", "x")
        await settle(pilot)
        assert isinstance(pilot.app, ImportApp)
        assert (pilot.app.is_confirmed, pilot.app.is_discarded) == (False, True)


def test_a_draft_drops_decisions_on_films_that_have_changed(folder: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.json"
    review = PlanReview(plan_of(tmp_path), draft)
    review.choose(folder / "b1.dcm")
    review.leave_out(folder / "a1.dcm")
    film_file(folder / "b1.dcm", patient="PAT-B", side="L", seed=77)
    again = PlanReview(plan_of(tmp_path, "again"), draft)
    assert again.restore(read_draft(draft)) == 1
    assert again.plan.row(folder / "a1.dcm").decision is OUT
    assert again.plan.row(folder / "b1.dcm").decision is DOUBTFUL
    assert len(read_draft(draft)) == 1


def test_a_refused_decision_changes_nothing(folder: Path, tmp_path: Path) -> None:
    review = PlanReview(plan_of(tmp_path))
    before = review.plan
    for refused in (
        lambda: review.take(folder / "d1.dcm"),
        lambda: review.choose(folder / "d1.dcm"),
        lambda: review.choose_dates(folder / "c1.dcm", *[before.row(folder / "c1.dcm").exam_date] * 2),  # type: ignore[list-item]
    ):
        with pytest.raises(StudyError):
            refused()
    assert (review.plan, review.steps, review.undo()) == (before, (), None)


def test_a_draft_belongs_to_one_import(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    paths = [(tmp_path / "a",), (tmp_path / "b",), (tmp_path / "a", tmp_path / "b")]
    names = {find_draft_path(key, each, manifest) for each in paths for manifest in (None, tmp_path / "m.csv")}
    assert len(names) == 6
    assert find_draft_path(key, paths[2], None) == find_draft_path(key, paths[2][::-1], None)


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-5], lambda raw: raw.replace("leave out", "eat"), lambda raw: "[]"]
)
def test_a_damaged_draft_is_reported(folder: Path, tmp_path: Path, change: Callable[[str], str]) -> None:
    draft = tmp_path / "draft.json"
    PlanReview(plan_of(tmp_path), draft).leave_out(folder / "a1.dcm")
    assert len(read_draft(draft)) == 1
    draft.write_text(change(draft.read_text()))
    with pytest.raises(StudyError, match="draft"):
        read_draft(draft)


async def test_all_texts_are_japanese(folder: Path, tmp_path: Path) -> None:
    film_file(folder / "e.dcm", patient="PAT-E", day="19000101", seed=50)
    film_file(folder / "f.dcm", patient="PAT-F", ViewPosition="LL", seed=51)
    plan = plan_of(tmp_path)
    for row in plan.rows:
        shown = format_reason(Catalog("ja"), row)
        assert not re.search(r"\b(?!StudyDate|lateral)[A-Za-z]{3,}", shown), shown
    async with reviewing(plan, tmp_path, language="ja") as pilot:
        for key in ("home", "t", "c", "S", "escape", "I", "escape", "escape"):
            await pilot.press(key)
            shown = label_text(pilot) + "\n".join(rows(pilot))
            assert not re.search(r"\b(?!StudyDate|lateral|Enter|Esc|ratui|csv|manifest)[A-Za-z]{3,}", shown), shown


@pytest.mark.parametrize("language", ["en", "ja"])
async def test_the_screen_looks_as_before(folder: Path, tmp_path: Path, language: str) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path, size=(80, 24), language=language) as pilot:
        for width, height in ((80, 24), (120, 40), (200, 60)) if language == "en" else ((80, 24),):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            await settle(pilot)
            check(pilot, f"import-{width}x{height}{'' if language == 'en' else f'.{language}'}")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_label_of_a_key_is_cut_at_80_columns(language: str) -> None:
    t, keymap = Catalog(language), Keymap({}, load_scheme("fingers"))
    items = [KeyItem(keymap.key_label(each.id), each.label(t)) for each in keymap.list_actions("import")]
    items = [item for item in items if item.label]
    narrow, wide = (format_keys(t, keymap, items, width).plain for width in (80, 200))
    assert "…" not in narrow
    assert all(cell_len(row) <= 80 for row in narrow.split("\n"))
    assert all(item.label in wide for item in items), "each key has its own label where there is room"


@pytest.mark.parametrize(("size", "language"), [((80, 24), "en"), ((60, 20), "ja")])
async def test_keys_and_questions_are_not_cut_off(
    folder: Path, tmp_path: Path, size: tuple[int, int], language: str
) -> None:
    async with reviewing(plan_of(tmp_path), tmp_path, size=size, language=language) as pilot:
        keys = str(pilot.app.screen.query_one("#keys", Static).render())
        assert {"t", "x", "c", "S", "I", "?", "Esc"} <= set(keys.split())
        await pilot.press("x", "escape")
        shown = re.sub(r"\s", "", cells(pilot))
        assert re.sub(r"\s", "", message(pilot)) in shown
