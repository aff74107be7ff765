"""Words of descriptions that state nothing about the projection of a film, in the form of `film_words`.

A description with a word that is neither known nor listed here may state a projection in words that ratui does not know.
docs/intake-words.md lists the same words.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HARMLESS_WORDS", "REJECTION_WORDS", "UNCLEAR_REJECTION_WORDS"]

HARMLESS_WORDS: Mapping[str, str] = {
    "technique": (
        "xr, cr, dx, dr, rx, rg, rtg, xray, x, ray, rays, radiograph, radiographs, radiography, radiographie, radiografia, "
        "rontgen, roentgen, film, films, image, images, picture, plain, digital, computed, direct, conventional, analog, "
        "detector, cassette, imaging, plate, table, bucky, grid, free, portable, mobile, processed, processing, "
        "cm, mm, kv, kvp, mas, rtg, zdjecie, zdjecia"
    ),
    "examination": (
        "series, serie, exam, examination, study, standard, std, routine, normal, default, general, generic, single, scan, "
        "test, sample, example, research, "
        "scanned, digitised, digitized, aufnahme, aufnahmen, aufn, ubersicht, uebersicht, untersuchung, cliche, cliches, "
        "bild, bilder, foto, opname, undersokning, undersogelse"
    ),
    "time": (
        "baseline, screening, visit, visite, week, month, months, year, years, day, follow, up, followup, fu, control, "
        "kontrolle, controle, control, verlauf, initial, first, second, new, old, previous, prior, pre, post, op, "
        "early, late, wk, wks, mo, mos, yr, yrs, comparison, compare, comp, vergleich, repeat, trial, end"
    ),
    "person": (
        "adult, adults, adulte, erwachsene, child, children, paediatric, pediatric, patient, rheuma, rheumatology, "
        "rheumatoid, rheumatologie, arthritis, polyarthritis, ra, psa, gout, "
        "trauma, pain, injury, schmerz, schmerzen, douleur, dolor, urgent, stat, emergency, clinic, hospital, rheum, age, "
        "osseux, ossea, osea, knochenalter, arthrosis, arthrose, osteoarthritis, oa, idade, edad"
    ),
    "part": (
        "extremity, extremities, extr, limb, limbs, upper, lower, bone, bones, bony, skeleton, skeletal, joint, joints, "
        "extremitat, extremitaten, obere, untere, knochen, side, site, body, part, "
        "exm, upperextremity, lowerextremity"
    ),
    "load": (
        "weight, bearing, weightbearing, standing, supine, sitting, stehend, belastet, belastung, charge, staand, wb, "
        "erect, seated"
    ),
    "grammar": (
        "a, an, the, of, for, to, in, on, at, no, nr, number, n, de, des, du, la, le, les, del, della, di, da, do, der, "
        "die, das, van, von, im, el, los, las, av, af"
    ),
    "Japanese": "レントゲン, 線, 単純, 撮影, 写真, 一般, 検査, 像, 骨, 関節, 部, の",
}
"""Harmless words by subject, with commas between."""

REJECTION_WORDS = (
    "rej, reject, rejected, rejects, rejection, rejet, rejete, rejetee, verworfen, ausschuss, fehlaufnahme, afgekeurd, "
    "rechazada, rechazado, scartata, scartato, rejeitada, kasserad, kasseret, kassert, discarded"
)
"""Words that mark an exposure that was rejected."""
UNCLEAR_REJECTION_WORDS = (
    "repeat, repeats, repeated, repetition, retake, retaken, redo, redone, replaces, replacement, instead, after, "
    "accepted, approved, not, no, non, none, never, or, wiederholung, wiederholt, wdh, ersatz, nach, statt, nicht, kein, "
    "keine, reprise, repete, repetee, apres, pas, repeticion, repetida, repetido, sin, ripetizione, ripetuta, ripetuto, "
    "dopo, herhaling, herhaald, niet, geen, na, repeticao, nao, apos, omtagning, omtagen, inte, ej, efter, ikke, "
    "gentagelse, etter"
)
"""Words beside which it is not clear that a word for rejected exposures marks this one."""
