"""The start screen: what it lists, the command that each choice runs, and the list of recent studies."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import click
import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from ratui.cli import start
from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.study import Study
from ratui.terminal import Display
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.recent_studies import RecentStudy, forget_study, read_recent_studies, remember_study
from ratui.tui.screens.start.model import (
    ACTIONS,
    QUESTIONS,
    SearchEnded,
    StudyState,
    complete_path,
    find_study_state,
    make_arguments,
)
from ratui.tui.screens.start.text import format_study
from ratui.tui.start_app import StartApp
from ratui.tui.user_settings import UserSettings
from tests.films import make_study
from tests.tui.conftest import CalmTypist, cells, press_each, settle
from tests.tui.readings import store_reading
from tests.tui.snapshots import check

pytestmark = pytest.mark.slow


@asynccontextmanager
async def starting(
    file: Path,
    *,
    size: tuple[int, int] = (80, 24),
    language: str = "en",
    answers: dict[str, str] | None = None,
) -> AsyncIterator[Pilot[None]]:
    app = StartApp(Display("halfcell"), UserSettings(language), answers={} if answers is None else answers, recent=file)
    app.key_queue.time_of = CalmTypist()
    async with app.run_test(size=size) as pilot:
        pilot.press = partial(press_each, app, pilot.press)  # type: ignore[method-assign]
        await settle(pilot)
        await settle(pilot)
        yield pilot


def chosen(pilot: Pilot[None]) -> tuple[str, ...]:
    assert isinstance(pilot.app, StartApp)
    return pilot.app.arguments


def studies(folder: Path) -> Path:
    """Remember one study that exists and one that does not, as the list in the returned file."""
    file = folder / "recent.json"
    Study.create(folder / "hands", "fingers", ("kei",))
    remember_study(folder / "gone", "ume", file)
    remember_study(folder / "hands", "kei", file)
    return file


class TestRecentStudies:
    def test_the_newest_is_first_once_and_ten_are_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "new" / "recent.json"
        for number in range(12):
            remember_study(tmp_path / f"{number}", "kei", file)
        remember_study(tmp_path / "5", "ume", file)
        names = [study.folder.name for study in read_recent_studies(file)]
        assert names == ["5", "11", "10", "9", "8", "7", "6", "4", "3", "2"]
        assert read_recent_studies(file)[0].rater == "ume"

    def test_the_file_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o2770)  # a folder that a group shares
        file = tmp_path / "recent.json"
        remember_study(tmp_path / "a", "kei", file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_without_a_rater_the_one_before_is_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "recent.json"
        remember_study(tmp_path / "a", "kei", file)
        remember_study(tmp_path / "a", "", file)
        assert read_recent_studies(file) == (RecentStudy(tmp_path / "a", "kei"),)

    def test_one_is_forgotten(self, tmp_path: Path) -> None:
        file = studies(tmp_path)
        forget_study(tmp_path / "hands", file)
        assert [study.folder.name for study in read_recent_studies(file)] == ["gone"]
        assert (tmp_path / "hands" / "study.toml").exists()

    @pytest.mark.parametrize(
        "text",
        [
            *("", "{", "3", "{}", "[3]", "[" * 5000, '[{"folder": 3, "rater": ""}]', '[{"folder": "x", "rater": ""}]'),
            *('[{"folder": "/a\\u0000b", "rater": ""}]', json.dumps([{"folder": "/" + "x" * 5000, "rater": ""}])),
        ],
    )
    def test_a_damaged_list_is_empty(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "recent.json"
        file.write_text(text)
        assert read_recent_studies(file) == ()

    def test_a_list_that_cannot_be_written_stops_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        remember_study(tmp_path / "a", "kei", tmp_path / "file" / "recent.json")

    def test_a_name_that_is_no_unicode_is_kept(self, tmp_path: Path) -> None:
        file, folder = tmp_path / "recent.json", tmp_path / "h\udce4nde"
        remember_study(folder, "kei", file)
        assert read_recent_studies(file)[0].folder == folder


class TestArguments:
    def test_every_choice_is_a_command_that_takes_them(self) -> None:
        answers = {name: "-x" for questions in QUESTIONS.values() for name in questions} | {"raters": "kei, ume"}
        for action in (*ACTIONS, "recent"):
            name, *arguments = make_arguments(action, {**answers, "study": "--all"})
            command = commands.commands[name]
            context = command.make_context(name, list(arguments))
            assert context.params.get("study") in (None, Path("--all"), Path("-x"))

    def test_raters_and_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/kei")
        made = make_arguments("new", {"folder": "~/hands ", "raters": "kei, ume", "scheme": "mtss"})
        assert made == ("new", "--rater=kei", "--rater=ume", "--scheme=mtss", "--", "/home/kei/hands")

    def test_a_path_is_completed_as_far_as_names_agree(self, tmp_path: Path) -> None:
        for name in ("hands-a", "hands-b", "feet"):
            (tmp_path / name).mkdir()
        (tmp_path / "feet.dcm").touch()
        (tmp_path / "wrist\x1b").mkdir()
        assert complete_path(f"{tmp_path}/h", only_folders=True) == f"{tmp_path}/hands-"
        assert complete_path(f"{tmp_path}/f", only_folders=True) == f"{tmp_path}/feet/"
        assert complete_path(f"{tmp_path}/f", only_folders=False) == f"{tmp_path}/feet"
        for text in (f"{tmp_path}/w", f"{tmp_path}/none/x"):
            assert complete_path(text, only_folders=True) == text


class TestStates:
    """States of the remembered studies: missing, unreadable, or with a progress."""

    def state(self, folder: Path, rater: str = "anna", check: Callable[[], None] = lambda: None) -> StudyState:
        return find_study_state(RecentStudy(folder, rater), check)

    def test_the_signed_cases_of_the_rater_are_counted(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, raters=("anna", "ben"), patients=2)
        store_reading(study, study.cases()[0], rater="anna", signed=True)
        assert self.state(study.path) == StudyState("readable", 1, 2)
        assert self.state(study.path, "ben") == StudyState("readable", 0, 2)
        assert self.state(study.path, "") == StudyState("unknown")
        assert self.state(study.path, "zoe") == StudyState("unreadable")

    def test_what_cannot_be_opened_is_missing_or_unreadable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "damaged").mkdir()
        (tmp_path / "damaged" / "study.toml").write_text("{")
        for folder in (tmp_path / "none", tmp_path / "file", tmp_path):
            assert self.state(folder) == StudyState("missing")
        assert self.state(tmp_path / "damaged") == StudyState("unreadable")
        monkeypatch.setattr(Path, "exists", lambda path: path.joinpath("x" * 300).stat())
        assert self.state(tmp_path) == StudyState("unreadable"), "the disk refuses"

    def test_the_count_ends_when_it_is_not_wanted_any_more(self, tmp_path: Path) -> None:
        def check() -> None:
            raise SearchEnded

        with pytest.raises(SearchEnded):
            self.state(tmp_path, check=check)

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("width", [74, 94, 114])
    def test_a_line_fits_with_any_name_and_state(self, language: str, width: int) -> None:
        study = RecentStudy(Path("/data/" + "リウマチの研究/" * 20 + "手\x1b" * 90), "rater" * 9)
        states = (*(StudyState(kind) for kind in ("missing", "unreadable", "unknown")), None)
        for state in (*states, StudyState("readable"), StudyState("readable", 12, 4000), StudyState("readable", 3, 3)):
            line = format_study(Catalog(language), study, width, state)
            assert cell_len(line.plain) == width
            assert line.plain.isprintable()


class TestScreen:
    async def test_the_last_study_is_selected_and_enter_opens_it(self, tmp_path: Path) -> None:
        async with starting(studies(tmp_path)) as pilot:
            assert "▸ hands" in cells(pilot)
            await pilot.press("enter")
        assert chosen(pilot) == ("read", "--rater=kei", "--", str(tmp_path / "hands"))

    @pytest.mark.parametrize(("key", "command"), [("d", "demo"), ("t", "doctor")])
    async def test_a_key_runs_a_command(self, tmp_path: Path, key: str, command: str) -> None:
        async with starting(tmp_path / "none.json") as pilot:
            assert "▸ d  demo" in cells(pilot)
            await pilot.press(key)
        assert chosen(pilot) == (command,)

    async def test_many_studies_have_their_progress(self, tmp_path: Path) -> None:
        file, study = tmp_path / "recent.json", make_study(tmp_path, raters=("anna",), patients=2)
        for number in range(12):
            remember_study(tmp_path / f"gone-{number}", "anna", file)
        remember_study(study.path, "anna", file)
        for signed, text in ((0, "0 of 2 signed"), (1, "1 of 2 signed"), (2, "✓ 2 of 2 signed")):
            if signed:
                store_reading(study, study.cases()[signed - 1], rater="anna", signed=True)
            async with starting(file, size=(80, 24)) as pilot:
                (line,) = [line for line in cells(pilot).split("\n") if "▸" in line]
                assert text in line
                assert cells(pilot).count("✗ missing") == 9
                await pilot.press("end")
                assert "▸ gone-3" in cells(pilot)

    async def test_a_missing_study_says_so_and_is_removed_from_the_list(self, tmp_path: Path) -> None:
        file = studies(tmp_path)
        async with starting(file) as pilot:
            (line,) = [line for line in cells(pilot).split("\n") if "gone" in line]
            assert "✗ missing" in line
            assert cells(pilot).count("✗") == 1
            await pilot.press("down", "enter")
            (line,) = [line for line in cells(pilot).split("\n") if "No study in" in line]
            assert line.rstrip().endswith("/gone now. Del removes it from this list"), "nothing is cut"
            await pilot.press("delete")
            assert "gone  " not in cells(pilot)
            await pilot.press("q")
        assert chosen(pilot) == ()
        assert [study.folder.name for study in read_recent_studies(file)] == ["hands"]

    async def test_a_new_study_is_asked_for_and_escape_goes_back(self, tmp_path: Path) -> None:
        answers: dict[str, str] = {}
        async with starting(tmp_path / "none.json", answers=answers) as pilot:
            await pilot.press("n", *"hands", "enter", "enter")
            assert "2/3" in cells(pilot), "without a rater the question stays"
            await pilot.press(*"kei", "escape")
            assert "2/3" not in cells(pilot)
            await pilot.press("n", "enter", "enter")
            assert "mtss-hands" in cells(pilot)
            await pilot.press("enter")
        assert chosen(pilot) == ("new", "--rater=kei", "--scheme=mtss-hands", "--", "hands")

    async def test_an_import_offers_the_selected_study_and_completes_a_path(self, tmp_path: Path) -> None:
        async with starting(studies(tmp_path)) as pilot:
            await pilot.press("i", "enter", *f"{tmp_path}/rece", "tab", "enter")
        assert chosen(pilot) == ("import", "--", str(tmp_path / "hands"), str(tmp_path / "recent.json"))

    async def test_a_study_without_a_rater_asks_for_one(self, tmp_path: Path) -> None:
        file = studies(tmp_path)
        (tmp_path / "feet").mkdir()
        (tmp_path / "feet" / "study.toml").touch()
        remember_study(tmp_path / "feet", "", file)
        async with starting(file) as pilot:
            await pilot.press("enter", "enter")
        assert chosen(pilot) == ("read", "--rater=kei", "--", str(tmp_path / "feet"))

    async def test_a_hostile_name_is_harmless(self, tmp_path: Path) -> None:
        file = tmp_path / "recent.json"
        remember_study(tmp_path / "a\x1b[2J\u202e[red]", "k\x07", file)
        async with starting(file) as pilot:
            assert "a�[2J�[red]" in cells(pilot)
            assert "rater k�" in cells(pilot)

    async def test_a_click_selects_and_a_second_one_runs(self, tmp_path: Path) -> None:
        async with starting(tmp_path / "none.json") as pilot:
            await pilot.click("#actions", offset=(6, 6))
            assert "▸ t" in cells(pilot)
            await pilot.click("#actions", offset=(6, 6))
            await settle(pilot)
        assert chosen(pilot) == ("doctor",)

    @pytest.mark.parametrize(
        ("size", "language"),
        [((80, 24), "en"), ((120, 40), "en"), ((200, 60), "en"), ((80, 24), "ja"), ((200, 60), "ja")],
    )
    async def test_it_looks_as_before(
        self, tmp_path: Path, size: tuple[int, int], language: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr("ratui.tui.screens.start.screen.version", lambda name: "1.2.3")
        async with starting(studies(tmp_path), size=size, language=language) as pilot:
            for line in cells(pilot).split("\n"):
                assert cell_len(line) <= size[0]
            assert "…" not in cells(pilot).replace("FILES…", "")
            suffix = "" if language == "en" else f".{language}"
            check(pilot, f"start-{size[0]}x{size[1]}{suffix}")


class TestCommand:
    """`run_start_screen` with an app that chooses at once, and a group of commands that records its calls."""

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        monkeypatch.setattr("ratui.cli.app.prepare_display", lambda graphics: Display("halfcell"))
        return []

    def run(
        self, monkeypatch: pytest.MonkeyPatch, choices: list[tuple[str, ...]], calls: list[str]
    ) -> tuple[int, list[str]]:
        messages: list[str] = []

        def run(app: StartApp) -> None:
            messages.append(app._message)
            app.arguments = choices[len(messages) - 1]

        monkeypatch.setattr("ratui.tui.app_runner.run_in_terminal", run)
        monkeypatch.setattr("sys.stdin.readline", lambda: calls.append("waited"), raising=False)

        @click.group()
        def group() -> None: ...

        def add(name: str, error: Exception | None = None) -> None:
            @group.command(name)
            def command() -> None:
                calls.append(name)
                if error is not None:
                    raise error

        add("doctor")
        add("new", StudyError("the folder is not empty", "/x", "Choose another folder"))
        add("demo")
        add("read", SystemExit(3))  # type: ignore[arg-type]
        return start.run_start_screen(group), messages

    def test_output_is_read_before_the_screen_comes_again(
        self, monkeypatch: pytest.MonkeyPatch, calls: list[str]
    ) -> None:
        assert self.run(monkeypatch, [("doctor",), ()], calls) == (0, ["", ""])
        assert calls == ["doctor", "waited"]

    def test_a_failure_is_shown_on_the_screen(self, monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
        code, messages = self.run(monkeypatch, [("new",), ("demo",)], calls)
        assert code == 0
        assert messages[1] == "/x: the folder is not empty. Choose another folder"
        assert calls == ["new", "demo"]

    def test_a_wrong_argument_is_shown_on_the_screen(self, monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
        _, messages = self.run(monkeypatch, [("demo", "x"), ()], calls)
        assert "unexpected extra argument" in messages[1]

    def test_the_end_of_an_app_ends_with_its_code(self, monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
        assert self.run(monkeypatch, [("read",)], calls) == (3, [""])

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_every_question_has_a_prompt(self, language: str) -> None:
        t = Catalog(language)
        for name in {name for questions in QUESTIONS.values() for name in questions}:
            assert cell_len(t(f"start.ask_{name}")) + cell_len(t(f"start.hint_{name}")) < 76
