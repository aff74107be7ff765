"""The measures of agreement, compared with published examples, other libraries and their definitions."""

import json
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from ratui.results.bootstrap import Estimate, count_draws, draw_resamples
from ratui.results.statistics import (
    bland_altman,
    contingency_tables,
    error_variance,
    icc_agreement,
    icc_consistency,
    icc_one_way,
    mean_weighted_kappa,
    quadratic_kappa,
    smallest_detectable_change,
)

Floats = npt.NDArray[np.float64]

# Six targets, four judges: the example of Shrout and Fleiss 1979, table 2.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
# Two of the three raters of R's data set `anxiety` (package irr), whose manual's example gives 0.297 with squared weights.
ANXIETY = (
    np.array([3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3], float),
    np.array([3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4], float),
)
# Husbands and wives, 91 couples (Hout and others 1987; Agresti, Categorical Data Analysis): R's vcd gives 0.332 with
# Fleiss–Cohen weights.
COUPLES = np.array([[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]], float)
# Peak expiratory flow by two meters, 17 persons, first readings: Bland and Altman 1986.
WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427], float)
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451], float)


def table_of(first: Floats, second: Floats, grades: int) -> Floats:
    return contingency_tables(first, second, np.zeros(len(first), int), 1, grades)[0]


class TestIntraclassCorrelation:
    def test_shrout_and_fleiss_1979(self) -> None:
        assert round(icc_agreement(SHROUT_FLEISS).value, 2) == 0.29
        assert round(icc_consistency(SHROUT_FLEISS).value, 2) == 0.71

    def test_its_intervals_equal_those_of_psych(self) -> None:
        agreement, consistency = icc_agreement(SHROUT_FLEISS), icc_consistency(SHROUT_FLEISS)
        assert (round(agreement.low, 3), round(agreement.high, 2)) == (0.019, 0.76)
        assert (round(consistency.low, 2), round(consistency.high, 2)) == (0.34, 0.95)

    def test_raters_who_read_different_targets(self) -> None:
        found = icc_one_way(SHROUT_FLEISS)
        assert (round(found.value, 2), round(found.low, 3), round(found.high, 2)) == (0.17, -0.133, 0.72)
        apart = np.full((6, 24), np.nan)
        for row in range(6):
            apart[row, 4 * row : 4 * row + 4] = SHROUT_FLEISS[row]
        assert icc_one_way(apart).value == pytest.approx(found.value)
        # The mean square within targets of Shrout and Fleiss is 6.26, with 18 degrees of freedom.
        assert error_variance(apart) == (pytest.approx(6.26, abs=0.005), 18)
        assert error_variance(SHROUT_FLEISS) == (pytest.approx(1.02, abs=0.005), 15)

    def test_a_constant_shift_counts_for_agreement_alone(self) -> None:
        rng = np.random.default_rng(1)
        one = rng.normal(20, 8, 60)
        ratings = np.stack([one, one + 5 + rng.normal(0, 1, 60)], axis=1)
        assert icc_consistency(ratings).value > 0.98
        assert icc_agreement(ratings).value < 0.9

    def test_the_interval_has_its_nominal_coverage(self) -> None:
        rng = np.random.default_rng(2)
        truth, covered = 1 / (1 + 0.5), 0
        for _ in range(400):
            ratings = rng.normal(0, 1, (25, 1)) + rng.normal(0, np.sqrt(0.5), (25, 3))
            found = icc_consistency(ratings)
            covered += found.low <= truth <= found.high
        assert 0.92 < covered / 400 < 0.98

    @pytest.mark.parametrize("figure", [icc_agreement, icc_consistency])
    def test_without_variance_there_is_no_value(self, figure: object) -> None:
        for ratings in (np.ones((5, 2)), np.zeros((1, 2)), np.zeros((4, 1))):
            assert np.isnan(figure(ratings).value)  # type: ignore[operator]

    @pytest.mark.parametrize("figure", [icc_agreement, icc_consistency, icc_one_way])
    def test_two_targets_have_no_value(self, figure: Callable[[Floats], Estimate]) -> None:
        """Two patients can have an ICC(2,1) far below -1, here -40."""
        assert np.isnan(figure(np.array([[10.0, 10.5], [10.5, 10.1]])).value)
        three = figure(np.array([[10.0, 12.0], [30.0, 31.0], [20.0, 20.0]]))
        assert three.low < three.value < three.high

    def test_an_interval_encloses_its_value(self) -> None:
        """Check small samples in which the raters differ more than the targets, where the limits are approximate."""
        for ratings in ([[2, 8], [0, 11], [1, 9], [1, 9]], [[0, 5], [0, 6], [1, 5], [2, 4]], [[1, 1], [0, 2], [2, 0]]):
            found = icc_agreement(np.array(ratings, dtype=float))
            assert found.value < 0
            assert np.isnan([found.low, found.high]).all()

    def test_identical_raters_agree_wholly(self) -> None:
        ratings = np.repeat(np.array([0.1, 3.7, 9.3, 27.9])[:, None], 2, axis=1)
        assert icc_agreement(ratings).value == pytest.approx(1)
        assert icc_consistency(ratings).value == pytest.approx(1)

    def test_against_pingouin(self) -> None:
        reason = "pingouin (GPL) is not installed: pip install 'ratui[crosscheck]'"
        pingouin = pytest.importorskip("pingouin", reason=reason)
        pandas = pytest.importorskip("pandas")
        rng = np.random.default_rng(3)
        for n, k in ((12, 2), (40, 3), (25, 5)):
            ratings = rng.gamma(2, 6, (n, 1)) + rng.normal(0, 3, (n, k)) + rng.normal(0, 2, (1, k))
            rows = [(i, j, ratings[i, j]) for i in range(n) for j in range(k)]
            data = pandas.DataFrame(rows, columns=["target", "rater", "value"])
            table = pingouin.intraclass_corr(data, targets="target", raters="rater", ratings="value")
            kinds = table["Type"].str.replace(r"[(),]", "", regex=True)
            table = table.set_index(kinds.replace({"ICCA1": "ICC2", "ICCC1": "ICC3"}))
            interval = next(name for name in table.columns if name.startswith("CI95"))
            for kind, ours in (("ICC2", icc_agreement(ratings)), ("ICC3", icc_consistency(ratings))):
                theirs = table.loc[kind]
                assert ours.value == pytest.approx(theirs["ICC"], abs=1e-6)
                assert [ours.low, ours.high] == pytest.approx(list(theirs[interval]), abs=0.0051)


