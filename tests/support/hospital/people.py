"""Invented persons with the identifiers that two hospitals gave them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

__all__ = ["ISSUERS", "Person", "draw_person", "plain_ascii"]

ISSUERS = ("KLINIKUM-NORD", "CHU-SUD")
"""Two hospitals whose patient IDs come from separate series of numbers."""

# Family name, given names of women and of men, and the character set of the whole name.
_NAMES = (
    ("Müller Schäfer Weiß Groß-Jäger Krüger Hofmann Vogel", "Jürgen Ursula Käthe Heinz Monika Dieter", "ISO_IR 100"),
    ("Lefèvre Girard Dupré Bénard D'Hondt Noël", "Françoise Hélène René André Marie-Thérèse", "ISO_IR 100"),
    ("Smith O'Brien Taylor Hughes Walker Thompson", "Margaret Janet Peter Alan Susan", ""),
    ("de_Vries van_den_Berg Jansen Bakker", "Annelies Pieter Joke Willem", ""),
    ("Núñez García_López Ibáñez Muñoz", "María_José Ángel Concepción Íñigo", "ISO_IR 100"),
    ("Åkesson Sjöberg Lindström Nyström", "Märta Göran Åsa Björn", "ISO_IR 100"),
    ("Nowak Wiśniewska Wójcik Łukasiewicz", "Małgorzata Stanisław Zofia Józef", "ISO_IR 101"),
    ("Иванова Петров Соколова", "Ольга Сергей Наталья", "ISO_IR 144"),
    ("Παπαδόπουλος Οικονόμου", "Γεώργιος Ελένη", "ISO_IR 126"),
)  # an underscore stands for a space within a name
# Alphabetic, ideographic and phonetic groups (PS3.5 section 6.2.1.1), as archives of Japan, China and Korea send them.
_GROUPED = (
    ("Yamada^Taro", "山田^太郎", "やまだ^たろう"),
    ("Suzuki^Hanako", "鈴木^花子", "すずき^はなこ"),
    ("Tanaka^Keiko", "田中^恵子", "たなか^けいこ"),
    ("Wang^Xiaodong", "王^小东", ""),
    ("Zhang^Li", "张^丽", ""),
    ("Hong^Gildong", "洪^吉洞", "홍^길동"),
)
_GROUPED_SHARE = 0.04


@dataclass(frozen=True)
class Person:
    """A person as registered in one hospital.

    Attributes
    ----------
    key
        Name of the person in the truth; it occurs in no file.
    number
        Patient ID.
    issuer
        Hospital that issued it.
    name
        Value of Patient's Name.
    birth, sex
        Values of Patient's Birth Date and Patient's Sex.
    charset
        Character set that covers the name; empty for ASCII.
    """

    key: str
    number: str
    issuer: str
    name: str
    birth: str
    sex: str
    charset: str

    @property
    def family(self) -> str:
        """Family name in letters."""
        return self.name.partition("=")[0].partition("^")[0]

    @property
    def given(self) -> str:
        """Given names in letters."""
        return self.name.partition("=")[0].partition("^")[2]

    def renamed(self, family: str) -> Person:
        """Return the person with another family name in letters, without other groups."""
        return replace(self, name=f"{family}^{self.given}")


def draw_person(key: str, number: str, issuer: str, random: Random) -> Person:
    """Draw a name, a birth date and a sex; one person in three is male, as in rheumatoid arthritis."""
    birth = date(1930, 1, 1) + timedelta(days=random.randrange(60 * 365))
    sex = "M" if random.random() < 0.33 else "F"
    if random.random() < _GROUPED_SHARE:
        name = "=".join(group for group in random.choice(_GROUPED) if group)
        charset = "ISO_IR 192"
    else:
        families, givens, charset = random.choice(_NAMES)
        # A second given name keeps two persons of one full name and birth date out, unless an oddity wants them.
        first, second = random.sample(givens.split(), 2)
        name = f"{random.choice(families.split())}^{first}^{second}".replace("_", " ")
    return Person(key, number, issuer, name, f"{birth:%Y%m%d}", sex, charset)


def plain_ascii(name: str, *, spell: bool = False) -> str:
    """Return a name as a console without accents sends it, in capitals without marks.

    If `spell` is true, German umlauts become two letters, as in passports.
    """
    spelled = name
    if spell:
        for letter, letters in {"ä": "ae", "ö": "oe", "ü": "ue"}.items():
            spelled = spelled.replace(letter, letters)
    spelled = spelled.replace("ß", "ss").replace("Ł", "L").replace("ł", "l")
    letters = unicodedata.normalize("NFKD", spelled)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).upper()
