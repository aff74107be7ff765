"""Training crops of feet, with the centres and sizes of their sites: simulated feet, and those of a study.

All crops are upright left feet at the same number of mm of a usual foot per pixel, and wider than what the network sees, so
that augmentation can turn and shift them. Some simulated crops show a hand, and no site.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ratui.detection.crops import compose, crop_square, invert, map_points, scale_of
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.foot_sites import FOOT_HELPERS, FOOT_SITES, shows_feet
from ratui.detection.parts import PARTS
from ratui.detection.shape import ShapeModel, learn_shape
from ratui.errors import TrainError
from ratui.imaging import Film, fit_similarity
from ratui.imaging.geometry import Matrix, make_similarity
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import load_scheme
from ratui.study import Study
from ratui.study.intact import intact_case, intact_regions
from trainer.data.image_cache import ImageCache, ImageRows
from trainer.data.phantoms import digest_simulator
from trainer.data.splits import pick_validation_cases

__all__ = [
    "FOOT_SAMPLE_SIZE", "FOOT_SAMPLE_STEP", "FootSamples", "learn_foot_shape", "load_foot_samples", "place_foot",
    "simulate_feet", "split_feet",
]  # fmt: skip

FOOT_SAMPLE_SIZE = 320
"""Side of a crop, in pixels."""
FOOT_SAMPLE_STEP = 0.65
"""Width of a pixel of a crop, in mm of a foot of usual size."""
USUAL_WIDTHS = np.array([22.0, 28.0, 19.0, 18.5, 18.5, 18.5])
"""Sides of the boxes of `FOOT_SITES` on a foot of usual size, in mm."""
_USUAL_PLACES = np.array(
    [
        [26.8, -59.7], [34.1, -29.7], [9.1, -34.8], [-7.4, -32.0], [-22.7, -25.7], [-38.6, -13.9],
        [29.4, 34.8], [11.5, 39.9], [-2.3, 36.7], [-14.1, 39.6], [-25.8, 44.7],
    ]
)  # fmt: skip
"""Usual places of `FOOT_SITES` and `FOOT_HELPERS` on a left foot, in mm. The origin is their mean."""
_PLACE_WEIGHTS = np.array([0.2, *[1.0] * 10])
"""Weights of the places in the frame of a crop: the tip of the big toe varies most."""
MIN_SITES = 3
"""Least number of known sites from which the position of a foot follows."""
MIN_FEET = 24
"""Least number of complete feet from which a shape model is learned."""
_VERSION = 1  # to be raised if the same arguments give other samples
_BOTH_FEET, _HANDS, _CHILDREN = 0.33, 0.15, 0.06
Point: TypeAlias = tuple[float, float]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FootSamples:
    """N crops of feet.

    Attributes
    ----------
    images
        Crops, shape (N, FOOT_SAMPLE_SIZE, FOOT_SAMPLE_SIZE), uint8, bone bright, black outside of the film.
    points
        Centres of `FOOT_SITES`, then the places of `FOOT_HELPERS`, in pixels of the crop, (N, S, 2); NaN where unknown.
    widths
        Sides of the boxes of `FOOT_SITES` in pixels of the crop, shape (N, 6); NaN where unknown.
    empty
        True for a crop that shows no site of a foot, shape (N,).
    cases
        Case of each foot.
    source
        Kind of the data set that the feet are of, as in `trainer.data.hands.HandSamples`.
    """

    images: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    widths: npt.NDArray[np.float32]
    empty: npt.NDArray[np.bool_]
    cases: tuple[str, ...]
    source: str = "study"

    def select(self, cases: Collection[str]) -> FootSamples:
        """Return the feet of `cases`. Their images are read when they are needed."""
        rows = [row for row, case in enumerate(self.cases) if case in cases]
        return replace(
            self,
            images=cast(npt.NDArray[np.uint8], ImageRows(self.images, rows)),
            points=self.points[rows],
            widths=self.widths[rows],
            empty=self.empty[rows],
            cases=tuple(self.cases[row] for row in rows),
        )

    @property
    def sizes(self) -> npt.NDArray[np.float32]:
        """Logarithm of the foot's size relative to the usual one, by the sizes of its boxes, (N,); NaN where unknown."""
        ratios = np.log(self.widths * FOOT_SAMPLE_STEP / USUAL_WIDTHS)
        known = np.isfinite(ratios)
        total = np.where(known, ratios, 0.0).sum(axis=1)
        return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan).astype(np.float32)


