"""Joint by joint, both time points side by side: the screen asks for one field at a time and saves each answer.

Which keys do something comes from `ratui.reading.options`, what they do from `ratui.reading`; here is only the asking.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import Static

from ratui import reading as rd
from ratui.errors import EntryRefused, StoreError
from ratui.reading import Field, Found, Graded, LogEntry, NotAssessable, Reading
from ratui.study import Case, ReadingSession
from ratui.tui import text as texts
from ratui.tui.actions import entry_keys
from ratui.tui.joint_views import CaseFilms, case_films
from ratui.tui.screens.base import KeyScreen
from ratui.tui.widgets.joint_films import JointFilms

__all__ = ["ScoringScreen"]

_IDLE = 60.0
_AHEAD = 2


class ScoringScreen(KeyScreen):
    """Scores one case. `held` closes with the screen, and with it the reading's lock."""

    NAME = "scoring"
    GUIDED = True

    def __init__(self, case: Case, session: ReadingSession, held: ExitStack) -> None:
        super().__init__()
        self._case = case
        self._session = session
        self._held = held
        self.reading: Reading = session.reading
        self.field: Field | None = None
        self._mode = "entry"
        self._typed = ""
        self._films: CaseFilms | None = None
        self._last_key = time.monotonic()
        self._seconds = session.seconds
        self._saved_at = ""
        self._unsaved = ""
        self._warned = False
        self._note = ""

    def compose(self) -> ComposeResult:
        ratui = self.ratui
        yield Static(id="head", classes="line title", markup=False)
        with Horizontal(classes="films"):
            yield JointFilms(ratui.graphics, ratui.frames, ratui.library, id="joint")
            yield Static(id="map")
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="keys")

    def on_mount(self) -> None:
        self._arrange()
        self._begin()

    def on_unmount(self) -> None:
        self._held.close()

    def on_resize(self, event: Resize) -> None:
        self._arrange()
        self.call_after_refresh(self._draw)

    def _arrange(self) -> None:
        """The map is for wide terminals; the films never give way to it."""
        self.query_one("#map").display = self.app.size.width >= 104
        self.query_one("#map").styles.width = 30

    # What help, the list of commands, the tour and a change of language ask.

    @property
    def asking(self) -> bool:
        return self._mode != "entry"

    def possible(self, name: str) -> bool:
        options = rd.options(self.reading, self.field) if self.field else rd.Options()
        known = {
            "normal": options.normal,
            "same": options.same,
            "reasons": bool(options.reasons),
            "clear": options.clear,
            "undo": rd.undoable(self.reading) is not None,
        }
        return known.get(name, True)

    def entries(self) -> tuple[LogEntry, ...]:
        return self.reading.log

    def refill(self) -> None:
        self._arrange()
        self._draw()

    # Beginning and ending.

    def _begin(self) -> None:
        study = self.ratui.study
        if not study.regions_complete(self._case):
            self._correct_regions()
            return
        self._films = case_films(study, self._case, self.reading.order)
        try:
            reading = rd.apply_regions(self.reading, study.absent(self._case), at=_now())
            if reading is not self.reading:
                self._keep(reading)
        except EntryRefused as error:
            self.say(str(error))
        self.field = self.field or rd.next_open(self.reading)
        if self.field is None:
            self.field = self.reading.fields[0]
            self._draw()
            self.do_overview()
        else:
            self._draw()

    def _correct_regions(self) -> None:
        from ratui.tui.screens.regions import RegionsScreen

        self.app.push_screen(RegionsScreen(self._case, self.reading.order), self._regions_done)

    def _regions_done(self, result: object) -> None:
        if self.ratui.study.regions_complete(self._case):
            self._begin()
        else:
            self.dismiss()

    # Keys.

    def pressed(self, name: str) -> bool:
        now = time.monotonic()
        self._seconds += min(now - self._last_key, _IDLE)
        self._last_key = now
        self._note = ""
        if self._unsaved and name != "escape":
            self._keep(self.reading)
        if self._mode == "go_to":
            return self._typing(name)
        if self.field is None:
            return super().pressed(name)
        options = rd.options(self.reading, self.field)
        if self._mode == "reasons":
            for reason in options.reasons:
                if reason.key == name:
                    self._mode = "entry"
                    self._enter(NotAssessable(reason.id), name)
                    return True
            if name in ("escape", "x"):
                self._mode = "entry"
                self._draw()
            return True
        entry = entry_keys(self.reading.scheme, options).get(name)
        if entry is not None:
            self._enter(entry, name)
            return True
        if super().pressed(name):
            return True
        if len(name) == 1:
            self._refuse(name)
            return True
        return False

    def _refuse(self, name: str) -> None:
        """Says why the key `name` does nothing here."""
        assert self.field is not None
        scheme = self.reading.scheme
        for finding in scheme.findings:
            if finding.key == name:
                self._note = f"{finding.label}: {rd.refusal(self.reading, self.field, Found(finding.id))}"
        if name.isdigit():
            self._note = f"{name}: {rd.refusal(self.reading, self.field, Graded(int(name)))}"
        if not self._note:
            self._note = f"{name!r} does nothing here. ? shows all keys"
        self._draw()

    def _typing(self, name: str) -> bool:
        if name == "escape":
            self._mode = "entry"
        elif name == "backspace":
            self._typed = self._typed[:-1]
        elif name == "enter":
            self._mode = "entry"
            self._go_to(self._typed)
        elif len(name) == 1:
            self._typed += name
        self._draw()
        return True

    def _go_to(self, typed: str) -> None:
        """To the joint that was typed: on this side where it has one, ``l`` or ``r`` before it names the side."""
        typed = typed.strip()
        side = self.reading.site(self.field.site).side if self.field else "L"
        joints = self.reading.scheme.find(typed) if typed else ()
        if not joints and typed[:1].lower() in ("l", "r"):
            side, joints = ("L" if typed[0].lower() == "l" else "R"), self.reading.scheme.find(typed[1:].strip(". "))
        keys = [f"{side}.{joint.id}" for joint in joints if f"{side}.{joint.id}" in self.reading.site_keys]
        if keys:
            self._visit(keys[0])
        else:
            self._note = f"no joint here is called {typed!r}"

    def _visit(self, site: str) -> None:
        fields = self.reading.joint_fields(site)
        self.field = next((field for field in fields if field not in self.reading.values), fields[0])
        self._draw()

    # Entries.

    def _enter(self, entry: rd.Entry, key: str) -> None:
        field = self.field
        assert field is not None
        self._after(lambda at: rd.enter(self.reading, field, entry, at=at, key=key))

    def _after(self, change: Callable[[datetime], Reading]) -> None:
        """Makes and saves an entry, then asks for the next open field."""
        try:
            reading = change(_now())
        except EntryRefused as error:
            self._note = str(error)
            self._draw()
            return
        self._keep(reading)
        upcoming = rd.next_open(self.reading, after=self.field)
        if upcoming is None:
            self._draw()
            self.do_overview()
            return
        self.field = upcoming
        self._draw()

    def _keep(self, reading: Reading) -> bool:
        """Saves `reading`; where the disk refuses it stays in memory and every key tries again."""
        self.reading = reading
        try:
            self._session.save(reading, seconds=self._seconds)
        except StoreError as error:
            self._unsaved = f"NOT SAVED: {error.what}. It is kept here; the next key tries again"
            return False
        self._unsaved, self._warned = "", False
        self._saved_at = f"saved {datetime.now():%H:%M:%S} ✓"
        return True

    def do_normal(self) -> None:
        field = self.field
        assert field is not None
        self._after(lambda at: rd.normal(self.reading, field.site, at=at, key="n"))

    def do_same(self) -> None:
        field = self.field
        assert field is not None
        self._after(lambda at: rd.same(self.reading, field, at=at, key="="))

    def do_undo(self) -> None:
        last = rd.undoable(self.reading)
        try:
            self._keep(rd.undo(self.reading, at=_now(), key="u"))
        except EntryRefused as error:
            self._note = str(error)
        else:
            if last and last.changes:
                self.field = last.changes[0].field
        self._draw()

    def do_clear(self) -> None:
        assert self.field is not None
        try:
            self._keep(rd.clear(self.reading, self.field, at=_now(), key="backspace"))
        except EntryRefused as error:
            self._note = str(error)
        self._draw()

    def do_reasons(self) -> None:
        assert self.field is not None
        if rd.options(self.reading, self.field).reasons:
            self._mode = "reasons"
        else:
            self._note = "there is no reason to give here"
        self._draw()

    # Moving about.

    def do_previous_joint(self) -> None:
        self._step(-1)

    def do_next_joint(self) -> None:
        self._step(1)

    def _step(self, by: int) -> None:
        keys = [site.key for site in self.reading.sites]
        if self.field is not None:
            place = keys.index(self.field.site) + by
            if 0 <= place < len(keys):
                self._visit(keys[place])

    def do_next_field(self) -> None:
        if self.field is not None:
            fields = self.reading.joint_fields(self.field.site)
            self.field = fields[(fields.index(self.field) + 1) % len(fields)]
            self._draw()

    def do_zoom(self) -> None:
        self._joint_films.next_zoom()

    def do_window(self) -> None:
        self._joint_films.next_window()
        self._note = f"grey levels of the {self._joint_films.look.window_name}"
        self._draw()

    def do_go_to(self) -> None:
        self._mode, self._typed = "go_to", ""
        self._draw()

    def do_regions(self) -> None:
        self._correct_regions()

    def do_overview(self) -> None:
        from ratui.tui.screens.overview import OverviewScreen

        site = self.field.site if self.field else ""
        self.app.push_screen(OverviewScreen(self.reading, site=site, writable=True), self._overview_done)

    def _overview_done(self, result: object) -> None:
        if result == "sign":
            before = self.reading
            if self._keep(rd.sign(before, at=_now())):
                self.dismiss(f"{self._case.id} is signed")
                return
            self.reading = before
        elif isinstance(result, str) and result:
            self._visit(result)
        self._draw()

    def do_leave(self) -> None:
        if self._unsaved and not self._keep(self.reading) and not self._warned:
            self._warned = True
            self._note = "The last entries are not on the disk. Esc again leaves without them"
            self._draw()
            return
        if not self._unsaved and self.reading.log:
            self._keep(self.reading)
        self.dismiss()

    # Drawing.

    def _draw(self) -> None:
        if self.field is None or not self.is_mounted:
            return
        reading, field = self.reading, self.field
        site = reading.site(field.site)
        width = self.app.size.width
        scales = " ▸ ".join(site.joint.scales)
        left = f" {self._case.id} · {texts.site_title(self.t, reading.scheme, site)}   {scales}"
        right = texts.progress_text(self.t, reading)
        self._put("head", left + " " * max(width - len(left) - len(right) - 1, 2) + right)
        for place, point in enumerate(reading.order):
            record = self._case.film(point, site.side, site.part, reading.scheme)
            title = texts.side_title(self.t, reading.order, place, reading.blinded, record.day if record else None)
            if self._films is not None and not self._films.has(site.key, place):
                title += f" · {self.t('text.not_on_film')}"
            self._joint_films.title(place, f" {title}")
            self._joint_films.line(place, texts.fields_line(self.t, reading, site.key, point, field))
        alarm = bool(self._unsaved or self._note or self._mode == "go_to")
        self.query_one("#message", Static).update(Text(f" {self._status()}", "bold #e0b050" if alarm else "#808080"))
        self.query_one("#keys", Static).update(self._keys(width))
        if self.query_one("#map").display:
            height = self.query_one("#map").size.height or 20
            self.query_one("#map", Static).update(texts.hand_map(self.t, reading, site.key, height))
        self._show_films()

    def _status(self) -> str:
        if self._unsaved:
            return self._note or self._unsaved
        if self._mode == "go_to":
            return f"go to joint: {self._typed}▁   (Enter goes, Esc doesn't; r or l before the name changes sides)"
        if self._note:
            return self._note
        last = texts.last_entry(self.t, self.reading, self.reading.log[-1] if self.reading.log else None)
        return f"last: {last}   {self._saved_at}" if last else self._saved_at

    def _keys(self, width: int) -> Text:
        assert self.field is not None
        options = rd.options(self.reading, self.field)
        if self._mode == "reasons":
            return texts.reasons_text(self.t, self.reading.scheme, options, width)
        commands = []
        if options.normal:
            commands.append(("n", "all normal"))
        if options.same:
            twin = self.field._replace(time=1 - self.field.time)
            commands.append(("=", f"as {'earlier' if twin.time == 0 else 'later'}"))
        if rd.undoable(self.reading):
            commands.append(("u", "undo"))
        commands += [("z", "zoom"), ("/", "go to"), ("o", "overview"), ("Esc", "list"), ("?", "help"), ("w", "window")]
        commands += [("r", "regions"), ("← →", "joint")]
        return texts.keys_text(self.t, self.reading.scheme, options, commands, width)

    def _put(self, id: str, text: str) -> None:
        self.query_one(f"#{id}", Static).update(text)

    # Films.

    @property
    def _joint_films(self) -> JointFilms:
        return self.query_one("#joint", JointFilms)

    def _show_films(self) -> None:
        """Shows both films of the joint, and has those of the next joints prepared."""
        if self.field is None or self._films is None:
            return
        keys = [site.key for site in self.reading.sites]
        start = keys.index(self.field.site)
        self._joint_films.show(self._films, self.field.site, keys[start + 1 : start + 1 + _AHEAD])

    def on_joint_films_failed(self, event: JointFilms.Failed) -> None:
        self.say(event.why)

    def say(self, text: str) -> None:
        self._note = text
        self._put("message", f" {text}")


def _now() -> datetime:
    return datetime.now(UTC)
