"""Check every file of a study, and repair what can be proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratui.lazy_names import import_on_demand

if TYPE_CHECKING:
    from ratui.study.check.report import CheckFinding, CheckReport
    from ratui.study.check.study_check import check_study
else:
    __getattr__ = import_on_demand(
        __name__,
        {
            "report": "CheckFinding CheckReport",
            "study_check": "check_study",
        },
    )

__all__ = ["CheckFinding", "CheckReport", "check_study"]
