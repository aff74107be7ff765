"""Looks at everything a study holds, says what is wrong, and mends what can be proven."""

from ratui.study.check.checker import check_study
from ratui.study.check.report import Finding, Report

__all__ = ["Finding", "Report", "check_study"]
