"""Films of another copy of a study pass the checks of an import before a merge takes them over."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import StoreError, StudyError
from ratui.files import second_copy_path
from ratui.imaging import Orientation
from ratui.study import Case, Study
from ratui.study.check import check_study
from ratui.study.copies.merge import merge
from ratui.study.copies.package import package
from ratui.study.copies.restore import restore
from ratui.study.store import FileLock
from tests.films import make_study
from tests.study.test_merge import outcomes
from tests.study.test_moving import read_on
from tests.support.attacks.merging import EVIL, rewrite, stored_files
from tests.support.attacks.merging_films import FILMS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]


@pytest.fixture(params=[False, True], ids=["ordered", "blinded"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Study, Study]:
    """Return a study without the films of its second case, and a full copy with them."""
    site = make_study(tmp_path / "there", patients=2, blinded=request.param)
    shutil.copytree(site.path, tmp_path / "here")
    second = site.cases()[1]
    for folder in ("films", "regions", "private/visits"):
        for path in (tmp_path / "here" / folder).glob(f"{second}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Study.open(tmp_path / "here"), site


def test_films_come_with_their_time_points_and_readings(pair: tuple[Study, Study]) -> None:
    study, site = pair
    second = site.cases()[1]
    with site.as_rater("anna").open_reading("anna", second):
        pass
    from ratui.reading import GradeEntry, enter, find_next_open_field

    with site.as_rater("anna").open_reading("anna", second) as session:
        field = find_next_open_field(session.reading)
        assert field
        session.save(enter(session.reading, field, GradeEntry(1)))
    assert ("added", "film") not in outcomes(merge(study, site.path, ["anna"]))
    before = stored_files(study)
    expected = [("added", "film")] * 4
    planned = outcomes(merge(study, site.path, ["anna"], films=True, dry_run=True))
    assert planned == [*expected, ("added", "reading")], "without a conflict: the films come first"
    assert stored_files(study) == before
    done = outcomes(merge(study, site.path, ["anna"], films=True))
    assert done == [*expected, *[("added", "regions")] * 4, ("added", "reading")]
    assert {replace(film, digest="") for film in study.case(second).films} == {
        replace(film, digest="") for film in site.case(second).films
    }
    assert study.visits(second) == site.visits(second)
    assert study.positions(second)["anna"] == site.positions(second)["anna"]
    assert study.reading("anna", second) == site.reading("anna", second)
    assert outcomes(merge(study, site.path, ["anna"], films=True)) == []


def test_a_film_that_was_turned_elsewhere_comes_with_its_orientation(pair: tuple[Study, Study]) -> None:
    study, site = pair
    second = site.cases()[1]
    film = site.case(second).films[0]
    site.set_orientation(second, film.id, Orientation.TURNED_90, by="anna")
    done = outcomes(merge(study, site.path, ["anna"], films=True))
    assert done == [*[("added", "film")] * 4, *[("added", "regions")] * 4, ("added", "orientation")]
    assert study.film_list(second).records == site.film_list(second).records
    assert [each.orientation for each in study.case(second).films] == [Orientation.TURNED_90, *["0"] * 3]
    assert set(study.regions(second)) == set(site.regions(second))


def test_a_film_is_added_to_a_case_that_others_read(tmp_path: Path) -> None:
    site = make_study(tmp_path / "there", blinded=True)
    shutil.copytree(site.path, tmp_path / "here")
    study = Study.open(tmp_path / "here")
    (case,) = study.cases()
    read_on(study.as_rater("bert"), "bert")
    positions = study.positions(case)["bert"]
    extra = next(film for film in study.case(case).films if film.side == "R" and film.time == 1)
    study.save_case(replace(study.case(case), films=tuple(f for f in study.case(case).films if f.id != extra.id)))
    (study.path / "films" / case / f"{extra.id}.dcm").unlink()
    assert outcomes(merge(study, site.path, ["anna"], films=True)) == [("added", "film")]
    assert study.positions(case)["bert"] == positions
    assert study.visits(case) == site.visits(case)
    assert check_study(study.path).is_intact


def change_record(site: Study, case: str, values: dict[str, Any]) -> str:
    """Change the record of the first film in the list of films, and return its ID."""
    found: list[str] = []

    def change(tables: dict[str, Any]) -> None:
        record = next(iter(tables["films"].values()))
        found.append(record["id"])
        record.update(values)

    rewrite(site.path / "films" / case / "films.json", change)
    return found[0]


@pytest.mark.parametrize("make", FILMS.values(), ids=FILMS)
def test_a_film_that_no_import_wrote_is_a_conflict(pair: tuple[Study, Study], make: Callable[[Path], bytes]) -> None:
    study, site = pair
    second = site.cases()[1]
    film = change_record(site, second, {})
    path = site.path / "films" / second / f"{film}.dcm"
    path.write_bytes(make(path))
    change_record(site, second, {"file": hashlib.sha256(path.read_bytes()).hexdigest()})
    done = [item for item in merge(study, Study.open(site.path).path, ["anna"], films=True) if "film " in item.item]
    assert sorted(item.outcome for item in done if item.item.startswith("film ")) == ["added"] * 3 + ["conflict"]
    assert not (study.path / "films" / second / f"{film}.dcm").exists()
    assert b"Doe" not in b"".join(stored_files(study).values())


@pytest.mark.parametrize("kind", ["link", "fifo", "sparse", "folder", "changed"])
def test_a_film_of_another_kind_does_not_hang(pair: tuple[Study, Study], tmp_path: Path, kind: str) -> None:
    study, site = pair
    second = site.cases()[1]
    film = change_record(site, second, {})
    path = site.path / "films" / second / f"{film}.dcm"
    data = path.read_bytes()
    path.unlink()
    if kind == "link":
        (tmp_path / "outside.dcm").write_bytes(data)
        path.symlink_to(tmp_path / "outside.dcm")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(data[:-1])
    begun = time.monotonic()
    done = outcomes(merge(study, site.path, ["anna"], films=True))
    assert time.monotonic() - begun < 30
    assert sorted(done)[:4] == [("added", "film")] * 3 + [("added", "regions")]
    assert ("conflict", "film") in done
    assert not (study.path / "films" / second / f"{film}.dcm").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"view": "skull"},
        {"side": "X"},
        {"id": "../../evil"},
        {"id": EVIL},
        {"rows": 241},
        {"rows": "240"},
        {"file": "0" * 64},
        {"file": ["x"]},
        {"spacing": "none"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_forged_record_adds_no_such_film(pair: tuple[Study, Study], values: dict[str, Any]) -> None:
    study, site = pair
    second = site.cases()[1]
    change_record(site, second, values)
    done = merge(study, site.path, ["anna"], films=True)
    assert "conflict" in {item.outcome for item in done}
    assert all((item.item + item.reason).isprintable() for item in done)
    assert not list(study.path.parent.rglob("evil*"))
    if second in study.cases():
        assert len(study.case(second).films) == 3


def test_no_text_of_the_other_copy_is_taken_over(pair: tuple[Study, Study]) -> None:
    study, site = pair
    second = site.cases()[1]
    change_record(site, second, {"note": f"the earlier film {EVIL}"})
    merge(study, site.path, ["anna"], films=True)
    assert {film.note for film in study.case(second).films} == {""}


def test_the_film_of_another_case_is_a_conflict(pair: tuple[Study, Study]) -> None:
    """Give the copy a case with a film that is here, under another name."""
    study, site = pair
    first, second = site.cases()
    digest = next(iter(study.visits(first).values())).pixels or study.case(first).films[0].digest
    film = site.case(second).films[0]
    films = tuple(replace(each, digest=digest) if each.id == film.id else each for each in site.case(second).films)
    site.save_case(replace(site.case(second), films=films))
    done = [item for item in merge(study, site.path, ["anna"], films=True) if item.outcome == "conflict"]
    assert any(f"in case {first}" in item.reason for item in done)


def test_a_dry_run_finds_a_film_that_two_new_cases_share(pair: tuple[Study, Study], tmp_path: Path) -> None:
    """The second of the two is a conflict in a merge, because the first one is in the study then."""
    study, site = pair
    second = site.cases()[1]
    without_list = shutil.ignore_patterns("films.json*")
    shutil.copytree(site.path / "films" / second, site.path / "films" / "C-ZZZZZZZ", ignore=without_list)
    visits = site.visits(second)
    films = tuple(replace(film, digest=visits[film.id].pixels) for film in site.case(second).films)
    site.save_case(Case("C-ZZZZZZZ", films), positions={})
    planned, done = (
        [item for item in merge(study, site.path, [], films=True, dry_run=dry) if item.outcome == "conflict"]
        for dry in (True, False)
    )
    assert planned == done
    assert sum(f"in the study already, in case {second}" in item.reason for item in done) == 4


def test_only_managers_take_films_and_only_from_full_copies(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    package(study, "anna", tmp_path / "p")
    site = restore(tmp_path / "p", tmp_path / "site").study
    done = merge(study, site.path, ["anna"], films=True)
    assert [(item.outcome, "not in this copy" in item.reason) for item in done] == [("conflict", True)]
    view = study.as_rater("anna")
    with pytest.raises(StudyError, match="only managers"):
        list(merge(view, site.path, ["anna"], films=True))
    assert second_copy_path(study.path / "study.toml").exists()


def test_films_that_cannot_be_stored_are_not_reported_as_added(
    pair: tuple[Study, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, site = pair

    def fail(*_: object, **__: object) -> None:
        raise StoreError("not saved: No space left on device", study.path, "Free some disk space")

    monkeypatch.setattr("ratui.study.copies.merge_films.write_films", fail)
    done = [item for item in merge(study, site.path, ["anna"], films=True) if "film" in item.item]
    assert [item.outcome for item in done] == ["conflict"]
    assert "No space left" in done[0].reason


def test_films_wait_for_an_import(pair: tuple[Study, Study]) -> None:
    study, site = pair
    before = stored_files(study)
    with FileLock(study.folder.file("import.lock")):
        planned = [item for item in merge(study, site.path, ["anna"], films=True, dry_run=True) if "film" in item.item]
        done = [item for item in merge(study, site.path, ["anna"], films=True) if "film" in item.item]
    assert planned == done
    assert [item.outcome for item in done] == ["conflict"]
    assert stored_files(study) == before
