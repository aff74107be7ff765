"""Oddities of persons and their identifiers."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from pydicom import Dataset

from tests.support.hospital.headers import Visit, new_uid
from tests.support.hospital.oddities import Maker, oddity
from tests.support.hospital.people import ISSUERS, Person, plain_ascii
from tests.support.hospital.record import FileDraft, Record, draw_record, draw_visits
from tests.support.hospital.truth import Outcome

__all__: list[str] = []

_OTHER_FAMILIES = ("Becker", "Fontaine", "Clarke", "Romero", "Visser", "Berg")


def _ask_all(records: list[Record], name: str, reason: str) -> list[Record]:
    for record in records:
        for file in record.wanted:
            file.ask(name, reason)
    return records


def _note_all(records: list[Record], name: str, reason: str) -> list[Record]:
    for record in records:
        for file in record.wanted:
            file.note(name, reason)
    return records


@oddity("one ID number of two issuers", 5)
def _share_number(maker: Maker) -> list[Record]:
    first = maker.person(ISSUERS[0])
    second = maker.person(ISSUERS[1], first.number)
    records = [maker.record(person, sends_issuer=True) for person in (first, second)]
    return _note_all(records, "one ID number of two issuers", "two persons: issuer, name and birth date differ")


@oddity("one ID number of two persons, no issuer", 0.6)
def _share_number_without_issuer(maker: Maker) -> list[Record]:
    first = maker.person(ISSUERS[0])
    second = maker.person(ISSUERS[1], first.number)
    records = [maker.record(person, count=2) for person in (first, second)]
    for file in (file for record in records for file in record.files):
        file.header.pop("IssuerOfPatientID", None)
    return _ask_all(
        records, "one ID number of two persons, no issuer", "one ID, two names and birth dates, and no issuer"
    )


@oddity("ID of another person", 0.5)
def _wrong_number(maker: Maker) -> list[Record]:
    first = maker.person()
    second = maker.person(first.issuer, first.number)
    records = [maker.record(person, count=1, sends_issuer=True) for person in (first, second)]
    return _ask_all(records, "ID of another person", "one ID and issuer, but two names and birth dates")


@oddity("married name", 2)
def _marry(maker: Maker) -> list[Record]:
    person = replace(maker.person(), sex="F")
    while "=" in person.name or not person.given.isascii():
        person = replace(maker.person(person.issuer), sex="F")
    later = person.renamed(maker.random.choice(_OTHER_FAMILIES))
    record = maker.record(person, count=2, persons={1: later})
    return _note_all([record], "married name", "ID, given names, birth date and sex agree")


@oddity("name without accents", 4)
def _lose_accents(maker: Maker) -> list[Record]:
    person = maker.person()
    while person.charset not in ("ISO_IR 100", "ISO_IR 101"):
        person = maker.person(person.issuer)
    later = replace(person, name=plain_ascii(person.name, spell=maker.random.random() < 0.5), charset="")
    record = maker.record(person, count=2, persons={1: later})
    return _note_all([record], "name without accents", "the same name in capitals without accents")


@oddity("ideographic name missing", 1)
def _lose_groups(maker: Maker) -> list[Record]:
    person = replace(maker.person(), name="Yamada^Hanako=山田^花子=やまだ^はなこ", charset="ISO_IR 192")
    later = replace(person, name="YAMADA^HANAKO", charset="")
    record = maker.record(person, count=2, persons={maker.random.randrange(2): later})
    return _note_all([record], "ideographic name missing", "the same name, once in letters only")


@oddity("typo in the birth date", 1.5)
def _mistype_birth(maker: Maker) -> list[Record]:
    person = maker.person()
    year, rest = person.birth[:4], person.birth[4:]
    wrong = maker.random.choice((f"{int(year) + 1}{rest}", f"{int(year) - 10}{rest}"))
    if wrong.endswith("0229"):
        wrong = wrong[:4] + "0228"
    record = maker.record(person, count=2, persons={maker.random.randrange(2): replace(person, birth=wrong)})
    return _note_all(
        [record], "typo in the birth date", "ID, full name and sex agree; one digit of the birth date differs"
    )


@oddity("sex missing", 2)
def _lose_sex(maker: Maker) -> list[Record]:
    person = maker.person()
    other = replace(person, sex=maker.random.choice(("", "O")))
    record = maker.record(person, count=2, persons={maker.random.randrange(2): other})
    return _note_all([record], "sex missing", "ID, name and birth date agree")


@oddity("leading zeros", 0.8)
def _lose_zeros(maker: Maker) -> list[Record]:
    person = maker.person()
    padded = replace(person, number=f"000{person.number}")
    record = maker.record(person, count=2, sends_issuer=True, persons={maker.random.randrange(2): padded})
    return _note_all([record], "leading zeros", "name, birth date, sex, issuer and the number without zeros agree")


@oddity("placeholder ID", 1.2)
def _replace_number(maker: Maker) -> list[Record]:
    number = maker.random.choice(("ANONYMOUS", "0000000", "", "UNKNOWN"))
    name = maker.random.choice(("ANONYMOUS", "Anonymous^Patient", ""))
    records = []
    for _ in range(2):
        person = replace(maker.person(), number=number, name=name, birth="", sex="", charset="")
        records.append(maker.record(person, count=1))
    for file in (file for record in records for file in record.files):
        file.header.pop("IssuerOfPatientID", None)
    return _ask_all(records, "placeholder ID", "an ID that a device gives to any person")


@oddity("two IDs of one person", 0.8)
def _register_again(maker: Maker) -> list[Record]:
    person = maker.person()
    again = maker.person(person.issuer)
    second = replace(person, number=again.number)
    record = maker.record(person, count=2, sends_issuer=True, persons={1: second})
    return _ask_all([record], "two IDs of one person", "name, birth date and sex of two IDs agree: one person or two")


@oddity("two IDs of one person, linked", 0.5)
def _link_numbers(maker: Maker) -> list[Record]:
    person = maker.person()
    second = replace(person, number=maker.person(person.issuer).number)
    record = maker.record(person, count=2, sends_issuer=True, persons={1: second})
    for file in record.files:
        if file.examination == 1:
            item = Dataset()
            item.PatientID, item.IssuerOfPatientID, item.TypeOfPatientID = person.number, person.issuer, "TEXT"
            file.header.OtherPatientIDsSequence = [item]
    return _note_all([record], "two IDs of one person, linked", "Other Patient IDs names the former ID")


@oddity("twins", 0.8)
def _be_twins(maker: Maker) -> list[Record]:
    first = maker.person("KLINIKUM-NORD")
    second = replace(maker.person(first.issuer), birth=first.birth, sex=first.sex)
    first = replace(first, name="Köhler^Brigitte", charset="ISO_IR 100")
    second = replace(second, name="Köhler^Renate", charset="ISO_IR 100")
    visits = draw_visits(first.issuer, maker.random, count=2)
    later = [Visit(v.number, v.begin, {part: new_uid(maker.random) for part in v.studies}, v.device) for v in visits]
    records = [draw_record(first, visits, maker.random), draw_record(second, later, maker.random)]
    return _note_all(records, "twins", "two IDs and two given names")


@oddity("film under two patients", 1)
def _copy_to_other(maker: Maker) -> list[Record]:
    first, second = maker.person(), maker.person()
    records = [maker.record(person, count=2) for person in (first, second)]
    film = maker.random.choice(records[0].wanted_of(0))
    copy = _copy_for(film, second, maker)
    reason = "one picture under two patients"
    copy.ask("film under two patients", reason)
    film.ask("film under two patients", reason)
    records[1].files.append(copy)
    return records


def _copy_for(film: FileDraft, person: Person, maker: Maker) -> FileDraft:
    """Return a film as stored under another patient, in a study of its own."""
    header = deepcopy(film.header)
    header.PatientName, header.PatientID, header.IssuerOfPatientID = person.name, person.number, person.issuer
    header.PatientBirthDate, header.PatientSex = person.birth, person.sex
    header.SpecificCharacterSet = "ISO_IR 192"
    header.StudyInstanceUID, header.SeriesInstanceUID = new_uid(maker.random), new_uid(maker.random)
    header.SOPInstanceUID = new_uid(maker.random)
    return replace(film, header=header, outcome=Outcome.ASK)


@oddity("Study Instance UID of two patients", 0.4)
def _share_study(maker: Maker) -> list[Record]:
    records = [maker.record(count=2), maker.record(count=2)]
    uid = records[0].visits[0].studies["hand"]
    for file in records[1].images_of(0):
        if file.part == "hand":
            file.header.StudyInstanceUID = uid
    return _note_all(records, "Study Instance UID of two patients", "the patients' data differ")
