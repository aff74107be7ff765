"""Measure the propagation of boxes from film to film.

Run ``python benchmarks/regions.py [PATIENTS] [--wrists FOLDER]``.

The phantom patients were not used for tuning; results are compared with their true boxes. FOLDER contains real wrists named
PATIENT_STUDY_SIDE.png; boxes of patients with two examinations are propagated forth and back.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ratui.imaging import MIN_AGREEMENT, Alignment, Box, DisplaySettings, Film, propagate_boxes, register_images
from ratui.imaging import render as rendered
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.regions import find_faults
from ratui.regions.initial import make_initial_regions
from ratui.scheme import load_scheme
from ratui.study import FilmRecord
from ratui.terminal import Display, encode
from ratui.tui.graphics.box_drawing import draw_outlines
from ratui.tui.graphics.box_outlines import make_outlines
from ratui.tui.graphics.viewport import Viewport, make_joint_box, make_whole_film_box

SCHEME = load_scheme("mtss-hands")
Pair = tuple[PhantomFilm, PhantomFilm]


def film(phantom: PhantomFilm, mirror: bool = False) -> Film:
    """Return the film of a phantom, mirrored if asked."""
    pixels = np.ascontiguousarray(phantom.pixels[:, ::-1]) if mirror else phantom.pixels
    return Film(pixels, 12, spacing=phantom.spacing)


def distance(box: Box, truth: Box) -> float:
    """Return the distance of the centres of two boxes, in widths of the true box."""
    dx, dy = ((box[i] + box[i + 2] - truth[i] - truth[i + 2]) / 2 for i in (0, 1))
    return float(np.hypot(dx, dy)) / (truth[2] - truth[0])


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(across, 0.0) * max(down, 0.0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def line(name: str, boxes: list[tuple[Box, Box]], more: str = "") -> None:
    """Print one row of the table of boxes."""
    errors, ious = np.array([distance(*pair) for pair in boxes]), np.array([overlap(*pair) for pair in boxes])
    median, ninety, worst = np.percentile(errors, [50, 90, 100])
    print(
        f"| {name} | {len(boxes)} | {median:.3f} | {ninety:.3f} | {worst:.2f} | {ious.mean():.3f} | "
        f"{100 * (ious > 0.5).mean():.1f} % | {more} |"
    )


def propagation(pairs: list[Pair], hands: list[Pair]) -> None:
    """Print the accuracy of propagation to the other time point and to the other hand."""
    print("| boxes at the second film | boxes | off, median | 90 % | worst | IoU | IoU > 0.5 | found; CPU a film |")
    print("|---|---|---|---|---|---|---|---|")
    line("as on the other film", [(a.boxes[k], b.boxes[k]) for a, b in pairs for k in a.boxes])
    for name, given, mirror in (
        ("registered, other time point", pairs, False),
        ("registered, other hand", hands, True),
    ):
        boxes, found, begun = [], [], time.process_time()
        for a, b in given:
            for key, each in propagate_boxes(film(a), film(b), a.boxes, mirrored=mirror).items():
                there = ("R" if key[0] == "L" else "L") + key[1:] if mirror else key
                boxes.append((each.box, b.boxes[there]))
                found.append(each.is_found)
        spent = (time.process_time() - begun) / len(given)
        wrong = sum(sure and distance(*pair) > 0.35 for sure, pair in zip(found, boxes, strict=True))
        line(name, boxes, f"{100 * np.mean(found):.1f} %, {wrong} of them wrongly; {1000 * spent:.0f} ms")
    print()
    none = sum(not propagate_boxes(film(a), film(b, mirror=True), a.boxes) for a, b in pairs)
    print(f"A mirrored hand: no boxes propagated on {none} of {len(pairs)} films.\n")


def crops(pairs: list[Pair], rng: np.random.Generator) -> None:
    """Print alignments of two crops of one joint, a tenth of a box apart, and of different joints of different patients."""

    def cut(phantom: PhantomFilm, key: str, jitter: float) -> tuple[np.ndarray, tuple[int, int]]:  # type: ignore[type-arg]
        x0, y0, x1, y1 = phantom.boxes[key]
        side = x1 - x0
        x, y = (x0 + x1) / 2 + rng.normal(0, jitter) * side, (y0 + y1) / 2 + rng.normal(0, jitter) * side
        left, top = max(round(x - 0.9 * side), 0), max(round(y - 0.9 * side), 0)
        return phantom.pixels[top : round(y + 0.9 * side), left : round(x + 0.9 * side)], (left, top)

    same, other, errors, spent = [], [], [], 0.0
    for number, (a, b) in enumerate(pairs):
        stranger = pairs[(number + 2) % len(pairs)][1]
        for key in a.boxes:
            here, origin = cut(a, key, 0.0)
            there, corner = cut(b, key, 0.1)
            begun = time.process_time()
            found = register_images(here, there)
            spent += time.process_time() - begun
            same.append(found.agreement)
            if isinstance(found, Alignment):
                x0, y0, x1, y1 = a.boxes[key]
                x, y = found.map_point((x0 + x1) / 2 - origin[0], (y0 + y1) / 2 - origin[1])
                true = b.boxes[key]
                off_x, off_y = x + corner[0] - (true[0] + true[2]) / 2, y + corner[1] - (true[1] + true[3]) / 2
                errors.append(float(np.hypot(off_x, off_y)) * b.spacing[0])
            finger = key[2:5] in ("PIP", "MCP", "IP1")
            strange = [k for k in stranger.boxes if (k[2:5] in ("PIP", "MCP", "IP1")) != finger]
            other.append(register_images(here, cut(stranger, str(rng.choice(strange)), 0.0)[0]).agreement)
    median, ninety, worst = np.percentile(errors, [50, 90, 100])
    print(f"Crops of one joint: off by {median:.2f} mm, 90 % {ninety:.2f}, worst {worst:.2f}; ", end="")
    print(f"{1000 * spent / len(same):.0f} ms of CPU a pair.\n")
    print("| minimum agreement | same joint aligned | finger taken for wrist |")
    print("|---|---|---|")
    for least in (0.40, 0.45, MIN_AGREEMENT, 0.55, 0.60, 0.70):
        mark = " (chosen)" if least == MIN_AGREEMENT else ""
        right, wrong = np.mean(np.array(same) >= least), np.mean(np.array(other) >= least)
        print(f"| {least:.2f}{mark} | {100 * right:.1f} % | {100 * wrong:.1f} % |")
    print()


def false_refusals(count: int) -> None:
    """Print how many of `count` films with true boxes, drawn small, the checks at confirmation reject."""
    refused = 0
    for number in range(count):
        rng = np.random.default_rng([505, number])
        side = "LR"[number % 2]
        who = simulate_patient(rng, SCHEME, severity=None if number % 3 else 4.0)
        phantom = render(who, side, number % 2, rng, size=(250, 205))  # type: ignore[arg-type]
        record = FilmRecord("film", 0, side, "hand", 250, 205)
        refused += bool(find_faults(SCHEME, record, [s for s in SCHEME.sites if s.side == side], phantom.boxes))
    print(f"True boxes rejected at confirmation: {refused} of {count} films.\n")


def moving(phantom: PhantomFilm) -> None:
    """Measure a key that moves a box, until the output is ready: the enlarged part only, and both pictures."""

    def milliseconds(work: Callable[[], object]) -> float:
        times = []
        for _ in range(9):
            begun = time.process_time()
            work()
            times.append(time.process_time() - begun)
        return 1000 * float(np.median(times))

    shown = film(phantom)
    record = FilmRecord("film", 0, "L", "hand", shown.rows, shown.columns)
    sites = [site for site in SCHEME.sites if site.side == "L"]
    regions = make_initial_regions(SCHEME, record, sites, confirmed={}, proposed={}, other={})
    box = regions["L.PIP3"].box
    assert box is not None
    print("| terminal, 120 × 40 | a move now | both pictures anew | ratio |")
    print("|---|---|---|---|")
    for protocol in ("halfcell", "kitty", "sixel"):
        display = Display(protocol)  # type: ignore[arg-type]
        size = (58 * display.pixels_per_cell[0], 34 * display.pixels_per_cell[1])
        near = Viewport("case", "film", make_joint_box(box, 2 * (box[2] - box[0]), size, display), size)
        whole = Viewport("case", "film", make_whole_film_box(record, size, display), size, DisplaySettings("film"))
        pictures = {view: rendered(shown, view.box, view.size, view.display_settings) for view in (near, whole)}

        def draw(view: Viewport, picture: Image.Image, display: Display = display) -> None:
            marks = make_outlines(view, sites, regions, "L.PIP3")
            encode(display, draw_outlines(picture, marks, 12))

        def now(
            near: Viewport = near, pictures: dict[Viewport, Image.Image] = pictures, protocol: str = protocol
        ) -> None:
            if protocol == "halfcell":
                make_outlines(near, sites, regions, "L.PIP3")  # laid over the cells that are there
            else:
                draw(near, pictures[near])

        def before(near: Viewport = near, whole: Viewport = whole) -> None:
            for view in (near, whole):
                draw(view, rendered(shown, view.box, view.size, view.display_settings))

        quick, slow = milliseconds(now), milliseconds(before)
        print(f"| {protocol} | {quick:.1f} ms | {slow:.1f} ms | {slow / max(quick, 0.01):.1f} |")
    print()


def real_wrists(folder: Path) -> None:
    """Print the agreement of boxes propagated forth and back on real wrists."""
    studies: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.png")):
        patient, _, side = path.stem.split("_")
        studies[f"{patient} {side}"].append(path)
    for name, paths in studies.items():
        if len(paths) < 2:
            continue
        films = [Film(np.asarray(Image.open(path).convert("L")), 8) for path in paths[:2]]
        record = FilmRecord("film", 0, name[-1], "wrist", films[0].rows, films[0].columns)
        sites = [site for site in SCHEME.sites if site.side == name[-1]]
        start = make_initial_regions(SCHEME, record, sites, confirmed={}, proposed={}, other={})
        boxes = {key: region.box for key, region in start.items() if region.box is not None}
        there = propagate_boxes(films[0], films[1], boxes)
        back = propagate_boxes(films[1], films[0], {key: each.box for key, each in there.items()})
        found = sum(each.is_found for each in there.values())
        errors = [distance(back[key].box, boxes[key]) for key in back]
        agreement = np.median([each.agreement for each in there.values()]) if there else 0.0
        print(
            f"Real wrist {name}: {found} of {len(boxes)} found, agreement {agreement:.2f}; there and back "
            f"{np.median(errors):.3f} of a box off, worst {max(errors):.3f}."
        )


def main() -> None:
    """Print all tables."""
    arguments = sys.argv[1:]
    folder = Path(arguments[arguments.index("--wrists") + 1]) if "--wrists" in arguments else None
    count = int(arguments[0]) if arguments and arguments[0].isdigit() else 24
    pairs: list[Pair] = []
    hands: list[Pair] = []
    for number in range(count):
        rng = np.random.default_rng([404, number])
        who, side = simulate_patient(rng, SCHEME), "LR"[number % 2]
        first, second = (render(who, side, when, rng) for when in (0, 1))  # type: ignore[arg-type]
        pairs.append((first, second))
        hands.append((first, render(who, "RL"[number % 2], 0, rng)))  # type: ignore[arg-type]
    propagation(pairs, hands)
    crops(pairs[:12], np.random.default_rng(606))
    false_refusals(20 * count)
    moving(pairs[0][0])
    if folder is not None:
        real_wrists(folder)


if __name__ == "__main__":
    main()
