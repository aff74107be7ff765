"""Count the keys per case: read whole phantom studies through the real app.

Run ``python -m benchmarks.keystrokes [CASES]``.

Simulated raters decide on their answers. A player presses their keys, using only keys that the screen shows, from the
worklist to the signature. Afterwards the readings on the disk must contain exactly these answers.

Keys and the terminal's answers have the times of a simulated clock: a player looks at each joint for `LOOK` seconds after
its films are painted, and then types a key every `PACE` seconds. The app applies its rules to these times. A key that it
refuses is counted, and pressed again.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Static

from ratui import reading as rd
from ratui.demo.simulate import Simulation, simulate_study
from ratui.reading import Entry, Field, GradeEntry, NotAssessableEntry, Reading
from ratui.study import Study
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.entry.scoring_session import CONFIRM_KEY
from ratui.tui.input.actions import key_for_entry
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.theme import KEY
from tests.support.simulated_terminal import SimulatedTerminal

KINDS = {"ada": "shared-shift", "ben": "threshold", "cho": "mixed", "dan": "independent"}
SIZE = (500, 410)
"""Rows and columns of a film: small, because nobody looks at it here."""
SCREEN = (80, 12)
"""Columns and rows of the terminal: every key that is pressed is visible, and drawing films is cheap."""
POPULATIONS = {"trial": 0.3, "ill": None}
"""Severity of the patients. ``trial`` has 13 points in the hands and gains 7, more than patients of a trial in a year.
``ill`` is the population from which models learn, with 18 points more after a year: every fifth joint changes.
"""
LOOK, PACE = 1.0, 0.25
"""Seconds that a player looks at a joint before the first key, and seconds between two keys for one joint."""
_MOST = 2000
"""Number of keys per case above which the player gives up."""


@dataclass
class Counted:
    """Keys of one case, by purpose."""

    fields: int
    joints: int
    keys: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Number of the keys above that the app refused as answers."""

    @property
    def scoring(self) -> int:
        """Return the number of keys for scoring alone."""
        return sum(self.keys[kind] for kind in ("grade", "finding", "reason", "n", "=", "confirm"))


class Player:
    """A player that presses the keys of a rater until the reading of a case equals `wanted`."""

    def __init__(self, app: RatuiApp, terminal: SimulatedTerminal, wanted: Reading) -> None:
        self._app = app
        self._terminal = terminal
        self._site = ""
        """Key of the joint at which the player looked for the last key."""
        self._wanted = wanted.values
        self.counted = Counted(len(wanted.fields), len(wanted.sites))

    async def play(self) -> None:
        """Read one case, from the worklist to the signature."""
        await self._press("enter", "open")
        for _ in range(_MOST):
            assert self._app.is_running, "the app has ended by itself"
            screen = self._app.screen
            assert isinstance(screen, KeyScreen)
            if isinstance(screen, ScoringScreen):
                await self._look(screen.scoring_session.site)
                await self._answer(screen)
            elif isinstance(screen, ReviewScreen):
                await self._look(f"review of {screen.item.site}")
                await self._keep(screen)
            elif screen.NAME == "overview":
                await self._press("S", "sign")
            elif screen.NAME == "worklist":
                return
            else:
                raise AssertionError(f"nobody asked for {screen.NAME}")
        raise AssertionError("the case does not end")

    async def _look(self, site: str) -> None:
        """Wait until the films are painted; look at them if they show another joint than the last key was for."""
        await self._terminal.wait_for_films()
        if site != self._site:
            self._site = site
            self._terminal.wait(LOOK - PACE)

    async def _keep(self, screen: ReviewScreen) -> None:
        """Keep the joint that the review shows."""
        item = screen.item
        await self._press("enter", "review")
        if self._app.screen is screen and screen.item is item:
            self.counted.refused += 1

    async def _answer(self, screen: ScoringScreen) -> None:
        """Answer the active field."""
        asked, reading, offered = screen.scoring_session.field, screen.reading, offered_keys(screen)
        rest = [each for each in reading.joint_fields(asked.site) if each not in reading.values]
        key, kind = self._key(asked, rest, reading, screen, offered)
        assert key in offered, f"{key} is not on the screen: {offered}"
        length = len(reading.log)
        await self._press(key, kind)
        if kind == "reason":
            wanted = self._wanted[asked]
            await self._press(key_for_entry(reading.scheme, wanted), "reason")
        elif screen.scoring_session.pending is not None:
            await self._press(CONFIRM_KEY, "confirm")
        if kind != "=" and len(screen.reading.log) == length:
            self.counted.refused += 1

    def _key(
        self, asked: Field, rest: list[Field], reading: Reading, screen: ScoringScreen, offered: set[str]
    ) -> tuple[str, str]:
        if "n" in offered and all(self._wanted[each] == GradeEntry(0) for each in rest):
            return "n", "n"
        if (
            screen.scoring_session.can_pair
            and not screen.scoring_session.is_paired
            and "=" in offered
            and self._stable(rest, reading)
        ):
            return "=", "="
        entry: Entry = self._wanted[asked]
        if isinstance(entry, NotAssessableEntry):
            return "x", "reason"
        return key_for_entry(reading.scheme, entry), "grade" if isinstance(entry, GradeEntry) else "finding"

    def _stable(self, rest: list[Field], reading: Reading) -> bool:
        """Return whether one answer for both time points saves a key."""
        pairs = {each._replace(time=0) for each in rest}
        alike = all(self._wanted[each] == self._wanted[twin] for each in rest for twin in reading.counterparts(each))
        return alike and len(pairs) > 1 and len(rest) == 2 * len(pairs)

    async def _press(self, key: str, kind: str) -> None:
        self.counted.keys[kind] += 1
        self._terminal.wait(PACE)
        await self._terminal.press(key)


