"""Connected components in the search for burned-in text, compared with scipy's."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from ratui.study.importing import burned_in_text
from ratui.study.importing.burned_in_text import _boxes, _has_row


def boxes_of_scipy(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    rows = [(r.start, c.start, r.stop - r.start, c.stop - c.start) for r, c in ndimage.find_objects(labels)]
    return np.array(rows, np.int32).reshape(-1, 4)


def random_mask(seed: int) -> npt.NDArray[np.bool_]:
    """Return pixels of any density, or with an odd seed blobs about as large as letters."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 400, 2)
    noise = rng.random((rows, columns))
    part = rng.uniform(0.001, 0.6)
    if seed % 2:
        noise = ndimage.gaussian_filter(noise, rng.uniform(1, 4))
    return np.asarray(noise <= np.quantile(noise, part))


@pytest.mark.parametrize("seed", range(60))
def test_pieces_and_their_boxes_are_those_of_scipy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = random_mask(seed)
    ours, theirs = _boxes(mask), boxes_of_scipy(mask)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))
    found = _has_row(mask)
    monkeypatch.setattr(burned_in_text, "_boxes", boxes_of_scipy)
    assert found == _has_row(mask)


def test_some_masks_contain_rows_of_text_and_some_do_not() -> None:
    assert {_has_row(random_mask(seed)) for seed in range(60)} == {True, False}


def test_pixels_that_touch_at_a_corner_are_connected() -> None:
    assert _boxes(np.eye(3, dtype=bool)).tolist() == [[0, 0, 3, 3]]


def test_an_empty_mask_has_no_pieces() -> None:
    assert _boxes(np.zeros((5, 7), bool)).tolist() == []
