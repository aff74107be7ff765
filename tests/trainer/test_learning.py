"""The scorer learns: after a short training on clearly damaged joints it beats every trivial answer by far."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ratui.phantom import PhantomPatient, simulate_patient
from ratui.scheme import Scheme
from trainer.data import cohort as drawing
from trainer.data.cohort import Cohort, load_cohort
from trainer.experiments.arms import BASELINE, Budget, Cell
from trainer.experiments.cells import run_cell
from trainer.experiments.comparison_table import DEFAULT_ARM

pytestmark = pytest.mark.slow

BUDGET = Budget(steps=220, batch=32, pixels=40, width=8, rate=1e-2, raters=2)


def ruined(seed: int, number: int, scheme: Scheme) -> PhantomPatient:
    """Return a patient with severe erosion at every second joint, at once or later, so that little training is enough."""
    rng = np.random.default_rng([seed, number])
    healthy = simulate_patient(rng, scheme, severity=0.0, age=50.0)
    grades = dict(healthy.grades)
    for site in scheme.sites:
        later = int(rng.choice([0, 0, 3, 5]))
        earlier = int(rng.choice([0, 0, later]))
        for time, grade in ((0, earlier), (1, later)):
            for scale in site.joint.scales:
                top = site.joint.max_grade(scale)
                grades[site.key, scale, time] = round(grade * top / 5)
    return replace(healthy, grades=grades, findings={})


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cohort, Cohort]]:
    folder: Path = tmp_path_factory.mktemp("ruined")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "PATIENTS_PER_FILE", 8)
        patch.setattr(drawing, "FILM_SIZE", (500, 410))
        patch.setattr(drawing, "_simulate_patient", ruined)
        yield load_cohort(24, 11, folder, lambda *_: None), load_cohort(8, 77, folder, lambda *_: None)


@pytest.mark.parametrize("arm", [DEFAULT_ARM, BASELINE])
def test_it_beats_the_trivial_answers_on_patients_it_has_not_seen(people: tuple[Cohort, Cohort], arm: str) -> None:
    train, test = people
    measured = run_cell(Cell(arm, "shared-shift", 24, 1), train, test, BUDGET)["measured"]
    joints, no_change = sum(measured["joints"]), sum(measured["no change"])
    truth = test.true_grades[:, 0].astype(float)
    always_median = float(np.abs(truth - np.median(truth, axis=0)).mean())
    assert sum(measured["expectation"]["difference"]) < 0.65 * no_change
    assert sum(measured["expectation"]["status"]) / joints < 0.65 * always_median
    assert sum(measured["expectation"]["reversed"]) / joints < 0.03
