"""Elements of stored films: UIDs that are unique, the kind of the spacing, and what the standard requires."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from ratui.errors import FilmError
from ratui.imaging import SpacingSource, read_stored_film
from ratui.study import Study, import_films
from ratui.study.importing import FilmRequest, InProcessConverter
from ratui.study.importing.reader.own_films import verify_stored_film
from tests.films import film_file

EARLIER = Path(__file__).parent / "earlier_films"
REQUEST = FilmRequest("C-X", "L", "00")
NO_SPACING = dict.fromkeys(("PixelSpacing", "ImagerPixelSpacing"))


def source(path: Path, **elements: object) -> Path:
    """Write a film with these elements, without those that are None."""
    dataset = pydicom.dcmread(film_file(path))
    for keyword, value in elements.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def stored(path: Path, side: str = "L", **elements: object) -> pydicom.Dataset:
    """Return the imported film, which a merge would accept."""
    data = InProcessConverter().convert(source(path, **elements), FilmRequest("C-X", side, "00")).data
    path.write_bytes(data)
    verify_stored_film(path, "C-X", side)
    return pydicom.dcmread(io.BytesIO(data))


class TestUids:
    def test_films_that_share_a_uid_get_different_ones(self, tmp_path: Path) -> None:
        shared = generate_uid()
        assert len({self.new_uids(tmp_path, seed, SOPInstanceUID=shared)[0] for seed in range(4)}) == 4

    @staticmethod
    def new_uids(tmp_path: Path, seed: int, case: str = "C-X", **uids: str) -> tuple[str, str, str]:
        path = film_file(tmp_path / "a.dcm", seed=seed, **uids)
        new = pydicom.dcmread(io.BytesIO(InProcessConverter().convert(path, FilmRequest(case, "L", "00")).data))
        assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
        return str(new.SOPInstanceUID), str(new.StudyInstanceUID), str(new.SeriesInstanceUID)

    def test_the_same_film_gets_the_same_ones(self, tmp_path: Path) -> None:
        uids = {key: generate_uid() for key in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")}
        assert self.new_uids(tmp_path, 1, **uids) == self.new_uids(tmp_path, 1, **uids)

    def test_films_of_one_series_stay_in_one(self, tmp_path: Path) -> None:
        uids = {key: generate_uid() for key in ("StudyInstanceUID", "SeriesInstanceUID")}
        assert self.new_uids(tmp_path, 1, **uids)[1:] == self.new_uids(tmp_path, 2, **uids)[1:]

    def test_two_patients_share_no_study_and_two_studies_no_series(self, tmp_path: Path) -> None:
        uids = {key: generate_uid() for key in ("StudyInstanceUID", "SeriesInstanceUID")}
        one, two = self.new_uids(tmp_path, 1, **uids), self.new_uids(tmp_path, 1, "C-Y", **uids)
        assert (one[1] == two[1], one[2] == two[2]) == (False, False)
        other = self.new_uids(tmp_path, 1, **{**uids, "StudyInstanceUID": generate_uid()})
        assert one[2] != other[2]

    def test_one_uid_for_film_study_and_series_becomes_three(self, tmp_path: Path) -> None:
        same = dict.fromkeys(("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"), generate_uid())
        assert len(set(self.new_uids(tmp_path, 1, **same))) == 3

    def test_an_import_of_four_films_with_one_uid(self, tmp_path: Path) -> None:
        shared = generate_uid()
        for number, (day, side) in enumerate([(d, s) for d in ("20200302", "20210504") for s in "LR"]):
            film_file(tmp_path / "h" / f"{number}.dcm", day=day, side=side, seed=number, SOPInstanceUID=shared)
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert len(report.imported) == 4
        uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in study.path.rglob("*.dcm")]
        assert len(set(uids)) == 4


# Elements of the source; the spacing in mm and its origin.
SPACINGS: dict[str, tuple[dict[str, object], tuple[float, float] | None, SpacingSource]] = {
    "none": (NO_SPACING, None, SpacingSource.UNKNOWN),
    "at the detector": ({"PixelSpacing": None, "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2), SpacingSource.DETECTOR),
    "repeated": ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), SpacingSource.DETECTOR),
    "magnified": (
        {"PixelSpacing": None, "ImagerPixelSpacing": [0.21, 0.21], "EstimatedRadiographicMagnificationFactor": "1.05"},
        (0.2, 0.2),
        SpacingSource.MAGNIFICATION,
    ),
    "magnified by an impossible factor": (
        {"PixelSpacing": None, "ImagerPixelSpacing": [0.21, 0.21], "EstimatedRadiographicMagnificationFactor": "0"},
        (0.21, 0.21),
        SpacingSource.DETECTOR,
    ),
    "calibrated": (
        {"PixelSpacing": [0.19, 0.19], "ImagerPixelSpacing": [0.2, 0.2]},
        (0.19, 0.19),
        SpacingSource.CALIBRATED,
    ),
    "calibrated with its type": (
        {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": None, "PixelSpacingCalibrationType": "FIDUCIAL"},
        (0.2, 0.2),
        SpacingSource.CALIBRATED,
    ),
    "contradicting": (
        {"PixelSpacing": [0.9, 0.9], "ImagerPixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "GEOMETRY"},
        (0.2, 0.2),
        SpacingSource.DETECTOR,
    ),
    "not stated": ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": None}, (0.2, 0.2), SpacingSource.STATED),
    "digitised": ({**NO_SPACING, "NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), SpacingSource.SCAN),
}


@pytest.mark.parametrize("kind", SPACINGS)
def test_the_origin_of_a_spacing_is_kept(tmp_path: Path, kind: str) -> None:
    elements, spacing, origin = SPACINGS[kind]
    path = source(tmp_path / "a.dcm", **elements)
    made = InProcessConverter().convert(path, REQUEST)
    assert made.spacing_source == origin
    film = read_stored_film(made.data, path)
    assert film.spacing_source == origin
    for found in (made.spacing, film.spacing):
        assert (found is None) == (spacing is None)
        assert found is None or found == pytest.approx(spacing)
    path.write_bytes(made.data)
    assert verify_stored_film(path, "C-X", "L").spacing_source == origin
    assert ("contradict" in made.note) == (kind == "contradicting")


def test_the_record_of_a_film_states_the_origin(tmp_path: Path) -> None:
    source(tmp_path / "h" / "a.dcm", PixelSpacing=[0.19, 0.19], ImagerPixelSpacing=[0.2, 0.2])
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
    (film,) = Study.open(study.path).case(study.cases()[0]).films
    assert (film.spacing, film.spacing_source) == ((0.19, 0.19), SpacingSource.CALIBRATED)


class TestWords:
    def test_the_orientation_in_the_patient_is_kept(self, tmp_path: Path) -> None:
        assert list(stored(tmp_path / "a.dcm", PatientOrientation=["L", "FP"]).PatientOrientation) == ["L", "FP"]

    @pytest.mark.parametrize("value", [["DOE", "JO"], ["AP", "F"], ["L"], ["LL", "F"], ["L", "F", "H"], ""])
    def test_other_orientations_are_left_out(self, tmp_path: Path, value: object) -> None:
        assert not stored(tmp_path / "a.dcm", PatientOrientation=value).PatientOrientation

    def test_a_film_of_both_sides_has_the_laterality_of_an_image(self, tmp_path: Path) -> None:
        both, left = stored(tmp_path / "a.dcm", "B"), stored(tmp_path / "a.dcm", "L")
        assert (both.ImageLaterality, "Laterality" in both) == ("B", False)
        assert (left.Laterality, "ImageLaterality" in left) == ("L", False)

    def test_loss_is_stated_with_its_ratio(self, tmp_path: Path) -> None:
        new = stored(
            tmp_path / "a.dcm",
            LossyImageCompression="01",
            LossyImageCompressionRatio="9.87654321",
            LossyImageCompressionMethod="ISO_10918_1",
        )
        assert (new.LossyImageCompressionRatio, new.LossyImageCompressionMethod) == (9.88, "ISO_10918_1")


class TestEarlierFilms:
    """Films of earlier versions are accepted, byte by byte."""

    @pytest.mark.parametrize("name", ["L-calibrated", "R-signed", "B-aspect"])
    def test_they_are_verified(self, tmp_path: Path, name: str) -> None:
        size = verify_stored_film(EARLIER / f"{name}.dcm", "C-X", name[0])
        assert (size.rows, size.columns, size.spacing_source) == (24, 20, "")
        dataset = pydicom.dcmread(EARLIER / f"{name}.dcm")
        assert dataset.file_meta.ImplementationVersionName == "RATUI"
        dataset.Manufacturer = ""  # an element of version 2
        dataset.save_as(tmp_path / "a.dcm")
        with pytest.raises(FilmError, match="an import does not write"):
            verify_stored_film(tmp_path / "a.dcm", "C-X", name[0])

    def test_those_of_the_sample_study_too(self) -> None:
        study = Study.open(Path(__file__).parents[3] / "sample_data" / "study")
        films = [(case, film) for case in study.cases() for film in study.case(case).films]
        assert len(films) >= 8
        for case, film in films:
            verify_stored_film(study.film_path(case, film.id), case, film.side)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed here")
@pytest.mark.parametrize("side", ["L", "B"])
@pytest.mark.parametrize("kind", SPACINGS)
def test_the_independent_validator_finds_no_error(tmp_path: Path, kind: str, side: str) -> None:
    path = tmp_path / "a.dcm"
    stored(path, side, LossyImageCompression="01", LossyImageCompressionRatio="9.9", **SPACINGS[kind][0])
    assert not [line for line in validate(path) if line.startswith("Error")]
    dataset = pydicom.dcmread(path)
    del dataset.Manufacturer
    dataset.save_as(path)
    assert [line for line in validate(path) if line.startswith("Error")]


def validate(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()


def test_the_pixels_decide_the_uid_not_the_form_of_the_file(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    dataset.decompress(generate_instance_uid=False)
    dataset.save_as(tmp_path / "b.dcm")
    one, two = (InProcessConverter().convert(each, REQUEST).data for each in (path, tmp_path / "b.dcm"))
    uids = [pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in (one, two)]
    assert uids[0] == uids[1]
    assert np.array_equal(read_stored_film(one, path).pixels, read_stored_film(two, path).pixels)
