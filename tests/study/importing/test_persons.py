"""Persons of an import: IDs of several issuers, placeholders, contradictions, names in several spellings."""

from itertools import permutations

import pytest

from ratui.study.importing import FilmHeader
from ratui.study.importing.persons.assignment import KnownPerson, group_persons
from ratui.study.importing.persons.patient_record import (
    PatientRecord,
    digest_record,
    is_placeholder,
    make_patient_record,
    names_contradict,
    parse_name,
)


def record(**values: str) -> PatientRecord:
    return make_patient_record(FilmHeader(**{"patient_id": "P1", **values}))  # type: ignore[arg-type]


def persons(*records: PatientRecord) -> list[tuple[str, str]]:
    """Return the key and the doubt of each film, after a proof that the order of the films makes no difference."""
    numbered = dict(enumerate(records))
    results = [
        dict(sorted(group_persons({number: numbered[number] for number in order}).items()))
        for order in permutations(numbered)
    ]
    assert all(result == results[0] for result in results)
    return [(person.key, person.doubt) for person in results[0].values()]


class TestIDs:
    def test_one_id_of_two_issuers_is_two_persons(self) -> None:
        assert persons(record(issuer="North"), record(issuer="SOUTH")) == [("P1^^^north", ""), ("P1^^^south", "")]

    def test_an_issuer_is_recognised_in_other_letters(self) -> None:
        assert persons(record(issuer="North  Hospital"), record(issuer="NORTH HOSPITAL"))[0][0] == "P1^^^north hospital"

    def test_the_universal_issuer_stands_for_the_local_one(self) -> None:
        both = record(issuer="North", issuer_qualifiers="ISO:1.2.3")
        assert persons(both, record(issuer_qualifiers="ISO:1.2.3")) == [("P1^^^north", "")] * 2

    def test_one_local_name_of_two_universal_issuers_is_doubtful(self) -> None:
        found = persons(*(record(issuer="Main", issuer_qualifiers=f"ISO:1.{number}") for number in range(2)))
        assert all("differ in the issuer" in doubt for _, doubt in found)

    def test_films_without_issuer_join_the_only_person(self) -> None:
        assert persons(record(issuer="North", sex="F"), record(sex="F")) == [("P1^^^north", "")] * 2

    def test_films_without_issuer_that_contradict_are_doubtful(self) -> None:
        (_, one), (_, other) = persons(record(issuer="North", sex="F"), record(sex="M"))
        assert not one
        assert "differ in the sex" in other

    def test_a_film_without_issuer_may_show_another_person_who_has_none(self) -> None:
        named = record(issuer="North", name="Doe^Ann", birth_date="19450312")
        other, unnamed = record(name="Roe^Bob"), record(sex="F")
        assert [bool(doubt) for _, doubt in persons(named, other, unnamed)] == [False, True, True]
        dated = record(birth_date="19450312", sex="F")
        assert [bool(doubt) for _, doubt in persons(named, other, dated)] == [False, True, False]
        assert [bool(doubt) for _, doubt in persons(named, unnamed)] == [False, False]

    @pytest.mark.parametrize("birth_date", ["", "19450312"])
    def test_a_film_without_issuer_does_not_join_doubtful_films(self, birth_date: str) -> None:
        two = [record(issuer="North", name=name, birth_date=birth_date) for name in ("Doe^Ann", "Roe^Bob")]
        assert all(doubt for _, doubt in persons(*two, record(birth_date=birth_date)))

    def test_two_films_without_issuer_that_contradict_each_other_are_doubtful(self) -> None:
        named = record(issuer="North")
        found = persons(named, record(birth_date="19600101"), record(birth_date="19610101"))
        assert [bool(doubt) for _, doubt in found] == [False, True, True]

    def test_films_without_issuer_do_not_choose_between_two(self) -> None:
        found = persons(record(issuer="North"), record(issuer="South"), record())
        assert [bool(doubt) for _, doubt in found] == [False, False, True]

    def test_nothing_but_the_birth_date_chooses_between_two_issuers(self) -> None:
        found = persons(record(issuer="North", sex="F"), record(issuer="South", sex="M"), record(sex="M"))
        assert [bool(doubt) for _, doubt in found] == [False, False, True]

    def test_the_birth_date_chooses_between_two_issuers(self) -> None:
        north, south = record(issuer="N", birth_date="19600101"), record(issuer="S", birth_date="19700202")
        assert persons(north, south, record(birth_date="19700202"))[2] == ("P1^^^s", "")

    def test_one_person_under_two_spellings_of_the_issuer_is_doubtful(self) -> None:
        values = {"name": "Doe^Jane", "birth_date": "19600101"}
        found = persons(record(issuer="North", **values), record(issuer="Hosp. North", **values))
        assert all("another issuer" in doubt for _, doubt in found)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "0",
            "000",
            "ANONYMOUS",
            "Unknown",
            "none",
            "N/A",
            "---",
            "XXXX",
            "XXX",
            "No ID",
            "ANONYMISÉ",
            "匿名",
            "NOTFALL",
            "Default",
        ],
    )
    def test_a_placeholder_is_nobody(self, text: str) -> None:
        assert is_placeholder(text)
        (key, doubt), _ = persons(record(patient_id=text), record())
        assert not key
        assert "names no patient" in doubt

    @pytest.mark.parametrize("text", ["1", "P0", "10", "X", "12345", "ANON12", "A-000", "٣٤"])
    def test_a_real_id_is_no_placeholder(self, text: str) -> None:
        assert not is_placeholder(text)


