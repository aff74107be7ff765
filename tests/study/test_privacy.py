"""An identity planted in everything that a film can say leaves no trace anywhere but in the key."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless

from ratui.imaging import read_film
from ratui.imaging.film import Table, Window
from ratui.study import InProcess, KeyFile, Study, import_films
from ratui.study.burned_in import seems_to_hold_text
from ratui.study.deidentify import new_uid
from tests.films import film_file

SECRET = "MusterfrauErikaXQ"
UID = "1.2.276.0.99.424242.1"
_TEXT = {"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_DATED = "19630229"


def planted(folder: Path, day: str, number: int, *, side: str = "L", bad: bool = False) -> Path:
    """A film with the secret in every element of text, a sequence, private and repeated groups, and the preamble."""
    path = film_file(folder / f"{SECRET}_{number}.dcm", patient=f"{SECRET}-77", day=day, side=side, seed=number)
    dataset = pydicom.dcmread(path)
    dataset.decompress()
    keep = {"PhotometricInterpretation", "Laterality", "Modality", "PixelData"}
    from pydicom.datadict import DicomDictionary

    for tag, entry in DicomDictionary.items():
        vr, keyword = entry[0], entry[4]
        if keyword and keyword not in keep and tag >> 16 not in (0x0000, 0x0002, 0x0004) and keyword not in dataset:
            if vr in _TEXT:
                dataset.add_new(tag, vr, SECRET[: 16 if vr in ("AE", "CS", "SH") else 60])
            elif vr == "UI":
                dataset.add_new(tag, vr, UID)
            elif vr == "DA":
                dataset.add_new(tag, vr, _DATED)
    for keyword in ("WindowCenterWidthExplanation", "StudyDescription", "BodyPartExamined", "ViewPosition"):
        setattr(dataset, keyword, SECRET[:16])
    dataset.WindowCenter, dataset.WindowWidth = 1800, 3000
    dataset.PatientID = f"{SECRET}-77"
    dataset.StudyDate = dataset.AcquisitionDate = day
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, f"{UID}.{number if keyword.startswith('SOP') else 0}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = SECRET[:16]
    dataset.file_meta.PrivateInformationCreatorUID, dataset.file_meta.PrivateInformation = UID, SECRET.encode() + b"!"
    item = Dataset()
    item.LUTDescriptor, item.LUTExplanation = [16, 0, 12], SECRET
    item.add_new("LUTData", "OW", np.linspace(0, 4095, 16).astype("<u2").tobytes())
    item.PatientName = SECRET
    dataset.VOILUTSequence = [item]
    other = Dataset()
    other.PatientID, other.PatientName = SECRET, SECRET
    dataset.OtherPatientIDsSequence = [other]
    dataset.private_block(0x0029, SECRET, create=True).add_new(1, "LO", SECRET)
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60003000, "OW", SECRET.encode() + b"!")
    dataset.add_new(0x60000022, "LO", SECRET)
    dataset.EncapsulatedDocument = SECRET.encode() + b"!"
    dataset.preamble = (SECRET.encode() * 8)[:128]
    dataset.PixelData += SECRET.encode() + b"!"  # beyond the last pixel
    if bad:
        dataset.PhotometricInterpretation = SECRET[:16].upper()
        dataset.Rows = 7
    dataset.save_as(path)
    return path


def with_comment(path: Path, folder: Path) -> Path:
    """The same film as JPEG 2000, the secret in a comment of the codestream."""
    dataset = pydicom.dcmread(path)
    dataset.PixelData = dataset.PixelData[: 2 * dataset.Rows * dataset.Columns]
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    at = frame.index(b"\xff\x52")  # before COD
    text = SECRET.encode()
    comment = b"\xff\x64" + (4 + len(text)).to_bytes(2, "big") + b"\x00\x01" + text
    dataset.PixelData = pydicom.encaps.encapsulate([frame[:at] + comment + frame[at:]])
    target = folder / f"{SECRET}_j2k.dcm"
    dataset.save_as(target)
    return target


def png(path: Path) -> Path:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET)
    info.add_text("Comment", SECRET, zip=True)
    info.add_itxt("Title", SECRET)
    exif = Image.Exif()
    exif[0x010E] = SECRET
    image = Image.fromarray(np.random.default_rng(5).integers(0, 200, (90, 80)).astype(np.uint8))
    image.save(path, pnginfo=info, exif=exif)
    with path.open("ab") as file:
        file.write(SECRET.encode())
    return path


def traces(data: bytes) -> list[str]:
    """What of the identity is in `data`, in any of the ways in which text is stored."""
    found = []
    for secret in (SECRET, SECRET.upper(), SECRET[:16], UID, "P-77", _DATED, "20200302"):
        codings = ("utf-8", "utf-16-le", "utf-16-be")
        found += [f"{secret} as {coding}" for coding in codings if secret.encode(coding) in data]
    return found


def everything(folder: Path) -> bytes:
    parts = []
    for path in folder.rglob("*"):
        parts.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            data = path.read_bytes()
            parts.append(data)
            if path.suffix == ".zip":
                with zipfile.ZipFile(io.BytesIO(data)) as packed:
                    parts += [packed.read(name) for name in packed.namelist()]
            if path.suffix == ".dcm":
                parts.append(read_film(path).pixels.tobytes())
    return b"\n".join(parts)


def ratui(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "ratui", *map(str, arguments)], capture_output=True, env={**os.environ, **environment}
    )


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    planted(tmp_path / "h", "20200302", 1)
    png(tmp_path / "h" / "a.png")
    assert {text.split(" as ")[0] for text in traces(everything(tmp_path / "h"))} >= {SECRET, UID, _DATED, "20200302"}


def test_no_trace_in_study_exports_or_terminal(tmp_path: Path) -> None:
    hospital = tmp_path / "hospital"
    planted(hospital, "20200302", 1)
    planted(hospital, "20210504", 2)
    planted(hospital, "20210504", 3, bad=True)
    with_comment(planted(tmp_path / "aside", "20200302", 4, side="R"), hospital)
    (hospital / f"{SECRET}.dcm").write_text(f"a letter about {SECRET}")
    png(hospital / f"{SECRET}.png")
    manifest = tmp_path / "hospital" / "films.csv"
    manifest.write_text(f"file,patient,time,side\n{SECRET}.png,{SECRET}-88,0,L\n")
    study, key = tmp_path / "study", tmp_path / "keys" / "key.json"
    said = [
        ratui("new", study, "--rater", "anna", "--scheme", "fingers"),
        ratui("import", study, hospital, "--key", key),
        ratui("import", study, "--manifest", manifest, "--key", key),
        ratui("status", study),
        ratui("check", study),
        ratui("backup", study, tmp_path / "backup.zip"),
        ratui("restore", tmp_path / "backup.zip", tmp_path / "restored"),
        ratui("merge", study, tmp_path / "restored"),
    ]
    printed = b"".join(done.stdout + done.stderr for done in said)
    assert b"3 films of 1 cases taken, 4 files refused" in printed
    assert b"1 films of 1 cases taken" in printed  # the PNG file
    assert traces(printed.replace(str(tmp_path).encode(), b"")) == []
    for folder in (study, tmp_path / "restored"):
        assert traces(everything(folder)) == []
    (tmp_path / "archive").mkdir()
    (tmp_path / "backup.zip").rename(tmp_path / "archive" / "backup.zip")
    assert traces(everything(tmp_path / "archive")) == []
    assert SECRET in key.read_text()  # or the search would prove nothing
    lists = list(key.parent.glob("*.csv"))
    assert any(SECRET in each.read_text() for each in lists)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (key, *lists))


def test_a_fault_of_the_program_names_nobody(tmp_path: Path) -> None:
    """An error whose text is the patient's name, raised in the midst of an import."""
    planted(tmp_path / "h", "20200302", 1)
    Study.create(tmp_path / "study", "fingers", ["anna"])
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import ratui.study.pseudonym as p\n"
        "def fail(self, patient):\n    raise KeyError(f'no such patient: {patient}')\n"
        "p.KeyFile.case_of = fail\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), str(Path.cwd())])
    done = ratui("import", tmp_path / "study", tmp_path / "h", "--key", tmp_path / "k", PYTHONPATH=path)
    assert done.returncode == 70
    assert b"KeyError" in done.stderr
    assert b"importer.py, line" in done.stderr
    assert traces(done.stdout + done.stderr) == []


