"""Train and apply the joint detector and the scorer of erosions and joint space narrowing.

The names below are the Python interface of the trainer. The program is ``ratui-train``, or ``python -m trainer``.
They need the packages of ``pip install 'ratui[train]'`` and are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.api import DetectedHand, DetectedJoint, Detector, Scorer, load_detector, load_scorer

__all__ = ["DetectedHand", "DetectedJoint", "Detector", "Scorer", "load_detector", "load_scorer"]


def __getattr__(name: str) -> Any:
    """Return a name of the interface. PyTorch is imported only here, so that the command line starts fast."""
    if name in __all__:
        from trainer import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
