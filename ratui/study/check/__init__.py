"""Check every file of a study, and repair what can be proven."""

from ratui.study.check.report import CheckFinding, CheckReport
from ratui.study.check.study_check import check_study

__all__ = ["CheckFinding", "CheckReport", "check_study"]
