"""The decisions of a person on the plan of an import, in their order, with undo and a draft on the disk.

The rules are those of `ImportPlan`: a decision that it refuses raises its error and changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import DamagedError, RatuiError, StudyError
from ratui.files import make_folder, write_bytes
from ratui.study.importing.planning.import_plan import Decision, ImportPlan, PlanRow

__all__ = ["PlanReview", "ReviewStep", "find_draft_path", "read_draft"]

StepKind = Literal["enter", "take", "leave out", "choose", "dates"]
_FORMAT = 1
_LARGEST = 20_000_000  # bytes


@dataclass(frozen=True)
class ReviewStep:
    """One decision of a person.

    Attributes
    ----------
    kind
        ``enter`` for values of a film, ``take``, ``leave out``, ``choose`` for a film in place of those that compete with
        it, and ``dates`` for the dates to read of its patient.
    path
        The film's file.
    content
        Digest of the film's picture, by which a later start notices that the file has changed.
    time, side, view
        Values that were entered, or None.
    dates
        The dates to read of the patient, or empty.
    """

    kind: StepKind
    path: Path
    content: str = ""
    time: int | None = None
    side: str | None = None
    view: str | None = None
    dates: tuple[date, ...] = ()


class PlanReview:
    """A plan and the decisions of a person on it.

    Parameters
    ----------
    plan
        The plan before any decision.
    draft
        File to which the decisions are written after each one, for the account alone; None for no file.

    Attributes
    ----------
    plan
        The plan with all decisions.
    steps
        The decisions in their order.
    """

    def __init__(self, plan: ImportPlan, draft: Path | None = None) -> None:
        self.plan = plan
        self.steps: tuple[ReviewStep, ...] = ()
        self._draft = draft
        self._entered: dict[Path, ReviewStep] = {}
        self._before: list[tuple[ImportPlan, dict[Path, ReviewStep]]] = []
        self._saved: tuple[ReviewStep, ...] = ()

    @property
    def has_unsaved(self) -> bool:
        """True if there are decisions that no manifest contains."""
        return self.steps != self._saved

    def row(self, path: Path) -> PlanRow:
        """Return the row of a file with the values that were entered for it. Raises KeyError if the plan has none."""
        row, entered = self.plan.row(path), self._entered.get(path)
        if entered is None:
            return row
        return replace(
            row,
            time=row.time if entered.time is None else entered.time,
            side=entered.side or row.side,
            view=entered.view or row.view,
        )

    def enter(self, path: Path, *, time: int | None = None, side: str | None = None, view: str | None = None) -> None:
        """Enter values of a film. A film that is taken changes at once, another one when it is taken.

        Raises StudyError if the plan refuses the values, or the draft can't be written.
        """
        self._do(ReviewStep("enter", path, "", time, side, view))

    def take(self, path: Path) -> None:
        """Take a film, with the values entered for it. Raises StudyError if the plan refuses it."""
        self._do(ReviewStep("take", path))

    def leave_out(self, path: Path) -> None:
        """Leave a film out."""
        self._do(ReviewStep("leave out", path))

    def choose(self, path: Path) -> None:
        """Take a film, and leave out the films that compete with it. Raises StudyError if the plan refuses it."""
        self._do(ReviewStep("choose", path))

    def choose_dates(self, path: Path, *dates: date) -> None:
        """Choose the dates of the film's patient, at least two. Raises StudyError if the plan refuses them."""
        self._do(ReviewStep("dates", path, dates=dates))

    def undo(self) -> Path | None:
        """Take the last decision back, and return its file, or None if there is no decision."""
        if not self.steps:
            return None
        step = self.steps[-1]
        self.steps = self.steps[:-1]
        self.plan, self._entered = self._before.pop()
        self._write_draft()
        return step.path

    def save_manifest(self, path: Path) -> None:
        """Write the decisions as a manifest, see `ImportPlan.save_manifest`. Raises StudyError."""
        self.plan.save_manifest(path)
        self._saved = self.steps

    def restore(self, steps: Iterable[ReviewStep]) -> int:
        """Repeat the decisions of a draft, and return the number of those that no longer apply."""
        lost = 0
        for step in steps:
            try:
                if self.plan.row(step.path).content != step.content:
                    raise KeyError(step.path)
                self._apply(step)
            except (KeyError, StudyError):
                lost += 1
        self._write_draft()
        return lost

    def remove_draft(self) -> None:
        """Remove the draft from the disk."""
        if self._draft is not None:
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)

    def _do(self, step: ReviewStep) -> None:
        self._apply(replace(step, content=self.plan.row(step.path).content))
        self._write_draft()

    def _apply(self, step: ReviewStep) -> None:
        """Add a decision. Raises StudyError, and changes nothing, if the plan refuses it."""
        plan, entered = self.plan, dict(self._entered)
        row = plan.row(step.path)
        if step.kind == "enter" and row.decision is not Decision.TAKE:
            old = entered.get(step.path, ReviewStep("enter", step.path))
            entered[step.path] = replace(
                old,
                time=old.time if step.time is None else step.time,
                side=step.side or old.side,
                view=step.view or old.view,
            )
        elif step.kind == "enter":
            plan = plan.with_decision(step.path, take=True, time=step.time, side=step.side, view=step.view)
        elif step.kind == "dates":
            plan = plan.with_dates(row.patient, *step.dates)
        elif step.kind == "leave out":
            plan = plan.with_decision(step.path, take=False)
        else:
            values = entered.pop(step.path, step)
            plan = plan.with_decision(step.path, take=True, time=values.time, side=values.side, view=values.view)
            if step.kind == "choose":
                for other in plan.find_competitors(step.path):
                    plan = plan.with_decision(other.path, take=False)
        self._before.append((self.plan, self._entered))
        self.plan, self._entered, self.steps = plan, entered, (*self.steps, step)

    def _write_draft(self) -> None:
        if self._draft is None:
            return
        if not self.steps:
            self.remove_draft()
            return
        value = {"format": _FORMAT, "steps": [_encode(step) for step in self.steps]}
        try:
            make_folder(self._draft.parent)
            write_bytes(self._draft, json.dumps(value).encode(), copy=False, private=True)
        except (OSError, RatuiError) as error:
            raise StudyError(
                "the decision is not stored on the disk", self._draft, "Save the decisions as a manifest"
            ) from error


