"""Texts of the reading test: the parts, and what its results mean for the score."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ratui.study.campaign.display_tests import DisplayFacts, DisplayTest, PartResult
from ratui.tui.i18n.catalog import Catalog

__all__ = ["describe_test", "draw_interval", "format_part", "list_advice"]

_SMALL_EROSION, _LARGE_EROSION = 1.0, 2.0
"""Diameters in mm between which the erosions of ERO 1 are; see `ratui.terminal.display.MIN_PIXELS_PER_MM`."""
_AXIS = 48
"""Cells of the line of sizes."""
_SMALLEST = 4
"""Cells of the smallest size before the line, so that the lines of both parts begin at the same column."""
_QUARTER, _HALF = 0.25, 0.5
"""Lost shares of a joint space: well before, and at the border between JSN 2 and JSN 3."""


def describe_test(t: Catalog, test: DisplayTest) -> list[str]:
    """Return the results of `test` in plain words, one line for each statement, with what would help."""
    display = test.display
    lines = [
        t(
            "reading_test.display",
            protocol=display.protocol,
            columns=display.columns,
            rows=display.rows,
            width=display.cell[0],
            height=display.cell[1],
            greys=display.greys,
            pixels=f"{display.pixels_per_mm:.1f}",
        )
    ]
    for name in ("erosion", "narrowing"):
        part = test.part(name)
        if part is None:
            lines += ["", t(f"reading_test.no_{name}")]
        else:
            judgement = _describe_one_side(t, part) if part.is_one_sided else _judge(t, part)
            lines += ["", format_part(t, part), *([] if part.is_one_sided else [draw_interval(part)]), judgement]
    advice = list(list_advice(t, test))
    return lines + (["", t("reading_test.helps"), *(f"· {line}" for line in advice)] if advice else [])


def format_part(t: Catalog, part: PartResult) -> str:
    """Return the threshold of `part` with its interval; none if nearly all answers are for the same film."""
    name, values = part.part, _format_sizes(part)
    values |= {"correct": part.correct, "trials": len(part.trials)}
    if part.is_one_sided:
        return t(f"reading_test.{name}_one_sided", **values)
    if not part.is_reached:
        return t(f"reading_test.{name}_not_reached", **values)
    if part.is_below_smallest:
        return t(f"reading_test.{name}_below", **values)
    return t(f"reading_test.{name}_result", **values)


def draw_interval(part: PartResult) -> str:
    """Return the sizes of the test as a line in their logarithm, with the interval and the threshold on it."""
    whole = math.log(part.largest / part.smallest)

    def place(size: float) -> int:
        share = math.log(max(size, 1e-9) / part.smallest) / whole
        return round(min(max(share, 0.0), 1.0) * (_AXIS - 1))

    cells = ["─"] * _AXIS
    first, last = place(part.low), place(part.high)
    cells[first : last + 1] = "━" * (last - first + 1)
    # An arrow stands for a threshold beyond the sizes of the test.
    cells[place(part.threshold)] = "◀" if part.is_below_smallest else "●" if part.is_reached else "▶"
    unit = "mm" if part.part == "erosion" else "%"
    return (
        f"{_format_size(part, part.smallest):>{_SMALLEST}} ├{''.join(cells)}┤ {_format_size(part, part.largest)} {unit}"
    )


def _format_sizes(part: PartResult) -> dict[str, object]:
    """Return the sizes of `part` as texts: mm with one or two decimals, or percent."""
    keys = ("threshold", "low", "high", "smallest", "largest")
    texts: dict[str, object] = {key: _format_size(part, getattr(part, key)) for key in keys}
    if part.low < part.smallest:
        texts["low"] = f"< {texts['smallest']}"
    if part.high > part.largest:
        texts["high"] = f"> {texts['largest']}"
    if part.part == "erosion":
        return {**texts, "contrast": round(100 * (part.contrast or 0.0))}
    space = part.joint_space or 0.0
    return {**texts, "mm": f"{part.threshold * space:.2f}", "space": f"{space:.2f}"}


def _format_size(part: PartResult, size: float) -> str:
    """Return a diameter in mm with one decimal, below 1 mm with two, or a share in percent."""
    if part.part == "erosion":
        return f"{size:.{2 if size < 1 else 1}f}"
    return str(round(100 * min(size, 1.0)))


def _judge(t: Catalog, part: PartResult) -> str:
    """Return what the threshold means for the score."""
    good, some = (_SMALL_EROSION, _LARGE_EROSION) if part.part == "erosion" else (_QUARTER, _HALF)
    verdict = "good" if part.threshold <= good else "some" if part.threshold <= some else "poor"
    above, limit = {"good": (0.0, good), "some": (0.0, some), "poor": (some, float("inf"))}[verdict]
    text = t(f"reading_test.{part.part}_{verdict}")
    return text if above < part.low and part.high <= limit else f"{text} {t('reading_test.uncertain')}"


def _describe_one_side(t: Catalog, part: PartResult) -> str:
    """Return the sentence that nearly all answers of `part` are for the same film."""
    trials, left = len(part.trials), part.left
    side = "left" if left > trials / 2 else "right"
    return t(f"reading_test.one_sided_{side}", count=max(left, trials - left), trials=trials)


def list_advice(t: Catalog, test: DisplayTest) -> Iterator[str]:
    """Yield what would show smaller damage on this display; nothing if it shows what the score needs."""
    erosion, narrowing = (
        None if part is None or part.is_one_sided else part for part in map(test.part, ("erosion", "narrowing"))
    )
    needs_more = (erosion is not None and erosion.threshold > _SMALL_EROSION) or (
        narrowing is not None and narrowing.threshold > _QUARTER
    )
    if not needs_more:
        return
    display = test.display
    if display.protocol == "halfcell":
        yield t("reading_test.advice_graphics")
    if not display.is_sufficient:
        yield t("reading_test.advice_window")
    yield t("reading_test.advice_zoom")
    if _has_few_greys(display):
        yield t("reading_test.advice_greys", greys=display.greys)


def _has_few_greys(display: DisplayFacts) -> bool:
    return display.greys < 64