class TestWhatStays:
    def take(self, tmp_path: Path, source: Path) -> pydicom.Dataset:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        import_films(study, [source], key=tmp_path / "key.json", intake=InProcess())
        (path,) = study.path.rglob("*.dcm")
        return pydicom.dcmread(path)

    def test_the_greys(self, tmp_path: Path) -> None:
        source = planted(tmp_path / "h", "20200302", 1)
        before = read_film(source)
        self.take(tmp_path, source)
        after = read_film(next((tmp_path / "study").rglob("*.dcm")))
        assert np.array_equal(before.pixels, after.pixels)
        table, window = after.contrasts
        assert isinstance(table, Table)
        assert table.name == ""
        assert isinstance(before.contrasts[0], Table)
        assert np.array_equal(table.values, before.contrasts[0].values)
        assert window == Window(1800, 3000)
        assert after.spacing == before.spacing

    def test_only_elements_that_are_meant_to(self, tmp_path: Path) -> None:
        new = self.take(tmp_path, planted(tmp_path / "h", "20200302", 1))
        assert not any(element.tag.is_private for element in new.iterall())
        assert not any(element.tag.group in (0x6000, 0x0029) for element in new)
        assert new.PatientIdentityRemoved == "YES"
        assert new.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert new.preamble == b"\0" * 128
        words = {e.keyword for e in new if e.VR in _TEXT and e.value not in ("", None)}
        assert words == {
            "Modality",
            "PatientName",
            "PatientID",
            "PatientIdentityRemoved",
            "DeidentificationMethod",
            "Laterality",
            "LongitudinalTemporalInformationModified",
            "PhotometricInterpretation",
            "RescaleType",
            "VOILUTFunction",
            "LossyImageCompression",
        }
        assert all(dictionary_VR(tag_for_keyword(word)) in _TEXT for word in words)  # type: ignore[arg-type]

    def test_uids_are_replaced_consistently(self, tmp_path: Path) -> None:
        folder = tmp_path / "h"
        planted(folder, "20200302", 1)
        planted(folder, "20210504", 2)
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        import_films(study, [folder], key=tmp_path / "key.json", intake=InProcess())
        one, two = (pydicom.dcmread(path) for path in sorted(study.path.rglob("*.dcm")))
        assert one.StudyInstanceUID == two.StudyInstanceUID  # both films said the same
        assert one.SOPInstanceUID != two.SOPInstanceUID
        key = KeyFile.open(study, tmp_path / "key.json").uid_key
        assert one.StudyInstanceUID == new_uid(key, f"{UID}.0")
        assert new_uid(b"another key", f"{UID}.0") != one.StudyInstanceUID
        assert len(one.StudyInstanceUID) <= 64


