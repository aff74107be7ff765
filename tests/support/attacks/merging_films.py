"""Films in another copy of a study that no import wrote, given to a merge that takes over films."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.uid import JPEG2000Lossless

from ratui.study import Study
from ratui.study.copies.merge import merge
from tests.films import make_study
from tests.support.attacks.merging import rewrite, stored_files
from tests.support.attacks.table import Outcome, attack


def named(path: Path) -> bytes:
    dataset = pydicom.dcmread(path)
    dataset.PatientName = "Doe^Jane"
    return saved(dataset)


def private(path: Path) -> bytes:
    dataset = pydicom.dcmread(path)
    dataset.private_block(0x000B, "X", create=True).add_new(1, "LO", "Doe^Jane")
    return saved(dataset)


def saved(dataset: pydicom.Dataset) -> bytes:
    data = io.BytesIO()
    dataset.save_as(data)
    return data.getvalue()


def with_preamble(path: Path) -> bytes:
    return b"Doe^Jane".ljust(128, b"\0") + path.read_bytes()[128:]


def with_end(path: Path) -> bytes:
    return path.read_bytes() + b"Doe^Jane"


def crashing(path: Path) -> bytes:
    """Return a codestream of 34 bits, which makes some decoders throw a C++ exception."""
    dataset = pydicom.dcmread(path)
    dataset.decompress()
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    frame = bytearray(pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1))
    frame[42] = 33
    dataset.PixelData = pydicom.encaps.encapsulate([bytes(frame)])
    dataset["PixelData"].is_undefined_length = True
    return saved(dataset)


FILMS: dict[str, Callable[[Path], bytes]] = {
    "a name": named,
    "a private element": private,
    "text in the preamble": with_preamble,
    "text after the end": with_end,
    "a codestream that crashes decoders": crashing,
    "no film": lambda path: b"DICM" * 100,
    "nothing": lambda path: b"",
}
"""Functions that return the bytes of a film that no import writes, made from a stored film."""


@attack("merge: films with names, text around them, other forms, or that crash a decoder", by="another site")
def take_films(folder: Path) -> Outcome:
    """Put such a film into a case that the study lacks, with its digest in the list of films."""
    made = make_study(folder / "made", patients=2)
    second = made.cases()[1]
    shutil.copytree(made.path, folder / "here")
    for path in (folder / "here" / "films" / second, *(folder / "here" / "private" / "visits").glob(f"{second}*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused = outside = 0
    for make in FILMS.values():
        shutil.rmtree(folder / "site", ignore_errors=True)
        shutil.rmtree(folder / "study", ignore_errors=True)
        shutil.copytree(made.path, folder / "site")
        shutil.copytree(folder / "here", folder / "study")
        film = made.case(second).films[0].id
        path = folder / "site" / "films" / second / f"{film}.dcm"
        data = make(path)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        rewrite(
            path.with_name("films.json"),
            lambda tables, film=film, digest=digest: [  # type: ignore[misc]
                record.update(file=digest) for record in tables["films"].values() if record["id"] == film
            ],
        )
        study = Study.open(folder / "study")
        results = merge(study, folder / "site", ["anna"], films=True)
        refused += any(each.outcome == "conflict" and film in each.item for each in results)
        outside += b"Doe" in b"".join(stored_files(study).values())
    return Outcome(len(FILMS), refused, outside=outside)
