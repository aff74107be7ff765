"""Images kept by what they were made from: found again, never half, never those of other films."""

from pathlib import Path

import numpy as np
import pytest

from ratui.errors import TrainError
from trainer.data.image_cache import Kept

SHAPE = (3, 4, 4)


def fill(kept: Kept, value: int) -> None:
    kept.images[:] = value
    kept.finish()


def test_what_was_made_once_is_found_again(tmp_path: Path) -> None:
    fill(Kept(tmp_path, "pairs", SHAPE, ["film a"]), 7)
    again = Kept(tmp_path, "pairs", SHAPE, ["film a"])
    assert again.full
    assert (np.asarray(again.images) == 7).all()


def test_other_films_are_other_images_and_both_stay(tmp_path: Path) -> None:
    fill(Kept(tmp_path, "pairs", SHAPE, ["film a"]), 7)
    other = Kept(tmp_path, "pairs", SHAPE, ["film b"])
    assert not other.full
    fill(other, 9)
    assert (np.asarray(Kept(tmp_path, "pairs", SHAPE, ["film a"]).images) == 7).all()


def test_what_was_not_finished_is_not_there(tmp_path: Path) -> None:
    begun = Kept(tmp_path, "pairs", SHAPE, ["film a"])
    begun.images[:2] = 7
    assert not Kept(tmp_path, "pairs", SHAPE, ["film a"]).full


def test_a_file_cut_short_is_told(tmp_path: Path) -> None:
    fill(Kept(tmp_path, "pairs", SHAPE, ["film a"]), 7)
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(TrainError, match="can't be kept"):
        Kept(tmp_path, "pairs", SHAPE, ["film a"])
