"""Import of the libraries that only an extra installs, such as ``ratui[results]``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ratui.errors import StudyError

__all__ = ["require"]


def require(module: str, purpose: str, extra: str = "results") -> Any:
    """Import the module `module` and return it.

    Parameters
    ----------
    module
        Dotted name, for example ``scipy.stats``.
    purpose
        The command or feature that needs it; the error message shows it.
    extra
        Name of the extra that installs it.

    Raises
    ------
    StudyError
        If the library is not installed. The message names the extra that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        # A missing dependency of the library itself is a broken installation: the original error says more.
        if (error.name or "").partition(".")[0] != name:
            raise
        raise StudyError(f"{name} is not installed", purpose, f"pip install 'ratui[{extra}]'") from error
