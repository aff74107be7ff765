"""Words that radiographers of several countries write into descriptions of hand and foot films."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LANGUAGES", "Language"]


@dataclass(frozen=True)
class Language:
    """The words of one language.

    Attributes
    ----------
    name
        English name of the language.
    charset
        Value of Specific Character Set that covers the words.
    hand, foot, hands, feet
        The parts, singular and plural.
    left, right, both
        The sides, as abbreviated on a console.
    views
        Words for each projection: frontal of the hand (``PA``), frontal of the foot (``DP``), ``OBL`` and ``LAT``.
    study_hands, study_feet, study_both
        Descriptions of the whole examination.
    other
        Descriptions of films of other parts: chest, wrist, ankle, knee, finger, hindfoot.
    """

    name: str
    charset: str
    hand: str
    foot: str
    hands: str
    feet: str
    left: str
    right: str
    both: str
    views: dict[str, str]
    study_hands: str
    study_feet: str
    study_both: str
    other: dict[str, str]

    def part(self, part: str, *, plural: bool) -> str:
        """Return the word for `part`, ``hand`` or ``foot``."""
        if part == "hand":
            return self.hands if plural else self.hand
        return self.feet if plural else self.foot

    def side(self, side: str) -> str:
        """Return the word for ``L``, ``R`` or ``B``."""
        return {"L": self.left, "R": self.right, "B": self.both}[side]

    def view(self, part: str, view: str) -> str:
        """Return the words for a projection of `part`; ``FRONTAL`` is PA for hands and dorsoplantar for feet."""
        return self.views[("PA" if part == "hand" else "DP") if view == "FRONTAL" else view]

    def study(self, parts: set[str]) -> str:
        """Return the description of an examination of `parts`."""
        if len(parts) == 2:
            return self.study_both
        return self.study_hands if parts == {"hand"} else self.study_feet


LANGUAGES = {
    language.name: language
    for language in (
        Language(
            "English",
            "ISO_IR 100",
            "Hand",
            "Foot",
            "Hands",
            "Feet",
            "Left",
            "Right",
            "Both",
            {"PA": "PA", "DP": "AP", "OBL": "Oblique", "LAT": "Lateral"},
            "XR Hands",
            "XR Feet",
            "XR HANDS AND FEET",
            {
                "chest": "Chest PA",
                "wrist": "Wrist {side} PA",
                "ankle": "Ankle {side} AP",
                "knee": "Knee {side} AP",
                "finger": "Finger {side} 2nd PA",
                "hindfoot": "Calcaneus {side} Axial",
            },
        ),
        Language(
            "German",
            "ISO_IR 100",
            "Hand",
            "Fuß",
            "Hände",
            "Füße",
            "li",
            "re",
            "bds.",
            {"PA": "d.p.", "DP": "d.p.", "OBL": "schräg", "LAT": "seitl."},
            "Röntgen Hände",
            "Röntgen Vorfüße",
            "Röntgen Hände und Füße",
            {
                "chest": "Thorax p.a.",
                "wrist": "Handgelenk {side} d.p.",
                "ankle": "OSG {side} a.p.",
                "knee": "Knie {side} a.p.",
                "finger": "Finger D2 {side} d.p.",
                "hindfoot": "Fersenbein {side} axial",
            },
        ),
        Language(
            "French",
            "ISO_IR 100",
            "Main",
            "Pied",
            "Mains",
            "Pieds",
            "G",
            "D",
            "bilat.",
            {"PA": "face", "DP": "face", "OBL": "oblique", "LAT": "profil"},
            "RX MAINS",
            "RX PIEDS",
            "RX MAINS ET PIEDS",
            {
                "chest": "Thorax face",
                "wrist": "Poignet {side} face",
                "ankle": "Cheville {side} face",
                "knee": "Genou {side} face",
                "finger": "2e doigt {side} face",
                "hindfoot": "Calcanéum {side} axial",
            },
        ),
        Language(
            "Dutch",
            "ISO_IR 100",
            "Hand",
            "Voet",
            "Handen",
            "Voeten",
            "links",
            "rechts",
            "beide",
            {"PA": "PA", "DP": "AP", "OBL": "3/4", "LAT": "lateraal"},
            "X-Handen",
            "X-Voorvoeten",
            "X-Handen en voeten",
            {
                "chest": "Thorax PA",
                "wrist": "Pols {side} PA",
                "ankle": "Enkel {side} AP",
                "knee": "Knie {side} AP",
                "finger": "Vinger 2 {side} PA",
                "hindfoot": "Calcaneus {side} axiaal",
            },
        ),
        Language(
            "Spanish",
            "ISO_IR 100",
            "Mano",
            "Pie",
            "Manos",
            "Pies",
            "izq",
            "dcha",
            "ambas",
            {"PA": "PA", "DP": "AP", "OBL": "oblicua", "LAT": "lateral"},
            "RX manos",
            "RX pies",
            "RX manos y pies",
            {
                "chest": "Tórax PA",
                "wrist": "Muñeca {side} PA",
                "ankle": "Tobillo {side} AP",
                "knee": "Rodilla {side} AP",
                "finger": "2º dedo mano {side} PA",
                "hindfoot": "Calcáneo {side} axial",
            },
        ),
        Language(
            "Italian",
            "ISO_IR 100",
            "Mano",
            "Piede",
            "Mani",
            "Piedi",
            "sx",
            "dx",
            "bilat.",
            {"PA": "PA", "DP": "AP", "OBL": "obliqua", "LAT": "laterale"},
            "RX mani",
            "RX piedi",
            "RX mani e piedi",
            {
                "chest": "Torace PA",
                "wrist": "Polso {side} PA",
                "ankle": "Caviglia {side} AP",
                "knee": "Ginocchio {side} AP",
                "finger": "2° dito mano {side} PA",
                "hindfoot": "Calcagno {side} assiale",
            },
        ),
        Language(
            "Swedish",
            "ISO_IR 100",
            "Hand",
            "Fot",
            "Händer",
            "Fötter",
            "vä",
            "hö",
            "båda",
            {"PA": "frontal", "DP": "frontal", "OBL": "sned", "LAT": "sida"},
            "Händer",
            "Fötter",
            "Händer och fötter",
            {
                "chest": "Lungor PA",
                "wrist": "Handled {side} frontal",
                "ankle": "Fotled {side} frontal",
                "knee": "Knä {side} frontal",
                "finger": "Finger II {side} frontal",
                "hindfoot": "Calcaneus {side} axial",
            },
        ),
        Language(
            "Japanese",
            "ISO_IR 192",
            "手",
            "足",
            "両手",
            "両足",
            "左",
            "右",
            "両",
            {"PA": "正面", "DP": "正面", "OBL": "斜位", "LAT": "側面"},
            "手 X線",
            "足 X線",
            "手足 X線",
            {
                "chest": "胸部 PA",
                "wrist": "{side}手関節 正面",
                "ankle": "{side}足関節 正面",
                "knee": "{side}膝 正面",
                "finger": "{side}示指 正面",
                "hindfoot": "{side}踵骨 軸位",
            },
        ),
    )
}
