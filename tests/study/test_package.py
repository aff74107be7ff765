"""A package for one rater contains what this rater may know, and nothing else; its readings come back by a merge."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratui import files as disk
from ratui.errors import StoreError, StudyError
from ratui.reading import Field, GradeEntry, set_note
from ratui.results.released import collect_released_readings
from ratui.study import Case, Study
from ratui.study.check import check_study
from ratui.study.config_files import CONSENSUS
from ratui.study.copies.backup import back_up, open_archive
from ratui.study.copies.merge import merge
from ratui.study.copies.package import package
from ratui.study.copies.restore import restore
from ratui.study.model_results.predictions import save_predictions
from ratui.study.store import write_tables
from tests.films import confirm_template, make_study
from tests.model_answers import answer
from tests.study.test_merge import outcomes, sign_all
from tests.study.test_moving import read_on
from tests.support.accounts import GROUP, OTHER, as_account, open_folder
from tests.support.attacks.merging import rewrite
from tests.support.commands import run_in_this_process as ratui
from tests.support.fault_harness.count import Unavailable

NOTE = "what only bert has written"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a blinded study in which both raters have read, with proposals and predictions of a model."""
    study = make_study(tmp_path, patients=2, blinded=True)
    first, second = study.cases()
    confirm_template(study, second, "bert")
    read_on(study.as_rater("anna"), "anna")
    read_on(study.as_rater("bert"), "bert", 5, 1)
    with study.as_rater("bert").open_reading("bert", first) as session:
        session.save(set_note(session.reading, "L.MCP2", NOTE))
    study.save_proposals("boxes", second, study.regions(second))
    save_predictions(study, "scorer", first, [answer("L.MCP2", "ERO", 0, 1, 5)])
    return study