class TestWeightedKappa:
    def test_the_example_of_irr(self) -> None:
        first, second = (grades - 1 for grades in ANXIETY)
        assert round(float(quadratic_kappa(table_of(first, second, 6))), 3) == 0.297

    def test_the_couples_of_agresti(self) -> None:
        assert round(float(quadratic_kappa(COUPLES)), 3) == 0.332

    def test_against_scikit_learn_and_statsmodels(self) -> None:
        sklearn = pytest.importorskip("sklearn.metrics")
        inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
        rng = np.random.default_rng(4)
        for grades in (2, 4, 5, 6, 11):
            first = rng.integers(0, grades, 200).astype(float)
            second = np.clip(first + rng.integers(-1, 2, 200), 0, grades - 1)
            table = table_of(first, second, grades)
            ours = float(quadratic_kappa(table))
            assert ours == pytest.approx(sklearn.cohen_kappa_score(first, second, weights="quadratic"))
            assert ours == pytest.approx(inter_rater.cohens_kappa(table, wt="quadratic").kappa)

    def test_what_has_no_grade_is_left_out(self) -> None:
        first, second = np.array([0, 1, np.nan, 3]), np.array([0, 1, 2, np.nan])
        assert table_of(first, second, 4).sum() == 2

    def test_where_all_is_zero_there_is_no_kappa(self) -> None:
        assert np.isnan(quadratic_kappa(table_of(np.zeros(9), np.zeros(9), 5)))

    def test_the_interval_is_over_patients(self) -> None:
        """Check that twenty equal joints of a patient count as one observation."""
        rng = np.random.default_rng(5)
        first = rng.integers(0, 5, 30).astype(float)
        second = np.clip(first + rng.integers(-2, 3, 30), 0, 4)
        single = contingency_tables(first, second, np.arange(30), 30, 5)[None]
        many = 20 * single
        draws = count_draws(draw_resamples(30, np.random.default_rng(6)))
        alone, repeated = (mean_weighted_kappa(each, draws) for each in (single, many))
        assert repeated.value == pytest.approx(alone.value)
        assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))
        assert alone.low < alone.value < alone.high

    def test_of_one_patient_there_is_no_interval(self) -> None:
        """Check that no interval of no width stands at a pair that shares one patient of several."""
        first, second = np.array([0.0, 1, 2, 3, 4, 4]), np.array([0.0, 1, 3, 3, 4, 3])
        draws = count_draws(draw_resamples(5, np.random.default_rng(8)))
        one = mean_weighted_kappa(contingency_tables(first, second, np.full(6, 2), 5, 5)[None], draws)
        two = mean_weighted_kappa(contingency_tables(first, second, np.array([2, 2, 2, 3, 3, 3]), 5, 5)[None], draws)
        assert one.value == two.value
        assert np.isnan([one.low, one.high]).all()
        assert two.low < two.high

    def test_of_several_raters_it_is_the_mean_of_the_pairs(self) -> None:
        rng = np.random.default_rng(7)
        grades = rng.integers(0, 5, (3, 40)).astype(float)
        tables = np.stack([contingency_tables(a, b, np.arange(40), 40, 5) for a, b in pairwise(grades)])
        each = [float(quadratic_kappa(pair.sum(axis=0))) for pair in tables]
        assert mean_weighted_kappa(tables).value == pytest.approx(np.mean(each))


