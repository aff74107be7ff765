"""Simulated films of a patient at two time points with known truth, and simulated raters.

This package never opens a study.
"""

from ratui.phantom.film import FilmSide, PhantomFilm, render
from ratui.phantom.hospital import WrittenFilm, write_patient_films
from ratui.phantom.raters import RATERS, MixedRater, Rater, SimulatedRater, SimulatedReading, perturb_box
from ratui.phantom.truth import PhantomPatient, simulate_patient

__all__ = [
    "RATERS",
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
