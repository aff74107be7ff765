"""Tests of the choice among the answers of a PACS: studies of other persons, and answers that leave the person open.

Each case gives the answers as (issuer, date of birth, sex, name), and for each answer one letter: f for a study that is
fetched, l for a loss, about which a person is asked, and o for a study that is left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from ratui.pacs.fetch import FetchedPatient, FetchReport
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.person_choice import choose_studies, names_another_person
from ratui.pacs.source import FoundStudy
from ratui.study.importing import FilmHeader
from ratui.study.importing.persons.assignment import group_persons
from ratui.study.importing.persons.patient_record import find_contradiction, make_patient_record

BORN, OTHER = "19450312", "19800707"
ANN = (BORN, "F", "Doe^Ann")
PLAIN = ListedPatient(1, "7")
DATED = ListedPatient(1, "7", "", BORN)
ISSUED = ListedPatient(1, "7", "A")
BOTH = ListedPatient(1, "7", "A", BORN)


def outcome(wanted: ListedPatient, answers: Sequence[tuple[str, ...]]) -> tuple[str, int, int]:
    """Return the fetched studies as a text of f and -, and the numbers of losses and of studies left out."""
    found = [FoundStudy(f"1.{place}", "7", *answer) for place, answer in enumerate(answers)]
    outcomes = set()
    for order in (found, found[::-1]):
        chosen = choose_studies(wanted, order)
        fetched = "".join("f" if study.uid in chosen.uids else "-" for study in found)
        outcomes.add((fetched, sum(chosen.losses.values()), sum(chosen.left_out.values())))
    (result,) = outcomes  # the order of the answers has no effect
    return result


def check(wanted: ListedPatient, answers: Sequence[tuple[str, ...]], expected: str) -> None:
    fetched = "".join("f" if letter == "f" else "-" for letter in expected)
    assert outcome(wanted, answers) == (fetched, expected.count("l"), expected.count("o"))


@pytest.mark.parametrize(
    ("wanted", "births", "expected"),
    [
        (PLAIN, (BORN, "19000101"), "ff"),  # a year up to 1900 is unknown
        (DATED, (BORN, "19000101"), "ff"),
        (DATED, (BORN, "00000000"), "ff"),
        (PLAIN, (BORN, "1945"), "ff"),
        (DATED, (BORN, "19450300"), "ff"),
        (DATED, (BORN, "1944"), "fo"),
        (DATED, ("1945.03.12",), "f"),
        (PLAIN, (BORN, "1945-03-12"), "ff"),
        (PLAIN, (BORN, "19450101"), "ll"),
        (DATED, (BORN, "19450101"), "fl"),  # an entry for an unknown day, perhaps of the listed person
        (DATED, (BORN, "19450615"), "fl"),
        (DATED, (BORN, "19600101"), "fo"),
        (ListedPatient(1, "7", "", "19660701"), ("19660701", "19760701"), "fl"),  # born on a day that may be unknown
        (ListedPatient(1, "7", "", "19450701"), ("19450701", BORN), "fl"),
        (DATED, (BORN, "19451203"), "fl"),  # one slip
        (DATED, (BORN, "19550313"), "fo"),
    ],
)
def test_a_date_of_birth_means_the_same_as_in_the_import(
    wanted: ListedPatient, births: tuple[str, ...], expected: str
) -> None:
    check(wanted, [("", birth, "", "") for birth in births], expected)


@pytest.mark.parametrize(
    ("wanted", "answers", "expected"),
    [
        (DATED, [("", BORN), ("", OTHER), ("",)], "fol"),
        (DATED, [("", BORN), ("", OTHER), ("", "19000101")], "fol"),
        (DATED, [("", BORN), ("", OTHER), ("", "1945")], "fol"),
        (DATED, [("", BORN, "M", "Doe^John"), ("", OTHER, "M", "Doe^John"), ("", "", "M", "Doe^John")], "fol"),  # a son
        (DATED, [("", OTHER), ("",)], "ol"),
        (DATED, [("A", BORN), ("B", OTHER), ("",)], "fol"),
        (DATED, [("A", BORN), ("B", OTHER), ("A",)], "fol"),
        (BOTH, [("A", BORN), ("", OTHER), ("",)], "fol"),
        (BOTH, [("A", BORN), ("", OTHER), ("A",)], "fof"),  # the listed issuer decides
        (DATED, [("", BORN), ("",)], "ff"),
        (DATED, [("", *ANN), ("B", "", "F", "Roe^Eve")], "fl"),  # the only difference is the name
        (DATED, [("", *ANN), ("", "", "F", "DOE^ANN")], "ff"),
        (DATED, [("", "", "F", "Doe^Ann"), ("", "", "F", "Roe^Eve")], "ll"),
        (DATED, [("A", BORN), ("B",)], "fl"),
    ],
)
def test_a_study_without_a_date_of_birth_may_be_of_the_person_with_the_other_date(
    wanted: ListedPatient, answers: list[tuple[str, ...]], expected: str
) -> None:
    check(wanted, answers, expected)


@pytest.mark.parametrize(
    ("wanted", "answers", "expected"),
    [
        (ISSUED, [("A",), ("a",), ("Ａ",)], "fff"),
        (ListedPatient(1, "7", "UK M"), [("uk  m",)], "f"),
        (PLAIN, [("A",), ("a",)], "ff"),
        (ISSUED, [("A", *ANN), ("A OLD", *ANN)], "fl"),
        (ISSUED, [("A", *ANN), ("B", BORN, "F", "Roe^Eve")], "fo"),
        (ISSUED, [("A", *ANN), ("B", BORN, "M", "Doe^Ann")], "fo"),
        (ISSUED, [("A", "", "F", "Doe^Ann"), ("B", "", "F", "Doe^Ann")], "fo"),
        (BOTH, [("B", *ANN)], "l"),  # the list has this date of birth
        (BOTH, [("B", OTHER, "F", "Doe^Ann")], "o"),
    ],
)
def test_an_issuer_may_have_several_spellings(
    wanted: ListedPatient, answers: list[tuple[str, ...]], expected: str
) -> None:
    check(wanted, answers, expected)


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("=山田^花子", "=鈴木^一郎", False),
        ("==やまだ^はなこ", "==すずき^いちろう", False),
        ("Ito^Yuki=伊藤^由紀", "Ito^Yuki=伊東^雪", False),
        ("Ito^Yuki=伊藤^由紀", "ITO^YUKI", True),
        ("Doe^John^^^Jr", "Doe^John^^^Sr", False),
        ("Doe^John^^^Jr", "Doe^John^M", True),
        ("Doe^Ann", "^^^^", True),
        ("Doe^Ann", "Ann^Doe", False),
    ],
)
def test_names_of_all_groups_decide_on_a_study_without_an_issuer(one: str, other: str, agree: bool) -> None:
    check(ISSUED, [("A", "", "", one), ("", "", "", other)], "ff" if agree else "fl")


@pytest.mark.parametrize(("issuers", "expected"), [(("", ""), "ff"), (("A", "A"), "ff"), (("A", ""), "ll")])
def test_the_names_of_two_persons_are_left_to_the_import_if_it_asks(issuers: tuple[str, str], expected: str) -> None:
    """The import would ask about the study without an issuer only, and take the other one."""
    one, other = issuers
    check(PLAIN, [(one, *ANN), (other, "", "F", "Roe^Eve")], expected)
    check(PLAIN, [(one, *ANN), (other, "", "F", "Doe^A")], "ff")


def test_letters_that_a_pacs_lost_are_no_other_name() -> None:
    check(PLAIN, [("A", BORN, "F", "Łukasiewicz^Małgorzata"), ("", BORN, "F", "ukasiewicz^Magorzata")], "ff")


SHARED = "study that the PACS also names for another person"


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        (ISSUED, ("7", "B", OTHER)),
        (DATED, ("7", "", OTHER)),
        (PLAIN, ("8",)),
        (ISSUED, ("7", "", "", "", "Roe^Eve")),
    ],
)
def test_a_study_that_two_answers_name_differently_is_not_fetched(
    wanted: ListedPatient, other: tuple[str, ...]
) -> None:
    found = [FoundStudy("1.1", "7", "A", *ANN), FoundStudy("1.1", *other), FoundStudy("1.2", "7", "A", *ANN)]
    for order in (found, found[::-1]):
        chosen = choose_studies(wanted, order)
        assert chosen.uids == ["1.2"]
        assert chosen.losses[SHARED] == 1


def test_patient_ids_differ_by_letters_and_zeros_but_not_by_the_form_of_an_accent() -> None:
    found = [FoundStudy(f"1.{place}", name) for place, name in enumerate(("\xe97", "e\u03017", "\xc97", "0\xe97", "*"))]
    chosen = choose_studies(ListedPatient(1, "e\u03017"), found)
    assert chosen.uids == ["1.0", "1.1"]
    assert chosen.left_out == {"study of another patient ID": 3}


def test_very_many_names_beside_a_slip_are_several_persons() -> None:
    """They are not compared with each other, which would take long."""
    births = (BORN, "19450313")
    found = [FoundStudy(f"1.{n}", "7", "", births[n % 2], "F", f"Doe^Ann=\u5c71{n}^\u82b1") for n in range(101)]
    assert len(choose_studies(PLAIN, found[:100]).uids) == 100
    assert sum(choose_studies(PLAIN, found).losses.values()) == 101


@pytest.mark.parametrize(
    ("header", "is_another"),
    [
        ({"issuer": "a"}, False),
        ({"issuer": "B"}, True),
        ({"birth_date": "1945.03.12"}, False),
        ({"birth_date": "19000101"}, False),
        ({"birth_date": "19450300"}, False),
        ({"birth_date": "19450400"}, True),
        ({"birth_date": "19450313"}, True),
        ({"patient_id": ""}, False),
        ({"patient_id": " 7 "}, False),
        ({"patient_id": "07"}, True),
        ({"patient_id": "7\\7"}, True),
    ],
)
def test_the_header_of_a_film_is_compared_with_the_list_as_in_the_import(
    header: dict[str, str], is_another: bool
) -> None:
    made = FilmHeader(**{"patient_id": "7", **header})  # type: ignore[arg-type]
    assert names_another_person(BOTH, made) is is_another


def test_a_film_of_a_patient_in_two_lines_is_imported_once() -> None:
    film, other = Path("film.dcm"), Path("other.dcm")
    report = FetchReport((FetchedPatient(1, [film, other]), FetchedPatient(2, [film])))
    assert report.files == [film, other]


def draw_study(draw: random.Random, uid: str, issuer: str, birth: str, sex: str, name: str) -> FoundStudy:
    """Return a study of a person as a careless hospital registers it: each value may be missing or in another form."""
    births = [birth] * 6 + ["", "", "", "19000101", birth[:4] + "0101", birth[:7] + str(draw.randrange(10))]
    names = [name] * 5 + [name.upper()] * 3 + ["", name.replace("ü", "ue"), name[: name.index("^") + 2]]
    issuers = [issuer] * 4 + ["", "", "", "", issuer.lower()]
    return FoundStudy(
        uid, "7", draw.choice(issuers), draw.choice(births), draw.choice([sex] * 4 + ["", "O"]), draw.choice(names)
    )


def test_two_persons_with_one_id_never_become_one_case_if_anything_distinguishes_them() -> None:
    """Fetch and import together. Studies of the listed person are fetched or losses."""
    for seed in range(1000):
        draw = random.Random(seed)
        persons = [
            (
                issuer,
                f"{draw.randint(1930, 1990)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}",
                draw.choice("MF"),
                f"{draw.choice(['Doe', 'Roe', 'Müller'])}^{draw.choice(['Ann', 'Eve', 'John'])}",
            )
            for issuer in ("A", "B")
        ]
        found = {
            draw_study(draw, f"1.{place}.{number}", *person): place
            for place, person in enumerate(persons)
            for number in range(draw.randint(1, 3))
        }
        listed = ListedPatient(1, "7", draw.choice(["A", ""]), draw.choice([persons[0][1], ""]))
        chosen = choose_studies(listed, list(found))
        records = {
            study: make_patient_record(
                FilmHeader(
                    patient_id="7",
                    issuer=study.issuer,
                    birth_date=study.birth_date,
                    sex=study.sex,
                    name=study.name,
                )
            )
            for study in found
        }
        cases: dict[str, set[int]] = {}
        for study, person in group_persons({each: records[each] for each in found if each.uid in chosen.uids}).items():
            if not person.doubt:
                cases.setdefault(person.key, set()).add(found[study])
        is_distinguished = any(
            found[one] != found[other] and find_contradiction(records[one], records[other])
            for one, other in combinations(found, 2)
        )
        assert not is_distinguished or all(len(places) == 1 for places in cases.values()), seed
        if listed.issuer or listed.birth_date:
            assert {1} not in cases.values() or not is_distinguished, seed
        lost = [study for study, place in found.items() if place == 0 and study.uid not in chosen.uids]
        assert sum(chosen.losses.values()) >= len(lost), seed
