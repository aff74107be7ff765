"""Simulated patients with known truth, their films at one or more visits, and simulated raters. It never uses a study."""

from ratui.phantom.film import FilmPart, FilmSide, PhantomFilm, render
from ratui.phantom.hospital import WrittenFilm, write_patient_films
from ratui.phantom.raters import RATERS, MixedRater, Rater, SimulatedRater, SimulatedReading, perturb_box
from ratui.phantom.truth import PhantomPatient, simulate_patient

__all__ = [
    "RATERS",
    "FilmPart",
    "FilmSide",
    "MixedRater",
    "PhantomFilm",
    "PhantomPatient",
    "Rater",
    "SimulatedRater",
    "SimulatedReading",
    "WrittenFilm",
    "perturb_box",
    "render",
    "simulate_patient",
    "write_patient_films",
]
