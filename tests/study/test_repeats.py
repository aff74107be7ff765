"""Hidden repeats: another name for the same films, known to the manager alone."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
import pytest

from ratui.cli.case_lines import format_cases
from ratui.errors import FilmError, StoreError, StudyError
from ratui.imaging import Orientation
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.campaign import repeats
from ratui.study.campaign.repeat_updates import find_incomplete_repeats, update_repeats
from ratui.study.campaign.repeats import draw_repeats, load_repeats
from ratui.study.check import check_study
from ratui.study.copies.package import package
from ratui.study.film_files import write_films
from ratui.study.importing.reader.deidentification import draw_uid
from ratui.study.importing.reader.own_films import copy_stored_film
from ratui.study.model_results.reading_order import load_reading_order, save_reading_order
from ratui.study.store import StudyFile, write_tables
from ratui.study.withdrawal import list_withdrawals, withdraw_films
from tests.films import hospital, make_study
from tests.support.commands import run_in_this_process
from tests.tui.readings import store_reading


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a blinded study of four patients without regions."""
    return make_study(tmp_path, patients=4, blinded=True, sides="L", regions=False)


def _headers(study: Study, case: str) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted((study.path / "films" / case).glob("*.dcm"))]


def test_a_repeat_shows_the_same_pictures_and_shares_no_name_with_its_original(study: Study) -> None:
    (repeat,) = draw_repeats(study, 0.25)
    assert set(study.cases()) > {repeat.case, repeat.original}
    for new, old in repeat.films.items():
        one, other = study.film(repeat.case, new), study.film(repeat.original, old)
        assert np.array_equal(one.pixels, other.pixels)
        assert one.spacing == other.spacing
    for case in (repeat.case, repeat.original):
        assert sorted(film.time for film in study.case(case).films) == [0, 1]
    values = [
        {
            str(element.value)
            for header in _headers(study, case)
            for element in header
            if element.VR in ("UI", "LO", "PN")
        }
        for case in (repeat.case, repeat.original)
    ]
    same = values[0] & values[1]
    unlike_all = set.intersection(*({str(e.value) for e in h} for case in study.cases() for h in _headers(study, case)))
    assert same <= unlike_all, "only what all films have is the same"
    names = [
        {name for film in study.case(case).films for name in (film.id, film.file)}
        for case in (repeat.case, repeat.original)
    ]
    assert names[0].isdisjoint(names[1])


def test_the_uids_of_a_repeat_have_no_form_of_their_own(study: Study) -> None:
    draw_repeats(study, 1.0)
    for repeat in load_repeats(study).values():
        numbers = [
            UUID(int=int(str(element.value).rpartition(".")[2]))
            for header in _headers(study, repeat.case)
            for element in header
            if element.VR == "UI" and str(element.value).startswith("2.25.")
        ]
        assert len(numbers) >= 6
        assert not all(number.version == 4 for number in numbers), "a hash has any of 64 forms, not always that one"


