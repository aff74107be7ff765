"""Identification of films: views, parts and sides, contradictions, and objects that are no radiographs."""

import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from ratui.errors import FilmError
from ratui.scheme import View
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.importing import CodedTerm, FilmHeader, ReaderProcess
from ratui.study.importing.headers.film_statements import Both, parse_words
from ratui.study.importing.headers.identification import FilmIdentity, identify
from tests.films import film_file
from tests.support.fault_harness.fuzz import own_test_files

CR = "1.2.840.10008.5.1.4.1.1.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
HANDS_AND_FEET = {name: View(name, name, name, {}) for name in ("hand", "wrist", "foot")}
HANDS = {"hand": HANDS_AND_FEET["hand"]}


def header(**elements: str) -> FilmHeader:
    return FilmHeader(sop_class=CR, modality="CR", elements=elements, rows=400, columns=300)


def coded(rows: int = 400, columns: int = 300, **codes: tuple[CodedTerm, ...]) -> FilmHeader:
    names = {name.replace("__", "."): terms for name, terms in codes.items()}
    return FilmHeader(sop_class=CR, modality="CR", codes=names, rows=rows, columns=columns)


def shown(**elements: str) -> FilmIdentity:
    return identify(header(**elements), HANDS_AND_FEET)


def summary(identity: FilmIdentity) -> tuple[str, str, str]:
    return identity.part, identity.side, identity.projection


def sct(value: str, meaning: str = "") -> tuple[CodedTerm, ...]:
    return (CodedTerm("SCT", value, meaning),)


