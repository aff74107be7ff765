"""Foreign films, keys, schemes and archives that reveal a patient, list one twice, or exhaust the machine."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

import ratui
from ratui.errors import FilmError, StudyError
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.copies.backup import back_up
from ratui.study.copies.restore import restore
from ratui.study.importing import FilmRequest, ReaderProcess
from tests.films import film_file, hospital, make_study
from tests.support.attacks.table import Outcome, attack
from tests.support.limited_process import TOML_BOMBS, run_limited
from tests.support.planted_text import KINDS, bone, write

_REQUEST = FilmRequest("C-X", "L", "00")


def _count_refused(trials: Iterable[Callable[[], object]]) -> Outcome:
    """Make each trial and count those that raise an error for the user."""
    count = refused = 0
    for trial in trials:
        count += 1
        try:
            trial()
        except (StudyError, FilmError):
            refused += 1
    return Outcome(count, refused)


def _with_frame(path: Path, syntax: str, change: Callable[[bytes], bytes]) -> Path:
    """Write a film whose compressed pixels were changed."""
    dataset = pydicom.dcmread(film_file(path))
    dataset.decompress()
    dataset.compress(syntax, generate_instance_uid=False)
    frame = change(pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1))
    dataset.PixelData = pydicom.encaps.encapsulate([frame + b"\0" * (len(frame) % 2)])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


@attack("a second import without the key of the first, or with another one", by="owner")
def import_with_a_second_key(folder: Path) -> Outcome:
    study = Study.create(folder / "study", "fingers", ["anna"])
    films = hospital(folder / "films")
    import_films(study, [films], key=folder / "key.json", converter=InProcessConverter())
    (folder / "key.json").rename(folder / "kept.json")
    (folder / "key.json.bak").unlink()
    keys = [folder / name for name in ("key.json", "other.json")]
    outcome = _count_refused(
        lambda key=key: import_films(study, [films], key=key, converter=InProcessConverter())  # type: ignore[misc]
        for key in keys
    )
    assert len(study.cases()) == 1
    return outcome


@attack("one film imported under two patient IDs", by="another site")
def import_a_film_twice(folder: Path) -> Outcome:
    study = Study.create(folder / "study", "fingers", ["anna"])
    for patient in ("P1", "P2"):
        film_file(folder / patient / "a.dcm", patient=patient, seed=5)
        report = import_films(study, [folder / patient], key=folder / "key.json", converter=InProcessConverter())
    return Outcome(1, refused=len(report.rejected))


@attack("a name burned into the pixels: grey, rotated, tall, short, beside a shutter", by="another site")
def import_burned_in_names(folder: Path) -> Outcome:
    noticed = 0
    for kind in KINDS.values():
        dataset = pydicom.dcmread(film_file(folder / "a.dcm"))
        dataset.decompress()
        pixels = write(bone(), **kind)
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(folder / "a.dcm")
        made = InProcessConverter().convert(folder / "a.dcm", _REQUEST)
        claims = pydicom.dcmread(io.BytesIO(made.data)).PatientIdentityRemoved
        noticed += bool(made.note) and claims == "NO"
    return Outcome(len(KINDS), noticed=noticed)


@attack("compressed films of which a part is missing", by="accident")
def import_cut_films(folder: Path) -> Outcome:
    changes = [lambda frame, part=part: frame[: int(part * len(frame))] for part in (0.1, 0.5, 0.9)]  # type: ignore[misc]
    paths = [
        _with_frame(folder / f"{syntax}-{number}.dcm", syntax, change)
        for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless)
        for number, change in enumerate(changes)
    ]
    with ReaderProcess() as reader:
        return _count_refused(lambda path=path: reader.convert(path, _REQUEST) for path in paths)  # type: ignore[misc]


@attack("JPEG 2000 films with changed bytes, which make decoders crash", by="another site")
def read_crashing_films(folder: Path) -> Outcome:
    """Change one byte of the main header; this process must go on. A film that can still be read is no trial."""
    rng = np.random.default_rng(0)
    refused = 0
    # The first one is the depth: GDCM 3.2 throws a C++ exception for 34 bits.
    for at, value in [(42, 33), *rng.integers((2, 0), (120, 256), (60, 2)).tolist()]:
        path = _with_frame(
            folder / "a.dcm",
            JPEG2000Lossless,
            lambda frame, at=at, value=value: frame[:at] + bytes([value]) + frame[at + 1 :],  # type: ignore[misc]
        )
        try:
            ratui.read_film(path)
        except FilmError:
            refused += 1
    return Outcome(refused, refused)


@attack("schemes of up to 250 kB that need gigabytes of memory", by="another site")
def load_scheme_bombs(folder: Path) -> Outcome:
    for number, text in enumerate(TOML_BOMBS.values()):
        (folder / f"{number}.toml").write_text(text)
    code = (
        "from pathlib import Path\nfrom ratui.errors import SchemeError\nfrom ratui.scheme import load_scheme\n"
        f"for path in Path({str(folder)!r}).glob('*.toml'):\n"
        "    try:\n        load_scheme(path)\n    except SchemeError:\n        print('refused')\n"
    )
    return Outcome(len(TOML_BOMBS), refused=run_limited(code).count("refused"))


@attack("archives of up to 10 MB that need gigabytes of memory or of disk space", by="another site")
def restore_bombs(folder: Path) -> Outcome:
    bombs: dict[str, tuple[str, bytes]] = {
        "tables": ("readings/a/C-1.json", b" " * 60_000_000),
        "film": ("films/C-1/a.dcm", bytes(500_000_000)),
        "model": ("models/run/model.pt", bytes(500_000_000)),
    }
    for name, (inside, data) in bombs.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(inside, data)
            head = {"format": 1, "study": "x", "made": "now", "sums": {inside: "0" * 64}}
            packed.writestr("CONTENTS.json", json.dumps(head))
    with zipfile.ZipFile(folder / "list.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("CONTENTS.json", '{"sums":{},"more":[' + "[]," * 15_000_000 + "[]]}")
    code = (
        "from pathlib import Path\nfrom ratui.errors import StudyError\nfrom ratui.study.copies.restore import restore\n"
        f"for path in Path({str(folder)!r}).glob('*.zip'):\n"
        "    try:\n        restore(path, path.with_suffix('.new'))\n    except StudyError:\n        print('refused')\n"
    )
    refused = run_limited(code).count("refused")
    return Outcome(len(bombs) + 1, refused, outside=len(list(folder.glob("*.new"))))


@attack("sparse files of 1 TB and pipes in a study that is backed up", by="rater")
def back_up_sparse_files(folder: Path) -> Outcome:
    study = make_study(folder)
    planted = ["readings/anna/C-9.json", "readings/anna/notes.txt", "regions/C-9.json", "models/run/model.pt"]
    for name in planted:
        (study.path / name).parent.mkdir(parents=True, exist_ok=True)
        with (study.path / name).open("wb") as file:
            file.truncate(1 << 40)
    os.mkfifo(study.path / "readings/anna/C-8.json")
    made = back_up(study, folder / "backup.zip")
    assert made.path.stat().st_size < 5_000_000
    back = restore(made.path, folder / "back").study
    lost = sum(case not in back.cases() for case in study.cases())
    return Outcome(len(planted) + 1, noticed=len(made.left_out), lost=lost)
