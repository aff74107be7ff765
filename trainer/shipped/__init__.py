"""The detector that comes with the package."""
