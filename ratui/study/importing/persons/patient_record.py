"""Read what a film states about its patient, and compare the statements of two films. Values only.

The rules are in ``docs/intake.md``: "Values" and "Contradictions" of persons. Dates and ages are in `headers.dates`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ratui.stored_values import as_text
from ratui.study.importing.headers.dates import (
    BirthSpan,
    are_spans_apart,
    births_contradict,
    compute_birth_span,
    extract_birth_digits,
    is_misspelled,
)
from ratui.study.importing.reader.film_header import FilmHeader

__all__ = [
    "Digest",
    "NameParts",
    "PatientRecord",
    "PersonName",
    "differ_by_slip",
    "digest_record",
    "find_contradiction",
    "find_first_contradiction",
    "have_same_birth_date",
    "is_one_person",
    "is_placeholder",
    "make_patient_record",
    "make_person_key",
    "merge_records",
    "names_contradict",
    "normalize_issuer",
    "normalize_sex",
    "parse_name",
    "remove_issuer",
]

Digest = Callable[[str], str]
_TEXTS = ("issuer", "universal", "birth_date", "sex")
_ELEMENTS = ("issuer", "birth date", "age", "sex", "name")
_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "W": "F", "WEIBLICH": "F"}
_NOBODY = (
    *("anonymous", "anonym", "anon", "anonymized", "anonymised", "anonymus", "anonyme", "anonymise", "anonimo"),
    *("anonymisiert", "anonimizado", "anonimizzato", "anonymisee", "deidentified", "unidentified", "pseudonym"),
    *("unknown", "unbekannt", "inconnu", "inconnue", "desconocido", "desconhecido", "sconosciuto", "onbekend", "none"),
    *("noname", "null", "patient", "test", "dummy", "removed", "deleted", "hidden", "masked", "redacted", "default"),
    *("emergency", "notfall", "urgence", "urgences", "urgencia", "trauma", "phantom", "xxx", "匿名", "匿名化", "不明"),
    *("氏名不明", "身元不明", "テスト"),
)
_NO_NAME = frozenset((*_NOBODY, "name"))
_NO_ID = frozenset(
    (
        *_NOBODY,
        "no",
        "id",
        "noid",
        "nil",
        "na",
        "nan",
        "patientid",
        "undefined",
        "unassigned",
        "tbd",
        "temp",
        "temporary",
    )
)
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})
_JOINED_SCRIPTS = ("CJK", "KATAKANA")
"""Scripts whose names are often written without a space between family name and given name."""


@dataclass(frozen=True)
class NameParts:
    """The words of a name in one script.

    Attributes
    ----------
    words
        All words, folded.
    given
        Words of the given names, a part of `words`. It is empty if the text does not separate them from the family name.
    """

    words: frozenset[str]
    given: frozenset[str]


@dataclass(frozen=True)
class PersonName:
    """The name of a patient; `scripts` maps each script, such as ``LATIN`` or ``CJK``, to the words in it."""

    scripts: Mapping[str, NameParts] = field(default_factory=dict, hash=False)

    def __hash__(self) -> int:
        return hash(frozenset(self.scripts.items()))

    def map_words(self, digest: Callable[[str], str]) -> PersonName:
        """Return the name with `digest` of each word. Initials are left out, because their digests match no full name."""
        scripts = {}
        for script, parts in self.scripts.items():
            long = [word for word in parts.words if not _is_initial(word, script)]
            given = frozenset(digest(word) for word in parts.given if word in long)
            scripts[script] = NameParts(frozenset(map(digest, long)), given)
        return PersonName(scripts)


@dataclass(frozen=True)
class PatientRecord:
    """The statements of one film about its patient. Empty values state nothing.

    Attributes
    ----------
    id
        Patient ID.
    issuer, universal
        Issuer of the ID, as a local name and as a universal entity.
    name
        The name.
    birth_date
        The known digits of ``YYYYMMDD``: 4, 6 or 8.
    sex
        ``M``, ``F`` or empty.
    other_ids
        Other patient IDs of the same person, as pairs of ID and issuer. They are not kept in the key file.
    born
        Days between which the patient was born by the age, if the birth date is not complete. Not kept in the key file.
    """

    id: str
    issuer: str = ""
    universal: str = ""
    name: PersonName = field(default_factory=PersonName)
    birth_date: str = ""
    sex: str = ""
    other_ids: frozenset[tuple[str, str]] = frozenset()
    born: BirthSpan | None = None

    def to_digests(self) -> dict[str, Any]:
        """Return a record of digests as stored in a key file."""
        names = {script: [sorted(parts.words), sorted(parts.given)] for script, parts in self.name.scripts.items()}
        texts = {name: getattr(self, name) for name in _TEXTS}
        return {"id": self.id, "names": names, **{name: text for name, text in texts.items() if text}}

    @classmethod
    def from_digests(cls, stored: Mapping[str, Any]) -> PatientRecord:
        """Return the record of digests in a key file. Raises ValueError, KeyError, TypeError or AttributeError."""
        names = {
            script: NameParts(frozenset(map(_as_digest, words)), frozenset(map(_as_digest, given)))
            for script, (words, given) in stored["names"].items()
        }
        issuer, universal, birth_date, sex = (_as_digest(stored[name]) if name in stored else "" for name in _TEXTS)
        return cls(as_text(stored["id"]), issuer, universal, PersonName(names), birth_date, sex)


def make_patient_record(header: FilmHeader) -> PatientRecord:
    """Return the statements of a header about the patient."""
    birth_date = extract_birth_digits(header.birth_date)
    return PatientRecord(
        _normalize_id(header.patient_id),
        normalize_issuer(header.issuer),
        normalize_issuer(header.issuer_qualifiers),
        parse_name(header.name, header.patient_id),
        birth_date,
        normalize_sex(header.sex),
        frozenset((_normalize_id(patient), normalize_issuer(issuer)) for patient, issuer in header.other_ids),
        compute_birth_span(header) if len(birth_date) < 8 else None,
    )


def digest_record(record: PatientRecord, digest: Digest) -> PatientRecord:
    """Return `record` with digests in place of all values but the ID. Incomplete birth dates are left out."""
    return PatientRecord(
        record.id,
        digest(record.issuer) if record.issuer else "",
        digest(record.universal) if record.universal else "",
        record.name.map_words(digest),
        digest(record.birth_date) if len(record.birth_date) == 8 else "",
        digest(record.sex) if record.sex else "",
    )


def merge_records(person: str, records: Iterable[PatientRecord]) -> PatientRecord:
    """Return one record with the fullest statements of `records`, which do not contradict each other.

    ID and issuer are those of the name of the person in the key file, if films with several IDs were joined.
    """
    records = sorted(records, key=lambda record: (str(record.name), record.issuer, record.universal))
    patient = person.partition("^^^")[0]
    own = [record for record in records if record.id == patient]
    return PatientRecord(
        patient if own else records[0].id,
        max(record.issuer for record in own or records),
        max(record.universal for record in own or records),
        max((record.name for record in records), key=lambda name: sum(len(p.words) for p in name.scripts.values())),
        min((record.birth_date for record in records), key=lambda birth: (-len(birth), birth)),
        max(record.sex for record in records),
    )


def make_person_key(patient: str, issuer: str) -> str:
    """Return the name of a person in the key file, in the notation of HL7: ID, then ``^^^``, then the issuer."""
    return f"{_normalize_id(patient)}^^^{normalize_issuer(issuer)}" if issuer else _normalize_id(patient)


def normalize_issuer(text: str) -> str:
    """Return an issuer in small letters with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalize_sex(text: str) -> str:
    """Return ``M`` or ``F``, or an empty text for all other values, such as ``O``, which state neither."""
    return _SEXES.get(text.strip().upper(), "")


