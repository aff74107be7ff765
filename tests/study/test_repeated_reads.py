"""A reading and its displays come from one read of the file, and no damage or change is missed by that."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.files import second_copy_path
from ratui.garbage_collection import pause_collection
from ratui.results.released import collect_released_readings
from ratui.study import Study, region_store
from ratui.study.readings.reading_session import add_entry
from ratui.study.store import StoredTables, StudyFile
from tests.results.studies import read_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return read_study(tmp_path, {"anna": {}, "bert": {}}, patients=2)


def add_display(study: Study, rater: str, case: str) -> None:
    """Save the reading again, as made on one more display."""
    with Study.open(study.path).open_reading(rater, case) as session:
        session.save(session.reading, displays=add_entry(session.displays, "sixel", 6.0, enough=False))


def test_each_reading_is_read_once_with_its_displays(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def count(file: StudyFile, **options: bool) -> StoredTables | None:
        read.append(file.inside)
        return read_intact(file, **options)

    read_intact = region_store.read_intact
    monkeypatch.setattr(region_store, "read_intact", count)
    found = collect_released_readings(study)
    own = [inside for inside in read if inside.startswith(("readings/anna", "readings/bert"))]
    assert sorted(own) == [f"readings/{rater}/{case}.json" for rater in ("anna", "bert") for case in study.cases()]
    assert {case: set(each) for case, each in found.displays.items()} == {
        case: {"anna", "bert"} for case in study.cases()
    }


def test_displays_of_a_reading_that_was_saved_meanwhile_are_read_again(study: Study) -> None:
    (case, _) = study.cases()
    study.reading("anna", case)
    assert study.displays("anna", case) == ()
    add_display(study, "anna", case)
    (use,) = study.displays("anna", case)
    assert (use.protocol, use.entries, use.below) == ("sixel", 1, 1)
    assert study.displays("bert", case) == ()


def test_damage_that_leaves_size_and_time_is_noticed_by_the_next_reading(study: Study) -> None:
    (case, _) = study.cases()
    path = study.reading_path("anna", case)
    assert study.reading("anna", case) is not None
    for copy in (path, second_copy_path(path)):
        times = copy.stat()
        with copy.open("r+b") as file:
            file.seek(100)
            byte = file.read(1)
            file.seek(100)
            file.write(bytes([byte[0] ^ 1]))
        os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(StoreError, match="damaged"):
        study.reading("anna", case)


def test_the_pause_of_the_collection_ends_also_after_an_error() -> None:
    @pause_collection()
    def fail() -> None:
        with pause_collection():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer pause goes on"
        raise ValueError("inside")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"):
        fail()
    assert gc.isenabled()
