"""Evaluation of the models, and the report."""
