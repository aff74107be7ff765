"""The app in which a rater reads: worklist, regions, scoring, overview. Every rule it follows comes from `ratui.reading`."""

from ratui.tui.app import RatuiApp

__all__ = ["RatuiApp"]
