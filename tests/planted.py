"""A patient's identity planted in every part of a film, and a search for remains of it in any form.

`traces` can be applied to all output and all files of a study.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, PngImagePlugin
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless

from ratui.imaging import read_film
from tests.films import film_file

SECRET = "MusterfrauErikaXQ"
PATIENT = f"{SECRET}-77"
UID = "1.2.276.0.99.424242.1"
BORN = "19630229"
DAYS = ("20200302", "20210504")
TEXT = {"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_SHORT = {"AE": 16, "AS": 4, "CS": 16, "SH": 16}
_DATED = {"DA": BORN, "DT": f"{BORN}101112", "TM": "101112"}
# Elements that describe the coding of the pixels: with a changed value the film could not be imported.
_KEPT = {"PhotometricInterpretation", "Laterality", "ImageLaterality", "Modality", "ModalityLUTSequence"}


def planted(folder: Path, day: str, number: int, *, patient: str = PATIENT, side: str = "L", bad: bool = False) -> Path:
    """Write a film with the identity in every element of text or date, sequence, private group, overlay and in the preamble.

    A `bad` film has an impossible value in its image header.
    """
    # Without these codes nothing would say which part the film shows, because all words are replaced.
    codes = {"AnatomicRegionSequence": [_code("T-D8700")], "ViewCodeSequence": [_code("R-10206")]}
    path = film_file(folder / f"{SECRET}_{number}.dcm", patient=patient, day=day, side=side, seed=number, **codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name is no code string, and pydicom warns about it
        dataset = pydicom.dcmread(path)
        dataset.decompress()
        _plant_elements(dataset, patient)
        _plant_the_rest(dataset, patient, day, number)
        if bad:
            dataset.PhotometricInterpretation = SECRET[:16].upper()
            dataset.Rows = 7
        dataset.save_as(path)
    return path


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SRT", SECRET
    return item


def _plant_elements(dataset: Dataset, patient: str) -> None:
    known = [(tag, entry[0], entry[4]) for tag, entry in DicomDictionary.items()]
    known += [(int(mask.replace("x", "0"), 16), entry[0], entry[4]) for mask, entry in RepeatersDictionary.items()]
    for tag, vr, keyword in known:
        if not keyword or keyword in _KEPT or tag >> 16 in (0x0000, 0x0002, 0x0004) or tag in dataset:
            continue
        if vr in TEXT:
            dataset.add_new(tag, vr, SECRET[: _SHORT.get(vr, 60)])
        elif vr in _DATED:
            dataset.add_new(tag, vr, _DATED[vr])
        elif vr == "UI":
            dataset.add_new(tag, vr, UID)
        elif vr == "SQ":
            inner, item = Dataset(), Dataset()
            inner.PatientName, inner.InstitutionName = SECRET, SECRET
            item.PatientID, item.ReferencedPatientSequence = patient, [inner]
            dataset.add_new(tag, vr, [item])


def _plant_the_rest(dataset: Dataset, patient: str, day: str, number: int) -> None:
    for keyword in ("WindowCenterWidthExplanation", "StudyDescription", "BodyPartExamined", "ViewPosition"):
        setattr(dataset, keyword, SECRET[:16])
    dataset.WindowCenter, dataset.WindowWidth = 1800, 3000
    dataset.PatientID = patient
    dataset.StudyDate = dataset.AcquisitionDate = day
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, f"{UID}.{number if keyword.startswith('SOP') else 0}")
    meta = dataset.file_meta
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.SourceApplicationEntityTitle = SECRET[:16]
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = UID, SECRET.encode() + b"!"
    item = Dataset()
    item.LUTDescriptor, item.LUTExplanation = [16, 0, 12], SECRET
    item.add_new("LUTData", "OW", np.linspace(0, 4095, 16).astype("<u2").tobytes())
    item.PatientName = SECRET
    dataset.VOILUTSequence = [item]
    dataset.private_block(0x0029, SECRET, create=True).add_new(1, "LO", SECRET)
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60003000, "OW", SECRET.encode() + b"!")
    dataset.EncapsulatedDocument = SECRET.encode() + b"!"
    dataset.preamble = (SECRET.encode() * 8)[:128]
    dataset.PixelData += SECRET.encode() + b"!"  # beyond the last pixel


def with_comment(path: Path, folder: Path) -> Path:
    """Return the film as JPEG 2000 with the secret in a comment of the codestream."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
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
    """Write a film as PNG with the secret in each kind of PNG text, in its EXIF data, and after its end."""
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


# The search.


def traces(data: bytes) -> list[str]:
    """Return the parts of the identity in `data`, in all encodings of text and as a hash that anyone can compute."""
    low = data.lower()
    return [name for name, form in _FORMS if form in low]


def _forms() -> Iterator[tuple[str, bytes]]:
    for secret in (SECRET, SECRET[:16], UID, "XQ-7", "XQ-8", BORN, *DAYS):
        for coding in ("utf-8", "utf-16-le", "utf-16-be"):
            yield f"{secret} as {coding}", secret.encode(coding).lower()
        yield f"{secret} as hex", secret.encode().hex().encode()
    for shift in range(3):  # at any position in a text coded in base 64
        coded = base64.b64encode(b"\0" * shift + SECRET.encode())
        yield f"{SECRET} in base 64, {shift}", coded[4 : 4 * (len(SECRET) // 3)].lower()
    for secret in (SECRET, PATIENT, f"{SECRET}-78", f"{SECRET}-88", *(f"{UID}.{number}" for number in range(9))):
        for kind in ("md5", "sha1", "sha256", "blake2b"):
            digest = hashlib.new(kind, secret.encode()).digest()
            yield f"{kind} of {secret}", digest.hex()[:16].encode()
            yield f"{kind} of {secret} in base 32", base64.b32encode(digest)[:8].lower()
            yield f"{kind} of {secret} as a number", str(int.from_bytes(digest[:16], "big"))[:20].encode()


_FORMS = tuple(_forms())


def everything(folder: Path) -> bytes:
    """Return every byte below `folder`, also file names, and the contents of packed or compressed files."""
    return b"\n".join(part for path in sorted(folder.rglob("*")) for part in _parts(folder, path))


def _parts(folder: Path, path: Path) -> Iterator[bytes]:
    yield str(path.relative_to(folder)).encode()
    if path.is_file():
        yield from _unpacked(path.read_bytes())
        if path.suffix == ".dcm" and "PixelData" in pydicom.dcmread(path):  # no report
            yield read_film(path).pixels.tobytes()


def _unpacked(data: bytes) -> Iterator[bytes]:
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:4] == b"PK\x03\x04":  # also spreadsheets, NumPy's and PyTorch's files
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                yield name.encode()
                yield from _unpacked(packed.read(name))
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            yield repr((image.info, dict(image.getexif()))).encode()
