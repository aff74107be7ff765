"""The image cache, keyed by source: images are found again, never incomplete, and never those of other films."""

from pathlib import Path

import numpy as np
import pytest

from ratui.errors import TrainError
from ratui.scheme import load_scheme
from trainer.data.hands import HandSamples
from trainer.data.image_cache import ImageCache, ImageRows
from trainer.data.phantoms import simulate_hands

SHAPE = (3, 4, 4)


def fill(kept: ImageCache, value: int) -> None:
    kept.images[:] = value
    kept.finish()


def test_images_are_found_again(tmp_path: Path) -> None:
    fill(ImageCache(tmp_path, "pairs", SHAPE, ["film a"]), 7)
    again = ImageCache(tmp_path, "pairs", SHAPE, ["film a"])
    assert again.is_complete
    assert (np.asarray(again.images) == 7).all()


def test_other_films_are_other_images_and_both_stay(tmp_path: Path) -> None:
    fill(ImageCache(tmp_path, "pairs", SHAPE, ["film a"]), 7)
    other = ImageCache(tmp_path, "pairs", SHAPE, ["film b"])
    assert not other.is_complete
    fill(other, 9)
    assert (np.asarray(ImageCache(tmp_path, "pairs", SHAPE, ["film a"]).images) == 7).all()


def test_an_unfinished_image_is_not_found(tmp_path: Path) -> None:
    begun = ImageCache(tmp_path, "pairs", SHAPE, ["film a"])
    begun.images[:2] = 7
    assert not ImageCache(tmp_path, "pairs", SHAPE, ["film a"]).is_complete


def test_a_truncated_file_is_reported(tmp_path: Path) -> None:
    fill(ImageCache(tmp_path, "pairs", SHAPE, ["film a"]), 7)
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(TrainError, match="can't be saved"):
        ImageCache(tmp_path, "pairs", SHAPE, ["film a"])


@pytest.mark.slow
def test_simulated_hands_of_other_arguments_keep_their_own_boxes(tmp_path: Path) -> None:
    scheme = load_scheme("fingers")

    def draw(seed: int) -> HandSamples:
        return simulate_hands(1, tmp_path, lambda *_: None, scheme=scheme, seed=seed)

    first, other = draw(0), draw(1)
    assert not np.array_equal(first.boxes, other.boxes)
    again = draw(0)
    assert np.array_equal(again.images, first.images)
    assert np.array_equal(again.boxes, first.boxes)


def test_rows_of_rows_are_those_of_the_array() -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    some = ImageRows(ImageRows(images, [5, 1, 3]), [2, 0])
    assert some.shape == (2, 2, 2)
    assert some.nbytes == 8
    assert np.asarray(some)[:, 0, 0].tolist() == [3, 5]
