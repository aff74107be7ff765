"""Experiments on simulated patients: comparison of recipes, raters and study sizes, and learning curves."""
