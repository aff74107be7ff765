"""How many keys a case takes: ``python benchmarks/keystrokes.py [CASES]`` reads whole phantom studies through the real app.

Simulated raters know what they want to enter; a player presses for them, by keys alone and only keys that stand on the
screen, from the worklist to the signature. What is on the disk afterwards must be what they wanted.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.text import Text
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.demo.simulate import Simulation, simulate_study
from ratui.reading import Entry, Field, Graded, NotAssessable, Reading
from ratui.study import Study
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.actions import entry_key
from ratui.tui.palette import KEY
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.scoring import ScoringScreen

KINDS = {"ada": "shared-shift", "ben": "threshold", "cho": "mixed", "dan": "independent"}
SIZE = (500, 410)
"""Rows and columns of a film: small, since nobody looks at it here."""
SCREEN = (80, 12)
"""Columns and rows of the terminal: all that is pressed stands on it, and the films cost little."""
_MOST = 2000
"""Keys a case may take before something must be wrong."""


@dataclass
class Counted:
    """Keys of one case by what they do; `normal` says that every field of it was 0."""

    fields: int
    joints: int
    normal: bool
    keys: Counter[str] = field(default_factory=Counter)

    @property
    def scoring(self) -> int:
        return sum(self.keys[kind] for kind in ("grade", "finding", "reason", "n", "=", "again"))


class Player:
    """Presses what a rater would to make `wanted` the reading of one case."""

    def __init__(self, app: RatuiApp, wanted: Reading) -> None:
        self._app = app
        self._wanted = wanted.values
        every = list(wanted.values.values())
        self.counted = Counted(len(wanted.fields), len(wanted.sites), all(value == Graded(0) for value in every))

    async def play(self) -> None:
        """From the worklist, where the case waits, to the signature."""
        await self._press("enter", "open")
        for _ in range(_MOST):
            screen = self._app.screen
            assert isinstance(screen, KeyScreen)
            if isinstance(screen, ScoringScreen):
                await self._answer(screen)
            elif screen.NAME == "second_look":
                await self._press("enter", "second look")
            elif screen.NAME == "overview":
                await self._press("S", "sign")
            elif screen.NAME == "worklist":
                return
            else:
                raise AssertionError(f"nobody asked for {screen.NAME}")
        raise AssertionError("the case does not end")

    async def _answer(self, screen: ScoringScreen) -> None:
        """One answer to the field that waits."""
        asked, reading, offered = screen.talk.field, screen.reading, offered_keys(screen)
        rest = [each for each in reading.joint_fields(asked.site) if each not in reading.values]
        key, kind = self._key(asked, rest, reading, screen, offered)
        assert key in offered, f"{key} is not on the screen: {offered}"
        await self._press(key, kind)
        if kind == "reason":
            wanted = self._wanted[asked]
            await self._press(entry_key(reading.scheme, wanted), "reason")
        elif screen.talk.pending is not None:
            await self._press(key, "again")

    def _key(
        self, asked: Field, rest: list[Field], reading: Reading, screen: ScoringScreen, offered: set[str]
    ) -> tuple[str, str]:
        if "n" in offered and all(self._wanted[each] == Graded(0) for each in rest):
            return "n", "n"
        if screen.talk.may_pair and not screen.talk.both and "=" in offered and self._stable(rest, reading):
            return "=", "="
        entry: Entry = self._wanted[asked]
        if isinstance(entry, NotAssessable):
            return "x", "reason"
        return entry_key(reading.scheme, entry), "grade" if isinstance(entry, Graded) else "finding"

    def _stable(self, rest: list[Field], reading: Reading) -> bool:
        """Whether saying once what counts for both time points saves a key."""
        pairs = {each._replace(time=0) for each in rest}
        alike = all(self._wanted[each] == self._wanted[twin] for each in rest for twin in reading.twins(each))
        return alike and len(pairs) > 1 and len(rest) == 2 * len(pairs)

    async def _press(self, key: str, kind: str) -> None:
        self.counted.keys[kind] += 1
        self._app.keyboard.typed(Key(key, key if len(key) == 1 else None))
        await self._app.keyboard.idle()


def offered_keys(screen: ScoringScreen) -> set[str]:
    """The keys that stand on the bottom lines."""
    content = screen.query_one("#keys", Static).content
    assert isinstance(content, Text), repr(content)
    return {content.plain[span.start : span.end].strip() for span in content.spans if span.style == KEY}


async def play_rater(study: Study, rater: str, model: str) -> list[Counted]:
    """All cases of `study`, read by `rater` as `model` has read them."""
    app = RatuiApp(study, rater, Display("halfcell"))
    app.animation_level = "none"
    counted = []
    async with app.run_test(size=SCREEN) as pilot:
        await _shown(pilot)
        for _ in study.cases():
            case = next_case(study, rater)
            wanted = study.reading(model, case)
            assert wanted is not None
            player = Player(app, wanted)
            await player.play()
            done = study.reading(rater, case)
            assert done is not None
            assert done.signed, case
            assert done.values == wanted.values, f"{case} is not what was wanted"
            counted.append(player.counted)
    return counted


async def _shown(pilot: Pilot[None]) -> None:
    await pilot.pause()


def next_case(study: Study, rater: str) -> str:
    """The case that the worklist has selected: the first that isn't signed."""
    return next(case for case in study.cases() if study.state(rater, case).stage != "signed")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def row(name: str, counted: list[Counted]) -> str:
    """One line of the table: what a case takes on average."""
    each = [count.scoring / count.fields for count in counted]
    total = [sum(count.keys.values()) / count.fields for count in counted]
    normal = [count.scoring / count.joints for count in counted if count.normal]
    kinds = [
        f"{_mean([count.keys[kind] for count in counted]):.1f}"
        for kind in ("n", "grade", "finding", "=", "again", "second look", "sign", "open")
    ]
    clean = f"{max(normal):.2f}" if normal else "–"
    cells = [name, str(len(counted)), *kinds, clean, f"{_mean(each):.3f}", f"{max(each):.2f}", f"{_mean(total):.3f}"]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| scheme, rater | cases | n | grade | finding | = | again | second look | sign | open "
    "| keys a joint, normal cases | **keys a field** | worst case | with sign-off |\n|" + "---|" * 14
)


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    begun = time.monotonic()
    print(HEAD)
    for scheme in ("fingers", "mtss-hands"):
        with tempfile.TemporaryDirectory() as folder:
            raters = {**KINDS, **{f"{name}-keys": kind for name, kind in KINDS.items()}}
            what = Simulation(cases, raters, size=SIZE, seed=7, scheme=scheme)
            unread = {f"{name}-keys": cases for name in KINDS}
            study = simulate_study(
                Path(folder) / "study", what, key=Path(folder) / "key.json", progress=_quiet, unread=unread
            )
            everything = []
            for name, kind in KINDS.items():
                counted = asyncio.run(play_rater(study, f"{name}-keys", name))
                everything += counted
                print(row(f"{scheme}, {kind}", counted), flush=True)
            print(row(f"**{scheme}, all**", everything), flush=True)
    print(f"\n{time.monotonic() - begun:.0f} s in all", file=sys.stderr)


def _quiet(stage: str, done: int, of: int) -> None:
    """Nobody waits for a bar here."""


if __name__ == "__main__":
    main()
