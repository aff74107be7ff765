"""Films of an earlier import that share one UID: they are reported, and told apart while nothing depends on them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.importing.reader.deidentification import encode_film, extract_retained_attributes
from ratui.study.importing.reader.own_films import verify_stored_film
from tests.films import make_study
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


def share_uids(study: Study) -> list[str]:
    """Give all films of a study the UID of the first one, as version 1 could write them; return their paths inside."""
    uid, inside = "", []
    for name in study.cases():
        case, films = study.case(name), []
        for film in case.films:
            path = study.film_path(name, film.id)
            dataset = pydicom.dcmread(io.BytesIO(path.read_bytes()))
            attributes = extract_retained_attributes(dataset)
            uid = uid or attributes.uids["SOPInstanceUID"]
            attributes = replace(attributes, uids={**attributes.uids, "SOPInstanceUID": uid})
            data = encode_film(study.film(name, film.id), attributes, case=name, side=film.side, version="RATUI")
            path.write_bytes(data)
            films.append(replace(film, file=hashlib.sha256(data).hexdigest()))
            inside.append(f"films/{name}/{film.id}.dcm")
        study.save_case(replace(case, films=tuple(films)))
    return inside


def uids(study: Study) -> list[str]:
    return [str(pydicom.dcmread(path).SOPInstanceUID) for path in study.path.glob("films/*/*.dcm")]


@pytest.mark.parametrize("blinded", [False, True])
def test_they_are_reported_and_repaired(tmp_path: Path, blinded: bool) -> None:
    study = make_study(tmp_path, blinded=blinded)
    assert check_study(study.path).is_intact
    inside = share_uids(study)
    assert len(set(uids(study))) == 1
    case = study.cases()[0]
    before = {film.id: study.film(case, film.id).pixels for film in study.case(case).films}
    report = check_study(study.path)
    assert {fault.file for fault in report.faults} == set(inside)
    assert all("4 films have the same UID" in fault.problem for fault in report.faults)
    assert len(set(uids(study))) == 1  # only a repair changes anything
    check_study(study.path, repair=True)
    assert check_study(study.path).is_intact
    assert len(set(uids(study))) == 4
    for film in study.case(case).films:
        assert np.array_equal(Study.open(study.path).film(case, film.id).pixels, before[film.id])
        verify_stored_film(study.film_path(case, film.id), case, film.side)


def test_films_that_were_read_are_not_changed(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    share_uids(study)
    store_reading(study, study.cases()[0])
    report = check_study(study.path, repair=True)
    found = [fault for fault in report.faults if "same UID" in fault.problem]
    assert len(found) == 4
    assert not any(fault.repaired for fault in found)
    assert all(fault.advice.startswith("Withdraw the film") for fault in found)
    assert len(set(uids(study))) == 1
