"""Plans of imports from the folder ``h``, and their decisions."""

from __future__ import annotations

from pathlib import Path

from ratui.study import InProcessConverter, Study
from ratui.study.importing.importer import open_import
from ratui.study.importing.planning.import_plan import ImportPlan

__all__ = ["outcomes", "plan_of"]


def plan_of(study: Study, tmp_path: Path, manifest: str = "", *, folder: bool = True) -> ImportPlan:
    if manifest:
        (tmp_path / "h" / "films.csv").write_text(manifest)
    opened = open_import(
        study,
        [tmp_path / "h"] if folder else [],
        manifest=tmp_path / "h" / "films.csv" if manifest else None,
        key=tmp_path / "key.json",
        converter=InProcessConverter(),
    )
    with opened as current:
        return current.plan()


def outcomes(plan: ImportPlan) -> dict[str, tuple[str, str]]:
    """Return decision and reason, or note of a film that is taken, without those of the notes."""
    rows = (row for row in plan.rows if "note" not in row.path.name)
    return {row.path.stem: (row.decision.value, row.reason or row.note) for row in rows}
