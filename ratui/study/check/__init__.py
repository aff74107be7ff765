"""Check every file of a study, and repair what can be proven."""

from ratui.study.check.checker import check_study
from ratui.study.check.report import CheckFinding, CheckReport

__all__ = ["CheckFinding", "CheckReport", "check_study"]
