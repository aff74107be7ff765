"""Libraries that come with ``ratui[results]`` only, loaded when something needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ratui.errors import StudyError

__all__ = ["require"]


def require(module: str, purpose: str) -> Any:
    """The module named `module`. Raises StudyError, which names the extra, where it isn't installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != name:
            raise
        raise StudyError(f"{name} is not installed", purpose, "pip install 'ratui[results]'") from error