def split_feet(samples: FootSamples, share: float, seed: int = 0) -> tuple[FootSamples, FootSamples]:
    """Return the feet to learn from, and those of about `share` of the cases, to validate with."""
    validation = set(pick_validation_cases(samples.cases, seed=seed, share=share, required=True))
    return samples.select(set(samples.cases) - validation), samples.select(validation)


def learn_foot_shape(samples: Sequence[FootSamples]) -> ShapeModel | None:
    """Return the shape model of the feet in `samples` of which all landmarks are known, or None if they are too few."""
    points = []
    for each in samples:
        complete = np.isfinite(each.points).all(axis=(1, 2)) & np.isfinite(each.sizes)
        scale = FOOT_SAMPLE_STEP / np.exp(each.sizes[complete].astype(np.float64))
        points.append(each.points[complete].astype(np.float64) * scale[:, None, None])
    if sum(map(len, points)) < MIN_FEET:
        return None
    layout, together = PARTS["foot"], np.concatenate(points)
    widths = np.concatenate([USUAL_WIDTHS, np.zeros(len(layout.helpers))])
    return learn_shape(together, np.zeros((len(together), 0, 3)), layout.landmarks, layout.joints, widths)


def load_foot_samples(
    study: Study, cases: Sequence[str], folder: Path, progress: Progress, *, required: bool = False
) -> FootSamples:
    """Return all feet of `cases` with confirmed boxes; the bases of their metatarsals are unknown.

    Parameters
    ----------
    study, cases
        The study, and the cases to load.
    folder
        Cache of the images.
    progress
        Called with a text, the number done and the total.
    required
        Raise an error if there is no such foot.

    Raises
    ------
    TrainError
        If `required` and no foot has `MIN_SITES` confirmed boxes.
    """
    scheme, entries = study.scheme, []
    for id in cases:
        case = intact_case(study, id)
        if case is None:
            continue
        regions = [region for region in intact_regions(study, case) if region.confirmed_by and region.box]
        for film in case.films:
            for side in film.sides if shows_feet(scheme, film.view) else ():
                boxes = {
                    region.site.partition(".")[2]: region.box
                    for region in regions
                    if region.film == film.id and region.site.startswith(f"{side}.") and region.box
                }
                frame = place_foot({name: box.centre for name, box in boxes.items()}, side)
                if frame is not None:
                    entries.append((id, film, boxes, frame))
    if required and not entries:
        raise TrainError("no foot has enough confirmed regions", study.path, "Confirm the regions of some feet first")
    count, size = len(entries), FOOT_SAMPLE_SIZE
    points = np.full((count, len(FOOT_SITES) + len(FOOT_HELPERS), 2), np.nan, np.float32)
    widths = np.full((count, len(FOOT_SITES)), np.nan, np.float32)
    images = np.zeros((0, size, size), np.uint8)
    if entries:
        content = [(film.file or film.id, film.orientation, frame.tolist()) for _, film, _, frame in entries]
        cache = ImageCache(folder, "feet", (count, size, size), content)
        for row, (id, film, boxes, frame) in enumerate(entries):
            if not cache.is_complete:
                progress("preparing feet", row, count)
                levels = normalise_levels(study.film(id, film.id, film.orientation))
                cache.images[row] = crop_square(levels, frame, size)
            for column, name in enumerate(FOOT_SITES):
                if name in boxes:
                    points[row, column] = map_points(invert(frame), np.array(boxes[name].centre))
                    widths[row, column] = boxes[name].width / scale_of(frame)
        cache.finish()
        images = cache.images
    return FootSamples(images, points, widths, np.zeros(count, np.bool_), tuple(id for id, *_ in entries))


def place_foot(points: Mapping[str, Point], side: str) -> Matrix | None:
    """Return the transform from a crop to the film for a foot with known sites and helpers, by name, on the film.

    The result is None if fewer than `MIN_SITES` of them are known.
    """
    rows = [row for row, name in enumerate((*FOOT_SITES, *FOOT_HELPERS)) if name in points]
    if len(rows) < MIN_SITES:
        return None
    flip = np.array([-1.0 if side == "R" else 1.0, 1.0])
    centres = np.array([points[name] for name in (*FOOT_SITES, *FOOT_HELPERS) if name in points])
    to_mirrored = fit_similarity(_USUAL_PLACES[rows], centres * flip, _PLACE_WEIGHTS[rows])
    middle = np.full(2, FOOT_SAMPLE_SIZE / 2)
    return compose(to_mirrored * flip[:, None], make_similarity(FOOT_SAMPLE_STEP, 0.0, middle, np.zeros(2)))


