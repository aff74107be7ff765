"""Damage to one of the two copies of a stored file."""

from __future__ import annotations

import random
from pathlib import Path

from ratui.reading import Field, GradeEntry, enter
from ratui.study import Study
from ratui.study.check import check_study
from tests.films import make_study
from tests.support.attacks.table import Outcome, attack

TRIALS = 20
FIELD = Field("L.IP1", "ERO", 0)


@attack("one bit of a reading flipped, the second copy intact", by="accident")
def flip_one_bit(folder: Path) -> Outcome:
    """Flip a random bit of the main file; the entry must be readable, and the check must report the damage."""
    study = make_study(folder)
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:
        session.save(enter(session.reading, FIELD, GradeEntry(1)))
    path = study.reading_path("anna", case)
    intact = path.read_bytes()
    rng = random.Random(14)
    noticed = lost = 0
    for _ in range(TRIALS):
        at = rng.randrange(len(intact))
        path.write_bytes(intact[:at] + bytes([intact[at] ^ (1 << rng.randrange(8))]) + intact[at + 1 :])
        report = check_study(study.path)
        noticed += any(fault.file.endswith(path.name) and fault.remedy for fault in report.faults)
        reading = Study.open(study.path).reading("anna", case)
        lost += reading is None or reading.values.get(FIELD) != GradeEntry(1)
    return Outcome(TRIALS, noticed=noticed, lost=lost)