class TestImport:
    """Films are imported as the film that they show, whatever the order of the files."""

    def take(self, tmp_path: Path, scheme: str = "mtss") -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
        study = Study.create(tmp_path / "study", scheme, ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        films = {film.path.name: film for film in report.imported}
        stored = {(film.time, film.side, film.view): film for case in study.cases() for film in study.case(case).films}
        assert len(stored) == len(films)
        views = {name: view for name in films for (_, side, view) in stored if side == films[name].side}
        return {name: (film.side, views[name]) for name, film in films.items()}, {
            item.path.name: item.reason for item in report.rejected
        }

    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            ({"ViewPosition": "LL"}, "its projection is lateral"),
            ({"ViewPosition": "RLO"}, "its projection is oblique"),
            ({"ViewPosition": "OBL"}, "its projection is oblique"),
            ({"ViewPosition": "", "SeriesDescription": "LEFT HAND LATERAL"}, "its projection is lateral"),
            ({"ViewPosition": "", "SeriesDescription": "Hand li schräg"}, "its projection is oblique"),
            ({"ViewPosition": "", "ProtocolName": "ball catcher"}, "its projection is Norgaard"),
            ({"SeriesDescription": "LEFT HAND OBLIQUE"}, "its projection is oblique"),
            (
                {"SeriesDescription": "LEFT HAND", "ViewPosition": "AP", "ProtocolName": "Nørgaard"},
                "its projection is Norgaard",
            ),
            (
                {"ViewPosition": "", "SeriesDescription": "Hand li Spezial"},
                "SeriesDescription has words that ratui does",
            ),
            ({"SeriesDescription": "HAND PA LEFT REJECTED"}, "SeriesDescription says that the exposure was rejected"),
            ({"ImageComments": "Rejected - motion"}, "ImageComments says that the exposure was rejected"),
            ({"ViewPosition": "QQ7"}, "its View Position has a value that ratui does not know"),
        ],
    )
    def test_another_projection_does_not_take_the_place_of_the_frontal_film(
        self, tmp_path: Path, other: dict[str, str], reason: str
    ) -> None:
        film_file(tmp_path / "h" / "a.dcm", seed=1, SpecificCharacterSet="ISO_IR 192", **other)
        film_file(tmp_path / "h" / "b.dcm", seed=2)
        taken, left = self.take(tmp_path)
        assert taken == {"b.dcm": ("L", "hand")}
        assert left["a.dcm"].startswith(reason)
        (copy,) = (tmp_path / "study").rglob("*.dcm")
        assert pydicom.dcmread(copy).ViewPosition == "PA"

    def test_a_foot_in_a_study_of_hands_and_feet_is_a_foot(self, tmp_path: Path) -> None:
        study = {"StudyDescription": "XR HANDS AND FEET"}
        film_file(tmp_path / "h" / "a.dcm", seed=1, side="R", BodyPartExamined="FOOT", **study)
        film_file(tmp_path / "h" / "b.dcm", seed=2, BodyPartExamined="HAND", **study)
        assert self.take(tmp_path) == ({"a.dcm": ("R", "foot"), "b.dcm": ("L", "hand")}, {})

    def test_a_foot_is_no_film_of_a_scheme_of_hands(self, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", BodyPartExamined="FOOT", StudyDescription="XR HANDS AND FEET")
        taken, left = self.take(tmp_path, "fingers")
        assert taken == {}
        assert left == {"a.dcm": "it shows the foot, and the scheme has no view of it"}

    def test_a_series_of_one_hand_in_a_study_of_both_is_one_hand(self, tmp_path: Path) -> None:
        study = {"StudyDescription": "XR HANDS BILATERAL"}
        film_file(tmp_path / "h" / "a.dcm", seed=1, side="", SeriesDescription="LEFT HAND PA", **study)
        film_file(tmp_path / "h" / "b.dcm", seed=2, side="", SeriesDescription="RIGHT HAND PA", **study)
        assert self.take(tmp_path) == ({"a.dcm": ("L", "hand"), "b.dcm": ("R", "hand")}, {})

    def test_a_remark_is_part_of_the_report(self, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", ViewPosition="", StudyDescription="XR RIGHT FOOT")
        study = Study.create(tmp_path / "study", "mtss", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert report.imported[0].note == (
            "BodyPartExamined says hand, StudyDescription says foot; Laterality says left, StudyDescription says right; "
            "its header doesn't state the projection"
        )

    @pytest.mark.parametrize("view", ["PA", "AP", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "OBL", ""])
    def test_the_copy_has_the_view_position_of_the_source(self, tmp_path: Path, view: str) -> None:
        film_file(tmp_path / "h" / "a.dcm", ViewPosition=view)
        (tmp_path / "h" / "films.csv").write_text("file,patient,time,side,override\na.dcm,P1,0,L,yes\n")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        manifest = tmp_path / "h" / "films.csv"
        import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter())
        (copy,) = study.path.rglob("*.dcm")
        assert pydicom.dcmread(copy).get("ViewPosition", "") == ("" if view == "OBL" else view)


class TestSides:
    @pytest.mark.parametrize(
        ("elements", "side"),
        [
            ({"ImageLaterality": "R", "SeriesDescription": "BOTH HANDS"}, "R"),
            ({"ImageLaterality": "R", "SeriesDescription": "LEFT HAND"}, ""),
            ({"ImageLaterality": "L", "SeriesDescription": "Voet AP rechts", "BodyPartExamined": "FOOT"}, ""),
            ({"ProtocolName": "HANDS PA BOTH"}, "B"),
            ({"PerformedProcedureStepDescription": "XR BOTH HANDS"}, ""),
            ({"Laterality": "L", "ProtocolName": "RIGHT HAND", "StudyDescription": "HANDS BILATERAL"}, "L"),
            ({"SeriesDescription": "HANDS", "ProtocolName": "HAND RIGHT"}, "R"),
            ({"Laterality": "B"}, "B"),
            ({"SeriesDescription": "BOTH HANDS PA"}, "B"),
            ({"SeriesDescription": "両手正面"}, ""),
            ({"SeriesDescription": "HAND L+R"}, "B"),
            ({"StudyDescription": "XR LEFT HAND"}, "L"),
            ({"StudyDescription": "XR BOTH HANDS"}, ""),
            ({"Laterality": "R", "SeriesDescription": "HAND LEFT PA"}, ""),
            ({"ImageLaterality": "R", "Laterality": "L"}, ""),
            ({"SeriesDescription": "BOTH HANDS", "StudyDescription": "LEFT HAND"}, ""),
            ({"Laterality": "U"}, ""),
            ({"StudyDescription": "R/O fracture"}, ""),
        ],
    )
    def test_the_most_specific_element_decides(self, elements: dict[str, str], side: str) -> None:
        identity = shown(**{"BodyPartExamined": "HAND", **elements})
        assert identity.side == side
        assert bool(identity.doubts) == (not side)

    def test_a_wide_image_shows_both_sides_that_general_elements_name(self) -> None:
        for elements in ({"SeriesDescription": "Hände dp"}, {"StudyDescription": "BOTH HANDS"}):
            wide = FilmHeader(sop_class=CR, modality="CR", elements=elements, rows=300, columns=400)
            assert (identify(wide, HANDS_AND_FEET).side, shown(**elements).side) == ("B", "")

    @pytest.mark.parametrize("series", ["BOTH HANDS PA", "HANDS PA"])
    def test_a_wide_image_in_a_series_of_both_sides_may_show_both(self, series: str) -> None:
        elements = {"BodyPartExamined": "HAND", "Laterality": "L", "SeriesDescription": series}
        wide = FilmHeader(sop_class=CR, modality="CR", elements=elements, rows=300, columns=400)
        assert identify(wide, HANDS_AND_FEET).doubts == ("SeriesDescription says both sides, Laterality says left",)
        assert shown(**elements).side == "L", "each hand of the series has its own film"

    def test_two_statements_of_both_sides_agree(self) -> None:
        codes = {"AnatomicRegionSequence": (CodedTerm("99LOCAL", "1", "Both hands"),)}
        film = FilmHeader(sop_class=CR, modality="CR", elements={"Laterality": "B"}, codes=codes, rows=300, columns=400)
        identity = identify(film, HANDS_AND_FEET)
        assert (identity.side, identity.doubts) == ("B", ())


class TestCodes:
    def test_codes_state_part_side_and_projection(self) -> None:
        film = coded(
            AnatomicRegionSequence=sct("56459004"),
            AnatomicRegionSequence__AnatomicRegionModifierSequence=sct("24028007"),
            ViewCodeSequence=sct("399335002"),
        )
        assert summary(identify(film, HANDS_AND_FEET)) == ("foot", "R", "AP")

    def test_a_modifier_makes_a_frontal_view_another_one(self) -> None:
        film = coded(ViewCodeSequence=sct("399348003"), ViewCodeSequence__ViewModifierCodeSequence=sct("399157000"))
        assert identify(film, HANDS_AND_FEET).projection == "Norgaard"

    def test_the_meaning_is_read_where_the_code_is_unknown(self) -> None:
        film = coded(AnatomicRegionSequence=(CodedTerm("99LOCAL", "1", "Linke Hand"),))
        assert summary(identify(film, HANDS_AND_FEET)) == ("hand", "L", "")

    def test_a_code_counts_in_its_own_scheme_only(self) -> None:
        film = coded(AnatomicRegionSequence=(CodedTerm("99LOCAL", "85562004"),))
        assert identify(film, HANDS_AND_FEET).part == ""

    def test_a_code_that_contradicts_its_meaning_is_doubtful(self) -> None:
        identity = identify(coded(AnatomicRegionSequence=sct("85562004", "Foot")), HANDS_AND_FEET)
        assert "AnatomicRegionSequence says hand, AnatomicRegionSequence (meaning) says foot" in identity.doubts


@pytest.mark.parametrize("part", ["wrist", "finger", "toe", "ankle", "elbow", "knee"])
def test_parts_without_a_view_are_rejected(part: str) -> None:
    identity = identify(header(BodyPartExamined=part.upper(), Laterality="L", ViewPosition="PA"), HANDS)
    assert identity.rejection == f"it shows the {part}, and the scheme has no view of it"


@pytest.mark.parametrize(
    ("text", "parts", "sides", "projections"),
    [
        ("Hände dp", "hand", "LR", "frontal"),
        ("main gauche profil", "hand", "L", "lateral"),
        ("MAIN DROITE 3/4", "hand", "R", "oblique"),
        ("HAND RT 3/4", "hand", "R", ""),
        ("main gauche 13/4", "hand", "L", ""),
        ("手 左 斜位", "hand", "L", "oblique"),
        ("右足正面", "foot", "R", "frontal"),
        ("左手関節", "wrist", "L", ""),
        ("Vorfuß li", "foot", "L", ""),
        ("muñeca izquierda", "wrist", "L", ""),
        ("mano dx obliqua", "hand", "R", "oblique"),
        ("rechter voet", "foot", "R", ""),
        ("PÉ DIREITO", "foot", "R", ""),
        ("pe direito", "foot", "R", ""),
        ("DX HAND LT", "hand", "L", ""),
        ("HAND PA OBLIQUE", "hand", "", "oblique"),
        ("HAND PA/OBLIQUE", "hand", "", "PA oblique"),
        ("XR HAND 3V RT", "hand", "R", "frontal lateral oblique"),
        ("Hand mit Handgelenk", "hand", "", ""),
        ("Handgelenk streng seitlich rechts", "wrist", "R", "lateral"),
        ("L-SPINE", "spine", "", ""),
        ("left handed", "", "", ""),
        ("Nørgaard", "", "", "Norgaard"),
        ("Finger D2 rechts", "finger", "R", ""),
        ("LeftHandPA", "hand", "L", "PA"),
        ("Hand seitl. li", "hand", "L", "lateral"),
        ("Main G ¾", "hand", "L", "oblique"),
        ("Voet lateraal rechts", "foot", "R", "lateral"),
        ("Handled vä frontal", "wrist", "L", "frontal"),
        ("HÄNDER BÅDA SNED", "hand", "LR", "oblique"),
        ("Fot hö sida", "foot", "R", "lateral"),
        ("Hånd ve sidebillede", "hand", "L", "lateral"),
        ("Føtter begge", "foot", "LR", ""),
        ("Mano sx latero-laterale", "hand", "L", "lateral"),
        ("mano dx dorso-palmare", "hand", "R", "PA"),
        ("Pied D profil", "foot", "R", "lateral"),
        ("手 侧位", "hand", "", "lateral"),
    ],
)
def test_words_of_descriptions(text: str, parts: str, sides: str, projections: str) -> None:
    statement = parse_words(text)
    assert (set(statement.parts), set(statement.sides)) == (set(parts.split()), set(sides))
    assert set(statement.projections) == set(projections.split())
    assert (statement.both is Both.NO) == (len(sides) < 2)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.2"}, "a CT image"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.2.1"}, "a CT image"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.20"}, "a nuclear medicine image"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.11.1"}, "a presentation state"),
        ({"sop_class": "1.2.840.10008.1.3.10"}, "a directory of files (DICOMDIR)"),
        ({"sop_class": "1.2.3"}, "an object of another kind"),
        ({"modality": "BMD"}, "a measurement of bone density"),
        ({"image_type": "ORIGINAL\\PRIMARY\\LOCALIZER"}, "a localizer"),
        ({"elements": {"SeriesDescription": "HAND PA L TOMO"}}, "a tomographic image"),
        ({"elements": {"SeriesDescription": "QC PHANTOM HAND"}}, "a calibration image"),
        ({"sop_class": CAPTURE, "elements": {"ConversionType": "SD"}}, "a document"),
        ({"sop_class": CAPTURE, "elements": {"SeriesDescription": "Dose Report"}}, "a report or a key object note"),
        ({"sop_class": CAPTURE, "elements": {"SeriesDescription": "Screen save"}}, "a screen copy"),
        ({"sop_class": CAPTURE, "elements": {"SeriesDescription": "Scanned request"}}, "a document"),
        ({"elements": {"SeriesDescription": "SCOUT"}}, "a localizer"),
        ({"elements": {"QualityControlImage": "YES"}}, "a calibration image"),
    ],
)
def test_other_objects_are_named(change: dict[str, object], kind: str) -> None:
    values = {"sop_class": CR, "modality": "CR", "rows": 400, "columns": 300, **change}
    identity = identify(FilmHeader(**values), HANDS_AND_FEET)  # type: ignore[arg-type]
    assert identity.rejection == f"it is {kind}, not a radiograph"


