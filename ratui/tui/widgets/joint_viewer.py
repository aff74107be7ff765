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
from ratui.terminal import Display, Fit, FrameCache
from ratui.tui.graphics.film_store import Library, Twin, View
from ratui.tui.graphics.viewport import WHOLE, ZOOMS, CaseFilms, Shot, Sight
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.workers import in_thread

__all__ = ["JointFilms", "Mode"]

Mode: TypeAlias = Literal["pair", "alone", "difference"]
"""Side by side; one at a time in one place; or what differs."""
_Wanted = Shot | Twin
_Job = tuple[FilmView, _Wanted, bool]
"""Where a picture goes, what it shows, and whether it is wanted on the screen now."""


class JointFilms(Vertical):
    """Shows one joint at a time: `show(films, site)`. `sight` is how; it stays from joint to joint, but for where in the
    joint it looks."""

    DEFAULT_CSS = """
    JointFilms { height: 1fr; }
    JointFilms .lines { height: 1; }
    JointFilms FilmView { width: 1fr; height: 1fr; margin: 0 1; }
    JointFilms Static { height: 1; width: 1fr; margin: 0 1; }
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

    class Refitted(Message):
        """The views have another size now: a millimetre gets more pixels, or fewer."""

    class Ready(Message):
        """A picture was prepared; from the worker to the widget itself, which shows it if it is still wanted."""

        def __init__(self, view: FilmView, wanted: _Wanted) -> None:
            super().__init__()
            self.view = view
            self.wanted = wanted

    def __init__(self, display: Display, frames: FrameCache, library: Library, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._library = library
        self.sight = Sight()
        self.mode: Mode = "pair"
        self.place = 0
        """The film that is shown where only one is: 0 the left, 1 the right."""
        self.views = tuple(FilmView(display, frames, id=f"film{place}") for place in (0, 1))
        self._titles = tuple(Static(id=f"title{place}", markup=False) for place in (0, 1))
        self._lines = tuple(Static(id=f"fields{place}", markup=False) for place in (0, 1))
        self._films: CaseFilms | None = None
        self._site = ""
        self._ahead: tuple[str, ...] = ()
        self._pictureless: set[_Wanted] = set()
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
            self.sight = self.sight.at_rest()
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

    @property
    def fit(self) -> Fit | None:
        """How sharp the joint is on the screen now; None where none is shown."""
        return self._films.fit(self._site, self._shots(self._site)) if self._films else None

    # How it is shown.

    def look_through(self, sight: Sight) -> None:
        """Shows the joint through `sight`."""
        if sight != self.sight:
            self.sight = sight
            self._refresh()

    def next_zoom(self) -> None:
        """The next of ZOOMS; from the whole films back to the joint."""
        zoom = 0 if self.whole else (self.sight.zoom + 1) % len(ZOOMS)
        self.look_through(replace(self.sight, zoom=zoom))

    def next_preset(self) -> str:
        """The next way to choose the greys, of those that the joint's films offer; its name."""
        films = self._films
        records = [films.record(self._site, place) for place in (0, 1)] if films else []
        names = self._library.presets(films.case.id if films else "", *(record.id for record in records if record))
        now = self.sight.look.preset
        preset = names[(names.index(now) + 1) % len(names)] if now in names else names[0]
        self.look_through(replace(self.sight, look=self.sight.look.with_preset(preset)))
        return preset

    @property
    def whole(self) -> bool:
        """Whether all of both films is shown, with a frame around the joint."""
        return self.sight.zoom == WHOLE

    def show_whole(self, whole: bool) -> None:
        """Shows all of both films, or the joint again."""
        if whole != self.whole:
            self.set_mode("pair")
            self.look_through(replace(self.sight, zoom=WHOLE if whole else 0))

    def set_mode(self, mode: Mode) -> None:
        """Side by side, one at a time, or what differs."""
        if mode != self.mode:
            if mode != "pair" and self.whole:
                self.sight = replace(self.sight, zoom=0)
            # The view changes its size with this, unless it was alone before, and asks for its picture itself.
            self.mode = mode
            self.views[1].display = mode == "pair"
            self._refresh()

    def turn_to(self, place: int) -> None:
        """Shows the film at `place` where only one is shown."""
        if place != self.place:
            self.place = place
            self._refresh()

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        event.stop()
        self._refresh()
        self.post_message(self.Refitted())

    # Preparing.

    def _refresh(self) -> None:
        """Shows what is ready, blanks what isn't, and has a worker make the rest; a later call overtakes an earlier one."""
        jobs: list[_Job] = []
        for view, wanted in self._wanted():
            if wanted is None or wanted in self._pictureless:
                view.blank()
            elif not view.show(wanted.key):
                view.blank()
                jobs.append((view, wanted, True))
        for view, wanted in self._next():
            if not view.has(wanted.key):
                jobs.append((view, wanted, False))
        if jobs:
            in_thread(self, lambda: self._prepare(jobs), group="films")

    def _wanted(self) -> list[tuple[FilmView, _Wanted | None]]:
        """What belongs into each view that is on the screen."""
        shots = self._shots(self._site)
        if self.mode == "pair":
            return list(zip(self.views, shots, strict=True))
        return [(self.views[0], self._single(self._site, self.place))]

    def _next(self) -> list[tuple[FilmView, _Wanted]]:
        """What is likely to be wanted next: the film that the key turns to, then the next joints."""
        found: list[tuple[FilmView, _Wanted | None]] = []
        if self.mode == "alone":
            found.append((self.views[0], self._single(self._site, 1 - self.place)))
        for site in self._ahead:
            if self.mode == "pair":
                found += zip(self.views, self._shots(site), strict=True)
            else:
                found.append((self.views[0], self._single(site, 0)))
        return [(view, wanted) for view, wanted in found if wanted is not None]

    def _shots(self, site: str) -> tuple[Shot | None, ...]:
        if self._films is None:
            return (None, None)
        sizes = [view.pixel_size if self.mode == "pair" else self.views[0].pixel_size for view in self.views]
        return self._films.shots(site, sizes, self.views[0].graphics, self.sight)

    def _single(self, site: str, place: int) -> _Wanted | None:
        """What the only view shows of `site`: the left film, or the right one as it lies on it, or what differs."""
        first, second = self._shots(site)
        if self.mode == "alone" and (place == 0 or first is None):
            return first if place == 0 else second
        if first is None or self._films is None:
            return None
        return self._films.twin(first, site, 1, differing=self.mode == "difference")

    def _prepare(self, jobs: list[_Job]) -> None:
        worker = get_current_worker()
        for view, wanted, now in jobs:
            if worker.is_cancelled:
                return
            try:
                image = self._picture(wanted)
                aligned = isinstance(wanted, Shot) or self._library.alignment(wanted)
            except FilmError as error:
                if now and not worker.is_cancelled:
                    self.post_message(
                        self.Failed(f"{error.problem}. {error.remedy}" if error.remedy else error.problem)
                    )
                continue
            if image is None:
                self._pictureless.add(wanted)  # else it would be asked for again at each drawing
            else:
                view.prepare(image, wanted.key)
                if now and not worker.is_cancelled:
                    self.post_message(self.Ready(view, wanted))
            if now and isinstance(aligned, AlignmentFailure) and not worker.is_cancelled:
                self.post_message(self.NotAligned(self._site, aligned.reason))

    def _picture(self, wanted: _Wanted) -> Image.Image | None:
        if isinstance(wanted, Twin):
            return self._library.twin(wanted)
        image = self._library.image(wanted.view)
        return image if wanted.mark is None else outlined(image, wanted.view, wanted.mark)

    def on_joint_films_ready(self, event: Ready) -> None:
        event.stop()
        if (event.view, event.wanted) in self._wanted():
            event.view.show(event.wanted.key)


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
