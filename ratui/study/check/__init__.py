"""Check every file of a study, and repair what can be proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratui.lazy_names import import_on_demand

if TYPE_CHECKING:
    from ratui.study.check.report import CheckFault, CheckReport
    from ratui.study.check.study_check import check_study
else:
    __getattr__ = import_on_demand(
        __name__,
        {
            "report": "CheckFault CheckReport",
            "study_check": "check_study",
        },
    )

__all__ = ["CheckFault", "CheckReport", "check_study"]
