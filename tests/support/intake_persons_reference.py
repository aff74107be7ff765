"""A slow reference of the rules in ``docs/intake.md`` for persons: which films belong to one person.

It is written from the document: every film is compared with every other one, and no code of the import is used.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations

__all__ = [
    *("Known", "ReferenceFilm", "birth_digits", "complete_birth"),
    *("find_persons", "is_placeholder", "issuer_text", "reach"),
]

PLACEHOLDERS = {"anonymous", "unknown", "none", "patient", "test"}


@dataclass(frozen=True)
class ReferenceFilm:
    """A film as the document describes it; `side` and `view` are empty if they are not certain.

    A key object note has a `title`, and names images in `evidence` and `named`.
    """

    number: int
    patient: str = "P1"
    issuer: str = ""
    universal: str = ""
    name: str = ""
    birth: str = ""
    sex: str = ""
    age: str = ""
    study: str = ""
    acquired: str = ""
    clock: str = ""
    studied: str = ""
    content: str = ""
    event: str = ""
    others: tuple[tuple[str, str], ...] = ()
    side: str = "L"
    view: str = "hand"
    lateral: bool = False
    intent: str = ""
    derived: bool = False
    picture: str = ""
    uid: str = ""
    source: str = ""
    comment: str = ""
    series: str = ""
    title: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    named: tuple[str, ...] = ()
    overflows: bool = False


@dataclass(frozen=True)
class Known:
    """A person of an earlier import: dates of time points, whether the case is in the study, with the first visit only."""

    key: str
    patient: str
    issuer: str = ""
    birth: str = ""
    sex: str = ""
    dates: tuple[date, ...] = ()
    in_study: bool = False
    one_visit: bool = False


def is_placeholder(patient: str) -> bool:
    groups = re.findall(r"[^\W_]+", patient.lower())
    text = "".join(groups)
    if not text or set(text) == {"0"} or (len(set(text)) == 1 and len(text) >= 4):
        return True
    return text in PLACEHOLDERS or all(group in PLACEHOLDERS for group in groups)


def issuer_text(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def birth_digits(text: str) -> str:
    digits = "".join(c for c in text if c not in ".-/ ")
    if not digits.isdigit() or len(digits) not in (4, 6, 8) or int(digits[:4]) <= 1900:
        return ""
    if digits[4:6] == "00":
        return digits[:4]
    return digits[:6] if digits[6:] == "00" else digits


def name_words(film: ReferenceFilm) -> tuple[set[str], set[str]]:
    """Return all words and the given names. The drawn names are of one script and have no accents."""
    parts = film.name.lower().split("^")
    words = [set(part.split()) for part in parts[:3]]
    everything = set().union(*words)
    if film.name.lower() == film.patient.strip().lower() or everything <= PLACEHOLDERS:
        return set(), set()
    return everything, set().union(*words[1:])


def is_part(some: set[str], others: set[str]) -> bool:
    def matches(one: str, other: str) -> bool:
        return one == other or (len(one) == 1 and other[0] == one) or (len(other) == 1 and one[0] == other)

    return all(any(matches(one, other) for other in others) for one in some)


def names_contradict(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    (words1, given1), (words2, given2) = name_words(one), name_words(other)
    if not words1 or not words2 or is_part(words1, words2) or is_part(words2, words1):
        return False
    births = {birth_digits(one.birth), birth_digits(other.birth)}
    is_married = given1 and given2 and (is_part(given1, given2) or is_part(given2, given1))
    return not (is_married and len(births) == 1 and len(births.pop()) == 8)


def is_slip(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    """Return whether the birth dates differ by one slip, and sex and full name are equal."""
    births = complete_birth(one), complete_birth(other)
    dummies = ("0101", "0615", "0630", "0701", "1231")
    if not all(births) or any(birth.endswith(dummies) for birth in births):
        return False
    slips = {births[0][:place] + digit + births[0][place + 1 :] for place in range(8) for digit in "0123456789"}
    for place in range(7):
        slips.add(births[0][:place] + births[0][place + 1] + births[0][place] + births[0][place + 2 :])
    slips.add(births[0][:4] + births[0][6:] + births[0][4:6])
    words, given = name_words(one)
    is_full = bool(given) and words != given and (words, given) == name_words(other)
    return births[1] in slips and is_full and one.sex == other.sex and one.sex in ("F", "M")


def contradict(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    def differ(left: str, right: str) -> bool:
        return bool(left and right) and left != right

    if differ(issuer_text(one.issuer), issuer_text(other.issuer)):
        return True
    if differ(issuer_text(one.universal), issuer_text(other.universal)):
        return True
    births = birth_digits(one.birth), birth_digits(other.birth)
    if all(births) and not births[0].startswith(births[1]) and not births[1].startswith(births[0]):
        return not is_slip(one, other)
    if ages_differ(one, other):
        return True
    return {one.sex, other.sex} == {"M", "F"} or names_contradict(one, other)


def birth_days(film: ReferenceFilm) -> tuple[float, float] | None:
    """Return the first and the last possible day of birth as numbers, from the birth date, else from the age in years."""
    if complete_birth(film):
        day = read_day(complete_birth(film))
        return (day, day) if day else None
    day = next(filter(None, map(read_day, (film.studied, film.acquired, film.content))), None)
    if not film.age or day is None:
        return None
    years = int(film.age[:3])
    return (day - (years + 1) * 365.25, day - years * 365.25)


def read_day(text: str) -> int | None:
    try:
        return datetime.strptime(text, "%Y%m%d").toordinal() if len(text) == 8 else None
    except ValueError:
        return None


def ages_differ(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    spans = birth_days(one), birth_days(other)
    if spans[0] is None or spans[1] is None or (complete_birth(one) and complete_birth(other)):
        return False
    (first, last), (begin, end) = spans
    return begin - last > 367 or first - end > 367


def complete_birth(film: ReferenceFilm | Known) -> str:
    return birth_digits(film.birth) if len(birth_digits(film.birth)) == 8 else ""


def same_birth(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    return complete_birth(one) != "" and complete_birth(one) == complete_birth(other)


def is_one_person(one: ReferenceFilm, other: ReferenceFilm) -> bool:
    sexes = {one.sex, other.sex}
    named = name_words(one)[0] and name_words(other)[0]
    return bool(same_birth(one, other) and named and not names_contradict(one, other) and sexes != {"M", "F"})


def known_contradicts(known: Known, film: ReferenceFilm) -> bool:
    if known.issuer and issuer_text(film.issuer) and known.issuer != issuer_text(film.issuer):
        return True
    if known.birth and complete_birth(film) and known.birth != complete_birth(film):
        return True
    return {known.sex, film.sex} == {"M", "F"}


def find_persons(films: Sequence[ReferenceFilm], known: Sequence[Known]) -> dict[int, tuple[str, bool]]:
    """Return the person's key and whether it is doubtful, for each film."""
    found: dict[int, tuple[str, bool]] = {}
    for patient in {film.patient.strip() for film in films}:
        same_id = [film for film in films if film.patient.strip() == patient]
        if is_placeholder(patient):
            found.update({film.number: ("", True) for film in same_id})
        else:
            found |= persons_of_id(patient, same_id, [each for each in known if each.patient == patient])
    return join_ids(films, found, known)


