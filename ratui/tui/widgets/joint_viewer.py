"""A widget for the films of one joint: side by side, alternating in one place, or as a difference.

If not all films fit side by side, two of them are shown (`ratui.tui.graphics.film_window`).
It prepares the next joints in advance. A picture that is not ready is black, so that no film of another joint appears
under the name of this one. Nothing here depends on which film is the earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from textual.message import Message
from textual.worker import get_current_worker

from ratui.errors import FilmError
from ratui.regions.upright_bones import Turns
from ratui.terminal import Display, FrameCache, Resolution
from ratui.tui.entry.answer_gate import DisplayWatch, ExpectedFilm
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.film_window import choose_window, count_side_by_side, find_pair, next_place
from ratui.tui.graphics.painter import Painter
from ratui.tui.graphics.view_settings import WHOLE_FILM, ViewSettings
from ratui.tui.graphics.viewport import AlignedView, CaseFilms, Picture, Viewport
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.widgets.film_slots import FilmSlots
from ratui.tui.widgets.film_view import FilmFailed, FilmsAligned, FilmView

__all__ = ["JointViewer", "ViewMode"]

ViewMode: TypeAlias = Literal["pair", "alone", "difference"]
"""Side by side; alternating in one place; or the difference."""
_Job = tuple[FilmView, Picture, bool]
"""View of a picture, request for the picture, and True if it has to appear on the screen now."""


class JointViewer(FilmSlots):
    """A widget that shows the films of one joint, with a title above and a line below each.

    The zoom and contrast in `view_settings` stay the same from joint to joint; the position is reset.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    frame_cache
        The cache for encoded images.
    film_store
        The decoded films of the study.
    display_watch
        The record of the films that were displayed.
    id
        Textual's ID of the widget.
    """

    DEFAULT_CSS = """
    JointViewer { height: 1fr; }
    JointViewer .lines { height: 1; }
    JointViewer FilmView { width: 1fr; height: 1fr; margin: 0 0 0 1; }
    JointViewer Static { height: 1; width: 1fr; margin: 0 0 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    JointViewer FilmView:first-child, JointViewer Static:first-child { margin: 0; }
    """

    class ResolutionChanged(Message):
        """The views have changed their size, and thus the pixels per millimetre of bone."""

    class Ready(Message):
        """All pictures for the screen are encoded, or cannot be. `pictures` are those that are encoded."""

        def __init__(self, pictures: Sequence[Picture] = ()) -> None:
            super().__init__()
            self.pictures = tuple(pictures)

    def __init__(
        self,
        display: Display,
        frame_cache: FrameCache,
        film_store: FilmStore,
        display_watch: DisplayWatch,
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(display, frame_cache, id=id)
        self._film_store = film_store
        self.view_settings = ViewSettings()
        self.mode: ViewMode = "pair"
        self.place = 0
        """The active film, which is shown if there is only one view: 0 for the leftmost."""
        self._beside: int | None = None
        """The film to compare with the active one; None for the nearest before it."""
        self._films: CaseFilms | None = None
        self.site = ""
        """Key of the site on the screen; empty for none."""
        self._ahead: tuple[str, ...] = ()
        self._is_plan_due = False
        self._without_picture: set[Picture] = set()
        """Requests that gave no picture: differences of films that cannot be registered."""
        self._display_watch = display_watch
        for view in self._slots:
            view.on_painted = self._note_painted

    def show(
        self,
        films: CaseFilms,
        site: str,
        ahead: Sequence[str] = (),
        place: int | None = None,
        beside: int | None = None,
    ) -> None:
        """Show a joint, at once if its pictures are ready, otherwise as soon as they are.

        Parameters
        ----------
        films
            The films of the case.
        site
            Key of the site to show.
        ahead
            Keys of the sites that are likely to follow. Their pictures are prepared.
        place
            The active film, which is shown if only one is: 0 for the leftmost, None for the same as before.
        beside
            The film to compare with the active one if only two are shown; None for the nearest before it.
        """
        is_other_site, window = site != self.site, self.window
        self._films, self.site, self._ahead = films, site, tuple(ahead)
        self.place = min(self.place if place is None else place, len(films.order) - 1)
        self._beside = beside
        if is_other_site or self._window_for(site, self.place) != window:
            # Films, name and field change together: another joint or visit must not appear under this name for a moment.
            Painter.for_app(self.app).hold()
        if is_other_site:
            self.view_settings = self.view_settings.reset_position()
        self._refresh()

    def blank(self) -> None:
        """Show no joint."""
        self._films, self.site, self._ahead = None, "", ()
        self._display_watch.expect("", (), {})
        for view in self.views:
            view.blank()

    # The window.

    def _has_film(self, site: str) -> list[bool]:
        """Return for each place whether its film shows `site`; two empty places without a case."""
        films = self._films
        return [films.has(site, place) for place in range(len(films.order))] if films else [False, False]

    def _places(self, site: str) -> list[int]:
        """Return the places whose films show `site`."""
        return [place for place, has_film in enumerate(self._has_film(site)) if has_film]

    def _window_for(self, site: str, active: int) -> tuple[int, ...]:
        """Return the places that stand side by side for `site` while `active` is the active one."""
        most = count_side_by_side(self.size.width, self.size.height - 2, self._slots[0].graphics)
        beside = self._beside if (site, active) == (self.site, self.place) else None
        return choose_window(self._has_film(site), active, most, beside)

    @property
    def compared(self) -> tuple[int, ...]:
        """Places of the two films whose difference can be shown; of fewer, if no other film shows the joint."""
        return find_pair(self._has_film(self.site), self.place, self._beside)

    def _note_painted(self, view: FilmView) -> None:
        """Record since when the film in `view` is displayed, if the view shows the film that it has to show."""
        self.end_loading(view)
        self._display_watch.note_painted(view)

    def _expect_pictures(self, pictures: Sequence[tuple[FilmView, Picture | None]]) -> None:
        """Have the watch record when `pictures` are displayed."""
        films, viewports = self._films, self._viewports(self.site)
        if films is None:
            return
        places = self.window if self.mode == "pair" else (self.place,)
        self._display_watch.expect(
            self.site,
            [
                ExpectedFilm(view, place, wanted.key, films.find_resolution(self.site, place, viewports[place]))
                for (view, wanted), place in zip(pictures, places, strict=True)
                if wanted is not None
            ],
            films.film_ids(self.site),
            self.view_settings.display_settings.changes,
            display=self.views[0].graphics,
            terminal_size=self.app.size,
            is_difference=self.mode == "difference",
        )

    def is_loading(self, place: int) -> bool:
        """Return True while the film at `place` is not on the screen because it has to be decoded."""
        return self.view_of(place) in self.loading_views and (self.mode != "alone" or place == self.place)

    @property
    def resolution(self) -> Resolution | None:
        """Resolution of the least sharp of the joint's films; None if no film is shown."""
        return self._films.find_lowest_resolution(self.site, self._viewports(self.site)) if self._films else None

    @property
    def turns(self) -> Turns | None:
        """Turns of the films of the joint; None before they are found."""
        films = self._films
        if films is None or self.shows_whole_film or not self.view_settings.is_upright:
            return Turns()
        return self._film_store.known_turns(films.case.id, films.find_bones(self.site))

    def set_view_settings(self, view_settings: ViewSettings) -> None:
        """Show the joint with `view_settings`."""
        if view_settings != self.view_settings:
            self.view_settings = view_settings
            self._refresh()

    def next_zoom(self, *, has_life_size: bool = False) -> None:
        """Change to the next zoom; `has_life_size` is true if twice the life size is one of them."""
        self.set_view_settings(self.view_settings.with_next_zoom(has_life_size=has_life_size))

    def next_preset(self) -> str:
        """Change to the next contrast preset that the joint's films have, and return its name."""
        films = self._films
        ids = films.film_ids(self.site).values() if films else ()
        names = self._film_store.presets(films.case.id if films else "", *ids)
        settings = self.view_settings.display_settings
        preset = names[(names.index(settings.preset) + 1) % len(names)] if settings.preset in names else names[0]
        self.set_view_settings(replace(self.view_settings, display_settings=settings.with_preset(preset)))
        return preset

    @property
    def has_life_size(self) -> bool:
        """True if the joint can be shown at twice the life size."""
        return self._films is not None and self._films.has_life_size(self.site, self.views[0].graphics)

    @property
    def shows_whole_film(self) -> bool:
        """True if the films are shown whole, with a frame around the joint."""
        return self.view_settings.zoom == WHOLE_FILM

    def set_whole_film(self, whole: bool) -> None:
        """Show the films whole if `whole` is true, otherwise the joint."""
        if whole != self.shows_whole_film:
            self.set_mode("pair")
            self.set_view_settings(self.view_settings.show_whole_film(whole))

    def set_mode(self, mode: ViewMode) -> None:
        """Show the films side by side, one at a time, or their difference."""
        if mode != self.mode:
            if mode != "pair":
                self.view_settings = self.view_settings.show_whole_film(False)
            # If this changes the size of the left view, it blanks itself and asks for a picture of the new size.
            self.mode = mode
            self.set_side_by_side(mode == "pair")
            self._refresh()

    def show_film(self, place: int) -> None:
        """Make the film at `place` the active one, which is shown if only one is at a time."""
        if place != self.place:
            self.place, self._beside = place, None
            self._refresh()

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        """Make the pictures in the new size."""
        event.stop()
        self._refresh()
        self.post_message(self.ResolutionChanged())

    def _refresh(self) -> None:
        """Show the pictures that are ready, and start a worker for the others. A later call cancels an earlier worker."""
        jobs: list[_Job] = []
        self.set_window(self._window_for(self.site, self.place))
        pictures = self._wanted_pictures()
        self._expect_pictures(pictures)
        for view, wanted in pictures:
            if wanted is None or wanted in self._without_picture:
                view.blank()
                self.loading_views.discard(view)
            elif not view.show(wanted.key):
                view.blank()
                jobs.append((view, wanted, True))
                if not self._film_store.has_decoded(wanted):
                    self.loading_views.add(view)
        self._is_plan_due = not jobs
        if jobs:
            self._start_work(jobs)
        else:
            self.call_after_refresh(self._prepare_next)

    def _prepare_next(self) -> None:
        """Prepare the next pictures, unless a worker has begun with them in the meantime."""
        if self._is_plan_due:
            self._is_plan_due = False
            self._start_work()

    def _start_work(self, urgent: Sequence[_Job] = ()) -> None:
        """Start a worker for the pictures `urgent` and those that are likely to be needed next."""
        coming = self._likely_next()
        self.plan_ahead([(view, wanted.key) for view, wanted in coming])
        jobs = [*urgent, *((view, wanted, False) for view, wanted in coming if not view.has_frame(wanted.key))]
        if jobs:
            run_in_thread(self, lambda: self._prepare(jobs), group="films")

    def _wanted_pictures(self) -> list[tuple[FilmView, Picture | None]]:
        """Return the picture that each visible view has to show."""
        if self.mode != "pair":
            return [(self.views[0], self._single_picture(self.site, self.place))]
        viewports = self._viewports(self.site)
        return [(view, viewports[place]) for view, place in zip(self.views, self.window, strict=True)]

    def _likely_next(self) -> list[tuple[FilmView, Picture]]:
        """Return the pictures that are likely to be needed next: the following film, then those of the next joints."""
        following = next_place(self._places(self.site), self.place)
        coming = [(self.site, following)] if self._needs_other_pictures(following) else []
        coming += [(site, next(iter(self._places(site)), 0)) for site in self._ahead]
        found: list[tuple[FilmView, Picture | None]] = []
        for site, place in coming:
            if self.mode == "pair":
                viewports, window = self._viewports(site), self._window_for(site, place)
                found += [(view, viewports[each]) for view, each in zip(self.views, window, strict=False)]
            else:
                found.append((self.views[0], self._single_picture(site, place)))
        return [(view, wanted) for view, wanted in found if wanted is not None]

    def _needs_other_pictures(self, place: int) -> bool:
        """Return True if other pictures of this joint are needed when `place` becomes the active one."""
        return self._window_for(self.site, place) != self.window if self.mode == "pair" else self.mode == "alone"

    def _viewports(self, site: str) -> tuple[Viewport | None, ...]:
        """Return the viewports of `site` in all places for the present size of the views."""
        if self._films is None:
            return (None, None)
        sizes = [self.views[0].pixel_size] * len(self._films.order)
        if self.mode == "pair":
            for view, place in zip(self.views, self.window, strict=True):
                sizes[place] = view.pixel_size
        return self._films.make_viewports(site, sizes, self.views[0].graphics, self.view_settings)

    def _single_picture(self, site: str, place: int) -> Picture | None:
        """Return the picture of `site` for a single view.

        One film at a time: the first that shows the joint, or another one registered onto it. A difference: of two places.
        """
        viewports, films = self._viewports(site), self._films
        if films is None:
            return None
        if self.mode == "alone":
            return films.make_view_onto_first(viewports, site, place)
        pair = find_pair(self._has_film(site), place, self._beside if site == self.site else None)
        return films.make_difference_view(viewports, site, pair)

    @property
    def shows_bones(self) -> bool | None:
        """True if the difference is that of each bone, False if that of the joint, None if not known or without bones."""
        shown = self._single_picture(self.site, self.place) if self.mode == "difference" else None
        return self._film_store.shows_bones(shown) if isinstance(shown, AlignedView) else None

    @property
    def lacks_difference(self) -> bool:
        """True if the difference has no picture, because the films of the joint cannot be aligned."""
        return self.mode == "difference" and self._single_picture(self.site, self.place) in self._without_picture

    def _prepare(self, jobs: list[_Job]) -> None:
        """Make and encode pictures. Runs in a thread."""
        worker = get_current_worker()
        urgent = sum(now for _, _, now in jobs)  # these come first
        encoded: list[Picture] = []
        for place, (view, wanted, now) in enumerate(jobs):
            if place == urgent:
                if urgent:
                    self.post_message(self.Ready(encoded))
                self.wait_until_painted(worker)
            if worker.is_cancelled:
                return
            try:
                image = self._film_store.make_picture(wanted)
                problem = self._film_store.find_problem(wanted) if isinstance(wanted, AlignedView) else ""
            except FilmError as error:
                if now and not worker.is_cancelled:
                    self.post_message(FilmFailed(error))
                    self.end_loading(view)
                continue
            if image is None:
                self._without_picture.add(wanted)  # otherwise each refresh would compute it again
            else:
                view.prepare(image, wanted.key)
                encoded.append(wanted)
            if now and (problem or self.mode == "difference") and not worker.is_cancelled:
                self.post_message(FilmsAligned(self.site, problem))
        if urgent == len(jobs):
            self.post_message(self.Ready(encoded))
        else:
            self.call_later(self.send_ahead)

    def on_joint_viewer_ready(self, event: Ready) -> None:
        """Show the encoded pictures that the views still have to show."""
        is_lost = False
        with Painter.for_app(self.app).synchronized_update():
            for view, wanted in self._wanted_pictures():
                if wanted is not None and not view.show(wanted.key):
                    is_lost = is_lost or wanted in event.pictures
        if is_lost:  # the cache has dropped a picture for another one; those that are shown now stay in the cache
            self._refresh()
