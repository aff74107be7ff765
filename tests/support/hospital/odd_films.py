"""Oddities of side, part and view in the headers of films."""

from __future__ import annotations

from pydicom import Dataset

from tests.support.hospital.headers import coded, describe
from tests.support.hospital.oddities import Maker, oddity
from tests.support.hospital.record import FileDraft, Record, make_film

__all__: list[str] = []

_OTHER_SIDE = {"L": "R", "R": "L"}


def _words(record: Record, file: FileDraft, maker: Maker, **changed: str) -> str:
    """Return a description of `file` with another part, side or view."""
    content = {"part": file.part, "side": file.side, "view": file.view} | changed
    language = record.visits[file.examination].device.language
    return describe(language, content["part"], content["side"], content["view"], maker.random)


def _add_film(record: Record, maker: Maker, part: str, side: str, view: str) -> FileDraft:
    """Add a film to the first examination of `record` and return it."""
    film = make_film(record.person, record.visits[0], part, side, view, 15, maker.random)
    record.files.append(film)
    return film


@oddity("general descriptions of the study", 5)
def _describe_generally(maker: Maker) -> list[Record]:
    record = maker.record(count=2)
    for file in record.files:
        language = record.visits[file.examination].device.language
        if file.part in ("hand", "foot"):
            file.header.StudyDescription = maker.random.choice((language.study_both, "XR HANDS AND FEET"))
    for file in record.wanted:
        file.note("general descriptions of the study", "the image's own elements are specific")
    return [record]


@oddity("study of both sides", 3)
def _describe_both(maker: Maker) -> list[Record]:
    record = maker.record(count=2, per_side=True, feet=False)
    for file in record.files:
        if file.part == "hand":
            file.header.StudyDescription = maker.random.choice(("XR HANDS BILATERAL", "XR Hand bilat 3+ views"))
    for file in record.wanted:
        file.note("study of both sides", "the image's own elements name one side")
    return [record]


@oddity("sides contradict", 1)
def _contradict_side(maker: Maker) -> list[Record]:
    record = maker.record(
        count=2, per_side=True, styles=("DX, all elements", "CR, elements", "image laterality, view in words")
    )
    film = maker.random.choice(record.wanted)
    film.header.SeriesDescription = _words(record, film, maker, side=_OTHER_SIDE[film.side])
    film.ask("sides contradict", "the laterality and the series description name different sides")
    return [record]


@oddity("side missing", 1)
def _lose_side(maker: Maker) -> list[Record]:
    record = maker.record(count=2, per_side=True, styles=("CR, elements",), feet=False)
    for file in record.files:
        if file.examination == 0:
            file.header.pop("Laterality", None)
    for file in record.wanted_of(0):
        file.ask("side missing", "no element names the side")
    return [record]


@oddity("side as a region modifier", 1)
def _modify_region(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=("DX, codes",))
    codes = {"L": ("7771000", "Left"), "R": ("24028007", "Right"), "B": ("51440002", "Bilateral")}
    for file in record.files:
        region = file.header.get("AnatomicRegionSequence")
        if region:
            value, meaning = codes[file.side]
            region[0].AnatomicRegionModifierSequence = [coded(value, "SCT", meaning)]
            del file.header.ImageLaterality
    for file in record.wanted:
        file.note("side as a region modifier", "the modifier of the anatomic region is the side")
    return [record]


@oddity("parts contradict", 0.8)
def _contradict_part(maker: Maker) -> list[Record]:
    record = maker.record(count=2, feet=True, styles=("DX, all elements", "image laterality, view in words"))
    film = maker.random.choice(record.wanted)
    film.header.SeriesDescription = _words(record, film, maker, part="foot" if film.part == "hand" else "hand")
    film.ask("parts contradict", "the body part and the series description name different parts")
    return [record]


@oddity("body part at its default", 0.8)
def _default_part(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=("CR, protocol name", "digitised film"))
    default = maker.random.choice(("CHEST", "SKULL", "ABDOMEN"))
    for film in record.wanted_of(1):
        film.header.BodyPartExamined = default
        film.ask("body part at its default", "body part and words name different parts")
    return [record]


@oddity("views contradict", 0.8)
def _contradict_view(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=("DX, all elements",))
    film = maker.random.choice(record.wanted)
    film.header.pop("ViewCodeSequence", None)
    film.header.ViewPosition = "LL"
    film.ask("views contradict", "View Position says lateral, the series description frontal")
    return [record]


@oddity("oblique with a frontal position", 2)
def _default_position(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=("image laterality, view in words", "CR, words only"), feet=False)
    for side in "LR":
        film = _add_film(record, maker, "hand", side, "OBL")
        film.header.ViewPosition = "PA"
        film.leave("oblique with a frontal position", "an oblique PA view, which is not scored")
    return [record]


@oddity("views missing", 0.8)
def _lose_views(maker: Maker) -> list[Record]:
    record = maker.record(count=2, styles=("no view",), per_side=True, feet=False)
    for side in "LR":
        _add_film(record, maker, "hand", side, "OBL")
    for film in record.images_of(0):
        film.ask("views missing", "two films of each hand and no view: one is oblique")
    return [record]


@oddity("elements empty or unknown", 1.5)
def _unknown_values(maker: Maker) -> list[Record]:
    """Make films whose elements are filled with words for "unknown", while descriptions are complete."""
    record = maker.record(count=2, styles=("CR, words only",))
    for file in record.files:
        if file.part in ("hand", "foot"):
            file.header.BodyPartExamined = maker.random.choice(("UNKNOWN", "OTHER", "XR", "NONE"))
            file.header.ViewPosition = maker.random.choice(("", "UNKNOWN", "NA"))
            file.header.Laterality = maker.random.choice(("", "U"))
    for file in record.wanted:
        file.note("elements empty or unknown", "the series description is complete")
    return [record]


@oddity("requested codes only", 0.8)
def _requested_codes(maker: Maker) -> list[Record]:
    """Make films whose side and part are only in the code of the scheduled protocol."""
    record = maker.record(count=2, styles=("requested procedure",))
    for file in record.files:
        if "RequestAttributesSequence" in file.header and file.part in ("hand", "foot"):
            words = file.header.RequestAttributesSequence[0].RequestedProcedureDescription
            item = Dataset()
            item.ScheduledProtocolCodeSequence = [coded(f"P{maker.random.randrange(900)}", "99RIS", words)]
            item.ScheduledProcedureStepID = item.RequestedProcedureID = "1"
            file.header.RequestAttributesSequence = [item]
            del file.header.PerformedProcedureStepDescription
    for file in record.wanted:
        file.note("requested codes only", "the meaning of the protocol code names side and view")
    return [record]