def join_ids(
    films: Sequence[ReferenceFilm], found: dict[int, tuple[str, bool]], known: Sequence[Known]
) -> dict[int, tuple[str, bool]]:
    """Return the persons after several IDs of one person were joined; the section of that name."""
    members: dict[str, list[ReferenceFilm | Known]] = {}
    for film in films:
        key, is_doubtful = found[film.number]
        if key and not is_doubtful:
            members.setdefault(key, []).append(film)
    for each in known:
        members.setdefault(each.key, []).append(each)
    settled = {each.key for each in known}
    links: dict[str, set[str]] = {key: {key} for key in members}
    doubtful: set[str] = set()
    pairs = [
        (one, other)
        for one, other in combinations(sorted(members), 2)
        if not {each.patient.strip() for each in members[one]} & {each.patient.strip() for each in members[other]}
    ]
    for one, other in pairs:
        left, right = members[one], members[other]
        is_contradictory = any(differ_in_person(a, b) for a in left for b in right)
        zeros = {a.patient.strip().lstrip("0") for a in left} & {b.patient.strip().lstrip("0") for b in right}
        agree = any(agree_fully(a, b) for a in left for b in right)
        if {one, other} <= settled:
            continue
        is_zeros = bool(zeros) and not issuers_differ(left, right)
        links_found = [*names_other(left, right), *names_other(right, left)]
        is_named = bool(links_found)
        is_sure = all(links_found) or any(confirm(a, b) for a in left for b in right)
        if (is_zeros and (not agree or is_contradictory)) or (is_named and (is_contradictory or not is_sure)):
            doubtful |= {one, other}
        if (is_zeros and agree and not is_contradictory) or (is_named and not is_contradictory):
            links[one].add(other)
            links[other].add(one)
    groups = {key: reach(key, links) for key in members}
    joined: dict[str, str] = {}
    wrong: set[str] = set(doubtful)
    for key, group in groups.items():
        inside = [(a, b) for one, other in combinations(group, 2) for a in members[one] for b in members[other]]
        is_wrong = group & doubtful or any(differ_in_person(a, b) for a, b in inside) or len(group & settled) > 1
        if len(group) > 1 and is_wrong:
            wrong.add(key)
        else:
            joined[key] = min(group, key=lambda each: (each not in settled, "^^^" not in each, len(each), each))
    for one, other in pairs:
        if {one, other} <= settled or groups[one] == groups[other]:
            continue
        namesakes = [
            sum(any(are_namesakes(a, b) for a in members[x] for b in members[y]) for x, y in pairs if each in (x, y))
            for each in (one, other)
        ]
        if any(are_namesakes(a, b) for a in members[one] for b in members[other]) and max(namesakes) < 3:
            wrong |= groups[one] | groups[other]
    return {
        number: (key, is_doubtful) if is_doubtful or key in settled else (joined.get(key, key), key in wrong)
        for number, (key, is_doubtful) in found.items()
    }


