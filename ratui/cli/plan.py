"""``ratui import --dry-run``: print the plan of an import."""

from __future__ import annotations

from pathlib import Path

from ratui.results.text_table import format_count
from ratui.study import ImportPlan
from ratui.study.importing.import_report import fold_lines, save_file_list
from ratui.study.importing.planning.import_plan import Decision, PlanRow

__all__ = ["format_plan", "save_plan_list"]

_MOST_LINES = 60  # of films to take; more are folded to one line for each person


def format_plan(plan: ImportPlan) -> list[str]:
    """Return the lines that describe a plan: first the doubtful films, then the films to take, then all others.

    Files have the numbers of `save_plan_list`. No line names a file or a patient; persons are numbered.
    """
    numbered = list(enumerate(plan.rows, start=1))
    found = {decision: [(n, row) for n, row in numbered if row.decision is decision] for decision in Decision}
    reasons = {decision: [(n, row.reason) for n, row in rows] for decision, rows in found.items()}
    lines = fold_lines("doubtful ", reasons[Decision.DOUBTFUL])
    lines += _format_films(plan, found[Decision.TAKE])
    lines += fold_lines("leave out", reasons[Decision.LEAVE_OUT])
    lines += fold_lines("not read ", enumerate((item.reason for item in plan.skipped), start=len(numbered) + 1))
    persons = {row.person for row in plan.taken}
    counts = f"{format_count(len(plan.taken), 'film')} of {format_count(len(persons), 'person')} to take"
    counts += f", {len(found[Decision.DOUBTFUL])} doubtful, {len(found[Decision.LEAVE_OUT])} to leave out"
    return [*lines, counts]


def save_plan_list(plan: ImportPlan, key: Path) -> Path:
    """Write a CSV table of all files beside `key`, for the account alone, with the numbers of the plan's lines.

    What is not read follows the files. Return the path of the table. Raises StoreError.
    """
    outcomes = [
        *((row.path, _format_outcome(plan, row)) for row in plan.rows),
        *((item.origin, f"not read: {item.reason}") for item in plan.skipped),
    ]
    return save_file_list(key, "plan", outcomes)


def _format_outcome(plan: ImportPlan, row: PlanRow) -> str:
    if row.decision is not Decision.TAKE:
        return f"{row.decision.value}: {row.reason}"
    return f"take: person {row.person}, {plan.name_visit(row.time or 0)}, {row.side}, {row.view}"


def _format_films(plan: ImportPlan, films: list[tuple[int, PlanRow]]) -> list[str]:
    """Return one line for each film to take, or for each person if there are many."""
    films = sorted(films, key=lambda each: (each[1].person or 0, each[1].time or 0, each[1].view, each[1].side))
    if len(films) <= _MOST_LINES:
        return [
            f"  take      no. {number}: person {row.person}, {plan.name_visit(row.time or 0)}, {row.side}, {row.view}"
            f"{f' · {row.note}' if row.note else ''}"
            for number, row in films
        ]
    persons: dict[int, list[str]] = {}
    for _, row in films:
        persons.setdefault(row.person or 0, []).append(f"{plan.name_visit(row.time or 0)} {row.side} {row.view}")
    lines = [f"  take      person {person}: {', '.join(shown)}" for person, shown in persons.items()]
    return lines + fold_lines("note on  ", sorted((number, row.note) for number, row in films if row.note))