def aged(age: str, day: str, **values: str) -> PatientRecord:
    header = FilmHeader(patient_id="P1", dates={"StudyDate": day}, elements={"PatientAge": age}, **values)  # type: ignore[arg-type]
    return make_patient_record(header)


class TestAges:
    """An anonymised film often has an age and no birth date."""

    @pytest.mark.parametrize(
        ("one", "other", "is_doubtful"),
        [
            (aged("061Y", "20200302"), aged("020Y", "20210504"), True),
            (aged("061Y", "20200302"), aged("066Y", "20210504"), True),
            (aged("061Y", "20200302"), aged("062Y", "20210504"), False),
            (aged("061Y", "20200302"), aged("063Y", "20210504"), False),
            (aged("061Y", "20200302"), record(birth_date="19580102"), False),
            (aged("061Y", "20200302"), record(birth_date="19700102"), True),
            (aged("006M", "20200302"), aged("010Y", "20210504"), True),
            (aged("000Y", "20200302"), aged("010Y", "20210504"), False),
            (aged("061Y", "20200302", birth_date="19590102"), aged("099Y", "20210504", birth_date="19590102"), False),
            (aged("061Y", ""), aged("010Y", "20210504"), False),
        ],
    )
    def test_ages_of_two_persons_contradict_each_other(
        self, one: PatientRecord, other: PatientRecord, is_doubtful: bool
    ) -> None:
        doubts = [doubt for _, doubt in persons(one, other)]
        assert doubts == ["films with its patient ID differ in the age" if is_doubtful else ""] * 2


