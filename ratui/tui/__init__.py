"""The terminal app in which a rater reads: worklist, regions, scoring, overview. It applies the rules of `ratui.reading`."""

from ratui.tui.app import RatuiApp

__all__ = ["RatuiApp"]
