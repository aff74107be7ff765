"""The bootstrap over patients, compared with plain loops and with its definition."""

import numpy as np
import pytest

from ratui.results.bootstrap import (
    Estimate,
    bootstrap_interval,
    bootstrap_mean,
    count_draws,
    draw_resamples,
    percentile_interval,
)


def test_draws_are_patients_with_replacement():
    draws = draw_resamples(7, np.random.default_rng(1), 400)
    assert draws.shape == (400, 7)
    assert set(np.unique(draws)) == set(range(7))
    assert any(len(set(row)) < 7 for row in draws.tolist())


def test_counts_are_the_multiplicities_of_the_draws():
    draws = draw_resamples(5, np.random.default_rng(2), 30)
    counts = count_draws(draws)
    assert counts.shape == (30, 5)
    for row, counted in zip(draws.tolist(), counts.tolist(), strict=True):
        assert counted == [row.count(patient) for patient in range(5)]


def test_a_mean_is_over_values_and_its_interval_over_patients():
    rng = np.random.default_rng(3)
    values = rng.normal(2.0, 1.0, 60)
    values[[4, 17]] = np.nan
    patients = [f"C-{n % 9}" for n in range(60)]
    found = bootstrap_mean(values, patients, np.random.default_rng(4), 500)
    assert found.value == pytest.approx(np.nanmean(values))
    # The same draws by a plain loop.
    names = sorted(set(patients))
    means = []
    for draw in np.random.default_rng(4).integers(0, 9, (500, 9)):
        drawn = np.concatenate([values[[p == names[which] for p in patients]] for which in draw])
        means.append(np.nanmean(drawn))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_copies_of_joints_do_not_narrow_the_interval():
    values, patients = np.random.default_rng(5).normal(0, 1, 12), np.arange(12)
    once = bootstrap_mean(values, patients, np.random.default_rng(6))
    many = bootstrap_mean(np.tile(values, 20), np.tile(patients, 20), np.random.default_rng(6))
    assert (many.low, many.high) == pytest.approx((once.low, once.high))


def test_undefined_resamples_are_left_out():
    assert percentile_interval(np.array([np.nan, 1.0, 1.0, np.nan])) == (1.0, 1.0)
    assert np.isnan(percentile_interval(np.array([np.nan, np.nan]))).all()
    # With two patients, one of them without a value, a quarter of the draws has no value.
    found = bootstrap_mean(np.array([3.0, np.nan]), ["a", "b"], np.random.default_rng(7))
    assert found == Estimate(3.0, 3.0, 3.0)
    assert np.isnan(bootstrap_mean(np.array([np.nan]), ["a"], np.random.default_rng(8)).value)


def test_any_statistic_has_an_interval():
    values = np.arange(50.0)
    low, high = bootstrap_interval(
        lambda draws: np.median(values[draws], axis=1), 50, np.random.default_rng(9), resamples=4000
    )
    assert low < np.median(values) < high
    # The median of 50 values lies, with about 95 %, between the order statistics 18 and 32.
    assert (low, high) == pytest.approx((17.5, 31.5), abs=1.5)
