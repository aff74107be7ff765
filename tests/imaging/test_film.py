"""Reading films: accepted files, and rejection of each kind of bad file."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from ratui.errors import FilmError
from ratui.imaging import (
    Film,
    Window,
    compute_automatic_window,
    crop,
    encode_dicom,
    film_to_grey,
    read_film,
    write_film,
)
from tests.films import film_file


def pixels(rows: int = 60, columns: int = 50, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, (rows, columns)).astype(np.uint16)


class TestReading:
    def test_pixels_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        wanted = pixels()
        write_film(tmp_path / "a.dcm", wanted, spacing=(0.1, 0.2))
        film = read_film(tmp_path / "a.dcm")
        assert np.array_equal(film.pixels, wanted)
        assert film.spacing == (0.1, 0.2)
        assert film.bits_stored == 12

    @pytest.mark.parametrize("compress", [True, False])
    def test_compressed_or_not_is_the_same_film(self, tmp_path: Path, compress: bool) -> None:
        (tmp_path / "a.dcm").write_bytes(encode_dicom(pixels(), compress=compress))
        assert np.array_equal(read_film(tmp_path / "a.dcm").pixels, pixels())

    def test_inverted_film_shows_bone_bright(self, tmp_path: Path) -> None:
        wanted = pixels()
        write_film(tmp_path / "a.dcm", wanted)
        write_film(tmp_path / "b.dcm", 4095 - wanted, inverted=True)
        window = Window(2048, 4096)
        a, b = film_to_grey(read_film(tmp_path / "a.dcm"), window), film_to_grey(read_film(tmp_path / "b.dcm"), window)
        assert np.abs(a.astype(int) - b).max() <= 1


class TestRefusing:
    def refused(self, path: Path) -> str:
        with pytest.raises(FilmError) as caught:
            read_film(path)
        assert caught.value.remedy
        return caught.value.problem

    def test_no_file(self, tmp_path: Path) -> None:
        assert "no such file" in self.refused(tmp_path / "none.dcm")

    def test_text_called_dcm(self, tmp_path: Path) -> None:
        (tmp_path / "a.dcm").write_text("not a film at all\n" * 30)
        assert "not a DICOM" in self.refused(tmp_path / "a.dcm")

    def test_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.dcm").write_bytes(b"")
        self.refused(tmp_path / "a.dcm")

    def test_every_truncation_is_refused_or_read_whole(self, tmp_path: Path) -> None:
        data = encode_dicom(pixels(), compress=False)
        for length in range(0, len(data), 97):
            (tmp_path / "a.dcm").write_bytes(data[:length])
            self.refused(tmp_path / "a.dcm")

    def test_colour(self, tmp_path: Path) -> None:
        self.changed(tmp_path / "a.dcm", SamplesPerPixel=3, PhotometricInterpretation="RGB")
        assert "colour" in self.refused(tmp_path / "a.dcm")

    def test_many_frames(self, tmp_path: Path) -> None:
        self.changed(tmp_path / "a.dcm", NumberOfFrames="7")
        assert "7 frames" in self.refused(tmp_path / "a.dcm")

    def test_absurd_size_is_refused_before_memory_is_taken(self, tmp_path: Path) -> None:
        self.changed(tmp_path / "a.dcm", Rows=65535, Columns=65535)
        assert "not that of a radiograph" in self.refused(tmp_path / "a.dcm")

    def changed(self, path: Path, **elements: object) -> None:
        film_file(path)
        dataset = pydicom.dcmread(path)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)


class TestGrey:
    def test_the_window_maps_its_ends_to_black_and_white(self, tmp_path: Path) -> None:
        ramp = np.tile(np.arange(0, 4096, 16, dtype=np.uint16), (32, 1))
        write_film(tmp_path / "a.dcm", ramp)
        levels = film_to_grey(read_film(tmp_path / "a.dcm"), Window(2048, 1024))
        assert levels[0, 0] == 0
        assert levels[0, -1] == 255
        assert 126 <= levels[0, 128] <= 129
        assert (np.diff(levels[0].astype(int)) >= 0).all()

    def test_automatic_window_ignores_a_few_outliers(self, tmp_path: Path) -> None:
        values = np.full((100, 100), 1000, np.uint16)
        values[:, 50:] = 2000
        values[0, 0] = 4095
        write_film(tmp_path / "a.dcm", values)
        window = compute_automatic_window(read_film(tmp_path / "a.dcm"))
        assert window.centre + window.width / 2 < 2100

    def test_a_crop_that_leaves_the_film_is_black_there_and_keeps_its_size(self, tmp_path: Path) -> None:
        write_film(tmp_path / "a.dcm", np.full((60, 50), 3000, np.uint16))
        film = read_film(tmp_path / "a.dcm")
        image = crop(film, (-20, -20, 20, 20), (80, 80), Window(1500, 3000))
        assert image.size == (80, 80)
        levels = np.asarray(image)
        assert levels[:30, :30].max() == 0
        assert levels[50:, 50:].min() > 200

    @pytest.mark.parametrize("box", [(1e4, 1e4, 1e4 + 5, 1e4 + 5), (-500, 3, -400, 9), (3.2, 3.2, 3.3, 3.3)])
    def test_any_box_gives_an_image(self, tmp_path: Path, box: tuple[float, float, float, float]) -> None:
        write_film(tmp_path / "a.dcm", pixels())
        assert crop(read_film(tmp_path / "a.dcm"), box, (10, 12)).size == (10, 12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 9), (64, 64), (300, 301)])
def test_the_automatic_window_lies_between_the_percentiles_of_numpy(shape: tuple[int, int]) -> None:
    values = pixels(*shape)
    step = max(1, int((values.size / 65_536) ** 0.5))
    low, high = np.percentile(values[::step, ::step].astype(np.float64), [1.0, 99.5])
    window = compute_automatic_window(Film(values, 12))
    assert (window.centre, window.width) == ((low + high) / 2, max(high - low, 1.0))
