"""Films that their department rejected, by words or by key object notes, and films that show more than others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage, generate_uid

from ratui.study import InProcessConverter, Study, import_films
from ratui.study.importing import ReaderProcess
from ratui.study.importing.reader.film_header import MAX_REFERENCES, decode_header, encode_header
from tests.study.conftest import FilmWriter
from tests.support.plans import outcomes, plan_of

QUALITY, SAFETY, WORKLIST, EXPIRED, ISSUE = "113001", "113037", "113038", "113039", "113010"
BY_NOTE = "a key object note rejects it for quality reasons"
TAKEN = "; another film of that side and day is taken"
ALONE = ", and no other film of that side and day is taken. Name it in a manifest to take it"
MAY = "a key object note may reject it. Choose one in a manifest"
WriteNote = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "mtss", ["anna"])


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture
def note(tmp_path: Path) -> WriteNote:
    """Return a function that writes a key object note of films or of pairs of Study and SOP Instance UID."""

    def write(
        name: str,
        images: Sequence[Path | tuple[str, str]],
        title: str = QUALITY,
        *,
        content: Sequence[str] | None = None,
        evidence: bool = True,
        scheme: str = "DCM",
        **more: object,
    ) -> Path:
        pairs = [image if isinstance(image, tuple) else uids(image) for image in images]
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        values = {"PatientID": "P1", "PatientName": "Doe^P1", "StudyInstanceUID": pairs[0][0] if pairs else "1.2"}
        for keyword, value in {**values, **more}.items():
            setattr(made, keyword, value)
        made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        made.Modality, made.ValueType = "KO", "CONTAINER"
        made.ConceptNameCodeSequence = [item(CodeValue=title, CodingSchemeDesignator=scheme, CodeMeaning="x")]
        if evidence:
            made.CurrentRequestedProcedureEvidenceSequence = [
                item(
                    StudyInstanceUID=study_uid,
                    ReferencedSeriesSequence=[item(ReferencedSOPSequence=[item(ReferencedSOPInstanceUID=uid)])],
                )
                for study_uid, uid in pairs
            ]
        named = [uid for _, uid in pairs] if content is None else content
        made.ContentSequence = [
            item(ValueType="IMAGE", ReferencedSOPSequence=[item(ReferencedSOPInstanceUID=uid)]) for uid in named
        ]
        path = tmp_path / "h" / name
        path.parent.mkdir(exist_ok=True)
        made.save_as(path, enforce_file_format=True)
        return path

    return write


def uids(path: Path) -> tuple[str, str]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)


class TestKeyObjectNotes:
    def test_the_repeat_of_a_rejected_film_is_taken(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        bad = film("bad.dcm")
        film("good.dcm")
        path = note("note.dcm", [bad])
        plan = plan_of(study, tmp_path)
        assert outcomes(plan) == {"bad": ("leave out", BY_NOTE + TAKEN), "good": ("take", "")}
        row = plan.row(path)
        assert row.decision.value == "leave out"
        assert row.reason == "it is a key object note that rejects images for quality reasons: 1 of these files"

    @pytest.mark.parametrize("title", [QUALITY, SAFETY, WORKLIST])
    def test_a_rejected_film_without_a_repeat_is_asked(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path, title: str
    ) -> None:
        bad = film("bad.dcm")
        film("other side.dcm", side="R")
        film("other day.dcm", day="20210302")
        film("foot.dcm", BodyPartExamined="FOOT")
        note("note.dcm", [bad], title)
        found = outcomes(plan_of(study, tmp_path))
        decision, reason = found.pop("bad")
        assert decision == "doubtful"
        assert reason.startswith("a key object note rejects it ")
        assert reason.endswith(ALONE)
        assert {decision for decision, _ in found.values()} == {"take"}

    @pytest.mark.parametrize("title", ["113000", "113003", "113013", "113030"])
    def test_other_titles_say_nothing(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path, title: str
    ) -> None:
        note("note.dcm", [film("a.dcm")], title)
        note("note 2.dcm", [tmp_path / "h" / "a.dcm"], QUALITY, scheme="99LOCAL")
        plan = plan_of(study, tmp_path)
        assert outcomes(plan) == {"a": ("take", "")}
        assert plan.row(tmp_path / "h" / "note.dcm").reason == "it is a report or a key object note, not a radiograph"

    def test_a_quality_issue_is_a_remark(self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path) -> None:
        note("note.dcm", [film("a.dcm")], ISSUE)
        assert outcomes(plan_of(study, tmp_path)) == {
            "a": ("take", "a key object note says that it has a quality issue")
        }

    def test_a_film_past_its_retention_period_is_asked(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        note("note.dcm", [film("a.dcm")], EXPIRED)
        reason = "a key object note says that it is past its retention period. Name it in a manifest"
        assert outcomes(plan_of(study, tmp_path)) == {"a": ("doubtful", reason)}

    @pytest.mark.parametrize(
        "other",
        [
            {"PatientID": "P2"},
            {"IssuerOfPatientID": "South"},
            {"images": [("1.9", "1.2.3")]},
            {"StudyInstanceUID": "1.9", "evidence": False},
        ],
    )
    def test_a_note_of_another_patient_or_study_is_a_remark(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path, other: dict[str, object]
    ) -> None:
        images = [film("a.dcm", SOPInstanceUID="1.2.3", IssuerOfPatientID="North")]
        note("note.dcm", **{"images": images, **other})
        remark = "a key object note of another patient or study names its SOP Instance UID; it does not count"
        assert outcomes(plan_of(study, tmp_path)) == {"a": ("take", remark)}

    def test_without_evidence_the_study_of_the_note_counts(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        note("note.dcm", [film("a.dcm")], evidence=False)
        assert outcomes(plan_of(study, tmp_path)) == {"a": ("doubtful", BY_NOTE + ALONE)}

    def test_a_uid_of_several_films_rejects_none_of_them(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        uid = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
        bad = film("left.dcm", **uid)
        film("right.dcm", side="R", **uid)
        film("repeat.dcm", StudyInstanceUID="1.2")
        note("note.dcm", [bad])
        repeat = "another film of that side and day may be its repeat, or rejected. Choose one in a manifest"
        assert outcomes(plan_of(study, tmp_path)) == {
            "left": ("doubtful", MAY),
            "right": ("doubtful", MAY),
            "repeat": ("doubtful", repeat),
        }

    def test_copies_of_a_rejected_film_are_rejected(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        bad = film("bad.dcm", seed=5)
        film("copy.dcm", seed=5)  # with another UID
        note("note.dcm", [bad])
        assert outcomes(plan_of(study, tmp_path)) == {
            "bad": ("doubtful", BY_NOTE + ALONE),
            "copy": ("leave out", "the same film is in another file"),
        }

    def test_other_processings_of_a_rejected_exposure_are_no_repeats(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        bad = film("bad.dcm", PresentationIntentType="FOR PRESENTATION", IrradiationEventUID="1.7")
        film("raw.dcm", PresentationIntentType="FOR PROCESSING", IrradiationEventUID="1.7")
        film("right.dcm", side="R", IrradiationEventUID="1.7")
        note("note.dcm", [bad])
        assert outcomes(plan_of(study, tmp_path)) == {
            "bad": ("doubtful", BY_NOTE + ALONE),
            "raw": ("doubtful", "another film of its exposure is rejected: " + BY_NOTE + ALONE),
            "right": ("take", ""),
        }

    def test_the_corrected_copy_of_a_wrong_entry_is_taken(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        same = {"seed": 5, "AcquisitionDate": "20200302", "AcquisitionTime": "101010"}
        wrong = film("wrong.dcm", **same)
        film("corrected.dcm", patient="P2", **same)
        note("note.dcm", [wrong], WORKLIST)
        reason = "a key object note rejects it because of a wrong entry in the worklist"
        found = outcomes(plan_of(study, tmp_path))
        assert found == {"wrong": ("doubtful", reason + ALONE), "corrected": ("take", "")}
        (tmp_path / "h" / "corrected.dcm").unlink()
        film("corrected.dcm", **same)
        found = outcomes(plan_of(study, tmp_path))
        assert found == {"wrong": ("leave out", reason + TAKEN), "corrected": ("take", "")}

    def test_lists_of_a_note_that_differ_reject_nothing(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        one, other = film("one.dcm"), film("other.dcm", side="R")
        note("note.dcm", [one, other], content=[uids(other)[1]])
        assert outcomes(plan_of(study, tmp_path)) == {
            "one": ("doubtful", MAY),
            "other": ("doubtful", BY_NOTE + ALONE),
        }

    def test_a_rejected_note_is_unclear(self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path) -> None:
        first = note("note.dcm", [film("a.dcm")])
        note("note 2.dcm", [first])
        assert outcomes(plan_of(study, tmp_path)) == {"a": ("doubtful", MAY)}

    def test_a_note_of_too_many_images_is_unclear_for_its_person(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        film("a.dcm")
        film("b.dcm", patient="P2")
        path = note("note.dcm", [("1.2", f"1.2.{number}") for number in range(MAX_REFERENCES + 1)])
        with ReaderProcess() as reader:
            references = reader.read_header(path).key_references
        assert (len(references.evidence), len(references.content)) == (MAX_REFERENCES, MAX_REFERENCES)
        assert not references.is_complete
        assert outcomes(plan_of(study, tmp_path)) == {"a": ("doubtful", MAY), "b": ("take", "")}

    @pytest.mark.filterwarnings("ignore:The value length")
    def test_overlong_uids_are_not_read(self, note: WriteNote) -> None:
        header = InProcessConverter().read_header(
            note("note.dcm", [("1.2", "1" * 65), ("1.2", "1.3")], content=["1.3"])
        )
        assert header.key_references.evidence == (("1.2", "1.3"),)
        assert not header.key_references.is_complete
        assert decode_header(encode_header(header)) == header
        forged = encode_header(header).replace(b'"1.3"', b'"' + b"1" * 65 + b'"')
        with pytest.raises(ValueError, match="longer than any UID"):
            decode_header(forged)

    def test_a_manifest_decides_about_a_rejected_film(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        bad = film("bad.dcm")
        film("good.dcm")
        note("note.dcm", [bad])
        assert outcomes(plan_of(study, tmp_path, "file,patient,time,side\nbad.dcm,P1,0,L\n")) == {
            "bad": ("take", BY_NOTE + "; the manifest takes it"),
            "good": ("leave out", "the manifest names another film of that side and day"),
        }

    def test_a_saved_manifest_repeats_the_choice(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        bad = film("bad.dcm")
        film("good.dcm")
        note("note.dcm", [bad])
        plan_of(study, tmp_path).save_manifest(tmp_path / "h" / "films.csv")
        manifest = (tmp_path / "h" / "films.csv").read_text()
        assert [row.path.name for row in plan_of(study, tmp_path, manifest, folder=False).taken] == ["good.dcm"]

    def test_a_note_names_the_films_that_are_in_the_study(
        self, study: Study, film: FilmWriter, note: WriteNote, tmp_path: Path
    ) -> None:
        bad = film("bad.dcm")
        film("right.dcm", side="R", StudyInstanceUID=uids(bad)[0])
        film("other.dcm", patient="P2", StudyInstanceUID=uids(bad)[0])
        import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        (case,) = (case for case in map(study.case, study.cases()) if len(case.films) == 2)
        (stored,) = (each for each in case.films if each.side == "L")
        path = note("note.dcm", [bad])
        reason = "it is a key object note that rejects images for quality reasons: 1 of these files"
        named = f"{reason}. It rejects film {stored.id} of case {case.id} in the study, too: see ratui withdraw"
        assert plan_of(study, tmp_path).row(path).reason == named
        note("note.dcm", [bad], ISSUE)
        assert "in the study" not in plan_of(study, tmp_path).row(path).reason
        note("note.dcm", [("1.9", uids(bad)[1])])
        assert "in the study" not in plan_of(study, tmp_path).row(path).reason
        assert len(study.case(case.id).films) == 2

    @pytest.mark.parametrize("same", [{"SOPInstanceUID": "1.2.3"}, {"AcquisitionTime": "101010"}])
    def test_one_picture_of_two_patients_in_two_encodings_is_asked(
        self, study: Study, film: FilmWriter, tmp_path: Path, same: dict[str, str]
    ) -> None:
        one = film("a.dcm", seed=5, AcquisitionDate="20200302", **same)
        dataset = pydicom.dcmread(one)
        dataset.decompress()
        dataset.PatientID, dataset.PatientName = "P2", "Smith^Jane"
        dataset.SOPInstanceUID = same.get("SOPInstanceUID", "1.9")
        dataset.save_as(tmp_path / "h" / "b.dcm")
        reason = "another file has the same picture, but another patient, day, side or part. Check both files"
        assert set(outcomes(plan_of(study, tmp_path)).values()) == {("doubtful", reason)}
