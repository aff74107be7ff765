"""The program ``ratui-train``: checks that the package ``trainer`` is the one of ratui, and starts it.

Another distribution on the public index installs a package of the same import name. If both are installed, Python
imports one of them, or a mixture of their files.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import click

import ratui

__all__ = ["find_conflict", "main"]

_OTHER_DISTRIBUTIONS = ("trainer", "coqui-tts-trainer")
"""Distributions that install a package with the import name ``trainer``."""


def find_conflict() -> str:
    """Find another installed package that is also named ``trainer``.

    Nothing is imported. A distribution known to install such a package counts even if Python would import ratui's.
    A missing ``trainer`` is not a conflict.

    Returns
    -------
    str
        The conflict in one clause that names the other distribution, or the folder from which Python would import
        ``trainer``. Empty if there is no conflict.
    """
    for name in _OTHER_DISTRIBUTIONS:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        return f"the distribution {name} {found.version} also installs a package named trainer"
    spec = find_spec("trainer")
    origin = Path(spec.origin).resolve() if spec and spec.origin else None
    expected = Path(ratui.__file__).resolve().parents[1] / "trainer" / "__init__.py"
    if origin is not None and origin != expected:
        return f"Python imports another package named trainer, from {origin.parent}"
    return ""


def main() -> None:
    """Run ``ratui-train``. Exit with code 1 and one line if another package has taken the name ``trainer``."""
    conflict = find_conflict()
    if conflict:
        click.echo(f"ratui-train: {conflict}. Install ratui in an environment of its own.", err=True)
        sys.exit(1)
    import_module("trainer.cli").main()