def is_placeholder(patient: str) -> bool:
    """Return whether a patient ID is a placeholder that belongs to nobody, such as ``0`` or ``ANONYMOUS``."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", patient).casefold())
    text = unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", text))
    words = re.findall(r"[^\W_]+", text)
    bare = "".join(words)
    is_repeated = len(set(bare)) == 1 and (len(bare) > 3 or bare[0] == "0")
    return not bare or is_repeated or bare in _NO_ID or set(words) <= _NO_ID


def parse_name(text: str, patient_id: str = "") -> PersonName:
    """Return the name in a DICOM value of type PN. A placeholder such as ANONYMOUS, or the patient's ID, is no name."""
    words: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    if _fold(text) in (_fold(patient_id), ""):
        return PersonName()
    for group in text.split("=")[:3]:
        parts = group.split("^") if "^" in group else group.split(",")
        families, givens = _split_words(parts[0]), [word for part in parts[1:3] for word in _split_words(part)]
        if {*families, *givens} <= _NO_NAME:
            continue
        for script in {_find_script(word) for word in (*families, *givens)}:
            family = [word for word in families if _find_script(word) == script]
            first = [word for word in givens if _find_script(word) == script]
            if script in _JOINED_SCRIPTS:
                family, first = ["".join(family + first)], ["".join(first)] if first else []
            words.setdefault(script, set()).update(family, () if script in _JOINED_SCRIPTS else first)
            given.setdefault(script, set()).update(first)
    return PersonName({script: NameParts(frozenset(words[script]), frozenset(given[script])) for script in words})


