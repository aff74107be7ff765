"""What the models were measured to be worth, a heading a page, for raters who have signed what it was measured on.

It asks `load_evaluation`, which withholds what the rater may not see yet; nothing is changed here.
"""

from __future__ import annotations

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.study.model_reports import Evaluation, WithheldEvaluation, load_evaluation
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.evaluation.text import EvaluationPage, fit_picture, make_pages, render_blocks
from ratui.tui.theme import PLAIN
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.key_bar import KeyBar
from ratui.tui.workers import run_in_thread

__all__ = ["EvaluationScreen"]

_NAMED = 3
"""How many cases that have to be signed first are named."""


class EvaluationScreen(KeyScreen[None]):
    """Shows the evaluations of `models`, names of runs, the first one first."""

    NAME = "evaluation"
    DEFAULT_CSS = """
    EvaluationScreen #words { height: 1fr; padding: 1 1 0 1; scrollbar-size: 1 1; }
    EvaluationScreen #words Static { height: auto; }
    EvaluationScreen.pictured #words { height: auto; max-height: 50%; }
    EvaluationScreen #picture { height: 1fr; display: none; margin: 0 1; }
    EvaluationScreen.pictured #picture { display: block; }
    """

    def __init__(self, models: tuple[str, ...]) -> None:
        super().__init__()
        self._models = models
        self._model_index = 0
        self._evaluation: Evaluation | WithheldEvaluation | None = None
        self._pages: tuple[EvaluationPage, ...] = ()
        self._page_index = 0

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        with VerticalScroll(id="words", can_focus=False):
            yield Static(id="text")
        yield FilmView(self.ratui.graphics, self.ratui.frame_cache, id="picture")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._open(0)

    def fill_widgets(self) -> None:
        self._draw()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        match action:
            case "next" | "previous":
                return len(self._pages) > 1
            case "next_model":
                return len(self._models) > 1
        return True

    def process_key(self, name: str) -> bool:
        self.show_message("")
        return super().process_key(name)

    def action_next(self) -> None:
        self._turn_page(1)

    def action_previous(self) -> None:
        self._turn_page(-1)

    def action_next_model(self) -> None:
        self._open(self._model_index + 1)

    def action_up(self) -> None:
        self._words.scroll_up(animate=False)

    def action_down(self) -> None:
        self._words.scroll_down(animate=False)

    def action_previous_page(self) -> None:
        self._words.scroll_page_up(animate=False)

    def action_next_page(self) -> None:
        self._words.scroll_page_down(animate=False)

    def action_leave(self) -> None:
        self.dismiss()

    @property
    def _words(self) -> VerticalScroll:
        return self.query_one("#words", VerticalScroll)

    def _open(self, which: int) -> None:
        self._model_index, self._page_index, self._pages, self._evaluation = which % len(self._models), 0, (), None
        try:
            self._evaluation = load_evaluation(self.ratui.study, self.ratui.rater, self._models[self._model_index])
        except RatuiError as error:
            self.show_message(str(error))
        if isinstance(self._evaluation, Evaluation):
            self._pages = make_pages(self._evaluation.blocks)
        self._draw()

    def _turn_page(self, by: int) -> None:
        if self._pages:
            self._page_index = min(max(self._page_index + by, 0), len(self._pages) - 1)
            self._draw()

    # Drawing.

    def _draw(self) -> None:
        t = self.t
        head = f" {t('evaluation.title', model=self._models[self._model_index])}"
        shown = self._pages[self._page_index] if self._pages else None
        if isinstance(self._evaluation, Evaluation) and shown is not None:
            made = f"{self._evaluation.created.astimezone():%Y-%m-%d %H:%M}"
            place = t("evaluation.place", page=self._page_index + 1, total=len(self._pages))
            head += f" · {place} · {shown.title} · {t('evaluation.made', when=made)}"
        self.query_one("#head", Static).update(head)
        self.query_one("#text", Static).update(self._text(shown))
        self._words.scroll_home(animate=False)
        self.set_class(shown is not None and self._can_draw(shown), "pictured")
        self.update_key_bar()
        self.call_after_refresh(self._show_picture)

    def _text(self, shown: EvaluationPage | None) -> Text | Group:
        match self._evaluation:
            case WithheldEvaluation(cases=cases):
                names = ", ".join(cases[:_NAMED]) + (" …" if len(cases) > _NAMED else "")
                return Text(self.t("evaluation.withheld", count=len(cases), cases=names), PLAIN)
            case None:
                return Text(self.t("evaluation.gone"), PLAIN)
        if shown is None:
            return Text("")
        if shown.picture is not None and not self._can_draw(shown):
            words = Text(self.t("evaluation.no_graphics", what=shown.picture.words), PLAIN)
            return Group(words, Text(), render_blocks(shown.blocks))
        return render_blocks(shown.blocks)

    def _can_draw(self, shown: EvaluationPage) -> bool:
        """Whether a picture can be drawn so that its figures are read: half-cells have too few pixels for that."""
        return shown.picture is not None and self.ratui.graphics.protocol != "halfcell"

    # The picture.

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        event.stop()
        self._show_picture()

    def _show_picture(self) -> None:
        """Shows the page's picture where it is ready; has a worker make it where not."""
        view = self.query_one("#picture", FilmView)
        shown = self._pages[self._page_index] if self._pages else None
        if shown is None or not self._can_draw(shown) or not view.pixel_size[0] or not view.pixel_size[1]:
            view.blank()
            return
        if not view.show(self._key):
            view.blank()
            page, key, size = shown, self._key, view.pixel_size
            run_in_thread(self, lambda: self._prepare(view, page, key, size), group="picture")

    @property
    def _key(self) -> tuple[object, ...]:
        made = self._evaluation.created if isinstance(self._evaluation, Evaluation) else None
        return ("evaluation", self._models[self._model_index], made, self._page_index)

    def _prepare(self, view: FilmView, page: EvaluationPage, key: tuple[object, ...], size: tuple[int, int]) -> None:
        """In a thread: fits the picture of `page` into the view."""
        worker = get_current_worker()
        try:
            assert page.picture is not None
            view.prepare(fit_picture(page.picture, size), key)
        except RatuiError as error:
            if not worker.is_cancelled:
                self.app.call_from_thread(self.show_message, str(error))
            return
        if not worker.is_cancelled:
            self.app.call_from_thread(self._ready, key)

    def _ready(self, key: tuple[object, ...]) -> None:
        if self.is_attached and key == self._key:
            self.query_one("#picture", FilmView).show(key)
