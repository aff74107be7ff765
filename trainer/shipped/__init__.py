"""The detector that is part of the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SHIPPED", "SHIPPED_RUN", "resolve_run_folder"]

SHIPPED = Path("shipped")
"""Stands for the run that comes with ratui: a small detector that was trained on simulated hands and feet only."""
SHIPPED_RUN = Path(__file__).parent
"""Folder of that run."""


def resolve_run_folder(run: Path) -> Path:
    """Return the folder of `run`; `SHIPPED` stands for the run that comes with ratui."""
    return SHIPPED_RUN if run == SHIPPED else run
