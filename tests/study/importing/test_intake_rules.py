"""The plan of an import compared with a slow reference of the rules in ``docs/intake.md``, on films drawn by Hypothesis."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ratui.scheme import load_scheme
from ratui.study.importing import CodedTerm, FilmHeader
from ratui.study.importing.persons.assignment import KnownPerson
from ratui.study.importing.persons.patient_record import PatientRecord
from ratui.study.importing.planning.import_plan import Decision
from ratui.study.importing.planning.known_study import KnownStudy
from ratui.study.importing.planning.planner import FilmSource, plan_films
from ratui.study.importing.reader.film_header import KeyReferences
from tests.support.intake_reference import Known, ReferenceFilm, decide

pytestmark = pytest.mark.slow

TODAY = date(2024, 6, 1)
SCHEME = load_scheme("mtss")
_DAYS = ["20200302", "20200303", "20200304", "20200310", "20210504", "20220101", "", "19700101", "20990101", "20209999"]

films = st.builds(
    ReferenceFilm,
    number=st.just(0),
    patient=st.sampled_from(["P1", "P1", "P1", "P2", " P1", "7", "07", "0", "", "ANONYMOUS"]),
    issuer=st.sampled_from(["", "", "North", "NORTH", "South"]),
    universal=st.sampled_from(["", "", "", "ISO:1", "ISO:2"]),
    name=st.sampled_from(["", "", "Doe^Jane", "DOE^J", "Jane^Doe", "Smith^Jane", "Smith^John", "P1", "ANONYMOUS"]),
    birth=st.sampled_from(
        ["", "", "19600102", "19600102", "19610102", "19600201", "19700203", "1960", "19600100", "19000101", "20210101"]
    ),
    sex=st.sampled_from(["", "", "F", "M"]),
    age=st.sampled_from(["", "", "", "060Y", "030Y"]),
    study=st.sampled_from(["1.1", "1.2", "1.3", ""]),
    acquired=st.sampled_from(_DAYS),
    clock=st.sampled_from(["", "235900", "235917", "000500", "000517", "120000"]),
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
    uid=st.sampled_from(["", "1.91", "1.92", "1.93"]),
    source=st.sampled_from(["", "", "", "1.91", "1.92"]),
    comment=st.sampled_from(["", "", "", "", "Rejected", "repeat of rejected film"]),
)
_UIDS = st.sampled_from(["1.91", "1.92", "1.93", "1.94"])
_KEY_NOTES = {
    "title": st.sampled_from(["113001", "113001", "113037", "113038", "113039", "113010", "113000"]),
    "evidence": st.lists(st.tuples(st.sampled_from(["1.1", "1.1", "1.2"]), _UIDS), max_size=3).map(tuple),
    "named": st.lists(_UIDS, max_size=3).map(tuple),
    "overflows": st.sampled_from([False, False, False, True]),
    "uid": st.sampled_from(["", "1.94"]),
}
notes = st.builds(
    ReferenceFilm,
    number=st.just(0),
    patient=st.sampled_from(["P1", "P1", "P2", ""]),
    issuer=st.sampled_from(["", "North", "South"]),
    study=st.sampled_from(["1.1", "1.2", ""]),
    **_KEY_NOTES,
)
rejected_films = st.builds(
    ReferenceFilm,
    number=st.just(0),
    issuer=st.sampled_from(["", "", "North"]),
    study=st.sampled_from(["1.1", "1.1", "1.2"]),
    acquired=st.just("20200302"),
    clock=st.sampled_from(["100000", "100017", "100117", "100217", "100317"]),
    content=st.sampled_from(["", "20200302", "20200303"]),
    event=st.sampled_from(["", "", "", "1.7", "1.8"]),
    side=st.sampled_from(["L", "L", "R", "B"]),
    view=st.sampled_from(["hand", "hand", "wrist"]),
    intent=st.sampled_from(["", "", "FOR PROCESSING"]),
    picture=st.sampled_from(["", "", "", "x", "y"]),
    uid=st.sampled_from(["1.91", "1.92", "1.93"]),
    source=st.sampled_from(["", "", "", "", "1.91", "1.92"]),
    comment=st.sampled_from(["", "", "", "", "", "Rejected", "repeat of rejected film"]),
    series=st.sampled_from(["", "", "", "", "", "3/4", "2/4"]),
)
clear_notes = st.builds(
    ReferenceFilm,
    number=st.just(0),
    study=st.just("1.1"),
    title=st.sampled_from(["113001", "113001", "113038", "113039"]),
    evidence=st.lists(st.tuples(st.sampled_from(["1.1", "1.1", "1.2"]), _UIDS), min_size=1, max_size=2).map(tuple),
    uid=st.sampled_from(["", "1.94"]),
)
one_person = st.builds(
    ReferenceFilm,
    number=st.just(0),
    issuer=st.sampled_from(["", "North", "North"]),
    universal=st.sampled_from(["", "ISO:1", "ISO:2"]),
    acquired=st.just("20200302"),
    side=st.sampled_from("LR"),
    view=st.sampled_from(["hand", "foot"]),
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
        one_visit=st.booleans(),
    ),
    max_size=2,
    unique_by=lambda person: (person.patient, person.issuer),
)


def sum_lists(lists: tuple[list[ReferenceFilm], list[ReferenceFilm]]) -> list[ReferenceFilm]:
    return [*lists[0], *lists[1]]


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
        "ImageComments": film.comment,
        "SeriesDescription": film.series,
        "PatientAge": film.age,
    }
    title = (CodedTerm("DCM", film.title),) if film.title else ()
    header = FilmHeader(
        patient_id=film.patient,
        issuer=film.issuer,
        issuer_qualifiers=film.universal,
        name=film.name,
        birth_date=film.birth,
        sex=film.sex,
        study_uid=film.study,
        instance_uid=film.uid,
        source_uids=(film.source,) if film.source else (),
        sop_class="1.2.840.10008.5.1.4.1.1.88.59" if film.title else "1.2.840.10008.5.1.4.1.1.1",
        modality="KO" if film.title else "CR",
        image_type="DERIVED\\PRIMARY" if film.derived else "ORIGINAL\\PRIMARY",
        dates={
            "AcquisitionDate": film.acquired,
            "AcquisitionTime": film.clock,
            "StudyDate": film.studied,
            "ContentDate": film.content,
        },
        other_ids=film.others,
        elements={key: text for key, text in elements.items() if text},
        codes={"ConceptNameCodeSequence": title} if title else {},
        rows=400,
        columns=300,
        content=film.picture,
        key_references=KeyReferences(film.evidence, film.named, not film.overflows),
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
        frozenset(each.key for each in known if each.one_visit),
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


@settings(max_examples=300, deadline=None)
@given(st.lists(films, min_size=1, max_size=6), known_persons, st.randoms(use_true_random=False))
def test_odd_films_are_decided_by_the_rules(drawn: list[ReferenceFilm], known: list[Known], random: object) -> None:
    compare(drawn, known, random)


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(st.lists(films, min_size=1, max_size=5), st.lists(notes, min_size=1, max_size=2)).map(sum_lists),
    st.randoms(use_true_random=False),
)
def test_odd_films_and_notes_are_decided_by_the_rules(drawn: list[ReferenceFilm], random: object) -> None:
    compare(drawn, [], random)


@settings(max_examples=350, deadline=None)
@given(
    st.tuples(st.lists(rejected_films, min_size=2, max_size=5), st.lists(clear_notes, max_size=2)).map(sum_lists),
    st.randoms(use_true_random=False),
)
def test_rejected_films_are_decided_by_the_rules(drawn: list[ReferenceFilm], random: object) -> None:
    compare(drawn, [], random)


@settings(max_examples=100, deadline=None)
@given(st.lists(one_person, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_films_of_several_universal_issuers_are_decided_by_the_rules(
    drawn: list[ReferenceFilm], random: object
) -> None:
    compare(drawn, [], random)


@settings(max_examples=200, deadline=None)
@given(st.lists(plain_films, min_size=2, max_size=8), st.just([]), st.randoms(use_true_random=False))
def test_usual_films_are_decided_by_the_rules(drawn: list[ReferenceFilm], known: list[Known], random: object) -> None:
    compare(drawn, known, random)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(plain_films, min_size=1, max_size=5),
    st.sampled_from(
        [(date(2020, 3, 2),), (date(2020, 3, 1),), (date(2021, 5, 4),), (date(2020, 3, 2), date(2021, 5, 4))]
    ),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_the_next_visit_of_a_case_is_decided_by_the_rules(
    drawn: list[ReferenceFilm], dates: tuple[date, ...], one_visit: bool, random: object
) -> None:
    drawn = [ReferenceFilm(**{**vars(film), "patient": "P1", "issuer": "", "birth": ""}) for film in drawn]
    compare(drawn, [Known("", "P1", dates=dates, in_study=True, one_visit=one_visit)], random)


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
