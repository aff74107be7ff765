"""A test of what a rater can see on a display: forced choices between two simulated joints.

Each trial shows two films of one simulated joint with independent noise. In the part ``erosion`` one of them has an
erosion of known diameter, in the part ``narrowing`` one of them has a joint space that is narrowed by a known share. The
observer chooses one of the two. The module depends on no screen. A seed and the answers determine every film.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, TypeAlias

import numpy as np

from ratui.phantom import PhantomFilm
from ratui.phantom.single_joint import JointErosion, compute_joint_space, render_joint, simulate_healthy_patient
from ratui.practice.psychometrics import AdaptiveThreshold
from ratui.scheme import Scheme, Site, load_scheme
from ratui.study.campaign.display_tests import PartResult, TrialResult

__all__ = ["CONTRAST", "PARTS", "PIXEL_SIZE", "PartName", "PartPlan", "ReadingTest", "Trial", "make_trial"]

PartName: TypeAlias = Literal["erosion", "narrowing"]
CONTRAST = 0.6
"""Share of the mineral that an erosion of the test removes: about the least of a distinct erosion in `ratui.phantom`."""
PIXEL_SIZE = 0.1
"""Size of a film pixel in mm. The films are sharper than most terminals, so that the display sets the limit."""
_PLACES = 2
_JOINTS = tuple(f"{kind}{finger}" for kind in ("MCP", "PIP") for finger in range(2, 6))


@dataclass(frozen=True)
class PartPlan:
    """One part of the test.

    Attributes
    ----------
    part
        Its name.
    sizes
        Possible sizes: diameters in mm, or lost shares of the joint space.
    trials
        Number of trials.
    """

    part: PartName
    sizes: tuple[float, ...]
    trials: int


PARTS = (
    PartPlan("erosion", tuple(np.geomspace(0.25, 6.0, 24).round(3).tolist()), 40),
    PartPlan("narrowing", tuple(np.geomspace(0.04, 0.8, 20).round(3).tolist()), 30),
)
"""The parts of the test in their order."""


@dataclass(frozen=True)
class Trial:
    """One choice between two films.

    Attributes
    ----------
    part
        Part of the test.
    draw
        Number of the trial among all that were drawn, from 0.
    size
        Diameter of the erosion in mm, or lost share of the joint space.
    site
        The joint.
    place
        Place of the film that has the erosion or the narrower space: 0 for the left one.
    seed
        Seed of anatomy and noise.
    """

    part: PartName
    draw: int
    size: float
    site: Site
    place: int
    seed: tuple[int, ...]

    @cached_property
    def _draws(self) -> tuple[int, bool, Literal[-1, 1], float]:
        """Seed of the anatomy, and of an erosion: whether it is on the distal bone, its side and its distance."""
        rng = np.random.default_rng([*self.seed, 1])
        return (
            int(rng.integers(2**31)),
            bool(rng.random() < 0.5),
            1 if rng.random() < 0.5 else -1,
            float(rng.uniform(0.3, 0.6)),
        )

    @property
    def joint_space(self) -> float:
        """Width in mm of the joint space that is not narrowed."""
        return compute_joint_space(simulate_healthy_patient(self._draws[0], _load_scheme()), self.site)

    @property
    def erosion(self) -> JointErosion | None:
        """The erosion on the film at `place`; None in the other part of the test."""
        if self.part != "erosion":
            return None
        _, is_distal, sign, along = self._draws
        return JointErosion(self.size, CONTRAST, is_distal, sign, along)

    def render(self, place: int) -> PhantomFilm:
        """Return the film at `place`, 0 for the left one."""
        if place != self.place:
            return self.render_with(place)
        return self.render_with(place, self.erosion, self.size if self.part == "narrowing" else 0.0)

    def render_with(self, place: int, erosion: JointErosion | None = None, narrowing: float = 0.0) -> PhantomFilm:
        """Return the film that would be at `place` with this erosion and this lost share of the joint space."""
        patient = simulate_healthy_patient(self._draws[0], _load_scheme())
        rng = np.random.default_rng([*self.seed, 2, place])
        return render_joint(patient, self.site, rng, erosion=erosion, narrowing=narrowing, pixel_size=PIXEL_SIZE)


class ReadingTest:
    """The trials of a test in their order, and the answers.

    Parameters
    ----------
    seed
        Seed of everything that is drawn.
    parts
        The parts of the test.
    """

    def __init__(self, seed: int, parts: Sequence[PartPlan] = PARTS) -> None:
        self.seed = seed
        self.parts = tuple(parts)
        self._methods = {plan.part: AdaptiveThreshold(plan.sizes) for plan in self.parts}
        self._answers: dict[PartName, list[TrialResult]] = {plan.part: [] for plan in self.parts}
        self._draws = 0
        self._trial: Trial | None = None

    @property
    def plan(self) -> PartPlan | None:
        """The part of the present trial; None after the last one."""
        return next((plan for plan in self.parts if len(self._answers[plan.part]) < plan.trials), None)

    def count_answers(self, part: PartName) -> int:
        """Return the number of answers in `part`."""
        return len(self._answers[part])

    @property
    def trial(self) -> Trial | None:
        """The present trial; None after the last one."""
        plan = self.plan
        if plan is None:
            return None
        if self._trial is None or self._trial.part != plan.part:
            self._trial = make_trial(self.seed, self._draws, plan.part, self._methods[plan.part].next_size())
            self._draws += 1
        return self._trial

    def answer(self, place: int, seconds: float) -> bool:
        """Record the answer to the present trial, and go on to the next one.

        Parameters
        ----------
        place
            The film that the observer has chosen: 0 for the left one.
        seconds
            Time from the display of the films to the answer.

        Returns
        -------
        bool
            True if the answer is correct.

        Raises
        ------
        ValueError
            If the test is finished.
        """
        trial = self.trial
        if trial is None:
            raise ValueError("the test is finished")
        result = TrialResult(trial.draw, trial.size, trial.site.key, trial.place, place, round(seconds, 3))
        self._methods[trial.part].add_answer(trial.size, is_correct=result.is_correct)
        self._answers[trial.part].append(result)
        self._trial = None
        return result.is_correct

    def withdraw(self, draws: Collection[int]) -> None:
        """Withdraw the answers to the trials with the numbers `draws`, which no person gave. New trials replace them."""
        for plan in self.parts:
            kept = [result for result in self._answers[plan.part] if result.draw not in draws]
            if len(kept) == len(self._answers[plan.part]):
                continue
            self._answers[plan.part] = kept
            self._methods[plan.part] = method = AdaptiveThreshold(plan.sizes)
            for result in kept:
                method.add_answer(result.size, is_correct=result.is_correct)

    def list_results(self) -> tuple[PartResult, ...]:
        """Return the results of the parts that are complete."""
        return tuple(self._make_result(plan) for plan in self.parts if self.count_answers(plan.part) >= plan.trials)

    def _make_result(self, plan: PartPlan) -> PartResult:
        answers, estimate = tuple(self._answers[plan.part]), self._methods[plan.part].estimate()
        is_erosion = plan.part == "erosion"
        trials = [make_trial(self.seed, each.draw, plan.part, each.size) for each in answers]
        return PartResult(
            plan.part,
            round(estimate.threshold, 4),
            round(estimate.low, 4),
            round(estimate.high, 4),
            plan.sizes[0],
            plan.sizes[-1],
            CONTRAST if is_erosion else None,
            None if is_erosion else round(float(np.mean([trial.joint_space for trial in trials])), 3),
            answers,
        )


def make_trial(seed: int, draw: int, part: PartName, size: float) -> Trial:
    """Return the trial number `draw` of the test with this seed, with a signal of `size`."""
    rng = np.random.default_rng([seed, draw, 0])
    sites = _list_sites()
    site, place = sites[int(rng.integers(len(sites)))], int(rng.integers(_PLACES))
    return Trial(part, draw, size, site, place, (seed, draw))


@cache
def _load_scheme() -> Scheme:
    """Return the shipped scheme of the finger joints, which is read once."""
    return load_scheme("fingers")


def _list_sites() -> list[Site]:
    return [site for site in _load_scheme().sites if site.joint.id in _JOINTS]
