"""Possible answers of a model, for tests of their display and use."""

from __future__ import annotations

import math

from ratui.study.model_results.predictions import Prediction


def answer(site: str, scale: str, earlier: float, later: float, top: int) -> Prediction:
    """Return an answer that expects `earlier` and `later` on a scale up to `top`, between two grades if not whole."""
    chances = (_chances(earlier, top), _chances(later, top))
    grades = (round(earlier), round(later))
    return Prediction(site, scale, grades, chances, grades[1] - grades[0], 0.5)


def _chances(expected: float, top: int) -> tuple[float, ...]:
    below = min(math.floor(expected), top - 1)
    share = expected - below
    return tuple(1 - share if grade == below else share if grade == below + 1 else 0.0 for grade in range(top + 1))
