"""Titles above the films of a joint: the visit, and how its film is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from rich.cells import cell_len

from ratui.imaging import SpacingSource
from ratui.reading import Reading
from ratui.tui.entry.text import format_time_point
from ratui.tui.graphics.film_window import next_place
from ratui.tui.graphics.view_settings import LIFE_SIZE, MAGNIFICATION
from ratui.tui.graphics.viewport import CaseFilms
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.widgets.joint_viewer import JointViewer

__all__ = ["FilmTitles"]

_TurnForm: TypeAlias = Literal["words", "sign", "none"]
"""The form in which titles state the turns of the films."""

_PLANES = {
    SpacingSource.CALIBRATED: "bone",
    SpacingSource.MAGNIFICATION: "bone",
    SpacingSource.DETECTOR: "detector",
    SpacingSource.SCAN: "film",
}
"""Planes in which the size of a film's pixels was measured. A hand at the detector appears a few percent larger."""


@dataclass(frozen=True)
class FilmTitles:
    """The titles of the films of one joint.

    Attributes
    ----------
    t, reading, films, site
        The texts, the reading, the films of its case, and the key of the joint's site.
    viewer
        The viewer that shows the films.
    blink_key
        The key that shows one film after the other, as it is printed.
    is_coarse
        True if the films are too coarse to judge erosions.
    is_unaligned
        True if films of the joint could not be aligned.
    """

    t: Catalog
    reading: Reading
    films: CaseFilms
    site: str
    viewer: JointViewer
    blink_key: str
    is_coarse: bool
    is_unaligned: bool

    def format(self, place: int) -> str:
        """Return the title of the film at `place`: its visit, and how it is shown or that it lacks the joint.

        Where any title would be too long for its place, the turns are short signs in all titles. A title that is still too
        long lacks the days since the first film. The signs are left out where they do not fit even then.
        """
        form = self._turn_form
        title = self._format(place, self._days(place), form)
        return title if self._fits(title) else self._format(place, None, form)

    @cached_property
    def _turn_form(self) -> _TurnForm:
        """The longest form of the turns for which there is room in all titles."""
        window = self.viewer.window
        if all(self._fits(self._format(each, self._days(each), "words")) for each in window):
            return "words"
        return "sign" if all(self._fits(self._format(each, None, "sign")) for each in window) else "none"

    def _days(self, place: int) -> int | None:
        record = self.films.record(self.site, place)
        return record.day if record else None

    def _fits(self, title: str) -> bool:
        room = self.viewer.title_width
        return not room or cell_len(title) <= room

    def _format(self, place: int, days: int | None, turn_form: _TurnForm) -> str:
        t, record = self.t, self.films.record(self.site, place)
        title = self._format_visit(place, days)
        if record is None:
            return f"{title} · {t('text.not_on_film' if self._has_film_of_part(place) else 'text.no_film')}"
        if record.orientation.is_mirrored:  # left and right differ from the stored film
            title = f"{title} · {t('text.shown_mirrored')}"
        return self._add_display(place, title, turn_form)

    def _format_visit(self, place: int, days: int | None) -> str:
        reading, count = self.reading, len(self.reading.order)
        title = format_time_point(self.t, reading.order, place, reading.is_blinded, days, self.films.visits)
        return title if len(self.viewer.window) == count else f"{title} · {place + 1}/{count}"

    def _has_film_of_part(self, place: int) -> bool:
        site, time = self.reading.site(self.site), self.reading.order[place]
        return self.films.case.film(time, site.side, site.part, self.reading.scheme) is not None

    def _add_display(self, place: int, title: str, turn_form: _TurnForm) -> str:
        """Return `title` with a note if the film is shown whole, alone, turned, as a difference or coarsely."""
        t, viewer = self.t, self.viewer
        parts = [title]
        behind = viewer.mode == "alone" and place != viewer.place
        shown = [each for each in range(len(self.reading.order)) if self.films.has(self.site, each)]
        if viewer.shows_whole_film:
            parts.append(t("scoring.whole_film"))
        elif viewer.mode == "difference":
            parts = self._describe_difference() if place == viewer.window[0] else [title]
        elif behind and place == next_place(shown, viewer.place):
            parts.append(t("scoring.other_film_hidden", key=self.blink_key))
        elif viewer.mode == "alone" and not behind and place != shown[0]:
            parts.append(t("scoring.not_aligned" if self.is_unaligned else "scoring.aligned"))
        is_shown_by_itself = viewer.mode == "pair" or (viewer.mode == "alone" and not behind and place == shown[0])
        if turn_form != "none" and (note := self._format_turn(place, turn_form, is_shown_by_itself)):
            parts.append(note)
        if (
            viewer.view_settings.zoom == LIFE_SIZE
            and viewer.mode != "difference"
            and not behind
            and viewer.has_life_size
        ):
            parts.append(self._format_life_size(place))
        if self.is_coarse and viewer.mode != "difference" and not behind:
            parts.append(t("scoring.coarse"))
        return " · ".join(parts)

    def _format_life_size(self, place: int) -> str:
        """Return the magnification of the film at `place`, with the plane in which the size of its pixels is known."""
        record = self.films.record(self.site, place)
        source = record.spacing_source if record is not None else SpacingSource.UNKNOWN
        plane = _PLANES.get(source, "nominal")
        return self.t(f"scoring.life_size_{plane}", times=f"{MAGNIFICATION:g}")

    def _format_turn(self, place: int, form: _TurnForm, is_shown_by_itself: bool) -> str:
        """Return how the film at `place` is turned, or that its bone's axis is unclear; empty if there is nothing to say.

        A film that is registered onto another one (`is_shown_by_itself` is false) has no turn of its own.
        """
        turn, is_unclear = self._find_turn(place)
        if is_unclear:
            is_difference = self.viewer.mode == "difference"
            return (
                "" if is_difference else self.t("scoring.axis_unclear" if form == "words" else "scoring.unclear_sign")
            )
        if not turn or not is_shown_by_itself:
            return ""
        if form == "words":
            return self.t("scoring.turned", degrees=f"{turn:+d}")
        return self.t("scoring.clockwise_sign" if turn > 0 else "scoring.anticlockwise_sign", degrees=abs(turn))

    def _find_turn(self, place: int) -> tuple[int, bool]:
        """Return the degrees by which the film at `place` is turned clockwise, and whether its bone's axis is unclear."""
        record, turns = self.films.record(self.site, place), self.viewer.turns
        if record is None or turns is None:
            return 0, False
        return round(turns.angles.get(record.id, 0.0)), record.id in turns.unclear

    def _describe_difference(self) -> list[str]:
        """Return what is subtracted, and for a finger joint whether each bone is aligned or the joint as a whole."""
        bones = self.viewer.shows_bones
        if bones is None or (self.is_unaligned and not bones):
            return [self._format_difference()]
        return [self._format_difference(), self.t("scoring.bones_aligned" if bones else "scoring.joint_aligned")]

    def _format_difference(self) -> str:
        reading, t = self.reading, self.t
        if self.is_unaligned and not self.viewer.shows_bones:
            return t("scoring.not_aligned")
        if len(reading.order) == 2:
            # In a chronological reading the right film is the later one.
            return t("scoring.difference" if reading.is_blinded else "scoring.difference_in_order")
        names = self.compared_names()
        return t("scoring.difference_of", first=names[0], second=names[-1])

    def compared_names(self) -> tuple[str, ...]:
        """Return the names of the visits whose difference is shown, in the order of the screen."""
        reading = self.reading
        return tuple(
            self.films.visits.name(self.t, reading.order, reading.order[place], blinded=reading.is_blinded)
            for place in self.viewer.compared
        )
