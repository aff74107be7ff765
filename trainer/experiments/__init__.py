"""Losses compared: the same simulated patients, other raters, losses and sizes."""