def contents(path: Path) -> dict[str, bytes]:
    """Return the files in an archive by name, the list of them included."""
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def keys(value: Any) -> Iterator[str]:
    """Yield the names of all values in a document."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys(each)


def test_the_package_contains_what_the_rater_may_know(study: Study, tmp_path: Path) -> None:
    archive = package(study, "anna", tmp_path / "anna.package")
    files = contents(archive.path)
    first, second = study.cases()
    assert {name for name in files if not name.endswith(".dcm")} == {
        "CONTENTS.json",
        "study.toml",
        "scheme.toml",
        f"films/{first}/films.json",
        f"films/{second}/films.json",
        f"regions/{first}.json",
        f"regions/{second}.json",
        f"proposals/boxes/{second}.json",
        f"readings/anna/{first}.json",
    }
    assert sum(name.endswith(".dcm") for name in files) == 8
    private = [visit for case in study.cases() for visit in study.visits(case).values()]
    forbidden = ["bert", NOTE, CONSENSUS, "secret", '"visit', '"day"', '"pixels"', "private", "journal", "scorer"]
    forbidden += [visit.pixels for visit in private]
    for name, data in files.items():
        for text in forbidden:
            assert text.encode() not in data, (name, text)
        if name.endswith(".json") and not name.startswith("readings"):
            assert not {"time", "day", "visit", "order", "log", "grade"} & set(keys(json.loads(data))), name
    assert archive.path.stat().st_mode & 0o077 == 0


def exchange_visits(study: Study) -> None:
    """Make the later films of each case the earlier ones; what raters see stays the same."""
    for id in study.cases():
        case = study.case(id)
        films = [replace(film, time=1 - film.time, day=(film.day or 0) * 3) for film in reversed(case.films)]
        study.save_case(Case(id, tuple(films)))


def reverse_regions(tables: dict[str, Any]) -> None:
    records = [record for _, record in sorted(tables["regions"].items(), key=lambda each: -int(each[0]))]
    tables["regions"] = {str(number): record for number, record in enumerate(records, 1)}


def test_no_byte_depends_on_the_time_points(study: Study, tmp_path: Path) -> None:
    """Exchange the time points and pack again: the archives are equal, apart from the time when they were made."""
    case = study.cases()[0]
    package(study, "anna", tmp_path / "one")
    positions, order = study.positions(case)["anna"], study.order("anna", case)
    for path in (
        study.path / "regions" / f"{case}.json",
        study.path / "proposals" / "boxes" / f"{study.cases()[1]}.json",
    ):
        rewrite(path, reverse_regions)
    exchange_visits(study)
    assert study.positions(case)["anna"] == positions
    assert study.order("anna", case) == order[::-1]
    package(study, "anna", tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    lists = [json.loads(each.pop("CONTENTS.json")) for each in (one, two)]
    assert list(one.items()) == list(two.items())
    assert {**lists[0], "made": ""} == {**lists[1], "made": ""}
    with zipfile.ZipFile(tmp_path / "one") as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert not any(entry.extra or entry.comment for entry in packed.infolist())


def test_the_secret_of_an_earlier_format_is_not_in_it(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "format2_blinded", tmp_path / "study")
    study = Study.open(tmp_path / "study")
    secret = study.config.secret
    assert secret
    with pytest.raises(StudyError, match="not yet stored apart"):
        package(study, "anna", tmp_path / "anna.package")
    check_study(study.path, repair=True)
    # A reading that still has its earlier format contains time points.
    for path in (study.path / "readings").rglob("*.json"):
        for copy in (path, disk.second_copy_path(path)):
            shutil.copy(Path(__file__).parent / "format2_blinded" / path.relative_to(study.path), copy)
    study = Study.open(study.path)
    files = contents(package(study, "anna", tmp_path / "anna.package").path)
    assert not [name for name, data in files.items() if secret.encode() in data]
    readings = [json.loads(data) for name, data in files.items() if name.startswith("readings/anna/")]
    assert readings
    assert all("order" not in keys(each) and each["meta"]["1"]["format"] == 4 for each in readings)
    site = restore(tmp_path / "anna.package", tmp_path / "site").study
    for case in study.cases():
        here, there = (each.as_rater("anna").reading("anna", case) for each in (study, site))
        assert here is not None
        assert there == replace(here, positions=site.as_rater("anna").case(case).films_at((0, 1)))
    assert merge(study, site.path, ["anna"]) == []


def test_the_rater_reads_elsewhere_and_the_readings_come_back(study: Study, tmp_path: Path) -> None:
    first, second = study.cases()
    package(study, "anna", tmp_path / "anna.package")
    site = restore(tmp_path / "anna.package", tmp_path / "site").study
    assert check_study(site.path).is_intact
    assert site.config.raters == ("anna",)
    shown = site.as_rater("anna")
    assert shown.case(first) == study.as_rater("anna").case(first)
    assert shown.film(first, shown.case(first).films[0].id).rows == 240
    with pytest.raises(StudyError, match="not in this copy"):
        site.case(first)
    assert collect_released_readings(site, interim=True).readings == {}
    sign_all(shown, "anna")
    assert check_study(site.path).is_intact
    assert outcomes(merge(study, site.path, ["anna"], dry_run=True)) == [("continued", "reading")]
    assert outcomes(merge(study, site.path, ["anna"])) == [("continued", "reading")]
    reading = study.reading("anna", first)
    assert reading is not None
    assert reading.signed_at
    assert reading.order == study.order("anna", first)
    assert reading.values[Field("L.IP1", "ERO", 0)] == GradeEntry(0)
    assert study.reading("anna", second) is None
    assert check_study(study.path).is_intact
    # What anna confirmed elsewhere comes along; what bert confirmed here is nobody's there.
    assert {region.confirmed_by for region in site.regions(second)} == {"other"}


def test_the_positions_of_others_stay_when_cases_are_added_here(study: Study, tmp_path: Path) -> None:
    """A case that was imported after the package was made is no conflict."""
    package(study, "anna", tmp_path / "anna.package")
    site = restore(tmp_path / "anna.package", tmp_path / "site").study
    read_on(site.as_rater("anna"), "anna", 2)
    shutil.rmtree(site.path / "films" / site.cases()[1])
    assert outcomes(merge(study, site.path, ["anna"])) == [("continued", "reading")]


def test_only_cases_of_the_rater_are_in_it(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2, blinded=True)
    first, second = study.cases()
    config = replace(study.config, raters_per_case=1)
    from ratui.study.config_files import write_settings

    write_settings(study.folder, config)
    listed = study.film_list(second)
    others = replace(listed, positions={"bert": listed.positions["bert"]})
    write_tables(study.folder.file(f"films/{second}/films.json"), others.to_tables())
    study = Study.open(study.path)
    names = package(study, "anna", tmp_path / "anna.package").checksums
    assert any(first in name for name in names)
    assert not any(second in name for name in names)
    site = restore(tmp_path / "anna.package", tmp_path / "site").study
    assert site.cases() == (first,)
    assert check_study(site.path).is_intact


def test_what_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="not a rater"):
        package(study, "cleo", tmp_path / "p")
    package(study, "anna", tmp_path / "p")
    with pytest.raises(StoreError, match="already"):
        package(study, "anna", tmp_path / "p")
    with pytest.raises(StudyError, match="package for anna"):
        restore(tmp_path / "p", tmp_path / "site", group="daemon")
    assert not (tmp_path / "site").exists()
    back_up(study, tmp_path / "b")
    with open_folder() as place:
        shared = restore(tmp_path / "b", place / "study", group="daemon").study.path
        try:
            with pytest.raises(RuntimeError, match="only managers"):
                as_account(OTHER, lambda: _package_as_other(shared), gid=GROUP)
        except Unavailable as error:
            pytest.skip(str(error))


def _package_as_other(path: Path) -> None:
    study = Study.open(path)
    package(study, "anna", Path("/nonexistent/p"))


def test_damage_in_the_package_is_noticed(study: Study, tmp_path: Path) -> None:
    path = package(study, "anna", tmp_path / "p").path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError):
        open_archive(path)


def test_a_backup_of_the_site_is_a_backup(study: Study, tmp_path: Path) -> None:
    package(study, "anna", tmp_path / "p")
    site = restore(tmp_path / "p", tmp_path / "site").study
    read_on(site.as_rater("anna"), "anna", 1)
    back_up(site, tmp_path / "b")
    again = restore(tmp_path / "b", tmp_path / "again").study
    assert outcomes(merge(study, again.path, ["anna"])) == [("continued", "reading")]


@pytest.mark.slow
def test_the_commands(study: Study, tmp_path: Path) -> None:
    done = ratui("package", study.path, tmp_path / "p", "--for", "anna")
    assert "2 cases for anna written and verified" in done.stdout
    done = ratui("restore", tmp_path / "p", tmp_path / "site")
    assert f"ratui read {tmp_path / 'site'} --rater anna" in done.stdout
    read_on(Study.open(tmp_path / "site").as_rater("anna"), "anna")
    assert "to read" in ratui("status", tmp_path / "site").stdout
    assert ratui("check", tmp_path / "site").returncode == 0
    assert "1 continued" in ratui("merge", study.path, tmp_path / "site", "--rater", "anna").stdout
    assert disk.second_copy_path(study.reading_path("anna", study.cases()[0])).is_file()
