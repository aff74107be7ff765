"""Studies with readings, for tests of results; readings are entered by the usual rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.study import Study
from tests.films import make_study
from tests.tui.readings import store_reading

Special = Mapping[Field, Entry]
NOTE = "Mrs Smith, ask Dr Jones"
"""An identifying note, as raters must not write."""


def read_study(
    tmp_path: Path,
    readings: Mapping[str, Special | None],
    *,
    patients: int = 1,
    blinded: bool = False,
    signed: bool = True,
) -> Study:
    """Create a study of `patients`; each rater in `readings` has the given entries in every case, and 0 in other fields.

    A rater whose readings are None has read nothing.
    """
    study = make_study(tmp_path, raters=tuple(readings), patients=patients, blinded=blinded)
    for case in study.cases():
        for rater, special in readings.items():
            if special is not None:
                store_reading(study, case, special, rater=rater, signed=signed)
    return study


def noisy_study(tmp_path: Path, raters: tuple[str, ...] = ("anna", "bert"), patients: int = 6, seed: int = 0) -> Study:
    """Create a study whose raters mostly agree: growing damage read with errors, findings and unreadable joints."""
    study = make_study(tmp_path, raters=raters, patients=patients)
    rng = np.random.default_rng(seed)
    for case in study.cases():
        severity = rng.uniform(0.1, 0.9)
        truth: dict[tuple[str, str], tuple[int, int]] = {}
        for site in study.case(case).sites(study.scheme):
            for scale in site.joint.scales:
                early = int(rng.binomial(site.joint.max_grade(scale) - 1, 0.4 * severity))
                truth[site.key, scale] = early, min(early + int(rng.binomial(2, 0.3 * severity)), early + 1)
        for rater in raters:
            special: dict[Field, Entry] = {}
            for (site_key, scale), grades in truth.items():
                for time, grade in enumerate(grades):
                    seen = int(np.clip(grade + rng.choice([-1, 0, 0, 0, 1]), 0, 4))
                    special[Field(site_key, scale, time)] = GradeEntry(seen)
            special[Field("L.IP1", "ERO", 1)] = NotAssessableEntry("unreadable")
            for scale in ("ERO", "JSN"):
                special.pop(Field("R.MCP5", scale, 1))
            special[Field("R.MCP5", "ERO", 1)] = FindingEntry("ankylosis")
            store_reading(study, case, special, rater=rater, signed=True, notes={"L.MCP2": NOTE})
    return study


__all__ = ["NOTE", "Special", "noisy_study", "read_study"]
