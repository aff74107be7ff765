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
from ratui.tui.screens.evaluation.text import Page, drawn, fitted_into, pages_of
from ratui.tui.theme import PLAIN
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.workers import in_thread

__all__ = ["EvaluationScreen"]

_NAMED = 3
"""How many cases that have to be signed first are named."""


class EvaluationScreen(KeyScreen):
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
        self._which = 0
        self._found: Evaluation | WithheldEvaluation | None = None
        self._pages: tuple[Page, ...] = ()
        self._place = 0

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        with VerticalScroll(id="words", can_focus=False):
            yield Static(id="text")
        yield FilmView(self.ratui.graphics, self.ratui.frames, id="picture")
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="line title")

    def on_mount(self) -> None:
        self._open(0)

    def refill(self) -> None:
        self._draw()

    # Keys.

    def possible(self, name: str) -> bool:
        match name:
            case "next" | "previous":
                return len(self._pages) > 1
            case "next_model":
                return len(self._models) > 1
        return True

    def pressed(self, name: str) -> bool:
        self.say("")
        return super().pressed(name)

    def do_next(self) -> None:
        self._turn(1)

    def do_previous(self) -> None:
        self._turn(-1)

    def do_next_model(self) -> None:
        self._open(self._which + 1)

    def do_up(self) -> None:
        self._words.scroll_up(animate=False)

    def do_down(self) -> None:
        self._words.scroll_down(animate=False)

    def do_page_up(self) -> None:
        self._words.scroll_page_up(animate=False)

    def do_page_down(self) -> None:
        self._words.scroll_page_down(animate=False)

    def do_leave(self) -> None:
        self.dismiss()

    @property
    def _words(self) -> VerticalScroll:
        return self.query_one("#words", VerticalScroll)

    def _open(self, which: int) -> None:
        self._which, self._place, self._pages, self._found = which % len(self._models), 0, (), None
        try:
            self._found = load_evaluation(self.ratui.study, self.ratui.rater, self._models[self._which])
        except RatuiError as error:
            self.say(str(error))
        if isinstance(self._found, Evaluation):
            self._pages = pages_of(self._found.blocks)
        self._draw()

    def _turn(self, by: int) -> None:
        if self._pages:
            self._place = min(max(self._place + by, 0), len(self._pages) - 1)
            self._draw()

    # Drawing.

    def say(self, text: str) -> None:
        self.query_one("#message", Static).update(f" {text}" if text else "")

    def _draw(self) -> None:
        t = self.t
        head = f" {t('evaluation.title', model=self._models[self._which])}"
        shown = self._pages[self._place] if self._pages else None
        if isinstance(self._found, Evaluation) and shown is not None:
            made = f"{self._found.created.astimezone():%Y-%m-%d %H:%M}"
            place = t("evaluation.place", page=self._place + 1, total=len(self._pages))
            head += f" · {place} · {shown.title} · {t('evaluation.made', when=made)}"
        self.query_one("#head", Static).update(head)
        self.query_one("#text", Static).update(self._text(shown))
        self._words.scroll_home(animate=False)
        self.set_class(shown is not None and self._drawable(shown), "pictured")
        self.query_one("#keys", Static).update(self.key_line())
        self.call_after_refresh(self._show_picture)

    def _text(self, shown: Page | None) -> Text | Group:
        match self._found:
            case WithheldEvaluation(cases=cases):
                names = ", ".join(cases[:_NAMED]) + (" …" if len(cases) > _NAMED else "")
                return Text(self.t("evaluation.withheld", count=len(cases), cases=names), PLAIN)
            case None:
                return Text(self.t("evaluation.gone"), PLAIN)
        if shown is None:
            return Text("")
        if shown.picture is not None and not self._drawable(shown):
            words = Text(self.t("evaluation.no_graphics", what=shown.picture.words), PLAIN)
            return Group(words, Text(), drawn(shown.blocks))
        return drawn(shown.blocks)

    def _drawable(self, shown: Page) -> bool:
        """Whether a picture can be drawn so that its figures are read: half-cells have too few pixels for that."""
        return shown.picture is not None and self.ratui.graphics.protocol != "halfcell"

    # The picture.

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        event.stop()
        self._show_picture()

    def _show_picture(self) -> None:
        """Shows the page's picture where it is ready; has a worker make it where not."""
        view = self.query_one("#picture", FilmView)
        shown = self._pages[self._place] if self._pages else None
        if shown is None or not self._drawable(shown) or not view.pixel_size[0] or not view.pixel_size[1]:
            view.blank()
            return
        if not view.show(self._key):
            view.blank()
            page, key, size = shown, self._key, view.pixel_size
            in_thread(self, lambda: self._prepare(view, page, key, size), group="picture")

    @property
    def _key(self) -> tuple[object, ...]:
        made = self._found.created if isinstance(self._found, Evaluation) else None
        return ("evaluation", self._models[self._which], made, self._place)

    def _prepare(self, view: FilmView, page: Page, key: tuple[object, ...], size: tuple[int, int]) -> None:
        """In a thread: fits the picture of `page` into the view."""
        worker = get_current_worker()
        try:
            assert page.picture is not None
            view.prepare(fitted_into(page.picture, size), key)
        except RatuiError as error:
            if not worker.is_cancelled:
                self.app.call_from_thread(self.say, str(error))
            return
        if not worker.is_cancelled:
            self.app.call_from_thread(self._ready, key)

    def _ready(self, key: tuple[object, ...]) -> None:
        if self.is_attached and key == self._key:
            self.query_one("#picture", FilmView).show(key)
