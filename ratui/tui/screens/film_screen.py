"""The part of the scoring screen that looks at films: greys, closeness, one in the place of the other, and how sharp it is.

It enters nothing, and nothing that it says tells which film is the earlier where the study is blinded to that.
"""

from __future__ import annotations

from dataclasses import replace

from ratui.errors import SettingsError
from ratui.imaging import DisplaySettings
from ratui.terminal import Fit
from ratui.tui.graphics.view_preferences import keep_sight, sight_of, sights_file
from ratui.tui.graphics.viewport import Sight
from ratui.tui.screens.base import KeyScreen
from ratui.tui.widgets.joint_viewer import JointFilms

__all__ = ["LookingScreen"]


class LookingScreen(KeyScreen):
    """A screen with `JointFilms` of the id ``joint``, where the actions that look at films do what they say."""

    def __init__(self) -> None:
        super().__init__()
        self._said = ""
        self._unaligned = ""
        """The site whose films could not be aligned."""
        self._warned_coarse = False
        self._best: tuple[str, Fit | None] = ("", None)
        """The site on the screen, and how sharp it has been at best."""

    @property
    def joint_films(self) -> JointFilms:
        """The films of the joint."""
        return self.query_one("#joint", JointFilms)

    # Greys.

    def do_window(self) -> None:
        preset = self.joint_films.next_preset()
        kind, number = (preset[:4], preset[4:]) if preset.startswith("file") else (preset, "")
        self._said = self.t(f"scoring.window_{kind}", number=number)
        self._keep_sight()

    def do_brighter(self) -> None:
        self._look(self.joint_films.sight.look.change_brightness())

    def do_darker(self) -> None:
        self._look(self.joint_films.sight.look.change_brightness(-1))

    def do_harder(self) -> None:
        self._look(self.joint_films.sight.look.change_contrast())

    def do_softer(self) -> None:
        self._look(self.joint_films.sight.look.change_contrast(-1))

    def do_invert(self) -> None:
        look = self.joint_films.sight.look
        self._look(replace(look, invert=not look.invert))

    def do_local(self) -> None:
        look = self.joint_films.sight.look
        self._look(replace(look, local=not look.local))
        self._said = self.t("scoring.local" if not look.local else "scoring.local_off")

    def _look(self, look: DisplaySettings) -> None:
        self.joint_films.look_through(replace(self.joint_films.sight, look=look))
        self._keep_sight()

    # Closeness.

    def do_zoom(self) -> None:
        self.joint_films.next_zoom()
        self._keep_sight()

    def do_whole(self) -> None:
        self.joint_films.show_whole(not self.joint_films.whole)

    def do_lens(self) -> None:
        sight = self.joint_films.sight
        self.joint_films.look_through(replace(sight, lens=None if sight.lens else (0.5, 0.5)))

    def do_pan_left(self) -> None:
        self._move(-1, 0)

    def do_pan_right(self) -> None:
        self._move(1, 0)

    def do_pan_up(self) -> None:
        self._move(0, -1)

    def do_pan_down(self) -> None:
        self._move(0, 1)

    def _move(self, right: int, down: int) -> None:
        self.joint_films.look_through(self.joint_films.sight.moved(right, down))

    # One in the place of the other.

    def do_blink(self) -> None:
        films = self.joint_films
        if films.mode == "alone":
            films.turn_to(1 - films.place)
            return
        films.turn_to(self.place_asked)
        films.set_mode("alone")
        keys = self.ratui.keymap
        self._said = self.t(
            "scoring.alone", blink=keys.shown(f"{self.NAME}.blink"), leave=keys.shown(f"{self.NAME}.leave")
        )

    def do_difference(self) -> None:
        films = self.joint_films
        films.set_mode("pair" if films.mode == "difference" else "difference")
        if films.mode == "difference":
            self._said = self.t("scoring.difference_on")

    def back_to_both(self) -> bool:
        """Shows both films side by side again; whether they weren't."""
        if self.joint_films.mode == "pair":
            return False
        self.joint_films.set_mode("pair")
        self._said = self.t("scoring.side_by_side")
        return True

    @property
    def place_asked(self) -> int:
        """The film that the waiting field belongs to: 0 the left, 1 the right."""
        return 0

    def on_joint_films_not_aligned(self, event: JointFilms.NotAligned) -> None:
        self._unaligned = event.site
        self.say(self.t(f"scoring.not_aligned_{event.reason}"))
        self.redraw()

    def on_joint_films_refitted(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draws everything that depends on how films are shown."""

    # How sharp it is.

    def measured(self, site: str) -> tuple[str, Fit] | None:
        """How films are shown, and how sharp `site` has been at best since it came up."""
        found = self.joint_films.fit
        before = self._best[1] if self._best[0] == site else None
        known = [fit for fit in (found, before) if fit is not None]
        if not known:
            return None
        best = max(known, key=lambda fit: (fit.enough, fit.pixels))
        self._best = (site, best)
        return self.ratui.graphics.protocol, best

    def coarse(self) -> bool:
        """Whether films are shown too coarsely to judge erosions; what helps is said once."""
        fit = self.joint_films.fit
        if fit is None or fit.enough or self.joint_films.whole:
            return False
        if not self._warned_coarse and not self._said:
            self._warned_coarse = True
            keys = self.ratui.keymap
            self._said = self.t(
                "scoring.coarse_help",
                pixels=f"{fit.pixels:.1f}",
                zoom=keys.shown(f"{self.NAME}.zoom"),
                blink=keys.shown(f"{self.NAME}.blink"),
            )
        return True

    def film_title(self, place: int, title: str, site: str, coarse: bool) -> str:
        """`title` of the film at `place`, with how it is shown."""
        t, films = self.t, self.joint_films
        parts = [title]
        behind = films.mode == "alone" and place != films.place
        if films.whole:
            parts.append(t("scoring.whole_film"))
        elif films.mode == "difference":
            what = "scoring.not_aligned" if self._unaligned == site else "scoring.difference"
            parts = [t(what) if place == 0 else title]
        elif behind:
            parts.append(t("scoring.behind", key=self.ratui.keymap.shown(f"{self.NAME}.blink")))
        elif films.mode == "alone" and place == 1:
            parts.append(t("scoring.not_aligned" if self._unaligned == site else "scoring.laid_on"))
        if coarse and films.mode != "difference" and not behind:
            parts.append(t("scoring.coarse"))
        return " · ".join(parts)

    # What stays.

    def remembered(self) -> Sight:
        """How this rater looked at films last."""
        source = self.ratui.settings.source
        return sight_of(self.ratui.rater, sights_file(source) if source else None)

    def _keep_sight(self) -> None:
        source = self.ratui.settings.source
        if source is not None:
            try:
                keep_sight(self.ratui.rater, self.joint_films.sight, sights_file(source))
            except SettingsError as error:
                self._said = self.t("scoring.sight_not_kept", why=error.problem)
