"""A film is never missing without a word, whatever drops it: the library, the network, or the PACS."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import Association

from ratui.errors import PacsError
from ratui.pacs.address import parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.dimse import DimsePacs, MoveDestination
from ratui.pacs.fetch import FetchedPatient, fetch_films
from ratui.pacs.listing import Listing, StudyLister
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundSeries, FoundStudy, PacsSource
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file
from tests.pacs.fake_archive import FakeArchive, answer, with_uid
from tests.pacs.orthanc import Orthanc, free_port

pytestmark = pytest.mark.slow

IN_SERIES = "film that the PACS counts in a series and does not list"
SERIES = "series that the PACS counts in a study and does not list"
IN_STUDY = "object that the PACS counts in a study and lists in no series"
STUDY = "study that the PACS counts for a patient and does not list"
UNSURE = "study that the PACS did not list each time"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


def fetch(source: PacsSource, study: Study, folder: Path) -> FetchedPatient:
    with Spool(study, "fetch", folder) as spool:
        (patient,) = fetch_films(source, "here", [ListedPatient(1, "P1")], spool, delays=()).patients
    return patient


def film(path: Path, uids: tuple[str, str, str], **elements: Any) -> Path:
    study, series, instance = uids
    film_file(path, StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=instance, **elements)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(instance)
    dataset.save_as(path)
    return path


def three_films(query: Dataset) -> Iterator[Any]:
    for number in range(3):
        yield 0xFF00, answer(SOPInstanceUID=f"1.2.{number}")


def test_the_thread_of_the_association_takes_no_answer(
    archive: FakeArchive, pacs: DimsePacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine wakes the thread late, after the next query has been sent."""
    wait, dropped = threading.Event.wait, []

    def wake_late(self: threading.Event, timeout: float | None = None) -> bool:
        woken = wait(self, timeout)
        thread = threading.current_thread()
        if isinstance(thread, Association) and thread.is_requestor:
            time.sleep(0.05)
        return woken

    serve = Association._serve_request

    def note(self: Association, message: Any, context: int) -> None:
        if self.is_requestor:
            dropped.append(type(message).__name__)
        serve(self, message, context)

    archive.find = three_films
    monkeypatch.setattr(threading.Event, "wait", wake_late)
    monkeypatch.setattr(Association, "_serve_request", note)
    counts = [len(pacs.find_instances("1.2", "1.2.3")) for _ in range(5)]
    assert (counts, dropped) == ([3] * 5, [])


def list_films(source: PacsSource) -> Listing:
    lister = StudyLister(source, frozenset({"CR"}), lambda request: request())
    listing = Listing()
    found = lister.find_studies(ListedPatient(1, "P1"), listing)
    for uid in sorted({each.uid for each in found}):
        lister.list_study(uid, found, listing)
    return listing