def reach(key: str, links: dict[str, set[str]]) -> set[str]:
    group = {key}
    while more := set().union(*(links[each] for each in group)) - group:
        group |= more
    return group


def differ_in_person(one: ReferenceFilm | Known, other: ReferenceFilm | Known) -> bool:
    """Compare birth date, sex and name. Known persons state complete birth dates and no names here."""
    is_known = isinstance(one, Known) or isinstance(other, Known)
    births = [complete_birth(each) if is_known else birth_digits(each.birth) for each in (one, other)]
    if all(births) and not births[0].startswith(births[1]) and not births[1].startswith(births[0]):
        return is_known or not is_slip(one, other)  # type: ignore[arg-type]
    if {one.sex, other.sex} == {"M", "F"}:
        return True
    if isinstance(one, Known) or isinstance(other, Known):
        return False
    return ages_differ(one, other) or names_contradict(one, other)


def confirm(one: ReferenceFilm | Known, other: ReferenceFilm | Known) -> bool:
    """Return whether two films state one complete birth date, or names that agree."""
    if complete_birth(one) and complete_birth(one) == complete_birth(other):
        return True
    if isinstance(one, Known) or isinstance(other, Known):
        return False
    return bool(name_words(one)[0] and name_words(other)[0]) and not differ_in_person(one, other)


def agree_fully(one: ReferenceFilm | Known, other: ReferenceFilm | Known) -> bool:
    if isinstance(one, Known) or isinstance(other, Known):
        return False
    return is_one_person(one, other) and one.sex == other.sex != ""


def are_namesakes(one: ReferenceFilm | Known, other: ReferenceFilm | Known) -> bool:
    if isinstance(one, Known) or isinstance(other, Known):
        return False
    (words, _), (others, _) = name_words(one), name_words(other)
    is_same = bool(words and others) and (is_part(words, others) or is_part(others, words))
    return is_same and same_birth(one, other) and {one.sex, other.sex} != {"M", "F"}


