"""Both time points of one joint side by side, or one in the place of the other; the next joints are prepared meanwhile.

Never another joint's film under this joint's name: what isn't ready is black. What the lines say is the screen's business,
and nothing here depends on which film is the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from PIL import Image, ImageDraw
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import FilmError
from ratui.imaging import AlignmentFailure, Box
from ratui.terminal import Display, FrameCache, Resolution
from ratui.tui.graphics.film_store import AlignedView, FilmStore, ViewRequest
from ratui.tui.graphics.viewport import WHOLE_FILM, ZOOMS, CaseFilms, Viewport, ViewSettings
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.workers import run_in_thread

__all__ = ["JointViewer", "ViewMode"]

ViewMode: TypeAlias = Literal["pair", "alone", "difference"]
"""Side by side; one at a time in one place; or what differs."""
_Picture = Viewport | AlignedView
_Job = tuple[FilmView, _Picture, bool]
"""Where a picture goes, what it shows, and whether it is wanted on the screen now."""


class JointViewer(Vertical):
    """Shows one joint at a time: `show(films, site)`.

    `view_settings` is how; it stays from joint to joint, but for where in the joint it looks.
    """

    DEFAULT_CSS = """
    JointViewer { height: 1fr; }
    JointViewer .lines { height: 1; }
    JointViewer FilmView { width: 1fr; height: 1fr; margin: 0 1; }
    JointViewer Static { height: 1; width: 1fr; margin: 0 1; }
    """

    class Failed(Message):
        """A film of the joint on the screen can't be shown; `why` is the error, in words without the file's path."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    class NotAligned(Message):
        """The two films of `site` can't be laid onto each other; `reason` is that of `AlignmentFailure`."""

        def __init__(self, site: str, reason: str) -> None:
            super().__init__()
            self.site = site
            self.reason = reason

    class ResolutionChanged(Message):
        """The views have another size now: a millimetre gets more pixels, or fewer."""

    class Ready(Message):
        """A picture was prepared; from the worker to the widget itself, which shows it if it is still wanted."""

        def __init__(self, view: FilmView, wanted: _Picture) -> None:
            super().__init__()
            self.view = view
            self.wanted = wanted

    def __init__(
        self, display: Display, frame_cache: FrameCache, film_store: FilmStore, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._film_store = film_store
        self.view_settings = ViewSettings()
        self.mode: ViewMode = "pair"
        self.place = 0
        """The film that is shown where only one is: 0 the left, 1 the right."""
        self.views = tuple(FilmView(display, frame_cache, id=f"film{place}") for place in (0, 1))
        self._titles = tuple(Static(id=f"title{place}", markup=False) for place in (0, 1))
        self._lines = tuple(Static(id=f"fields{place}", markup=False) for place in (0, 1))
        self._films: CaseFilms | None = None
        self._site = ""
        self._ahead: tuple[str, ...] = ()
        self._without_picture: set[_Picture] = set()
        """Differences of films that can't be laid onto each other: there is no picture of them."""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="lines"):
            yield from self._titles
        with Horizontal():
            yield from self.views
        with Horizontal(classes="lines"):
            yield from self._lines

    # What is shown.

    def show(self, films: CaseFilms, site: str, ahead: Sequence[str] = ()) -> None:
        """Shows `site` of `films`, at once where it is ready; prepares it where not, and then the sites of `ahead`."""
        if site != self._site:
            self.view_settings = self.view_settings.reset_position()
        self._films, self._site, self._ahead = films, site, tuple(ahead)
        self._refresh()

    def blank(self) -> None:
        """Shows no joint at all."""
        self._films, self._site, self._ahead = None, "", ()
        for view in self.views:
            view.blank()

    def set_title(self, place: int, text: str | Text) -> None:
        """What stands above the film at `place` (0 left, 1 right)."""
        self._titles[place].update(text, layout=False)

    def set_line(self, place: int, text: str | Text) -> None:
        """What stands below it: its fields."""
        self._lines[place].update(text, layout=False)

    @property
    def resolution(self) -> Resolution | None:
        """How sharp the joint is on the screen now; None where none is shown."""
        return self._films.find_lowest_resolution(self._site, self._viewports(self._site)) if self._films else None

    # How it is shown.

    def set_view_settings(self, view_settings: ViewSettings) -> None:
        """Shows the joint through `view_settings`."""
        if view_settings != self.view_settings:
            self.view_settings = view_settings
            self._refresh()

    def next_zoom(self) -> None:
        """The next of ZOOMS; from the whole films back to the joint."""
        zoom = 0 if self.shows_whole_film else (self.view_settings.zoom + 1) % len(ZOOMS)
        self.set_view_settings(replace(self.view_settings, zoom=zoom))

    def next_preset(self) -> str:
        """The next way to choose the greys, of those that the joint's films offer; its name."""
        films = self._films
        records = [films.record(self._site, place) for place in (0, 1)] if films else []
        names = self._film_store.presets(films.case.id if films else "", *(record.id for record in records if record))
        now = self.view_settings.display_settings.preset
        preset = names[(names.index(now) + 1) % len(names)] if now in names else names[0]
        self.set_view_settings(
            replace(self.view_settings, display_settings=self.view_settings.display_settings.with_preset(preset))
        )
        return preset

    @property
    def shows_whole_film(self) -> bool:
        """Whether all of both films is shown, with a frame around the joint."""
        return self.view_settings.zoom == WHOLE_FILM

    def set_whole_film(self, whole: bool) -> None:
        """Shows all of both films, or the joint again."""
        if whole != self.shows_whole_film:
            self.set_mode("pair")
            self.set_view_settings(replace(self.view_settings, zoom=WHOLE_FILM if whole else 0))

    def set_mode(self, mode: ViewMode) -> None:
        """Side by side, one at a time, or what differs."""
        if mode != self.mode:
            if mode != "pair" and self.shows_whole_film:
                self.view_settings = replace(self.view_settings, zoom=0)
            # The view changes its size with this, unless it was alone before, and asks for its picture itself.
            self.mode = mode
            self.views[1].display = mode == "pair"
            self._refresh()

    def show_film(self, place: int) -> None:
        """Shows the film at `place` where only one is shown."""
        if place != self.place:
            self.place = place
            self._refresh()

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        event.stop()
        self._refresh()
        self.post_message(self.ResolutionChanged())

    # Preparing.

    def _refresh(self) -> None:
        """Shows what is ready, blanks what isn't, and has a worker make the rest; a later call overtakes an earlier one."""
        jobs: list[_Job] = []
        for view, wanted in self._wanted_pictures():
            if wanted is None or wanted in self._without_picture:
                view.blank()
            elif not view.show(wanted.key):
                view.blank()
                jobs.append((view, wanted, True))
        for view, wanted in self._likely_next():
            if not view.has_frame(wanted.key):
                jobs.append((view, wanted, False))
        if jobs:
            run_in_thread(self, lambda: self._prepare(jobs), group="films")

    def _wanted_pictures(self) -> list[tuple[FilmView, _Picture | None]]:
        """What belongs into each view that is on the screen."""
        viewports = self._viewports(self._site)
        if self.mode == "pair":
            return list(zip(self.views, viewports, strict=True))
        return [(self.views[0], self._single_picture(self._site, self.place))]

    def _likely_next(self) -> list[tuple[FilmView, _Picture]]:
        """What is likely to be wanted next: the film that the key turns to, then the next joints."""
        found: list[tuple[FilmView, _Picture | None]] = []
        if self.mode == "alone":
            found.append((self.views[0], self._single_picture(self._site, 1 - self.place)))
        for site in self._ahead:
            if self.mode == "pair":
                found += zip(self.views, self._viewports(site), strict=True)
            else:
                found.append((self.views[0], self._single_picture(site, 0)))
        return [(view, wanted) for view, wanted in found if wanted is not None]

    def _viewports(self, site: str) -> tuple[Viewport | None, ...]:
        if self._films is None:
            return (None, None)
        sizes = [view.pixel_size if self.mode == "pair" else self.views[0].pixel_size for view in self.views]
        return self._films.make_viewports(site, sizes, self.views[0].graphics, self.view_settings)

    def _single_picture(self, site: str, place: int) -> _Picture | None:
        """What the only view shows of `site`: the left film, or the right one as it lies on it, or what differs."""
        first, second = self._viewports(site)
        if self.mode == "alone" and (place == 0 or first is None):
            return first if place == 0 else second
        if first is None or self._films is None:
            return None
        return self._films.make_aligned_view(first, site, 1, is_difference=self.mode == "difference")

    def _prepare(self, jobs: list[_Job]) -> None:
        worker = get_current_worker()
        for view, wanted, now in jobs:
            if worker.is_cancelled:
                return
            try:
                image = self._make_picture(wanted)
                aligned = isinstance(wanted, Viewport) or self._film_store.alignment(wanted)
            except FilmError as error:
                if now and not worker.is_cancelled:
                    self.post_message(
                        self.Failed(f"{error.problem}. {error.remedy}" if error.remedy else error.problem)
                    )
                continue
            if image is None:
                self._without_picture.add(wanted)  # else it would be asked for again at each drawing
            else:
                view.prepare(image, wanted.key)
                if now and not worker.is_cancelled:
                    self.post_message(self.Ready(view, wanted))
            if now and isinstance(aligned, AlignmentFailure) and not worker.is_cancelled:
                self.post_message(self.NotAligned(self._site, aligned.reason))

    def _make_picture(self, wanted: _Picture) -> Image.Image | None:
        if isinstance(wanted, AlignedView):
            return self._film_store.render_aligned(wanted)
        image = self._film_store.render(wanted.view)
        return image if wanted.outlined_box is None else draw_outline(image, wanted.view, wanted.outlined_box)

    def on_joint_viewer_ready(self, event: Ready) -> None:
        event.stop()
        if (event.view, event.wanted) in self._wanted_pictures():
            event.view.show(event.wanted.key)


def draw_outline(image: Image.Image, view: ViewRequest, box: Box) -> Image.Image:
    """`image` of `view` with `box` of the film framed, white in black, so that it shows on bone and beside it."""
    x0, y0, x1, y1 = (round(value) for value in box.to_image(view.box, view.size))
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    if min(view.size) > 150:
        draw.rectangle((x0 - 2, y0 - 2, x1 + 2, y1 + 2), outline=0)
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=255)
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=255)
    return picture
