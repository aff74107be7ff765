"""The evaluation of the models, one page for each heading of the report.

`load_evaluation` withholds reports on cases that the rater has not signed. Nothing is changed here.
"""

from __future__ import annotations

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.study.model_results.model_reports import Evaluation, WithheldEvaluation, load_evaluation
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.evaluation.text import EvaluationPage, fit_picture, make_pages, render_blocks
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.theme import PLAIN, find_colour
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.plain_widgets import KeyBar

__all__ = ["EvaluationScreen"]

_NAMED = 3
"""Largest number of cases, to be signed first, that a message names."""


class EvaluationScreen(KeyScreen[None]):
    """The screen that shows the evaluations of `models`, which are names of runs, beginning with the first."""

    NAME = "evaluation"
    DEFAULT_CSS = """
    EvaluationScreen #words { height: 1fr; scrollbar-size: 1 1; }
    EvaluationScreen #words Static { height: auto; max-width: 120; }
    EvaluationScreen.pictured #words { height: auto; max-height: 50%; }
    EvaluationScreen #picture { height: 1fr; display: none; margin: 0 1; }
    EvaluationScreen.pictured #picture { display: block; }
    EvaluationScreen.wordless #words { display: none; }
    """

    def __init__(self, models: tuple[str, ...]) -> None:
        super().__init__()
        self._models = models
        self._model_index = 0
        self._evaluation: Evaluation | WithheldEvaluation | None = None
        self._pages: tuple[EvaluationPage, ...] = ()
        self._page_index = 0

    def compose(self) -> ComposeResult:
        """Make the widgets: head, text, picture, message and keys."""
        yield Static(id="head", classes="line title", markup=False)
        with VerticalScroll(id="words", classes="panel", can_focus=False):
            yield Static(id="text")
        yield FilmView(self.ratui.graphics, self.ratui.frame_cache, id="picture")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the first model."""
        self._open(0)

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        self._draw()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible with these pages and models."""
        match action:
            case "next":
                return self._page_index < len(self._pages) - 1
            case "previous":
                return self._page_index > 0
            case "next_model":
                return len(self._models) > 1
        return True

    def process_key(self, name: str) -> bool:
        """Clear the message, and do what the key `name` stands for."""
        self.show_message("")
        return super().process_key(name)

    def action_next(self) -> None:
        """Show the next page."""
        self._turn_page(1)

    def action_previous(self) -> None:
        """Show the previous page."""
        self._turn_page(-1)

    def action_next_model(self) -> None:
        """Show the next model."""
        self._open(self._model_index + 1)

    def action_up(self) -> None:
        """Scroll up by a line."""
        self._words.scroll_up(animate=False)

    def action_down(self) -> None:
        """Scroll down by a line."""
        self._words.scroll_down(animate=False)

    def action_previous_page(self) -> None:
        """Scroll up by a page."""
        self._words.scroll_page_up(animate=False)

    def action_next_page(self) -> None:
        """Scroll down by a page."""
        self._words.scroll_page_down(animate=False)

    def action_leave(self) -> None:
        """Leave the evaluation."""
        self.dismiss()

    @property
    def _words(self) -> VerticalScroll:
        return self.query_one("#words", VerticalScroll)

    def _open(self, index: int) -> None:
        """Show the first page of the model number `index`, counted from 0 again after the last."""
        self._model_index, self._page_index = index % len(self._models), 0
        self._pages, self._evaluation = (), None
        try:
            self._evaluation = load_evaluation(self.ratui.study, self.ratui.rater, self._models[self._model_index])
        except RatuiError as error:
            self.show_message(format_error(self.t, error))
        if isinstance(self._evaluation, Evaluation):
            self._pages = make_pages(self._evaluation.blocks)
        self._draw()

    def _turn_page(self, by: int) -> None:
        if self._pages:
            self._page_index = min(max(self._page_index + by, 0), len(self._pages) - 1)
            self._draw()

    # Drawing.

    @property
    def _page(self) -> EvaluationPage | None:
        return self._pages[self._page_index] if self._pages else None

    def _draw(self) -> None:
        t, page = self.t, self._page
        is_pictured = page is not None and self._can_draw(page)
        is_wordless = is_pictured and page is not None and not page.blocks
        head = f" {t('evaluation.title', model=self._models[self._model_index])}"
        if isinstance(self._evaluation, Evaluation) and page is not None:
            created = f"{self._evaluation.created.astimezone():%Y-%m-%d %H:%M}"
            place = t("evaluation.place", page=self._page_index + 1, total=len(self._pages))
            title = f" · {page.title}" if is_wordless else ""  # otherwise the panel has it
            head += f" · {place}{title} · {t('evaluation.evaluated_at', when=created)}"
        self.query_one("#head", Static).update(head)
        self.query_one("#text", Static).update(self._format_text(page))
        self._words.border_title = Content(page.title) if page else ""
        self._words.scroll_home(animate=False)
        self.set_class(is_pictured, "pictured")
        self.set_class(is_wordless, "wordless")
        self.update_key_bar()
        self.call_after_refresh(self._show_picture)

    def _format_text(self, page: EvaluationPage | None) -> Text | Group:
        """Return the text of `page`, or why there is none."""
        match self._evaluation:
            case WithheldEvaluation(cases=cases):
                names = ", ".join(cases[:_NAMED]) + (" …" if len(cases) > _NAMED else "")
                return Text(self.t("evaluation.withheld", count=len(cases), cases=names), PLAIN)
            case None:
                return Text(self.t("evaluation.no_report"), PLAIN)
        if page is None:
            return Text("")
        if page.picture is not None and not self._can_draw(page):
            substitute = Text(self.t("evaluation.no_graphics", what=page.picture.words), PLAIN)
            return Group(substitute, Text(), render_blocks(page.blocks))
        return render_blocks(page.blocks)

    def _can_draw(self, page: EvaluationPage) -> bool:
        """Return whether `page` has a picture that this terminal can draw; half-cells are too coarse for its labels."""
        return page.picture is not None and self.ratui.graphics.protocol != "halfcell"

    # The picture.

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        """Fit the picture to the new size."""
        event.stop()
        self._show_picture()

    def _show_picture(self) -> None:
        """Show the page's picture if it is ready; otherwise make it in a thread."""
        if not self.has_widgets:
            return
        view, page = self.query_one("#picture", FilmView), self._page
        if page is None or not self._can_draw(page) or not view.pixel_size[0] or not view.pixel_size[1]:
            view.blank()
            return
        if not view.show(self._picture_key):
            view.blank()
            key, size = self._picture_key, view.pixel_size
            run_in_thread(self, lambda: self._prepare(view, page, key, size), group="picture")

    @property
    def _picture_key(self) -> tuple[object, ...]:
        created = self._evaluation.created if isinstance(self._evaluation, Evaluation) else None
        return ("evaluation", self._models[self._model_index], created, self._page_index, find_colour("background"))

    def _prepare(self, view: FilmView, page: EvaluationPage, key: tuple[object, ...], size: tuple[int, int]) -> None:
        """Fit the picture of `page` into the view, in a thread."""
        worker = get_current_worker()
        try:
            assert page.picture is not None
            view.prepare(fit_picture(page.picture, size, find_colour("background")), key)
        except RatuiError as error:
            if not worker.is_cancelled:
                self.app.call_from_thread(self.show_message, format_error(self.t, error))
            return
        if not worker.is_cancelled:
            self.app.call_from_thread(self._show_prepared, key)

    def _show_prepared(self, key: tuple[object, ...]) -> None:
        if self.is_attached and key == self._picture_key:
            self.query_one("#picture", FilmView).show(key)
