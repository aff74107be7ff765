"""Immutable values of a scoring method: joints with their grades, findings, reasons and views.

The rules of entry are in `ratui.reading.options`; `ratui.scheme.parser` reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from ratui.errors import SchemeError, clean_text

__all__ = ["MAX_GRADES", "Finding", "Grade", "Joint", "Part", "Reason", "Scheme", "Side", "Site", "View"]

Side: TypeAlias = Literal["L", "R"]
"""Side of the body, of the patient."""
SIDES: tuple[Side, ...] = ("L", "R")
MAX_GRADES = 12
"""Number of grades that a scale may have. One key enters each: a digit for 0 to 9, a letter for 10 and for 11."""


@dataclass(frozen=True)
class Grade:
    """One grade of a scale, and its meaning in one line."""

    value: int
    meaning: str


@dataclass(frozen=True)
class Finding:
    """A special finding, which the rater enters instead of a score.

    Attributes
    ----------
    id
        Name in files.
    key
        The small letter that enters it.
    label
        Name on screens, in English.
    meaning
        Explanation in one line.
    heals
        False for findings that cannot disappear with time, such as ankylosis.
    sets
        Score by scale: a grade, or ``"max"`` for the largest grade of the joint. Scales that are not listed stay open.
    """

    id: str
    key: str
    label: str
    meaning: str
    heals: bool
    sets: Mapping[str, int | Literal["max"]] = field(hash=False)


@dataclass(frozen=True)
class Reason:
    """A reason why a field is not assessable.

    `id`, `key` and `label` are as in `Finding`. `whole_joint` is True if the reason applies to every scale of the joint
    at that time point.
    """

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

    Attributes
    ----------
    id
        Name in files, such as ``MCP2``.
    label
        Name on screens.
    aliases
        Other names that a user may type, such as ``MP2``.
    group
        Group in reading order, such as ``MCP`` or ``wrist``.
    part
        Id of the `Part`.
    grades
        Grades by scale, lowest first.
    mkloc
        Term of the joint in clinical-trial data (CDISC, variable MKLOC), or an empty text if there is none.
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
        """Scales of this joint, in the scheme's order."""
        return tuple(self.grades)

    def max_grade(self, scale: str) -> int:
        """Return the largest grade of `scale` at this joint. Raises KeyError if the joint is not scored on it."""
        return self.grades[scale][-1].value

    def finding_score(self, finding: Finding, scale: str) -> int | None:
        """Return the score that `finding` sets on `scale` at this joint, or None if it sets none."""
        score = finding.sets.get(scale)
        if score is None or scale not in self.grades:
            return None
        return self.max_grade(scale) if score == "max" else score

    def scales_fixed_by(self, finding: Finding) -> tuple[str, ...]:
        """Return the scales of this joint on which `finding` sets the score."""
        return tuple(scale for scale in self.scales if scale in finding.sets)


@dataclass(frozen=True)
class Site:
    """A joint with its side."""

    joint: Joint
    side: Side

    @cached_property
    def key(self) -> str:
        """Name in every file, such as ``L.MCP2``."""
        return f"{self.side}.{self.joint.id}"

    @property
    def part(self) -> str:
        """Id of the part of the body."""
        return self.joint.part


@dataclass(frozen=True)
class View:
    """A kind of film, with typical positions of its joints.

    `template` maps a joint's id to ``(x, y, size)`` for a left hand or foot, with the thumb or big toe on the right of the
    image: the centre in fractions of the film's width and height, and the side of the square box in fractions of the
    width.
    """

    id: str
    label: str
    part: str
    template: Mapping[str, tuple[float, float, float]] = field(hash=False)


@dataclass(frozen=True, repr=False)
class Scheme:
    """A scoring method.

    Attributes
    ----------
    name, title
        Short name (``mtss``) and full name.
    scales
        Scales in order (``ERO``, ``JSN``).
    parts, joints, findings, reasons
        Contents of the file, in its order. The order of `joints` is the reading order.
    off_film_reason
        The reason that applies to joints outside the image.
    views
        Views by id.
    toml_text
        The TOML text that the scheme was parsed from.
    """

    name: str
    title: str
    scales: tuple[str, ...]
    parts: tuple[Part, ...]
    joints: tuple[Joint, ...]
    findings: tuple[Finding, ...]
    reasons: tuple[Reason, ...]
    off_film_reason: Reason
    views: Mapping[str, View] = field(hash=False)
    toml_text: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return (
            f"Scheme({self.name}, {len(self.sites)} sites, {'/'.join(self.scales)}, maximum {self.max_total()} points)"
        )

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Every site in reading order: part by part, the left side first, joints in the file's order."""
        return tuple(
            Site(joint, side) for part in self.parts for side in SIDES for joint in self.joints if joint.part == part.id
        )

    @cached_property
    def _sites_by_key(self) -> dict[str, Site]:
        return {site.key: site for site in self.sites}

    def site(self, key: str) -> Site:
        """Return the site named `key` (``L.MCP2``). Raises SchemeError if there is none."""
        try:
            return self._sites_by_key[key]
        except KeyError:
            raise SchemeError(f"no site named {clean_text(key)}", f"scheme {self.name}") from None

    def finding(self, id: str) -> Finding:
        """Return the finding named `id`. Raises SchemeError if there is none."""
        for finding in self.findings:
            if finding.id == id:
                return finding
        raise SchemeError(f"no finding named {clean_text(id)}", f"scheme {self.name}")

    def reason(self, id: str) -> Reason:
        """Return the reason named `id`. Raises SchemeError if there is none."""
        for reason in self.reasons:
            if reason.id == id:
                return reason
        raise SchemeError(f"no reason named {clean_text(id)}", f"scheme {self.name}")

    def find_joints(self, text: str) -> tuple[Joint, ...]:
        """Return the joints whose id, label or alias is `text`, or else those with a name that begins with it.

        The case of letters is ignored.
        """
        wanted = text.casefold()
        names = {joint: [name.casefold() for name in (joint.id, joint.label, *joint.aliases)] for joint in self.joints}
        exact = tuple(joint for joint, known in names.items() if wanted in known)
        return exact or tuple(joint for joint, known in names.items() if any(n.startswith(wanted) for n in known))

    def max_total(self, scale: str | None = None) -> int:
        """Return the largest possible total of one time point, of `scale` or of all scales together.

        For the modified total Sharp score (van der Heijde) that is 280 for ERO, 168 for JSN and 448 together.
        """
        scales = self.scales if scale is None else (scale,)
        return sum(site.joint.max_grade(s) for site in self.sites for s in scales if s in site.joint.grades)
