"""Compare the local contrast with scikit-image's, which ratui used before.

Run ``python benchmarks/local_contrast.py FILE…``. FILE is a film, DICOM or PNG. It needs ``pip install scikit-image``.
Each film is measured whole and in its middle third.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from films import milliseconds
from PIL import Image
from skimage.exposure import equalize_adapthist

from ratui.imaging import DEFAULT_DISPLAY, Box, Film, read_film, render
from ratui.imaging.display_settings import equalize_local_contrast

Greys = npt.NDArray[np.uint8]


def by_scikit_image(image: Image.Image, film: Film, box: Box) -> Greys:
    """Return `image` with the local contrast of scikit-image, in the settings that ratui had."""
    spacing = film.spacing or (0.15 * film.aspect, 0.15)
    sizes = (image.height, box[3] - box[1], spacing[0]), (image.width, box[2] - box[0], spacing[1])
    sides = [int(max(6.0 / mm * length / pixels, length / 12, 4)) for length, pixels, mm in sizes]
    levels = equalize_adapthist(np.asarray(image), kernel_size=[min(s, 400) for s in sides], clip_limit=0.008)
    return np.rint(levels * 255).astype(np.uint8)


def detail(levels: Greys) -> float:
    """Return the standard deviation of what a blur of 8 pixels removes."""
    grey = levels.astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 8)).std())


def row(film: Film, box: Box) -> tuple[float, ...]:
    """Return the times of both in ms, the mean difference in grey levels, their correlation, and both gains in detail."""
    image = render(film, box, (400, 400), DEFAULT_DISPLAY)
    ours, theirs = np.asarray(equalize_local_contrast(image, film, box)), by_scikit_image(image, film, box)
    return (
        milliseconds(lambda: equalize_local_contrast(image, film, box)),
        milliseconds(lambda: by_scikit_image(image, film, box)),
        float(np.abs(ours.astype(int) - theirs).mean()),
        float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]),
        detail(ours) / detail(np.asarray(image)),
        detail(theirs) / detail(np.asarray(image)),
    )


def main() -> None:
    """Compare both implementations on each film and print a table."""
    files = [Path(name) for name in sys.argv[1:]]
    films = [Film(np.asarray(Image.open(f).convert("L")), 8) if f.suffix == ".png" else read_film(f) for f in files]
    print("| 400 × 400 | films | ours | scikit-image | mean difference | correlation | detail, ours | scikit-image |")
    print("|---|---|---|---|---|---|---|---|")
    for name, low, high in (("whole film", 0.0, 1.0), ("its middle third", 1 / 3, 2 / 3)):
        boxes = [Box(low * f.columns, low * f.rows, high * f.columns, high * f.rows) for f in films]
        ours, theirs, apart, alike, gain, other = np.mean(
            [row(*each) for each in zip(films, boxes, strict=True)], axis=0
        )
        print(
            f"| {name} | {len(films)} | {ours:.1f} ms | {theirs:.1f} ms | {apart:.1f} grey levels | {alike:.3f} "
            f"| × {gain:.2f} | × {other:.2f} |"
        )


if __name__ == "__main__":
    main()
