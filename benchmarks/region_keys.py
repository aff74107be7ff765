"""Count the keys from opening a case to the confirmed regions of all its films.

Run ``python -m benchmarks.region_keys [CASES]``. ``--detector`` takes the proposals of the shipped detector, as after an
import, instead of simulated models; with ``--hand FOLDER`` also those on a real hand, whose boxes by eye are in FOLDER and
in ``wrists_by_eye.json``. Its film is the earlier one of the case, and the same film turned by 4° the later one.

A simulated rater opens phantom cases with the scheme ``mtss-hands`` (both hands, two time points) in the real app. The rater
moves boxes that look more than a quarter of a box off, and accepts the others. It judges each box with an error of a
twentieth of a box. It taps keys and holds none down. Every box is counted that is confirmed more than a quarter off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.imaging import Box, read_film, write_film
from ratui.regions.editor import RegionEditor
from ratui.regions.initial import StepSize
from ratui.regions.proposals import propose_sites
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.regions.screen import RegionsScreen
from tests.tui.conftest import reading_as, settle
from tests.tui.phantom_case import PhantomCase, phantom_case

WRONG = 0.25
"""Distance from the joint, in boxes, above which a box is wrong."""
AIM = 0.1
"""Distance across and down up to which the rater moves a box that looks wrong."""
JUDGEMENT = 0.05
"""Standard deviation of the rater's judgement, in boxes."""
FINGERS = ("PIP", "MCP")
PROPOSALS = {"no model": (), "finger joints by a model": FINGERS, "all joints by a model": (*FINGERS, "wrist")}
"""Groups of joints that a model has proposed, with the errors `MODEL_ERROR`."""
MODEL_ERROR = 0.03
STEPS: dict[str, Callable[[RegionEditor], RegionEditor]] = {
    "tab": lambda editor: editor.step(1),
    "shift+tab": lambda editor: editor.step(-1),
    "shift+left": lambda editor: editor.step_towards(-1, 0),
    "shift+right": lambda editor: editor.step_towards(1, 0),
    "shift+up": lambda editor: editor.step_towards(0, -1),
    "shift+down": lambda editor: editor.step_towards(0, 1),
}
"""Keys that go to another box, with their effect."""
FAR = {"left": "H", "right": "L", "up": "K", "down": "J"}
_FAR_STEP, _STEP = 0.5, 0.06
SCREEN = (80, 12)
"""Columns and rows of the terminal: drawing films on it is cheap."""
_MOST = 3000
"""Number of keys per case above which the rater gives up."""


