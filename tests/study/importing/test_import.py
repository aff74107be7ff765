"""Import: accepted and rejected files, reasons, and no patient data in the study."""

import csv
import grp
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from ratui.errors import StudyError
from ratui.imaging import read_film
from ratui.study import Case, InProcessConverter, KeyFile, Study, import_films
from ratui.study.check import check_study
from ratui.study.importing import ConvertedFilm, FilmHeader, FilmRequest, ReaderProcess
from tests.films import confirm_template, film_file, hospital
from tests.tui.readings import store_reading

DAYS = "20200302", "20210504"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


@pytest.fixture(scope="module")
def converter() -> Iterator[ReaderProcess]:
    """Return one reader process for all imports of this module, because its start takes longer than they do."""
    with ReaderProcess() as isolated:
        yield isolated


def names(items: object) -> dict[str, str]:
    return {item.path.name: getattr(item, "reason", "") for item in items}  # type: ignore[attr-defined]


def test_two_dates_become_two_time_points(study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
    report = import_films(study, [hospital(tmp_path / "h", patients=2)], key=tmp_path / "key.json", converter=converter)
    assert len(report.imported) == 8
    assert not report.rejected
    for case in map(study.case, study.cases()):
        assert not case.unreadable_reason(study.scheme)
        assert {film.day for film in case.films} == {0, 428}


def test_pixels_are_unchanged_and_names_removed(study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
    source = film_file(tmp_path / "h" / "a.dcm", patient="SECRET-77", InstitutionName="St. Elsewhere")
    import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=converter)
    (copy,) = study.path.rglob("*.dcm")
    assert np.array_equal(read_film(copy).pixels, read_film(source).pixels)
    everything = b"".join(file.read_bytes() for file in study.path.rglob("*") if file.is_file())
    for secret in (b"SECRET-77", b"Doe", b"20200302", b"Elsewhere", b"a.dcm"):
        assert secret not in everything
    original, new = pydicom.dcmread(source), pydicom.dcmread(copy)
    assert original.SOPInstanceUID != new.SOPInstanceUID
    assert (tmp_path / "key.json").stat().st_mode & 0o077 == 0


def test_the_key_must_not_lie_in_the_study(study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
    with pytest.raises(StudyError, match="can't be inside the study"):
        import_films(study, [hospital(tmp_path / "h")], key=study.path / "key.json", converter=converter)


def test_bad_files_are_listed_and_the_rest_is_taken(study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
    folder = hospital(tmp_path / "h", sides="L")
    (folder / "letter.dcm").write_text("Dear colleague, \x1b[31m")
    good = (folder / "P0_0_L.dcm").read_bytes()
    (folder / "short.dcm").write_bytes(good[: len(good) // 2])
    (folder / "again.dcm").write_bytes(good)
    film_file(folder / "nobody.dcm", patient="", side="L", PatientName="")
    film_file(folder / "noside.dcm", patient="P9", side="")
    report = import_films(study, [folder], key=tmp_path / "key.json", converter=converter)
    assert len(report.imported) == 2
    refused = names(report.rejected)
    assert "not a DICOM" in refused["letter.dcm"]
    assert "same film" in refused["again.dcm"] or "same film" in refused.get("P0_0_L.dcm", "")
    assert "names no patient" in refused["nobody.dcm"]
    assert "which side" in refused["noside.dcm"]
    assert refused["short.dcm"]


def test_a_film_that_comes_again_later_is_refused(study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
    folder = hospital(tmp_path / "h")
    import_films(study, [folder], key=tmp_path / "key.json", converter=converter)
    report = import_films(study, [folder], key=tmp_path / "key.json", converter=converter)
    assert not report.imported
    assert len(report.rejected) == 4
    assert len(study.cases()) == 1


class DyingConverter:
    """A converter whose process is killed after some films, as by kill -9."""

    def __init__(self, converter: ReaderProcess, films: int) -> None:
        self._converter, self._left = converter, films

    def read_header(self, path: Path) -> FilmHeader:
        return self._converter.read_header(path)

    def convert(self, path: Path, request: FilmRequest) -> ConvertedFilm:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return self._converter.convert(path, request)


@pytest.mark.parametrize("films", range(8))
def test_an_import_that_was_cut_short_is_run_again(
    study: Study, tmp_path: Path, converter: ReaderProcess, films: int
) -> None:
    folder = hospital(tmp_path / "h", patients=2)
    with pytest.raises(KeyboardInterrupt):
        import_films(study, [folder], key=tmp_path / "key.json", converter=DyingConverter(converter, films))
    report = import_films(study, [folder], key=tmp_path / "key.json", converter=converter)
    assert len(report.imported) == 8 - films // 4 * 4, "the films of a case are stored together"
    assert all("same film" in item.reason for item in report.rejected)
    assert len(study.cases()) == 2
    for case in map(study.case, study.cases()):
        assert [(film.time, film.side, film.day) for film in case.films] == [
            (0, "L", 0),
            (0, "R", 0),
            (1, "L", 428),
            (1, "R", 428),
        ]
    assert check_study(study.path).is_intact


def test_a_film_of_another_day_needs_a_manifest(study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
    import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=converter)
    later = film_file(tmp_path / "later" / "x.dcm", patient="P0", day="20220101", seed=99)
    report = import_films(study, [later], key=tmp_path / "key.json", converter=converter)
    assert "in the study already" in report.rejected[0].reason


def test_one_time_point_alone_is_refused_where_raters_would_see_which_films_came_first(
    tmp_path: Path, converter: ReaderProcess
) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    study = Study.create(tmp_path / "study", "fingers", ["anna"], blinded=True, group=group)
    first, second = (film_file(tmp_path / f"{day}.dcm", day=day, seed=number) for number, day in enumerate(DAYS))
    report = import_films(study, [first], key=tmp_path / "key.json", converter=converter)
    assert {name: reason.partition(".")[0] for name, reason in names(report.rejected).items()} == {
        first.name: "this study is blinded and shared: raters would see which films came first"
    }
    assert not report.imported
    assert not study.cases()
    assert not list(study.path.rglob("*.dcm"))
    report = import_films(study, [first, second], key=tmp_path / "key.json", converter=converter)
    assert not report.rejected
    (case,) = map(study.case, study.cases())
    assert {film.time: film.day for film in case.films} == {0: 0, 1: 428}


@pytest.mark.parametrize("is_begun", [True, False])
def test_no_visit_comes_after_the_reading_has_begun_where_raters_would_see_that_it_is_the_last(
    tmp_path: Path, converter: ReaderProcess, is_begun: bool
) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    study = Study.create(tmp_path / "study", "fingers", ["anna"], blinded=True, group=group)
    days = (*DAYS, "20220704")
    first, second, third = (film_file(tmp_path / f"{day}.dcm", day=day, seed=n) for n, day in enumerate(days))
    import_films(study, [first, second], key=tmp_path / "key.json", converter=converter, visits=3)
    (case,) = study.cases()
    if is_begun:
        confirm_template(study, case, "anna")
        store_reading(study, case, rater="anna", signed=False)
    report = import_films(study, [third], key=tmp_path / "key.json", converter=converter, visits=3)
    reasons = {name: reason.partition(":")[0] for name, reason in names(report.rejected).items()}
    late = {third.name: "this study is blinded and shared, and its reading has begun"}
    assert reasons == (late if is_begun else {})
    assert len(study.case(case).times) == (2 if is_begun else 3)


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_nothing_to_import_is_an_error(study: Study, tmp_path: Path, converter: ReaderProcess, what: str) -> None:
    if what == "empty":
        (tmp_path / what).mkdir()
    with pytest.raises(StudyError):
        import_films(study, [tmp_path / what], key=tmp_path / "key.json", converter=converter)


class TestManifest:
    def write(self, folder: Path, rows: list[dict[str, object]]) -> Path:
        folder.mkdir(exist_ok=True)
        with (folder / "films.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        return folder / "films.csv"

    def png(self, path: Path, mode: str = "L", seed: int = 0) -> None:
        path.parent.mkdir(exist_ok=True)
        array = np.random.default_rng(seed).integers(0, 255, (90, 80)).astype(np.uint8)
        image = Image.fromarray(array) if mode == "L" else Image.fromarray(np.dstack([array, array[::-1], array]))
        image.save(path)

    def test_png_films_get_their_patient_from_it(self, study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
        folder = tmp_path / "m"
        for time in (0, 1):
            self.png(folder / f"{time}.png", seed=time)
        rows = [{"file": f"{t}.png", "patient": "X", "time": t, "side": "left", "spacing": 0.2} for t in (0, 1)]
        report = import_films(
            study, [], manifest=self.write(folder, rows), key=tmp_path / "key.json", converter=converter
        )
        assert len(report.imported) == 2
        (case,) = study.cases()
        film = study.case(case).films[0]
        assert film.spacing == (0.2, 0.2)
        with Image.open(folder / "0.png") as image:
            assert np.array_equal(read_film(study.film_path(case, film.id)).pixels, np.asarray(image))

    def test_a_colour_picture_is_refused(self, study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
        self.png(tmp_path / "m" / "c.png", mode="RGB")
        manifest = self.write(tmp_path / "m", [{"file": "c.png", "patient": "X", "time": 0, "side": "L"}])
        report = import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=converter)
        assert "colour" in names(report.rejected)["c.png"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"time": "8"}, "line 2: the time must be"),
            ({"side": "up"}, "the side must be"),
            ({"patient": ""}, "patient is missing"),
            ({"file": "../x.png"}, "must be in the manifest"),
            ({"file": "/etc/passwd"}, "must be in the manifest"),
            ({"view": "skull"}, "the view must be one of"),
            ({"spacing": "9"}, "the spacing must be"),
        ],
    )
    def test_a_wrong_line_is_named(
        self, study: Study, tmp_path: Path, converter: ReaderProcess, change: dict[str, str], message: str
    ) -> None:
        row = {"file": "a.png", "patient": "X", "time": "0", "side": "L", "view": "", "spacing": "", **change}
        manifest = self.write(tmp_path / "m", [row])
        with pytest.raises(StudyError) as caught:
            import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=converter)
        assert message in str(caught.value)

    def test_a_missing_column_is_named(self, study: Study, tmp_path: Path, converter: ReaderProcess) -> None:
        manifest = self.write(tmp_path / "m", [{"file": "a.png", "patient": "X", "time": 0}])
        with pytest.raises(StudyError, match="lacks the columns side"):
            import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=converter)


class TestSecondKey:
    """A second key would list each patient twice, and link two studies of a patient to nobody."""

    def test_an_import_without_the_key_of_the_first_is_refused(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        films = hospital(tmp_path / "h")
        import_films(study, [films], key=tmp_path / "key.json", converter=InProcessConverter())
        before = sorted(path for path in study.path.rglob("*.dcm"))
        for key in (None, tmp_path / "other.json"):
            with pytest.raises(StudyError, match="no key file here") as caught:
                import_films(study, [films], key=key, converter=InProcessConverter())
            assert "--key" in caught.value.remedy
        (tmp_path / "key.json").unlink()
        (tmp_path / "key.json.bak").unlink()
        with pytest.raises(StudyError, match="no key file here"):
            import_films(study, [films], key=tmp_path / "key.json", converter=InProcessConverter())
        assert sorted(path for path in study.path.rglob("*.dcm")) == before
        assert not (tmp_path / "other.json").exists()

    def test_a_key_that_knows_other_patients_only_is_refused(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        other = KeyFile.open(study, tmp_path / "other.json")
        other.assign_case("P9")
        other.save(study)
        import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
        with pytest.raises(StudyError, match="knows none of"):
            import_films(study, [tmp_path / "h"], key=tmp_path / "other.json", converter=InProcessConverter())

    def test_a_second_key_can_be_accepted_for_new_patients(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
        film_file(tmp_path / "new" / "a.dcm", patient="P7", seed=77)
        new = [tmp_path / "new"]
        report = import_films(study, new, key=tmp_path / "other.json", second_key=True, converter=InProcessConverter())
        assert len(report.imported) == 1
        assert KeyFile.open(study, tmp_path / "other.json").find_case("P7")


class TestPixelDigests:
    def test_the_same_film_of_another_patient_is_refused(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        film_file(tmp_path / "h" / "a.dcm", patient="P1", seed=3)
        key = tmp_path / "key.json"
        import_films(study, [tmp_path / "h"], key=key, converter=InProcessConverter())
        (case,) = study.cases()
        film_file(tmp_path / "other" / "b.dcm", patient="P2", side="R", seed=3)
        report = import_films(study, [tmp_path / "other"], key=key, converter=InProcessConverter())
        assert report.imported == ()
        assert report.rejected[0].reason.startswith(
            f"the same film is in the study already, as one of another patient, case {case}"
        )

    def test_two_files_of_one_import_are_compared(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        for number, patient in enumerate(("P1", "P2")):
            film_file(tmp_path / "h" / f"{number}.dcm", patient=patient, seed=3)
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert not report.imported, "nobody can tell whose film it is"
        assert all("same picture, but another patient" in item.reason for item in report.rejected)
        assert len(report.rejected) == 2

    def test_a_film_of_an_earlier_version_is_recognised(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        path = film_file(tmp_path / "h" / "a.dcm", patient="P1", seed=3)
        import_films(study, [path], key=tmp_path / "key.json", converter=InProcessConverter())
        case = study.case(study.cases()[0])
        plain = hashlib.sha256(read_film(path).pixels.tobytes()).hexdigest()
        study.save_case(Case(case.id, (replace(case.films[0], digest=plain),)))
        film_file(tmp_path / "other" / "b.dcm", patient="P2", side="R", seed=3)
        report = import_films(study, [tmp_path / "other"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert "another patient" in report.rejected[0].reason

    def test_two_studies_of_a_patient_have_no_digest_in_common(self, tmp_path: Path) -> None:
        path = film_file(tmp_path / "h" / "a.dcm", patient="P1", seed=3)
        digests = set()
        for number in range(2):
            study = Study.create(tmp_path / f"s{number}", "fingers", ["anna"])
            import_films(study, [path], key=tmp_path / f"k{number}.json", converter=InProcessConverter())
            digests |= {visit.pixels for case in study.cases() for visit in study.visits(case).values()}
            plain = hashlib.sha256(read_film(path).pixels.tobytes()).hexdigest().encode()
            assert not [file for file in study.path.rglob("*") if file.is_file() and plain in file.read_bytes()]
        assert len(digests) == 2


def test_days_of_a_manifest_are_counted_from_the_first_film(study: Study, tmp_path: Path) -> None:
    """Count from 1900, as spreadsheets do, and add a film in a second import: the study contains no date."""
    for number in range(3):
        film_file(tmp_path / "h" / f"{number}.dcm", patient="X", side="LLR"[number], seed=number)
    head = "file,patient,time,side,day\n"
    (tmp_path / "h" / "one.csv").write_text(f"{head}1.dcm,P1,1,L,44320\n0.dcm,P1,0,L,43892\n")
    (tmp_path / "h" / "two.csv").write_text(f"{head}2.dcm,P1,1,R,44320\n")
    for name in ("one", "two"):
        manifest = tmp_path / "h" / f"{name}.csv"
        import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter())
    (case,) = study.cases()
    assert sorted((film.time, film.side, film.day) for film in study.case(case).films) == [
        (0, "L", 0),
        (1, "L", 428),
        (1, "R", 428),
    ]
    stored = [file.read_bytes() for file in study.path.rglob("*.json*") if file.is_file()]
    assert not [data for data in stored if b":43892" in data or b":44320" in data]


def test_a_key_file_can_not_bring_a_name_into_the_study(study: Study, tmp_path: Path) -> None:
    keys = KeyFile.open(study, tmp_path / "key.json")
    keys._cases["P1"] = "C-Doe John"
    keys.save(study)
    with pytest.raises(StudyError, match="the key file is damaged"):
        KeyFile.open(study, tmp_path / "key.json")