class TestContradictions:
    @pytest.mark.parametrize(
        ("one", "other", "element"),
        [
            ({"birth_date": "19600101"}, {"birth_date": "19600102"}, "birth date"),
            ({"birth_date": "1960"}, {"birth_date": "19610102"}, "birth date"),
            ({"sex": "F"}, {"sex": "M"}, "sex"),
            ({"sex": "W"}, {"sex": "M"}, "sex"),
            ({"sex": "female"}, {"sex": "MALE"}, "sex"),
            ({"name": "Doe^Jane"}, {"name": "Doe^John"}, "name"),
            ({"name": "Doe^Jane"}, {"name": "Smith^Jane"}, "name"),
            ({"name": "山田^太郎"}, {"name": "Yamada^Taro=山田^花子"}, "name"),
        ],
    )
    def test_one_id_of_two_persons_is_doubtful(self, one: dict[str, str], other: dict[str, str], element: str) -> None:
        found = persons(record(**one), record(**other), record())
        assert [doubt for _, doubt in found] == [f"films with its patient ID differ in the {element}"] * 3

    @pytest.mark.parametrize(
        ("birth", "is_slip"),
        [
            ("19530417", True),  # one digit
            ("19430427", True),
            ("19430471", True),  # two neighbours, although that is no date
            ("19340417", True),
            ("19431704", True),  # day and month
            ("19440317", False),  # two digits exchanged that are no neighbours
            ("19530418", False),
            ("19430101", False),
            ("19441704", False),
        ],
    )
    def test_one_slip_in_the_birth_date_is_noted_if_all_else_agrees(self, birth: str, is_slip: bool) -> None:
        values = {"name": "Doe^Jane", "sex": "F", "birth_date": "19430417"}
        for changed, agrees in (
            ({}, True),
            ({"sex": ""}, False),
            ({"name": "Doe"}, False),
            ({"name": "Doe^Jane^Mary"}, False),
            ({"name": "Doe^J"}, False),
            ({"name": "Smith^Jane"}, False),
            ({"name": ""}, False),
        ):
            films = {1: record(**values), 2: record(**{**values, "birth_date": birth, **changed}), 3: record()}
            found = group_persons(films).values()
            texts = {person.doubt or person.note for person in found}
            assert len(texts) == 1
            assert ("differ in one place" in texts.pop()) == (is_slip and agrees)
            assert all(bool(person.note) != bool(person.doubt) for person in found)

    def test_default_days_are_no_slip(self) -> None:
        values = {"name": "Doe^Jane", "sex": "F"}
        found = group_persons({year: record(birth_date=f"{year}0101", **values) for year in (1960, 1961)})
        assert all("differ in the birth date" in person.doubt for person in found.values())

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"birth_date": "19600101"}, {"birth_date": "1960.01.01"}),
            ({"birth_date": "19600100"}, {"birth_date": "19600107"}),
            ({"birth_date": "19000101"}, {"birth_date": "19600107"}),
            ({"sex": "F"}, {"sex": "O"}),
            ({"name": "Doe^Jane"}, {"name": "DOE JANE"}),
            ({"name": "Doe^Jane"}, {"name": "Jane^Doe"}),
            ({"name": "Müller^Zoë"}, {"name": "MUELLER^ZOE"}),
            ({"name": "Doe^Jane^Mary"}, {"name": "Doe^Jane"}),
            ({"name": "Doe^Jane"}, {"name": "Doe^J^^Dr"}),
            ({"name": "Doe, Jane"}, {"name": "Doe^Jane"}),
            ({"name": "Yamada^Tarou=山田^太郎=やまだ^たろう"}, {"name": "山田太郎"}),
            ({"name": "=山田^太郎"}, {"name": "Smith^Jane"}),
            ({"name": "ヤマダ^タロウ"}, {"name": "ﾔﾏﾀﾞ^ﾀﾛｳ"}),
            ({"name": "ANONYMOUS"}, {"name": "Doe^Jane"}),
            ({"name": "P1"}, {"name": "Doe^Jane"}),
            (
                {"name": "Doe^Jane", "birth_date": "19600101"},
                {"name": "Smith-Doe^Jane", "birth_date": "19600101"},
            ),
            ({"name": "Doe^Jane", "birth_date": "19600101"}, {"name": "Smith^Jane", "birth_date": "19600101"}),
        ],
    )
    def test_one_person_in_two_spellings(self, one: dict[str, str], other: dict[str, str]) -> None:
        assert persons(record(**one), record(**other)) == [("P1", "")] * 2

    def test_names_in_two_scripts_are_not_compared(self) -> None:
        assert not names_contradict(parse_name("Ivanov^Ivan"), parse_name("Иванов^Пётр"), same_birth_date=False)

    def test_very_many_statements_about_one_id_are_not_compared(self) -> None:
        found = group_persons({number: record(name=f"Doe^Jane^{'a' * number}") for number in range(2000)})
        assert all(person.doubt for person in found.values())


class TestKnownPersons:
    def digest(self, text: str) -> str:
        return f"digest of {text}"

    def known(self, key: str, **values: str) -> KnownPerson:
        return KnownPerson(key, digest_record(record(**values), self.digest))

    def find(self, *records: PatientRecord, known: list[KnownPerson]) -> list[tuple[str, str]]:
        found = group_persons(dict(enumerate(records)), known, self.digest)
        return [(person.key, person.doubt) for person in found.values()]

    def test_a_person_is_found_again(self) -> None:
        values = {"issuer": "North", "birth_date": "19600101", "name": "Doe^Jane"}
        assert self.find(record(**values), known=[self.known("P1", **values)]) == [("P1", "")]

    @pytest.mark.parametrize(
        ("before", "now"),
        [
            ({"birth_date": "19600101"}, {"birth_date": "19600102"}),
            ({"sex": "F"}, {"sex": "M"}),
            ({"name": "Doe^Jane"}, {"name": "Smith^John"}),
        ],
    )
    def test_a_later_import_notices_another_person(self, before: dict[str, str], now: dict[str, str]) -> None:
        ((key, doubt),) = self.find(record(**now), known=[self.known("P1", **before)])
        assert key == "P1"
        assert "the patient with its ID in the study has another" in doubt

    def test_an_id_of_another_issuer_is_a_new_person(self) -> None:
        assert self.find(record(issuer="South"), known=[self.known("P1^^^north", issuer="North")]) == [
            ("P1^^^south", "")
        ]

    def test_a_person_of_an_earlier_version_has_no_issuer(self) -> None:
        known = [KnownPerson("P1", PatientRecord("P1"))]
        assert self.find(record(issuer="North"), known=known) == [("P1", "")]
        found = self.find(record(issuer="North"), record(issuer="South"), known=known)
        assert all("may be any of them" in doubt for _, doubt in found)

    def test_films_without_issuer_do_not_choose_between_two_known_persons(self) -> None:
        known = [self.known("P1^^^n", issuer="N", birth_date="19600101"), self.known("P1^^^s", issuer="S")]
        ((_, doubt),) = self.find(record(), known=known)
        assert "several persons" in doubt
