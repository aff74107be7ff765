"""Sources of an import: folders, links, archives and file sets; whatever is not read is listed with its reason."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner
from pydicom.fileset import FileSet

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.copies.backup import back_up
from ratui.study.importing.files.sources import open_sources
from ratui.study.importing.import_report import ImportReport, fold_lines
from ratui.study.importing.importer import open_import
from tests.films import film_file, hospital
from tests.support.sources import find, write, zip_of

pytestmark = pytest.mark.usefixtures("read_films_here")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a temporary folder of its own, in which nothing may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class TestFolders:
    def test_a_linked_patient_folder_is_imported(self, tmp_path: Path) -> None:
        """Three patients in an export, two of them as links to other places."""
        hospital(tmp_path / "archive", patients=3)
        for patient in range(3):
            folder = tmp_path / "store" / f"P{patient}"
            folder.mkdir(parents=True)
            for file in (tmp_path / "archive").glob(f"P{patient}_*"):
                file.rename(folder / file.name)
        export = tmp_path / "export"
        export.mkdir()
        (tmp_path / "store" / "P0").rename(export / "P0")
        (export / "P1").symlink_to(tmp_path / "store" / "P1")
        (export / "P2").symlink_to("../store/P2")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [export], key=tmp_path / "key.json", converter=InProcessConverter())
        assert len(report.imported) == 12
        assert len(study.cases()) == 3
        assert not report.skipped
        assert report.exit_code == 0

    def test_links_are_followed_once(self, tmp_path: Path) -> None:
        write(tmp_path / "h" / "b" / "film")
        (tmp_path / "h" / "a").symlink_to("b")
        (tmp_path / "h" / "c").symlink_to("b/film")
        files, skipped = find(tmp_path / "h")
        assert list(files) == ["b/film"]
        assert set(skipped) == {"h/a", "h/c"}
        assert all("read anyway" in reason for reason in skipped.values())

    def test_a_linked_file_is_read(self, tmp_path: Path) -> None:
        write(tmp_path / "store" / "film", b"there")
        (tmp_path / "h").mkdir()
        (tmp_path / "h" / "link").symlink_to("../store/film")
        assert find(tmp_path / "h") == ({"store/film": b"there"}, {})

    @pytest.mark.parametrize("target", [".", "..", "/", "../h"])
    def test_a_link_that_leads_back_ends(self, tmp_path: Path, target: str) -> None:
        write(tmp_path / "h" / "film")
        (tmp_path / "h" / "loop").symlink_to(target)
        files, skipped = find(tmp_path / "h")
        assert list(files) == ["h/film"]
        assert "leads back" in skipped["h/loop"] or "read anyway" in skipped["h/loop"]

    def test_two_linked_folders_that_link_each_other_end(self, tmp_path: Path) -> None:
        write(tmp_path / "one" / "a")
        write(tmp_path / "two" / "b")
        (tmp_path / "one" / "two").symlink_to(tmp_path / "two")
        (tmp_path / "two" / "one").symlink_to(tmp_path / "one")
        files, skipped = find(tmp_path / "one")
        assert set(files) == {"one/a", "two/b"}
        assert set(skipped) == {"two/one"}

    def test_links_to_nothing_are_listed(self, tmp_path: Path) -> None:
        write(tmp_path / "h" / "film")
        (tmp_path / "h" / "broken").symlink_to("gone")
        (tmp_path / "h" / "self").symlink_to("self")
        _, skipped = find(tmp_path / "h")
        assert skipped == {"h/broken": "a link that leads to nothing", "h/self": "a link that leads to itself"}

    def test_special_files_are_not_opened(self, tmp_path: Path) -> None:
        write(tmp_path / "h" / "film")
        os.mkfifo(tmp_path / "h" / "pipe")
        (tmp_path / "h" / "null").symlink_to("/dev/null")
        _, skipped = find(tmp_path / "h")
        assert skipped == {"h/pipe": "not a regular file", "dev/null": "not a regular file"}

    def test_hidden_and_empty_ones_are_listed(self, tmp_path: Path) -> None:
        write(tmp_path / "h" / "film")
        write(tmp_path / "h" / ".hidden" / "film")
        write(tmp_path / "h" / "__MACOSX" / "film")
        write(tmp_path / "h" / "._film")
        (tmp_path / "h" / "P3").mkdir()
        files, skipped = find(tmp_path / "h")
        assert list(files) == ["h/film"]
        assert skipped.pop("h/P3") == "an empty folder"
        assert skipped == dict.fromkeys(("h/.hidden", "h/__MACOSX", "h/._film"), "a hidden file or folder")

    def test_the_command_says_what_it_did_not_read(self, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "film.dcm")
        (tmp_path / "h" / "P2").symlink_to("gone")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        arguments = [
            "import",
            str(study.path),
            str(tmp_path / "h"),
            "--no-propose",
            "--key",
            str(tmp_path / "key.json"),
        ]
        done = CliRunner().invoke(commands, arguments, catch_exceptions=False)
        assert done.exit_code == 3
        assert "not read no. 2: a link that leads to nothing" in done.output
        assert "1 film of 1 case imported, 0 files refused, 1 not read" in done.output

    def test_an_empty_file_may_be_a_lost_film(self, tmp_path: Path) -> None:
        write(tmp_path / "h" / "film", b"")
        film_file(tmp_path / "h" / "good.dcm")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert [(item.origin.name, item.reason) for item in report.skipped] == [("film", "an empty file. Get it again")]
        assert report.exit_code == 3

    def test_a_study_beside_the_films_is_not_imported(self, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "good.dcm")
        study = Study.create(tmp_path / "h" / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert [film.path.name for film in report.imported] == ["good.dcm"]
        assert [item.origin for item in report.skipped] == [study.path]
        assert report.exit_code == 0
        back_up(study, tmp_path / "x.backup")
        assert "a backup of one" in find(tmp_path / "x.backup")[1][f"{tmp_path.name}/x.backup"]
        with open_sources([tmp_path / "x.backup"]) as sources:
            assert [item.is_harmless for item in sources.skipped] == [True]
        with pytest.raises(StudyError, match="is a study of ratui"):
            find(study.path)

    def test_an_unreadable_folder_is_listed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "h" / "film")
        write(tmp_path / "h" / "secret" / "film")
        scandir = os.scandir

        def refuse(path: Path) -> object:
            if Path(path).name == "secret":
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        files, skipped = find(tmp_path / "h")
        assert list(files) == ["h/film"]
        assert skipped == {"h/secret": "the folder can't be read: Permission denied"}

    def test_nothing_is_found_twice(self, tmp_path: Path) -> None:
        write(tmp_path / "h" / "p" / "film")
        files, skipped = find(tmp_path / "h" / "p", tmp_path / "h", tmp_path / "h" / "p" / "film")
        assert list(files) == ["p/film"]
        assert not skipped

    @pytest.mark.parametrize("is_grown", [True, False])
    def test_a_file_that_changes_between_header_and_pixels_is_refused(self, tmp_path: Path, is_grown: bool) -> None:
        folder = hospital(tmp_path / "hospital")
        changing = folder / "P0_0_L.dcm"
        other = film_file(tmp_path / "other.dcm", patient="P9", seed=99).read_bytes()
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        with open_import(study, [folder], key=tmp_path / "key.json", converter=InProcessConverter()) as current:
            plan = current.plan()
            changing.write_bytes(other + bytes(100) if is_grown else other)
            report = current.execute(plan)
        assert len(report.imported) == 3
        reasons = {item.path.name: item.reason for item in report.rejected}
        assert reasons == {"P0_0_L.dcm": "it has changed since it was read first. Import it again when it is complete"}

    @pytest.mark.parametrize("what", ["missing", "empty", "file/below"])
    def test_a_path_without_a_file_is_an_error(self, tmp_path: Path, what: str) -> None:
        (tmp_path / "empty" / "deeper").mkdir(parents=True)
        write(tmp_path / "file")
        with pytest.raises(StudyError, match=r"no such file|contains no file"):
            find(tmp_path / what)

    def test_a_folder_of_things_that_are_not_read_is_no_success(self, tmp_path: Path) -> None:
        (tmp_path / "h").mkdir()
        (tmp_path / "h" / "patients").symlink_to("gone")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert not report.imported
        assert [item.reason for item in report.skipped] == ["a link that leads to nothing"]
        assert report.exit_code == 1


class TestFileSets:
    @pytest.fixture
    def disc(self, tmp_path: Path) -> Iterator[Path]:
        """Return the folder of a disc with a DICOMDIR and four films."""
        films = FileSet()
        for path in sorted(hospital(tmp_path / "h").iterdir()):
            film = pydicom.dcmread(path)
            film.SeriesNumber, film.InstanceNumber, film.StudyID, film.StudyTime = 1, 1, "1", "120000"
            films.add(film)
        films.write(tmp_path / "disc")
        return tmp_path / "disc"

    def report(self, tmp_path: Path, source: Path) -> ImportReport:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        return import_films(study, [source], key=tmp_path / "key.json")

    @pytest.mark.parametrize("name", ["", "DICOMDIR"])
    def test_its_films_are_imported(self, tmp_path: Path, disc: Path, name: str) -> None:
        report = self.report(tmp_path, disc / name)
        assert len(report.imported) == 4
        assert not report.rejected
        assert [item.reason for item in report.skipped] == (
            [] if name else ["a DICOMDIR, the list of the files beside it"]
        )
        assert report.exit_code == 0

    @pytest.mark.parametrize("name", ["", "DICOMDIR"])
    def test_a_missing_film_is_reported(self, tmp_path: Path, disc: Path, name: str) -> None:
        gone = next(path for path in sorted(disc.rglob("*")) if path.is_file() and path.name != "DICOMDIR")
        gone.unlink()
        report = self.report(tmp_path, disc / name)
        assert len(report.imported) == 3
        assert [item.origin for item in report.skipped if "is missing" in item.reason] == [gone]
        assert report.exit_code == 3

    def test_files_that_it_does_not_list_are_skipped_if_it_is_given(self, tmp_path: Path, disc: Path) -> None:
        film_file(disc / "EXTRA", patient="P7", seed=7)
        report = self.report(tmp_path, disc / "DICOMDIR")
        assert len(report.imported) == 4
        assert {item.origin.name: item.reason for item in report.skipped} == {
            "EXTRA": "the DICOMDIR does not list it. Give the folder to import it too"
        }

    def test_files_that_it_does_not_list_are_taken_from_its_folder(self, tmp_path: Path, disc: Path) -> None:
        film_file(disc / "EXTRA", patient="P7", seed=7)
        assert len(self.report(tmp_path, disc).imported) == 5

    def test_names_in_another_case_or_with_a_version_are_found(self, tmp_path: Path, disc: Path) -> None:
        for path in sorted(disc.rglob("*"), reverse=True):
            path.rename(
                path.with_name(path.name.lower() + (";1" if path.is_file() and path.name != "DICOMDIR" else ""))
            )
        report = self.report(tmp_path, disc)
        assert len(report.imported) == 4
        assert not [item for item in report.skipped if "is missing" in item.reason]

    def test_it_is_compared_in_an_archive(self, tmp_path: Path, disc: Path) -> None:
        names = {str(path.relative_to(disc)): path.read_bytes() for path in disc.rglob("*") if path.is_file()}
        gone = next(name for name in sorted(names) if name != "DICOMDIR")
        del names[gone]
        report = self.report(tmp_path, zip_of(tmp_path / "x.zip", names))
        assert len(report.imported) == 3
        assert [item.origin for item in report.skipped if "is missing" in item.reason] == [tmp_path / "x.zip" / gone]

    @pytest.mark.parametrize("size", [0, 200, 700, 2000])
    def test_a_damaged_one_is_reported(self, tmp_path: Path, disc: Path, size: int) -> None:
        write(disc / "DICOMDIR", (disc / "DICOMDIR").read_bytes()[:size])
        report = self.report(tmp_path, disc)
        assert len(report.imported) == 4
        assert report.exit_code == 3
        with pytest.raises(StudyError, match="DICOMDIR"):
            find(disc / "DICOMDIR")

    def test_no_file_outside_is_read(self, tmp_path: Path) -> None:
        write(tmp_path / "outside")
        directory = pydicom.Dataset()
        record = pydicom.Dataset()
        record.ReferencedFileID = ["..", "outside"]
        directory.DirectoryRecordSequence = [record]
        directory.file_meta = pydicom.dataset.FileMetaDataset()
        directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
        directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        (tmp_path / "d").mkdir()
        directory.save_as(tmp_path / "d" / "DICOMDIR", enforce_file_format=True)
        with pytest.raises(StudyError, match="impossible file name"):
            find(tmp_path / "d" / "DICOMDIR")


class TestFolding:
    def test_a_reason_of_many_files_is_one_line(self) -> None:
        numbered = [(number, "not a DICOM file") for number in (1, 2, 3, 5, 6, 9)] + [(4, "it names no patient")]
        assert fold_lines("refused", numbered) == [
            "  refused 6 files, no. 1–3, 5–6, 9: not a DICOM file",
            "  refused no. 4: it names no patient",
        ]

    def test_no_file_is_lost_from_the_list(self, tmp_path: Path) -> None:
        for number in range(30):
            write(tmp_path / "h" / f"letter{number}", b"Dear")
            write(tmp_path / "h" / f".hidden{number}", b"")
        film_file(tmp_path / "h" / "film.dcm")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        lines = report.format_lines()
        assert [line.split(":")[0] for line in lines] == [
            "  imported no. 1",
            "  refused  30 files, no. 2–31",
            "  not read 30 files, no. 32–61",
        ]
        listed = report.save_list().read_text().splitlines()
        assert len(listed) == 62
        (film,) = study.case(study.cases()[0]).films
        assert f"film {film.id}, baseline, L" in listed[1], "queries to the sites name films by this ID"
