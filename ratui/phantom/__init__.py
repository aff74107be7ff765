"""Simulated films of a patient at two time points with known truth, and simulated raters. It never touches a study."""

from ratui.phantom.film import FilmSide, PhantomFilm, render
from ratui.phantom.hospital import SentFilm, send
from ratui.phantom.raters import RATERS, MixedRater, Rater, SimulatedRater, SimulatedReading, set_by_hand
from ratui.phantom.truth import PhantomPatient, simulate_patient

__all__ = [
    "RATERS",
    "FilmSide",
    "MixedRater",
    "PhantomFilm",
    "PhantomPatient",
    "Rater",
    "SentFilm",
    "SimulatedRater",
    "SimulatedReading",
    "render",
    "send",
    "set_by_hand",
    "simulate_patient",
]