def offered_keys(screen: ScoringScreen) -> set[str]:
    """Return the keys that the key bar shows."""
    content = screen.query_one("#keys", Static).content
    assert isinstance(content, Text), repr(content)
    return {content.plain[span.start : span.end].strip() for span in content.spans if span.style == KEY}


async def play_rater(study: Study, rater: str, wanted_of: Callable[[str], Reading]) -> list[Counted]:
    """Read all cases of `study` as `rater`; `wanted_of` returns the answers for a case."""
    app = RatuiApp(study, rater, Display("halfcell", round_trip=0.005))
    app.animation_level = "none"
    app.key_queue.reaction_seconds = 0.0  # a player reads no screen, so it needs no time to react
    counted = []
    async with app.run_test(size=SCREEN) as pilot:
        await _shown(pilot)
        terminal = SimulatedTerminal(app)
        for _ in study.cases():
            case = next_case(study, rater)
            wanted = wanted_of(case)
            player = Player(app, terminal, wanted)
            await player.play()
            done = study.reading(rater, case)
            assert done is not None
            assert done.signed_at, case
            assert done.values == wanted.values, f"{case} is not what was wanted"
            counted.append(player.counted)
    return counted


async def _shown(pilot: Pilot[None]) -> None:
    await pilot.pause()


def next_case(study: Study, rater: str) -> str:
    """Return the case that the worklist has selected: the first unsigned one."""
    return next(case for case in study.cases() if study.state(rater, case).stage != "signed")


def as_read(study: Study, rater: str) -> Callable[[str], Reading]:
    """Return a function from a case of `study` to the answers of `rater`."""

    def wanted(case: str) -> Reading:
        reading = study.reading(rater, case)
        assert reading is not None
        return reading

    return wanted


def healthy(study: Study) -> Callable[[str], Reading]:
    """Return a function from a case to a reading without damage at any joint."""

    def wanted(case: str) -> Reading:
        reading = rd.start_reading(study.scheme, case, "nobody", study.case(case).sites(study.scheme))
        for site in reading.sites:
            reading = rd.enter_normal(reading, site.key)
        return reading

    return wanted


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def row(name: str, counted: list[Counted]) -> str:
    """Return one row of the table: the mean number of keys per case."""
    each = [count.scoring / count.fields for count in counted]
    total = [sum(count.keys.values()) / count.fields for count in counted]
    joint = [count.scoring / count.joints for count in counted]
    looked = [(count.scoring + count.keys["review"]) / count.fields for count in counted]
    kinds = [
        f"{_mean([count.keys[kind] for count in counted]):.1f}"
        for kind in ("n", "grade", "finding", "=", "confirm", "review", "sign", "open")
    ]
    cells = [
        name,
        str(len(counted)),
        *kinds,
        f"{_mean(joint):.2f}",
        f"{_mean(each):.3f}",
        f"{_mean(looked):.3f}",
        f"{max(looked):.2f}",
        f"{_mean(total):.3f}",
        str(sum(count.refused for count in counted)),
    ]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| scheme, rater | cases | n | grade | finding | = | confirm | review | sign | open "
    "| keys a joint | keys a field, scoring | **keys a field** | worst case | with opening and sign-off | refused |\n|"
    + "---|"
    * 16
)


def play(scheme: str, population: str, cases: int) -> None:
    """Print the rows of one scheme and population: all raters, and one with only normal answers."""
    with tempfile.TemporaryDirectory() as folder:
        keys = {f"{name}-keys": kind for name, kind in KINDS.items()}
        raters = {**KINDS, **keys, "nil-keys": KINDS["ada"]}
        what = Simulation(cases, raters, size=SIZE, seed=7, scheme=scheme, severity=POPULATIONS[population])
        unread = dict.fromkeys((*keys, "nil-keys"), cases)
        study = simulate_study(
            Path(folder) / "study", what, key=Path(folder) / "key.json", progress=_quiet, unread=unread
        ).study
        if population == "trial":
            counted = asyncio.run(play_rater(study, "nil-keys", healthy(study)))
            print(row(f"{scheme}, normal cases", counted), flush=True)
        everything = []
        for name, kind in KINDS.items():
            counted = asyncio.run(play_rater(study, f"{name}-keys", as_read(study, name)))
            everything += counted
            print(row(f"{scheme}, {population}, {kind}", counted), flush=True)
        print(row(f"**{scheme}, {population}, all**", everything), flush=True)


def main() -> None:
    """Print the tables of all schemes and populations."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    begun = time.monotonic()
    print(HEAD)
    for scheme in ("fingers", "mtss-hands"):
        for population in POPULATIONS:
            play(scheme, population, cases)
    print(f"\n{time.monotonic() - begun:.0f} s in all", file=sys.stderr)


def _quiet(stage: str, done: int, of: int) -> None:
    """Show no progress."""


if __name__ == "__main__":
    main()
