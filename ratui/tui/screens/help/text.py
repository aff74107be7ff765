"""The sections of the help: the keys of a screen, and the grades, findings and reasons of a scheme.

Pure functions. The keys come from the keymap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ratui.reading import GradeEntry
from ratui.scheme import Grade, Scheme
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap, format_key

__all__ = ["Section", "film_section", "key_section", "measurement_section", "mouse_section", "scheme_sections"]


@dataclass(frozen=True)
class Section:
    """A heading, and rows of a key and its meaning."""

    heading: str
    rows: tuple[tuple[str, str], ...]


def key_section(
    screen: str, keymap: Keymap, t: Catalog, is_possible: Callable[[str], bool] = lambda name: True
) -> Section:
    """Return the keys of `screen`. Actions with the same meaning share a row.

    `is_possible` is called with the name of each action. An action for which it returns False is left out.
    """
    rows: list[tuple[str, str]] = []
    for action in keymap.list_actions(screen):
        if not is_possible(action.name):
            continue
        key, meaning = format_key(action.key), action.help(t)
        if rows and rows[-1][1] == meaning:
            rows[-1] = (f"{rows[-1][0]} {key}", meaning)
        else:
            rows.append((key, meaning))
    return Section(t(f"help.title_{screen}"), tuple(rows))


def scheme_sections(scheme: Scheme, keymap: Keymap, t: Catalog) -> tuple[Section, ...]:
    """Return the grades of each scale, the findings and the reasons of `scheme`, with their keys."""
    return (*_grade_sections(scheme, keymap, t), _finding_section(scheme, t), _reason_section(scheme, keymap, t))


def mouse_section(t: Catalog) -> Section:
    """Return what the mouse does where scores are entered."""
    return Section(
        t("help.mouse"), tuple((t(f"help.{name}"), t(f"help.{name}_meaning")) for name in ("click", "wheel"))
    )


def film_section(screen: str, keymap: Keymap, t: Catalog) -> Section:
    """Return the meaning of the signs in the titles of turned films; `screen` is ``scoring`` or ``review``."""
    key = keymap.key_label(f"{screen}.upright")
    signs = ("clockwise", "anticlockwise")
    rows = [(t(f"scoring.{sign}_sign", degrees=30), t(f"help.{sign}_meaning", key=key)) for sign in signs]
    return Section(t("help.films"), (*rows, (t("scoring.unclear_sign"), t("help.unclear_meaning"))))


def measurement_section(t: Catalog) -> Section:
    """Return the meaning of the line with the measured joint space, and when it is shown."""
    units = ("mm", "px")
    return Section(t("help.joint_space"), tuple((unit, t(f"help.joint_space_{unit}")) for unit in units))


def _grade_sections(scheme: Scheme, keymap: Keymap, t: Catalog) -> list[Section]:
    """Return a section for each different table of grades; its heading names the parts if a scale has several tables."""
    tables: dict[tuple[str, tuple[Grade, ...]], list[str]] = {}
    for joint in scheme.joints:
        for scale, grades in joint.grades.items():
            parts = tables.setdefault((scale, grades), [])
            if joint.part not in parts:
                parts.append(joint.part)
    labels = {part.id: t.translate_scheme(part.label) for part in scheme.parts}
    sections = []
    for (scale, grades), parts in sorted(tables.items(), key=lambda item: scheme.scales.index(item[0][0])):
        ends = {"scale": scale, "from": grades[0].value, "to": grades[-1].value}
        if sum(other == scale for other, _ in tables) == 1:
            heading = t("help.grades_first", **ends)
        else:
            heading = t("help.grades_of_part", **ends, part=", ".join(labels[part] for part in parts))
        rows = tuple(
            (keymap.label_answer(scheme, GradeEntry(grade.value)), t.translate_scheme(grade.meaning))
            for grade in grades
        )
        sections.append(Section(heading, rows))
    return sections


def _finding_section(scheme: Scheme, t: Catalog) -> Section:
    rows = []
    for finding in scheme.findings:
        text = t("help.finding", label=t.translate_scheme(finding.label), meaning=t.translate_scheme(finding.meaning))
        rows.append((finding.key, text if finding.heals else f"{text} {t('help.irreversible')}"))
    return Section(t("help.findings"), tuple(rows))


def _reason_section(scheme: Scheme, keymap: Keymap, t: Catalog) -> Section:
    heading = t("help.reasons", key=keymap.key_label("scoring.reasons"))
    return Section(heading, tuple((reason.key, t.translate_scheme(reason.label)) for reason in scheme.reasons))
