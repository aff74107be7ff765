"""Settings of a sweep: the values of each setting from text, and their combinations or random draws."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from ratui.errors import TrainError, clean_text

__all__ = [
    "Convert",
    "Settings",
    "Variation",
    "describe_combination",
    "draw_combinations",
    "list_combinations",
    "name_combination",
    "parse_variations",
]

Settings: TypeAlias = dict[str, Any]
"""A combination: the value of each setting that varies, by the name of its option."""
Convert: TypeAlias = Callable[[str], Any]
"""Function that returns a value from text, as the training takes it. It raises ValueError for an impossible one."""
_LARGEST_SWEEP = 10_000
"""Largest number of combinations."""
_OPTION = "--vary"


@dataclass(frozen=True)
class Variation:
    """The values that a setting takes: those in `values`, or without any those from `low` to `high`."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0

    def draw(self, rng: np.random.Generator) -> Any:
        """Return a random value: one of the list, or one of the range.

        The logarithm of a range's values is distributed uniformly if `low` is above 0, otherwise the values are. Of two
        whole numbers, the values between them are whole, too; others have four digits.
        """
        share = float(rng.random())
        if self.values:
            return self.values[int(share * len(self.values))]
        if self.low > 0:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        value = round(value) if isinstance(self.low, int) else float(f"{value:.4g}")
        return min(max(value, self.low), self.high)


def parse_variations(texts: Sequence[str], converts: Mapping[str, Convert]) -> tuple[Variation, ...]:
    """Return variations from texts such as ``rate=0.001,0.003`` or ``rate=1e-4..1e-2``.

    Parameters
    ----------
    texts
        Names and values.
    converts
        For each setting that can vary, the function that reads a value.

    Raises
    ------
    TrainError
        If there is no text or no such setting, a value is not possible or occurs twice, a range is empty, or a setting
        occurs twice.
    """
    if not texts:
        raise TrainError("there is nothing to vary", _OPTION, "Give for example --vary rate=0.001,0.003")
    found: dict[str, Variation] = {}
    for text in texts:
        name, _, listed = text.partition("=")
        if name not in converts:
            known = ", ".join(converts)
            raise TrainError(f"there is no setting {clean_text(name)} to vary", _OPTION, f"Take from: {known}")
        if name in found:
            raise TrainError(f"{name} is given twice", _OPTION, "Give all its values in one list")
        try:
            found[name] = _parse(name, listed, converts[name])
        except ValueError as error:
            raise TrainError(
                f"{clean_text(text)}: {clean_text(error, 200)}", _OPTION, f"Give {name}=A,B,C or {name}=LOW..HIGH"
            ) from error
    return tuple(found.values())


def _parse(name: str, listed: str, convert: Convert) -> Variation:
    first, dots, last = listed.partition("..")
    if dots:
        low, high = convert(first), convert(last)
        if not isinstance(low, int | float):
            raise ValueError("it has no numbers, so it has no range")
        if not low < high:
            raise ValueError("the range is empty")
        return Variation(name, (), low, high)
    if not listed:
        raise ValueError("there are no values")
    values = tuple(convert(each) for each in listed.split(","))
    if len(set(values)) < len(values):
        raise ValueError("a value occurs twice")
    return Variation(name, values)


def list_combinations(variations: Sequence[Variation]) -> tuple[Settings, ...]:
    """Return all combinations of the listed values. Raises TrainError for a range, or too many combinations."""
    for each in variations:
        if not each.values:
            raise TrainError(f"{each.name} has a range, which needs random draws", _OPTION, "Give --draws, or a list")
    if math.prod(len(each.values) for each in variations) > _LARGEST_SWEEP:
        raise TrainError(f"there are more than {_LARGEST_SWEEP} combinations", _OPTION, "Give --draws")
    names = [each.name for each in variations]
    return tuple(dict(zip(names, values, strict=True)) for values in product(*(each.values for each in variations)))


def draw_combinations(variations: Sequence[Variation], count: int, seed: int) -> tuple[Settings, ...]:
    """Return `count` random combinations without repetition, or fewer if there are hardly more.

    The first ones are the same for every `count`. Raises TrainError for too many.
    """
    if count > _LARGEST_SWEEP:
        raise TrainError(f"{count} combinations are too many", "--draws", f"Give {_LARGEST_SWEEP} or fewer")
    found: dict[str, Settings] = {}
    for number in range(50 * count):  # lists may have fewer combinations than are wanted
        if len(found) == count:
            break
        rng = np.random.default_rng((seed, number))
        drawn = {each.name: each.draw(rng) for each in variations}
        found.setdefault(name_combination(drawn), drawn)
    return tuple(found.values())


def name_combination(settings: Settings) -> str:
    """Return a name for a combination that can be a folder's. It does not depend on the order of the settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def describe_combination(settings: Settings) -> str:
    """Return a combination in words: ``rate 0.001, width 16``."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())
