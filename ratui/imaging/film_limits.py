"""Limits of the size of a film, for every reader of films."""

__all__ = ["MAX_FILE_BYTES", "MAX_PIXELS"]

MAX_FILE_BYTES = 600_000_000
"""Maximum size of a film's file in bytes, also after inflating."""
MAX_PIXELS = 80_000_000
"""Maximum of rows times columns. A film of 43 cm × 43 cm at 50 µm has 74 million pixels."""
