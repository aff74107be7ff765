"""The trials of a reading test: their films, what the answers lead to, and the withdrawal of answers."""

from __future__ import annotations

import numpy as np
import pytest

from ratui.phantom.single_joint import JointErosion, compute_joint_space, render_joint, simulate_healthy_patient
from ratui.practice.reading_test import CONTRAST, PARTS, PartPlan, ReadingTest, make_trial
from ratui.scheme import Site, load_scheme

SCHEME = load_scheme("fingers")
SHORT = tuple(PartPlan(plan.part, plan.sizes, 3) for plan in PARTS)


def site_of(key: str) -> Site:
    return next(site for site in SCHEME.sites if site.key == key)


@pytest.mark.parametrize(("key", "is_distal"), [("L.MCP2", False), ("R.PIP4", False), ("L.PIP3", True)])
def test_an_erosion_has_its_size_and_place(key: str, is_distal: bool) -> None:
    patient, site = simulate_healthy_patient(3, SCHEME), site_of(key)
    erosion = JointErosion(3.0, CONTRAST, is_distal=is_distal)
    plain, eroded = (
        render_joint(patient, site, np.random.default_rng(1), erosion=each).pixels.astype(float)
        for each in (None, erosion)
    )
    lost = plain - eroded
    rows, columns = np.nonzero(lost > 0.4 * lost.max())
    # A part of the circle lies outside of the bone, and its outline is ragged.
    assert 0.5 * 7.07 < len(rows) * 0.01 < 1.1 * 7.07
    box = render_joint(patient, site, np.random.default_rng(1)).boxes[key]
    across, down = (columns.mean() - box.centre[0]) * 0.1, (rows.mean() - box.centre[1]) * 0.1
    assert 2.0 < np.hypot(across, down) < 12.0
    assert (down < 0) == is_distal


def test_films_of_a_joint_differ_by_noise_and_a_small_shift_only() -> None:
    patient, site = simulate_healthy_patient(3, SCHEME), site_of("L.MCP3")
    first, second = (render_joint(patient, site, np.random.default_rng(seed)) for seed in (1, 2))
    moved = np.subtract(first.boxes["L.MCP3"].centre, second.boxes["L.MCP3"].centre) * 0.1
    assert 0 < np.hypot(*moved) < 1.2
    assert np.corrcoef(first.pixels.ravel()[::7], second.pixels.ravel()[::7])[0, 1] > 0.9


@pytest.mark.parametrize("key", ["L.MCP2", "R.MCP4"])
def test_a_narrowed_space_has_lost_its_share(key: str) -> None:
    patient, site = simulate_healthy_patient(8, SCHEME), site_of(key)
    distances = []
    for narrowing in (0.0, 0.5):
        boxes = render_joint(patient, site, np.random.default_rng(1), narrowing=narrowing).boxes
        here, beyond = boxes[key].centre, boxes[key.replace("MCP", "PIP")].centre
        distances.append(float(np.hypot(*np.subtract(beyond, here))) * 0.1)
    # The centre of the joint is the middle of its space.
    assert distances[0] - distances[1] == pytest.approx(0.5 * compute_joint_space(patient, site) / 2, abs=0.02)


def test_other_joints_are_refused() -> None:
    with pytest.raises(ValueError, match="no MCP or PIP joint"):
        render_joint(simulate_healthy_patient(3, SCHEME), site_of("L.IP1"), np.random.default_rng(1))


def test_a_test_asks_each_part_and_returns_what_was_answered() -> None:
    test = ReadingTest(7, SHORT)
    while (trial := test.trial) is not None:
        assert test.trial is trial
        assert test.answer(trial.place, 1.2345)
    erosion, narrowing = test.list_results()
    assert (erosion.part, erosion.contrast, erosion.joint_space) == ("erosion", CONTRAST, None)
    assert (narrowing.part, narrowing.contrast) == ("narrowing", None)
    assert 0.8 < (narrowing.joint_space or 0.0) < 2.5
    assert [each.seconds for each in erosion.trials] == [1.234, 1.234, 1.234]
    assert erosion.correct == 3
    with pytest.raises(ValueError, match="finished"):
        test.answer(0, 1.0)


def test_the_seed_and_the_number_determine_a_trial() -> None:
    first, again = (make_trial(5, 3, "erosion", 1.0) for _ in range(2))
    assert first == again
    assert np.array_equal(first.render(0).pixels, again.render(0).pixels)
    assert make_trial(5, 4, "erosion", 1.0).seed != first.seed
    assert {make_trial(5, draw, "erosion", 1.0).place for draw in range(12)} == {0, 1}
    assert len({make_trial(5, draw, "erosion", 1.0).site for draw in range(12)}) > 4


def test_a_part_without_all_answers_has_no_result() -> None:
    test = ReadingTest(7, SHORT)
    for _ in range(4):
        assert test.trial is not None
        test.answer(0, 1.0)
    assert [part.part for part in test.list_results()] == ["erosion"]


def test_a_withdrawn_answer_counts_nowhere_and_another_trial_replaces_it() -> None:
    test, other = ReadingTest(7, SHORT), ReadingTest(7, SHORT)
    first = test.trial
    assert first is not None
    test.answer(1 - first.place, 1.0)
    test.withdraw([first.draw])
    assert test.count_answers("erosion") == 0
    assert test.trial is not None
    assert test.trial.draw == 1
    assert other.trial is not None
    assert test.trial.size == other.trial.size
