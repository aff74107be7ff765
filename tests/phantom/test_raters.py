"""Simulated raters err as their kind describes: shared or independent errors, bias, thresholds, drift, or slips."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ratui.phantom import RATERS, Rater, SimulatedRater
from tests.phantom.hands import patient

pytestmark = pytest.mark.slow

MIDDLE = (1, 2, 3, 4)  # grades that leave room for an error in both directions


def errors(
    rater: Rater, *, patients: int = 30, day_fraction: float | None = None, truths: tuple[int, ...] = MIDDLE
) -> npt.NDArray[np.float64]:
    """Return the errors of ERO at both time points, shape (joints, 2), where both true grades are in `truths`."""
    rng, seen = np.random.default_rng(2), []
    for seed in range(patients):
        sick = patient(seed, severity=2.0)
        given = rater.read(sick, rng, day_fraction=day_fraction).grades
        for site in sick.scheme.sites:
            keys = [(site.key, "ERO", time) for time in (0, 1)]
            if all(key in given and sick.grades[key] in truths for key in keys):
                seen.append([given[key] - sick.grades[key] for key in keys])
    return np.array(seen, float)


def correlation(rater: Rater) -> float:
    return float(np.corrcoef(errors(rater).T)[0, 1])


def test_raters_of_the_papers_kind_err_alike_at_both_time_points() -> None:
    assert correlation(RATERS["shared-shift"]) > 0.4
    assert abs(correlation(RATERS["independent"])) < 0.2


def test_shared_errors_cancel_in_the_change_and_others_add_up() -> None:
    for kind, cancels in (("shared-shift", True), ("independent", False)):
        wrong = errors(RATERS[kind])
        status, change = wrong.std(), (wrong[:, 1] - wrong[:, 0]).std()
        assert bool(change < status) is cancels


def test_a_biased_rater_reads_damage_too_high_but_rarely_clean_joints() -> None:
    assert errors(RATERS["threshold"]).mean() > 0.2
    assert errors(RATERS["threshold"], truths=(0,)).mean() < 0.1
    assert abs(errors(RATERS["independent"], truths=(2, 3)).mean()) < 0.08


def test_a_rater_with_own_thresholds_errs_by_the_grade() -> None:
    """Check a late threshold for the first grade and an early one for the second: a true 1 is read as 0 and as 2."""
    own = SimulatedRater(shift=0.0, noise=0.2, border_shifts=(0.4, -0.4, 0.4, -0.4, 0.4))
    plain = SimulatedRater(shift=0.0, noise=0.2)

    def wrong(rater: Rater, truth: int) -> float:
        return float(np.mean(errors(rater, truths=(truth,)) != 0))

    assert wrong(own, 1) > 0.35 > 0.1 > wrong(plain, 1)
    assert wrong(own, 2) < 0.02  # both of its thresholds have moved away
    assert wrong(own, 3) > 0.35


def test_own_thresholds_are_in_order_on_every_scale() -> None:
    wild = SimulatedRater(shift=0.0, noise=0.0, border_shifts=(2.0, -2.0))
    sick = patient(1, severity=2.0, scheme="mtss")
    given = wild.read(sick, np.random.default_rng(0)).grades
    by_truth: dict[tuple[str, int], set[int]] = {}
    for key, grade in given.items():
        site = sick.scheme.site(key[0])
        by_truth.setdefault((f"{key[1]}{site.joint.max_grade(key[1])}", sick.grades[key]), set()).add(grade)
        assert 0 <= grade <= site.joint.max_grade(key[1])
    assert all(len(grades) == 1 for grades in by_truth.values())
    for (scale, truth), grades in by_truth.items():
        assert all(grades <= later for (s, t), later in by_truth.items() if s == scale and t == truth + 1) or max(
            grades
        ) <= min(min(later) for (s, t), later in by_truth.items() if s == scale and t == truth + 1)


def test_a_tiring_rater_drifts_equally_at_both_time_points() -> None:
    drifting = RATERS["drifting"]
    morning, evening = errors(drifting, day_fraction=0.0), errors(drifting, day_fraction=1.0)
    assert evening.mean() - morning.mean() > 0.6
    assert abs((evening[:, 1] - evening[:, 0]).mean()) < 0.1
    assert (
        abs(
            errors(RATERS["independent"], day_fraction=1.0).mean()
            - errors(RATERS["independent"], day_fraction=0.0).mean()
        )
        < 0.15
    )


def test_a_rater_who_slips_is_now_and_then_wrong_by_anything() -> None:
    slipping = SimulatedRater(shift=0.0, noise=0.0, slip_rate=0.05)
    wrong = errors(slipping, patients=60, truths=(0, 1, 2, 3, 4, 5))
    assert 0.03 < np.mean(wrong != 0) < 0.07
    assert {abs(value) for value in wrong[wrong != 0].ravel()} >= {1, 2, 3, 4, 5}
    assert (
        np.mean(np.abs(errors(RATERS["independent"])) >= 3) < 0.005 < np.mean(np.abs(errors(RATERS["slipping"])) >= 3)
    )


def test_a_mixture_has_heavier_tails_than_any_one_kind() -> None:
    def large(kind: str) -> float:
        """Return the share of errors of two grades or more."""
        wrong = np.abs(errors(RATERS[kind], patients=60, truths=(2, 3)))
        return float(np.mean(wrong >= 2) / np.mean(wrong >= 1))

    assert large("mixture") > 1.5 * max(large("shared-shift"), large("independent"))


@pytest.mark.parametrize("kind", RATERS)
def test_a_reading_is_the_same_for_the_same_generator(kind: str) -> None:
    sick = patient(3, severity=2.0)
    first, second = (RATERS[kind].read(sick, np.random.default_rng(4)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", RATERS)
def test_every_kind_of_rater_is_useful(kind: str) -> None:
    """Check that most answers are near the truth, and that some are not exact."""
    wrong = np.abs(errors(RATERS[kind]))
    assert 0.05 < np.mean(wrong != 0) < 0.7
    assert np.mean(wrong > 1) < 0.12
