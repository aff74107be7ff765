"""Reports, presentation states and films go back to a PACS, complete and without a name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import PacsError
from ratui.pacs.address import Credentials, parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.dimse import DimsePacs
from ratui.pacs.send import read_outgoing, send_files
from ratui.results.export import export
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.study import InProcessConverter, Study, import_films
from tests.films import confirm_template, film_file
from tests.pacs.cutting_proxy import CuttingProxy
from tests.pacs.orthanc import PASSWORD, USER, Orthanc
from tests.tui.readings import store_reading

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]

PLANTED = {
    "PatientName": "Planted^Identity",
    "PatientBirthDate": "19511213",
    "OtherPatientIDs": "PLANTED-OTHER",
    "IssuerOfPatientID": "PLANTED-ISSUER",
    "InstitutionName": "PLANTED-HOSPITAL",
    "ReferringPhysicianName": "Planted^Doctor",
    "AccessionNumber": "PLANTED-ACC",
    "StudyDescription": "PLANTED-STUDY",
    "SeriesDescription": "PLANTED-SERIES",
    "ImageComments": "PLANTED-COMMENT",
    "StudyID": "PLANTED-ID",
}
PROJECTION = {"ProtocolName": "Hand d.p."}  # the planted description has unknown words


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Make a study from films with planted identities, and sign its readings."""
    folder = tmp_path_factory.mktemp("study")
    for time, day in enumerate(("20200302", "20210504")):
        for side in "LR":
            name = f"{time}{side}"
            film_file(
                folder / "h" / f"{name}.dcm",
                patient="PLANTED-PATIENT",
                day=day,
                side=side,
                seed=ord(side) + time,
                StudyInstanceUID=f"1.2.999.{time}",
                **(PLANTED | PROJECTION),
            )
    made = Study.create(folder / "study", "fingers", ["anna"])
    import_films(made, [folder / "h"], key=folder / "key.json", converter=InProcessConverter())
    (case,) = made.cases()
    confirm_template(made, case, "anna")
    store_reading(made, case, {}, rater="anna", signed=True)
    return made


