"""Foreign compressed films are decoded in another process only; a stored film must be exactly what an import writes."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, RLELossless

import ratui
from ratui.errors import FilmError
from ratui.imaging import Film, LookupTable, Window, pack_film, read_film, read_stored_film, unpack_film
from ratui.study import Case
from ratui.study.importing import FilmRequest, InProcessConverter, ReaderProcess, read_foreign_image
from ratui.study.importing.reader.own_films import verify_stored_film
from tests.films import film_file, make_study

REQUEST = FilmRequest("C-X", "L", "00")
# A decoder that ends its process as an uncaught C++ exception does, in the process that calls it.
_ABORTING_SITE = """
import os
import pydicom.pixels.decoders.base as base
def decode(*args, **kwargs):
    os.abort()
base.Decoder.as_array = decode
"""


def compressed(path: Path, syntax: str = JPEG2000Lossless) -> Path:
    dataset = pydicom.dcmread(film_file(path))
    dataset.decompress()
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)
    return path


def with_aborting_decoder(tmp_path: Path, code: str) -> subprocess.CompletedProcess[bytes]:
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site" / "sitecustomize.py").write_text(_ABORTING_SITE)
    paths = os.pathsep.join([str(tmp_path / "site"), str(Path(ratui.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONPATH": paths}, timeout=120
    )


class TestForeignFilms:
    def test_a_decoder_that_aborts_does_not_end_the_program(self, tmp_path: Path) -> None:
        path = compressed(tmp_path / "a.dcm")
        code = f"import pathlib, ratui\ntry:\n    ratui.read_film({str(path)!r})\nexcept ratui.errors.FilmError as e:\n"
        code += "    print('refused:', e.problem)\n"
        done = with_aborting_decoder(tmp_path, "import ratui.errors\n" + code)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"refused: the decoder crashed")
        # In the process itself the same decoder ends the program: the stub works.
        code = f"import pathlib, ratui.imaging as i\ni.read_film(pathlib.Path({str(path)!r}))"
        assert with_aborting_decoder(tmp_path, code).returncode < 0

    def test_a_codestream_of_34_bits_which_makes_a_decoder_throw_is_refused(self, tmp_path: Path) -> None:
        """Change one byte, the depth in the SIZ segment (ITU-T T.800 A.5.1). GDCM 3.2 then ends the process."""
        dataset = pydicom.dcmread(compressed(tmp_path / "a.dcm"))
        frame = bytearray(pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1))
        frame[42] = 33
        dataset.PixelData = pydicom.encaps.encapsulate([bytes(frame)])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(tmp_path / "a.dcm")
        for read in (ratui.read_film, read_film):
            with pytest.raises(FilmError, match="damaged"):
                read(tmp_path / "a.dcm")

    def test_the_film_is_that_of_the_decoder(self, tmp_path: Path) -> None:
        path = compressed(tmp_path / "a.dcm")
        ours, theirs = ratui.read_film(path), read_film(path)
        assert np.array_equal(ours.pixels, theirs.pixels)
        assert ours.pixels.dtype == theirs.pixels.dtype
        assert replace(ours, pixels=theirs.pixels) == theirs

    def test_pictures_of_data_sets_are_read_in_the_same_process(self, tmp_path: Path) -> None:
        grey = np.arange(400, dtype=np.uint8).reshape(20, 20)
        for name, picture in (("a.png", grey), ("a.tif", grey.astype(np.uint16) * 200), ("b.png", grey)):
            Image.fromarray(picture).convert("RGB" if name == "b.png" else None).save(tmp_path / name)
            assert np.array_equal(read_foreign_image(tmp_path / name).pixels, picture)
        Image.fromarray(grey).save(tmp_path / "a.jpg")
        assert read_foreign_image(tmp_path / "a.jpg").pixels.shape == (20, 20)
        (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:200])
        Image.fromarray(grey).save(tmp_path / "a.gif")
        os.mkfifo(tmp_path / "pipe.png")
        for name in ("cut.jpg", "a.gif", "pipe.png", "none.png"):
            with pytest.raises(FilmError):
                read_foreign_image(tmp_path / name)

    def test_a_stored_film_of_another_form_is_refused_before_it_is_decoded(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        case = study.case(study.cases()[0])
        path = study.film_path(case.id, case.films[0].id)
        for syntax in (JPEG2000Lossless, RLELossless):
            data = compressed(tmp_path / "a.dcm", syntax).read_bytes()
            path.write_bytes(data)
            films = (replace(case.films[0], file=hashlib.sha256(data).hexdigest()), *case.films[1:])
            study.save_case(Case(case.id, films))
            code = (
                "import ratui.errors\nfrom ratui.study import Study\nfrom pathlib import Path\n"
                f"try:\n    Study.open(Path({str(study.path)!r})).film({case.id!r}, {case.films[0].id!r})\n"
                "except ratui.errors.FilmError as e:\n    print(e.problem)\n"
            )
            done = with_aborting_decoder(tmp_path, code)
            assert done.stdout.startswith(b"its pixels have a form that ratui does not write"), done.stderr

    def test_only_the_reader_process_calls_the_decoder_of_any_format(self) -> None:
        """Find the modules that import `ratui.imaging.read_film` or what it is made of."""
        root = Path(ratui.__file__).parents[1]
        found = set()
        for file in (*(root / "ratui").rglob("*.py"), *(root / "trainer").rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = {name.name for name in node.names} if isinstance(node, ast.ImportFrom) else set()
                from_imaging = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ratui.imaging")
                decodes = isinstance(node, ast.Attribute) and node.attr == "pixel_array"
                if decodes or (from_imaging and {"read_film", "film_from_dataset", "decode_from_buffer"} & names):
                    found.add(file.relative_to(root).as_posix())
        importing = "ratui/study/importing"
        assert found == {
            "ratui/imaging/__init__.py",
            "ratui/imaging/pixel_decoder.py",
            "ratui/imaging/plain_dicom.py",  # these two read what ratui wrote, and refuse any other form before
            "ratui/imaging/stored_film.py",
            f"{importing}/reader/film_maker.py",
            f"{importing}/reader/own_films.py",
            f"{importing}/reader/reader_worker.py",
        }


class TestTransfer:
    def film(self) -> Film:
        table = LookupTable(-5, np.arange(40, dtype=np.uint16), 8, "bone")
        contrasts = (replace(table, first=0), Window(100.5, 200, "SIGMOID", "soft"))
        pixels = np.arange(400, dtype=np.int16).reshape(20, 20) - 200
        return Film(pixels, 12, True, 2.0, -1.0, table, contrasts, (0.1, 0.2), 0.5, (-5, 3), ("a note",))

    def test_a_film_comes_back(self) -> None:
        film = self.film()
        new = unpack_film(*pack_film(film))
        assert np.array_equal(new.pixels, film.pixels)
        assert isinstance(new.modality_table, LookupTable)
        assert np.array_equal(new.modality_table.values, np.arange(40))
        assert pack_film(new) == pack_film(film)

    @pytest.mark.parametrize(
        "change",
        [
            {"shape": [20, 21]},
            {"shape": [20, 19]},
            {"shape": [10**9, 1]},
            {"type": "object"},
            {"bits_stored": 60},
            {"slope": "nan"},
            {"contrasts": [{"first": 0, "count": 10**9, "bits": 8, "name": ""}]},
            {"modality": None},
        ],
    )
    def test_a_forged_head_is_refused(self, change: dict[str, Any]) -> None:
        head, data = pack_film(self.film())
        with pytest.raises((ValueError, KeyError, TypeError)):
            unpack_film({**head, **change}, data)


class TestStoredFilms:
    def made(self, tmp_path: Path, **more: object) -> Path:
        path = tmp_path / "stored.dcm"
        path.write_bytes(
            InProcessConverter().convert(film_file(tmp_path / "source.dcm", **more), REQUEST).data  # type: ignore[arg-type]
        )
        return path

    def test_the_film_of_an_import_is_accepted(self, tmp_path: Path) -> None:
        path = self.made(tmp_path)
        with ReaderProcess() as reader:
            size = reader.verify(path, "C-X", "L")
        assert (size.rows, size.columns, size.spacing) == (240, 200, (0.8, 0.8))

    @pytest.mark.parametrize(
        "change",
        [
            {"PatientName": "Doe^John"},
            {"PatientComments": "Doe"},
            {"StudyDate": "20200101"},
            {"InstitutionName": "St. Mary"},
            {"DeidentificationMethod": "Doe"},
            {"SOPInstanceUID": "1.2.840.113619.2.1"},
            {"SeriesDescription": "Doe"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_one_more_word_is_refused(self, tmp_path: Path, change: dict[str, str]) -> None:
        path = self.made(tmp_path)
        dataset = pydicom.dcmread(path)
        for keyword, value in change.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
        with pytest.raises(FilmError):
            verify_stored_film(path, "C-X", "L")

    def test_bytes_outside_of_the_elements_are_refused(self, tmp_path: Path) -> None:
        data = self.made(tmp_path).read_bytes()
        # A comment segment (COM) of JPEG-LS after the start of the image.
        start = data.index(b"\xff\xd8\xff")
        comment = b"\xff\xfe\x00\x07Doe^J"
        path = tmp_path / "new.dcm"
        for changed in (b"Doe^" + data[4:], data + b"Doe^", data[: start + 2] + comment + data[start + 2 :]):
            path.write_bytes(changed)
            with pytest.raises(FilmError):
                verify_stored_film(path, "C-X", "L")

    def test_the_film_of_another_case_or_side_is_refused(self, tmp_path: Path) -> None:
        path = self.made(tmp_path)
        for case, side in (("C-Y", "L"), ("C-X", "R")):
            with pytest.raises(FilmError, match="an import does not write"):
                verify_stored_film(path, case, side)

    def test_links_and_special_files_are_refused_at_once(self, tmp_path: Path) -> None:
        path = self.made(tmp_path)
        (tmp_path / "link.dcm").symlink_to(path)
        os.mkfifo(tmp_path / "pipe.dcm")
        with (tmp_path / "large.dcm").open("wb") as file:
            file.truncate(600_000_001)
        with ReaderProcess(20.0) as reader:
            for name, says in (("link", "symbolic link"), ("pipe", "not a regular file"), ("large", "too large")):
                with pytest.raises(FilmError, match=says):
                    reader.verify(tmp_path / f"{name}.dcm", "C-X", "L")

    def test_tables_and_signed_pixels_are_accepted(self, tmp_path: Path) -> None:
        dataset = pydicom.dcmread(film_file(tmp_path / "source.dcm"))
        dataset.decompress()
        dataset.PixelRepresentation = 1
        item = pydicom.Dataset()
        item.LUTDescriptor = [4096, 0, 16]
        curve = np.rint(65_535 * (np.arange(4096) / 4095) ** 0.7).astype("<u2")
        item.add_new("LUTData", "OW", curve.tobytes())
        item.ModalityLUTType = "US"
        dataset.ModalityLUTSequence = [item]
        dataset.VOILUTSequence = [pydicom.Dataset()]
        dataset.VOILUTSequence[0].LUTDescriptor = [4096, 0, 12]
        dataset.VOILUTSequence[0].add_new("LUTData", "OW", (curve // 16).astype("<u2").tobytes())
        dataset.save_as(tmp_path / "source.dcm")
        data = InProcessConverter().convert(tmp_path / "source.dcm", REQUEST).data
        (tmp_path / "stored.dcm").write_bytes(data)
        film = read_stored_film(data, tmp_path)
        assert film.modality_table is not None
        assert len(film.contrasts) == 1
        verify_stored_film(tmp_path / "stored.dcm", "C-X", "L")
        assert pydicom.dcmread(io.BytesIO(data)).file_meta.ImplementationVersionName == "RATUI 2"
