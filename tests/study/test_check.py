"""`check`: faults are reported, provable ones repaired, and other damaged files set aside so that the rest opens."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ratui import files as disk
from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, enter, find_next_open_field, toggle_flag
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.config_files import reseal_settings
from ratui.study.store import open_seal, seal
from tests.films import make_study

FIELD = Field("L.IP1", "ERO", 0)


def read_some(study: Study, rater: str = "anna", count: int = 6) -> Path:
    (case,) = study.cases()
    with study.open_reading(rater, case) as session:
        field = find_next_open_field(session.reading)
        for _ in range(count):
            assert field
            session.save(enter(session.reading, field, GradeEntry(0), key="0"))
            field = find_next_open_field(session.reading, after=field)
    return study.reading_path(rater, case)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path)


def both(path: Path) -> tuple[Path, Path]:
    return path, disk.second_copy_path(path)


def test_an_intact_study(study: Study) -> None:
    read_some(study)
    report = check_study(study.path)
    assert report.is_intact, report.faults
    assert report.files > 7


def test_one_damaged_copy_is_mended_from_the_other(study: Study) -> None:
    path = read_some(study)
    for each in both(path):
        whole = each.read_bytes()
        each.write_bytes(whole[:-9])
        assert not check_study(study.path).is_intact
        report = check_study(study.path, repair=True)
        assert [fault.repaired for fault in report.faults] == [True]
        assert each.read_bytes() == whole
        assert check_study(study.path).is_intact


def test_a_check_without_repair_changes_nothing(study: Study) -> None:
    path = read_some(study)
    path.write_bytes(b"{")
    check_study(study.path)
    assert path.read_bytes() == b"{"


def test_fields_are_rebuilt_from_the_log_where_both_copies_lost_them(study: Study) -> None:
    path = read_some(study)
    before = study.reading("anna", path.stem)
    for each in both(path):
        each.write_bytes(each.read_bytes().replace(b'"grade":0', b'"grade":9', 2))
    report = check_study(study.path, repair=True)
    assert "rebuilt" in report.faults[0].remedy
    assert not report.unrepaired
    assert study.reading("anna", path.stem) == before
    assert len(list(path.parent.glob("*.damaged-*"))) == 2


def test_fields_that_contradict_the_log_are_rebuilt_from_it(study: Study) -> None:
    """Change a grade and seal the file again: the log still contains the original entry."""
    path = read_some(study)
    sealed = open_seal(path.read_bytes())
    sealed.tables["fields"]["1"]["grade"] = 3
    for each in both(path):
        each.write_bytes(seal(sealed.tables, sealed.sealed_as))
    report = check_study(study.path)
    assert [fault.remedy for fault in report.faults] == ["fields rebuilt from the log"]
    check_study(study.path, repair=True)
    reading = study.reading("anna", path.stem)
    assert reading
    assert reading.score(FIELD) == 0


def test_a_flag_and_a_signature_without_a_log_entry_are_removed(study: Study) -> None:
    path = read_some(study)
    before, seconds = study.reading("anna", path.stem), study.state("anna", path.stem).seconds
    sealed = open_seal(path.read_bytes())
    sealed.tables["meta"]["1"] |= {"flags": ["L.MCP2"], "signed": "2024-01-01T00:00:00.000+00:00", "seconds": 77.0}
    for each in both(path):
        each.write_bytes(seal(sealed.tables, sealed.sealed_as))
    check_study(study.path, repair=True)
    assert study.reading("anna", path.stem) == before
    assert study.state("anna", path.stem).seconds == seconds != 77.0
    assert check_study(study.path).is_intact


def test_a_log_that_contradicts_itself_proves_nothing(study: Study) -> None:
    path = read_some(study)
    sealed = open_seal(path.read_bytes())
    sealed.tables["log"]["2"]["changes"][0]["old"] = {"grade": 1}
    for each in both(path):
        each.write_bytes(seal(sealed.tables, sealed.sealed_as))
    (fault,) = check_study(study.path, repair=True).faults
    assert "contradicts itself" in fault.problem
    assert (fault.remedy, fault.repaired) == ("", False)
    assert path.read_bytes() == seal(sealed.tables, sealed.sealed_as)


def test_unprovable_files_are_set_aside_and_the_rest_opens(study: Study) -> None:
    path = read_some(study)
    read_some(study, "bert", 2)
    for each in both(path):
        each.write_bytes(each.read_bytes()[:200])
    report = check_study(study.path)
    assert not report.is_repairable
    check_study(study.path, repair=True)
    assert check_study(study.path).is_intact
    assert study.reading("anna", path.stem) is None
    assert study.reading("bert", path.stem) is not None
    assert len(list(path.parent.glob("*.damaged-*"))) == 2


def test_a_reading_that_is_open_is_not_touched(study: Study) -> None:
    path = read_some(study)
    with study.open_reading("anna", path.stem):
        disk.second_copy_path(path).write_bytes(b"")
        report = check_study(study.path, repair=True)
        assert "open already" in report.unrepaired[0].advice
        assert disk.second_copy_path(path).read_bytes() == b""
    assert check_study(study.path, repair=True).unrepaired == ()


def test_a_session_repairs_what_it_opens_and_reports_it(study: Study) -> None:
    path = read_some(study)
    path.write_bytes(b"\0" * 500)
    with study.open_reading("anna", path.stem) as session:
        assert "nothing is lost" in session.notice
        assert session.reading.score(FIELD) == 0
    assert check_study(study.path).is_intact


def test_a_damaged_film_is_reported_and_not_shown(study: Study) -> None:
    (case,) = study.cases()
    film = study.case(case).films[0]
    path = study.film_path(case, film.id)
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    report = check_study(study.path)
    assert "not the file that was imported" in report.faults[0].problem
    from ratui.errors import FilmError

    with pytest.raises(FilmError, match="damaged"):
        study.film(case, film.id)
    other = study.case(case).films[1]
    assert study.film(case, other.id).rows == other.rows


def test_a_film_of_an_interrupted_import_is_set_aside(study: Study) -> None:
    (case,) = study.cases()
    stray = study.film_path(case, "aaaaaaaaaaaa")
    stray.write_bytes(b"DICM")
    stray.chmod(0o600)
    assert check_study(study.path).is_repairable
    check_study(study.path, repair=True)
    assert not stray.exists()
    assert check_study(study.path).is_intact


def test_exchanged_files_are_reported(study: Study) -> None:
    one, two = read_some(study), read_some(study, "bert", 3)
    for each, other in zip(both(one), both(two), strict=True):
        other.write_bytes(each.read_bytes())
    faults = check_study(study.path).faults
    assert [fault.file for fault in faults] == [f"readings/bert/{two.name}"]


@pytest.mark.parametrize("name", ["study.toml", "scheme.toml"])
def test_settings_and_scheme_are_mended_from_their_copies(study: Study, name: str) -> None:
    path = study.path / name
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"title", b"titel", 1))
    opened = Study.open(study.path)
    assert opened.config == study.config
    assert any(name in notice for notice in opened.notices)
    check_study(study.path, repair=True)
    assert path.read_bytes() == whole


def test_settings_can_be_changed_by_hand_and_sealed(study: Study) -> None:
    path = study.path / "study.toml"
    path.write_text(path.read_text().replace('["anna", "bert"]', '["anna", "bert", "cleo"]'))
    assert Study.open(study.path).config.raters == ("anna", "bert")
    reseal_settings(study.path)
    assert Study.open(study.path).config.raters == ("anna", "bert", "cleo")
    assert check_study(study.path).is_intact


def test_settings_with_another_scheme_are_not_sealed(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    file, scheme = study.path / "study.toml", study.path / "scheme.toml"
    settings = file.read_bytes()
    digest = study.config.scheme.encode()
    for other in (digest[::-1], b""):
        file.write_bytes(settings.replace(digest, other))
        with pytest.raises(StudyError, match="checksum of the scheme does not match"):
            reseal_settings(study.path)
    file.write_bytes(settings)
    scheme.write_bytes(scheme.read_bytes() + b"# changed")
    with pytest.raises(StudyError, match="checksum of the scheme does not match"):
        reseal_settings(study.path)
    assert file.read_bytes() == settings, "nothing is written"


def test_permissions_that_are_too_wide_are_corrected(study: Study) -> None:
    path = read_some(study)
    path.chmod(0o644)
    (study.path / "films").chmod(0o755)
    report = check_study(study.path)
    assert {fault.file for fault in report.faults} == {"films", f"readings/anna/{path.name}"}
    check_study(study.path, repair=True)
    assert check_study(study.path).is_intact
    assert path.stat().st_mode & 0o077 == 0


def test_a_link_is_reported(study: Study, tmp_path: Path) -> None:
    (study.path / "films" / "C-LINK").symlink_to(tmp_path)
    assert any("link" in fault.problem for fault in check_study(study.path).faults)


def test_readings_of_an_unknown_rater_are_reported(study: Study) -> None:
    path = read_some(study)
    shutil.copytree(path.parent, study.path / "readings" / "zoe")
    assert any("no rater of that name" in fault.problem for fault in check_study(study.path).faults)


class TestFormat1:
    """A study of simulated hands in the first format, which had no seals."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        shutil.copytree(Path(__file__).parent / "format1", tmp_path / "old")
        return tmp_path / "old"

    def test_it_opens_and_can_be_continued(self, old: Path) -> None:
        study = Study.open(old)
        assert study.config.stored_format == 1
        case = next(state.case for state in study.states("you") if state.stage == "reading")
        with study.open_reading("you", case) as session:
            field = find_next_open_field(session.reading)
            assert field
            session.save(enter(session.reading, field, GradeEntry(0)))
        assert open_seal(study.reading_path("you", case).read_bytes()).sealed_as == f"you/{case}"
        assert Study.open(old).state("you", case).done == 1

    def test_it_is_migrated(self, old: Path) -> None:
        before = {
            (rater, case): Study.open(old).reading(rater, case)
            for rater in ("ada", "ben", "you")
            for case in Study.open(old).cases()
        }
        assert check_study(old).is_repairable
        report = check_study(old, repair=True)
        assert not report.unrepaired
        study = Study.open(old)
        assert study.config.stored_format == 3
        assert check_study(old).is_intact
        after = {key: study.reading(*key) for key in before}
        assert all(reading.positions for reading in after.values() if reading), "the films are stated now"
        assert {key: reading and replace(reading, positions=()) for key, reading in after.items()} == before
        assert all(film.file for case in study.cases() for film in study.case(case).films)

    def test_damage_prevents_a_silent_migration(self, old: Path) -> None:
        file = next((old / "readings" / "ada").glob("*.json"))
        file.write_text(file.read_text()[:-20])
        report = check_study(old, repair=True)
        assert [fault.file for fault in report.unrepaired] == [f"readings/ada/{file.name}"]


