"""Settings of runs as plain values by name, and the differences between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratui.errors import clean_text

__all__ = ["flatten_settings", "name_differences", "name_setting"]


_OPTION_NAMES = {"crowd": "rater_model", "near": "refiner_only"}
"""Names of the settings that files store under the names of earlier versions."""


def name_setting(stored: str) -> str:
    """Return the name of a setting, as its option has it, from its name in a file."""
    return _OPTION_NAMES.get(stored, stored)


def name_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the settings with other values in `before` than in `now`, as text; empty if there is none."""
    changed = [name for name in now if before.get(name) != now[name]]
    return "; ".join(
        f"{name_setting(name.removeprefix('plan.').removeprefix('fit.'))}: {clean_text(before.get(name), 60)} before, "
        f"{clean_text(now[name], 60)} now"
        for name in changed[:6]
    )


def flatten_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `values` without nesting: the names of inner ones follow those of the outer ones and a dot."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flatten_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
