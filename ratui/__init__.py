"""ratui: score joint damage on radiographs in the terminal."""

__version__ = "0.1.0"