def issuers_differ(some: Sequence[ReferenceFilm | Known], others: Sequence[ReferenceFilm | Known]) -> bool:
    for form in ("issuer", "universal"):
        left, right = ({issuer_text(getattr(each, form, "")) for each in films} - {""} for films in (some, others))
        if left and right and not left & right:
            return True
    return False


def names_other(some: Sequence[ReferenceFilm | Known], others: Sequence[ReferenceFilm | Known]) -> list[bool]:
    """Return, for each link of `some` to an ID of `others`, whether both state the issuer."""
    stated = {pair for film in some if isinstance(film, ReferenceFilm) for pair in film.others}
    issuers = {issuer_text(each.issuer) for each in others} - {""}
    ids = {each.patient.strip() for each in others}
    return [
        bool(issuer and issuers)
        for name, issuer in stated
        if name in ids and (not issuer or not issuers or issuer_text(issuer) in issuers)
    ]


def persons_of_id(patient: str, films: list[ReferenceFilm], known: list[Known]) -> dict[int, tuple[str, bool]]:
    def issuer_of(film: ReferenceFilm) -> str:
        if film.issuer:
            return issuer_text(film.issuer)
        beside = {
            issuer_text(each.issuer)
            for each in films
            if each.issuer and film.universal and issuer_text(each.universal) == issuer_text(film.universal)
        }
        return beside.pop() if len(beside) == 1 else issuer_text(film.universal)

    groups = {issuer: [film for film in films if issuer_of(film) == issuer] for issuer in {*map(issuer_of, films)}}
    doubtful: set[int] = set()
    loose = groups.pop("") if "" in groups and len(groups) > 1 else []
    for group in groups.values():  # rule 1
        if any(contradict(one, other) for one, other in combinations(group, 2)):
            doubtful |= {film.number for film in group}
    joining: dict[str, list[ReferenceFilm]] = {}
    for film in loose:  # rule 2
        free = [issuer for issuer, group in groups.items() if not any(contradict(film, each) for each in group)]
        is_only = len(groups) == 1 and bool(free)
        if is_only or (len(free) == 1 and any(same_birth(film, each) for each in groups[free[0]])):
            joining.setdefault(free[0], []).append(film)
        else:
            joining.setdefault("", []).append(film)
            doubtful.add(film.number)
    for group in (joining[issuer] for issuer in joining if issuer):
        doubtful |= {film.number for pair in combinations(group, 2) if contradict(*pair) for film in group}
    for one, other in combinations(sorted(groups), 2):  # rule 3
        if any(is_one_person(left, right) for left in groups[one] for right in groups[other]):
            doubtful |= {film.number for film in groups[one] + groups[other]}
    doubtful |= {  # rule 2
        film.number
        for issuer, film in [(issuer, film) for issuer in groups for film in joining.get(issuer, [])]
        if doubtful & {each.number for each in groups[issuer]}
        or (joining.get("") and not any(same_birth(film, each) for each in groups[issuer]))
    }
    for issuer, group in joining.items():
        groups[issuer] = groups.get(issuer, []) + group
    found = {}
    before = set(doubtful)
    for issuer, group in groups.items():  # rule 4
        certain = [film for film in group if film.number not in before]
        key, is_doubtful = find_known(issuer, certain, known, set(groups))
        key = key or (f"{patient}^^^{issuer}" if issuer else patient)
        for film in group:
            found[film.number] = (key, film.number in before or (is_doubtful and film in certain))
    return found


def find_known(issuer: str, films: list[ReferenceFilm], known: list[Known], issuers: set[str]) -> tuple[str, bool]:
    same = [person for person in known if issuer and person.issuer == issuer]
    unnamed = [person for person in known if not person.issuer]
    candidates = same or (unnamed if issuer else known)
    births = {complete_birth(film) for film in films} - {""}
    if not candidates:
        return "", False  # the drawn known persons have no names, by which a stranger could be recognised
    free = [person for person in candidates if not any(known_contradicts(person, film) for film in films)]
    rivals = [each for each in issuers if each and each != issuer and all(person.issuer != each for person in known)]
    if len(candidates) == 1 and (same or not rivals):
        return candidates[0].key, not free
    if len(free) == 1 and free[0].birth in births:
        return free[0].key, False
    return "", True
