"""A simulated hospital: its patients are drawn, and their files written with a table of the truth."""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path
from random import Random

from pydicom import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian

from tests.support.hospital import odd_copies, odd_dates, odd_films, odd_persons
from tests.support.hospital.oddities import ODDITIES, Maker
from tests.support.hospital.pictures import add_picture
from tests.support.hospital.record import FileDraft, Record
from tests.support.hospital.truth import Outcome, Truth

__all__ = ["ODDITIES", "build_hospital"]

_MODULES = (odd_copies, odd_dates, odd_films, odd_persons)  # they register their oddities
_DISC_SHARE = 0.06  # patients whose files are on a disc with a DICOMDIR
_JUNK = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(600),
    "README.TXT": b"Exported images\r\n",
    "viewer.exe": b"MZ" + bytes(900),
}
_SHARED_BY_TRUTH = {field.name for field in fields(Truth)} & {field.name for field in fields(FileDraft)}


def build_hospital(folder: Path, patients: int, seed: int = 0, *, every_oddity: bool = False) -> list[Truth]:
    """Write the files of a hospital, and return the truth about each.

    Parameters
    ----------
    folder
        New folder for the files. It gets a folder ``archive`` with files under random names and a folder ``disc-N`` with a
        DICOMDIR for each patient whose films came on a disc.
    patients
        Number of patients; each draw that concerns two persons counts as one.
    seed
        Seed of all choices but the UIDs' time.
    every_oddity
        Give each oddity to one patient, in turn, and none to the others; else oddities are drawn by their shares.
    """
    names = list(ODDITIES)
    truths: list[Truth] = []
    (folder / "archive").mkdir(parents=True)
    for number in range(patients):
        random = Random(f"{seed}-{number}")
        maker = Maker(number, random)
        if every_oddity:
            chosen = names[number] if number < len(names) else ""
        else:
            shares = [ODDITIES[name].share for name in names]
            chosen = random.choices(["", *names], [100 - sum(shares), *shares])[0]
        records = ODDITIES[chosen].make(maker) if chosen else [maker.record()]
        on_disc = not chosen and random.random() < _DISC_SHARE
        for record in records:
            if on_disc:
                truths += _write_disc(folder, f"disc-{number:03d}", record)
            else:
                truths += [_write_file(folder, record, file, random) for file in record.files]
    for name, content in _JUNK.items():
        (folder / "archive" / name).write_bytes(content)
        truths.append(Truth(f"archive/{name}", Outcome.LEAVE, "", -1, part="junk", reason="no DICOM file"))
    return sorted(truths, key=lambda truth: truth.path)


def _write_file(folder: Path, record: Record, file: FileDraft, random: Random) -> Truth:
    # Names tell nothing about the content or the order.
    path = f"archive/{random.getrandbits(4):x}/{random.getrandbits(64):016x}{random.choice(('', '.dcm'))}"
    (folder / path).parent.mkdir(exist_ok=True)
    dataset = _complete(file)
    dataset.save_as(folder / path, enforce_file_format=True)
    return _truth(path, record, file)


def _write_disc(folder: Path, name: str, record: Record) -> list[Truth]:
    """Write the files of a record with a DICOMDIR; the index itself belongs to no row of the truth."""
    disc = FileSet()
    by_uid = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, file in enumerate(record.files):
            dataset = _complete(file)
            dataset.StudyID = dataset.StudyID or "1"
            path = Path(scratch) / str(number)
            dataset.save_as(path, enforce_file_format=True)
            disc.add(path)
            by_uid[dataset.SOPInstanceUID] = file
        disc.write(folder / name)
    found = []
    for instance in disc:
        relative = Path(instance.path).relative_to(folder.resolve()).as_posix()
        found.append(_truth(relative, record, by_uid[instance.SOPInstanceUID]))
    return found


def _complete(file: FileDraft) -> Dataset:
    """Return the data set of a file with its picture and its file meta information."""
    dataset = file.header
    if file.picture is not None:
        add_picture(dataset, file.picture, file.gamma, of_both=file.side == "B")
    else:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _truth(path: str, record: Record, file: FileDraft) -> Truth:
    values = {name: getattr(file, name) for name in _SHARED_BY_TRUTH}
    return Truth(path=path, examinations=len(record.visits), **values)