class TestPseudonyms:
    def test_nobody_without_the_key_can_compute_them(self, tmp_path: Path) -> None:
        ids = set()
        for number in range(3):
            study = Study.create(tmp_path / f"s{number}", "fingers", ["anna"])
            ids.add(KeyFile.open(study, tmp_path / f"k{number}").case_of("P1"))
        assert len(ids) == 3

    def test_a_changed_letter_in_the_key_is_told_and_mended_from_its_copy(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna"])
        keys = KeyFile.open(study, tmp_path / "k" / "key.json")
        case = keys.case_of("P1")
        keys.save(study)
        text = keys.path.read_text()
        keys.path.write_text(text.replace('"P1"', '"P2"'))
        again = KeyFile.open(study, keys.path)
        assert "second copy" in again.notice
        assert again.known("P1") == case

    def test_a_key_file_of_format_1_is_read(self, tmp_path: Path) -> None:
        import json

        study = Study.create(tmp_path / "s", "fingers", ["anna"])
        old = {"study": study.config.id, "salt": "ab" * 32, "cases": {"P1": "C-OLD"}}
        (tmp_path / "key.json").write_text(json.dumps(old))
        assert KeyFile.open(study, tmp_path / "key.json").case_of("P1") == "C-OLD"


class TestBurnedIn:
    def film(self) -> "np.ndarray[Any, np.dtype[np.uint16]]":
        rng = np.random.default_rng(1)
        y, x = np.mgrid[0:600, 0:500]
        smooth = 1500 + 900 * np.sin(x / 60) * np.cos(y / 80)
        return np.clip(smooth + rng.normal(0, 40, (600, 500)), 0, 4000).astype(np.uint16)

    def write(self, pixels: "np.ndarray[Any, np.dtype[np.uint16]]", text: str, level: int) -> None:
        from PIL import ImageDraw, ImageFont

        mask = Image.new("L", (pixels.shape[1], pixels.shape[0]))
        ImageDraw.Draw(mask).text((20, 30), text, fill=255, font=ImageFont.load_default(24))
        pixels[np.asarray(mask) > 128] = level

    @pytest.mark.parametrize("level", [4095, 0])
    def test_a_name_is_seen(self, level: int) -> None:
        pixels = self.film() + np.uint16(50)
        self.write(pixels, "MUSTERFRAU ERIKA", level)
        assert seems_to_hold_text(pixels)

    @pytest.mark.parametrize("text", ["", "L", "R 12"])
    def test_a_film_or_a_marker_is_not(self, text: str) -> None:
        pixels = self.film()
        self.write(pixels, text, 4095)
        assert not seems_to_hold_text(pixels)

    def test_the_import_warns(self, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", BurnedInAnnotation="YES")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", intake=InProcess())
        assert "burned into the picture" in report.taken[0].note
        (case,) = study.cases()
        assert study.case(case).films[0].note == report.taken[0].note
