"""Check every file of a study, and repair what can be proven."""

from ratui.study.check.checker import check_study
from ratui.study.check.report import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check_study"]