def test_the_times_of_the_new_files_do_not_follow_the_names_of_the_originals(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = SystemRandom()
    monkeypatch.setattr(backwards, "sample", lambda found, count: sorted(found, reverse=True)[:count])
    monkeypatch.setattr(repeats.secrets, "SystemRandom", lambda: backwards)
    originals = [repeat.original for repeat in draw_repeats(study, 1.0)]
    assert originals == sorted(originals, reverse=True)
    written = [json.loads(line) for line in next((study.path / "journal").glob("*.jsonl")).read_text().splitlines()]
    paths = [each["path"] for each in written if each["do"] == "write" and each["path"].startswith("films/")]
    assert paths[-4:] == [f"films/{repeat.case}/films.json" for repeat in load_repeats(study).values()]


def test_the_raters_of_a_case_read_its_repeat_and_no_other(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ("anna", "bert", "cora"), raters_per_case=2)
    import_films(study, [hospital(tmp_path / "h", 3, "L")], key=tmp_path / "k.json", converter=InProcessConverter())
    repeats = draw_repeats(study, 1.0)
    assert len(repeats) == 3
    for repeat in repeats:
        assert study.raters_of(repeat.case) == study.raters_of(repeat.original)


def test_each_case_is_repeated_at_most_once_and_no_repeat_is(study: Study) -> None:
    originals = set(study.cases())
    assert len(draw_repeats(study, 0.3)) == 2
    assert draw_repeats(study, 0.5) == ()
    assert len(draw_repeats(study, 1.0)) == 2
    assert draw_repeats(study, 1.0) == ()
    assert {repeat.original for repeat in load_repeats(study).values()} == originals
    assert set(load_repeats(study)) == set(study.cases()) - originals
    assert not check_study(study.path).faults


def test_turned_films_are_turned_in_the_repeat(study: Study) -> None:
    for case in study.cases():
        for film in study.case(case).films:
            study.set_orientation(case, film.id, Orientation.TURNED_90)
    (repeat,) = draw_repeats(study, 0.25)
    assert {film.orientation for film in study.case(repeat.case).films} == {Orientation.TURNED_90}


def test_an_interrupted_draw_continues(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Study, "save_case", _refuse)
        with pytest.raises(StoreError):
            draw_repeats(study, 0.25)
    (repeat,) = load_repeats(study).values()
    withdraw_films(study, repeat.original, sorted(repeat.films.values())[:1], reason="before the draw continues")
    draw_repeats(study, 0.25)
    (repeat,) = load_repeats(study).values()
    (left,) = study.case(repeat.case).films
    assert repeat.films[left.id] == sorted(repeat.films.values())[1]
    assert not check_study(study.path).faults


def _refuse(*_: object, **__: object) -> None:
    raise StoreError("the disk is full", "films")


def _refuse_list(file: StudyFile, *arguments: Any, **options: Any) -> None:
    """Write tables as `write_tables` does, but no list of films."""
    if file.inside.startswith("films/"):
        raise StoreError("the disk is full", file.path)
    write_tables(file, *arguments, **options)


def _add_visit(study: Study, case: str) -> str:
    """Add a film of a third visit to `case`, as a later import does, and return its ID."""
    found = study.case(case)
    last = found.films[-1]
    path = study.film_path(case, last.id)
    data = copy_stored_film(path.read_bytes(), path, last.side, case=case, new_case=case, make_uid=lambda _: draw_uid())
    film = replace(last, id="ab12", time=2, day=800, digest="d" * 64, file=hashlib.sha256(data).hexdigest())
    write_films(study.folder, found, {film.id: data})
    study.save_case(replace(found, films=(*found.films, film)))
    return film.id


def test_a_case_stays_readable_if_the_disk_is_full_before_its_list_of_films(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repeat,) = draw_repeats(study, 0.25)
    _add_visit(study, repeat.original)

    with monkeypatch.context() as patch:
        patch.setattr("ratui.study.case_store.write_tables", _refuse_list)
        with pytest.raises(StoreError, match="the disk is full"):
            update_repeats(study)
    study = Study.open(study.path)
    assert len(study.case(repeat.case).films) == 2
    found = check_study(study.path)
    assert not found.faults
    assert any("films that no case lists: 1;" in note for note in found.notes)
    assert update_repeats(study) == ((repeat.case,), ())
    assert [film.number for film in study.case(repeat.case).films] == [0, 1, 2]
    assert not any("no case lists" in note for note in check_study(study.path).notes)


def test_a_damaged_film_keeps_no_other_repeat_from_its_films(study: Study) -> None:
    drawn = draw_repeats(study, 1.0)
    for repeat in drawn:
        film = _add_visit(study, repeat.original)
    damaged = study.film_path(repeat.original, film)
    damaged.write_bytes(damaged.read_bytes()[:-2] + b"xx")
    with pytest.raises(FilmError, match="damaged after its import"):
        update_repeats(study)
    assert [*find_incomplete_repeats(study)] == [repeat.case]


def test_a_draw_that_stops_before_the_list_of_films_is_a_note(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("ratui.study.case_store.write_tables", _refuse_list)
        with pytest.raises(StoreError, match="the disk is full"):
            draw_repeats(study, 0.25)
    found = check_study(study.path)
    assert not found.faults
    assert any("interrupted before it could list the films" in note for note in found.notes)
    removed = study.cases()[0]
    for name in ("films.json", "films.json.bak"):
        (study.path / "films" / removed / name).unlink()
    assert any(removed in fault.file for fault in check_study(study.path).faults), "the journals show it"


def test_an_interrupted_draw_is_one_amendment(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_repeats(study, 0.25)
    store_reading(study, study.cases()[0])
    with monkeypatch.context() as patch:
        patch.setattr(repeats, "save_repeats", _refuse)
        with pytest.raises(StoreError):
            draw_repeats(study, 0.5, "more repeats")
    draw_repeats(study, 0.5, "more repeats")
    assert [each.changes for each in study.config.charter.history] == [(), ("hidden repeats: 1 -> 2",)]


def test_a_later_visit_reaches_the_repeat_when_a_manager_asks(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (repeat,) = draw_repeats(study, 0.25)
    assert not find_incomplete_repeats(study)
    film = _add_visit(study, repeat.original)
    assert find_incomplete_repeats(study) == {repeat.case: (film,)}
    assert find_incomplete_repeats(study, {repeat.case}) == {}
    assert not find_incomplete_repeats(study.as_rater("anna"))
    assert any("1 hidden repeat lacks films" in line for line in format_cases(study, {repeat.original}))
    assert not format_cases(study, set(study.cases()) - {repeat.original}, unreadable=False)
    with monkeypatch.context() as patch:
        patch.setattr(Study, "save_case", _refuse)
        with pytest.raises(StoreError):
            update_repeats(study)
    done = run_in_this_process("repeats", study.path, "--update")
    assert "later films copied to 1 repeat" in done.stdout
    assert "lack" not in done.stdout
    study = Study.open(study.path)
    assert update_repeats(study) == ((), ())
    films = study.case(repeat.case).films
    assert [each.number for each in films] == [0, 1, 2]
    known = load_repeats(study)[repeat.case].films
    assert known[films[-1].id] == film != films[-1].id
    uids = [{str(header.SOPInstanceUID) for header in _headers(study, case)} for case in (repeat.case, repeat.original)]
    assert uids[0].isdisjoint(uids[1])
    assert not check_study(study.path).faults
    withdraw_films(study, repeat.original, [film], reason="wrong patient")
    assert films[-1].id not in {each.id for each in study.case(repeat.case).films}
    assert not find_incomplete_repeats(study)


def test_a_repeat_that_is_being_read_gets_no_last_visit_in_a_shared_blinded_study(study: Study) -> None:
    (repeat,) = draw_repeats(study, 0.25)
    _add_visit(study, repeat.original)
    store_reading(study, repeat.case)
    study.config = replace(study.config, group="daemon")
    assert update_repeats(study) == ((), (repeat.case,))
    assert len(study.case(repeat.case).films) == 2


def test_after_the_first_reading_new_repeats_need_a_reason_and_are_an_amendment(study: Study) -> None:
    draw_repeats(study, 0.25)
    store_reading(study, study.cases()[0])
    assert draw_repeats(study, 0.25) == (), "none is missing"
    refused = run_in_this_process("repeats", study.path, "--share", "0.5")
    assert "reading has begun" in refused.stderr
    assert len(load_repeats(study)) == 1
    assert not study.config.charter.amendments
    done = run_in_this_process("repeats", study.path, "--share", "0.5", "--reason", "the pilot was too small")
    assert "1 repeat drawn" in done.stdout
    (amendment,) = Study.open(study.path).config.charter.amendments
    assert (amendment.reason, amendment.changes) == ("the pilot was too small", ("hidden repeats: 1 -> 2",))


def test_the_order_of_a_model_keeps_a_repeat_apart_from_its_original(study: Study) -> None:
    (repeat,) = draw_repeats(study, 0.25)
    others = [case for case in study.cases() if case not in (repeat.case, repeat.original)]
    save_reading_order(study, [others[0], repeat.original, repeat.case, *others[1:]], "scorer")
    found = list(load_reading_order(study))
    assert sorted(found) == sorted(study.cases())
    assert abs(found.index(repeat.case) - found.index(repeat.original)) == 3, "as far as five cases allow"
    assert [case for case in found if case in others] == others


def test_only_managers_draw_and_know_repeats(study: Study, tmp_path: Path) -> None:
    draw_repeats(study, 0.25)
    with pytest.raises(StudyError, match="only managers"):
        draw_repeats(study.as_rater("anna"), 1.0)
    package(study, "anna", tmp_path / "anna.zip")
    with zipfile.ZipFile(tmp_path / "anna.zip") as archive:
        assert not [name for name in archive.namelist() if "repeats" in name]
        assert not [name for name in archive.namelist() if b'"original"' in archive.read(name)]


def test_raters_who_may_see_results_see_none_with_repeats(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2, sides="L", regions=False)
    study.config = replace(study.config, group="daemon")
    with pytest.raises(StudyError, match="count repeats as patients"):
        draw_repeats(study, 0.5)
    assert not load_repeats(study)
    study.config = replace(study.config, charter=replace(study.config.charter, repeats_share=0.5))
    assert draw_repeats(study, 0.5)


def test_a_second_import_adds_nothing_to_a_repeat(study: Study, tmp_path: Path) -> None:
    draw_repeats(study, 1.0)
    before = {case: study.case(case) for case in study.cases()}
    import_films(
        study, [hospital(tmp_path / "again", 4, "L")], key=tmp_path / "key.json", converter=InProcessConverter()
    )
    assert {case: study.case(case) for case in study.cases()} == before


def test_a_withdrawn_film_is_withdrawn_from_the_repeat(study: Study) -> None:
    draw_repeats(study, 1.0)
    repeat = next(iter(load_repeats(study).values()))
    new, old = next(iter(repeat.films.items()))
    withdraw_films(study, repeat.original, [old], reason="wrong patient")
    assert new not in {film.id for film in study.case(repeat.case).films}
    withdraw_films(study, repeat.original, reason="consent withdrawn", erase=True)
    assert not study.case(repeat.case).films
    assert not list((study.path / "films" / repeat.case).glob("*.dcm"))
    assert {(each.case, each.film) for each in list_withdrawals(study)} == {
        *((repeat.case, film) for film in repeat.films),
        *((repeat.original, film) for film in repeat.films.values()),
    }


def test_a_signed_reading_of_the_repeat_protects_the_films(study: Study) -> None:
    draw_repeats(study, 1.0)
    repeat = next(iter(load_repeats(study).values()))
    store_reading(study, repeat.case, rater="bert", signed=True)
    with pytest.raises(StudyError, match="signed readings of bert"):
        withdraw_films(study, repeat.original, reason="wrong patient")


def test_the_command_counts_repeats_and_lists_them_only_if_asked(study: Study) -> None:
    done = run_in_this_process("repeats", study.path, "--share", "0.5")
    assert "2 repeats drawn" in done.stdout
    assert "2 of 6 cases are repeats" in done.stdout
    assert " shows " not in done.stdout
    listed = run_in_this_process("repeats", study.path, "--list").stdout
    assert all(f"{each.case} shows {each.original}" in listed for each in load_repeats(study).values())


def test_a_share_of_the_charter_is_drawn(study: Study) -> None:
    refused = run_in_this_process("repeats", study.path, "--draw")
    assert refused.returncode == 1
    assert "states no share" in refused.stderr
    terms = study.path.parent / "terms.toml"
    terms.write_text("repeats_share = 0.25\n")
    assert run_in_this_process("charter", study.path, "--set", terms, "--reason", "as planned").returncode == 0
    assert "1 repeat drawn" in run_in_this_process("repeats", study.path, "--draw").stdout
