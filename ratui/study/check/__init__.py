"""Looks at everything a study holds, says what is wrong, and mends what can be proven."""

from ratui.study.check.checker import check_study
from ratui.study.check.report import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check_study"]