def names_contradict(one: PersonName, other: PersonName, *, same_birth_date: bool) -> bool:
    """Return whether two names can't belong to one person.

    Names are compared in each script that both have. Order, case, accents, missing words and initials make no
    difference. With the same birth date, a different family name is accepted if the given names agree: a married name.
    """
    return any(
        _parts_contradict(parts, other.scripts[script], script, same_birth_date=same_birth_date)
        for script, parts in one.scripts.items()
        if script in other.scripts
    )


def are_names_equal(one: PersonName, other: PersonName) -> bool:
    """Return whether two names have the same words, family and given names, in a script that both have."""
    return any(
        parts == other.scripts.get(script) and bool(parts.given) and (parts.words != parts.given)
        for script, parts in one.scripts.items()
    )


def find_contradiction(one: PatientRecord, other: PatientRecord) -> str:
    """Return the element by which two films show different persons, or an empty text.

    The elements are issuer (if both name one in the same form), birth date, age, sex and name.
    """
    if _differ(one.issuer, other.issuer) or _differ(one.universal, other.universal):
        return "issuer"
    if births_contradict(one.birth_date, other.birth_date) and not differ_by_slip(one, other):
        return "birth date"
    if are_spans_apart(one.born, one.birth_date, other.born, other.birth_date):
        return "age"
    if _differ(one.sex, other.sex):
        return "sex"
    return "name" if names_contradict(one.name, other.name, same_birth_date=have_same_birth_date(one, other)) else ""


def find_first_contradiction(pairs: Iterable[tuple[PatientRecord, PatientRecord]]) -> str:
    """Return the first element of those of `find_contradiction` by which one of the pairs differs, or an empty text."""
    found = {find_contradiction(one, other) for one, other in pairs}
    return next((element for element in _ELEMENTS if element in found), "")


def differ_by_slip(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether the birth dates differ by one slip, and sex and name, which both state, agree; see `is_misspelled`."""
    all_else_agrees = bool(one.sex) and one.sex == other.sex and are_names_equal(one.name, other.name)
    return all_else_agrees and is_misspelled(one.birth_date, other.birth_date)


def is_one_person(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether two films state the same complete birth date and name, without a contradiction but in the issuer."""
    one, other = remove_issuer(one), remove_issuer(other)
    return (
        have_same_birth_date(one, other)
        and bool(one.name.scripts and other.name.scripts)
        and not find_contradiction(one, other)
    )


def have_same_birth_date(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether both state the same complete birth date. Digests are always of complete ones."""
    return len(one.birth_date) >= 8 and one.birth_date == other.birth_date


def remove_issuer(record: PatientRecord) -> PatientRecord:
    """Return `record` without the issuer of the ID."""
    return replace(record, issuer="", universal="")


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _parts_contradict(one: NameParts, other: NameParts, script: str, *, same_birth_date: bool) -> bool:
    if _is_part(one.words, other.words, script) or _is_part(other.words, one.words, script):
        return False
    agree = _is_part(one.given, other.given, script) or _is_part(other.given, one.given, script)
    return not (same_birth_date and one.given and other.given and agree)


def _is_part(few: frozenset[str], many: frozenset[str], script: str) -> bool:
    """Return whether each of `few` words is one of `many`, or its initial, or in a joined script its beginning."""
    return all(any(_matches(word, each, script) or _matches(each, word, script) for each in many) for word in few)


def _matches(short: str, long: str, script: str) -> bool:
    if short == long:
        return True
    return long.startswith(short) if script in _JOINED_SCRIPTS else _is_initial(short, script) and long[0] == short


def _is_initial(word: str, script: str) -> bool:
    return len(word) == 1 and script not in (*_JOINED_SCRIPTS, "HANGUL")


def _split_words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s\-.,_/・=^]+", _fold_case(text).replace("'", "").replace("’", "")) if word]


def _fold(text: str) -> str:
    return "".join(_split_words(text))


def _fold_case(text: str) -> str:
    """Return `text` in small letters, without accents, with one spelling of umlauts and one kana."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    text = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)  # Hiragana becomes Katakana
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f")
    return re.sub("([aou])e", r"\1", unicodedata.normalize("NFC", bare))


def _find_script(word: str) -> str:
    first = unicodedata.name(word[0], "OTHER").split()[0].split("-")[0]
    return "KATAKANA" if first == "HIRAGANA" else first


def _normalize_id(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _as_digest(value: object) -> str:
    text = as_text(value)
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ValueError("not a digest")
    return text