@pytest.mark.parametrize(("conversion", "is_certain"), [("WSD", False), ("DF", True), ("SI", True), ("", True)])
def test_a_possible_screen_copy_is_doubtful(conversion: str, is_certain: bool) -> None:
    words = {"ConversionType": conversion, "SeriesDescription": "LEFT HAND PA"}
    film = FilmHeader(sop_class=CAPTURE, modality="OT", elements=words, rows=400, columns=300)
    identity = identify(film, HANDS)
    assert (identity.is_certain, identity.rejection) == (is_certain, "")


class TestViewsOfOtherNames:
    """A scheme may give a view any name."""

    def test_the_only_view_of_the_part_is_taken(self) -> None:
        views = {"dorsal": View("dorsal", "hand", "hand", {}), "wrist": View("wrist", "wrist", "hand", {})}
        film = header(BodyPartExamined="HAND", Laterality="L", ViewPosition="PA")
        assert identify(film, views).view == "dorsal"
        assert identify(header(BodyPartExamined="WRIST", Laterality="L"), views).view == "wrist"
        assert identify(header(BodyPartExamined="FOOT", Laterality="L"), views).rejection
        assert identify(film, {"wrist": views["wrist"]}).rejection

    def test_several_views_of_the_part_are_doubtful(self) -> None:
        views = {name: View(name, name, "hand", {}) for name in ("dorsal", "palmar")}
        identity = identify(header(BodyPartExamined="HAND", Laterality="L", ViewPosition="PA"), views)
        assert (identity.view, identity.doubts) == ("", ("the scheme has several views of the hand",))


