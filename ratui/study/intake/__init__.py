"""One file of a hospital: looked at, and made into a film without its patient; in a process of its own if asked."""

from ratui.study.intake.isolated import Isolated
from ratui.study.intake.one import InProcess, Intake, Made, Seen, Wish

__all__ = ["InProcess", "Intake", "Isolated", "Made", "Seen", "Wish"]
