"""Both time points of one joint side by side, each with a line above and one below; the next joints are prepared meanwhile.

Never another joint's film under this joint's name: what isn't ready is black. What the lines say is the screen's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageDraw
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import FilmError
from ratui.imaging import Box
from ratui.terminal import Display, FrameCache
from ratui.tui.joint_views import WHOLE, ZOOMS, CaseFilms, Look, Shot
from ratui.tui.library import WINDOWS, Library, View
from ratui.tui.widgets.film_view import FilmView

__all__ = ["JointFilms"]

_Job = tuple[FilmView, Shot, bool]
"""Where a picture goes, what it shows, and whether it is of the joint on the screen."""


class JointFilms(Horizontal):
    """Shows one joint at a time: `show(films, site)`. `look` is how; it stays from joint to joint."""

    DEFAULT_CSS = """
    JointFilms { height: 1fr; }
    JointFilms Vertical { width: 1fr; }
    JointFilms FilmView { width: 1fr; height: 1fr; margin: 0 1; }
    JointFilms Static { height: 1; width: 1fr; margin: 0 1; }
    """

    class Failed(Message):
        """A film of the joint on the screen can't be shown; `why` is the error, in words without the file's path."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    class Ready(Message):
        """A picture was prepared; from the worker to the widget itself, which shows it if it is still wanted."""

        def __init__(self, view: FilmView, shot: Shot) -> None:
            super().__init__()
            self.view = view
            self.shot = shot

    def __init__(self, display: Display, frames: FrameCache, library: Library, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._graphics = display
        self._library = library
        self.look = Look()
        self.views = tuple(FilmView(display, frames, id=f"film{place}") for place in (0, 1))
        self._titles = tuple(Static(id=f"title{place}", markup=False) for place in (0, 1))
        self._lines = tuple(Static(id=f"fields{place}", markup=False) for place in (0, 1))
        self._films: CaseFilms | None = None
        self._site = ""
        self._ahead: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        for title, view, line in zip(self._titles, self.views, self._lines, strict=True):
            with Vertical():
                yield title
                yield view
                yield line

    # What is shown.

    def show(self, films: CaseFilms, site: str, ahead: Sequence[str] = ()) -> None:
        """Shows `site` of `films`, at once where it is ready; prepares it where not, and then the sites of `ahead`."""
        self._films, self._site, self._ahead = films, site, tuple(ahead)
        self._refresh()

    def blank(self) -> None:
        """Shows no joint at all."""
        self._films, self._site, self._ahead = None, "", ()
        for view in self.views:
            view.blank()

    def title(self, place: int, text: str | Text) -> None:
        """What stands above the film at `place` (0 left, 1 right)."""
        self._titles[place].update(text, layout=False)

    def line(self, place: int, text: str | Text) -> None:
        """What stands below it: its fields."""
        self._lines[place].update(text, layout=False)

    # How it is shown.

    def next_zoom(self) -> None:
        """The next of ZOOMS; from the whole films back to the joint."""
        self._look(replace(self.look, zoom=0 if self.look.zoom == WHOLE else (self.look.zoom + 1) % len(ZOOMS)))

    def next_window(self) -> None:
        """The next of WINDOWS."""
        self._look(replace(self.look, window=(self.look.window + 1) % len(WINDOWS)))

    @property
    def whole(self) -> bool:
        """Whether all of both films is shown, with a frame around the joint."""
        return self.look.zoom == WHOLE

    def show_whole(self, whole: bool) -> None:
        """Shows all of both films, or the joint again."""
        if whole != self.whole:
            self._look(replace(self.look, zoom=WHOLE if whole else 0))

    def _look(self, look: Look) -> None:
        self.look = look
        self._refresh()

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        event.stop()
        self._refresh()

    # Preparing.

    def _refresh(self) -> None:
        """Shows what is ready, blanks what isn't, and has a worker make the rest; a later call overtakes an earlier one."""
        jobs: list[_Job] = []
        for view, shot in zip(self.views, self._shots(self._site), strict=True):
            if shot is None:
                view.blank()
            elif not view.show(shot.key):
                view.blank()
                jobs.append((view, shot, True))
        for site in self._ahead:
            for view, shot in zip(self.views, self._shots(site), strict=True):
                if shot is not None and not view.has(shot.key):
                    jobs.append((view, shot, False))
        if jobs:
            self.run_worker(lambda: self._prepare(jobs), thread=True, exclusive=True, group="films")

    def _shots(self, site: str) -> tuple[Shot | None, ...]:
        if self._films is None:
            return (None, None)
        return self._films.shots(site, [view.pixel_size for view in self.views], self._graphics, self.look)

    def _prepare(self, jobs: list[_Job]) -> None:
        worker = get_current_worker()
        for view, shot, wanted in jobs:
            if worker.is_cancelled:
                return
            try:
                image = self._library.image(shot.view)
            except FilmError as error:
                if wanted and not worker.is_cancelled:
                    self.post_message(self.Failed(f"{error.what}. {error.remedy}" if error.remedy else error.what))
                continue
            view.prepare(image if shot.mark is None else outlined(image, shot.view, shot.mark), shot.key)
            if wanted and not worker.is_cancelled:
                self.post_message(self.Ready(view, shot))

    def on_joint_films_ready(self, event: Ready) -> None:
        event.stop()
        if self._shots(self._site)[self.views.index(event.view)] == event.shot:
            event.view.show(event.shot.key)


def outlined(image: Image.Image, view: View, box: Box) -> Image.Image:
    """`image` of `view` with `box` of the film framed, white in black, so that it shows on bone and beside it."""
    across = view.size[0] / (view.box[2] - view.box[0])
    down = view.size[1] / (view.box[3] - view.box[1])
    x0, x1 = (round((x - view.box[0]) * across) for x in (box[0], box[2]))
    y0, y1 = (round((y - view.box[1]) * down) for y in (box[1], box[3]))
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    if min(view.size) > 150:
        draw.rectangle((x0 - 2, y0 - 2, x1 + 2, y1 + 2), outline=0)
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=255)
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=255)
    return picture
