"""Where the joints are: each film whole, its boxes placed and corrected by keys, the current one enlarged beside it.

Accepting saves at once. Nothing here knows of scores.
"""

from __future__ import annotations

from dataclasses import replace

from PIL import Image, ImageDraw
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import FilmError
from ratui.imaging import Box
from ratui.scheme import Site
from ratui.study import Case, FilmRecord, Region
from ratui.tui import text as texts
from ratui.tui.actions import Keymap, shown_key
from ratui.tui.library import View, joint_box, whole_box
from ratui.tui.messages import Messages
from ratui.tui.placing import mirrored, moved, resized, starting_regions
from ratui.tui.screens.base import KeyScreen
from ratui.tui.widgets.film_view import FilmView

__all__ = ["RegionsScreen"]

_STEP, _FAR, _GROW = 0.06, 0.5, 1.08


class RegionsScreen(KeyScreen):
    """The regions of `case`, film by film; `order` is how its time points stand on the screen."""

    NAME = "regions"

    def __init__(self, case: Case, order: tuple[int, ...]) -> None:
        super().__init__()
        self._case = case
        self._order = order
        self._films: list[tuple[FilmRecord, list[Site]]] = []
        self._at_film = 0
        self._at_site = 0
        self._regions: dict[str, Region] = {}
        self._note = ""
        self._whole: tuple[View, Image.Image] | None = None

    def compose(self) -> ComposeResult:
        display, frames = self.ratui.graphics, self.ratui.frames
        yield Static(id="head", classes="line title", markup=False)
        with Horizontal(classes="films"):
            with Vertical():
                yield FilmView(display, frames, id="whole")
            with Vertical():
                yield FilmView(display, frames, id="near")
        yield Static(id="state", classes="line", markup=False)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="keys")

    def on_mount(self) -> None:
        self._films = self._films_with_sites()
        incomplete = [i for i, (film, sites) in enumerate(self._films) if self._lacks(film, sites)]
        self._open_film((incomplete or [0])[0])

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def on_film_view_resized(self) -> None:
        self._draw()

    def refill(self) -> None:
        self._draw()

    # Films and their regions.

    def _films_with_sites(self) -> list[tuple[FilmRecord, list[Site]]]:
        """Each film with the sites to place on it: side by side, both time points of one after another."""
        scheme = self.ratui.study.scheme
        found: dict[str, tuple[FilmRecord, list[Site]]] = {}
        sites = self._case.sites(scheme)
        for site in sites:
            for point in self._order:
                film = self._case.film(point, site.side, site.part, scheme)
                if film is not None:
                    found.setdefault(film.id, (film, []))[1].append(site)
        return list(found.values())

    def _confirmed(self) -> dict[str, dict[str, Region]]:
        by_film: dict[str, dict[str, Region]] = {}
        for region in self.ratui.study.regions(self._case.id):
            if region.by:
                by_film.setdefault(region.film, {})[region.site] = region
        return by_film

    def _lacks(self, film: FilmRecord, sites: list[Site]) -> bool:
        known = self._confirmed().get(film.id, {})
        return any(site.key not in known for site in sites)

    def _open_film(self, index: int) -> None:
        self._at_film = index
        film, sites = self._films[index]
        confirmed = self._confirmed()
        proposed = {r.site: r for r in self.ratui.study.proposals(self._case.id) if r.film == film.id}
        other: dict[str, tuple[FilmRecord, Region]] = {}
        for record, _ in self._films:
            if record.id != film.id:
                for site, region in confirmed.get(record.id, {}).items():
                    other.setdefault(site, (record, region))
        self._regions = starting_regions(
            self.ratui.study.scheme,
            film,
            sites,
            confirmed=confirmed.get(film.id, {}),
            proposed=proposed,
            other=other,
        )
        unsure = [i for i, site in enumerate(sites) if not self._regions[site.key].by]
        placed = [i for i in unsure if self._regions[sites[i].key].box is not None]
        self._at_site = (placed or unsure or [0])[0]
        self._draw()

    @property
    def _film(self) -> FilmRecord:
        return self._films[self._at_film][0]

    @property
    def _sites(self) -> list[Site]:
        return self._films[self._at_film][1]

    @property
    def _region(self) -> Region:
        return self._regions[self._sites[self._at_site].key]

    def _save(self) -> None:
        """Writes this film's confirmed regions beside those of the other films. Raises StoreError."""
        others = [r for r in self.ratui.study.regions(self._case.id) if r.film != self._film.id]
        mine = [region for region in self._regions.values() if region.by]
        self.ratui.study.save_regions(self._case.id, [*others, *mine])

    def _confirm(self, keys: list[str]) -> None:
        before = dict(self._regions)
        for key in keys:
            self._regions[key] = replace(self._regions[key], by=self.ratui.rater)
        try:
            self._save()
        except Exception:
            self._regions = before  # what isn't on the disk isn't shown as accepted
            raise

    # Keys.

    def pressed(self, name: str) -> bool:
        self._note = ""
        # The same key on another layout: + needs no Shift then.
        return super().pressed({"=": "+", "_": "-"}.get(name, name))

    def do_accept(self) -> None:
        self._confirm([self._sites[self._at_site].key])
        left = [i for i, site in enumerate(self._sites) if not self._regions[site.key].by]
        behind = [i for i in left if i > self._at_site]
        if left:
            self._at_site = (behind or left)[0]
            self._draw()
        elif self._at_site + 1 < len(self._sites) and self._lacking_film() is None:
            self._at_site += 1
            self._draw()
        else:
            self._next_film()

    def do_accept_all(self) -> None:
        self._confirm([site.key for site in self._sites if not self._regions[site.key].by])
        self._next_film()

    def _lacking_film(self) -> int | None:
        """The first film that still has unconfirmed sites."""
        return next((i for i, (film, sites) in enumerate(self._films) if self._lacks(film, sites)), None)

    def _next_film(self) -> None:
        lacking = self._lacking_film()
        if lacking is not None:
            self._open_film(lacking)
        else:
            self.dismiss(True)

    def _change(self, box: Box | None) -> None:
        site = self._sites[self._at_site].key
        self._regions[site] = Region(site, self._film.id, box, "rater")
        self._draw()

    def _move(self, dx: float, dy: float) -> None:
        box = self._region.box
        if box is not None:
            self._change(moved(box, dx, dy, self._film))

    def do_move_left(self) -> None:
        self._move(-_STEP, 0)

    def do_move_right(self) -> None:
        self._move(_STEP, 0)

    def do_move_up(self) -> None:
        self._move(0, -_STEP)

    def do_move_down(self) -> None:
        self._move(0, _STEP)

    def do_far_left(self) -> None:
        self._move(-_FAR, 0)

    def do_far_right(self) -> None:
        self._move(_FAR, 0)

    def do_far_up(self) -> None:
        self._move(0, -_FAR)

    def do_far_down(self) -> None:
        self._move(0, _FAR)

    def do_larger(self) -> None:
        if self._region.box is not None:
            self._change(resized(self._region.box, _GROW, self._film))

    def do_smaller(self) -> None:
        if self._region.box is not None:
            self._change(resized(self._region.box, 1 / _GROW, self._film))

    def do_next(self) -> None:
        self._at_site = (self._at_site + 1) % len(self._sites)
        self._draw()

    def do_previous(self) -> None:
        self._at_site = (self._at_site - 1) % len(self._sites)
        self._draw()

    def do_swap(self) -> None:
        for site in self._sites:
            region = self._regions[site.key]
            if region.box is not None and not region.by:
                box = mirrored(region.box, self._film, site.side)
                self._regions[site.key] = Region(site.key, self._film.id, box, "rater")
        self._draw()

    def do_absent(self) -> None:
        if self._region.box is not None:
            self._change(None)
            return
        x, y, half = self._film.columns / 2, self._film.rows / 2, self._film.columns / 20
        self._change((x - half, y - half, x + half, y + half))

    def do_leave(self) -> None:
        self.dismiss(False)

    def say(self, text: str) -> None:
        self._note = text
        self._draw()

    # Drawing.

    def _draw(self) -> None:
        if not self._films or not self.is_mounted:
            return
        study = self.ratui.study
        site, region = self._sites[self._at_site], self._region
        place = self._order.index(self._film.time)
        when = texts.side_title(self.t, self._order, place, study.config.blinded, self._film.day)
        title = texts.hand_title(self.t, study.scheme, site)
        self._put(
            "head",
            f" {self._case.id} · regions · {title} · {when} · film {self._at_film + 1} of {len(self._films)}",
        )
        where = "not on this film" if region.box is None else _source(region)
        mark = f"accepted by {region.by}" if region.by else "not accepted yet"
        accepted = sum(bool(each.by) for each in self._regions.values())
        self._put("state", f" {site.joint.label} · {where} · {mark} · {accepted} of {len(self._sites)} accepted")
        self._put("message", f" {self._note}")
        self.query_one("#keys", Static).update(_keys(self.ratui.keymap, self.t, self.app.size.width))
        self._show()

    def _put(self, id: str, text: str) -> None:
        self.query_one(f"#{id}", Static).update(text)

    def _show(self) -> None:
        """Both views, drawn in a worker; a later call overtakes an earlier one."""
        film, region = self._film, self._region
        whole, near = self.query_one("#whole", FilmView), self.query_one("#near", FilmView)
        if not whole.pixel_size[0] or not near.pixel_size[0]:
            return
        display = self.ratui.graphics
        all_of_it = View(self._case.id, film.id, whole_box(film, whole.pixel_size, display), whole.pixel_size, "film")
        close: View | None = None
        if region.box is not None:
            side = 1.8 * (region.box[2] - region.box[0])
            close = View(self._case.id, film.id, joint_box(region.box, side, near.pixel_size, display), near.pixel_size)
        regions = dict(self._regions)
        current = self._sites[self._at_site].key
        self.run_worker(
            lambda: self._paint(all_of_it, close, regions, current), thread=True, exclusive=True, group="films"
        )

    def _paint(self, whole: View, near: View | None, regions: dict[str, Region], current: str) -> None:
        worker = get_current_worker()
        try:
            if self._whole is None or self._whole[0] != whole:
                self._whole = (whole, self.ratui.library.image(whole))
            picture = _with_boxes(self._whole[1], whole, regions, current)
            close = None
            if near is not None:
                close = _with_boxes(self.ratui.library.image(near), near, {current: regions[current]}, current)
        except FilmError as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        if worker.is_cancelled:
            return
        boxes = tuple((key, region.box, bool(region.by)) for key, region in regions.items())
        self.app.call_from_thread(self._painted, (whole, boxes, current), picture, near, close)

    def _painted(
        self, key: tuple[object, ...], picture: Image.Image, near: View | None, close: Image.Image | None
    ) -> None:
        if not self.is_mounted:
            return
        whole, beside = self.query_one("#whole", FilmView), self.query_one("#near", FilmView)
        if picture.size == whole.pixel_size:
            whole.show(key, picture)
        if close is None:
            beside.blank()
        elif close.size == beside.pixel_size:
            beside.show((near, "box"), close)

    def _failed(self, why: str) -> None:
        self._note = why
        self._put("message", f" {why}")


