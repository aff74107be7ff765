"""One file of a hospital: looked at, and made into a film without its patient; in a process of its own if asked."""

from ratui.study.importing.film_maker import InProcess, Intake, Made, Seen, Wish
from ratui.study.importing.reader_process import Isolated

__all__ = ["InProcess", "Intake", "Isolated", "Made", "Seen", "Wish"]