class TestBlandAltman:
    def test_the_flow_meters_of_1986(self) -> None:
        found = bland_altman(WRIGHT, MINI)
        assert found.n == 17
        assert round(found.bias.value, 1) == -2.1
        assert round(found.deviation, 1) == 38.8
        # The paper takes two deviations and rounds before it adds: −79.7 and 75.5.
        assert found.bias.value - 2 * found.deviation == pytest.approx(-79.7, abs=0.1)
        assert found.bias.value + 2 * found.deviation == pytest.approx(75.5, abs=0.1)
        assert (round(found.bias.low, 1), round(found.bias.high, 1)) == (-22.0, 17.8)

    def test_the_intervals_of_the_limits_have_their_nominal_coverage(self) -> None:
        rng = np.random.default_rng(8)
        covered = 0
        for _ in range(500):
            found = bland_altman(rng.normal(1.0, 2.0, 15), np.zeros(15))
            covered += found.upper.low <= 1.0 + 1.959964 * 2.0 <= found.upper.high
        assert 0.925 < covered / 500 < 0.975

    def test_one_patient_has_no_limits(self) -> None:
        found = bland_altman(np.array([1.0]), np.array([2.0]))
        assert (found.n, np.isnan(found.bias.value), np.isnan(found.upper.high)) == (1, True, True)

    def test_many_patients_leave_narrow_intervals(self) -> None:
        rng = np.random.default_rng(9)
        found = bland_altman(rng.normal(0, 1, 3000), np.zeros(3000))
        assert found.upper.high - found.upper.low < 0.15
        assert found.upper.low < found.upper.value < found.upper.high


class TestSmallestDetectableChange:
    def test_for_two_readers_it_equals_the_formula(self) -> None:
        rng = np.random.default_rng(10)
        changes = rng.normal(3, 4, (30, 1)) + rng.normal(0, 2, (30, 2))
        deviation = np.std(changes[:, 0] - changes[:, 1], ddof=1)
        assert smallest_detectable_change(changes, 2).value == pytest.approx(
            1.96 * deviation / np.sqrt(2 * 2), rel=1e-4
        )
        assert smallest_detectable_change(changes, 1).value == pytest.approx(1.96 * deviation / np.sqrt(2), rel=1e-4)

    def test_for_more_readers_it_uses_the_error_variance_only(self) -> None:
        rng = np.random.default_rng(11)
        changes = rng.normal(3, 9, (4000, 1)) + rng.normal(0, 2, (4000, 4)) + np.array([0.0, 1.0, 5.0, -3.0])
        assert smallest_detectable_change(changes, 4).value == pytest.approx(1.96 * 2 / np.sqrt(4), rel=0.02)

    def test_its_interval_has_its_nominal_coverage(self) -> None:
        rng = np.random.default_rng(12)
        covered = 0
        for _ in range(400):
            found = smallest_detectable_change(rng.normal(0, 3, (20, 1)) + rng.normal(0, 2, (20, 2)), 2)
            covered += found.low <= 1.959964 * 2 / np.sqrt(2) <= found.high
        assert 0.92 < covered / 400 < 0.98


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
class TestAgainstR:
    def r(self, script: str, package: str) -> list[float]:
        head = f'if (!requireNamespace("{package}", quietly=TRUE)) quit(status=3)\n'
        done = subprocess.run(["Rscript", "-e", head + script], capture_output=True, text=True)
        if done.returncode == 3:
            pytest.skip(f"R's package {package} is not installed")
        assert done.returncode == 0, done.stderr
        values: list[float] = json.loads(done.stdout)
        return values

    def matrix(self, ratings: Floats) -> str:
        return f"matrix(c({','.join(map(repr, ratings.T.ravel().tolist()))}), ncol={ratings.shape[1]})"

    def test_psych(self) -> None:
        rng = np.random.default_rng(13)
        ratings = rng.gamma(2, 6, (20, 1)) + rng.normal(0, 3, (20, 3))
        script = (
            f"r <- psych::ICC({self.matrix(ratings)}, lmer=FALSE)$results[2:3,]\n"
            'cat("[", paste(c(r$ICC, r$`lower bound`, r$`upper bound`), collapse=","), "]")'
        )
        two, three = icc_agreement(ratings), icc_consistency(ratings)
        ours = [two.value, three.value, two.low, three.low, two.high, three.high]
        assert self.r(script, "psych") == pytest.approx(ours, abs=1e-5)

    def test_irr(self) -> None:
        script = (
            f"r <- irr::icc({self.matrix(SHROUT_FLEISS)}, 'twoway', 'agreement')\n"
            f"k <- irr::kappa2({self.matrix(np.stack(ANXIETY, axis=1))}, 'squared')\n"
            'cat("[", paste(c(r$value, r$lbound, r$ubound, k$value), collapse=","), "]")'
        )
        found = icc_agreement(SHROUT_FLEISS)
        kappa = float(quadratic_kappa(table_of(ANXIETY[0] - 1, ANXIETY[1] - 1, 6)))
        assert self.r(script, "irr") == pytest.approx([found.value, found.low, found.high, kappa], abs=1e-5)