def find_draft_path(key: Path, paths: Iterable[Path], manifest: Path | None) -> Path:
    """Return the file beside the key file for the draft of an import of `paths` with `manifest`."""
    inputs = [str(path.absolute()) for path in (*sorted(paths), *([manifest] if manifest else []))]
    digest = hashlib.sha256("\0".join(inputs).encode("utf-8", "surrogatepass")).hexdigest()
    return key.with_name(f"{key.stem}-review-{digest[:16]}.json")


def read_draft(path: Path) -> tuple[ReviewStep, ...]:
    """Return the decisions in the draft at `path`; empty if there is none. Raises DamagedError."""
    try:
        raw = parse_json(read_bounded(path, _LARGEST))
        if raw["format"] != _FORMAT:
            raise ValueError("another format")
        return tuple(_decode(step) for step in raw["steps"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError("the draft of the decisions can't be read", path, "Remove it, and decide again") from error


def _encode(step: ReviewStep) -> dict[str, Any]:
    values = {
        "do": step.kind,
        "file": str(step.path),
        "content": step.content,
        "time": step.time,
        "side": step.side,
        "view": step.view,
        "dates": [day.isoformat() for day in step.dates],
    }
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _decode(raw: dict[str, Any]) -> ReviewStep:
    kind, dates = raw["do"], tuple(date.fromisoformat(day) for day in raw.get("dates", ()))
    if kind not in get_args(StepKind) or bool(dates) != (kind == "dates"):
        raise ValueError("not a decision")
    return ReviewStep(
        kind,
        Path(str(raw["file"])),
        str(raw.get("content", "")),
        raw.get("time"),
        raw.get("side"),
        raw.get("view"),
        dates,
    )
