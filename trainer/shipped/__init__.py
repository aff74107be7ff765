"""The detector that is part of the package."""