def test_an_answer_of_a_real_pacs_that_is_dropped(
    source: DicomwebPacs | DimsePacs, orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped once, it has no effect; dropped each time, it is a loss, if the PACS states its number."""
    for number in range(6):
        series = f"1.{number // 4 + 1}.{number // 2 % 2 + 1}"
        orthanc.upload(film(tmp_path / "film.dcm", (series[:3], series, f"{series}.{number + 1}"), seed=number))
    orthanc.upload(film(tmp_path / "film.dcm", ("1.1", "1.1.9", "1.1.9.9"), Modality="OT", seed=9))
    all_films = list_films(source)
    assert len(all_films.films) == 6
    assert not all_films.losses + all_films.missing
    for method, reason in (("find_studies", ""), ("find_series", SERIES), ("find_instances", IN_SERIES)):
        find, calls = getattr(source, method), count()
        with monkeypatch.context() as patch:
            # The next list of this kind has one entry fewer.
            patch.setattr(source, method, lambda *a, f=find, c=calls: f(*a)[: -1 if next(c) == 0 else None])
            once = list_films(source)
            assert set(once.films) == set(all_films.films)
            assert not once.losses + once.missing
            if reason:
                patch.setattr(source, method, lambda *a, f=find: sorted(f(*a), key=str)[:-1])
                assert list_films(source).losses[reason] >= 2


class Counting:
    """A PACS whose lists and numbers a test chooses; each list is one of several, in turn."""

    def __init__(self, data: bytes = b"") -> None:
        self.studies = [[FoundStudy("1.1", "P1")]]
        self.series = [[FoundSeries("1.1.1", "CR")]]
        self.instances = [["1"]]
        self._data = data
        self._calls = dict.fromkeys(("studies", "series", "instances"), 0)

    def _next(self, kind: str) -> Any:
        lists = getattr(self, kind)
        self._calls[kind] += 1
        return lists[min(self._calls[kind], len(lists)) - 1]

    def find_studies(self, patient: ListedPatient) -> list[FoundStudy]:
        return list(self._next("studies"))

    def find_series(self, study: str) -> list[FoundSeries]:
        return list(self._next("series"))

    def find_instances(self, study: str, series: str) -> list[str]:
        return [f"{study}.{uid}" for uid in self._next("instances")]

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        return with_uid(self._data, instance)

    def retrieve_all(self, study: str, series: str = "") -> list[bytes]:
        raise PacsError("no")

    def close(self) -> None:
        pass


A, B = FoundStudy("1.1", "P1"), FoundStudy("1.2", "P1")


@pytest.mark.parametrize(
    ("answers", "losses", "missing"),
    [
        ({}, {}, {}),
        ({"studies": [[A, B], [A], [A, B]]}, {}, {}),
        ({"studies": [[A, B], [A]]}, {}, {UNSURE: 1}),
        ({"studies": [[A], [A, B]]}, {}, {}),
        ({"studies": [[FoundStudy("1.1", "P1", studies=3)]]}, {STUDY: 2}, {}),
        ({"studies": [[FoundStudy("1.1", "P1", studies=1, series=1, instances=1)]]}, {}, {}),
        ({"studies": [[FoundStudy("1.1", "P1", series=2, instances=9)]]}, {SERIES: 1}, {}),
        ({"studies": [[FoundStudy("1.1", "P1", instances=3)]]}, {IN_STUDY: 2}, {}),
        ({"studies": [[FoundStudy("1.1", "P1", instances=0)]]}, {}, {}),
        ({"series": [[FoundSeries("1.1.1", "CR", 3)]]}, {IN_SERIES: 2}, {}),
        ({"series": [[FoundSeries("1.1.1", "CR", 2)]], "instances": [["1"], ["1", "2"]]}, {}, {}),
        ({"series": [[FoundSeries("1.1.1", "CR", 3)]], "instances": [["1"], ["2"]]}, {}, {IN_SERIES: 2}),
        (
            {
                "studies": [[FoundStudy("1.1", "P1", instances=3)]],
                "series": [[FoundSeries("1.1.1", "CR"), FoundSeries("1.1.2", "CT")]],
                "instances": [["1"], ["3", "4"]],
            },
            {},
            {},
        ),
    ],
)
def test_lists_are_compared_with_the_numbers_that_the_pacs_states(
    answers: dict[str, Any], losses: dict[str, int], missing: dict[str, int]
) -> None:
    pacs = Counting()
    for kind, lists in answers.items():
        setattr(pacs, kind, lists)
    listing = list_films(pacs)
    assert (dict(listing.losses), dict(listing.missing)) == (losses, missing)
    assert len(listing.films) == len(set(listing.films)) > 0


@pytest.mark.parametrize("is_stable", [True, False])
def test_a_patient_whose_list_is_too_short_is_not_complete(study: Study, tmp_path: Path, is_stable: bool) -> None:
    """Other films are imported if a repetition gave the same list; else they wait."""
    pacs = Counting(film_file(tmp_path / "film.dcm").read_bytes())
    pacs.series = [[FoundSeries("1.1.1", "CR", 3)]]
    pacs.instances = [["1"], ["1"] if is_stable else ["2"]]
    patient = fetch(pacs, study, tmp_path / "spool")
    assert not patient.is_complete
    assert patient.is_ready == is_stable
    assert len(patient.files) == (1 if is_stable else 2)


def test_a_film_that_is_listed_twice_is_one_file(study: Study, tmp_path: Path) -> None:
    pacs = Counting(film(tmp_path / "film.dcm", ("1.1", "1.1.1", "1.1.7")).read_bytes())
    pacs.instances = [["7", "7"]]
    pacs.retrieve_all = lambda study, series="": [pacs.retrieve(study, series, "1.1.7")]  # type: ignore[method-assign]
    assert len(fetch(pacs, study, tmp_path / "spool").files) == 1


class TestSubOperations:
    """The PACS sends fewer files of a C-GET or C-MOVE than it counts, and states success or a warning."""

    @pytest.fixture(params=["C-GET", "C-MOVE"])
    def retrieving(self, request: pytest.FixtureRequest, archive: FakeArchive) -> Iterator[DimsePacs]:
        archive.move_port = free_port()
        move = MoveDestination("127.0.0.1", archive.move_port) if request.param == "C-MOVE" else None
        made = DimsePacs(parse_address(f"dicom://ARCHIVE@127.0.0.1:{archive.server.server_address[1]}"), move=move)
        with closing(made):
            yield made

    @pytest.fixture(autouse=True)
    def _films(self, archive: FakeArchive, tmp_path: Path) -> None:
        archive.films = [film(tmp_path / f"{n}.dcm", ("1.1", "1.1.1", f"1.1.1.{n}"), seed=n) for n in range(3)]

    def test_all_files(self, archive: FakeArchive, retrieving: DimsePacs) -> None:
        assert len(retrieving.retrieve_all("1.1", "1.1.1")) == 3
        archive.films = archive.films[:1]
        assert retrieving.retrieve("1.1", "1.1.1", "1.1.1.0")

    def test_a_file_that_the_pacs_can_not_send(
        self, archive: FakeArchive, retrieving: DimsePacs, tmp_path: Path
    ) -> None:
        other = pydicom.dcmread(archive.films[1])
        other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = CTImageStorage
        other.save_as(archive.films[1])
        with pytest.raises(PacsError, match="counts more files than arrived"):
            retrieving.retrieve_all("1.1", "1.1.1")
        assert len(retrieving.retrieve_all("1.1")) == 2, "a study may have objects of other kinds"
        archive.films = archive.films[:2]
        with pytest.raises(PacsError, match="counts more files than arrived"):
            retrieving.retrieve("1.1", "1.1.1", "1.1.1.0")

    def test_a_file_that_is_lost_on_the_way(
        self, retrieving: DimsePacs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("ratui.pacs.dimse._MOVE_WAIT", 0.2)

        class Leaky(list[bytes]):
            def append(self, data: bytes) -> None:
                if len(self) < 2:
                    super().append(data)

        monkeypatch.setattr(retrieving, "_arrived", Leaky())
        with pytest.raises(PacsError, match="counts more files than arrived"):
            retrieving.retrieve_all("1.1", "1.1.1")


def test_a_query_of_the_classic_protocol_reads_the_numbers(archive: FakeArchive, pacs: DimsePacs) -> None:
    archive.find = lambda query: iter(
        [
            (
                0xFF00,
                answer(
                    StudyInstanceUID="1.1",
                    NumberOfPatientRelatedStudies="4",
                    NumberOfStudyRelatedSeries="5",
                    NumberOfStudyRelatedInstances="6",
                    SeriesInstanceUID="1.1.1",
                    NumberOfSeriesRelatedInstances="7",
                ),
            )
        ]
    )
    (found,) = pacs.find_studies(ListedPatient(1, "P1"))
    assert (found.studies, found.series, found.instances) == (4, 5, 6)
    (series,) = pacs.find_series("1.1")
    assert series.instances == 7


def test_a_query_of_the_classic_protocol_keeps_all_values(archive: FakeArchive, pacs: DimsePacs) -> None:
    archive.find = lambda query: iter([(0xFF00, answer(PatientID="P1\\P2", PatientName="Ito^Yuki=ITO"))])
    (found,) = pacs.find_studies(ListedPatient(1, "P1"))
    assert (found.patient_id, found.name) == ("P1\\P2", "Ito^Yuki=ITO")
