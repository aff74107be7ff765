"""The header of a film: the values that are read, their bounds, and damage."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from ratui.errors import FilmError
from ratui.study.importing import CodedTerm, FilmHeader, InProcessConverter, ReaderProcess
from ratui.study.importing.reader.film_header import decode_header, encode_header
from ratui.study.importing.reader.header_reader import read_film_header
from tests.films import film_file


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(value: str, meaning: str = "", scheme: str = "SCT", **more: object) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning, **more)


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderProcess]:
    with ReaderProcess() as process:
        yield process


def test_the_values_of_all_elements_are_read(tmp_path: Path, reader: ReaderProcess) -> None:
    view = code("399348003", "antero-posterior", ViewModifierCodeSequence=[code("399332009", "Norgaard")])
    request = item(RequestedProcedureDescription="HANDS", RequestedProcedureCodeSequence=[code("1", "x", "LOCAL")])
    path = film_file(
        tmp_path / "a.dcm",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        PatientBirthDate="19600102",
        PatientSex="F",
        IssuerOfPatientID="CLINIC",
        IssuerOfPatientIDQualifiersSequence=[item(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")],
        OtherPatientIDsSequence=[item(PatientID="77", IssuerOfPatientID="WARD")],
        ImageType=["DERIVED", "PRIMARY", "POST_PROCESSED"],
        SourceImageSequence=[item(ReferencedSOPInstanceUID="2.25.1")],
        ViewCodeSequence=[view],
        RequestAttributesSequence=[request, item(ScheduledProcedureStepDescription="Hände dp")],
        SharedFunctionalGroupsSequence=[item(FrameAnatomySequence=[item(FrameLaterality="R")])],
        AcquisitionDateTime="20200302101112",
    )
    header = InProcessConverter().read_header(path)
    assert (header.patient_id, header.issuer, header.issuer_qualifiers) == ("P1", "CLINIC", "ISO:1.2.3")
    assert header.other_ids == (("77", "WARD"),)
    assert header.name == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert (header.birth_date, header.sex) == ("19600102", "F")
    assert header.image_type == "DERIVED\\PRIMARY\\POST_PROCESSED"
    assert header.source_uids == ("2.25.1",)
    assert header.codes == {
        "ViewCodeSequence": (CodedTerm("SCT", "399348003", "antero-posterior"),),
        "ViewCodeSequence.ViewModifierCodeSequence": (CodedTerm("SCT", "399332009", "Norgaard"),),
        "RequestAttributesSequence.RequestedProcedureCodeSequence": (CodedTerm("LOCAL", "1", "x"),),
    }
    assert header.elements["RequestAttributesSequence.RequestedProcedureDescription"] == "HANDS"
    assert header.elements["RequestAttributesSequence.ScheduledProcedureStepDescription"] == "Hände dp"
    assert (header.elements["FrameLaterality"], header.elements["Laterality"]) == ("R", "L")
    assert header.elements["ViewPosition"] == "PA"
    assert header.dates == {"StudyDate": "20200302", "AcquisitionDateTime": "20200302101112"}
    assert (header.rows, header.columns) == (240, 200)
    assert reader.read_header(path) == header


def test_text_of_utf_8_is_read_where_no_character_set_is_stated(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.dcm", SeriesDescription="Haende dp")
    path.write_bytes(path.read_bytes().replace(b"Haende dp", "Hände d".encode() + b"p"))
    assert read_film_header(path).elements["SeriesDescription"] == "Hände dp"
    path.write_bytes(path.read_bytes().replace("Hände dp".encode(), "Häände d".encode("latin-1") + b"p"))
    assert read_film_header(path).elements["SeriesDescription"] == "Häände dp"


def test_texts_are_bounded(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.dcm", ImageComments="x" * 5000, ViewCodeSequence=[code("1")] * 500)
    header = read_film_header(path)
    assert len(header.elements["ImageComments"]) == 400
    assert len(header.codes["ViewCodeSequence"]) == 16
    assert decode_header(encode_header(header)) == header


def test_a_damaged_element_is_named_without_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film_file(tmp_path / "a.dcm")
    known = pydicom.Dataset.get

    def get(dataset: Dataset, keyword: object, default: object = None) -> object:
        if keyword == "ViewPosition":
            raise ValueError("Doe")
        return known(dataset, keyword, default)

    monkeypatch.setattr(pydicom.Dataset, "get", get)
    with pytest.raises(FilmError, match=r"its element ViewPosition is damaged \(ValueError\)") as caught:
        read_film_header(path)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"patient_id": 1}',
        encode_header(FilmHeader(patient_id="x" * 401)),
        encode_header(FilmHeader()).replace(b'"codes": {}', b'"codes": {"ViewCodeSequence": [{}]}'),
        encode_header(FilmHeader()).replace(b'"dates": {}', b'"dates": {"StudyDate": 1}'),
        b" " * 1_000_001,
    ],
)
def test_a_wrong_answer_of_the_reader_is_an_error(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode_header(data)
