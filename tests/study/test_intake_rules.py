"""The plan of an import compared with a slow reference of the rules in ``docs/intake.md``, on films drawn by Hypothesis."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ratui.scheme import load_scheme
from ratui.study.importing import FilmHeader
from ratui.study.importing.import_plan import Decision
from ratui.study.importing.persons import KnownPerson, PatientRecord
from ratui.study.importing.planner import FilmSource, KnownStudy, plan_films
from tests.support.intake_reference import Known, ReferenceFilm, decide

pytestmark = pytest.mark.slow

TODAY = date(2024, 6, 1)
SCHEME = load_scheme("mtss")
_DAYS = ["20200302", "20200303", "20200304", "20210504", "20220101", "", "19700101", "20990101", "20209999"]

films = st.builds(
    ReferenceFilm,
    number=st.just(0),
    patient=st.sampled_from(["P1", "P1", "P1", "P2", " P1", "7", "07", "0", "", "ANONYMOUS"]),
    issuer=st.sampled_from(["", "", "North", "NORTH", "South"]),
    universal=st.sampled_from(["", "", "", "ISO:1", "ISO:2"]),
    name=st.sampled_from(["", "", "Doe^Jane", "DOE^J", "Jane^Doe", "Smith^Jane", "Smith^John", "P1", "ANONYMOUS"]),
    birth=st.sampled_from(["", "", "19600102", "19700203", "1960", "19600100", "19000101", "20210101"]),
    sex=st.sampled_from(["", "", "F", "M"]),
    study=st.sampled_from(["1.1", "1.2", "1.3", ""]),
    acquired=st.sampled_from(_DAYS),
    clock=st.sampled_from(["", "235900", "000500", "120000"]),
    studied=st.sampled_from(["", "", *_DAYS]),
    content=st.sampled_from(["", "", *_DAYS]),
    event=st.sampled_from(["", "", "1.7", "1.8"]),
    others=st.sampled_from([(), (), (), (("P2", ""),), (("7", "north"),), (("P1", "South"), ("0", ""))]),
    side=st.sampled_from(["L", "L", "R", "B", ""]),
    view=st.sampled_from(["hand", "hand", "wrist", "foot", ""]),
    lateral=st.sampled_from([False, False, False, True]),
    intent=st.sampled_from(["", "FOR PRESENTATION", "FOR PROCESSING"]),
    derived=st.booleans(),
    picture=st.sampled_from(["", "", "", "x"]),
)
plain_films = st.builds(
    ReferenceFilm,
    number=st.just(0),
    patient=st.sampled_from(["P1", "P2"]),
    issuer=st.sampled_from(["", "North", "South"]),
    birth=st.sampled_from(["", "19600102"]),
    study=st.sampled_from(["1.1", "1.2", "1.3"]),
    acquired=st.sampled_from(["20200302", "20200303", "20210504"]),
    clock=st.sampled_from(["235900", "000500"]),
    side=st.sampled_from("LR"),
    view=st.sampled_from(["hand", "foot"]),
)
known_persons = st.lists(
    st.builds(
        Known,
        key=st.just(""),
        patient=st.sampled_from(["P1", "P2"]),
        issuer=st.sampled_from(["", "north", "south"]),
        birth=st.sampled_from(["", "19600102", "19700203"]),
        sex=st.sampled_from(["", "F"]),
        dates=st.sampled_from([(), (date(2020, 3, 2),), (date(2020, 3, 2), date(2021, 5, 4))]),
        in_study=st.booleans(),
    ),
    max_size=2,
    unique_by=lambda person: (person.patient, person.issuer),
)


def numbered(drawn: list[ReferenceFilm]) -> list[ReferenceFilm]:
    return [ReferenceFilm(**{**vars(film), "number": number}) for number, film in enumerate(drawn)]


def with_keys(known: list[Known]) -> list[Known]:
    keys = {person: f"{person.patient}^^^{person.issuer}" if person.issuer else person.patient for person in known}
    return [Known(**{**vars(person), "key": keys[person]}) for person in known]


def source(film: ReferenceFilm) -> FilmSource:
    elements = {
        "ImageLaterality": film.side,
        "BodyPartExamined": film.view.upper(),
        "ViewPosition": "LL" if film.lateral else "PA",
        "PresentationIntentType": film.intent,
        "IrradiationEventUID": film.event,
    }
    header = FilmHeader(
        patient_id=film.patient,
        issuer=film.issuer,
        issuer_qualifiers=film.universal,
        name=film.name,
        birth_date=film.birth,
        sex=film.sex,
        study_uid=film.study,
        sop_class="1.2.840.10008.5.1.4.1.1.1",
        modality="CR",
        image_type="DERIVED\\PRIMARY" if film.derived else "ORIGINAL\\PRIMARY",
        dates={
            "AcquisitionDate": film.acquired,
            "AcquisitionTime": film.clock,
            "StudyDate": film.studied,
            "ContentDate": film.content,
        },
        other_ids=film.others,
        elements={key: text for key, text in elements.items() if text},
        rows=400,
        columns=300,
    )
    return FilmSource(Path(f"{film.number:03}"), header, content=film.picture)


def plan(drawn: list[ReferenceFilm], known: list[Known]) -> dict[int, tuple[str, str, object]]:
    persons = tuple(
        KnownPerson(each.key, PatientRecord(each.patient, each.issuer, birth_date=each.birth, sex=each.sex))
        for each in known
    )
    study = KnownStudy(
        persons,
        str,
        {each.key: each.dates for each in known if each.dates},
        frozenset(each.key for each in known if each.in_study),
    )
    pictures = {Path(f"{film.number:03}"): film.picture for film in drawn}
    made = plan_films(
        [source(film) for film in drawn], SCHEME, study, today=TODAY, verify=lambda path, side: pictures[path]
    )
    assert [row.path for row in made.rows] == [Path(f"{film.number:03}") for film in drawn], "no file is lost"
    assert all(row.reason for row in made.rows if row.decision is not Decision.TAKE)
    return {
        int(row.path.name): (row.decision.value, row.patient, row.time if row.decision is Decision.TAKE else None)
        for row in made.rows
    }


@settings(max_examples=600, deadline=None)
@given(st.lists(films, min_size=1, max_size=6), known_persons, st.randoms(use_true_random=False))
def test_odd_films_are_decided_by_the_rules(drawn: list[ReferenceFilm], known: list[Known], random: object) -> None:
    compare(drawn, known, random)


@settings(max_examples=400, deadline=None)
@given(st.lists(plain_films, min_size=2, max_size=8), st.just([]), st.randoms(use_true_random=False))
def test_usual_films_are_decided_by_the_rules(drawn: list[ReferenceFilm], known: list[Known], random: object) -> None:
    compare(drawn, known, random)


def compare(drawn: list[ReferenceFilm], known: list[Known], random: object) -> None:
    """Compare the plan with the reference, and with the plan of the same files in another order."""
    drawn, known = numbered(drawn), with_keys(known)
    expected = decide(drawn, known, TODAY)
    for decision, _, _ in expected.values():
        event(decision)
    assert plan(drawn, known) == expected
    shuffled = list(drawn)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan(shuffled, known) == expected
