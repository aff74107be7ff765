"""Looks at everything a study holds, says what is wrong, and mends what can be proven."""

from ratui.study.check.report import Finding, Report
from ratui.study.check.whole import check_study

__all__ = ["Finding", "Report", "check_study"]