@dataclass
class Result:
    """Keys and boxes of one case."""

    films: int
    boxes: int = 0
    wrong: int = 0
    corrected: int = 0
    keys: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Return the number of all keys."""
        return sum(self.keys.values())


class RegionPlayer:
    """A rater who confirms the regions of the case that is open on `screen`.

    With `looks` False, the rater accepts everything at once.
    """

    def __init__(self, pilot: object, phantom: PhantomCase, rng: np.random.Generator, looks: bool) -> None:
        self._pilot = pilot
        self._phantom = phantom
        self._rng = rng
        self._looks = looks
        self._errors: dict[tuple[str, str], np.ndarray] = {}  # type: ignore[type-arg]
        self._corrected: set[tuple[str, str]] = set()
        self._refused: set[tuple[str, str]] = set()
        self.result = Result(len(phantom.case.films))

    async def play(self) -> None:
        """Press keys until the regions screen is left."""
        while isinstance(screen := self._pilot.app.screen, RegionsScreen):  # type: ignore[attr-defined]
            assert self.result.total < _MOST, "the case does not end"
            editor = screen._editor
            assert editor is not None
            asked = screen.keys_to_accept
            off = [key for key in asked if self._looks and self._looks_wrong(editor, key)]
            if not off:
                await self._press("A", "A")
                if _is_asking(screen):
                    await self._press("enter", "confirm")
                await self._resolve_refusal(screen, editor.film.id)
            elif editor.site.key in off:
                await self._correct(editor)
                if len(off) > 1:
                    await self._press("enter", "enter")
            else:
                await self._go_to(editor, off)
        study, case = self._phantom.study, self._phantom.case
        for film in case.films:
            regions = {region.site: region for region in study.regions(case.id) if region.film == film.id}
            distances = self._phantom.distances_from_truth(film, regions)
            self.result.boxes += len(distances)
            self.result.wrong += sum(distance > WRONG for distance in distances)
        self.result.corrected = len(self._corrected)

    async def _resolve_refusal(self, screen: RegionsScreen, film: str) -> None:
        """Look again at two boxes that were refused, and shrink the active one if both lie on their joints."""
        if self._pilot.app.screen is not screen or not screen._faults:  # type: ignore[attr-defined]
            return
        editor, keys = screen._editor, {key for fault in screen._faults for key in (fault.site, fault.other) if key}
        assert editor is not None
        self._refused |= {(film, key) for key in keys}
        if not any(self._looks_wrong(editor, key) for key in keys):
            await self._press("minus", "size")

    def _offset(self, editor: RegionEditor, key: str) -> np.ndarray:  # type: ignore[type-arg]
        """Return how far the joint seems to be right of and below its box, in boxes."""
        box, truth = editor.regions[key].box, self._phantom.truth[editor.film.id][key]
        assert box is not None
        error = self._errors.setdefault((editor.film.id, key), self._rng.normal(0.0, JUDGEMENT, 2))
        return (np.array(truth.centre) - box.centre) / truth.width + error

    def _looks_wrong(self, editor: RegionEditor, key: str) -> bool:
        offset = self._offset(editor, key)
        if (editor.film.id, key) in self._refused:
            return bool(max(abs(offset)) > AIM)
        return bool(np.hypot(*offset) > WRONG)

    async def _correct(self, editor: RegionEditor) -> None:
        """Move the active box until it lies on its joint."""
        self._corrected.add((editor.film.id, editor.site.key))
        while max(abs(offset := self._offset(editor, editor.site.key))) > AIM:
            axis = int(np.argmax(abs(offset)))
            way = (("left", "right"), ("up", "down"))[axis][int(offset[axis] > 0)]
            is_far = abs(offset[axis]) > _FAR_STEP / 2 + _STEP
            await self._press(FAR[way] if is_far else way, "far" if is_far else "arrow")
            editor = self._pilot.app.screen._editor  # type: ignore[attr-defined]

    async def _go_to(self, editor: RegionEditor, wanted: list[str]) -> None:
        """Go to the site of `wanted` that needs the fewest keys."""
        paths: dict[str, list[str]] = {editor.site.key: []}
        queue = [editor.site.key]
        while (key := queue.pop(0)) not in wanted:  # a breadth-first search
            for pressed, step in STEPS.items():
                there = step(editor.select_site(key)).site.key
                if there not in paths:
                    paths[there] = [*paths[key], pressed]
                    queue.append(there)
        for pressed in paths[key]:
            await self._press(pressed, "go")

    async def _press(self, key: str, kind: str) -> None:
        self.result.keys[kind] += 1
        await self._pilot.press(key)  # type: ignore[attr-defined]
        if kind in ("A", "confirm", "enter"):
            await settle(self._pilot)  # type: ignore[arg-type]
            await settle(self._pilot)  # type: ignore[arg-type]


def _is_asking(screen: KeyScreen[None]) -> bool:
    return isinstance(screen, RegionsScreen) and screen.is_asking


def propose(phantom: PhantomCase, groups: tuple[str, ...], rng: np.random.Generator) -> None:
    """Save proposals for the joints of `groups` on all films."""
    scheme = phantom.study.scheme
    kinds = {site.key: site.joint.group for site in scheme.sites}

    def place(box: Box) -> Box:
        return box.shift(*(float(v) for v in rng.normal(0.0, MODEL_ERROR * box.width, 2)))

    found = [
        Region(key, film, place(box), RegionSource.MODEL, "", 0.95, "model")
        for film, boxes in phantom.truth.items()
        for key, box in boxes.items()
        if kinds.get(key) in groups
    ]
    if found:
        phantom.study.save_proposals("model", phantom.case.id, found)


def real_case(folder: Path, hand: Path) -> PhantomCase:
    """Return a case of the real hand in the folder `hand`, whose later film is the earlier one turned by 4°."""
    fingers = json.loads((hand / "joint_boxes_by_eye.json").read_text(encoding="utf-8"))
    source = hand / fingers["file"]
    wrists = json.loads(Path(__file__).with_name("wrists_by_eye.json").read_text(encoding="utf-8"))["films"]
    names = {each["joint"].replace("MP", "MCP"): each["box"] for each in fingers["joints"]}
    boxes = {f"R.{name}": Box(*box) for name, box in names.items()}
    boxes |= {f"R.{site}": Box.from_centre(*box) for site, box in wrists[source.stem]["boxes"].items()}
    levels = normalise_levels(read_film(source))
    rows, columns = levels.shape
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), 4.0, 1.0)
    turned = cv2.warpAffine(levels, turn, (columns, rows), flags=cv2.INTER_AREA)
    study, records, truth = Study.create(folder / "real", "mtss-hands", ["anna"]), [], {}
    for time_point, picture in enumerate((levels, np.asarray(turned, np.float32))):
        id, spacing = f"film{time_point}R", (0.1, 0.1)
        path = study.film_path("C-1", id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_film(path, np.rint(picture * 4095).astype(np.uint16), spacing=spacing)
        records.append(FilmRecord(id, time_point, "R", "hand", rows, columns, 400 * time_point, spacing))
        moved = {key: turn @ [*box.centre, 1.0] if time_point else box.centre for key, box in boxes.items()}
        truth[id] = {key: Box.from_centre(*map(float, moved[key]), box.width) for key, box in boxes.items()}
    case = Case("C-1", tuple(records))
    study.save_case(case)
    return PhantomCase(study, case, truth)


async def play(
    seed: int, groups: tuple[str, ...] | None, *, both: bool = False, looks: bool = True, hand: Path | None = None
) -> Result:
    """Confirm the regions of one case; without `groups` the shipped detector has proposed them."""
    rng = np.random.default_rng([31, seed])
    with tempfile.TemporaryDirectory() as folder:
        if hand is not None:
            phantom = real_case(Path(folder), hand)
        else:
            phantom = phantom_case(Path(folder), both=both, seed=seed, scheme="mtss-hands")
        if groups is None:
            propose_sites(phantom.study, load_shipped_detector(), "shipped")
        else:
            propose(phantom, groups, rng)
        async with reading_as(phantom.study, "anna", size=SCREEN) as pilot:
            await pilot.press("enter")
            await settle(pilot)
            await settle(pilot)
            player = RegionPlayer(pilot, phantom, rng, looks)
            await player.play()
        return player.result


def row(name: str, results: list[Result]) -> str:
    """Return a row of the table: means over the cases."""

    def mean(kind: str) -> str:
        return f"{np.mean([result.keys[kind] for result in results]):.1f}"

    boxes, wrong = sum(result.boxes for result in results), sum(result.wrong for result in results)
    totals = [result.total for result in results]
    cells = [
        name,
        f"{np.mean([result.corrected for result in results]):.1f}",
        *(mean(kind) for kind in ("far", "arrow", "size", "go", "enter", "A", "confirm")),
        f"**{np.mean(totals):.1f}**",
        str(max(totals)),
        f"{100 * wrong / boxes:.1f} %",
    ]
    return f"| {' | '.join(cells)} |"


def describe(both: bool, looks: bool) -> str:
    """Return the name of a kind of films and of rater."""
    return f"{'both hands on a film' if both else 'a film of each hand'}{'' if looks else ', accepted without looking'}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="?", type=int, default=6)
    parser.add_argument("--detector", action="store_true", help="the proposals of the shipped detector")
    parser.add_argument("--hand", type=Path, help="folder of a real hand with boxes by eye")
    arguments = parser.parse_args()
    cases = arguments.cases
    proposals: dict[str, tuple[str, ...] | None] = (
        {"the shipped detector": None} if arguments.detector else {**PROPOSALS}
    )
    StepSize.REPEAT_SECONDS = 0.0  # keys that arrive quickly here are not held down
    begun = time.monotonic()
    print("| boxes, films | corrected | far | arrow | size | go | Enter | A | confirm | **keys** | most | wrong |")
    print("|" + "---|" * 12)
    for proposed, groups in proposals.items():
        for both, looks in ((False, True), (True, True), (False, False)) if cases else ():
            results = [asyncio.run(play(seed, groups, both=both, looks=looks)) for seed in range(cases)]
            print(row(f"{proposed}, {describe(both, looks)}", results), flush=True)
    if arguments.hand is not None:
        for looks in (True, False):
            result = asyncio.run(play(0, None, looks=looks, hand=arguments.hand))
            name = "the shipped detector, the real hand" + ("" if looks else ", accepted without looking")
            print(row(name, [result]), flush=True)
    print(f"\n{time.monotonic() - begun:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
