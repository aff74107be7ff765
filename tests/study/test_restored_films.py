"""Films of an archive from elsewhere pass the checks of an import."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ratui.study import Study
from ratui.study.copies.backup import back_up
from ratui.study.copies.restore import restore
from tests.films import film_file, make_study
from tests.support.attacks.merging import rewrite
from tests.support.attacks.merging_films import FILMS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]


def pack_with_film(folder: Path, make: Callable[[Path], bytes]) -> tuple[Path, str]:
    """Return an archive of a study in which one film was exchanged together with its digest, and the path of that film."""
    study = make_study(folder / "there", sides="L")
    (case,) = study.cases()
    film = study.case(case).films[0].id
    inside = f"films/{case}/{film}.dcm"
    path = study.path / inside
    path.write_bytes(make(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def exchange(tables: dict[str, dict[str, dict[str, object]]]) -> None:
        for record in tables["films"].values():
            if record["id"] == film:
                record["file"] = digest

    rewrite(path.with_name("films.json"), exchange)
    archive = folder / "study.zip"
    back_up(Study.open(study.path), archive)
    return archive, inside


@pytest.mark.parametrize("make", FILMS.values(), ids=FILMS)
def test_a_film_that_no_import_wrote_is_left_out(tmp_path: Path, make: Callable[[Path], bytes]) -> None:
    archive, inside = pack_with_film(tmp_path, make)
    done = restore(archive, tmp_path / "here", check_films=True)
    assert list(done.rejected) == [inside]
    assert not (tmp_path / "here" / inside).exists()
    assert b"Doe" not in b"".join(file.read_bytes() for file in (tmp_path / "here").rglob("*") if file.is_file())


def test_films_of_an_import_are_kept(tmp_path: Path) -> None:
    study = make_study(tmp_path / "there", sides="L")
    archive = back_up(study, tmp_path / "study.zip").path
    assert restore(archive, tmp_path / "here", check_films=True).rejected == {}
    before = {file.name: file.read_bytes() for file in study.path.rglob("*.dcm")}
    assert {file.name: file.read_bytes() for file in (tmp_path / "here").rglob("*.dcm")} == before


@pytest.mark.parametrize("inside", ["films/{case}/ffff.dcm", "films/C-9/ffff.dcm", "films/ffff.dcm"])
def test_a_film_that_no_list_names_is_left_out(tmp_path: Path, inside: str) -> None:
    study = make_study(tmp_path / "there", sides="L")
    (case,) = study.cases()
    inside = inside.format(case=case)
    (study.path / inside).parent.mkdir(exist_ok=True)
    (study.path / inside).write_bytes(film_file(tmp_path / "original.dcm").read_bytes())
    archive = back_up(study, tmp_path / "study.zip").path
    assert list(restore(archive, tmp_path / "here", check_films=True).rejected) == [inside]
    assert not (tmp_path / "here" / inside).exists()


def test_films_with_a_damaged_list_are_left_out(tmp_path: Path) -> None:
    study = make_study(tmp_path / "there", sides="L")
    (case,) = study.cases()
    films = sorted(path.relative_to(study.path).as_posix() for path in study.path.rglob("*.dcm"))
    for name in ("films.json", "films.json.bak"):
        (study.path / "films" / case / name).write_bytes(b"{}")
    archive = back_up(study, tmp_path / "study.zip").path
    assert sorted(restore(archive, tmp_path / "here", check_films=True).rejected) == films
    assert not list((tmp_path / "here").rglob("*.dcm"))