def _source(region: Region) -> str:
    if region.source == "rater":
        return "placed by hand"
    if region.source == "template":
        return "from the template"
    if region.source == "other film":
        return "as on the other film"
    sure = f", {round(100 * region.confidence)} % sure" if region.confidence is not None else ""
    return f"proposed by {region.source}{sure}"


def _with_boxes(image: Image.Image, view: View, regions: dict[str, Region], current: str) -> Image.Image:
    """`image` of `view` with boxes on it: the current one bright, accepted ones dim, with a dark rim to stand out."""
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    across = view.size[0] / (view.box[2] - view.box[0])
    down = view.size[1] / (view.box[3] - view.box[1])
    for key, region in sorted(regions.items(), key=lambda item: item[0] == current):
        if region.box is None:
            continue
        x0, x1 = ((value - view.box[0]) * across for value in (region.box[0], region.box[2]))
        y0, y1 = ((value - view.box[1]) * down for value in (region.box[1], region.box[3]))
        level = 255 if key == current else 90 if region.by else 170
        if min(view.size) > 150:
            draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=0)
            if key == current:
                draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=level)
        draw.rectangle((x0, y0, x1, y1), outline=level)
    return picture


def _keys(keymap: Keymap, t: Messages, width: int) -> Text:
    """The keys that have a label, and the arrows."""
    items = [(shown_key(action.key), label) for action in keymap.of("regions") if (label := action.label(t))]
    items.insert(2, ("←↑↓→", "move"))
    text = Text(no_wrap=True)
    used = 0
    for key, label in items:
        length = len(key) + len(label) + 4
        if used + length > width:
            text.append("\n")
            used = 0
        used += length
        text.append(f" {key}", "bold #8fb8d8")
        text.append(f" {label}  ")
    return text
