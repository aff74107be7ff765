"""Attempts of a rater to learn from a package what only managers may know."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

from ratui.errors import StudyError
from ratui.study import Case, Study
from ratui.study.copies.package import package
from ratui.study.copies.restore import restore
from tests.films import make_study
from tests.study.test_moving import read_on
from tests.support.attacks.table import Outcome, attack


def _contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as packed:
        found = {name: packed.read(name) for name in packed.namelist()}
    return {**found, "CONTENTS.json": json.dumps({**json.loads(found["CONTENTS.json"]), "made": ""}).encode()}


@attack("package: a rater compares bytes, order and times of its files with the time points", by="rater")
def find_order(folder: Path) -> Outcome:
    """Exchange the time points of all films; the package must stay the same."""
    study = make_study(folder, patients=4, blinded=True)
    read_on(study.as_rater("anna"), "anna")
    package(study, "anna", folder / "one")
    for id in study.cases():
        case = study.case(id)
        films = tuple(replace(film, time=1 - film.time, day=100 + film.time) for film in case.films)
        study.save_case(Case(id, films))
    package(study, "anna", folder / "two")
    one, two = _contents(folder / "one"), _contents(folder / "two")
    return Outcome(len(one), refused=sum(one[name] == two.get(name) for name in one))


@attack("package: a rater looks for readings and names of others, and for time points", by="rater")
def find_others(folder: Path) -> Outcome:
    """Search every byte of a package and of the study that it unpacks to, and ask ratui for the time points."""
    study = make_study(folder, blinded=True)
    read_on(study.as_rater("bert"), "bert")
    (case,) = study.cases()
    package(study, "anna", folder / "p")
    site = restore(folder / "p", folder / "site").study
    everything = b"".join(path.read_bytes() for path in sorted(site.path.rglob("*")) if path.is_file())
    everything += b"".join(_contents(folder / "p").values())
    secrets = [b"bert", b'"day"', b'"visit', *(visit.pixels.encode() for visit in study.visits(case).values())]
    refused = sum(text not in everything for text in secrets)
    try:
        Study.open(site.path).case(case)
    except StudyError:
        refused += 1
    return Outcome(len(secrets) + 1, refused)
