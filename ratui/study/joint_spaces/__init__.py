"""Measured joint spaces of a study: their values, who sees them when, and their release to the raters."""