@pytest.mark.parametrize(
    ("file", "newer"),
    [
        ("study.toml", lambda text: re.sub(r"format = \d+", "format = 99", text)),
        ("readings", lambda text: re.sub(r'"meta":\{"1":\{"format":\d+', '"meta":{"1":{"format":99', text)),
    ],
)
def test_a_newer_format_is_refused_and_left_as_it_is(study: Study, file: str, newer: object) -> None:
    from ratui.errors import StudyError
    from ratui.study.study_config import _append_seal

    path = read_some(study) if file == "readings" else study.path / file
    text = newer(path.read_text())  # type: ignore[operator]
    assert text != path.read_text()
    if file == "readings":
        tables = {name: records for name, records in json.loads(text).items() if name != "seal"}
        for records in tables.values():
            for record in records.values():
                del record["sum"]
        data = seal(tables, f"anna/{path.stem}")
    else:
        data = _append_seal(text[: text.index("# SHA-256 of all lines")].encode())
    for each in both(path):
        each.write_bytes(data)
    with pytest.raises(StudyError, match="format"), Study.open(study.path).open_reading("anna", study.cases()[0]):
        pass
    assert all(each.read_bytes() == data for each in both(path))


def test_what_a_killed_backup_left_is_removed_after_a_day(study: Study) -> None:
    import os

    for name in (".snapshot-old", ".snapshot-new"):
        (study.path / name).mkdir()
    os.utime(study.path / ".snapshot-old", (0, 0))
    assert check_study(study.path).is_intact
    check_study(study.path, repair=True)
    assert not (study.path / ".snapshot-old").exists()
    assert (study.path / ".snapshot-new").exists()


