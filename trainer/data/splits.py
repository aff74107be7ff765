"""The split of cases into those to train on and those held out. It does not change when a study grows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ratui.errors import TrainError

__all__ = ["Split", "fold_of_case", "pick_validation_cases", "place_of_case", "split_cases", "split_fold"]


@dataclass(frozen=True)
class Split:
    """The cases to train on and the cases held out. No case is in both, and a case is one patient."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def place_of_case(case: str, seed: int) -> float:
    """Return the place of a case between 0 and 1. It depends on `case` and `seed` only, not on other cases."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{case}".encode()).digest()[:8]) / 2**64


def split_cases(cases: Sequence[str], *, seed: int = 0, held_out: float = 0.25) -> Split:
    """Split `cases` at random; about the share `held_out` is not trained on.

    A case is held out if its place is below `held_out`. So no case changes its side when others are added.
    The only exception keeps both sides filled: if no case is below, the one with the smallest place is held out, and if all
    are, the one with the largest place is trained on.

    Parameters
    ----------
    cases
        Names of the cases, in any order.
    seed
        Seed of the places.
    held_out
        Share to hold out, between 0 and 1.

    Raises
    ------
    TrainError
        For fewer than two cases, or a share that is not between 0 and 1.
    """
    if not 0 < held_out < 1:
        raise TrainError(f"{held_out} of the cases can't be held out", "--held-out", "Give a share such as 0.25")
    ranked = sorted(set(cases), key=lambda case: place_of_case(case, seed))
    if len(ranked) < 2:
        raise TrainError(
            f"{len(ranked)} read case{'s' * (len(ranked) != 1)} can't be split into training and test cases",
            "",
            "Sign the readings of at least two cases; fifty give a useful model",
        )
    below = sum(place_of_case(case, seed) < held_out for case in ranked)
    count = min(max(1, below), len(ranked) - 1)
    return Split(train=tuple(sorted(ranked[count:])), test=tuple(sorted(ranked[:count])))


def fold_of_case(case: str, seed: int, folds: int) -> int:
    """Return the fold of a case, from 0 to `folds` − 1. It depends on `case` and `seed` only, not on other cases."""
    return min(int(place_of_case(case, seed) * folds), folds - 1)


def split_fold(folds: Mapping[str, int], fold: int) -> Split:
    """Return the split that holds out the cases of one fold; `folds` gives the fold of each case."""
    return Split(
        tuple(sorted(case for case, place in folds.items() if place != fold)),
        tuple(sorted(case for case, place in folds.items() if place == fold)),
    )


def pick_validation_cases(
    cases: Sequence[str], *, seed: int = 0, share: float = 0.1, required: bool = False
) -> tuple[str, ...]:
    """Return the training cases that are kept for validation, about the share `share` of `cases`.

    They come from other random places than those of `split_cases`, so they are a random part of the training cases. No case
    enters or leaves them when others are added. The only exceptions keep a case to train on, and with `required` a case to
    validate with, if there are two cases.

    Parameters
    ----------
    cases
        Names of the training cases, in any order.
    seed
        Seed of the places.
    share
        Share to keep, from 0 to below 1; 0 for none.
    required
        Return the case with the smallest place if no case has a place below `share`.

    Raises
    ------
    TrainError
        For a share that is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise TrainError(
            f"{share} of the training cases can't be kept", "--validation", "Give a share such as 0.1, or 0"
        )
    if not share:
        return ()
    places = {case: place_of_case(f"validation/{case}", seed) for case in cases}
    ranked = sorted(places, key=lambda case: places[case])
    count = min(sum(place < share for place in places.values()), len(ranked) - 1)
    if required and not count and len(ranked) > 1:
        count = 1
    return tuple(sorted(ranked[: max(count, 0)]))
