"""Practice of the score on joints with known answers, and examinations whose truth only the managers have.

The package depends on no screen: `ratui.tui` shows a `PracticeStudy` as any other study, with the true answer after each
joint.
"""

from ratui.practice.examination import Examination, make_examination, open_examination
from ratui.practice.marking import ExamResult, Figures, mark_examination, measure_answers
from ratui.practice.practice_study import PracticeStudy, open_reference_practice, open_simulated_practice

__all__ = [
    "ExamResult",
    "Examination",
    "Figures",
    "PracticeStudy",
    "make_examination",
    "mark_examination",
    "measure_answers",
    "open_examination",
    "open_reference_practice",
    "open_simulated_practice",
]
