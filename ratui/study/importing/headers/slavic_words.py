"""Polish words of descriptions, in the form of `film_words`."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SLAVIC_WORDS"]

SLAVIC_WORDS: Mapping[str, Mapping[str, str]] = {
    "Polish": {
        "hand": "reka, reki, dlon, dloni",
        "hands": "rece, rak, dlonie",
        "wrist": "nadgarstek, nadgarstka",
        "wrists": "nadgarstki, nadgarstkow",
        "foot": "stopa, stopy",
        "finger": "palec, palca, palce, palcow, kciuk, kciuka",
        "toe": "paluch, palucha",
        "metacarpus": "srodrecze, srodrecza",
        "ankle": "staw skokowy, stawu skokowego, skokowy, skokowego",
        "heel": "pieta, piety, pietowa, pietowej",
        "tarsus": "srodstopie, srodstopia",
        "forearm": "przedramie, przedramienia",
        "elbow": "lokiec, lokcia, lokciowy, lokciowego",
        "shoulder": "bark, barku, barkowy",
        "knee": "kolano, kolana, kolanowy, kolanowego",
        "hip": "biodro, biodra, biodrowy",
        "pelvis": "miednica, miednicy",
        "spine": "kregoslup, kregoslupa",
        "L": "lewa, lewy, lewe, lewej, lewego",
        "R": "prawa, prawy, prawe, prawej, prawego",
        "both": "obie, obu, oba, obustronnie, obydwu",
        "PA": "tylno przednia, tylno przednie",
        "AP": "przednio tylna, przednio tylne",
        "lateral": "boczne, boczna, boczny, bocznie, bok",
        "oblique": "skos, skosne, skosna, skosny, skosnie",
        "with": "z",
        "and": "i, oraz",
        "views": "projekcje, projekcji",
        "two": "dwie, dwoch, trzy",
    },
}
"""Words by language and by meaning, with commas between."""
