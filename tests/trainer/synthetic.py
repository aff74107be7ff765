"""Tiny data in memory for tests of the trainer's values: a study, samples of joints and hands, a cohort, and a scorer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ratui.imaging import Box, Film
from ratui.reading import Field, Slot
from ratui.scheme import Scheme, load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource
from ratui.study.campaign.charter import Charter
from trainer.data.cohort import Cohort
from trainer.data.hands import Frame, HandSamples
from trainer.data.pairs import PairSamples
from trainer.models.scorer import Pairing, PairScorer

SCHEME = load_scheme("fingers")
ROWS, COLUMNS = 60, 48
"""Size of a film of `SmallStudy`."""


@dataclass(frozen=True)
class SmallReading:
    """A reading by one rater: scores by field, and the slots with a special finding."""

    rater: str
    scores: Mapping[Field, int] = field(default_factory=dict)
    found: frozenset[Slot] = frozenset()
    site_keys: tuple[str, ...] = tuple(site.key for site in SCHEME.sites)

    def score(self, at: Field) -> int | None:
        return self.scores.get(at)

    def finding(self, slot: Slot) -> str | None:
        return "ankylosis" if slot in self.found else None


def ramp(*, across: float = 1.0, down: float = 0.0) -> np.ndarray:
    """Return pixels of a film whose level rises linearly across and down."""
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    return np.rint(3000 * (across * x / COLUMNS + down * y / ROWS)).astype(np.uint16)


@dataclass
class SmallStudy:
    """A study in memory with films of both sides at both time points, as far as the loading of samples needs it."""

    readings: dict[str, tuple[SmallReading, ...]]
    boxes: dict[tuple[str, int], Box]
    """Confirmed boxes of all cases by site and time point."""
    raters: tuple[str, ...] = ("ada", "ben")
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    """Pixels by film, ``L0`` for the left hand at time point 0; a ramp by default."""
    inverted: frozenset[str] = frozenset()
    path: Path = Path("study")
    scheme: Scheme = SCHEME
    config: Any = None

    def __post_init__(self) -> None:
        self.config = SimpleNamespace(raters=self.raters, id="S", stored_format=2, charter=Charter())

    def cases(self) -> tuple[str, ...]:
        return tuple(self.readings)

    def check_manager(self, _what: str) -> None:
        pass

    def add_notice(self, *_: object) -> None:
        raise AssertionError("nothing of this study is damaged")

    @contextmanager
    def snapshot(self) -> Iterator[SmallStudy]:
        yield self

    def case(self, id: str) -> Case:
        # The later film of each side comes first: nothing may depend on the order of the films.
        films = [
            FilmRecord(f"{side}{time}", time, side, "hand", ROWS, COLUMNS, file=f"{id}-{side}{time}")
            for side in ("L", "R")
            for time in (1, 0)
        ]
        return Case(id, tuple(films))

    def regions(self, case: Case | str) -> tuple[Region, ...]:
        return tuple(
            Region(site, f"{site[0]}{time}", box, RegionSource.RATER, "ada") for (site, time), box in self.boxes.items()
        )

    def proposals(self, case: Case | str) -> tuple[Region, ...]:
        return ()

    def signed_readings(self, case: str) -> tuple[SmallReading, ...]:
        return self.readings[case]

    def film(self, case: str, film: str, orientation: object) -> Film:
        return Film(self.pixels.get(film, ramp()), 12, is_inverted=film in self.inverted)


def make_pairs(labels: Any, *, cases: tuple[str, ...] | None = None, side: int = 16, seed: int = 0) -> PairSamples:
    """Return joints of two scales with random crops; `labels` (N, raters, 2, 2) with −1 for a missing score."""
    labels = np.asarray(labels, np.int64)
    count = len(labels)
    return PairSamples(
        np.random.default_rng(seed).integers(0, 256, (count, 2, side, side), np.uint8),
        labels,
        np.tile([3, 2], (count, 1)),
        np.arange(count) % 2,
        np.zeros((count, labels.shape[1], 2), bool),
        cases or tuple(f"C{row // 2}" for row in range(count)),
        tuple(f"L.MCP{row + 1}" for row in range(count)),
        ("PIP", "MCP"),
        ("ERO", "JSN"),
    )


def make_hands(cases: tuple[str, ...], boxes: Any, findings: Any, *, kinds: tuple[int, ...] = (0, 1)) -> HandSamples:
    """Return hands with empty images; `boxes` (N, J, 4) and `findings` (N, J)."""
    boxes = np.asarray(boxes, np.float32)
    return HandSamples(
        np.zeros((len(cases), 4, 4), np.uint8),
        boxes,
        np.asarray(findings, np.float32),
        np.array(kinds),
        tuple(Frame(Box(0.0, 0.0, 320.0, 320.0), mirrored=False, scale=1.0) for _ in cases),
        cases,
        tuple(f"film{row}" for row in range(len(cases))),
        ("L",) * len(cases),
        tuple(f"{('PIP', 'MCP')[kind]}{2 + column}" for column, kind in enumerate(kinds)),
    )


def make_cohort(patients: int, *, seed: int = 0, first: int = 0) -> Cohort:
    """Return a cohort of noise in place of films: `patients` patients with random grades, numbered from `first`."""
    rng = np.random.default_rng(seed)
    sites = SCHEME.sites
    count = patients * len(sites)
    grades = rng.integers(0, 5, (count, len(SCHEME.scales), 2))
    people = tuple(SimpleNamespace(seed=first + number) for number in range(patients))
    return Cohort(
        SCHEME,
        people,  # type: ignore[arg-type]
        rng.integers(0, 256, (count, 2, 8, 8), np.uint8),
        grades,
        np.zeros((count, 2), bool),
        np.repeat(np.arange(patients), len(sites)),
        tuple(site.key for site in sites) * patients,
    )


def make_scorer(pairing: Pairing = "coupled", rater_model: str = "none", *, dropout: bool = True) -> PairScorer:
    """Return a small scorer for `make_pairs` with two raters, always with the same weights."""
    torch.manual_seed(3)
    model = PairScorer((4, 3), 2, pairing=pairing, rater_model=rater_model, raters=2, width=8)
    if not dropout:
        turn_dropout_off(model)
    return model


def turn_dropout_off(model: torch.nn.Module) -> None:
    """Turn off every dropout of `model`."""
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Dropout)]
    assert layers, "the model has none"
    for layer in layers:
        layer.p = 0.0


def quiet(*_: object) -> None:
    """Take the place of a progress bar."""


READ_SITES = ("L.MCP2", "L.PIP3")
"""The joints of `make_reading`."""


def make_reading(rater: str, number: int) -> SmallReading:
    """Return a reading of two joints, with other grades for each `number`."""
    scores = {
        Field(site, scale, time): (number + place + time) % 3
        for place, site in enumerate(READ_SITES)
        for scale in ("ERO", "JSN")
        for time in (0, 1)
    }
    return SmallReading(rater, scores)


def make_read_study(cases: Sequence[str], path: Path) -> SmallStudy:
    """Return a study at `path` whose cases two raters have read, each with other grades."""
    boxes = {(site, time): Box(8.0, 12.0, 28.0, 32.0) for site in READ_SITES for time in (0, 1)}
    readings = {
        case: (make_reading("ada", number), make_reading("ben", number + 1)) for number, case in enumerate(cases)
    }
    return SmallStudy(readings, boxes, path=path)