def interrupt(path: Path, *, first: bool) -> None:
    """Put the files in the state that a save leaves if it is killed between the two renames; `first` without a file."""
    text = path.read_bytes()
    temporary = path.with_name(f".{path.name}.0123456789ab.tmp")
    temporary.write_bytes(text)
    temporary.chmod(0o600)
    path.unlink()
    if not first:
        path.write_bytes(path.with_name("before").read_bytes())
        path.chmod(0o600)


@pytest.mark.parametrize("first", [True, False])
def test_an_interrupted_save_is_a_note_and_no_fault(study: Study, first: bool) -> None:
    path = read_some(study)
    path.with_name("before").write_bytes(path.read_bytes())
    path.with_name("before").chmod(0o600)
    with study.open_reading("anna", path.stem) as session:
        session.save(toggle_flag(session.reading, "L.MCP2"))
    interrupt(path, first=first)
    report = check_study(study.path)
    assert report.is_intact
    assert any("a save was interrupted" in note for note in report.notes)
    assert any("unfinished" in note for note in report.notes)
    report = check_study(study.path, repair=True)
    assert report.is_intact
    assert path.read_bytes() == disk.second_copy_path(path).read_bytes()


def test_without_the_trace_of_a_save_a_missing_file_is_a_fault(study: Study) -> None:
    path = read_some(study)
    path.unlink()
    assert [fault.problem for fault in check_study(study.path).faults] == ["it is missing"]


def test_a_damaged_file_beside_an_interrupted_save_is_a_fault(study: Study) -> None:
    path = read_some(study)
    interrupt(path, first=True)
    path.write_bytes(b"damaged")
    path.chmod(0o600)
    report = check_study(study.path)
    assert [fault.file for fault in report.faults] == [f"readings/anna/{path.name}"]


def test_a_check_of_an_intact_study_takes_no_lock(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    read_some(study)

    @contextmanager
    def refuse(self: Study) -> Iterator[None]:
        raise AssertionError("it holds up saves")
        yield

    monkeypatch.setattr(Study, "exclusive", refuse)
    assert check_study(study.path).is_intact