def test_an_object_without_an_image_is_named() -> None:
    assert identify(FilmHeader(sop_class=CR, modality="CR"), HANDS_AND_FEET).rejection == "it contains no image"


def test_each_of_pydicoms_files_has_a_true_reason() -> None:
    """Compare the reason with the SOP class, read separately."""
    kinds = {
        "CT Image Storage": "a CT image",
        "MR Image Storage": "an MR image",
        "RT Plan Storage": "an object of radiotherapy",
    }
    kinds |= {"Ultrasound Image Storage": "an ultrasound image", "RT Dose Storage": "an object of radiotherapy"}
    kinds |= {"Media Storage Directory Storage": "a directory of files (DICOMDIR)"}
    seen = set()
    with ReaderProcess() as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in own_test_files():
            try:
                found = reader.read_header(path)
            except FilmError:
                continue
            identity = identify(found, HANDS_AND_FEET)
            assert not identity.is_certain, f"{path.name} shows no hand or foot"
            name = _class_name(path)
            if name in kinds:
                assert identity.rejection == f"it is {kinds[name]}, not a radiograph", path.name
                seen.add(name)
    assert seen == set(kinds)


def _class_name(path: Path) -> str:
    dataset: Dataset = pydicom.dcmread(path, stop_before_pixels=True)
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID", "")
    return str(getattr(uid, "name", ""))
