"""Parts that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from ratui.errors import clean_text
from ratui.study import Study

__all__ = ["COUNT", "FOLDER", "POSITIVE", "SEED", "SHARE", "WEIGHT", "FiniteRange", "print_notices"]

FOLDER = click.Path(path_type=Path)
"""Type of an option whose value is the path of a folder or a file."""


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN and infinity, which `click.FloatRange` accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; `param` and `ctx` are for the message if it is not in the range."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


POSITIVE = FiniteRange(min=0, min_open=True)
"""Type of an option whose value is a number above 0."""
WEIGHT = FiniteRange(min=0)
"""Type of an option whose value is 0 or more."""
SHARE = FiniteRange(min=0, max=1, min_open=True, max_open=True)
"""Type of an option whose value is a share between 0 and 1."""
COUNT = click.IntRange(min=1)
"""Type of an option that counts things of which there must be one."""
SEED = click.IntRange(min=0, max=2**31)
"""Type of an option whose value is a seed."""


def print_notices(study: Study) -> None:
    """Print the damaged files that were left out or read from a second copy, on standard error."""
    for notice in study.notices:
        click.echo(f"note: {clean_text(notice, 300)}. See: ratui check {clean_text(study.path)}", err=True)
