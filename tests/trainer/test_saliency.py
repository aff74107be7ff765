"""Saliency maps: they show the place that a scorer depends on, and are flat for one that ignores the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.trainer.synthetic import make_pairs
from trainer.data.pairs import PairSamples
from trainer.evaluation.evaluate import Results
from trainer.evaluation.report import write_report
from trainer.evaluation.saliency import Saliency, compute_saliency, compute_square_side, explain_joints

SIDE = 72
LABELS = [[[[0, 1], [0, 0]]]] * 2


def spotted(x: int, y: int) -> PairSamples:
    """Return two joints whose crops are dark but for a bright spot of two pixels at (x, y), on both films."""
    pairs = make_pairs(LABELS, side=SIDE)
    crops = np.full((2, 2, SIDE, SIDE), 40, np.uint8)
    crops[:, :, y : y + 2, x : x + 2] = 240
    return replace(pairs, crops=crops)


def score_spot(sign: float = 1.0) -> object:
    """Return a scorer whose expected ERO grade rises with the brightest pixel, 1.5 for 255; with `sign` −1 it falls."""

    def score(pairs: PairSamples) -> list[npt.NDArray[np.float64]]:
        levels = np.array(pairs.crops).max(axis=(2, 3)) / 255
        chance = 0.5 * (levels if sign > 0 else 1 - levels)
        single = np.stack([1 - chance, 0 * chance, 0 * chance, chance], axis=2)  # grade 0 or 3
        other = np.zeros((len(levels), 3, 3))
        other[:, 0, 0] = 1
        return [single[:, 0, :, None] * single[:, 1, None, :], other]

    return score


def score_blindly(pairs: PairSamples) -> list[npt.NDArray[np.float64]]:
    """Return uniform probabilities."""
    return [np.full((len(pairs.crops), n, n), 1 / n**2) for n in (4, 3)]


class TestMaps:
    @pytest.mark.parametrize(("x", "y"), [(38, 8), (0, 0), (70, 34)])
    def test_the_place_that_the_scorer_depends_on_has_the_largest_effect(self, x: int, y: int) -> None:
        found = compute_saliency(score_spot(), spotted(x, y), 1, "ERO", "random")  # type: ignore[arg-type]
        assert (found.site, found.scale, found.crops.shape) == ("L.MCP2", "ERO", (2, SIDE, SIDE))
        assert found.grades == pytest.approx((1.5 * 240 / 255,) * 2)
        square = compute_square_side(SIDE)
        assert square == 12
        for film in (0, 1):
            effect = found.grade_maps[film]
            at = np.argwhere(effect == effect.max())
            assert (np.abs(at - (y, x)) < square).all()
            # A blurred spot is nearly as dark as its surroundings, and every square with this pixel contains the spot.
            assert 1.5 * (240 - 60) / 255 < effect[y, x] < 1.5 * (240 - 40) / 255
            rows, columns = np.nonzero(np.abs(effect) > 1e-9)
            assert (np.abs(rows - y) < 2 * square).all()
            assert (np.abs(columns - x) < 2 * square).all()
            assert np.allclose(found.change_maps[film], effect * (1 if film else -1))

    def test_a_place_that_lowers_the_grade_has_a_negative_effect(self) -> None:
        found = compute_saliency(score_spot(-1), spotted(20, 50), 0, "ERO", "random")  # type: ignore[arg-type]
        assert found.grade_maps.min() < -1
        assert found.grade_maps.max() == 0

    def test_a_scorer_that_ignores_the_picture_has_flat_maps(self) -> None:
        found = compute_saliency(score_blindly, make_pairs(LABELS, side=SIDE), 0, "JSN", "random")
        assert not found.grade_maps.any()
        assert not found.change_maps.any()
        assert found.grades == pytest.approx((1, 1))


class TestChoice:
    labels = np.zeros((12, 2, 2, 2), np.int64)

    def explain(self, count: int, seed: int = 0) -> list[tuple[int, str, str]]:
        """Return row, reason and scale of the chosen joints of a scorer that predicts no change."""
        labels = self.labels.copy()
        labels[2, :, 0] = 0, 3  # an error of 3 grades
        labels[5, :, 0] = 0, 2
        labels[7, :, 0] = 0, -1  # no score at the later time point
        pairs = make_pairs(labels, side=16)
        sure = [np.zeros((12, n, n)) for n in (4, 3)]
        for each in sure:
            each[:, 0, 0] = 1
        found = explain_joints(score_blindly, pairs, sure, count, "argmax", seed)
        return [(int(each.site.removeprefix("L.MCP")) - 1, each.reason, each.scale) for each in found]

    def test_half_have_the_largest_errors_and_half_are_random(self) -> None:
        found = self.explain(5)
        assert [each[1] for each in found] == ["large error"] * 3 + ["random"] * 2
        assert [each[0] for each in found[:2]] == [2, 5]
        assert len({each[0] for each in found}) == 5
        assert {each[2] for each in found} == {"ERO"}
        assert found == self.explain(5)
        assert any(found != self.explain(5, seed) for seed in range(1, 4))
        for seed in range(3):
            assert sorted(row for row, *_ in self.explain(12, seed)) == [row for row in range(12) if row != 7]

    def test_another_scale_takes_the_place_of_one_without_scores(self) -> None:
        pairs = make_pairs([[[[-1, -1], [0, 1]]]] * 2, side=16)
        found = explain_joints(score_blindly, pairs, score_blindly(pairs), 1, "argmax", 0)
        assert [each.scale for each in found] == ["JSN"]
        nothing = make_pairs([[[[-1, -1], [-1, -1]]]], side=16)
        assert explain_joints(score_blindly, nothing, score_blindly(nothing), 1, "argmax", 0) == ()


def test_the_report_shows_the_maps_and_what_they_are_no_proof_of(tmp_path: Path) -> None:
    maps: list[Saliency] = [
        compute_saliency(score_spot(), spotted(38, 8), row, "ERO", reason)  # type: ignore[arg-type]
        for row, reason in enumerate(("large error", "random"))
    ]
    results = replace(Results(("C0",), 0, 0, (), (), np.zeros(0), ""), saliency=tuple(maps))
    text = write_report(results, tmp_path)
    assert "](saliency.png)" in text
    assert (tmp_path / "saliency.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 1
    for words in (
        "1 joints with the largest errors and 1 drawn",
        "12 × 12",
        "no proof of a cause",
        "parts of the study",
    ):
        assert words in text
    facts = json.loads((tmp_path / "report.json").read_text())["saliency"]
    assert [each["reason"] for each in facts] == ["large error", "random"]
    assert facts[0].keys() == {"case", "site", "reason", "scale", "grades", "maps"}
    assert facts[0]["maps"].keys() == {"grade_earlier", "grade_later", "change_earlier", "change_later"}
    largest = facts[0]["maps"]["change_earlier"]
    assert largest["largest"] == pytest.approx(float(maps[0].change_maps[0].min()), abs=1e-4)
    assert np.abs(np.array(largest["at"]) * SIDE - (38.5, 8.5)).max() <= 12
    assert write_report(replace(results, saliency=()), tmp_path).count("saliency") == 0
