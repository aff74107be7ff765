"""The plan of an import: doubtful films first, their pictures beside those of competing films, and decisions by keys.

All rules are in `ratui.study.importing.planning.import_plan`. No name and no ID of a patient is displayed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Static

from ratui.errors import RatuiError, clean_text
from ratui.study.importing.planning.import_plan import Decision, PlanRow
from ratui.study.importing.planning.plan_review import PlanReview, ReviewStep
from ratui.tui.screens.import_review import text as texts
from ratui.tui.screens.import_review.films import CompetingFilms
from ratui.tui.screens.import_review.model import FilmList, choose_window
from ratui.tui.screens.import_review.panels import SelectedFilm, fit_panels
from ratui.tui.screens.import_review.pictures import FilmPictures
from ratui.tui.screens.list_screen import ListScreen
from ratui.tui.theme import NOTE
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.text_line import TextLine
from ratui.tui.widgets.virtual_list import VirtualList

__all__ = ["ImportReviewScreen"]

_AHEAD = 2
"""Number of films after the selected one that are decoded before they are shown."""
_LONGEST = 400
_DEFAULT_NAME = "ratui-manifest.csv"
_Asked = Literal["", "draft", "import", "leave", "dates", "manifest"]


class ImportReviewScreen(ListScreen[str]):
    """The screen with the plan. Its result is ``import``, ``keep`` or ``discard``.

    Parameters
    ----------
    review
        The plan and the decisions.
    pictures
        The pictures of the films.
    earlier
        Decisions of an earlier review that was not finished, to offer.
    folder
        Folder of the films, in which a manifest is saved unless its name has another folder.
    """

    NAME = "import"
    DEFAULT_CSS = """
    ImportReviewScreen KeyBar { height: 2; }
    """

    def __init__(
        self, review: PlanReview, pictures: FilmPictures, earlier: tuple[ReviewStep, ...], folder: Path
    ) -> None:
        super().__init__()
        self._review = review
        self._pictures = pictures
        self._earlier = earlier
        self._folder = folder
        self._films = FilmList(review.plan)
        self._visible = self._films.list_visible(review.plan)
        self._manifest: Path | None = None
        """The manifest that was saved last."""
        self._shows_path = False
        self._asked: _Asked = ""
        self._typed = ""

    def compose(self) -> ComposeResult:
        """Make the widgets: head, list, films, details, message and keys."""
        yield Static(id="head", classes="line title", markup=False)
        yield VirtualList(self._format_row)
        yield SelectedFilm(CompetingFilms(self.key_app.graphics, self.key_app.frame_cache, self._pictures, self.t))
        yield Static(id="message", classes="message", markup=False)
        yield TextLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the first film, and offer the decisions of an earlier review."""
        self.fill_widgets()
        if self._earlier:
            self._ask("draft", self.t("import.ask_draft", count=len(self._earlier)))

    def on_resize(self, event: Resize) -> None:
        """Show as many pictures as fit now."""
        self.call_after_refresh(self.fill_widgets)

    # Keys.

    @property
    def is_asking(self) -> bool:
        """True while a question is open."""
        return bool(self._asked)

    @property
    def types_text(self) -> bool:
        """True while the name of a manifest or the numbers of dates are typed."""
        return self._asked in ("dates", "manifest")

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible now."""
        plan, row = self._review.plan, self._row
        match action:
            case "dates":
                return row.awaits_dates
            case "choose" | "left" | "right":
                return bool(plan.find_competitors(row.path))
            case "undo":
                return bool(self._review.steps)
            case "next_doubtful":
                return self._films.find_next_doubtful(plan) is not None
        return True

    def process_key(self, name: str) -> bool:
        """Answer the open question, or do what the key `name` stands for."""
        if self._asked:
            return self._answer(name)
        self.show_message("")
        return super().process_key(name)

    def _ask(self, what: _Asked, text: str) -> None:
        self._asked = what
        self.show_message(text)

    def _answer(self, name: str) -> bool:
        asked = self._asked
        if name == "escape" and asked == "draft":
            self.dismiss("keep")
        elif name == "escape":
            self._close_question()
        elif name == "enter":
            self._close_question()
            self._try({"draft": self._restore, "dates": self._take_dates, "manifest": self._save}.get(asked))
            if asked in ("import", "leave"):
                self.dismiss("import" if asked == "import" else "keep")
        elif name == "x" and asked == "draft":
            self._close_question()
            self._review.remove_draft()
        elif name == "x" and asked == "leave":
            self.dismiss("discard")
        return True

    def _close_question(self) -> None:
        line = self.query_one(TextLine)
        if line.is_open:
            line.close()
        self.query_one("#message").display = True
        self._asked = ""
        self.show_message("")

    def _open_line(self, what: _Asked, prompt: str, text: str) -> None:
        self._asked, self._typed = what, text
        self.query_one("#message").display = False
        self.query_one(TextLine).open(prompt, text, _LONGEST, self._note_typed)

    def _note_typed(self, text: str) -> None:
        self._typed = text

    def _try(self, work: Callable[[], None] | None) -> None:
        """Do `work`; show a RatuiError, after which the plan is as before."""
        try:
            if work is not None:
                work()
        except RatuiError as error:
            self.show_message(texts.format_problem(self.t, error))
        self.fill_widgets()

    # Decisions.

    def action_take(self) -> None:
        """Take the selected film."""
        self._try(lambda: self._review.take(self._films.selected))

    def action_leave_out(self) -> None:
        """Leave the selected film out."""
        self._try(lambda: self._review.leave_out(self._films.selected))

    def action_choose(self) -> None:
        """Take the selected film, and leave out those that compete with it."""
        self._try(lambda: self._review.choose(self._films.selected))

    def action_side_left(self) -> None:
        """Set the side of the film to left."""
        self._try(lambda: self._review.enter(self._films.selected, side="L"))

    def action_side_right(self) -> None:
        """Set the side of the film to right."""
        self._try(lambda: self._review.enter(self._films.selected, side="R"))

    def action_side_both(self) -> None:
        """Set the side of the film to both."""
        self._try(lambda: self._review.enter(self._films.selected, side="B"))

    def action_view(self) -> None:
        """Assign the film to the next view of the scheme."""
        views = list(self.key_app.scheme.views)
        view = views[(views.index(self._row.view) + 1) % len(views)] if self._row.view else views[0]
        self._try(lambda: self._review.enter(self._films.selected, view=view))

    def action_earlier(self) -> None:
        """Assign the film to the next earlier visit."""
        self._enter_visit(max((self._row.time or 0) - 1, 0))

    def action_later(self) -> None:
        """Assign the film to the next later visit."""
        now = self._row.time or 0
        self._enter_visit(min(now + 1, max(1, len(self._review.plan.visit_names) - 1, now)))

    @property
    def _has_several(self) -> bool:
        return len(self._review.plan.visit_names) > 2  # visits, which then have numbers

    def _enter_visit(self, number: int) -> None:
        self._try(lambda: self._review.enter(self._films.selected, time=number))

    def action_dates(self) -> None:
        """Ask for the dates to read of the film's patient."""
        if not self._row.awaits_dates:
            self.show_message(self.t("import.no_dates_to_choose"))
            return
        days = self._review.plan.find_choosable_dates(self._row.patient)
        listed = "  ".join(f"{number}: {day.isoformat()}" for number, day in enumerate(days, start=1))
        ask = "import.ask_visits" if self._has_several else "import.ask_dates"
        self._open_line("dates", self.t(ask, visits=len(self._review.plan.visit_names)), f"1 {len(days)}")
        person = self.t("import.person", number=self._row.person)
        self.query_one(SelectedFilm).show_details([f"{person}  {listed}"])

    def _take_dates(self) -> None:
        days = self._review.plan.find_choosable_dates(self._row.patient)
        numbers = [int(word) for word in self._typed.replace(",", " ").split() if word.isdecimal()]
        most = len(self._review.plan.visit_names)
        if not min(2, most) <= len({*numbers}) <= most or not all(1 <= number <= len(days) for number in numbers):
            key = "import.two_numbers" if most == 2 else "import.some_numbers"
            self.show_message(self.t(key, most=len(days), visits=most))
            return
        self._review.choose_dates(self._films.selected, *(days[number - 1] for number in numbers))

    def action_undo(self) -> None:
        """Take the last decision back, and select its film."""
        path = self._review.undo()
        if path is None:
            self.show_message(self.t("import.nothing_to_undo"))
            return
        self._films.select(self._review.plan, path)
        self.fill_widgets()

    def _restore(self) -> None:
        lost = self._review.restore(self._earlier)
        text = "import.restored_in_part" if lost else "import.restored"
        self.show_message(self.t(text, count=lost or len(self._earlier)))

    # The list.

    @property
    def list_length(self) -> int:
        """Number of lines in the list."""
        return len(self._visible)

    def action_left(self) -> None:
        """Select the competing film to the left."""
        self.step(-1, self._films.list_competing(self._review.plan))

    def action_right(self) -> None:
        """Select the competing film to the right."""
        self.step(1, self._films.list_competing(self._review.plan))

    def action_next_doubtful(self) -> None:
        """Select the next doubtful film."""
        path = self._films.find_next_doubtful(self._review.plan)
        if path is None:
            self.show_message(self.t("import.none_doubtful"))
            return
        self._films.select(self._review.plan, path)
        self.fill_widgets()

    def action_all(self) -> None:
        """List all films, or the doubtful and changed ones only."""
        self._films.set_shows_all(self._review.plan, not self._films.shows_all)
        self.fill_widgets()

    def action_path(self) -> None:
        """Show the path of the selected film, or hide it."""
        self._shows_path = not self._shows_path
        self.fill_widgets()

    def step(self, by: int, paths: list[Path] | None = None) -> None:
        """Select the film that is `by` places after the selected one in `paths`, by default in the list."""
        paths = self._visible if paths is None else paths
        place = min(max(paths.index(self._films.selected) + by, 0), len(paths) - 1)
        self._films.select(self._review.plan, paths[place])
        self.fill_widgets()

    def on_virtual_list_row_picked(self, event: VirtualList.RowPicked) -> None:
        """Select the film that was clicked."""
        if not self._asked:
            self._films.selected = self._visible[event.row]
            self.fill_widgets()

    # The end.

    def action_save(self) -> None:
        """Ask for the name of a manifest."""
        self._open_line("manifest", self.t("import.ask_manifest"), _DEFAULT_NAME)

    def _save(self) -> None:
        path = self._folder / Path(self._typed.strip()).expanduser()  # an absolute path stays as it is
        if path.exists() and path != self._manifest:
            self.show_message(self.t("import.exists"))
            return
        self._review.save_manifest(path)
        self._manifest = path
        self.show_message(self.t("import.saved"))

    def action_import(self) -> None:
        """Ask whether to import the films now."""
        counts = self._review.plan.count()
        if not counts[Decision.TAKE]:
            self.show_message(self.t("import.nothing_to_import"))
            return
        doubtful = self.t("import.stay_out", count=counts[Decision.DOUBTFUL]) if counts[Decision.DOUBTFUL] else ""
        self._ask("import", self.t("import.ask_import", count=counts[Decision.TAKE]) + doubtful)

    def action_leave(self) -> None:
        """Leave without an import; ask if there are decisions that no manifest contains."""
        if self._review.has_unsaved:
            self._ask("leave", self.t("import.ask_leave", count=len(self._review.steps)))
        else:
            self.dismiss("discard")

    # Drawing.

    @property
    def _row(self) -> PlanRow:
        return self._review.row(self._films.selected)

    def fill_widgets(self) -> None:
        """Show the plan as it is now."""
        if not self.has_widgets:
            return
        plan = self._review.plan
        self._visible = self._films.list_visible(plan)
        films, count = self.query_one(VirtualList), len(self._visible)
        fit_panels(self.t, films, self.query_one(SelectedFilm), count, self.app.size.height)
        films.set_rows(count, self._visible.index(self._films.selected))
        place = f"{self._visible.index(self._films.selected) + 1}/{len(self._visible)}"
        head = texts.format_head(self.t, plan, self.app.size.width, place, shows_all=self._films.shows_all)
        self.query_one("#head", Static).update(head)
        row = self._row
        folded = self._films.folded.get(row.path)
        details = texts.format_details(self.t, plan.scheme, row, names=self._review.plan.visit_names)
        first = self.t("import.folded", count=len(folded)) if folded else details
        lines = [first, texts.format_reason(self.t, row)]
        lines[1:1] = [clean_text(row.path, 1000)] if self._shows_path else []
        self.query_one(SelectedFilm).show_details(lines)
        self.update_key_bar()
        self._draw_films()

    def _format_row(self, index: int, width: int, is_selected: bool) -> Text:
        path = self._visible[index]
        row = self._review.row(path)
        is_entered = row != self._review.plan.row(path)
        return texts.format_row(
            self.t,
            self._review.plan.scheme,
            row,
            width,
            is_selected=is_selected,
            is_entered=is_entered,
            count=len(self._films.folded.get(path, [path])),
            names=self._review.plan.visit_names,
        )

    def format_keys(self) -> Text:
        """Return the two rows of the key bar."""
        return texts.format_keys(self.t, self.key_app.keymap, self.list_key_items(), self.app.size.width)

    def show_message(self, text: str) -> None:
        """Show `text` in the message line; clear the line if it is empty."""
        self.query_one("#message", Static).update(Text(f" {text}" if text else "", NOTE))

    def _draw_films(self) -> None:
        films, plan = self.query_one(CompetingFilms), self._review.plan
        competing = self._films.list_competing(plan)
        paths = choose_window(competing, self._films.selected, films.room(self.app.size.width))
        width = (self.app.size.width - self.query_one(SelectedFilm).gutter.width) // len(paths) - 2
        marked = self._films.selected if len(competing) > 1 else None
        rows = {path: self._review.row(path) for path in paths}
        captions = [
            texts.format_caption(self.t, plan.scheme, row, width, is_selected=path == marked, names=plan.visit_names)
            for path, row in rows.items()
        ]
        place = self._visible.index(self._films.selected) + 1
        films.show(paths, captions, self._visible[place : place + _AHEAD])
