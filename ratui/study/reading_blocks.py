"""Blocks of cases that a rater reads one after the other, drawn at random for each rater when a block is opened.

The charter states how many cases a block has. Until a manager opens the next block, its cases are not in the rater's
worklist. A block is drawn when it is opened, so that no file contains the order of later cases. A hidden repeat is drawn
for a later block than its original.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.study.accounts import act_as_owner
from ratui.study.config import SPLIT_FORMAT
from ratui.study.repeats import load_repeats
from ratui.study.study import Study

__all__ = ["RaterBlocks", "list_blocks", "open_blocks"]


@dataclass(frozen=True)
class RaterBlocks:
    """The blocks of one rater.

    Attributes
    ----------
    rater
        Name of the rater.
    block
        Number of the last open block; 0 if none is open.
    cases, signed
        Number of cases in open blocks, and of those with a signed reading.
    left
        Number of the rater's cases that are in no block yet.
    """

    rater: str
    block: int
    cases: int
    signed: int
    left: int

    @property
    def is_done(self) -> bool:
        """True if the rater has signed all cases of the open blocks, and there are more."""
        return self.signed == self.cases and self.left > 0


def list_blocks(study: Study) -> tuple[RaterBlocks, ...]:
    """Return the blocks of each rater who has not left. Raises StudyError if this account does not manage the study."""
    study.check_manager("see its blocks")
    return tuple(_find_blocks(study)[0])


def open_blocks(study: Study, raters: tuple[str, ...] = ()) -> tuple[RaterBlocks, ...]:
    """Open the next block for each rater who has signed all cases of the open ones; return the blocks of all raters.

    With `raters`, open it for these raters only, also if they have not finished.

    Raises
    ------
    StudyError
        If the charter has no blocks, this account does not manage the study, or a rater is unknown or has left.
    """
    study.check_manager("open its blocks")
    study.check_unlocked()
    size = study.config.charter.block_cases
    if not size or study.config.stored_format < SPLIT_FORMAT:
        problem = "the charter has no blocks"
        raise StudyError(problem, study.path, "Set block_cases: ratui charter STUDY --set FILE --reason TEXT")
    for rater in raters:
        if rater not in study.config.active_raters:
            known = ", ".join(study.config.active_raters)
            problem = f"{clean_text(rater)} is not a rater of this study, or has left"
            raise StudyError(problem, study.path, f"Its raters are: {known}")
    found, waiting = _find_blocks(study)
    repeats = load_repeats(study)
    draw = random.SystemRandom()
    opened: dict[str, dict[str, int]] = {}
    for each in found:
        if each.rater in raters if raters else each.is_done:
            left = waiting[each.rater]
            # A repeat waits until its original is in an earlier block; at the end the rest is opened in any case.
            ready = [case for case in left if case not in repeats or repeats[case].original not in left] or left
            for case in draw.sample(ready, min(size, len(ready))):
                opened.setdefault(case, {})[each.rater] = each.block + 1
    for case, blocks in opened.items():
        with act_as_owner(study.folder, "films"):
            study.save_case(study.case(case), blocks=blocks)
    return tuple(_find_blocks(study)[0])


def _find_blocks(study: Study) -> tuple[list[RaterBlocks], Mapping[str, list[str]]]:
    """Return the blocks of each active rater, and the cases by rater that are in no block and were not begun."""
    blocks: dict[str, dict[str, int]] = {rater: {} for rater in study.config.active_raters}
    for case in study.cases():
        try:
            for rater, block in study.film_list(case).blocks.items():
                if rater in blocks:
                    blocks[rater][case] = block
        except RatuiError:
            continue  # the check reports it
    found, waiting = [], {}
    for rater, known in blocks.items():
        states = [state for state in study.states(rater) if state.stage != "unreadable"]
        is_open = [state for state in states if state.is_open]
        waiting[rater] = [state.case for state in states if not state.is_open]
        signed = sum(state.stage == "signed" for state in is_open)
        block = max(known.values(), default=0)
        found.append(RaterBlocks(rater, block, len(is_open), signed, len(waiting[rater])))
    return found, waiting