def _true_places(film: PhantomFilm, side: str) -> dict[str, Point]:
    places = {name: film.boxes[f"{side}.{name}"].centre for name in FOOT_SITES}
    return {**places, **{name: film.landmarks[f"{side}.{name}"] for name in FOOT_HELPERS}}


def simulate_feet(count: int, folder: Path, progress: Progress, *, seed: int = 0, ill: float = 0.5) -> FootSamples:
    """Return `count` crops of simulated films of feet, a third of them of both feet, and one in seven of a hand instead.

    The parameters are those of `trainer.data.phantoms.simulate_hands`.
    """
    sites = len(FOOT_SITES) + len(FOOT_HELPERS)
    shape = (count, FOOT_SAMPLE_SIZE, FOOT_SAMPLE_SIZE)
    cache = ImageCache(folder, "feet", shape, (_VERSION, digest_simulator(), count, seed, ill))
    kept = cache.path.with_suffix(".npz")
    points = np.full((count, sites, 2), np.nan, np.float32)
    widths = np.full((count, len(FOOT_SITES)), np.nan, np.float32)
    empty = np.zeros(count, np.bool_)
    if cache.is_complete:
        with np.load(kept) as arrays:
            points, widths, empty = arrays["points"], arrays["widths"], arrays["empty"]
    else:
        for row, (film, side, frame) in enumerate(_simulate_films(count, seed, ill)):
            progress("drawing feet", row, count)
            levels = normalise_levels(Film(film.pixels, 12))
            cache.images[row] = crop_square(levels, frame, FOOT_SAMPLE_SIZE)
            empty[row] = film.part == "hand"
            if film.part == "foot":
                points[row] = map_points(invert(frame), np.array(list(_true_places(film, side).values())))
                widths[row] = [film.boxes[f"{side}.{name}"].width / scale_of(frame) for name in FOOT_SITES]
        np.savez(kept, points=points, widths=widths, empty=empty)
        cache.finish()
    progress("drawing feet", count, count)
    cases = tuple(f"phantom-{seed}-{row}" for row in range(count))
    return FootSamples(cache.images, points, widths, empty, cases, "simulated films")


def _simulate_films(count: int, seed: int, ill: float) -> Iterator[tuple[PhantomFilm, str, Matrix]]:
    """Yield `count` films of different patients, each with the side to use and the transform from the crop to the film."""
    scheme = load_scheme("mtss")
    for number in range(count):
        rng = np.random.default_rng([seed, number, 78])
        severity = float(rng.uniform(1.0, 4.0)) if rng.random() < ill else None
        age = float(rng.uniform(5.0, 17.0)) if rng.random() < _CHILDREN else None
        patient = simulate_patient(rng, scheme, severity=severity, age=age)
        side: Literal["L", "R"] = "L" if rng.random() < 0.5 else "R"
        time = int(rng.integers(0, 2))
        rows = int(rng.integers(400, 560))
        columns = round(rows * float(rng.uniform(0.7, 0.95)))
        if rng.random() < _HANDS:
            yield _draw_hand(render(patient, side, time, rng, size=(rows, columns)), rng)
            continue
        if rng.random() < _BOTH_FEET:
            order = bool(rng.random() < 0.7)
            film = render(patient, "B", time, rng, size=(rows, 2 * columns), left_first=order, part="foot")
        else:
            film = render(patient, side, time, rng, size=(rows, columns), part="foot")
        frame = place_foot(_true_places(film, side), side)
        assert frame is not None
        yield film, side, frame


def _draw_hand(film: PhantomFilm, rng: np.random.Generator) -> tuple[PhantomFilm, str, Matrix]:
    """Return a film of a hand with a random frame near its middle, at about the scale of a foot."""
    rows, columns = film.pixels.shape
    at = np.array([columns, rows]) * rng.uniform(0.3, 0.7, 2)
    scale = FOOT_SAMPLE_STEP / film.spacing[0] * float(np.exp(rng.normal(0.0, 0.3)))
    middle = np.full(2, FOOT_SAMPLE_SIZE / 2)
    turn = float(rng.integers(0, 4)) * np.pi / 2 + float(rng.normal(0.0, 0.2))
    return film, film.side, make_similarity(scale, turn, middle, at, mirrored=bool(rng.random() < 0.5))