@pytest.fixture(scope="module")
def exported(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    export(study, collect_released_readings(study), folder, ["sr", "gsps"], get_rule("complete"), with_films=True)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """Return a copy of the export that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "out"))


@pytest.fixture(params=["STOW-RS", "C-STORE"])
def target(request: pytest.FixtureRequest, orthanc: Orthanc) -> Iterator[DicomwebPacs | DimsePacs]:
    made: DicomwebPacs | DimsePacs
    if request.param == "STOW-RS":
        made = DicomwebPacs(parse_address(orthanc.url), Credentials(USER, PASSWORD))
    else:
        made = DimsePacs(parse_address(orthanc.dicom_url))
    yield made
    made.close()


def references(dataset: pydicom.Dataset) -> set[str]:
    """Return each SOP Instance UID that a stored object refers to."""
    return {str(element.value) for element in dataset.iterall() if element.keyword == "ReferencedSOPInstanceUID"}


def stored_files(orthanc: Orthanc, folder: Path) -> list[pydicom.Dataset]:
    """Return the objects in Orthanc, as it returns them."""
    found = []
    folder.mkdir()
    for number, name in enumerate(orthanc.rest("/instances")):
        path = folder / f"{number}.dcm"
        path.write_bytes(orthanc.rest_bytes(f"/instances/{name}/file"))
        found.append(pydicom.dcmread(path))
    return found


def test_every_reference_resolves_in_the_pacs_and_nobody_is_named(
    target: DicomwebPacs | DimsePacs, orthanc: Orthanc, exported: Path, study: Study, tmp_path: Path
) -> None:
    files = read_outgoing(exported)
    assert len(files) == 4 + 2 + 4
    send_files(target, files)
    stored = stored_files(orthanc, tmp_path / "stored")
    assert len(stored) == 10
    uids = {str(each.SOPInstanceUID): each for each in stored}
    reports = [each for each in stored if each.Modality in ("SR", "PR")]
    assert len(reports) == 6
    for each in reports:
        wanted = references(each)
        assert wanted
        assert wanted <= set(uids), each.Modality
        for uid in wanted:
            assert uids[uid].Modality == "CR"
            assert uids[uid].PatientID == each.PatientID
            assert uids[uid].StudyInstanceUID == each.StudyInstanceUID
    (case,) = study.cases()
    sent = {pydicom.dcmread(study.film_path(case, film.id)).SOPInstanceUID for film in study.case(case).films}
    assert {uid for uid, each in uids.items() if each.Modality == "CR"} == sent
    assert set.union(*map(references, reports)) == sent
    for file in (tmp_path / "stored").iterdir():
        data = file.read_bytes().lower()
        for words in (b"planted", b"1.2.999", b"19511213", b"20200302", b"20210504"):
            assert words not in data, (file, words)


def test_pixels_return_unchanged(
    target: DicomwebPacs | DimsePacs, orthanc: Orthanc, exported: Path, tmp_path: Path
) -> None:
    send_files(target, read_outgoing(exported))
    sent = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, (exported / "films").glob("*/*.dcm"))}
    films = [each for each in stored_files(orthanc, tmp_path / "stored") if each.Modality == "CR"]
    assert len(films) == len(sent) == 4
    assert all(each.PixelData == sent[each.SOPInstanceUID].PixelData for each in films)


def test_sending_twice_changes_nothing(target: DicomwebPacs | DimsePacs, orthanc: Orthanc, exported: Path) -> None:
    files = read_outgoing(exported)
    send_files(target, files)
    before = orthanc.instances().keys()
    send_files(target, files)
    assert orthanc.instances().keys() == before


def test_a_lost_connection_is_repeated_and_ends_with_a_message(orthanc: Orthanc, exported: Path) -> None:
    proxy = CuttingProxy(orthanc.http, 1_500)
    pacs = DicomwebPacs(parse_address(f"http://localhost:{proxy.port}/dicom-web"), Credentials(USER, PASSWORD))
    files = read_outgoing(exported)
    with pytest.raises(PacsError, match="no connection"):
        send_files(pacs, files, delays=(0.0,))
    proxy.budget = None
    send_files(pacs, files, delays=(0.0,))
    assert len(orthanc.instances()) == 10
    proxy.close()


def test_the_commands_work_together(
    orthanc: Orthanc, study: Study, tmp_path: Path, account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ratui(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "ratui", *map(str, words)], capture_output=True, text=True)

    out = tmp_path / "out"
    done = ratui("export", study.path, out, "--format", "sr", "--format", "gsps", "--with-films")
    assert done.returncode == 0, done.stderr
    assert "films/ (4 files)" in done.stdout
    done = ratui("send", out, "--to", orthanc.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "stored in the PACS: 4 films, 6 reports and presentation states\n"
    assert len(orthanc.instances()) == 10
    wrong = ratui("send", out, "--to", orthanc.dicom_url.replace("ORTHANC", "OTHER"))
    assert wrong.returncode == 1
    assert len(wrong.stderr.strip().splitlines()) == 1


class TestRefused:
    """Nothing is sent if one of the files is not what an export writes."""

    def test_reports_without_their_films(self, folder: Path) -> None:
        shutil.rmtree(folder / "films")
        with pytest.raises(PacsError, match="refer to 4 films outside the folder") as caught:
            read_outgoing(folder)
        assert "--with-films" in caught.value.remedy

    def test_one_film_is_missing(self, folder: Path) -> None:
        next((folder / "films").glob("*/*.dcm")).unlink()
        with pytest.raises(PacsError, match="refer to a film outside"):
            read_outgoing(folder)

    @pytest.mark.parametrize("keyword", ["PatientID", *PLANTED])
    def test_a_file_that_names_somebody(self, folder: Path, keyword: str) -> None:
        path = next((folder / "films").glob("*/*.dcm"))
        dataset = pydicom.dcmread(path)
        setattr(dataset, keyword, PLANTED.get(keyword, "PLANTED-PATIENT"))
        dataset.save_as(path)
        with pytest.raises(PacsError, match="is not sent") as caught:
            read_outgoing(folder)
        assert "lanted" not in str(caught.value).lower().replace(keyword.lower(), "").replace(str(path).lower(), "")

    def test_a_file_with_private_elements(self, folder: Path) -> None:
        path = next((folder / "films").glob("*/*.dcm"))
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0011, "SOMEBODY", create=True).add_new(1, "LO", "PLANTED")
        dataset.save_as(path)
        with pytest.raises(PacsError, match="private elements"):
            read_outgoing(folder)

    def test_a_film_with_any_other_text(self, folder: Path) -> None:
        path = next((folder / "films").glob("*/*.dcm"))
        dataset = pydicom.dcmread(path)
        dataset.DerivationDescription = "PLANTED"
        dataset.save_as(path)
        with pytest.raises(PacsError, match="no import writes such a film"):
            read_outgoing(folder)

    def test_the_original_film(self, folder: Path, tmp_path: Path) -> None:
        path = next((folder / "films").glob("*/*.dcm"))
        shutil.copy(film_file(tmp_path / "original.dcm"), path)
        with pytest.raises(PacsError, match="not the case of its folder"):
            read_outgoing(folder)

    def test_another_file_and_an_empty_folder(self, folder: Path, tmp_path: Path) -> None:
        next((folder / "sr").glob("*/*.dcm")).write_text("Dear colleague")
        with pytest.raises(PacsError, match="not a DICOM file of an export"):
            read_outgoing(folder)
        with pytest.raises(PacsError, match="no DICOM file"):
            read_outgoing(tmp_path / "none")

    def test_two_files_with_one_uid(self, folder: Path) -> None:
        path = next((folder / "films").glob("*/*.dcm"))
        shutil.copy(path, path.with_name("copy.dcm"))
        with pytest.raises(PacsError, match="same SOP Instance UID"):
            read_outgoing(folder)


def test_a_damaged_film_is_not_exported(study: Study, tmp_path: Path) -> None:
    from ratui.errors import FilmError

    copy = Study.open(Path(shutil.copytree(study.path, tmp_path / "copy")))
    (case,) = copy.cases()
    path = copy.film_path(case, copy.case(case).films[0].id)
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    with pytest.raises(FilmError, match="damaged after its import"):
        export(copy, collect_released_readings(copy), tmp_path / "out", ["sr"], get_rule("complete"), with_films=True)


def test_a_study_goes_from_the_pacs_to_the_readings_and_back(orthanc: Orthanc, tmp_path: Path, account: None) -> None:
    """Films with planted identities are fetched, de-identified, read, exported and stored beside the originals."""
    originals = tmp_path / "originals"
    for time, day in enumerate(("20200302", "20210504")):
        for side in "LR":
            uid = {"StudyInstanceUID": f"1.2.999.{time}", "SOPInstanceUID": f"1.2.999.{time}.{ord(side)}"}
            film = originals / f"{time}{side}.dcm"
            film_file(
                film,
                patient="PLANTED-PATIENT",
                day=day,
                side=side,
                seed=ord(side) + time,
                **(PLANTED | PROJECTION | uid),
            )
            dataset = pydicom.dcmread(film)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(film)
    orthanc.upload(*sorted(originals.iterdir()))
    listed = tmp_path / "list.csv"
    listed.write_text("patient,issuer,birth_date\nPLANTED-PATIENT,PLANTED-ISSUER,1951-12-13\n")
    run = CliRunner()
    new = tmp_path / "new"
    fetch = ["fetch", str(new), "--from", orthanc.url, "--patients", str(listed), "--key", str(tmp_path / "k.json")]
    made = Study.create(new, "fingers", ["anna"])
    done = run.invoke(commands, fetch)
    assert done.exit_code == 0, done.output
    assert "lanted" not in done.output.lower()
    (case,) = made.cases()
    assert {(film.time, film.side) for film in made.case(case).films} == {(0, "L"), (0, "R"), (1, "L"), (1, "R")}
    confirm_template(made, case, "anna")
    store_reading(made, case, {}, rater="anna", signed=True)
    out = str(tmp_path / "out")
    for words in (
        ["export", str(new), out, "--format", "sr", "--format", "gsps", "--with-films"],
        ["send", out, "--to", orthanc.dicom_url],
    ):
        done = run.invoke(commands, words)
        assert done.exit_code == 0, done.output
    stored = stored_files(orthanc, tmp_path / "stored")
    returned = {str(each.SOPInstanceUID): each for each in stored if each.PatientID == case}
    assert len(returned) == 10
    assert len(stored) == 14
    originals_by_pixels = {pydicom.dcmread(file).pixel_array.tobytes() for file in originals.iterdir()}
    films = [each for each in returned.values() if each.Modality == "CR"]
    assert {each.pixel_array.tobytes() for each in films} == originals_by_pixels
    for each in returned.values():
        text = str(each).lower()
        for word in ("planted", "1.2.999", "19511213", "20200302", "20210504"):
            assert word not in text
        if each.Modality != "CR":
            assert references(each) <= {str(film.SOPInstanceUID) for film in films}
