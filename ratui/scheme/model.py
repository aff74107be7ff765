"""What is scored, as frozen values: joints with their grades, findings, reasons, views.

It holds no rule about the order of entries (that is `ratui.reading`) and never
reads a file (that is `ratui.scheme.parser`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from ratui.errors import SchemeError, clean_text

__all__ = ["Finding", "Grade", "Joint", "Part", "Reason", "Scheme", "Side", "Site", "View"]

Side: TypeAlias = Literal["L", "R"]
SIDES: tuple[Side, ...] = ("L", "R")


@dataclass(frozen=True)
class Grade:
    """One grade of a scale and its meaning in one line, shown as help."""

    value: int
    meaning: str


@dataclass(frozen=True)
class Finding:
    """What a reader sees and names instead of a score.

    `sets` maps a scale to the score that follows: a grade, or ``"max"`` for the largest that the joint has. A scale
    that is not in `sets` stays open. `heals` is false for what can't be undone by time, such as ankylosis.
    """

    id: str
    key: str
    label: str
    meaning: str
    heals: bool
    sets: Mapping[str, int | Literal["max"]] = field(hash=False)


@dataclass(frozen=True)
class Reason:
    """Why a field has no score. `whole_joint` reasons hold for every scale of the joint at that time point."""

    id: str
    key: str
    label: str
    whole_joint: bool


@dataclass(frozen=True)
class Part:
    """A part of the body that one film shows: ``hand`` or ``foot``."""

    id: str
    label: str


@dataclass(frozen=True)
class Joint:
    """A place that the scheme scores, on either side.

    `grades` maps each of its scales to that scale's grades, lowest first. `mkloc` is the joint's name in clinical-trial
    data, where that is settled.
    """

    id: str
    label: str
    aliases: tuple[str, ...]
    group: str
    part: str
    grades: Mapping[str, tuple[Grade, ...]] = field(hash=False)
    mkloc: str = ""

    @property
    def scales(self) -> tuple[str, ...]:
        """The scales this joint is scored on, in the scheme's order."""
        return tuple(self.grades)

    def max_grade(self, scale: str) -> int:
        """The largest grade of `scale` at this joint. Raises KeyError for a scale that it lacks."""
        return self.grades[scale][-1].value

    def finding_score(self, finding: Finding, scale: str) -> int | None:
        """The score that `finding` sets on `scale` here; None where it leaves it open or the joint lacks it."""
        score = finding.sets.get(scale)
        if score is None or scale not in self.grades:
            return None
        return self.max_grade(scale) if score == "max" else score

    def scales_fixed_by(self, finding: Finding) -> tuple[str, ...]:
        """The scales of this joint whose score `finding` fixes."""
        return tuple(scale for scale in self.scales if scale in finding.sets)


@dataclass(frozen=True)
class Site:
    """A joint with its side; `key` (``L.MCP2``) is its name in every file."""

    joint: Joint
    side: Side

    @property
    def key(self) -> str:
        return f"{self.side}.{self.joint.id}"

    @property
    def part(self) -> str:
        return self.joint.part


@dataclass(frozen=True)
class View:
    """A kind of film and where its boxes start.

    `template` maps a joint's id to ``(x, y, size)``: centre in fractions of the film's width and height, side of the
    square box in fractions of its width, for a left hand or foot (thumb or big toe at the right).
    """

    id: str
    label: str
    part: str
    template: Mapping[str, tuple[float, float, float]] = field(hash=False)


@dataclass(frozen=True)
class Scheme:
    """A scoring method: everything that a reading of it needs to know. `source` is the TOML text it came from."""

    name: str
    title: str
    scales: tuple[str, ...]
    parts: tuple[Part, ...]
    joints: tuple[Joint, ...]
    findings: tuple[Finding, ...]
    reasons: tuple[Reason, ...]
    off_film_reason: Reason
    views: Mapping[str, View] = field(hash=False)
    toml_text: str = field(default="", repr=False, compare=False)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Every site in reading order: part by part, the left side first, joints as the file lists them."""
        return tuple(
            Site(joint, side) for part in self.parts for side in SIDES for joint in self.joints if joint.part == part.id
        )

    @cached_property
    def _by_key(self) -> dict[str, Site]:
        return {site.key: site for site in self.sites}

    def site(self, key: str) -> Site:
        """The site named `key` (``L.MCP2``). Raises SchemeError for a name that the scheme lacks."""
        try:
            return self._by_key[key]
        except KeyError:
            raise SchemeError(f"no site named {clean_text(key)}", f"scheme {self.name}") from None

    def finding(self, id: str) -> Finding:
        """The finding named `id`. Raises SchemeError for a name that the scheme lacks."""
        for finding in self.findings:
            if finding.id == id:
                return finding
        raise SchemeError(f"no finding named {clean_text(id)}", f"scheme {self.name}")

    def reason(self, id: str) -> Reason:
        """The reason named `id`. Raises SchemeError for a name that the scheme lacks."""
        for reason in self.reasons:
            if reason.id == id:
                return reason
        raise SchemeError(f"no reason named {clean_text(id)}", f"scheme {self.name}")

    def find_joints(self, text: str) -> tuple[Joint, ...]:
        """The joints that `text` names by id, label or alias; where it names none wholly, by its beginning."""
        wanted = text.casefold()
        names = {joint: [name.casefold() for name in (joint.id, joint.label, *joint.aliases)] for joint in self.joints}
        whole = tuple(joint for joint, known in names.items() if wanted in known)
        return whole or tuple(joint for joint, known in names.items() if any(n.startswith(wanted) for n in known))

    def max_total(self, scale: str | None = None) -> int:
        """The largest total of one time point: of `scale`, or of all scales together."""
        scales = self.scales if scale is None else (scale,)
        return sum(site.joint.max_grade(s) for site in self.sites for s in scales if s in site.joint.grades)
